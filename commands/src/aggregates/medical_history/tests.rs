use hims_domain::medical_history::OnsetPrecision;
use hims_domain::user::User;
use serde_json::{Value, json};

use super::*;
use crate::Caller;
use crate::scopes::HISTORY_IMMUNIZATION;
use crate::testing::samples::{DOCTOR, PATIENT, ask, created, registered, said, with};
use crate::testing::world::{somebody, user};
use crate::testing::{Given, Then, given, shares, unshares};

const KNOWN: MedicalHistoryId = MedicalHistoryId(Uuid::from_u128(70));
const NEW: MedicalHistoryId = MedicalHistoryId(Uuid::from_u128(71));

fn diabetes() -> Value {
    json!({"history_type": "condition", "description": "Diabetes", "source": "patient"})
}

fn influenza() -> Value {
    json!({"history_type": "immunization", "description": "Influenza vaccine", "source": "provider",
           "code_system": coding::CVX, "code": "140", "onset_date": "2025-10-03"})
}

fn nurse() -> Caller {
    user(DOCTOR, "nurse")
}

fn given_history(events: impl IntoIterator<Item = Event>) -> Given<MedicalHistory> {
    given(events).and::<Patient>(PATIENT, [registered()]).and::<User>(DOCTOR, [created()]).by(nurse())
}

fn recorded(entry: Value) -> Event {
    Event::Recorded { patient_id: PATIENT, recorded_by: DOCTOR, entry: Box::new(ask(entry)) }
}

fn command(entry: Value, changes: Value) -> RecordMedicalHistory {
    ask(with(with(json!({"id": NEW, "patient_id": PATIENT}), entry), changes))
}

fn record(entry: Value, changes: Value) -> Then<MedicalHistory> {
    given_history([]).when(command(entry, changes))
}

fn change(of: Value, changes: Value) -> Then<MedicalHistory> {
    let command: ChangeMedicalHistory = ask(with(json!({"medical_history_id": KNOWN}), changes));
    given_history([recorded(of)]).when(command)
}

fn mark() -> MarkMedicalHistoryEnteredInError {
    MarkMedicalHistoryEnteredInError { medical_history_id: KNOWN, reason: said("of another patient") }
}

fn marked() -> Event {
    Event::MarkedEnteredInError { reason: said("of another patient") }
}

/// The key of the influenza vaccine.
fn of_influenza() -> String {
    key(PATIENT, "140")
}

/// A history in which another entry is about the influenza vaccine.
fn vaccinated(events: impl IntoIterator<Item = Event>, other: Value) -> Given<MedicalHistory> {
    given_history(events).and::<MedicalHistory>(KNOWN, [recorded(other)]).owner(
        HISTORY_IMMUNIZATION,
        of_influenza(),
        KNOWN,
    )
}

/// The entry of the event that follows.
fn entry(then: Then<MedicalHistory>) -> Entry {
    match then.then_event() {
        Event::Recorded { entry, .. } | Event::Changed(entry) => *entry,
        other @ Event::MarkedEnteredInError { .. } => panic!("{other:?}"),
    }
}

#[test]
fn an_entry_is_recorded_by_the_caller() {
    record(diabetes(), json!({})).then([recorded(diabetes())]).then_claims([]);
    record(diabetes(), json!({"patient_id": Uuid::from_u128(0xdead)})).then_field("unknown-reference", "/patient_id");
    let own = Caller { patient_id: Some(PATIENT), ..somebody("doctor") };
    let known = || given([]).and::<Patient>(PATIENT, [registered()]).by(own.clone());
    known().when(command(diabetes(), json!({}))).then_code("treating-oneself");
    given([recorded(diabetes())]).by(own).when(mark()).then_code("treating-oneself");
}

#[test]
fn a_code_has_the_form_of_its_system() {
    let coded = |system: &str, code: &str| json!({"code_system": system, "code": code});
    let kept = entry(record(diabetes(), coded(coding::ICD_10_CM, "e119")));
    assert_eq!(kept.code.unwrap().as_str(), "E11.9");
    record(diabetes(), coded(coding::ICD_10_CM, "diabetes")).then_field("malformed-code", "/code");
    record(influenza(), json!({"code": "flu"})).then_field("malformed-code", "/code");
    record(diabetes(), json!({"code": "E11.9"})).then_field("invalid-fields", "/code_system");
    record(diabetes(), json!({"code_system": coding::LOINC})).then_field("invalid-fields", "/code");
    change(diabetes(), coded(coding::SNOMED_CT, "12")).then_field("malformed-code", "/code");
    assert!(record(diabetes(), coded("urn:oid:1.2.3", "anything")).is_accepted());
}

#[test]
fn each_type_has_its_own_fields() {
    let mother = json!({"history_type": "family", "family_relationship": "mother"});
    assert!(record(diabetes(), mother.clone()).is_accepted());
    record(diabetes(), json!({"history_type": "family"})).then_field("invalid-fields", "/family_relationship");
    record(diabetes(), json!({"family_relationship": "mother"})).then_field("invalid-fields", "/family_relationship");
    record(diabetes(), with(mother, json!({"clinical_status": "active"})))
        .then_field("invalid-fields", "/clinical_status");
    for (field, value) in
        [("lot_number", json!("L1")), ("dose_number", json!(1)), ("site", json!("arm")), ("route", json!("oral"))]
    {
        record(diabetes(), json!({ field: value })).then_field("invalid-fields", &format!("/{field}"));
        assert!(record(influenza(), json!({ field: value })).is_accepted(), "{field}");
    }
    for dose in [0, 100] {
        record(influenza(), json!({"dose_number": dose})).then_field("out-of-range", "/dose_number");
    }
    // A change of the type alone would leave fields of the old type behind.
    change(with(influenza(), json!({"lot_number": "L1"})), json!({"history_type": "condition"}))
        .then_field("invalid-fields", "/lot_number");
}

