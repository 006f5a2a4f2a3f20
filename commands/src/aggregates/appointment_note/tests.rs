use hims_testing::{sample, sample_with};
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{APPOINTMENT, DEPARTMENT, PATIENT, ask, with};
use crate::testing::world::somebody;
use crate::testing::{Given, given, takes};

const NOTE: AppointmentNoteId = AppointmentNoteId(Uuid::from_u128(0x53));

fn given_note() -> Given<AppointmentNote> {
    given([]).and::<Appointment>(APPOINTMENT, [sample::<Appointment>("scheduled")])
}

fn add(changes: Value) -> AddAppointmentNote {
    let body = json!({"appointment_id": APPOINTMENT, "note_type": "call_log", "body": "nobody answered"});
    ask(with(body, changes))
}

fn amend() -> AmendAppointmentNote {
    ask(json!({"note_id": NOTE, "body": "the son answered", "reason": "mistyped"}))
}

fn noted(note_type: &str) -> Event {
    sample_with::<AppointmentNote>("added", json!({"note_type": note_type, "amends_id": null}))
}

#[test]
fn a_note_is_about_the_patient_of_the_appointment() {
    let Event::Added { patient_id, author_id, is_patient_visible, amends_id, .. } =
        given_note().when(add(json!({}))).then_event();
    assert_eq!((patient_id, is_patient_visible, amends_id), (PATIENT, false, None));
    assert_eq!(author_id.map(Uuid::from), Some(crate::testing::ASKING));
    let nowhere = add(json!({"appointment_id": NOTE}));
    given_note().when(nowhere).then_field("unknown-reference", "/appointment_id");
}

#[test]
fn an_amendment_is_about_the_same_and_the_only_one() {
    let then = given_note().and::<AppointmentNote>(NOTE, [noted("billing")]).when(amend());
    let claimed = then.then_claims([takes(scopes::NOTE_AMENDS, NOTE)]);
    let Event::Added { note_type, is_patient_visible, amends_id, reason, .. } = claimed.then_event();
    assert_eq!((note_type, is_patient_visible, amends_id), (NoteType::Billing, true, Some(NOTE)));
    assert!(reason.is_some());
    let newest = Uuid::from_u128(0x54);
    let amended =
        || given_note().and::<AppointmentNote>(NOTE, [noted("billing")]).owner(scopes::NOTE_AMENDS, NOTE, newest);
    amended().when(amend()).then_code("already-amended");
    amended().when(amend()).then_candidates([newest]);
    given_note().when(amend()).then_field("unknown-reference", "/note_id");
}

#[test]
fn clinical_notes_are_for_those_who_read_findings() {
    for (role, may) in [("receptionist", false), ("nurse", true), ("doctor", true)] {
        let of_department = Caller { department_id: Some(DEPARTMENT), ..somebody(role) };
        let by = || given_note().by(of_department.clone()).and::<AppointmentNote>(NOTE, [noted("clinical")]);
        let codes = [by().when(add(json!({"note_type": "clinical"}))).code(), by().when(amend()).code()];
        assert_eq!(codes, if may { [None; 2] } else { [Some("forbidden"); 2] }, "{role}");
        assert!(by().when(add(json!({"note_type": "scheduling"}))).is_accepted());
    }
}

#[test]
fn an_appointment_that_is_hidden_gets_no_note() {
    let elsewhere = || given_note().by(somebody("nurse")).and::<AppointmentNote>(NOTE, [noted("billing")]);
    elsewhere().when(add(json!({}))).then_field("unknown-reference", "/appointment_id");
    elsewhere().when(amend()).then_field("unknown-reference", "/note_id");
}
