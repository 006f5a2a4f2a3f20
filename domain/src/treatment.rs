//! Treatments of a patient: what was planned in a consultation and what became of it (FHIR R4 `Procedure`, and the
//! activities of a `CarePlan`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Reason, Text};
use crate::{
    Aggregate, CarePlanId, ConsultationId, DiagnosisId, PatientId, Personal, Subject, UserId, described, terms,
};

terms! {
    /// The kind of a treatment.
    pub enum TreatmentType {
        Procedure = "procedure",
        Therapy = "therapy",
        Counselling = "counselling",
        Diet = "diet",
        Referral = "referral",
        Device = "device",
        Other = "other",
    }

    /// The status of a treatment.
    pub enum Status {
        Planned = "planned",
        InProgress = "in_progress",
        OnHold = "on_hold",
        Completed = "completed",
        Stopped = "stopped",
        NotDone = "not_done",
        EnteredInError = "entered_in_error",
    }
}

described! {
    /// What is to be done.
    pub struct Order {
        /// The consultation in which the treatment was planned.
        pub consultation_id: ConsultationId,
        /// The diagnosis that is treated: one of the same patient, also of another consultation.
        pub diagnosis_id: Option<DiagnosisId>,
        /// The kind of treatment.
        pub treatment_type: TreatmentType,
        /// The code system (URI) of `code`, such as that of SNOMED CT.
        pub code_system: Option<Text<100>>,
        /// The code of the treatment in the code system.
        pub code: Option<Text<20>>,
        /// The treatment in words.
        pub description: Personal<Text<500>>,
        /// The part of the body that is treated.
        pub body_site: Option<Text<100>>,
        /// The unique device identifier (UDI) of a device, as its carrier shows it.
        pub device_udi: Option<Text<200>>,
        /// The care plan to which the treatment belongs.
        pub care_plan_id: Option<CarePlanId>,
        /// What the care plan is called.
        pub care_plan_title: Option<Personal<Text<200>>>,
        /// The user who carries the treatment out, if this is known.
        pub performed_by: Option<UserId>,
    }
}

/// What is done for a patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Treatment {
    /// The patient.
    pub patient_id: PatientId,
    /// The consultation in which the treatment was planned.
    pub consultation_id: ConsultationId,
    /// The kind of treatment.
    pub treatment_type: TreatmentType,
    /// The code system (URI) of `code`.
    pub code_system: Option<Text<100>>,
    /// The code of the treatment in the code system.
    pub code: Option<Text<20>>,
    /// The status of the treatment.
    pub status: Status,
}

/// What can happen to a treatment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The treatment was planned.
    Planned(Box<Planned>),
    /// The treatment was begun.
    Started,
    /// The treatment was interrupted.
    Held,
    /// The treatment goes on after an interruption.
    Resumed,
    /// The treatment was completed.
    Completed {
        /// What came of the treatment.
        outcome: Option<Personal<LongText>>,
    },
    /// The treatment was broken off.
    Stopped {
        /// Why the treatment was broken off.
        reason: Personal<Reason>,
    },
    /// The treatment was given up before it began.
    MarkedNotDone {
        /// Why the treatment was given up.
        reason: Personal<Reason>,
    },
    /// The record of the treatment turned out to be wrong.
    MarkedEnteredInError {
        /// Why the record is wrong.
        reason: Personal<Reason>,
    },
}

/// The treatment as it was planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The patient.
    pub patient_id: PatientId,
    /// What is to be done.
    pub order: Order,
}

impl Aggregate for Treatment {
    const STREAM: &'static str = "treatment";
    const STATE_VERSION: i32 = 2;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let moved_to = |status| state.map(|it| Self { status, ..it });
        match event {
            Event::Planned(it) => Some(Self {
                patient_id: it.patient_id,
                consultation_id: it.order.consultation_id,
                treatment_type: it.order.treatment_type,
                code_system: it.order.code_system.clone(),
                code: it.order.code.clone(),
                status: Status::Planned,
            }),
            Event::Started | Event::Resumed => moved_to(Status::InProgress),
            Event::Held => moved_to(Status::OnHold),
            Event::Completed { outcome: _ } => moved_to(Status::Completed),
            Event::Stopped { reason: _ } => moved_to(Status::Stopped),
            Event::MarkedNotDone { reason: _ } => moved_to(Status::NotDone),
            Event::MarkedEnteredInError { reason: _ } => moved_to(Status::EnteredInError),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
