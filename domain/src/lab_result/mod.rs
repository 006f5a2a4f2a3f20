//! Results of the laboratory: the values of an ordered test, from the preliminary ones to the last correction (FHIR R4
//! `Observation`, HL7 table 0085).

mod flags;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Measured, Name, Reason, Text, UcumCode};
use crate::{
    Aggregate, LabOrderId, LabOrderItemId, LabTestId, PatientId, Personal, SpecimenId, Subject, UserId, derived_row,
    terms,
};
pub use flags::{Limits, ages, change_in_percent, flag_of, limits_for, worst};

terms! {
    /// How far a result is (HL7 table 0085).
    pub enum ResultStatus {
        Preliminary = "P",
        Final = "F",
        Corrected = "C",
        /// The test cannot be done.
        CannotBeDone = "X",
        /// The result is of another patient or another specimen.
        Wrong = "W",
    }

    /// What is to be done with a result.
    pub enum Status {
        /// There is no valid result; another one is awaited.
        Pending = "pending",
        InProgress = "in_progress",
        Completed = "completed",
        Reviewed = "reviewed",
        /// A critical value waits for somebody to acknowledge it.
        Critical = "critical",
    }

    /// How a value compares with what is normal.
    pub enum Flag {
        Normal = "normal",
        Low = "low",
        High = "high",
        CriticalLow = "critical_low",
        CriticalHigh = "critical_high",
        /// A text or a code that the definition of the test lists as abnormal.
        Abnormal = "abnormal",
    }

    /// What is known of a number beyond the range in which the analyser measures (FHIR `quantity-comparator`).
    pub enum Comparator {
        Below = "<",
        AtMost = "<=",
        AtLeast = ">=",
        Above = ">",
    }

    /// Why a result is withdrawn.
    pub enum WithdrawalCode {
        CannotBeDone = "cannot_be_done",
        WrongPatient = "wrong_patient",
        WrongSpecimen = "wrong_specimen",
    }
}

impl Flag {
    /// Whether the value is critical, so that somebody must be told at once.
    pub fn is_critical(self) -> bool {
        matches!(self, Self::CriticalLow | Self::CriticalHigh)
    }
}

/// The value of one component of a test: a number, a text or a code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentResult {
    /// The LOINC code of the component.
    pub code: Text<20>,
    /// The name of the component.
    pub name: Name<200>,
    /// The number, in `unit`.
    pub value: Option<Measured>,
    /// What is known of the number, if the number was not measured exactly.
    pub comparator: Option<Comparator>,
    /// The text.
    pub text: Option<Personal<Text<500>>>,
    /// The code.
    pub value_code: Option<Text<20>>,
    /// The unit of the number.
    pub unit: Option<UcumCode>,
    /// The limits with which the number was compared.
    pub limits: Option<Limits>,
    /// How the value compares with what is normal; `None` if this is not known.
    pub flag: Option<Flag>,
    /// By how many percent the number differs from the patient's last one, if somebody had to confirm the difference.
    pub delta_percent: Option<Measured>,
}

impl ComponentResult {
    /// The number, if it was measured exactly.
    pub fn exact(&self) -> Option<Measured> {
        self.value.filter(|_| self.comparator.is_none())
    }

    fn is_critical(&self) -> bool {
        self.flag.is_some_and(Flag::is_critical)
    }
}

/// The components that are critical.
pub fn critical(components: &[ComponentResult]) -> Vec<&ComponentResult> {
    components.iter().filter(|it| it.is_critical()).collect()
}

/// The values of a result at one time. Values are never overwritten: a change makes another revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// The number of the revision in the result, from 1.
    pub number: i32,
    /// The components, in the order in which the test lists them.
    pub components: Vec<ComponentResult>,
}

/// A critical value of a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// The revision whose values raised the alarm.
    pub revision: i32,
    /// The critical components.
    pub values: Vec<ComponentResult>,
    /// When the alarm was raised.
    pub raised_at: DateTime<Utc>,
    /// The last level at which people were told, from 0; `None` if nobody was told yet.
    pub level: Option<i32>,
    /// Whether somebody has acknowledged the alarm.
    pub is_acknowledged: bool,
    /// Who was told of the critical values, and who acknowledged them.
    pub told: BTreeSet<UserId>,
}

