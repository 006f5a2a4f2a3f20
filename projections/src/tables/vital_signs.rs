use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::vital_signs::{Event, Status, TemperatureUnit};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;

table! {
    /// One row per set of vital signs.
    VitalSignsRow in "vital_signs",
    readers [ClinicalRecords, AssignedPatients, OwnRecords],
    stamped,
    generated [
        /// Weight in kilograms over the square of height in metres, to one decimal (LOINC 39156-5).
        bmi: Option<Decimal>,
    ],
    indexes [(patient_id, recorded_at)] {
        /// The set.
        id: Uuid [indexed],
        /// Where they were taken.
        consultation_id: Option<Uuid> [indexed],
        /// Whose they are.
        patient_id: Uuid [indexed],
        /// Who took them.
        recorded_by: Uuid,
        /// When they were taken.
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
        /// `F` or `C`.
        temperature_unit: String,
        /// Oxygen saturation in percent (LOINC 2708-6).
        oxygen_saturation: Option<i32>,
        /// Whether oxygen was given.
        oxygen_supplement: bool,
        /// How much oxygen was given, in litres per minute (LOINC 3151-8).
        oxygen_flow_rate: Option<Decimal>,
        /// Body weight in kilograms (LOINC 29463-7).
        weight_kg: Option<Decimal>,
        /// Body height in centimetres (LOINC 8302-2).
        height_cm: Option<Decimal>,
        /// Pain, 0 to 10 (LOINC 72514-3).
        pain_scale: Option<i32>,
        /// What else is to be said.
        notes: Option<String> [personal],
        /// Whether they can be relied on.
        status: String,
        /// Fields beyond clinical limits, confirmed when taken.
        extreme: Value,
        /// What they replace.
        corrects_id: Option<Uuid>,
        /// What replaces them.
        corrected_by_id: Option<Uuid>,
        /// Why they were wrong.
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
            notes: it.measurements.notes.as_ref().and_then(Personal::known).map(|it| it.0.clone()),
            status: Status::Final.to_string(),
            extreme: json!(it.extreme),
            corrects_id: it.corrects.map(Uuid::from),
            corrected_by_id: None,
            error_reason: None,
            stamps: event.stamps(),
        }),
        Event::MarkedEnteredInError { reason, corrected_by } => rows.change(event, |row| {
            row.status = Status::EnteredInError.to_string();
            row.error_reason = reason.known().map(|it| it.0.clone());
            row.corrected_by_id = corrected_by.map(Uuid::from);
        }),
    }
}
