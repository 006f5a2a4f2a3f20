//! What must hold for a patient's demographics, whether they are registered or changed.

use chrono::{DateTime, Months, Utc};
use hims_domain::Personal;
use hims_domain::patient::{BirthDatePrecision, Demographics};
use hims_domain::values::PartialDate;
use hims_domain::wall_clock::latest_day;

use crate::Refused;

/// The greatest age that a date of birth may give.
const OLDEST: Months = Months::new(150 * 12);

/// The demographics with the precision of the date of birth: as it was said, or else as far as the date goes. The date
/// loses the parts that go beyond its precision.
///
/// # Errors
/// When the date and its precision contradict each other.
pub(super) fn completed(demographics: Demographics) -> Result<Demographics, Refused> {
    let date = demographics.date_of_birth.as_ref();
    // The date of an erased patient is not known any more, and stays as it is.
    if date.is_some_and(|it| it.known().is_none()) {
        return Ok(demographics);
    }
    let (date, precision) = matched(date.and_then(Personal::known), demographics.birth_date_precision)?;
    Ok(Demographics { date_of_birth: date.map(Personal::Known), birth_date_precision: Some(precision), ..demographics })
}

fn matched(
    date: Option<&PartialDate>,
    said: Option<BirthDatePrecision>,
) -> Result<(Option<PartialDate>, BirthDatePrecision), Refused> {
    use BirthDatePrecision::{Day, Estimated, Month, Unknown, Year};
    let refused = |field, message| Err(Refused::field("invalid-fields", field, message));
    let Some(date) = date else {
        return match said {
            None | Some(Unknown) => Ok((None, Unknown)),
            Some(_) => refused("/date_of_birth", "give the date of birth too, or the birth_date_precision unknown"),
        };
    };
    let parts = match (said, date.parts()) {
        (None, 1) => return Ok((Some(date.clone()), Year)),
        (None, 2) => return Ok((Some(date.clone()), Month)),
        (None, _) => return Ok((Some(date.clone()), Day)),
        (Some(Estimated), _) => return Ok((Some(date.clone()), Estimated)),
        (Some(Unknown), _) => {
            return refused("/birth_date_precision", "leave the date of birth out, or say how exactly it is known");
        }
        (Some(Year), _) => 1,
        (Some(Month), _) => 2,
        (Some(Day), _) => 3,
    };
    if date.parts() < parts {
        return refused("/birth_date_precision", "the date of birth is not given that exactly; give more of the date");
    }
    Ok((Some(date.cut_to(parts)), said.unwrap_or(Day)))
}

/// Checks that the patient has a name, unless nobody knows it, and that the date of birth is plausible.
///
/// # Errors
/// The field that breaks a rule.
pub(super) fn check(demographics: &Demographics, now: DateTime<Utc>) -> Result<(), Refused> {
    if demographics.first_name.is_none() && demographics.last_name.is_none() && !demographics.name_unknown {
        let message = "give at least one name, or name_unknown if nobody knows the patient's name";
        return Err(Refused::field("no-name", "/last_name", message));
    }
    // Where a child was born it may be the next day already.
    let latest = latest_day(now);
    let Some(date) = demographics.date_of_birth.as_ref().and_then(Personal::known) else { return Ok(()) };
    let is_past = date.first_day().is_some_and(|it| it <= latest);
    let is_near = date.last_day().and_then(|it| it.checked_add_months(OLDEST)).is_some_and(|it| it >= now.date_naive());
    if is_past && is_near {
        return Ok(());
    }
    let message = "give a date of birth that is not in the future and at most 150 years ago";
    Err(Refused::field("implausible-birth-date", "/date_of_birth", message))
}

/// Whether only contact data, occupation or language differ, which patients may change themselves.
pub(super) fn only_reached_otherwise(old: &Demographics, new: &Demographics) -> bool {
    let with_new_contact_data = |demographics: &Demographics| Demographics {
        email: new.email.clone(),
        phone_primary: new.phone_primary.clone(),
        phone_secondary: new.phone_secondary.clone(),
        address_line_1: new.address_line_1.clone(),
        address_line_2: new.address_line_2.clone(),
        city: new.city.clone(),
        state: new.state.clone(),
        postal_code: new.postal_code.clone(),
        country: new.country.clone(),
        occupation: new.occupation.clone(),
        emergency_contact_name: new.emergency_contact_name.clone(),
        emergency_contact_relationship: new.emergency_contact_relationship.clone(),
        emergency_contact_phone: new.emergency_contact_phone.clone(),
        preferred_language: new.preferred_language.clone(),
        ..demographics.clone()
    };
    with_new_contact_data(old) == *new
}

#[cfg(test)]
mod tests {
    use hims_domain::patient::{Event, Patient};
    use serde_json::{Value, json};

    use crate::aggregates::patient::{ChangePatientDemographics, RegisterPatient};
    use crate::testing::samples::{PATIENT, ann, ask, registered, registered_as, with};
    use crate::testing::{Then, given};

    fn register(changes: Value) -> Then<Patient> {
        let request = with(ann(), json!({"birth_date_precision": null}));
        given([]).when(ask::<RegisterPatient>(with(request, changes)))
    }

    fn change(of: Event, changes: Value) -> Then<Patient> {
        given([of]).when(ask::<ChangePatientDemographics>(with(json!({"patient_id": PATIENT}), changes)))
    }

