//! The symptoms of a consultation: what the patient feels, or expressly does not feel.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::values::{LongText, Text};
use crate::{PatientId, Personal, SymptomId, UserId, described, terms};

terms! {
    /// How severe a symptom is.
    pub enum SymptomSeverity {
        Mild = "mild",
        Moderate = "moderate",
        Severe = "severe",
    }

    /// The unit of a duration (UCUM): minutes, hours, days, weeks, months or years.
    pub enum DurationUnit {
        Minutes = "min",
        Hours = "h",
        Days = "d",
        Weeks = "wk",
        Months = "mo",
        Years = "a",
    }

    /// Whether a record counts.
    pub enum RecordStatus {
        Recorded = "recorded",
        EnteredInError = "entered_in_error",
    }
}

described! {
    /// What the patient feels, or expressly does not feel.
    pub struct Symptom {
        /// The code system (URI) of `code`, such as that of SNOMED CT.
        pub code_system: Option<Text<100>>,
        /// The code of the symptom in the code system.
        pub code: Option<Text<20>>,
        /// The name of the symptom.
        pub name: Personal<Text<200>>,
        /// Where in the body the symptom is felt.
        pub body_site: Option<Text<100>>,
        /// How severe the symptom is.
        pub severity: Option<SymptomSeverity>,
        /// When the symptom began.
        pub onset_date: Option<Personal<NaiveDate>>,
        /// For how long the symptom has lasted, in `duration_unit`.
        pub duration_value: Option<i32>,
        /// The unit of the duration (UCUM).
        pub duration_unit: Option<DurationUnit>,
        /// Whether the patient was asked and does not have the symptom.
        #[serde(default)]
        pub is_negated: bool,
        /// Notes on the symptom.
        pub notes: Option<Personal<LongText>>,
    }
}

/// A symptom that was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SymptomRecorded {
    /// The id of the symptom.
    pub symptom_id: SymptomId,
    /// The patient.
    pub patient_id: PatientId,
    /// The user who recorded the symptom.
    pub recorded_by: UserId,
    /// When the symptom was recorded.
    pub recorded_at: DateTime<Utc>,
    /// The symptom.
    pub symptom: Symptom,
}