/// The result of one item of a laboratory order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabResult {
    /// The patient.
    pub patient_id: PatientId,
    /// The order.
    pub lab_order_id: LabOrderId,
    /// The item of the order.
    pub item_id: LabOrderItemId,
    /// The test.
    pub lab_test_id: LabTestId,
    /// The specimen that was examined, if one was named.
    pub specimen_id: Option<SpecimenId>,
    /// When the specimen was taken; when the test was performed, if no specimen was named.
    pub taken_at: DateTime<Utc>,
    /// How far the result is.
    pub result_status: ResultStatus,
    /// The latest values.
    pub revision: Revision,
    /// The critical values, unless there are none or no more.
    pub alarm: Option<Alarm>,
    /// Whether a doctor has looked at the latest values.
    pub is_reviewed: bool,
}

impl LabResult {
    /// Whether critical values wait for somebody to acknowledge them.
    pub fn is_alarming(&self) -> bool {
        self.alarm.as_ref().is_some_and(|it| !it.is_acknowledged)
    }

    /// What is to be done with the result.
    pub fn status(&self) -> Status {
        status_of(self.result_status, self.is_alarming(), self.is_reviewed)
    }
}

/// What is to be done with a result.
pub fn status_of(result_status: ResultStatus, is_alarming: bool, is_reviewed: bool) -> Status {
    match result_status {
        ResultStatus::Wrong => Status::Pending,
        ResultStatus::CannotBeDone => Status::Completed,
        _ if is_alarming => Status::Critical,
        ResultStatus::Preliminary => Status::InProgress,
        ResultStatus::Final | ResultStatus::Corrected if is_reviewed => Status::Reviewed,
        ResultStatus::Final | ResultStatus::Corrected => Status::Completed,
    }
}

/// The id of the row of a component in one revision of a result.
pub fn component_row(result: Uuid, revision: i32, code: &str) -> Uuid {
    derived_row(result, &[&revision.to_string(), code])
}

/// What can happen to a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The first values were recorded, preliminary or final ones.
    Recorded(Box<Recorded>),
    /// The preliminary values became final, or other values replaced them.
    Finalised {
        /// The patient.
        patient_id: PatientId,
        /// The final values, if they are not the preliminary ones.
        revision: Option<Revision>,
    },
    /// The values turned out to be wrong, and others replaced them.
    Corrected {
        /// The patient.
        patient_id: PatientId,
        /// The right values.
        revision: Revision,
        /// What was wrong.
        reason: Personal<Reason>,
    },
    /// The result does not count: the test cannot be done, or the values are of another patient or specimen.
    Withdrawn {
        /// How far the result is now.
        result_status: ResultStatus,
        /// Why the result does not count, as a code.
        reason_code: WithdrawalCode,
        /// Why the result does not count, in words.
        reason: Option<Personal<Reason>>,
    },
    /// A doctor looked at the latest values.
    Reviewed {
        /// The doctor.
        reviewed_by: UserId,
        /// What the doctor says of the values.
        comment: Option<Personal<LongText>>,
    },
    /// Values are critical: somebody has to be told at once.
    CriticalRaised {
        /// The revision with the critical values.
        revision: i32,
        /// The LOINC codes of the critical components.
        codes: Vec<Text<20>>,
        /// When the alarm was raised.
        raised_at: DateTime<Utc>,
    },
    /// People are to be told of the critical values, since nobody has acknowledged them so far.
    CriticalEscalated {
        /// The revision with the critical values.
        revision: i32,
        /// When the alarm was raised.
        raised_at: DateTime<Utc>,
        /// How far the alarm has gone: 0 at once, and one more each time.
        level: i32,
        /// The users who are to be told.
        recipients: BTreeSet<UserId>,
    },
    /// Somebody was told of the critical values and read them back.
    CriticalAcknowledged {
        /// Who acknowledged the values.
        acknowledged_by: UserId,
        /// What this person says of the values, or does about them.
        note: Option<Personal<LongText>>,
    },
    /// The values are no longer critical, or no longer count.
    CriticalWithdrawn {
        /// The users who were told of the values, and are to be told that these do not count.
        told: BTreeSet<UserId>,
    },
}