    /// The date of birth and its precision in the event that follows; an empty text if there is no date.
    fn born(then: Then<Patient>) -> (String, &'static str) {
        let demographics = match then.then_event() {
            Event::Registered { demographics, .. } | Event::DemographicsChanged(demographics) => demographics,
            other => panic!("{other:?}"),
        };
        let date = demographics.date_of_birth.map(|it| it.known().unwrap().to_string()).unwrap_or_default();
        (date, demographics.birth_date_precision.unwrap().as_str())
    }

    #[test]
    fn a_birth_date_is_known_as_exactly_as_it_is_given() {
        for (date, precision, expected, precise) in [
            (json!("1987-03-05"), Value::Null, "1987-03-05", "day"),
            (json!("1987-03"), Value::Null, "1987-03", "month"),
            (json!("1987"), Value::Null, "1987", "year"),
            (json!("1987"), json!("year"), "1987", "year"),
            (json!("1987-01-01"), json!("year"), "1987", "year"),
            (json!("1987-03-01"), json!("month"), "1987-03", "month"),
            (json!("1987-01-01"), json!("estimated"), "1987-01-01", "estimated"),
            (json!("1987"), json!("estimated"), "1987", "estimated"),
            (Value::Null, Value::Null, "", "unknown"),
            (Value::Null, json!("unknown"), "", "unknown"),
        ] {
            let then = register(json!({"date_of_birth": date, "birth_date_precision": precision}));
            assert_eq!(born(then), (expected.to_owned(), precise), "{date} {precision}");
        }
    }

    #[test]
    fn a_birth_date_and_its_precision_do_not_contradict_each_other() {
        for (date, precision, field) in [
            (json!("1987"), "day", "/birth_date_precision"),
            (json!("1987"), "month", "/birth_date_precision"),
            (json!("1987"), "unknown", "/birth_date_precision"),
            (Value::Null, "year", "/date_of_birth"),
            (Value::Null, "estimated", "/date_of_birth"),
        ] {
            let then = register(json!({"date_of_birth": date, "birth_date_precision": precision}));
            then.then_field("invalid-fields", field);
        }
    }

    #[test]
    fn a_partial_birth_date_is_plausible_too() {
        for date in ["2027", "2026-12", "1875"] {
            register(json!({"date_of_birth": date})).then_field("implausible-birth-date", "/date_of_birth");
        }
        for date in ["2026", "2026-11", "1876"] {
            assert!(register(json!({"date_of_birth": date})).is_accepted(), "{date}");
        }
    }

    #[test]
    fn a_new_birth_date_is_as_exact_as_it_is_written_and_only_a_new_date_moves_the_precision() {
        let of_year = || registered_as(with(ann(), json!({"date_of_birth": "1987", "birth_date_precision": "year"})));
        let exact = json!({"date_of_birth": "1987-03-05"});
        assert_eq!(born(change(of_year(), exact)), ("1987-03-05".to_owned(), "day"));
        assert_eq!(born(change(of_year(), json!({"date_of_birth": null}))), (String::new(), "unknown"));
        assert_eq!(born(change(of_year(), json!({"city": "Springfield"}))), ("1987".to_owned(), "year"));
        assert_eq!(
            born(change(of_year(), json!({"birth_date_precision": "estimated"}))),
            ("1987".to_owned(), "estimated")
        );
        assert_eq!(born(change(registered(), json!({"birth_date_precision": "year"}))), ("1980".to_owned(), "year"));
    }

    #[test]
    fn one_name_is_enough() {
        for name in ["first_name", "last_name"] {
            assert!(register(json!({ name: null })).is_accepted(), "{name}");
            assert!(change(registered(), json!({ name: null })).is_accepted(), "{name}");
        }
    }

    #[test]
    fn somebody_without_a_name_is_registered_only_as_unknown() {
        let nameless = json!({"first_name": null, "last_name": null});
        register(nameless.clone()).then_field("no-name", "/last_name");
        change(registered(), nameless.clone()).then_field("no-name", "/last_name");
        let unknown = json!({"name_unknown": true, "date_of_birth": null, "birth_date_precision": null});
        assert!(register(with(nameless.clone(), unknown.clone())).is_accepted());
        let found = registered_as(with(with(ann(), nameless), unknown));
        change(found.clone(), json!({"name_unknown": false})).then_field("no-name", "/last_name");
        assert!(change(found, json!({"name_unknown": false, "last_name": "Bell"})).is_accepted());
    }

    #[test]
    fn blood_groups_and_countries_that_do_not_exist_are_refused() {
        register(json!({"country": "Atlantis"})).then_field("invalid-fields", "/country");
        register(json!({"country": "XX"})).then_field("invalid-fields", "/country");
        assert!(register(json!({"country": "usa", "blood_type": "AB-"})).is_accepted());
        assert!(serde_json::from_value::<RegisterPatient>(with(ann(), json!({"blood_type": "C+"}))).is_err());
    }

    #[test]
    fn a_name_is_one_line_and_no_id_is_nil() {
        for name in ["Ann\nBell", "Ann\tBell"] {
            register(json!({"first_name": name})).then_field("invalid-fields", "/first_name");
        }
        register(json!({"id": uuid::Uuid::nil()})).then_field("invalid-fields", "/id");
    }
}
