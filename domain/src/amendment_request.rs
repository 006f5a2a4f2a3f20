//! Requests of patients to amend their records (45 CFR 164.526): what is wrong and what should stand instead, what was
//! decided, and what the patient says if the request was denied. A request changes no record itself: it stays beside
//! the row that it is about.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Reason};
use crate::{Aggregate, AmendedRecordId, AmendedRowId, PatientId, Personal, Subject, terms};

/// Within which time a request is answered (45 CFR 164.526(b)(2)(i)).
pub const PERIOD: TimeDelta = TimeDelta::days(60);
/// By how much the time may be extended, once (45 CFR 164.526(b)(2)(ii)).
pub const EXTENSION: TimeDelta = TimeDelta::days(30);

terms! {
    /// The tables whose rows a patient may ask to amend.
    pub enum RecordTable {
        Patients = "patients",
        PatientAllergies = "patient_allergies",
        PatientMedications = "patient_medications",
        MedicalHistory = "medical_history",
        VitalSigns = "vital_signs",
        AppointmentNotes = "appointment_notes",
        Consultations = "consultations",
        ConsultationSteps = "consultation_steps",
        ConsultationAmendments = "consultation_amendments",
        Symptoms = "symptoms",
        Diagnoses = "diagnoses",
        Treatments = "treatments",
        LabOrders = "lab_orders",
        LabOrderItems = "lab_order_items",
        Specimens = "specimens",
        LabResults = "lab_results",
        LabResultComponents = "lab_result_components",
        Prescriptions = "prescriptions",
        PrescriptionItems = "prescription_items",
        PrescriptionAlerts = "prescription_alerts",
    }

    /// Why a request is denied: the four reasons that there are (45 CFR 164.526(a)(2)).
    pub enum Basis {
        NotCreatedHere = "not_created_here",
        NotPartOfTheRecord = "not_part_of_the_record",
        NotAvailableForAccess = "not_available_for_access",
        AccurateAndComplete = "accurate_and_complete",
    }

    /// How far a request is.
    pub enum Status {
        Requested = "requested",
        Accepted = "accepted",
        Denied = "denied",
        Disagreed = "disagreed",
        Rebutted = "rebutted",
        Withdrawn = "withdrawn",
    }
}

/// The request of a patient to amend a row of their record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AmendmentRequest {
    /// The patient.
    pub patient_id: PatientId,
    /// The table of the row.
    pub table_name: RecordTable,
    /// The row.
    pub row_id: AmendedRowId,
    /// Until when the request is to be answered.
    pub due_at: DateTime<Utc>,
    /// Whether the time for an answer was extended.
    pub is_extended: bool,
    /// How far the request is.
    pub status: Status,
}

/// What can happen to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A patient asked for an amendment.
    Requested(Box<Requested>),
    /// The time for an answer was extended.
    Extended {
        /// Until when the request is to be answered now.
        due_at: DateTime<Utc>,
        /// Why the answer takes longer, and when it may be expected, as the patient is told.
        reason: Personal<Reason>,
    },
    /// The request was accepted.
    Accepted {
        /// What was done: what was appended or corrected, and where.
        done: Personal<LongText>,
        /// Who was told of the amendment: those whom the patient named, and those who rely on what was wrong.
        told: Option<Personal<LongText>>,
    },
    /// The request was denied.
    Denied {
        /// On which of the four grounds.
        basis: Basis,
        /// Why, in plain language.
        reason: Personal<LongText>,
    },
    /// The patient disagreed with the denial.
    DisagreementStated {
        /// The statement of the patient.
        statement: Personal<LongText>,
    },
    /// Somebody answered the patient's statement.
    DisagreementRebutted {
        /// The answer.
        rebuttal: Personal<LongText>,
    },
    /// The request was taken back before it was decided.
    Withdrawn {
        /// Why the request was taken back.
        reason: Option<Personal<Reason>>,
    },
}

/// The beginning of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Requested {
    /// The patient.
    pub patient_id: PatientId,
    /// The table of the row.
    pub table_name: RecordTable,
    /// The record that the row is, or of which it is a part.
    pub record_id: AmendedRecordId,
    /// The row.
    pub row_id: AmendedRowId,
    /// What is wrong or missing.
    pub wrong: Personal<LongText>,
    /// What should stand instead.
    pub wanted: Personal<LongText>,
    /// When the request came in.
    pub received_at: DateTime<Utc>,
    /// Until when the request is to be answered.
    pub due_at: DateTime<Utc>,
}

impl Aggregate for AmendmentRequest {
    const STREAM: &'static str = "amendment_request";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let moved = |status| state.clone().map(|it| Self { status, ..it });
        match event {
            Event::Requested(it) => Some(Self {
                patient_id: it.patient_id,
                table_name: it.table_name,
                row_id: it.row_id,
                due_at: it.due_at,
                is_extended: false,
                status: Status::Requested,
            }),
            Event::Extended { due_at, reason: _ } => state.map(|it| Self { due_at: *due_at, is_extended: true, ..it }),
            Event::Accepted { .. } => moved(Status::Accepted),
            Event::Denied { .. } => moved(Status::Denied),
            Event::DisagreementStated { .. } => moved(Status::Disagreed),
            Event::DisagreementRebutted { .. } => moved(Status::Rebutted),
            Event::Withdrawn { .. } => moved(Status::Withdrawn),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
