//! Laboratory orders: the tests that are ordered for a patient, the specimens that are taken for the tests, and how far
//! the laboratory is (FHIR R4 `ServiceRequest`, `Specimen`; HL7 v2 ORM and OML).

mod progress;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LabOrderNumber, LongText, Measured, Reason, SpecimenNumber, Text};
use crate::{
    Aggregate, ConsultationId, DiagnosisId, LabOrderItemId, LabResultId, LabTestId, PatientId, Personal, SpecimenId,
    Subject, UserId, described, terms,
};

terms! {
    /// The status of an order, which follows from its items and specimens.
    pub enum Status {
        Ordered = "ordered",
        Collected = "collected",
        InProgress = "in_progress",
        Completed = "completed",
        Cancelled = "cancelled",
    }

    /// The status of one ordered test.
    pub enum ItemStatus {
        Ordered = "ordered",
        Collected = "collected",
        InProgress = "in_progress",
        Resulted = "resulted",
        Cancelled = "cancelled",
    }

    /// The status of a specimen.
    pub enum SpecimenStatus {
        Collected = "collected",
        Received = "received",
        Rejected = "rejected",
    }

    /// How urgent an order is. `stat` goes before everything else.
    pub enum Priority {
        Low = "low",
        Normal = "normal",
        High = "high",
        Urgent = "urgent",
        Stat = "stat",
    }

    /// Why the laboratory cannot use a specimen (HL7 table 0490, in words).
    pub enum RejectionCode {
        Hemolyzed = "hemolyzed",
        Clotted = "clotted",
        Insufficient = "insufficient",
        Mislabelled = "mislabelled",
        Leaking = "leaking",
        WrongContainer = "wrong_container",
        TooOld = "too_old",
        Lost = "lost",
    }

    /// Why a test is added to an order: a further wish of the orderer, or what the result of another test demands.
    pub enum Addition {
        AddOn = "add_on",
        Reflex = "reflex",
    }
}

described! {
    /// One test that is ordered.
    pub struct OrderedTest {
        /// The id of the new item; issued by the server if left out.
        pub item_id: Option<LabOrderItemId>,
        /// The test.
        pub lab_test_id: LabTestId,
        /// The diagnoses of the same patient for which the test is ordered: at most 20.
        #[serde(default)]
        pub diagnosis_ids: Vec<DiagnosisId>,
        /// Notes for the laboratory on this test.
        pub notes: Option<Personal<LongText>>,
    }

    /// What is said of an order as a whole.
    pub struct Details {
        /// The consultation that leads to the order.
        pub consultation_id: Option<ConsultationId>,
        /// How urgent the order is; `normal` if left out.
        #[serde(default = "normal")]
        pub priority: Priority,
        /// Whether the patient has to be fasting when the specimen is taken.
        #[serde(default)]
        pub fasting: bool,
        /// What the laboratory should know of the patient: symptoms, therapy, the question behind the order.
        pub clinical_information: Option<Personal<LongText>>,
        /// When the specimen is to be taken; as soon as possible if left out.
        pub scheduled_for: Option<DateTime<Utc>>,
        /// Notes for the laboratory.
        pub notes: Option<Personal<LongText>>,
    }
}

fn normal() -> Priority {
    Priority::Normal
}

/// A new line of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewItem {
    /// The id of the line.
    pub id: LabOrderItemId,
    /// The test.
    pub lab_test_id: LabTestId,
    /// The diagnoses for which the test is ordered.
    pub diagnosis_ids: Vec<DiagnosisId>,
    /// Notes for the laboratory on this test.
    pub notes: Option<Personal<LongText>>,
}

impl OrderedTest {
    /// The line for the test. `issued` is its id, unless the test names one.
    pub fn into_item(self, issued: LabOrderItemId) -> NewItem {
        let Self { item_id, lab_test_id, diagnosis_ids, notes } = self;
        NewItem { id: item_id.unwrap_or(issued), lab_test_id, diagnosis_ids, notes }
    }
}

