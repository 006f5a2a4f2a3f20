//! A refusal because of a wrong status names the commands that the status allows, and names no others.

use hims_domain::appointment::{self, Appointment};
use hims_domain::consultation::{self, Consultation};
use hims_domain::medication_lot::{self, MedicationLot};
use hims_domain::prescription::{self, Prescription};
use hims_testing::sample;
use serde::de::DeserializeOwned;

use super::*;
use crate::appointment::{CheckInAppointment, MarkAppointmentNoShow, RescheduleAppointment, UndoAppointmentCheckIn};
use crate::consultation::{CompleteConsultation, RecordFindings};
use crate::prescription::RecordExternalDispensing;
use crate::testing::alone::{Decided, decided};

/// Every value of a status.
fn every<S: DeserializeOwned>(codes: &[&str]) -> Vec<S> {
    codes.iter().map(|code| ask(json!(code))).collect()
}

/// The record after its first event, whose golden file is named, with this status.
fn with_status<A: Aggregate>(first: &str, set: impl FnOnce(&mut A)) -> A {
    let mut state = A::evolve(None, &sample::<A>(first)).unwrap();
    set(&mut state);
    state
}

/// Decides a command on each state, and asserts that it is refused because of the status, or is quiet, exactly where it
/// does not say that it follows.
fn check<C: Command>(command: &C, states: &[C::Aggregate]) {
    for state in states {
        let decided = decided(command.clone(), state);
        let is_at_its_end = matches!(decided, Decided::Quiet | Decided::WrongStatus);
        assert_eq!(is_at_its_end, !C::follows_on(state), "{} on {state:?}: {decided:?}", C::NAME);
    }
}

#[test]
fn a_command_says_rightly_on_which_status_it_follows() {
    let id = APPOINTMENT;
    let states: Vec<Appointment> = every(appointment::Status::CODES)
        .into_iter()
        .map(|status| with_status("scheduled", |it: &mut Appointment| it.status = status))
        .collect();
    check(&confirm(), &states);
    check(&cancel(), &states);
    check(&ask::<CheckInAppointment>(json!({"appointment_id": id, "other_day_reason": "ill"})), &states);
    check(&ask::<UndoAppointmentCheckIn>(json!({"appointment_id": id, "reason": "mistaken"})), &states);
    check(&ask::<RescheduleAppointment>(json!({"appointment_id": id, "duration_minutes": 5})), &states);
    check(&MarkAppointmentNoShow { appointment_id: id }, &states);
    let id = Uuid::from_u128(2);
    let states: Vec<Consultation> = every(consultation::Status::CODES)
        .into_iter()
        .map(|status| with_status("started", |it: &mut Consultation| it.status = status))
        .collect();
    check(&ask::<RecordFindings>(json!({"consultation_id": id, "plan": "rest"})), &states);
    check(&ask::<CompleteConsultation>(json!({"consultation_id": id})), &states);
    let states: Vec<Prescription> = every(prescription::Status::CODES)
        .into_iter()
        .map(|status| with_status("written", |it: &mut Prescription| it.status = status))
        .collect();
    check(&dispense(id.into()), &states);
    check(&ask::<RecordExternalDispensing>(json!({"prescription_id": id})), &states);
}

#[test]
fn what_follows_is_named_for_every_status() {
    use appointment::Status;
    let follow = |status| Registry::following(&with_status("scheduled", |it: &mut Appointment| it.status = status));
    let seen = ["cancel-appointment", "check-in-appointment", "mark-appointment-no-show", "reschedule-appointment"];
    assert_eq!(follow(Status::Confirmed), seen);
    let begun = ["cancel-appointment", "complete-appointment", "undo-appointment-start"];
    assert_eq!(follow(Status::InProgress), begun);
    assert_eq!(follow(Status::NoShow), ["undo-appointment-no-show"]);
    for over in [Status::Completed, Status::Cancelled] {
        assert_eq!(follow(over), [""; 0], "{over}");
    }
    let follow = |status| Registry::following(&with_status("received", |it: &mut MedicationLot| it.status = status));
    assert_eq!(follow(medication_lot::Status::Recalled), ["revoke-medication-lot-recall"]);
    let quarantined = ["recall-medication-lot", "release-medication-lot"];
    assert_eq!(follow(medication_lot::Status::Quarantined), quarantined);
}

#[tokio::test]
async fn who_is_refused_because_of_the_status_is_told_what_follows() {
    let world = hospital().await;
    world.done(schedule(json!({}))).await;
    let start = crate::appointment::StartAppointment { appointment_id: APPOINTMENT };
    let refusal = refused(world.execute(start.clone()).await);
    assert_eq!(
        refusal.detail,
        "the appointment is scheduled, which does not allow the command; possible now: cancel-appointment, \
         check-in-appointment, confirm-appointment, mark-appointment-no-show, reschedule-appointment"
    );
    world.done(cancel()).await;
    let refusal = refused(world.execute(start).await);
    assert_eq!(refusal.detail, "the appointment is cancelled, which does not allow the command; no command follows");
}
