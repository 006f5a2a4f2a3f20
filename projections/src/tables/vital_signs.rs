use chrono::{DateTime, Utc};
use hims_domain::vital_signs::{Event, Status, TemperatureUnit};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::known_text;

table! {
    /// One row per set of vital signs.
    VitalSignsRow in "vital_signs",
    readers [ClinicalRecords, AssignedPatients, OwnRecords],
    stamped,
    generated [
        /// Body mass index: weight in kilograms divided by the square of height in metres (LOINC 39156-5).
        bmi: Option<Decimal>,
    ],
    indexes [(patient_id, recorded_at)] {
        /// The set of vital signs.
        id: Uuid [indexed],
        /// The consultation in which the vital signs were taken.
        consultation_id: Option<Uuid> [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The user who took the vital signs.
        recorded_by: Uuid,
        /// When the vital signs were taken.
        recorded_at: DateTime<Utc> [indexed],
        /// Systolic blood pressure in mmHg (LOINC 8480-6).
        blood_pressure_systolic: Option<i32>,
        /// Diastolic blood pressure in mmHg (LOINC 8462-4).
        blood_pressure_diastolic: Option<i32>,
        /// Heart rate per minute (LOINC 8867-4).
        heart_rate: Option<i32>,
        /// Respiratory rate per minute (LOINC 9279-1).
        respiratory_rate: Option<i32>,
        /// Body temperature (LOINC 8310-5) in `temperature_unit`.
        temperature: Option<Decimal>,
        /// The unit of the temperature: `F` or `C`.
        temperature_unit: String,
        /// Oxygen saturation in percent (LOINC 2708-6).
        oxygen_saturation: Option<i32>,
        /// Whether the patient was given oxygen.
        oxygen_supplement: bool,
        /// The flow rate of the oxygen in litres per minute (LOINC 3151-8).
        oxygen_flow_rate: Option<Decimal>,
        /// Body weight in kilograms (LOINC 29463-7).
        weight_kg: Option<Decimal>,
        /// Body height in centimetres (LOINC 8302-2).
        height_cm: Option<Decimal>,
        /// The pain as the patient rates it, from 0 to 10 (LOINC 72514-3).
        pain_scale: Option<i32>,
        /// Notes on the measurements.
        notes: Option<String> [personal],
        /// Whether the vital signs are valid or were entered in error.
        status: String,
        /// The names of measurements outside the clinical limits, which the user confirmed when recording them.
        extreme: Value,
        /// The earlier set of vital signs that this set replaces.
        corrects_id: Option<Uuid>,
        /// The later set of vital signs that replaces this set.
        corrected_by_id: Option<Uuid>,
        /// The reason for marking the vital signs as entered in error.
        error_reason: Option<String> [personal],
    }
}

fn whole(value: Option<Decimal>) -> Option<i32> {
    value.and_then(|it| it.to_i32())
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, VitalSignsRow>) {
    match event.data {
        Event::Recorded(it) => rows.insert(VitalSignsRow {
            id: event.stream_id,
            consultation_id: it.consultation_id.map(Uuid::from),
            patient_id: it.patient_id.into(),
            recorded_by: it.recorded_by.into(),
            recorded_at: it.recorded_at,
            blood_pressure_systolic: whole(it.measurements.blood_pressure_systolic),
            blood_pressure_diastolic: whole(it.measurements.blood_pressure_diastolic),
            heart_rate: whole(it.measurements.heart_rate),
            respiratory_rate: whole(it.measurements.respiratory_rate),
            temperature: it.measurements.temperature,
            temperature_unit: it.measurements.temperature_unit.unwrap_or(TemperatureUnit::Fahrenheit).to_string(),
            oxygen_saturation: whole(it.measurements.oxygen_saturation),
            oxygen_supplement: it.measurements.oxygen_supplement,
            oxygen_flow_rate: it.measurements.oxygen_flow_rate,
            weight_kg: it.measurements.weight_kg,
            height_cm: it.measurements.height_cm,
            pain_scale: whole(it.measurements.pain_scale),
            notes: known_text(it.measurements.notes.as_ref()),
            status: Status::Final.to_string(),
            extreme: json!(it.extreme),
            corrects_id: it.corrects.map(Uuid::from),
            corrected_by_id: None,
            error_reason: None,
            stamps: event.stamps(),
        }),
        Event::MarkedEnteredInError { reason, corrected_by } => rows.change(event, |row| {
            row.status = Status::EnteredInError.to_string();
            row.error_reason = known_text(Some(reason));
            row.corrected_by_id = corrected_by.map(Uuid::from);
        }),
    }
}