#[test]
fn what_has_an_end_is_over() {
    let ended = |status: Value| json!({"resolved_date": "2019-06-30", "clinical_status": status});
    for status in ["resolved", "remission", "inactive"] {
        assert!(record(diabetes(), ended(json!(status))).is_accepted(), "{status}");
    }
    for status in [json!("active"), json!("recurrence"), json!("relapse"), json!(null)] {
        record(diabetes(), ended(status)).then_code("inconsistent-status");
    }
    let over = with(diabetes(), ended(json!("resolved")));
    change(over, json!({"clinical_status": "relapse"})).then_code("inconsistent-status");
    record(influenza(), json!({"resolved_date": "2025-10-04"})).then_code("inconsistent-status");
}

#[test]
fn nothing_lies_in_the_future_or_ends_before_it_begins() {
    record(diabetes(), json!({"onset_date": "2026-11-25"})).then_field("in-the-future", "/onset_date");
    record(diabetes(), json!({"onset_date": "2027"})).then_field("in-the-future", "/onset_date");
    assert!(record(diabetes(), json!({"onset_date": "2026"})).is_accepted());
    let ended = json!({"onset_date": "2019-07-01", "resolved_date": "2019-06-30", "clinical_status": "resolved"});
    record(diabetes(), ended.clone()).then_field("ends-before-it-starts", "/resolved_date");
    assert!(record(diabetes(), with(ended, json!({"onset_date": "2019-06"}))).is_accepted());
}

#[test]
fn a_date_is_as_exact_as_it_is_said() {
    let onset = |then| {
        let entry = entry(then);
        (entry.onset_date.map(|it| it.known().unwrap().to_string()), entry.onset_precision)
    };
    let of = |date: &str, precision| (Some(date.to_owned()), Some(precision));
    let said = |date: Value, precision: Value| json!({"onset_date": date, "onset_precision": precision});
    let (day, none) = (json!("2011-03-05"), json!(null));
    assert_eq!(onset(record(diabetes(), said(day.clone(), none.clone()))), of("2011-03-05", OnsetPrecision::Day));
    assert_eq!(onset(record(diabetes(), said(json!("2011-03"), none.clone()))), of("2011-03", OnsetPrecision::Month));
    assert_eq!(onset(record(diabetes(), said(day, json!("year")))), of("2011", OnsetPrecision::Year));
    assert_eq!(onset(record(diabetes(), said(none.clone(), none.clone()))), (None, None));
    record(diabetes(), said(json!("2011"), json!("day"))).then_field("invalid-fields", "/onset_precision");
    record(diabetes(), said(none, json!("day"))).then_field("invalid-fields", "/onset_date");
    let of_year = with(diabetes(), json!({"onset_date": "2011", "onset_precision": "year"}));
    let exact = change(of_year, json!({"onset_date": "2011-03-05"}));
    assert_eq!(onset(exact), of("2011-03-05", OnsetPrecision::Day));
}

#[test]
fn a_vaccine_of_the_same_day_is_asked_back() {
    let known = || vaccinated([], influenza());
    known().when(command(influenza(), json!({}))).then_candidates([KNOWN]);
    known().when(command(influenza(), json!({}))).then_code("possible-duplicate");
    let confirmed = command(influenza(), json!({"confirm_not_duplicate": true}));
    let then = known().when(confirmed);
    then.then([recorded(with(influenza(), json!({"onset_precision": "day"})))])
        .then_claims([shares(HISTORY_IMMUNIZATION, of_influenza())]);
    for other in [json!({"code": "33"}), json!({"onset_date": "2025-10-04"}), json!({"onset_date": "2025-10"})] {
        assert!(known().when(command(influenza(), other.clone())).is_accepted(), "{other}");
    }
}

#[test]
fn a_changed_day_is_asked_back_and_a_changed_vaccine_moves_the_claim() {
    let to = |more: Value| ask::<ChangeMedicalHistory>(with(json!({"medical_history_id": NEW}), more));
    let known = || {
        let day = with(influenza(), json!({"onset_date": "2025-10-01", "onset_precision": "day"}));
        vaccinated([recorded(day)], influenza())
    };
    known().when(to(json!({"onset_date": "2025-10-03"}))).then_candidates([KNOWN]);
    let confirmed = json!({"onset_date": "2025-10-03", "confirm_not_duplicate": true});
    known().when(to(confirmed)).then_claims([]);
    known().when(to(json!({"code": "33"}))).then_claims([
        unshares(HISTORY_IMMUNIZATION, of_influenza()),
        shares(HISTORY_IMMUNIZATION, key(PATIENT, "33")),
    ]);
    assert!(known().when(to(json!({"notes": "no reaction"}))).is_accepted());
}

#[test]
fn an_entry_in_error_is_over_and_makes_room() {
    let day = with(influenza(), json!({"onset_precision": "day"}));
    let known = || given_history([recorded(day.clone())]);
    known().when(mark()).then([marked()]).then_claims([unshares(HISTORY_IMMUNIZATION, of_influenza())]);
    given_history([recorded(diabetes()), marked()]).when(mark()).then_nothing();
    let change: ChangeMedicalHistory = ask(json!({"medical_history_id": KNOWN, "notes": "later"}));
    given_history([recorded(diabetes()), marked()])
        .when(change)
        .then_refused(Refused::wrong_status::<MedicalHistory>(Status::EnteredInError));
}

#[test]
fn a_change_of_nothing_is_quiet() {
    change(diabetes(), json!({"description": "Diabetes"})).then_nothing();
    change(diabetes(), json!({"description": null})).then_code("invalid-fields");
}
