//! People, places and things that tests speak of.

use hims_domain::appointment::Slot;
use hims_domain::values::Text;
use hims_domain::{
    AppointmentId, ConsultationId, DepartmentId, MedicationId, MedicationLotId, PatientId, Personal, PrescriptionId,
    RoomId, UserId, department, medication, medication_lot, patient, role, room, user,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::at;
use crate::{role_id, system_roles};

pub(crate) const PATIENT: PatientId = PatientId(Uuid::from_u128(1));
pub(crate) const OTHER_PATIENT: PatientId = PatientId(Uuid::from_u128(2));
pub(crate) const DOCTOR: UserId = UserId(Uuid::from_u128(3));
pub(crate) const OTHER_DOCTOR: UserId = UserId(Uuid::from_u128(4));
pub(crate) const DEPARTMENT: DepartmentId = DepartmentId(Uuid::from_u128(5));
pub(crate) const OTHER_DEPARTMENT: DepartmentId = DepartmentId(Uuid::from_u128(6));
pub(crate) const ROOM: RoomId = RoomId(Uuid::from_u128(7));
pub(crate) const OTHER_ROOM: RoomId = RoomId(Uuid::from_u128(8));
pub(crate) const APPOINTMENT: AppointmentId = AppointmentId(Uuid::from_u128(9));
pub(crate) const CONSULTATION: ConsultationId = ConsultationId(Uuid::from_u128(10));
pub(crate) const MEDICATION: MedicationId = MedicationId(Uuid::from_u128(11));
pub(crate) const OTHER_MEDICATION: MedicationId = MedicationId(Uuid::from_u128(12));
pub(crate) const LOT: MedicationLotId = MedicationLotId(Uuid::from_u128(13));
pub(crate) const LATER_LOT: MedicationLotId = MedicationLotId(Uuid::from_u128(14));
pub(crate) const PRESCRIPTION: PrescriptionId = PrescriptionId(Uuid::from_u128(15));

/// A request as it arrives.
#[track_caller]
pub(crate) fn ask<T: DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).unwrap()
}

/// The same with some fields changed.
pub(crate) fn with(mut body: Value, changes: Value) -> Value {
    let (Value::Object(fields), Value::Object(changes)) = (&mut body, changes) else { panic!("two objects") };
    fields.extend(changes);
    body
}

/// Words about a person.
pub(crate) fn said<const MAX: usize>(text: &str) -> Personal<Text<MAX>> {
    Personal::Known(text.into())
}

pub(crate) fn slot(starts_at: &str, duration_minutes: i32) -> Slot {
    Slot { starts_at: at(starts_at), duration_minutes }
}

/// Who Ann Bell is.
pub(crate) fn ann() -> Value {
    json!({"first_name": "Ann", "last_name": "Bell", "date_of_birth": "1980-05-17", "gender": "female"})
}

/// Ann Bell is a patient.
pub(crate) fn registered() -> patient::Event {
    registered_as(ann())
}

pub(crate) fn registered_as(demographics: Value) -> patient::Event {
    patient::Event::Registered {
        mrn: hims_domain::values::Mrn::issue(1).into(),
        demographics: Box::new(ask(demographics)),
        identifiers: Vec::new(),
    }
}

/// Rosa Diaz is a doctor of no department.
pub(crate) fn created() -> user::Event {
    created_with(json!({}))
}

pub(crate) fn created_with(changes: Value) -> user::Event {
    let created = json!({
        "email": "rosa@example.org",
        "profile": {"first_name": "Rosa", "last_name": "Diaz"},
        "role_id": role_id("doctor"),
        "must_change_password": false,
    });
    user::Event::Created(ask(with(created, changes)))
}

/// A role that every hospital begins with.
pub(crate) fn defined(name: &str) -> role::Event {
    let (_, definition) = system_roles().into_iter().find(|(_, it)| it.name.as_str() == name).unwrap();
    role::Event::Defined { definition, is_system_role: true }
}

/// Cardiology, in New York.
pub(crate) fn opened() -> department::Event {
    department::Event::Opened(ask(cardiology()))
}

pub(crate) fn cardiology() -> Value {
    json!({"code": "card", "name": "Cardiology", "time_zone": "America/New_York"})
}

/// Room 101 of cardiology.
pub(crate) fn added_room() -> room::Event {
    room::Event::Added(ask(room_101()))
}

pub(crate) fn room_101() -> Value {
    json!({"department_id": DEPARTMENT, "room_number": "101a", "room_type": "exam"})
}

pub(crate) fn suspended_room() -> room::Event {
    room::Event::Suspended { reason: "painted".into() }
}

/// Metformin is in the catalogue.
pub(crate) fn added_medication() -> medication::Event {
    medication::Event::Added(ask(metformin()))
}

pub(crate) fn metformin() -> Value {
    json!({"name": "Metformin 500 mg", "rxnorm_code": "861007"})
}

/// Twenty tablets of metformin that expire at the end of the year.
pub(crate) fn received() -> medication_lot::Event {
    received_with(json!({}))
}

pub(crate) fn received_with(changes: Value) -> medication_lot::Event {
    medication_lot::Event::Received(ask(with(delivery(), changes)))
}

pub(crate) fn delivery() -> Value {
    json!({
        "medication_id": MEDICATION, "location_id": ROOM, "lot_number": "L-1", "expiry_date": "2026-12-31",
        "quantity": "20", "unit": "tablet",
    })
}