/// The result as it was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The patient.
    pub patient_id: PatientId,
    /// The order.
    pub lab_order_id: LabOrderId,
    /// The item of the order.
    pub item_id: LabOrderItemId,
    /// The test.
    pub lab_test_id: LabTestId,
    /// The LOINC code of the test.
    pub test_code: Text<20>,
    /// The name of the test.
    pub test_name: Name<200>,
    /// The specimen that was examined, if one was named.
    pub specimen_id: Option<SpecimenId>,
    /// When the specimen was taken; when the test was performed, if no specimen was named.
    pub taken_at: DateTime<Utc>,
    /// Whether the values are preliminary or final.
    pub result_status: ResultStatus,
    /// The values.
    pub components: Vec<ComponentResult>,
    /// The user who performed the test, if this is known.
    pub performed_by: Option<UserId>,
    /// When the test was performed.
    pub performed_at: DateTime<Utc>,
    /// How the test was performed.
    pub method: Option<Text<50>>,
    /// Notes on the result.
    pub notes: Option<Personal<LongText>>,
}

impl LabResult {
    fn recorded(it: &Recorded) -> Self {
        Self {
            patient_id: it.patient_id,
            lab_order_id: it.lab_order_id,
            item_id: it.item_id,
            lab_test_id: it.lab_test_id,
            specimen_id: it.specimen_id,
            taken_at: it.taken_at,
            result_status: it.result_status,
            revision: Revision { number: 1, components: it.components.clone() },
            alarm: None,
            is_reviewed: false,
        }
    }

    fn raised(mut self, revision: i32, codes: &[Text<20>], raised_at: DateTime<Utc>) -> Self {
        let values = self.revision.components.iter().filter(|it| codes.contains(&it.code)).cloned().collect();
        // Who was told of earlier critical values is told, too, when the values turn out to be harmless.
        let told = self.alarm.take().map(|it| it.told).unwrap_or_default();
        Self { alarm: Some(Alarm { revision, values, raised_at, level: None, is_acknowledged: false, told }), ..self }
    }

    fn with_alarm(mut self, change: impl FnOnce(&mut Alarm)) -> Self {
        if let Some(alarm) = &mut self.alarm {
            change(alarm);
        }
        self
    }
}

impl Aggregate for LabResult {
    const STREAM: &'static str = "lab_result";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Recorded(it) => Some(Self::recorded(it)),
            Event::Finalised { patient_id: _, revision } => state.map(|it| {
                let revision = revision.clone().unwrap_or_else(|| it.revision.clone());
                Self { result_status: ResultStatus::Final, revision, ..it }
            }),
            Event::Corrected { patient_id: _, revision, reason: _ } => state.map(|it| Self {
                result_status: ResultStatus::Corrected,
                revision: revision.clone(),
                is_reviewed: false,
                ..it
            }),
            Event::Withdrawn { result_status, reason_code: _, reason: _ } => {
                state.map(|it| Self { result_status: *result_status, is_reviewed: false, ..it })
            }
            Event::Reviewed { reviewed_by: _, comment: _ } => state.map(|it| Self { is_reviewed: true, ..it }),
            Event::CriticalRaised { revision, codes, raised_at } => {
                state.map(|it| it.raised(*revision, codes, *raised_at))
            }
            Event::CriticalEscalated { revision: _, raised_at: _, level, recipients } => state.map(|it| {
                it.with_alarm(|alarm| {
                    alarm.level = Some(*level);
                    alarm.told.extend(recipients);
                })
            }),
            Event::CriticalAcknowledged { acknowledged_by, note: _ } => state.map(|it| {
                let values = critical(&it.revision.components).into_iter().cloned().collect();
                it.with_alarm(|alarm| {
                    alarm.is_acknowledged = true;
                    // A correction before somebody acknowledged the alarm did not raise it again.
                    alarm.values = values;
                    alarm.told.insert(*acknowledged_by);
                })
            }),
            Event::CriticalWithdrawn { told: _ } => state.map(|it| Self { alarm: None, ..it }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