/// One line of an order, and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The id of the line.
    pub id: LabOrderItemId,
    /// The test.
    pub lab_test_id: LabTestId,
    /// The status, which follows from the other fields and from the specimens.
    pub status: ItemStatus,
    /// The result, preliminary or final; `None` before, and after the result was withdrawn.
    pub lab_result_id: Option<LabResultId>,
    /// Whether the result is final.
    pub is_final: bool,
    /// Whether the line was cancelled.
    pub is_cancelled: bool,
}

impl Item {
    /// Whether the test is still to be done: the line was not cancelled, and has no final result.
    pub fn is_open(&self) -> bool {
        !self.is_final && !self.is_cancelled
    }
}

/// What was taken from the patient in one container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Specimen {
    /// The number on the label, issued by this hospital.
    pub number: SpecimenNumber,
    /// The kind of specimen (HL7 table 0487).
    pub specimen_type: Text<20>,
    /// When the specimen was taken.
    pub collected_at: DateTime<Utc>,
    /// The user who took the specimen, if this is known.
    pub collected_by: Option<UserId>,
    /// The status of the specimen.
    pub status: SpecimenStatus,
    /// The lines of the order for which the specimen was taken.
    pub item_ids: BTreeSet<LabOrderItemId>,
}

impl Specimen {
    /// Whether the laboratory can use the specimen: it was not rejected.
    pub fn is_usable(&self) -> bool {
        self.status != SpecimenStatus::Rejected
    }
}

/// What a doctor asked of the laboratory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabOrder {
    /// The number of the order, issued by this hospital.
    pub number: LabOrderNumber,
    /// The patient.
    pub patient_id: PatientId,
    /// The provider who ordered the tests.
    pub provider_id: UserId,
    /// The consultation that led to the order.
    pub consultation_id: Option<ConsultationId>,
    /// How urgent the order is.
    pub priority: Priority,
    /// The status, which follows from the items and specimens.
    pub status: Status,
    /// The ordered tests.
    pub items: Vec<Item>,
    /// The specimens.
    pub specimens: BTreeMap<SpecimenId, Specimen>,
}

/// The statuses after an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct After {
    /// The status of the order.
    pub status: Status,
    /// The lines whose status changed.
    pub items: Vec<ItemAfter>,
}

/// The status of a line after an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemAfter {
    /// The line.
    pub item_id: LabOrderItemId,
    /// The new status.
    pub status: ItemStatus,
}

/// What can happen to an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The tests were ordered.
    Placed(Box<Placed>),
    /// A further test was ordered.
    ItemAdded(Box<ItemAdded>),
    /// A test is not done.
    ItemCancelled {
        /// The line.
        item_id: LabOrderItemId,
        /// Why the test is not done.
        reason: Option<Personal<Reason>>,
        /// The statuses afterwards.
        after: After,
    },
    /// A specimen was taken from the patient.
    SpecimenCollected(Box<SpecimenCollected>),
    /// A specimen arrived in the laboratory.
    SpecimenReceived {
        /// The specimen.
        specimen_id: SpecimenId,
        /// The statuses afterwards.
        after: After,
    },
    /// The laboratory cannot use a specimen.
    SpecimenRejected {
        /// The specimen.
        specimen_id: SpecimenId,
        /// Why the specimen cannot be used.
        reason_code: RejectionCode,
        /// What else is to be said.
        note: Option<Personal<Text<200>>>,
        /// The statuses afterwards.
        after: After,
    },
    /// A test has a result.
    ItemResulted {
        /// The line.
        item_id: LabOrderItemId,
        /// The result.
        lab_result_id: LabResultId,
        /// Whether the result is final, and not preliminary.
        is_final: bool,
        /// The statuses afterwards.
        after: After,
    },
    /// The result of a test was withdrawn, so that the test is to be done again.
    ItemReopened {
        /// The line.
        item_id: LabOrderItemId,
        /// The statuses afterwards.
        after: After,
    },
    /// The whole order was cancelled.
    Cancelled {
        /// Why the order was cancelled.
        reason: Personal<Reason>,
        /// The statuses afterwards.
        after: After,
    },
}

