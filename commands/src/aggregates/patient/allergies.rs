//! Allergies of a patient: recording, changing and retiring allergies.

use hims_domain::patient::{Allergy, Event, Patient};
use hims_domain::permission::{Create, Update};
use hims_domain::user::User;
use hims_domain::values::Reason;
use hims_domain::{AllergyId, PatientId, Personal, UserId, described};

use super::{Refusal, not_erased};
use crate::aggregates::user::{check_provider, reads_named};
use crate::machinery::coding::coded;
use crate::{Caller, Command, Context, Decision, Found, Kind, Patch, Permission, Reads, Refused, Target};

described! {
    /// Records an allergy or intolerance. If the patient has an active allergy to the same substance, the command is
    /// refused with the ids of the candidates, unless the caller confirms that the allergy is another.
    pub struct RecordAllergy {
        /// Which patient.
        pub patient_id: PatientId,
        /// The id of the new allergy; issued by the server if left out.
        pub allergy_id: Option<AllergyId>,
        /// The allergy's details.
        #[serde(flatten)]
        pub allergy: Allergy,
        /// Confirms that the caller has looked at the candidates and that the allergy is none of them.
        #[serde(default)]
        pub confirm_not_duplicate: bool,
    }

    /// Changes an allergy's details.
    pub struct ChangeAllergy {
        /// Which patient.
        pub patient_id: PatientId,
        /// Which allergy.
        pub allergy_id: AllergyId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Allergy>,
        /// Confirms that the caller has looked at the candidates and that the allergy is none of them.
        #[serde(default)]
        pub confirm_not_duplicate: bool,
    }

    /// Retires an allergy that was recorded wrongly or has passed. The allergy stays in the record as inactive.
    pub struct RetireAllergy {
        /// Which patient.
        pub patient_id: PatientId,
        /// Which allergy.
        pub allergy_id: AllergyId,
        /// Why the allergy is retired.
        pub reason: Personal<Reason>,
    }
}

/// Also looks up the duplicates that were merged into a patient.
pub(super) fn reads_duplicates(reads: Reads, state: Option<&Patient>) -> Reads {
    state.into_iter().flat_map(|patient| patient.duplicates.iter().copied()).fold(reads, Reads::stream::<Patient>)
}

/// The record of a patient, and the duplicates that were merged into it, each with its id.
pub(super) fn records<'a>(
    patient: &'a Patient,
    ctx: &'a Context<'_>,
) -> impl Iterator<Item = (PatientId, &'a Patient)> {
    let duplicates = patient.duplicates.iter().filter_map(|id| Some((*id, ctx.found.get::<Patient>(*id)?)));
    duplicates.chain([(ctx.id.into(), patient)])
}

/// An active allergy of a patient, and the record that holds the allergy: that of the patient or of a duplicate.
fn active<'a>(patient: &'a Patient, id: AllergyId, ctx: &'a Context<'_>) -> Result<(PatientId, &'a Allergy), Refused> {
    let found = records(patient, ctx).find_map(|(record, it)| Some((record, it.allergies.get(&id)?)));
    found.ok_or_else(|| Refusal::NoSuchAllergy.into())
}

/// The decision that an event happens to a record of the patient: that of the patient or of a duplicate.
pub(super) fn happens(event: Event, record: PatientId, ctx: &Context<'_>) -> Decision<Patient> {
    if record.0 == ctx.id {
        return Decision::event(event);
    }
    Decision::nothing().also::<Patient>(record, event)
}

/// The allergy with its codes in the form in which they are kept.
///
/// # Errors
/// When a code does not have the form of its system, or only one of code and system is given.
fn checked(mut allergy: Allergy) -> Result<Allergy, Refused> {
    allergy.code = coded(allergy.code_system.as_ref(), allergy.code)?;
    Ok(allergy)
}

/// Refuses an allergy to a substance to which the patient has another active allergy.
fn check_is_new(patient: &Patient, id: AllergyId, allergy: &Allergy, ctx: &Context<'_>) -> Result<(), Refused> {
    let known = records(patient, ctx).flat_map(|(_, record)| &record.allergies);
    let others = known.filter(|(other, known)| **other != id && known.is_to_the_same(allergy));
    let candidates: Vec<_> = others.map(|(other, _)| other.0).collect();
    if candidates.is_empty() {
        return Ok(());
    }
    let detail = "the patient may have this allergy already; look at the candidates, and change the one that it is, or \
                  repeat with confirm_not_duplicate if it is none of them";
    Err(Refused { candidates, ..Refused::new(Kind::Conflict, "possible-duplicate", detail) })
}

