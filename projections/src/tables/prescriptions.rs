use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::prescription::{Event, Item, Refill, Status};
use hims_domain::values::Unit;
use hims_domain::{PatientId, Personal, PrescriptionItemId};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::prescription_alerts;
pub(crate) use super::prescription_alerts::AlertRow;
use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text};

table! {
    /// One row per prescription.
    PrescriptionRow in "prescriptions",
    readers [ClinicalRecords, AssignedPatients, Prescriptions, OwnRecords],
    stamped by (created_at),
    indexes [(patient_id, created_at), (provider_id, created_at), (status, created_at)] {
        /// The prescription.
        id: Uuid [indexed],
        /// The consultation that led to the prescription.
        consultation_id: Option<Uuid> [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The provider who wrote the prescription.
        provider_id: Uuid [indexed],
        /// The number of the prescription, issued by this hospital.
        prescription_number: String [indexed],
        /// The status of the prescription.
        status: String [indexed] of hims_domain::prescription::Status::CODES,
        /// How urgent the prescription is.
        priority: String,
        /// Notes on the prescription.
        notes: Option<String> [personal],
        /// The reason for the cancellation.
        cancellation_reason: Option<String> [personal],
        /// Until when the medications are kept for the patient, while the prescription is ready.
        collect_by: Option<DateTime<Utc>>,
        /// Why the last refill was opened before most of the quantity before could be used up.
        early_refill_reason: Option<String> [personal],
    }
}

table! {
    /// One row per item of a prescription.
    ItemRow in "prescription_items",
    children of prescription_id,
    readers [ClinicalRecords, AssignedPatients, Prescriptions, OwnRecords],
    stamped {
        /// The item.
        id: Uuid [indexed],
        /// The prescription.
        prescription_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The number of the item in the prescription, from 1.
        line_number: i32,
        /// The medication.
        medication_id: Uuid [indexed],
        /// The quantity of one dose, in `dose_unit`.
        dose_quantity: Option<Decimal>,
        /// The unit of one dose.
        dose_unit: Option<String>,
        /// The route by which the medication is given, such as `oral`.
        route: Option<String>,
        /// How often the medication is taken.
        frequency: Option<String>,
        /// Whether the medication is taken only when needed.
        as_needed: bool,
        /// The number of days for which the medication is taken.
        duration_days: Option<i32>,
        /// The quantity to dispense, in `quantity_unit`.
        quantity: Decimal,
        /// The unit of the quantity.
        quantity_unit: String,
        /// The quantity dispensed so far, with all refills, in `quantity_unit`.
        quantity_dispensed: Decimal,
        /// How often the quantity may be dispensed again.
        refills_allowed: i32,
        /// How many refills were opened so far.
        refills_used: i32,
        /// The number of days for which the quantity lasts.
        days_supply: Option<i32>,
        /// Whether a product with the same ingredients may be dispensed instead.
        substitution_allowed: bool,
        /// Instructions for the patient.
        instructions: Option<String> [personal],
        /// The last day on which the medication may be dispensed.
        valid_until: Option<NaiveDate>,
        /// Why the item was prescribed in spite of alerts.
        override_reason: Option<String> [personal],
        /// Why the item was dispensed in spite of alerts that became known, or more severe, after the
        /// prescription was written; one line for each dispensing that needed a reason.
        dispensing_override_reason: Option<String> [personal],
        /// The status of the item.
        status: String,
    }
}

fn item_row(event: &Projected<'_, Event>, patient_id: PatientId, item: &Item, line_number: i32) -> ItemRow {
    let order = &item.order;
    ItemRow {
        id: item.id.into(),
        prescription_id: event.stream_id,
        patient_id: patient_id.into(),
        line_number,
        medication_id: order.medication_id.into(),
        dose_quantity: order.dose_quantity,
        dose_unit: order.dose_unit.as_ref().map(Unit::to_string),
        route: text(order.route.as_ref()),
        frequency: text(order.frequency.as_ref()),
        as_needed: order.as_needed,
        duration_days: order.duration_days,
        quantity: order.quantity,
        quantity_unit: order.quantity_unit.to_string(),
        quantity_dispensed: Decimal::ZERO,
        refills_allowed: order.refills_allowed,
        refills_used: 0,
        days_supply: order.days_supply,
        substitution_allowed: order.substitution_allowed,
        instructions: known_text(order.instructions.as_ref()),
        valid_until: order.valid_until,
        override_reason: order.override_reason.as_ref().and_then(Personal::known).map(|it| it.0.clone()),
        dispensing_override_reason: None,
        status: "active".to_owned(),
        stamps: event.stamps(),
    }
}

/// Sets the status of an item from its quantities: of a refill that was opened, nothing is dispensed at first.
fn set_status(row: &mut ItemRow) {
    let outstanding = row.quantity * Decimal::from(1 + row.refills_used) - row.quantity_dispensed;
    let status = if outstanding <= Decimal::ZERO {
        "dispensed"
    } else if outstanding >= row.quantity {
        "active"
    } else {
        "partially_dispensed"
    };
    status.clone_into(&mut row.status);
}

fn set_refills<'e>(event: &Projected<'e, Event>, items: &mut Changes<'e, ItemRow>, refills: &'e [Refill]) {
    for refill in refills {
        items.change_row(event, refill.item_id, |row| {
            row.refills_used = refill.refills_used;
            set_status(row);
        });
    }
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    prescriptions: &mut Changes<'e, PrescriptionRow>,
    items: &mut Changes<'e, ItemRow>,
    alert_rows: &mut Changes<'e, AlertRow>,
) {
    // Nothing is kept for a prescription that is not ready.
    let mut move_to = |status: Status| {
        prescriptions.change(event, move |row| {
            row.status = status.to_string();
            row.collect_by = None;
        });
    };
    match event.data {
        Event::Written(it) => {
            prescriptions.insert(PrescriptionRow {
                id: event.stream_id,
                consultation_id: it.consultation_id.map(Uuid::from),
                patient_id: it.patient_id.into(),
                provider_id: it.provider_id.into(),
                prescription_number: it.number.0.clone(),
                status: Status::Pending.to_string(),
                priority: it.priority.to_string(),
                notes: known_text(it.notes.as_ref()),
                cancellation_reason: None,
                collect_by: None,
                early_refill_reason: None,
                stamps: event.stamps(),
            });
            for (item, line_number) in it.items.iter().zip(1..) {
                items.insert(item_row(event, it.patient_id, item, line_number));
            }
            prescription_alerts::written(event, it, alert_rows);
        }
        Event::SentToPharmacy | Event::ReadyUndone { reason: _ } | Event::ReadyWithdrawn { cause: _ } => {
            move_to(Status::SentToPharmacy);
        }
        Event::MarkedReady { reserved: _, collect_by } => prescriptions.change(event, |row| {
            row.status = Status::Ready.to_string();
            row.collect_by = Some(*collect_by);
        }),
        Event::RefillOpened { refills, early_reason } => {
            prescriptions.change(event, |row| {
                row.status = Status::SentToPharmacy.to_string();
                row.early_refill_reason = known_text(early_reason.as_ref());
            });
            set_refills(event, items, refills);
        }
        Event::RefillUndone { refills, status, reason: _ } => {
            move_to(*status);
            set_refills(event, items, refills);
        }
        Event::Dispensed { patient_id, dispensed, alerts, overrides, completes, reserved: _ } => {
            let reason = |id: PrescriptionItemId| overrides.iter().find(|it| it.item_id == id).map(|it| &it.reason);
            prescription_alerts::dispensed(event, *patient_id, alerts, reason, alert_rows);
            if *completes {
                move_to(Status::Dispensed);
            } else {
                prescriptions.touch(event);
            }
            for part in dispensed {
                items.change_row(event, part.item_id, |row| {
                    row.quantity_dispensed = part.dispensed_after;
                    set_status(row);
                });
            }
            for given in overrides {
                items.change_row(event, given.item_id, |row| {
                    let earlier = row.dispensing_override_reason.take();
                    let reasons: Vec<_> =
                        earlier.into_iter().chain(given.reason.known().map(|it| it.0.clone())).collect();
                    row.dispensing_override_reason = (!reasons.is_empty()).then(|| reasons.join("\n"));
                });
            }
        }
        Event::DispensingReversed { reversed, status, reason: _ } => {
            move_to(*status);
            for part in reversed {
                items.change_row(event, part.item_id, |row| {
                    row.quantity_dispensed = part.quantity_dispensed;
                    match status {
                        Status::Cancelled => "cancelled".clone_into(&mut row.status),
                        _ => set_status(row),
                    }
                });
            }
        }
        Event::Cancelled { reason } => {
            prescriptions.change(event, |row| {
                row.status = Status::Cancelled.to_string();
                row.collect_by = None;
                row.cancellation_reason = known_text(Some(reason));
            });
            items.change_children(event, event.stream_id, |row| {
                if row.status != "dispensed" {
                    "cancelled".clone_into(&mut row.status);
                }
            });
        }
    }
}
