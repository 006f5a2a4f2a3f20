use std::sync::atomic::{AtomicU64, Ordering};

use hims_domain::access::Event as AccessEvent;
use hims_domain::appointment::{self, Appointment};
use hims_domain::department::{self, Department};
use hims_domain::medication::Medication;
use hims_domain::medication_lot::{self, MedicationLot};
use hims_domain::patient::{self, Patient};
use hims_domain::prescription::{self, Prescription};
use hims_domain::role::Role;
use hims_domain::room::Room;
use hims_domain::user::{self, User};
use hims_domain::{AppointmentId, MedicationLotId, PatientId, Personal, PrescriptionId, fold};
use rust_decimal::{Decimal, dec};
use serde_json::{Value, json};

use super::*;
use crate::Caller;
use crate::appointment::{CancelAppointment, ConfirmAppointment, RescheduleAppointment, ScheduleAppointment};
use crate::department::{ChangeDepartment, CloseDepartment, OpenDepartment};
use crate::medication_lot::{AdjustMedicationLot, ReceiveMedicationLot};
use crate::patient::{ChangePatientDemographics, RegisterPatient};
use crate::prescription::DispensePrescription;
use crate::provider_schedule::AddProviderLeave;
use crate::room::SuspendRoom;
use crate::testing::samples::{
    APPOINTMENT, DEPARTMENT, DOCTOR, LATER_LOT, LOT, MEDICATION, OTHER_PATIENT, PATIENT, ROOM, added_medication,
    added_room, ann, ask, cardiology, created, defined, delivery, opened, registered, registered_as, said, with,
};
use crate::testing::world::{World, metadata, refused, somebody};
use crate::testing::{ASKING, at, id, now};
use crate::user::{ChangePassword, ChangeUserProfile};
use crate::{NewPassword, Password, Registry, role_id};

mod deadlines;
mod following;
mod races;
mod repeats;
mod repetition;
mod sight;
mod states;
mod statuses;
mod streams;

const KEY: Uuid = Uuid::from_u128(0xbeef);

/// A hospital with the patient Ann, a doctor, a room of cardiology, and metformin in the catalogue.
async fn hospital() -> World {
    let world = World::new();
    world.has::<Patient>(PATIENT, [registered()]).await;
    world.has::<User>(DOCTOR, [created()]).await;
    world.has::<Role>(role_id("doctor"), [defined("doctor")]).await;
    world.has::<Department>(DEPARTMENT, [opened()]).await;
    world.has::<Room>(ROOM, [added_room()]).await;
    world.has::<Medication>(MEDICATION, [added_medication()]).await;
    world
}

fn schedule(changes: Value) -> ScheduleAppointment {
    let body = json!({
        "id": APPOINTMENT, "patient_id": PATIENT, "provider_id": DOCTOR, "room_id": ROOM, "appointment_type": "new",
        "starts_at": "2026-11-23T12:00:00Z", "duration_minutes": 30,
    });
    ask(with(body, changes))
}

fn confirm() -> ConfirmAppointment {
    ConfirmAppointment { appointment_id: APPOINTMENT }
}

fn cancel() -> CancelAppointment {
    CancelAppointment { appointment_id: APPOINTMENT, reason: said("ill") }
}

fn receive(id: MedicationLotId, quantity: Decimal) -> ReceiveMedicationLot {
    ask(with(delivery(), json!({"id": id, "lot_number": id, "quantity": quantity})))
}

fn adjust(change: Decimal) -> AdjustMedicationLot {
    AdjustMedicationLot { medication_lot_id: LOT, change, reason: "counted".into() }
}

/// The events of a prescription of one tablet that was sent to the pharmacy.
fn one_tablet() -> [prescription::Event; 2] {
    let item = json!({
        "id": id::<PrescriptionId>(1),
        "order": {"medication_id": MEDICATION, "quantity": "1", "quantity_unit": "tablet"},
    });
    let written = json!({
        "number": "RX-1", "patient_id": PATIENT, "provider_id": DOCTOR, "priority": "normal", "items": [item],
        "alerts": [],
    });
    [prescription::Event::Written(ask(written)), prescription::Event::SentToPharmacy]
}

fn dispense(prescription_id: PrescriptionId) -> DispensePrescription {
    ask(json!({ "prescription_id": prescription_id }))
}