/// Checks the user who is named as reporting an allergy, since who reported an allergy may read the patient. An import
/// may name anybody who exists.
fn check_reporter(ctx: &Context<'_>, id: UserId, patient_id: PatientId) -> Result<(), Refused> {
    if ctx.caller.is_system {
        return ctx.named::<User>(id, "/reported_by").map(drop);
    }
    check_provider(ctx, id, "/reported_by", patient_id, RecordAllergy::PERMISSION)
}

impl Command for RecordAllergy {
    const NAME: &'static str = "record-allergy";
    const PERMISSION: Permission = Permission::Create(Create::Allergies);
    const REVERSED_BY: Option<&'static str> = Some(RetireAllergy::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn probes_a_secret(&self, caller: &Caller) -> bool {
        !self.confirm_not_duplicate && !caller.reads_all_charts()
    }

    fn reads(&self, state: Option<&Patient>, found: &Found) -> Reads {
        reads_named(reads_duplicates(Reads::nothing(), state), self.allergy.reported_by, found)
    }

    fn decide(mut self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        self.allergy = checked(self.allergy)?;
        let is_known = |id| patient.allergies.contains_key(&id) || patient.retired_allergies.contains(&id);
        let allergy_id = ctx.part_id(self.allergy_id, is_known)?;
        if !self.confirm_not_duplicate {
            check_is_new(patient, allergy_id, &self.allergy, ctx)?;
        }
        if let Some(user) = self.allergy.reported_by {
            check_reporter(ctx, user, self.patient_id)?;
        }
        self.allergy.reported_by = self.allergy.reported_by.or(ctx.caller.user_id());
        Ok(Decision::event(Event::AllergyRecorded { allergy_id, allergy: self.allergy }))
    }
}

impl Command for ChangeAllergy {
    const NAME: &'static str = "change-allergy";
    const PERMISSION: Permission = Permission::Update(Update::Allergies);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn probes_a_secret(&self, caller: &Caller) -> bool {
        !self.confirm_not_duplicate && !caller.reads_all_charts()
    }

    fn reads(&self, state: Option<&Patient>, found: &Found) -> Reads {
        let of_duplicates = state.into_iter().flat_map(|it| &it.duplicates).filter_map(|id| found.get::<Patient>(*id));
        let known = of_duplicates.chain(state).find_map(|patient| patient.allergies.get(&self.allergy_id));
        let changed = known.and_then(|known| self.changes.clone().apply(known).ok());
        let reads = reads_duplicates(Reads::nothing(), state);
        reads_named(reads, changed.and_then(|allergy| allergy.reported_by), found)
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        let (record, known) = active(patient, self.allergy_id, ctx)?;
        let allergy = checked(self.changes.apply(known)?)?;
        if allergy == *known {
            return Ok(Decision::nothing());
        }
        if let Some(user) = allergy.reported_by.filter(|_| allergy.reported_by != known.reported_by) {
            check_reporter(ctx, user, self.patient_id)?;
        }
        // A change of the severity alone makes no duplicate of an allergy that was confirmed to be another.
        if !allergy.is_to_the_same(known) && !self.confirm_not_duplicate {
            check_is_new(patient, self.allergy_id, &allergy, ctx)?;
        }
        Ok(happens(Event::AllergyChanged { allergy_id: self.allergy_id, allergy }, record, ctx))
    }
}

