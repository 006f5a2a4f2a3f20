//! Whether a person is in the record already: by name and date of birth, or by social security number.
//!
//! The answer never says by which rule somebody matched, and the work is the same whether or not a social security
//! number is in the record: only the ids of its holders are looked up, and the candidates are told in one list.

use std::collections::BTreeSet;

use hims_domain::patient::{Demographics, Patient};
use hims_domain::values::{Name, folded};
use hims_domain::{PatientId, Personal};
use uuid::Uuid;

use crate::{Context, Held, Kind, Reads, Refused, scopes};

/// The Jaro-Winkler similarity, from 0 to 1, from which two names may belong to one person.
const SIMILAR: f64 = 0.9;

/// What a possible duplicate is told, whatever matched.
const POSSIBLE_DUPLICATE: &str = "the patient may be registered already; look at the candidates, and repeat with \
                                  confirm_not_duplicate if the patient is none of them";

/// The day of birth, if it is known exactly.
fn birth_date(demographics: &Demographics) -> Option<String> {
    demographics.day_of_birth().map(|it| it.to_string())
}

fn ssn(demographics: &Demographics) -> Option<&str> {
    Some(demographics.ssn.as_ref()?.known()?.as_str())
}

/// Given and family name, folded; `None` if nobody knows the name, or the patient is erased.
fn names(demographics: &Demographics) -> Option<[String; 2]> {
    let folded = |name: &Option<Personal<Name<100>>>| {
        let known = name.as_ref().and_then(Personal::known);
        known.map(|it| folded(it.as_str())).unwrap_or_default()
    };
    let names = [folded(&demographics.first_name), folded(&demographics.last_name)];
    let is_known = !demographics.name_unknown && names.iter().any(|it| !it.is_empty());
    is_known.then_some(names)
}

/// The words of the name in the order of the alphabet, so that exchanged names have the same key.
fn name_key(demographics: &Demographics) -> Option<String> {
    let names = names(demographics)?.join(" ");
    let mut words: Vec<_> = names.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty()).collect();
    words.sort_unstable();
    Some(words.join(" "))
}

/// Whether two names are similar, also when given and family name are exchanged in one of them.
fn is_similar(one: &Demographics, other: &Demographics) -> bool {
    let (Some([first, last]), Some([other_first, other_last])) = (names(one), names(other)) else { return false };
    let name = format!("{first} {last}");
    [format!("{other_first} {other_last}"), format!("{other_last} {other_first}")]
        .iter()
        .any(|it| strsim::jaro_winkler(name.trim(), it.trim()) >= SIMILAR)
}

/// Whether two persons may have been born on the same day.
fn may_share_birthday(one: &Demographics, other: &Demographics) -> bool {
    match (one.days_of_birth(), other.days_of_birth()) {
        (Some(one), Some(other)) => one.start() <= other.end() && other.start() <= one.end(),
        _ => true,
    }
}

/// Whether two persons may be the same by their names and dates of birth.
fn may_be_same(one: &Demographics, other: &Demographics) -> bool {
    is_similar(one, other) && may_share_birthday(one, other)
}

/// Shares the keys by which a patient is found as a possible duplicate.
pub(super) fn share(demographics: &Demographics, held: &mut Held) {
    let (day, name) = (birth_date(demographics), name_key(demographics));
    held.share_if(scopes::PATIENT_NAME_WITHOUT_BIRTHDAY, name.clone().filter(|_| day.is_none()))
        .share_if(scopes::PATIENT_NAME, name)
        .share_if(scopes::PATIENT_BIRTH_DATE, day)
        .share_if(scopes::PATIENT_SSN, ssn(demographics));
}

/// Where the patients are found by name and date of birth: for a person whose birthday is known, among those born on
/// that day and the namesakes whose birthday is not known; for anybody else, among all namesakes.
fn places(demographics: &Demographics) -> Vec<(&'static str, String)> {
    match (birth_date(demographics), name_key(demographics)) {
        (_, None) => Vec::new(),
        (Some(day), Some(name)) => {
            vec![(scopes::PATIENT_BIRTH_DATE, day), (scopes::PATIENT_NAME_WITHOUT_BIRTHDAY, name)]
        }
        (None, Some(name)) => vec![(scopes::PATIENT_NAME, name)],
    }
}

