//! Sample requests and events for tests, from the golden files, with only the fields that a request must have.

use hims_domain::appointment::Slot;
use hims_domain::department::{self, Department};
use hims_domain::medication::{self, Medication};
use hims_domain::medication_lot::{self, MedicationLot};
use hims_domain::patient::{self, Patient};
use hims_domain::room::{self, Room};
use hims_domain::user::{self, User};
use hims_domain::values::Text;
use hims_domain::{
    AppointmentId, BillingRecordId, ConsultationId, DepartmentId, InsuranceClaimId, InsurancePolicyId, InventoryItemId,
    LabOrderId, LabTestId, MedicationId, MedicationLotId, PatientId, PayerId, Personal, PrescriptionId, RoomId,
    SupplierId, UserId, role,
};
use hims_testing::{fields, only, sample};
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
pub(crate) const PAYER: PayerId = PayerId(Uuid::from_u128(16));
pub(crate) const OTHER_PAYER: PayerId = PayerId(Uuid::from_u128(17));
pub(crate) const POLICY: InsurancePolicyId = InsurancePolicyId(Uuid::from_u128(18));
pub(crate) const OTHER_POLICY: InsurancePolicyId = InsurancePolicyId(Uuid::from_u128(19));
pub(crate) const CLAIM: InsuranceClaimId = InsuranceClaimId(Uuid::from_u128(0x61));

pub(crate) const BILL: BillingRecordId = BillingRecordId(Uuid::from_u128(0xb0));
pub(crate) const OTHER_BILL: BillingRecordId = BillingRecordId(Uuid::from_u128(0xba));
pub(crate) const LAB_TEST: LabTestId = LabTestId(Uuid::from_u128(0x81));
pub(crate) const OTHER_LAB_TEST: LabTestId = LabTestId(Uuid::from_u128(0x82));
pub(crate) const LAB_ORDER: LabOrderId = LabOrderId(Uuid::from_u128(0x83));
pub(crate) const SUPPLIER: SupplierId = SupplierId(Uuid::from_u128(20));
pub(crate) const ITEM: InventoryItemId = InventoryItemId(Uuid::from_u128(21));

/// Reads a request from JSON.
#[track_caller]
pub(crate) fn ask<T: DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).unwrap()
}

/// The body with some fields changed or added.
pub(crate) fn with(mut body: Value, changes: Value) -> Value {
    let (Value::Object(fields), Value::Object(changes)) = (&mut body, changes) else { panic!("two objects") };
    fields.extend(changes);
    body
}

/// A personal text in plain.
pub(crate) fn said<const MAX: usize, const LETTERS: usize>(text: &str) -> Personal<Text<MAX, LETTERS>> {
    Personal::Known(text.into())
}

pub(crate) fn slot(starts_at: &str, duration_minutes: i32) -> Slot {
    Slot { starts_at: at(starts_at), duration_minutes }
}

/// The demographics of Ann Bell.
pub(crate) fn ann() -> Value {
    let demographics = &fields::<Patient>("registered")["demographics"];
    only(demographics, ["first_name", "last_name", "date_of_birth", "birth_date_precision", "gender"])
}

/// The event that registers Ann Bell as a patient.
pub(crate) fn registered() -> patient::Event {
    registered_as(ann())
}

pub(crate) fn registered_as(demographics: Value) -> patient::Event {
    let mrn = ask(fields::<Patient>("registered")["mrn"].clone());
    patient::Event::Registered { mrn, demographics: Box::new(ask(demographics)), identifiers: Vec::new() }
}

/// The event that creates the user Rosa Diaz, a doctor without a department.
pub(crate) fn created() -> user::Event {
    created_with(json!({}))
}

pub(crate) fn created_with(changes: Value) -> user::Event {
    let rosa = fields::<User>("created");
    let created = json!({
        "email": rosa["email"],
        "profile": only(&rosa["profile"], ["first_name", "last_name"]),
        "role_id": role_id("doctor"),
        "must_change_password": false,
    });
    user::Event::Created(ask(with(created, changes)))
}

/// The event that defines a system role.
pub(crate) fn defined(name: &str) -> role::Event {
    let (_, definition) = system_roles().into_iter().find(|(_, it)| it.name.as_str() == name).unwrap();
    role::Event::Defined { definition, is_system_role: true }
}

/// The event that opens the department of cardiology, in New York.
pub(crate) fn opened() -> department::Event {
    department::Event::Opened(ask(cardiology()))
}

pub(crate) fn cardiology() -> Value {
    with(only(&fields::<Department>("opened"), ["name", "time_zone"]), json!({"code": "card"}))
}

/// The event that adds a room to cardiology.
pub(crate) fn added_room() -> room::Event {
    room::Event::Added(ask(room_101()))
}

pub(crate) fn room_101() -> Value {
    with(only(&fields::<Room>("added"), ["department_id", "room_type"]), json!({"room_number": "101a"}))
}

pub(crate) fn suspended_room() -> room::Event {
    sample::<Room>("suspended")
}

/// The event that adds metformin to the catalogue.
pub(crate) fn added_medication() -> medication::Event {
    medication::Event::Added(ask(metformin()))
}

pub(crate) fn metformin() -> Value {
    only(&fields::<Medication>("added"), ["name", "rxnorm_code"])
}

/// The event that receives a lot of twenty tablets of metformin, which expire at the end of the year.
pub(crate) fn received() -> medication_lot::Event {
    received_with(json!({}))
}

pub(crate) fn received_with(changes: Value) -> medication_lot::Event {
    medication_lot::Event::Received(ask(with(delivery(), changes)))
}

pub(crate) fn delivery() -> Value {
    let told = ["medication_id", "location_id", "lot_number", "expiry_date", "quantity", "unit"];
    only(&fields::<MedicationLot>("received"), told)
}