/// The order as it was placed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// The number of the order.
    pub number: LabOrderNumber,
    /// The patient.
    pub patient_id: PatientId,
    /// The provider who ordered the tests.
    pub provider_id: UserId,
    /// What is said of the order as a whole.
    pub details: Details,
    /// Whether the order was made for results that nobody had ordered here.
    pub is_unsolicited: bool,
    /// The tests.
    pub items: Vec<NewItem>,
}

/// A test that was ordered later than the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemAdded {
    /// The patient.
    pub patient_id: PatientId,
    /// The line and the test.
    pub item: NewItem,
    /// The number of the line in the order, from 1.
    pub line_number: i32,
    /// Why the test was added.
    pub reason: Addition,
    /// The specimens of the order that will do for the test, too.
    pub specimen_ids: Vec<SpecimenId>,
    /// The statuses afterwards.
    pub after: After,
}

/// A specimen as it was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecimenCollected {
    /// The specimen.
    pub specimen_id: SpecimenId,
    /// The number on the label.
    pub number: SpecimenNumber,
    /// The patient.
    pub patient_id: PatientId,
    /// The lines of the order for which the specimen was taken.
    pub item_ids: BTreeSet<LabOrderItemId>,
    /// The kind of specimen (HL7 table 0487).
    pub specimen_type: Text<20>,
    /// When the specimen was taken.
    pub collected_at: DateTime<Utc>,
    /// The day on which the specimen was taken, in the time zone of whoever recorded it.
    pub collection_date: NaiveDate,
    /// The time at which the specimen was taken, in the same time zone.
    pub collection_time: NaiveTime,
    /// The user who took the specimen; `None` if this is not known.
    pub collected_by: Option<UserId>,
    /// The part of the body from which the specimen was taken.
    pub body_site: Option<Text<100>>,
    /// The volume in millilitres.
    pub volume_ml: Option<Measured>,
    /// The statuses afterwards.
    pub after: After,
}

impl Aggregate for LabOrder {
    const STREAM: &'static str = "lab_order";
    const STATE_VERSION: i32 = 2;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let changed = |change: &dyn Fn(&mut Self)| {
            state.map(|mut order| {
                change(&mut order);
                order.settle();
                order
            })
        };
        match event {
            Event::Placed(it) => Some(Self::placed(it)),
            Event::ItemAdded(it) => changed(&|order| order.add(it)),
            Event::ItemCancelled { item_id, reason: _, after: _ } => {
                changed(&|order| order.change_item(*item_id, |item| item.is_cancelled = true))
            }
            Event::SpecimenCollected(it) => changed(&|order| order.collect(it)),
            Event::SpecimenReceived { specimen_id, after: _ } => {
                changed(&|order| order.move_specimen(*specimen_id, SpecimenStatus::Received))
            }
            Event::SpecimenRejected { specimen_id, reason_code: _, note: _, after: _ } => {
                changed(&|order| order.move_specimen(*specimen_id, SpecimenStatus::Rejected))
            }
            Event::ItemResulted { item_id, lab_result_id, is_final, after: _ } => changed(&|order| {
                order.change_item(*item_id, |item| {
                    item.lab_result_id = Some(*lab_result_id);
                    item.is_final = *is_final;
                });
            }),
            Event::ItemReopened { item_id, after: _ } => changed(&|order| {
                order.change_item(*item_id, |item| {
                    item.lab_result_id = None;
                    item.is_final = false;
                });
            }),
            Event::Cancelled { reason: _, after: _ } => {
                changed(&|order| order.items.iter_mut().for_each(|item| item.is_cancelled = true))
            }
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
