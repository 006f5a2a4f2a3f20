//! What people are told of results: that a result can be read, and of critical values.

use std::collections::BTreeSet;

use hims_domain::lab_order::LabOrder;
use hims_domain::lab_result::{Comparator, ComponentResult, Flag, LabResult, ResultStatus, critical};
use hims_domain::lab_test::LabTest;
use hims_domain::notification::{NotificationType, Priority};
use hims_domain::{LabResultId, UserId};
use serde::Deserialize;

use crate::notification::{Notice, Telling};
use crate::patient::{named, reads_person, survivor};
use crate::{Found, Reads};

/// How many people one notice of critical values goes to. More people get several notices.
const PEOPLE: usize = 100;

/// Who is told that a result can be read.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) enum Reader {
    /// The provider who ordered the test.
    Provider,
    /// The patient, who sees results from the moment on in which they are final.
    Patient,
}

/// Tells somebody that a result is final or was corrected, as long as it counts.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfResult {
    pub(crate) lab_result_id: LabResultId,
    /// The position of the event with which the result became final, or was corrected.
    pub(crate) position: i64,
    pub(crate) reader: Reader,
}

/// Tells people of critical values, as long as nobody has acknowledged them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfCriticalValues {
    pub(crate) lab_result_id: LabResultId,
    /// The revision that raised the alarm.
    pub(crate) revision: i32,
    /// How far the alarm has gone.
    pub(crate) level: i32,
    /// Whom the alarm names, or a part of them.
    pub(crate) people: BTreeSet<UserId>,
    /// Which part of the people it is, from 0.
    pub(crate) part: usize,
}

/// Tells everybody who was told of critical values that these do not count any more.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TellOfWithdrawnValues {
    pub(crate) lab_result_id: LabResultId,
    /// The position of the event that ended the alarm. Each alarm of a result ends once.
    pub(crate) position: i64,
    /// Who was told, or a part of them.
    pub(crate) people: BTreeSet<UserId>,
    /// Which part of the people it is, from 0.
    pub(crate) part: usize,
}

/// People in parts that a notice may go to, each with its number from 0.
pub(crate) fn in_parts(people: &BTreeSet<UserId>) -> impl Iterator<Item = (usize, BTreeSet<UserId>)> {
    let people: Vec<_> = people.iter().copied().collect();
    let parts: Vec<BTreeSet<_>> = people.chunks(PEOPLE).map(|part| part.iter().copied().collect()).collect();
    parts.into_iter().enumerate()
}

/// What a notice says of a result: the test, the order and the patient.
struct Words<'a> {
    result: &'a LabResult,
    order: &'a LabOrder,
    test: &'a str,
    patient: String,
}

impl<'a> Words<'a> {
    fn reads(id: LabResultId, found: &Found) -> Reads {
        let reads = Reads::nothing().stream::<LabResult>(id);
        let Some(result) = found.get::<LabResult>(id) else { return reads };
        let reads = reads.stream::<LabOrder>(result.lab_order_id).stream::<LabTest>(result.lab_test_id);
        reads_person(reads, result.patient_id, found)
    }

    fn of(id: LabResultId, found: &'a Found) -> Option<Self> {
        let result = found.get::<LabResult>(id)?;
        let order = found.get::<LabOrder>(result.lab_order_id)?;
        let test = found.get::<LabTest>(result.lab_test_id)?.definition.name.as_str();
        let patient = survivor(result.patient_id, found).map(named).unwrap_or_default();
        Some(Self { result, order, test, patient })
    }
}

/// A critical component in words, such as `Potassium: 6.9 mmol/L (critically high)`.
fn written(component: &ComponentResult) -> String {
    let comparator = component.comparator.map_or("", Comparator::as_str);
    let value = component.value.map(|it| it.to_string()).unwrap_or_default();
    let unit = component.unit.as_ref().map(|it| format!(" {}", it.as_str())).unwrap_or_default();
    let how = if component.flag == Some(Flag::CriticalLow) { "critically low" } else { "critically high" };
    format!("{}: {comparator}{value}{unit} ({how})", component.name.as_str())
}