/// Runs a command by name under the idempotency key [`KEY`], as the API does.
async fn send(world: &World, name: &str, body: Value) -> Result<Outcome, Failure> {
    let request = Request { idempotency_key: Some(KEY), ..Request::of(Caller::system("test")) };
    Registry::hospital().get(name).unwrap().run(&world.executor, body, request).await
}

// Carrying out

#[tokio::test]
async fn what_follows_is_recorded_with_its_circumstances() {
    let world = hospital().await;
    let caller = Caller { user_agent: Some("test/1".to_owned()), session_id: Some(id(5)), ..somebody("receptionist") };
    let outcome = world.executor.execute(schedule(json!({})), Request::of(caller)).await.unwrap();
    assert_eq!((outcome.id, outcome.stream_type, outcome.version), (APPOINTMENT.0, "appointment", 1));
    assert!(outcome.began && !outcome.replayed);
    let event = world.last().await.recorded;
    assert_eq!((event.event_type.as_str(), event.position), ("appointment.scheduled", outcome.position));
    let told = metadata(&event);
    assert_eq!(told["actor"], json!({"type": "user", "id": ASKING}));
    assert_eq!((&told["role"], &told["command"]), (&json!("receptionist"), &json!("schedule-appointment")));
    assert_eq!((&told["session_id"], &told["user_agent"]), (&json!(id::<Uuid>(5)), &json!("test/1")));
    assert_eq!(told["subject"], json!({"type": "patient", "id": PATIENT}));
    assert_eq!(told["correlation_id"], told["command_id"]);
}

#[tokio::test]
async fn a_quiet_repetition_records_nothing() {
    let world = hospital().await;
    world.done(schedule(json!({}))).await;
    let first = world.done(confirm()).await;
    let length = world.log().await.len();
    let second = world.done(confirm()).await;
    assert_eq!((second.version, second.position, second.events), (2, first.position, vec![]));
    assert_eq!(world.log().await.len(), length);
}

#[tokio::test]
async fn what_has_no_id_is_issued_one() {
    let world = World::new();
    let [one, two] = ["a", "b"].map(|code| ask::<OpenDepartment>(with(cardiology(), json!({ "code": code }))));
    let (one, two) = (world.done(one).await, world.done(two).await);
    assert_ne!(one.id, two.id);
    assert_eq!(one.id.get_version_num(), 7);
}

#[tokio::test]
async fn what_has_an_id_is_begun_once() {
    let world = hospital().await;
    world.done(schedule(json!({}))).await;
    let again = schedule(json!({"starts_at": "2026-11-23T16:00:00Z"}));
    assert_eq!(refused(world.execute(again).await), Refused::exists());
    let with_the_id_of_a_patient = schedule(json!({"id": PATIENT}));
    assert_eq!(refused(world.execute(with_the_id_of_a_patient).await), Refused::exists());
}

#[tokio::test]
async fn what_does_not_exist_or_is_something_else_is_not_found() {
    let world = hospital().await;
    assert_eq!(refused(world.execute(confirm()).await), Refused::missing("appointment"));
    let a_patient = ConfirmAppointment { appointment_id: AppointmentId(PATIENT.0) };
    assert_eq!(refused(world.execute(a_patient).await), Refused::missing("appointment"));
    let no_patient = schedule(json!({"patient_id": DOCTOR}));
    assert_eq!(refused(world.execute(no_patient).await).code, "unknown-reference");
}

#[tokio::test]
async fn an_imported_fact_is_decided_at_its_own_time() {
    let world = hospital().await;
    let long_ago = schedule(json!({"starts_at": "2020-01-15T12:00:00Z"}));
    assert_eq!(refused(world.execute(long_ago.clone()).await).code, "in-the-past");
    let occurred_at = Some(at("2020-01-10T12:00:00Z"));
    let request = Request { occurred_at, ..Request::of(Caller::system("import")) };
    world.executor.execute(long_ago, request).await.unwrap();
    assert_eq!(metadata(&world.last().await.recorded)["occurred_at"], json!("2020-01-10T12:00:00Z"));
}

#[tokio::test]
async fn several_streams_move_together() {
    let world = hospital().await;
    world.has::<Prescription>(id::<PrescriptionId>(100), one_tablet()).await;
    world.done(receive(LOT, dec!(3))).await;
    let outcome = world.done(dispense(id(100))).await;
    let types: Vec<_> = outcome.events.iter().map(|it| (it.event_type.as_str(), it.version)).collect();
    assert_eq!(types, [("prescription.dispensed", 3), ("medication_lot.dispensed", 2)]);
    assert_eq!(outcome.events[1].position, outcome.position);
    assert_eq!(world.state::<MedicationLot>(LOT).await.quantity_on_hand, dec!(2));
}

