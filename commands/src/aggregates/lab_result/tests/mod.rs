mod alarms;
mod status;
mod values;

use hims_domain::lab_order::{self, LabOrder};
use hims_domain::lab_result::{Event, LabResult, Recorded};
use hims_domain::lab_test::LabTest;
use hims_domain::patient::{self, Patient};
use hims_domain::user::User;
use hims_domain::{LabOrderId, LabOrderItemId, LabResultId, LabTestId, PatientId, SpecimenId};
use hims_testing::{sample, sample_with};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::testing::samples::{DOCTOR, PATIENT, ask, created, registered, with};
use crate::testing::{Given, given};

const ORDER: LabOrderId = LabOrderId(Uuid::from_u128(0x90));
const RESULT: LabResultId = LabResultId(Uuid::from_u128(0xb1));
// The ids that the golden files have.
const TEST: LabTestId = LabTestId(Uuid::from_u128(0x81));
const ITEM: LabOrderItemId = LabOrderItemId(Uuid::from_u128(0x91));
const SPECIMEN: SpecimenId = SpecimenId(Uuid::from_u128(0xa1));

const POTASSIUM: &str = "2823-3";
const CREATININE: &str = "2160-0";
const SERUM: &str = "20570-8";

/// The order of the golden files, without a consultation.
fn placed() -> lab_order::Event {
    sample_with::<LabOrder>("placed", json!({"details": {"consultation_id": null}}))
}

fn collected() -> lab_order::Event {
    sample_with::<LabOrder>("specimen_collected", json!({"collected_at": "2026-11-23T09:00:00Z"}))
}

fn rejected() -> lab_order::Event {
    sample_with::<LabOrder>("specimen_rejected", json!({"specimen_id": SPECIMEN}))
}

/// A result with its order, its test and its patient.
fn given_result(
    events: impl IntoIterator<Item = Event>,
    of_order: impl IntoIterator<Item = lab_order::Event>,
) -> Given<LabResult> {
    given_result_of(registered(), events, of_order)
}

fn given_result_of(
    patient: patient::Event,
    events: impl IntoIterator<Item = Event>,
    of_order: impl IntoIterator<Item = lab_order::Event>,
) -> Given<LabResult> {
    given(events)
        .and::<LabOrder>(ORDER, of_order)
        .and::<LabTest>(TEST, [sample::<LabTest>("defined")])
        .and::<Patient>(PATIENT, [patient])
        .and::<User>(DOCTOR, [created()])
}

fn value(code: &str, value: &str) -> Value {
    json!({"code": code, "value": value})
}

/// The values of a final result, with this potassium.
fn all_values(potassium: &str) -> Value {
    json!([value(POTASSIUM, potassium), value(CREATININE, "0.9"), {"code": SERUM, "text": "clear"}])
}

fn record(changes: Value) -> RecordLabResult {
    let request = json!({"lab_order_id": ORDER, "item_id": ITEM, "status": "F", "components": all_values("4.1")});
    ask(with(request, changes))
}

/// Records preliminary values: only potassium is known.
fn preliminary(potassium: &str) -> RecordLabResult {
    record(json!({"status": "P", "components": [value(POTASSIUM, potassium)]}))
}

/// The events that a command makes of a new result.
fn events_of(command: RecordLabResult) -> Vec<Event> {
    given_result([], [placed(), collected()]).when(command).events()
}

/// The order after the first result of its item.
fn resulted(is_final: bool) -> [lab_order::Event; 3] {
    let changes = json!({"item_id": ITEM, "lab_result_id": RESULT, "is_final": is_final});
    [placed(), collected(), sample_with::<LabOrder>("item_resulted", changes)]
}

fn recorded(events: &[Event]) -> &Recorded {
    match events {
        [Event::Recorded(it), ..] => it,
        other => panic!("{other:?} does not begin a result"),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the value where they call")]
fn finalise(components: Option<Value>) -> FinaliseLabResult {
    ask(json!({"lab_result_id": RESULT, "components": components}))
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the value where they call")]
fn correct(components: Value) -> CorrectLabResult {
    ask(json!({"lab_result_id": RESULT, "components": components, "reason": "the tubes were swapped"}))
}

fn withdraw(code: &str) -> WithdrawLabResult {
    ask(json!({"lab_result_id": RESULT, "reason_code": code}))
}

fn review() -> ReviewLabResult {
    ask(json!({"lab_result_id": RESULT}))
}

fn acknowledge() -> AcknowledgeCriticalResult {
    ask(json!({"lab_result_id": RESULT, "read_back": true}))
}
