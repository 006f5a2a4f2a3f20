//! Vital signs (FHIR R4 vital signs profile; LOINC codes at each measurement).

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::LongText;
use crate::{Aggregate, ConsultationId, PatientId, Personal, Subject, UserId, VitalSignsId, described, terms};

terms! {
    /// The scale of a temperature.
    pub enum TemperatureUnit {
        Fahrenheit = "F",
        Celsius = "C",
    }

    /// Whether a record can be relied on.
    pub enum Status {
        Final = "final",
        EnteredInError = "entered_in_error",
    }
}

described! {
    /// What was measured. A fraction is rounded half to even where a whole number is kept.
    #[derive(Default)]
    pub struct Measurements {
        /// Systolic blood pressure in mmHg (LOINC 8480-6).
        pub blood_pressure_systolic: Option<Decimal>,
        /// Diastolic blood pressure in mmHg (LOINC 8462-4).
        pub blood_pressure_diastolic: Option<Decimal>,
        /// Heart rate per minute (LOINC 8867-4).
        pub heart_rate: Option<Decimal>,
        /// Respiratory rate per minute (LOINC 9279-1).
        pub respiratory_rate: Option<Decimal>,
        /// Body temperature (LOINC 8310-5) in `temperature_unit`.
        pub temperature: Option<Decimal>,
        /// The scale of the temperature; `F` unless told.
        pub temperature_unit: Option<TemperatureUnit>,
        /// Oxygen saturation in percent (LOINC 2708-6).
        pub oxygen_saturation: Option<Decimal>,
        /// Whether oxygen was given.
        #[serde(default)]
        pub oxygen_supplement: bool,
        /// How much oxygen was given, in litres per minute (LOINC 3151-8).
        pub oxygen_flow_rate: Option<Decimal>,
        /// Body weight in kilograms (LOINC 29463-7).
        pub weight_kg: Option<Decimal>,
        /// Body height in centimetres (LOINC 8302-2).
        pub height_cm: Option<Decimal>,
        /// Pain as the patient rates it, 0 to 10 (LOINC 72514-3).
        pub pain_scale: Option<Decimal>,
        /// What else is to be said.
        pub notes: Option<Personal<LongText>>,
    }
}

impl Measurements {
    /// Weight in kilograms over the square of height in metres, to one decimal (LOINC 39156-5).
    pub fn bmi(&self) -> Option<Decimal> {
        let metres = self.height_cm?.checked_div(Decimal::ONE_HUNDRED)?;
        let bmi = self.weight_kg?.checked_div(metres.checked_mul(metres)?)?;
        Some(bmi.round_dp_with_strategy(1, rust_decimal::RoundingStrategy::MidpointAwayFromZero))
    }
}

/// One set of vital signs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VitalSigns {
    /// Whose they are.
    pub patient_id: PatientId,
    /// Where they were taken.
    pub consultation_id: Option<ConsultationId>,
    /// When they were taken.
    pub recorded_at: DateTime<Utc>,
    /// What was measured.
    pub measurements: Measurements,
    /// Whether they can be relied on.
    pub status: Status,
}

/// What can happen to vital signs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every event is the large one")]
pub enum Event {
    /// They were taken.
    Recorded(Recorded),
    /// They were wrong.
    MarkedEnteredInError {
        /// Why.
        reason: Personal<LongText>,
        /// What is right, when it is known.
        corrected_by: Option<VitalSignsId>,
    },
}

/// Vital signs as taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Whose they are.
    pub patient_id: PatientId,
    /// Where they were taken.
    pub consultation_id: Option<ConsultationId>,
    /// Who took them.
    pub recorded_by: UserId,
    /// When they were taken.
    pub recorded_at: DateTime<Utc>,
    /// What was measured, rounded as it is kept.
    pub measurements: Measurements,
    /// Fields outside the clinical limits, which whoever took them confirmed.
    pub extreme: Vec<String>,
    /// The record that these replace.
    pub corrects: Option<VitalSignsId>,
}

impl Aggregate for VitalSigns {
    const STREAM: &'static str = "vital_signs";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Recorded(it) => Some(Self {
                patient_id: it.patient_id,
                consultation_id: it.consultation_id,
                recorded_at: it.recorded_at,
                measurements: it.measurements.clone(),
                status: Status::Final,
            }),
            Event::MarkedEnteredInError { .. } => state.map(|it| Self { status: Status::EnteredInError, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