// Form

#[tokio::test]
async fn a_body_of_another_form_is_no_request() {
    let world = World::new();
    for body in [json!({"name": "Cardiology"}), with(cardiology(), json!({"colour": "red"})), json!([])] {
        assert!(matches!(send(&world, "open-department", body).await, Err(Failure::Malformed(_))));
    }
    assert_eq!(world.log().await.len(), 0);
}

// Versions

#[tokio::test]
async fn who_saw_an_older_version_is_refused() {
    let world = hospital().await;
    world.done(schedule(json!({}))).await;
    let seen = |version| Request { expected_version: Some(version), ..Request::of(Caller::system("test")) };
    for stale in [0, 2] {
        let refusal = refused(world.executor.execute(confirm(), seen(stale)).await);
        assert_eq!((refusal.kind, refusal.code), (Kind::Stale, "stale-version"));
    }
    assert_eq!(world.executor.execute(confirm(), seen(1)).await.unwrap().version, 2);
}

#[tokio::test]
async fn what_a_node_remembers_never_refuses() {
    let world = hospital().await;
    world.done(schedule(json!({}))).await;
    world.done(confirm()).await;
    let node = world.another_node();
    let system = || Request::of(Caller::system("test"));
    node.execute(cancel(), system()).await.unwrap();
    // The first node still remembers a confirmed appointment, which it would answer as confirmed already.
    let refusal = refused(world.execute(confirm()).await);
    assert_eq!((refusal.kind, refusal.code), (Kind::Conflict, "wrong-status"));
}

#[tokio::test]
async fn what_a_node_remembers_is_never_appended_to() {
    let world = hospital().await;
    world.done(schedule(json!({}))).await;
    let node = world.another_node();
    node.execute(confirm(), Request::of(Caller::system("test"))).await.unwrap();
    assert_eq!(world.done(cancel()).await.version, 3);
}

// Permissions

#[tokio::test]
async fn who_may_not_is_refused_and_that_is_recorded() {
    let world = hospital().await;
    let outcome = world.executor.execute(schedule(json!({})), Request::of(somebody("nurse"))).await;
    assert_eq!((refused(outcome.clone()).kind, refused(outcome).code), (Kind::Forbidden, "forbidden"));
    let event = world.last().await;
    assert_eq!(event.recorded.event_type, "access.command_refused");
    assert_eq!(
        event.decode::<AccessEvent>().unwrap(),
        AccessEvent::CommandRefused {
            command: "schedule-appointment".to_owned(),
            code: "forbidden".to_owned(),
            stream_type: "appointment".to_owned(),
            stream_id: APPOINTMENT.0,
        }
    );
    assert_eq!(metadata(&event.recorded)["actor"], json!({"type": "user", "id": ASKING}));
    assert_eq!(world.count("appointment.scheduled").await, 0);
}

#[tokio::test]
async fn a_rule_that_refuses_is_recorded_too() {
    let world = hospital().await;
    refused(world.execute(schedule(json!({"duration_minutes": 0}))).await);
    let AccessEvent::CommandRefused { code, .. } = world.last_event().await else { panic!("a refusal") };
    assert_eq!(code, "out-of-range");
}

#[tokio::test]
async fn what_is_ones_own_needs_no_permission_for_others() {
    let world = hospital().await;
    let change = || ask::<ChangeUserProfile>(json!({"user_id": DOCTOR, "last_name": "Diaz Luna"}));
    let rosa = crate::testing::world::user(DOCTOR, "doctor");
    world.executor.execute(change(), Request::of(rosa)).await.unwrap();
    let somebody_else = world.executor.execute(change(), Request::of(somebody("doctor"))).await;
    assert_eq!(refused(somebody_else).code, "forbidden");
}

