//! Medical history: what a patient had, got or was exposed to outside the encounters of this hospital (FHIR R4
//! `Condition`, `Procedure`, `Immunization`, `FamilyMemberHistory`).

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, PartialDate, Reason, Text};
use crate::{Aggregate, PatientId, Personal, Subject, UserId, described, terms};

terms! {
    /// What an entry of the medical history is about.
    pub enum HistoryType {
        Condition = "condition",
        Surgery = "surgery",
        Hospitalization = "hospitalization",
        Family = "family",
        Social = "social",
        Immunization = "immunization",
        Obstetric = "obstetric",
    }

    /// Whether a patient still has a condition (FHIR `condition-clinical`).
    pub enum ClinicalStatus {
        Active = "active",
        Recurrence = "recurrence",
        Relapse = "relapse",
        Inactive = "inactive",
        Remission = "remission",
        Resolved = "resolved",
    }

    /// How exactly the beginning of something is known.
    pub enum OnsetPrecision {
        Year = "year",
        Month = "month",
        Day = "day",
    }

    /// Who told of an entry.
    pub enum Source {
        Patient = "patient",
        Provider = "provider",
        Import = "import",
        Relative = "relative",
    }

    /// Whether an entry is valid or was entered in error.
    pub enum Status {
        Recorded = "recorded",
        EnteredInError = "entered_in_error",
    }
}

described! {
    /// What an entry of the medical history says.
    pub struct Entry {
        /// What the entry is about.
        pub history_type: HistoryType,
        /// The system of the code, as a URI (FHIR `Coding.system`); given together with the code.
        pub code_system: Option<Text<100>>,
        /// The code of what the entry is about (FHIR `Coding.code`).
        pub code: Option<Text<20>>,
        /// What the entry is about, in words.
        pub description: Personal<Text<500>>,
        /// The relative whom an entry of the type `family` is about, such as `mother`; such an entry must name one.
        pub family_relationship: Option<Text<50>>,
        /// Whether the patient still has the condition; only for the type `condition`.
        pub clinical_status: Option<ClinicalStatus>,
        /// When it began or was done, as far as it is known: `1987-03-05`, `1987-03` or `1987`; not in the future.
        pub onset_date: Option<Personal<PartialDate>>,
        /// How exactly that is known; follows from the date if left out.
        pub onset_precision: Option<OnsetPrecision>,
        /// The day on which the condition ended; only with the status `resolved`, `remission` or `inactive`.
        pub resolved_date: Option<Personal<NaiveDate>>,
        /// The lot number of the vaccine; only for the type `immunization`.
        pub lot_number: Option<Text<50>>,
        /// The number of the dose in its series, 1 to 99; only for the type `immunization`.
        pub dose_number: Option<i32>,
        /// Where in the body the vaccine was given; only for the type `immunization`.
        pub site: Option<Text<50>>,
        /// The route by which the vaccine was given; only for the type `immunization`.
        pub route: Option<Text<50>>,
        /// Who told of it.
        pub source: Source,
        /// Notes on the entry.
        pub notes: Option<Personal<LongText>>,
    }
}

/// An entry of a patient's medical history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MedicalHistory {
    /// The patient.
    pub patient_id: PatientId,
    /// What the entry says.
    pub entry: Entry,
    /// Whether the entry is valid.
    pub status: Status,
}

/// What can happen to an entry of the medical history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The entry was recorded.
    Recorded {
        /// The patient.
        patient_id: PatientId,
        /// The user who recorded the entry.
        recorded_by: UserId,
        /// What the entry says.
        entry: Box<Entry>,
    },
    /// What the entry says changed. The event holds the whole entry.
    Changed(Box<Entry>),
    /// The entry turned out to be wrong.
    MarkedEnteredInError {
        /// What was wrong.
        reason: Personal<Reason>,
    },
}

impl Aggregate for MedicalHistory {
    const STREAM: &'static str = "medical_history";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Recorded { patient_id, recorded_by: _, entry } => {
                Some(Self { patient_id: *patient_id, entry: (**entry).clone(), status: Status::Recorded })
            }
            Event::Changed(entry) => state.map(|it| Self { entry: (**entry).clone(), ..it }),
            Event::MarkedEnteredInError { reason: _ } => state.map(|it| Self { status: Status::EnteredInError, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