/// What must be looked up to tell whether somebody with these demographics is in the record already. `before` holds
/// the demographics of a patient before a change; a change of anything else than the identity looks up nothing.
///
/// The patients are only looked at: what happens to them meanwhile does not hold this command up. If somebody else is
/// registered with the birthday, or is given the same name, at the same moment, the command is decided again.
pub(super) fn reads(demographics: &Demographics, before: Option<&Demographics>) -> Reads {
    let identity = |it: &Demographics| (names(it), it.days_of_birth(), ssn(it).map(str::to_owned));
    let mut reads = Reads::nothing();
    if before.is_some_and(|it| identity(it) == identity(demographics)) {
        return reads;
    }
    for (scope, key) in places(demographics) {
        reads = reads.candidates::<Patient>(scope, key);
    }
    if let Some(name) = name_key(demographics).filter(|_| birth_date(demographics).is_some()) {
        reads = reads.holders(scopes::PATIENT_NAME, name);
    }
    match ssn(demographics) {
        Some(number) => reads.holders(scopes::PATIENT_SSN, number),
        None => reads,
    }
}

/// Refuses demographics that may belong to another patient. A patient who may have been the same before the change was
/// looked at then, and is not named again; nor are the `merged` records, which are known to be of the same patient.
///
/// # Errors
/// The refusal with the ids of the other patients.
pub(super) fn check(
    demographics: &Demographics,
    before: Option<&Demographics>,
    merged: &BTreeSet<PatientId>,
    ctx: &Context<'_>,
) -> Result<(), Refused> {
    let was_one = |other: &Demographics| before.is_some_and(|before| may_be_same(before, other));
    let places = places(demographics);
    let namesakes = places
        .iter()
        .flat_map(|(scope, key)| ctx.found.owners::<Patient>(scope, key))
        .filter(|(_, it)| may_be_same(demographics, &it.demographics) && !was_one(&it.demographics))
        .map(|(id, _)| id);
    let number = ssn(demographics).filter(|number| before.and_then(ssn) != Some(*number));
    let holders = number.into_iter().flat_map(|number| ctx.found.holders(scopes::PATIENT_SSN, number));
    let is_other = |id: &Uuid| *id != ctx.id && !merged.contains(&PatientId(*id));
    let mut candidates: Vec<Uuid> = namesakes.chain(holders.copied()).filter(is_other).collect();
    candidates.sort_unstable();
    candidates.dedup();
    if candidates.is_empty() {
        return Ok(());
    }
    Err(Refused { candidates, ..Refused::new(Kind::Conflict, "possible-duplicate", POSSIBLE_DUPLICATE) })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::aggregates::patient::{ChangePatientDemographics, RegisterPatient};
    use crate::scopes::{PATIENT_BIRTH_DATE, PATIENT_NAME, PATIENT_NAME_WITHOUT_BIRTHDAY, PATIENT_SSN};
    use crate::testing::samples::{OTHER_PATIENT, PATIENT, ann, ask, registered, registered_as, with};
    use crate::testing::{Given, Then, given, shares, unshares};

    use super::*;

    fn jose(changes: Value) -> Value {
        let names = json!({"first_name": "José", "last_name": "Núñez Müller", "birth_date_precision": null});
        with(with(ann(), names), changes)
    }

    /// Another patient, who is found by these keys.
    fn beside(given: Given<Patient>, other: Value, keys: &[(&'static str, &str)]) -> Given<Patient> {
        let other = given.and::<Patient>(OTHER_PATIENT, [registered_as(other)]);
        keys.iter().fold(other, |given, (scope, key)| given.owner(scope, *key, OTHER_PATIENT))
    }

    fn register(other: Value, keys: &[(&'static str, &str)], new: Value) -> Then<Patient> {
        beside(given([]), other, keys).when(ask::<RegisterPatient>(new))
    }

    const BORN: (&str, &str) = (PATIENT_BIRTH_DATE, "1980-05-17");

    #[test]
    fn a_name_in_another_spelling_is_a_possible_duplicate() {
        for (first, last) in [
            ("Jose", "Nunez Mueller"),
            ("JOSE\u{301}", "NUN\u{303}EZ MU\u{308}LLER"),
            ("jose", "nuñez muller"),
            ("Núñez Müller", "José"),
        ] {
            let new = jose(json!({"first_name": first, "last_name": last}));
            register(jose(json!({})), &[BORN], new).then_candidates([OTHER_PATIENT]);
        }
    }

    #[test]
    fn one_name_is_compared_with_one_name() {
        let one = |name: &str| jose(json!({"first_name": null, "last_name": name}));
        register(one("Suharto"), &[BORN], one("SUHARTO")).then_candidates([OTHER_PATIENT]);
        assert!(register(one("Suharto"), &[BORN], one("Teresa")).is_accepted());
    }

    #[test]
    fn a_birthday_that_is_not_known_exactly_may_be_that_of_a_namesake() {
        let key = "jose muller nunez";
        for (other, new, is_candidate) in
            [("1987", "1987-03-05", true), ("1987-03", "1987-03-05", true), ("1988", "1987-03-05", false)]
        {
            let other = jose(json!({"date_of_birth": other}));
            let new = jose(json!({"date_of_birth": new}));
            let then = register(other.clone(), &[(PATIENT_NAME_WITHOUT_BIRTHDAY, key)], new.clone());
            assert_eq!(!then.is_accepted(), is_candidate, "{other} {new}");
            let then = register(new.clone(), &[(PATIENT_NAME, key)], other.clone());
            assert_eq!(!then.is_accepted(), is_candidate, "{new} {other}");
        }
        for (inexact, is_candidate) in [
            (json!({"date_of_birth": "1984", "birth_date_precision": "estimated"}), true),
            (json!({"date_of_birth": "1994", "birth_date_precision": "estimated"}), false),
            (json!({"date_of_birth": null}), true),
        ] {
            let then = register(jose(json!({})), &[(PATIENT_NAME, key)], jose(inexact.clone()));
            assert_eq!(!then.is_accepted(), is_candidate, "{inexact}");
        }
    }

    #[test]
    fn nobody_is_a_namesake_of_an_unknown_person() {
        let unknown = json!({"first_name": "Unknown", "last_name": "Male", "name_unknown": true});
        assert!(register(jose(unknown.clone()), &[BORN], jose(unknown.clone())).is_accepted());
        let no_longer_known = change(jose(json!({})), &[], json!({"name_unknown": true}));
        no_longer_known.then_claims([unshares(PATIENT_NAME, "ann bell")]);
    }

    #[test]
    fn who_matches_by_name_and_who_matches_by_number_are_told_alike() {
        let new = || jose(json!({"ssn": "123-12-3456"}));
        let told = Refused {
            candidates: vec![OTHER_PATIENT.0],
            ..Refused::new(Kind::Conflict, "possible-duplicate", POSSIBLE_DUPLICATE)
        };
        let stranger = with(ann(), json!({"date_of_birth": "1950-01-01"}));
        register(stranger, &[(PATIENT_SSN, "123-12-3456")], new()).then_refused(told.clone());
        register(jose(json!({})), &[BORN], new()).then_refused(told);
    }

    #[test]
    fn the_holder_of_a_number_is_not_loaded() {
        let reads = reads(&ask(jose(json!({"ssn": "123-12-3456"}))), None);
        let (held, looked_at): (Vec<_>, Vec<_>) = reads.owners.iter().partition(|it| it.is_relied_on);
        let looked_at: Vec<_> = looked_at.into_iter().map(|it| it.scope).collect();
        assert_eq!(looked_at, [PATIENT_BIRTH_DATE, PATIENT_NAME_WITHOUT_BIRTHDAY]);
        let held: Vec<_> = held.into_iter().map(|it| (it.scope, it.loader.is_some())).collect();
        assert_eq!(held, [(PATIENT_NAME, false), (PATIENT_SSN, false)], "nobody is loaded, and nobody relied on");
    }

    fn change(other: Value, keys: &[(&'static str, &str)], changes: Value) -> Then<Patient> {
        let command = with(json!({"patient_id": PATIENT}), changes);
        beside(given([registered()]), other, keys).when(ask::<ChangePatientDemographics>(command))
    }

    #[test]
    fn a_change_may_make_a_duplicate() {
        let renamed = json!({"first_name": "Jose", "last_name": "Nunez Muller"});
        change(jose(json!({})), &[BORN], renamed.clone()).then_candidates([OTHER_PATIENT]);
        let confirmed = with(renamed, json!({"confirm_not_duplicate": true}));
        assert!(change(jose(json!({})), &[BORN], confirmed).is_accepted());
        let number = json!({"ssn": "123-12-3456"});
        change(jose(json!({})), &[(PATIENT_SSN, "123-12-3456")], number).then_candidates([OTHER_PATIENT]);
    }

    #[test]
    fn a_change_of_something_else_looks_nobody_up() {
        assert!(change(ann(), &[BORN], json!({"city": "Springfield"})).is_accepted());
    }

    #[test]
    fn who_was_a_candidate_before_a_change_is_not_told_again() {
        let namesake = with(ann(), json!({"first_name": "Anne"}));
        assert!(change(namesake, &[BORN], json!({"first_name": "Annie"})).is_accepted());
    }

    #[test]
    fn a_patient_is_found_by_name_and_by_name_alone_if_the_birthday_is_not_known() {
        change(jose(json!({})), &[], json!({"last_name": "Núñez"}))
            .then_claims([unshares(PATIENT_NAME, "ann bell"), shares(PATIENT_NAME, "ann nunez")]);
        change(jose(json!({})), &[], json!({"date_of_birth": "1980"})).then_claims([
            unshares(PATIENT_BIRTH_DATE, "1980-05-17"),
            shares(PATIENT_NAME_WITHOUT_BIRTHDAY, "ann bell"),
        ]);
    }
}