#[tokio::test]
async fn with_a_password_of_somebody_elses_choice_nothing_is_allowed_but_to_change_it() {
    let world = World::new();
    let hash = crate::access::password::hash(&Password::new("correct horse battery")).await.unwrap();
    world.has::<User>(DOCTOR, [crate::testing::samples::created_with(json!({ "password_hash": hash }))]).await;
    let rosa = || Caller { must_change_password: true, ..crate::testing::world::user(DOCTOR, "doctor") };
    let profile = ask::<ChangeUserProfile>(json!({"user_id": DOCTOR, "last_name": "Luna"}));
    let blocked = world.executor.execute(profile, Request::of(rosa())).await;
    assert_eq!(refused(blocked).code, "password-change-required");
    let change = |user_id| ChangePassword {
        user_id,
        current_password: Password::new("correct horse battery"),
        new_password: NewPassword::new("staple horse battery"),
    };
    let somebody_elses = world.executor.execute(change(id(77)), Request::of(rosa())).await;
    assert_eq!(refused(somebody_elses).code, "password-change-required");
    world.executor.execute(change(DOCTOR), Request::of(rosa())).await.unwrap();
    assert!(!world.state::<User>(DOCTOR).await.must_change_password);
}

// Sets

#[tokio::test]
async fn a_possible_duplicate_is_told_with_its_candidates_and_may_be_confirmed() {
    let world = World::new();
    let register = |changes| ask::<RegisterPatient>(with(ann(), changes));
    let first = world.done(register(json!({}))).await;
    let refusal = refused(world.execute(register(json!({"first_name": "Anne"}))).await);
    assert_eq!((refusal.code, refusal.candidates), ("possible-duplicate", vec![first.id]));
    let second = world.done(register(json!({"first_name": "Anne", "confirm_not_duplicate": true}))).await;
    let mut both = vec![first.id, second.id];
    both.sort_unstable();
    assert_eq!(refused(world.execute(register(json!({}))).await).candidates, both);
}

#[tokio::test]
async fn a_key_of_somebody_else_is_refused_with_its_owner() {
    let world = hospital().await;
    let first = world.done(ask::<OpenDepartment>(with(cardiology(), json!({"code": "er"})))).await;
    let refusal = refused(world.execute(ask::<OpenDepartment>(with(cardiology(), json!({"code": "ER"})))).await);
    assert_eq!((refusal.kind, refusal.code), (Kind::Conflict, "already-taken"));
    assert_eq!(refusal.candidates, [first.id]);
    let other_code = ask::<ChangeDepartment>(json!({"department_id": first.id, "code": "heart"}));
    world.done(other_code).await;
    world.done(ask::<OpenDepartment>(with(cardiology(), json!({"code": "ER"})))).await;
}

#[tokio::test]
async fn a_number_that_was_drawn_before_is_drawn_again() {
    // The first draws of both registrations are the same; later draws differ.
    let drawn = AtomicU64::new(0);
    let world = World::drawing(move || match drawn.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => 7,
        later => u128::from(later) << 64,
    });
    let register = |id: PatientId, first_name: &str| {
        ask::<RegisterPatient>(with(ann(), json!({"id": id, "first_name": first_name, "confirm_not_duplicate": true})))
    };
    world.done(register(PATIENT, "Ann")).await;
    world.done(register(OTHER_PATIENT, "Boris")).await;
    assert_ne!(world.state::<Patient>(PATIENT).await.mrn, world.state::<Patient>(OTHER_PATIENT).await.mrn);
}

#[tokio::test]
async fn a_booked_time_is_refused_until_it_is_free_again() {
    let world = hospital().await;
    world.done(schedule(json!({}))).await;
    let second = |starts_at: &str| schedule(json!({"id": id::<AppointmentId>(200), "starts_at": starts_at}));
    let refusal = refused(world.execute(second("2026-11-23T12:29:00Z")).await);
    assert_eq!((refusal.code, refusal.candidates), ("double-booking", vec![APPOINTMENT.0]));
    let told: Vec<_> = refusal.errors.iter().map(|it| (it.pointer.as_str(), it.code)).collect();
    let expected = ["/provider_id", "/patient_id", "/room_id"].map(|it| (it, Some("double-booking")));
    assert_eq!(told, expected);
    let message = "what begins at 2026-11-23T12:29:00Z meets what is booked from 2026-11-23T12:00:00Z to \
                   2026-11-23T12:30:00Z; see candidates";
    assert_eq!(refusal.errors[0].message, message);
    world.done(second("2026-11-23T12:30:00Z")).await;
    let onto_the_first = ask::<RescheduleAppointment>(json!({
        "appointment_id": id::<AppointmentId>(200), "starts_at": "2026-11-23T12:10:00Z", "duration_minutes": 30,
    }));
    assert_eq!(refused(world.execute(onto_the_first.clone()).await).code, "double-booking");
    world.done(cancel()).await;
    world.done(onto_the_first).await;
}
