//! The diagnoses of a consultation (FHIR R4 `Condition`), ranked within each type.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::values::coding::ICD_10_CM;
use crate::values::{LongText, Reason, Text};
use crate::{DiagnosisId, PatientId, Personal, UserId, described, terms};

terms! {
    /// For what a diagnosis is given.
    pub enum DiagnosisType {
        Admission = "admission",
        Working = "working",
        Differential = "differential",
        Final = "final",
        Discharge = "discharge",
        Billing = "billing",
    }

    /// How certain a diagnosis is.
    pub enum VerificationStatus {
        Unconfirmed = "unconfirmed",
        Provisional = "provisional",
        Differential = "differential",
        Confirmed = "confirmed",
        Refuted = "refuted",
        EnteredInError = "entered_in_error",
    }

    /// How the condition is at present.
    pub enum ClinicalStatus {
        Active = "active",
        Recurrence = "recurrence",
        Relapse = "relapse",
        Inactive = "inactive",
        Remission = "remission",
        Resolved = "resolved",
    }
}

described! {
    /// The details of a diagnosis.
    pub struct Diagnosis {
        /// The code system (URI) of `code`; ICD-10-CM if left out.
        #[serde(default = "icd_10_cm")]
        pub code_system: Text<100>,
        /// The code of the diagnosis in the code system, such as `E11.9`.
        pub code: Text<20>,
        /// The diagnosis in words.
        pub description: Personal<Text<500>>,
        /// For what the diagnosis is given.
        pub diagnosis_type: DiagnosisType,
        /// How certain the diagnosis is; `provisional` if left out.
        #[serde(default = "provisional")]
        pub verification_status: VerificationStatus,
        /// How the condition is at present; `active` if left out. A diagnosis that was entered in error has none.
        pub clinical_status: Option<ClinicalStatus>,
        /// When the condition began.
        pub onset_date: Option<Personal<NaiveDate>>,
        /// When the condition ended; only if it is inactive, in remission or resolved.
        pub abatement_date: Option<Personal<NaiveDate>>,
        /// Notes on the diagnosis.
        pub notes: Option<Personal<LongText>>,
    }
}

fn icd_10_cm() -> Text<100> {
    ICD_10_CM.into()
}

fn provisional() -> VerificationStatus {
    VerificationStatus::Provisional
}

/// A diagnosis and its rank among the diagnoses of its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedDiagnosis {
    /// The diagnosis.
    pub diagnosis: Diagnosis,
    /// The rank among the diagnoses of the same type, from 1.
    pub rank: i32,
}

impl RankedDiagnosis {
    /// Whether the diagnosis was not entered in error.
    pub fn counts(&self) -> bool {
        self.diagnosis.verification_status != VerificationStatus::EnteredInError
    }
}

/// The rank of a diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rank {
    /// The diagnosis.
    pub diagnosis_id: DiagnosisId,
    /// The rank among the diagnoses of the same type, from 1.
    pub rank: i32,
}

/// A diagnosis that was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiagnosisRecorded {
    /// The id of the diagnosis.
    pub diagnosis_id: DiagnosisId,
    /// The patient.
    pub patient_id: PatientId,
    /// The user who made the diagnosis.
    pub diagnosed_by: UserId,
    /// When the diagnosis was made.
    pub diagnosed_at: DateTime<Utc>,
    /// The diagnosis.
    pub diagnosis: Diagnosis,
    /// The rank among the diagnoses of the same type, from 1.
    pub rank: i32,
    /// The new ranks of diagnoses that moved down.
    pub moved: Vec<Rank>,
}

/// A diagnosis that was changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiagnosisChanged {
    /// The id of the diagnosis.
    pub diagnosis_id: DiagnosisId,
    /// The diagnosis as it is now.
    pub diagnosis: Diagnosis,
    /// The rank among the diagnoses of the same type, from 1.
    pub rank: i32,
    /// The new ranks of diagnoses that moved down.
    pub moved: Vec<Rank>,
    /// Why the diagnosis was changed, if a reason was given.
    pub reason: Option<Personal<Reason>>,
    /// What the change amends, if the consultation was over already.
    pub amends: Option<AmendedDiagnosis>,
}

/// A diagnosis before it was amended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AmendedDiagnosis {
    /// The patient.
    pub patient_id: PatientId,
    /// The number of the amendment in the consultation, from 1.
    pub number: i32,
    /// The diagnosis as it was.
    pub before: RankedDiagnosis,
}

/// Sets the ranks of diagnoses that moved.
pub(super) fn rank(diagnoses: &mut BTreeMap<DiagnosisId, RankedDiagnosis>, moved: &[Rank]) {
    for place in moved {
        if let Some(diagnosis) = diagnoses.get_mut(&place.diagnosis_id) {
            diagnosis.rank = place.rank;
        }
    }
}
