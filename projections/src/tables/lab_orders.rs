use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use hims_domain::lab_order::{
    After, Event, ItemStatus, NewItem, Placed, RejectionCode, SpecimenCollected, SpecimenStatus, Status,
};
use hims_domain::values::{Measured, Text};
use hims_domain::{PatientId, Personal};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text};

table! {
    /// One row per laboratory order.
    LabOrderRow in "lab_orders",
    readers [ClinicalRecords, AssignedPatients, LabOrders, OwnRecords],
    stamped by (created_at, created_by, updated_by),
    indexes [
        (patient_id, created_at),
        (provider_id, created_at),
        (status, created_at),
        (priority, created_at),
    ] {
        /// The order.
        id: Uuid [indexed],
        /// The consultation that led to the order.
        consultation_id: Option<Uuid> [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The provider who ordered the tests.
        provider_id: Uuid [indexed],
        /// The number of the order, issued by this hospital.
        order_number: String [indexed],
        /// The status of the order.
        status: String [indexed] of hims_domain::lab_order::Status::CODES,
        /// How urgent the order is.
        priority: String [indexed] of hims_domain::lab_order::Priority::CODES,
        /// Whether the patient has to be fasting when the specimen is taken.
        is_fasting: bool,
        /// Whether the order was made for results that nobody had ordered here.
        is_unsolicited: bool,
        /// When the specimen is to be taken; null for as soon as possible.
        scheduled_for: Option<DateTime<Utc>> [indexed],
        /// What the laboratory should know of the patient.
        clinical_information: Option<String> [personal],
        /// The local day on which the first specimen was taken.
        collection_date: Option<NaiveDate>,
        /// The local time at which the first specimen was taken.
        collection_time: Option<NaiveTime>,
        /// The user who took the first specimen, if this is known.
        collected_by: Option<Uuid> [indexed],
        /// When the first specimen was taken.
        collected_at: Option<DateTime<Utc>>,
        /// Notes for the laboratory.
        notes: Option<String> [personal],
        /// The reason for the cancellation of the whole order.
        cancellation_reason: Option<String> [personal],
    }
}

table! {
    /// One row per test of a laboratory order.
    LabOrderItemRow in "lab_order_items",
    children of lab_order_id,
    readers [ClinicalRecords, AssignedPatients, LabOrders, OwnRecords],
    stamped (created_at),
    indexes [(patient_id, created_at), (lab_test_id, created_at), (status, created_at)] {
        /// The item.
        id: Uuid [indexed],
        /// The order.
        lab_order_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The number of the item in the order, from 1.
        line_number: i32,
        /// The test.
        lab_test_id: Uuid [indexed],
        /// The diagnoses for which the test is ordered.
        diagnosis_ids: Value,
        /// Why the test was added to the order later; null if the test was ordered with the others.
        added_as: Option<String>,
        /// Notes for the laboratory on this test.
        notes: Option<String> [personal],
        /// The status of the item.
        status: String [indexed] of hims_domain::lab_order::ItemStatus::CODES,
        /// The result of the test.
        lab_result_id: Option<Uuid> [indexed],
        /// The reason for the cancellation of this test.
        cancellation_reason: Option<String> [personal],
    }
}

table! {
    /// One row per specimen of a laboratory order.
    SpecimenRow in "specimens",
    children of lab_order_id,
    readers [ClinicalRecords, AssignedPatients, LabOrders, OwnRecords],
    stamped,
    indexes [
        (lab_order_id, collected_at),
        (patient_id, collected_at),
        (status, collected_at),
        (collected_by, patient_id),
    ] {
        /// The specimen.
        id: Uuid [indexed],
        /// The order.
        lab_order_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The number on the label, issued by this hospital.
        specimen_number: String [indexed],
        /// The items of the order for which the specimen was taken.
        item_ids: Value,
        /// The kind of specimen (HL7 table 0487).
        specimen_type: String,
        /// The status of the specimen.
        status: String [indexed] of hims_domain::lab_order::SpecimenStatus::CODES,
        /// When the specimen was taken.
        collected_at: DateTime<Utc> [indexed],
        /// The user who took the specimen, if this is known.
        collected_by: Option<Uuid> [indexed],
        /// The part of the body from which the specimen was taken.
        body_site: Option<String>,
        /// The volume in millilitres.
        volume_ml: Option<Decimal>,
        /// When the specimen arrived in the laboratory.
        received_at: Option<DateTime<Utc>>,
        /// The user who received the specimen.
        received_by: Option<Uuid> [indexed],
        /// When the specimen was rejected.
        rejected_at: Option<DateTime<Utc>>,
        /// The user who rejected the specimen.
        rejected_by: Option<Uuid> [indexed],
        /// Why the specimen cannot be used (HL7 table 0490, in words).
        rejection_code: Option<String>,
        /// What else was said of the rejection.
        rejection_note: Option<String> [personal],
    }
}

/// The tables of an order.
struct Tables<'c, 'e> {
    orders: &'c mut Changes<'e, LabOrderRow>,
    items: &'c mut Changes<'e, LabOrderItemRow>,
    specimens: &'c mut Changes<'e, SpecimenRow>,
}

fn order_row(event: &Projected<'_, Event>, it: &Placed) -> LabOrderRow {
    let details = &it.details;
    LabOrderRow {
        id: event.stream_id,
        consultation_id: details.consultation_id.map(Uuid::from),
        patient_id: it.patient_id.into(),
        provider_id: it.provider_id.into(),
        order_number: it.number.0.clone(),
        status: Status::Ordered.to_string(),
        priority: details.priority.to_string(),
        is_fasting: details.fasting,
        is_unsolicited: it.is_unsolicited,
        scheduled_for: details.scheduled_for,
        clinical_information: known_text(details.clinical_information.as_ref()),
        collection_date: None,
        collection_time: None,
        collected_by: None,
        collected_at: None,
        notes: known_text(details.notes.as_ref()),
        cancellation_reason: None,
        stamps: event.stamps(),
    }
}

fn item_row(event: &Projected<'_, Event>, patient_id: PatientId, item: &NewItem, line_number: i32) -> LabOrderItemRow {
    LabOrderItemRow {
        id: item.id.into(),
        lab_order_id: event.stream_id,
        patient_id: patient_id.into(),
        line_number,
        lab_test_id: item.lab_test_id.into(),
        diagnosis_ids: json!(item.diagnosis_ids),
        added_as: None,
        notes: known_text(item.notes.as_ref()),
        status: ItemStatus::Ordered.to_string(),
        lab_result_id: None,
        cancellation_reason: None,
        stamps: event.stamps(),
    }
}

fn specimen_row(event: &Projected<'_, Event>, it: &SpecimenCollected) -> SpecimenRow {
    SpecimenRow {
        id: it.specimen_id.into(),
        lab_order_id: event.stream_id,
        patient_id: it.patient_id.into(),
        specimen_number: it.number.0.clone(),
        item_ids: json!(it.item_ids),
        specimen_type: it.specimen_type.0.clone(),
        status: SpecimenStatus::Collected.to_string(),
        collected_at: it.collected_at,
        collected_by: it.collected_by.map(Uuid::from),
        body_site: text(it.body_site.as_ref()),
        volume_ml: it.volume_ml.map(Measured::number),
        received_at: None,
        received_by: None,
        rejected_at: None,
        rejected_by: None,
        rejection_code: None,
        rejection_note: None,
        stamps: event.stamps(),
    }
}

/// Sets the statuses that follow from an event.
fn follow<'e>(event: &Projected<'e, Event>, after: &'e After, tables: &mut Tables<'_, 'e>) {
    tables.orders.change(event, |row| row.status = after.status.to_string());
    for moved in &after.items {
        tables.items.change_row(event, moved.item_id, |row| row.status = moved.status.to_string());
    }
}

