use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::Personal;
use hims_domain::prescription::{Event, Item, Status};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::table;

table! {
    /// One row per prescription.
    PrescriptionRow in "prescriptions",
    readers [AllData, ClinicalRecords, AssignedPatients, Prescriptions, OwnRecords],
    indexes [(patient_id, created_at), (provider_id, created_at), (status, created_at)] {
        /// The prescription.
        id: Uuid [indexed],
        /// The consultation that led to it.
        consultation_id: Option<Uuid> [indexed],
        /// For whom.
        patient_id: Uuid [indexed],
        /// By whom.
        provider_id: Uuid [indexed],
        /// Its number, issued by this hospital.
        prescription_number: String [indexed],
        /// Where it stands.
        status: String [indexed],
        /// How urgent it is.
        priority: String,
        /// What else is to be said.
        notes: Option<String> [personal],
        /// Why it was cancelled.
        cancellation_reason: Option<String> [personal],
        /// Version of the stream.
        version: i32,
        /// When it was written.
        created_at: DateTime<Utc> [indexed],
        /// When it last changed.
        updated_at: DateTime<Utc>,
        /// Who wrote it down.
        created_by: Option<Uuid>,
        /// Who last changed it.
        updated_by: Option<Uuid>,
    }
}

table! {
    /// One row per item of a prescription.
    ItemRow in "prescription_items", children of prescription_id,
    readers [AllData, ClinicalRecords, AssignedPatients, Prescriptions, OwnRecords] {
        /// The item.
        id: Uuid [indexed],
        /// The prescription.
        prescription_id: Uuid [indexed],
        /// Its place in the prescription, from 1.
        line_number: i32,
        /// What.
        medication_id: Uuid [indexed],
        /// How much at a time.
        dose_quantity: Option<Decimal>,
        /// The unit of a dose.
        dose_unit: Option<String>,
        /// How it is given.
        route: Option<String>,
        /// How often.
        frequency: Option<String>,
        /// Whether it is taken only when needed.
        as_needed: bool,
        /// For how many days.
        duration_days: Option<i32>,
        /// How much to dispense.
        quantity: Decimal,
        /// The unit of the quantity.
        quantity_unit: String,
        /// How much was dispensed.
        quantity_dispensed: Decimal,
        /// Whether a product of the same ingredients will do.
        substitution_allowed: bool,
        /// What to tell the patient.
        instructions: Option<String> [personal],
        /// The last day on which it may be dispensed.
        valid_until: Option<NaiveDate>,
        /// Where it stands.
        status: String,
        /// Version of the prescription's stream.
        version: i32,
        /// When it was written.
        created_at: DateTime<Utc>,
        /// When it last changed.
        updated_at: DateTime<Utc>,
    }
}

fn item_row(event: &Projected<'_, Event>, item: &Item, line_number: i32) -> ItemRow {
    let order = &item.order;
    ItemRow {
        id: item.id.into(),
        prescription_id: event.stream_id,
        line_number,
        medication_id: order.medication_id.into(),
        dose_quantity: order.dose_quantity,
        dose_unit: order.dose_unit.as_ref().map(|it| it.0.clone()),
        route: order.route.as_ref().map(|it| it.0.clone()),
        frequency: order.frequency.as_ref().map(|it| it.0.clone()),
        as_needed: order.as_needed,
        duration_days: order.duration_days,
        quantity: order.quantity,
        quantity_unit: order.quantity_unit.0.clone(),
        quantity_dispensed: Decimal::ZERO,
        substitution_allowed: order.substitution_allowed,
        instructions: order.instructions.as_ref().and_then(Personal::known).map(|it| it.0.clone()),
        valid_until: order.valid_until,
        status: "active".to_owned(),
        version: event.version,
        created_at: event.recorded_at,
        updated_at: event.recorded_at,
    }
}

pub(crate) fn project(
    event: &Projected<'_, Event>,
    prescriptions: &mut Changes<PrescriptionRow>,
    items: &mut Changes<ItemRow>,
) {
    let stamp = event.stamp();
    let mut update = |change: Box<dyn FnOnce(&mut PrescriptionRow) + Send>| {
        prescriptions.update(event.stream_id, move |row| {
            change(row);
            (row.version, row.updated_at, row.updated_by) = (stamp.version, stamp.at, stamp.by);
        });
    };
    let moved_to = |status: Status| Box::new(move |row: &mut PrescriptionRow| row.status = status.to_string());
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
                notes: it.notes.as_ref().and_then(Personal::known).map(|it| it.0.clone()),
                cancellation_reason: None,
                version: stamp.version,
                created_at: stamp.at,
                updated_at: stamp.at,
                created_by: stamp.by,
                updated_by: stamp.by,
            });
            it.items.iter().zip(1..).for_each(|(item, line)| items.insert(item_row(event, item, line)));
        }
        Event::SentToPharmacy => update(moved_to(Status::SentToPharmacy)),
        Event::MarkedReady => update(moved_to(Status::Ready)),
        Event::Dispensed { dispensed, completes } => {
            let completes = *completes;
            update(Box::new(move |row| {
                if completes {
                    row.status = Status::Dispensed.to_string();
                }
            }));
            for part in dispensed {
                let quantity = part.quantity;
                items.update(part.item_id.into(), move |row| {
                    row.quantity_dispensed += quantity;
                    let is_done = row.quantity_dispensed >= row.quantity;
                    if is_done { "dispensed" } else { "partially_dispensed" }.clone_into(&mut row.status);
                    (row.version, row.updated_at) = (stamp.version, stamp.at);
                });
            }
        }
        Event::Cancelled { reason } => {
            let reason = reason.known().map(|it| it.0.clone());
            update(Box::new(move |row| {
                row.status = Status::Cancelled.to_string();
                row.cancellation_reason = reason;
            }));
            items.update_children(event.stream_id, move |row| {
                if row.status != "dispensed" {
                    "cancelled".clone_into(&mut row.status);
                    (row.version, row.updated_at) = (stamp.version, stamp.at);
                }
            });
        }
    }
}
