//! Vital signs (FHIR R4 vital signs profile; LOINC codes at each measurement).

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Reason};
use crate::{Aggregate, ConsultationId, PatientId, Personal, Subject, UserId, VitalSignsId, described, terms};

terms! {
    /// The unit of a temperature: degrees Fahrenheit or Celsius.
    pub enum TemperatureUnit {
        Fahrenheit = "F",
        Celsius = "C",
    }

    /// Whether a set of vital signs is valid or was entered in error.
    pub enum Status {
        Final = "final",
        EnteredInError = "entered_in_error",
    }
}

described! {
    /// The measurements of a set of vital signs. Where a whole number is kept, a fraction is rounded half to even.
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
        /// The unit of the temperature; `F` if left out.
        pub temperature_unit: Option<TemperatureUnit>,
        /// Oxygen saturation in percent (LOINC 2708-6).
        pub oxygen_saturation: Option<Decimal>,
        /// Whether the patient was given oxygen.
        #[serde(default)]
        pub oxygen_supplement: bool,
        /// The flow rate of the oxygen in litres per minute (LOINC 3151-8).
        pub oxygen_flow_rate: Option<Decimal>,
        /// Body weight in kilograms (LOINC 29463-7).
        pub weight_kg: Option<Decimal>,
        /// Body height in centimetres (LOINC 8302-2).
        pub height_cm: Option<Decimal>,
        /// The pain as the patient rates it, from 0 to 10 (LOINC 72514-3).
        pub pain_scale: Option<Decimal>,
        /// Notes on the measurements.
        pub notes: Option<Personal<LongText>>,
    }
}

impl Measurements {
    /// The body mass index: weight in kilograms divided by the square of height in metres, to one decimal (LOINC
    /// 39156-5). `None` when weight or height is missing.
    pub fn bmi(&self) -> Option<Decimal> {
        let metres = self.height_cm?.checked_div(Decimal::ONE_HUNDRED)?;
        let bmi = self.weight_kg?.checked_div(metres.checked_mul(metres)?)?;
        Some(bmi.round_dp_with_strategy(1, rust_decimal::RoundingStrategy::MidpointAwayFromZero))
    }
}

/// One set of vital signs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VitalSigns {
    /// The patient.
    pub patient_id: PatientId,
    /// The consultation in which the vital signs were taken.
    pub consultation_id: Option<ConsultationId>,
    /// When the vital signs were taken.
    pub recorded_at: DateTime<Utc>,
    /// The measurements.
    pub measurements: Measurements,
    /// Whether the vital signs are valid.
    pub status: Status,
}

/// What can happen to a set of vital signs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every event is of the large variant")]
pub enum Event {
    /// The vital signs were taken.
    Recorded(Recorded),
    /// The vital signs turned out to be wrong.
    MarkedEnteredInError {
        /// What was wrong.
        reason: Personal<Reason>,
        /// The vital signs that replace the wrong ones, if the right values are known.
        corrected_by: Option<VitalSignsId>,
    },
}

/// The vital signs as they were taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The patient.
    pub patient_id: PatientId,
    /// The consultation in which the vital signs were taken.
    pub consultation_id: Option<ConsultationId>,
    /// The user who took the vital signs.
    pub recorded_by: UserId,
    /// When the vital signs were taken.
    pub recorded_at: DateTime<Utc>,
    /// The measurements, rounded to the precision that is kept.
    pub measurements: Measurements,
    /// The names of the measurements outside the clinical limits, which the user who took them confirmed.
    pub extreme: Vec<String>,
    /// The wrong vital signs that these replace.
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