/// Adds a specimen. The first one tells when the specimens of the order were taken.
fn collect<'e>(event: &Projected<'e, Event>, it: &'e SpecimenCollected, tables: &mut Tables<'_, 'e>) {
    tables.specimens.insert(specimen_row(event, it));
    tables.orders.change(event, |row| {
        if row.collected_at.is_none() {
            row.collection_date = Some(it.collection_date);
            row.collection_time = Some(it.collection_time);
            row.collected_by = it.collected_by.map(Uuid::from);
            row.collected_at = Some(it.collected_at);
        }
    });
    follow(event, &it.after, tables);
}

fn reject<'e>(
    event: &Projected<'e, Event>,
    specimen_id: Uuid,
    (code, note): (RejectionCode, Option<&'e Personal<Text<200>>>),
    tables: &mut Tables<'_, 'e>,
) {
    let (at, by) = (event.metadata.occurred_at, event.user_id());
    tables.specimens.change_row(event, specimen_id, move |row| {
        row.status = SpecimenStatus::Rejected.to_string();
        row.rejected_at = Some(at);
        row.rejected_by = by;
        row.rejection_code = Some(code.to_string());
        row.rejection_note = known_text(note);
    });
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    orders: &mut Changes<'e, LabOrderRow>,
    items: &mut Changes<'e, LabOrderItemRow>,
    specimens: &mut Changes<'e, SpecimenRow>,
) {
    let tables = &mut Tables { orders, items, specimens };
    match event.data {
        Event::Placed(it) => {
            tables.orders.insert(order_row(event, it));
            for (item, line_number) in it.items.iter().zip(1..) {
                tables.items.insert(item_row(event, it.patient_id, item, line_number));
            }
        }
        Event::ItemAdded(it) => {
            let row = item_row(event, it.patient_id, &it.item, it.line_number);
            tables.items.insert(LabOrderItemRow { added_as: Some(it.reason.to_string()), ..row });
            for specimen_id in &it.specimen_ids {
                tables.specimens.change_row(event, *specimen_id, |row| {
                    if let Value::Array(item_ids) = &mut row.item_ids {
                        item_ids.push(json!(it.item.id));
                    }
                });
            }
            follow(event, &it.after, tables);
        }
        Event::ItemCancelled { item_id, reason, after } => {
            tables.items.change_row(event, *item_id, |row| row.cancellation_reason = known_text(reason.as_ref()));
            follow(event, after, tables);
        }
        Event::SpecimenCollected(it) => collect(event, it, tables),
        Event::SpecimenReceived { specimen_id, after } => {
            let (at, by) = (event.metadata.occurred_at, event.user_id());
            tables.specimens.change_row(event, *specimen_id, move |row| {
                row.status = SpecimenStatus::Received.to_string();
                row.received_at = Some(at);
                row.received_by = by;
            });
            follow(event, after, tables);
        }
        Event::SpecimenRejected { specimen_id, reason_code, note, after } => {
            reject(event, (*specimen_id).into(), (*reason_code, note.as_ref()), tables);
            follow(event, after, tables);
        }
        Event::ItemResulted { item_id, lab_result_id, is_final: _, after } => {
            tables.items.change_row(event, *item_id, |row| row.lab_result_id = Some((*lab_result_id).into()));
            follow(event, after, tables);
        }
        Event::ItemReopened { item_id, after } => {
            tables.items.change_row(event, *item_id, |row| row.lab_result_id = None);
            follow(event, after, tables);
        }
        Event::Cancelled { reason, after } => {
            tables.orders.change(event, |row| row.cancellation_reason = known_text(Some(reason)));
            follow(event, after, tables);
        }
    }
}