/// A notice of a result, with the link to it.
fn notice(about: NotificationType, occasion: &str, id: LabResultId, (title, message): (&str, &str)) -> Notice {
    let path = format!("/lab-results/{id}");
    Notice::of(about, occasion, title, message).leading_to(&path, "Show the result")
}

impl Telling for TellOfResult {
    const NAME: &'static str = "tell-of-result";

    fn occasion(&self) -> String {
        let to = match self.reader {
            Reader::Provider => "provider",
            Reader::Patient => "patient",
        };
        format!("result {} {} {to}", self.lab_result_id, self.position)
    }

    fn reads(&self, found: &Found) -> Reads {
        Words::reads(self.lab_result_id, found)
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let Words { result, order, test, patient } = Words::of(self.lab_result_id, found)?;
        let became = match result.result_status {
            ResultStatus::Final => "is final",
            ResultStatus::Corrected => "was corrected",
            ResultStatus::Preliminary | ResultStatus::CannotBeDone | ResultStatus::Wrong => return None,
        };
        let number = &order.number.0;
        let (title, message) = match self.reader {
            Reader::Provider => {
                let is_abnormal = |it: &ComponentResult| it.flag.is_some_and(|flag| flag != Flag::Normal);
                let abnormal = result.revision.components.iter().any(is_abnormal);
                let values = if abnormal { " Some values are not normal." } else { "" };
                ("A result can be read", format!("{test} of {patient}, order {number}, {became}.{values}"))
            }
            Reader::Patient => ("Your result can be read", format!("The result of {test} (order {number}) {became}.")),
        };
        let about = NotificationType::ResultAvailable;
        let notice = notice(about, &self.occasion(), self.lab_result_id, (title, &message)).about(result.patient_id);
        Some(match self.reader {
            Reader::Provider => notice.to_user(order.provider_id),
            Reader::Patient => notice.to_patient(result.patient_id),
        })
    }
}

impl Telling for TellOfCriticalValues {
    const NAME: &'static str = "tell-of-critical-values";

    fn occasion(&self) -> String {
        let Self { lab_result_id, revision, level, people: _, part } = self;
        format!("result {lab_result_id} critical {revision} level {level} part {part}")
    }

    fn reads(&self, found: &Found) -> Reads {
        Words::reads(self.lab_result_id, found)
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let Words { result, order, test, patient } = Words::of(self.lab_result_id, found)?;
        result.alarm.as_ref().filter(|it| !it.is_acknowledged && it.revision == self.revision)?;
        let values: Vec<_> = critical(&result.revision.components).into_iter().map(written).collect();
        let message = format!(
            "{test} of {patient}, order {}: {}. Read the values back and acknowledge them.",
            order.number.0,
            values.join("; ")
        );
        let words = ("A critical value waits for you", message.as_str());
        let notice = notice(NotificationType::CriticalResult, &self.occasion(), self.lab_result_id, words)
            .about(result.patient_id)
            .with_priority(Priority::Urgent);
        Some(self.people.iter().fold(notice, |notice, id| notice.to_user(*id)))
    }
}

impl Telling for TellOfWithdrawnValues {
    const NAME: &'static str = "tell-of-withdrawn-values";

    fn occasion(&self) -> String {
        format!("result {} withdrawn {} part {}", self.lab_result_id, self.position, self.part)
    }

    fn reads(&self, found: &Found) -> Reads {
        Words::reads(self.lab_result_id, found)
    }

    fn notice(&self, found: &Found) -> Option<Notice> {
        let Words { result, order, test, patient } = Words::of(self.lab_result_id, found)?;
        let message = format!(
            "The critical values of {test} of {patient}, order {}, of which you were told, do not count. Look at the \
             result.",
            order.number.0
        );
        let words = ("A critical value was withdrawn", message.as_str());
        let notice = notice(NotificationType::CriticalWithdrawn, &self.occasion(), self.lab_result_id, words)
            .about(result.patient_id)
            .with_priority(Priority::Urgent);
        Some(self.people.iter().fold(notice, |notice, id| notice.to_user(*id)))
    }
}