impl Command for RetireAllergy {
    const NAME: &'static str = "retire-allergy";
    const PERMISSION: Permission = Permission::Update(Update::Allergies);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn reads(&self, state: Option<&Patient>, _: &Found) -> Reads {
        reads_duplicates(Reads::nothing(), state)
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        let (record, _) = active(patient, self.allergy_id, ctx)?;
        Ok(happens(Event::AllergyRetired { allergy_id: self.allergy_id, reason: self.reason }, record, ctx))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::testing::given;
    use crate::testing::samples::{PATIENT, ask, registered, said, with};
    use crate::testing::world::somebody;

    const KNOWN: AllergyId = AllergyId(Uuid::from_u128(40));
    const OTHER: AllergyId = AllergyId(Uuid::from_u128(41));

    fn penicillin() -> Value {
        json!({"allergen_type": "drug", "allergen_name": "Penicillin", "rxnorm_code": "7980"})
    }

    fn recorded(allergy_id: AllergyId, changes: Value) -> Event {
        Event::AllergyRecorded { allergy_id, allergy: ask(with(penicillin(), changes)) }
    }

    fn record(changes: Value) -> RecordAllergy {
        ask(with(with(penicillin(), json!({"patient_id": PATIENT, "allergy_id": OTHER})), changes))
    }

    fn change(changes: Value) -> ChangeAllergy {
        ask(with(json!({"patient_id": PATIENT, "allergy_id": OTHER}), changes))
    }

    /// A doctor who is the patient.
    fn as_patient() -> Caller {
        Caller { patient_id: Some(PATIENT), ..somebody("doctor") }
    }

    #[test]
    fn nobody_records_or_retires_their_own_allergies() {
        let known = || given([registered(), recorded(OTHER, json!({}))]).by(as_patient());
        let retire = RetireAllergy { patient_id: PATIENT, allergy_id: OTHER, reason: said("tested") };
        given([registered()]).by(as_patient()).when(record(json!({}))).then_code("treating-oneself");
        known().when(change(json!({"severity": "mild"}))).then_code("treating-oneself");
        known().when(retire).then_code("treating-oneself");
    }

    #[test]
    fn an_allergy_to_the_same_substance_is_asked_back() {
        let known = || given([registered(), recorded(KNOWN, json!({}))]);
        for same in [json!({}), json!({"allergen_name": "pénicillin", "rxnorm_code": null, "allergen_type": "other"})]
        {
            known().when(record(same.clone())).then_code("possible-duplicate");
            known().when(record(same)).then_candidates([KNOWN]);
        }
        let another = json!({"allergen_name": "Codeine", "rxnorm_code": "2670"});
        assert!(known().when(record(another)).is_accepted());
        assert!(known().when(record(json!({"confirm_not_duplicate": true}))).is_accepted());
    }

    #[test]
    fn an_allergy_has_a_code_of_a_known_form() {
        let coded = |system: Value, code: Value| record(json!({"code_system": system, "code": code}));
        given([registered()])
            .when(coded(json!("http://snomed.info/sct"), json!("A1")))
            .then_field("malformed-code", "/code");
        given([registered()]).when(coded(Value::Null, json!("7980"))).then_field("invalid-fields", "/code_system");
        assert!(given([registered()]).when(coded(json!("http://snomed.info/sct"), json!("373270004"))).is_accepted());
        let system = change(json!({"code_system": "http://snomed.info/sct"}));
        given([registered(), recorded(OTHER, json!({}))]).when(system).then_field("invalid-fields", "/code");
    }

    #[test]
    fn a_retired_allergy_may_be_recorded_again() {
        let retired = Event::AllergyRetired { allergy_id: KNOWN, reason: said("tested") };
        assert!(given([registered(), recorded(KNOWN, json!({})), retired]).when(record(json!({}))).is_accepted());
    }

    #[test]
    fn an_allergy_is_not_changed_into_another_that_is_recorded() {
        let codeine = json!({"allergen_name": "Codeine", "rxnorm_code": null});
        let both = || given([registered(), recorded(KNOWN, json!({})), recorded(OTHER, codeine.clone())]);
        both().when(change(json!({"allergen_name": "penicillin"}))).then_candidates([KNOWN]);
        let confirmed = json!({"allergen_name": "penicillin", "confirm_not_duplicate": true});
        assert!(both().when(change(confirmed)).is_accepted());
    }

    #[test]
    fn who_reported_an_allergy_must_exist_after_a_change_too() {
        let nobody = json!({"reported_by": Uuid::from_u128(0xdead)});
        given([registered(), recorded(OTHER, json!({}))])
            .when(change(nobody))
            .then_field("unknown-reference", "/reported_by");
    }

    #[test]
    fn more_is_known_of_an_allergy_that_was_confirmed_to_be_another() {
        let both = [registered(), recorded(KNOWN, json!({})), recorded(OTHER, json!({}))];
        assert!(given(both).when(change(json!({"severity": "severe"}))).is_accepted());
    }
}
