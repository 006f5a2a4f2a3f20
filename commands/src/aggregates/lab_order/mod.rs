//! Laboratory orders: ordering tests, adding and cancelling tests, and the specimens.

mod adding;
mod placing;
mod specimens;
mod telling;

use std::collections::BTreeSet;
use std::fmt::Display;

use hims_domain::consultation::Consultation;
use hims_domain::lab_order::{After, Event, Item, LabOrder, OrderedTest, Status};
use hims_domain::lab_test::LabTest;
use hims_domain::permission::{Read, Update};
use hims_domain::values::Reason;
use hims_domain::{Invalid, LabOrderId, LabOrderItemId, LabTestId, PatientId, Personal, described};
use uuid::Uuid;

pub use adding::AddLabOrderItem;
pub use placing::PlaceLabOrder;
pub use specimens::{CollectSpecimen, ReceiveSpecimen, RejectSpecimen};
pub(crate) use telling::TellOfRejectedSpecimen;

use super::patient::records_of;
use super::treatment::check_diagnosis;
use crate::access::CHART_WORDS;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Kind, Permission, Reads, Refused, Registry, Target,
    refuse, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<PlaceLabOrder>()
        .add::<AddLabOrderItem>()
        .add::<CancelLabOrderItem>()
        .add::<CancelLabOrder>()
        .add::<CollectSpecimen>()
        .add::<ReceiveSpecimen>()
        .add::<RejectSpecimen>();
}

refusals! {
    InactiveTest = Conflict, "inactive-test", "a test is out of use; order another";
    NoSuchItem = Rule, "no-such-item", "the order has no item with this id";
    NoSuchSpecimen = Rule, "no-such-specimen", "the order has no specimen with this id";
    HasFinalResult = Conflict, "wrong-status",
        "a test with a final result cannot be cancelled; the laboratory can correct or withdraw the result";
    NothingToCollect = Conflict, "nothing-to-collect",
        "every open test has a specimen; name the tests in item_ids to take another one for them";
}

described! {
    /// Cancels one test of an order, for which there is no final result yet.
    pub struct CancelLabOrderItem {
        /// Which order.
        pub lab_order_id: LabOrderId,
        /// Which item of the order.
        pub item_id: LabOrderItemId,
        /// Why the test is not done.
        pub reason: Personal<Reason>,
    }

    /// Cancels an order of which no test has a final result yet.
    pub struct CancelLabOrder {
        /// Which order.
        pub lab_order_id: LabOrderId,
        /// Why the order is cancelled.
        pub reason: Personal<Reason>,
    }
}

impl Claims for LabOrder {
    /// The numbers of the order and of its specimens are unique, and so are the ids of items and specimens. The tests
    /// that are still to be done are found by patient and test.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take(scopes::LAB_ORDER_NUMBER, self.number.0.as_str());
        for (id, specimen) in &self.specimens {
            held.take(scopes::SPECIMEN, id.to_string()).take(scopes::SPECIMEN_NUMBER, specimen.number.0.as_str());
        }
        for item in &self.items {
            held.take(scopes::LAB_ORDER_ITEM, item.id.to_string());
        }
        for item in self.items.iter().filter(|it| it.is_open()) {
            held.share(scopes::LAB_PENDING, pending_key(self.patient_id, item.lab_test_id));
        }
    }

    fn is_hidden_from(&self, caller: &Caller) -> bool {
        is_hidden(self.patient_id, caller)
    }
}

/// Whether a caller may not read the laboratory orders and results of a patient. The readers are those of the rows in the
/// read tables. Whether somebody with the word `assigned_patients` reads the patient depends on visits, which an order
/// does not know.
pub(crate) fn is_hidden(patient_id: PatientId, caller: &Caller) -> bool {
    let is_read =
        CHART_WORDS.iter().any(|it| caller.reads(*it)) || caller.reads(Read::LabOrders) || caller.reads_own(patient_id);
    !is_read
}

/// The key by which the orders are found in which a test is still to be done for a patient.
fn pending_key(patient_id: PatientId, lab_test_id: LabTestId) -> String {
    scopes::key(&[&patient_id.to_string(), &lab_test_id.to_string()])
}

/// Whether something is still to be done for an order.
fn is_under_way(status: Status) -> bool {
    matches!(status, Status::Ordered | Status::Collected | Status::InProgress)
}

/// A refusal because the status of a part of an order does not allow the command.
fn wrong_part(part: &str, status: impl Display) -> Refused {
    let detail = format!("the {part} is {status}, which does not allow the command");
    Refused::new(Kind::Conflict, "wrong-status", detail)
}

/// The item of an order that a request names.
fn item_of(order: &LabOrder, id: LabOrderItemId) -> Result<&Item, Refused> {
    order.item(id).ok_or_else(|| Refusal::NoSuchItem.into())
}

/// Also looks up a test that a request names, and the diagnoses for which the test is ordered.
fn reads_test(reads: Reads, test: &OrderedTest) -> Reads {
    let reads = reads.stream::<LabTest>(test.lab_test_id);
    test.diagnosis_ids.iter().fold(reads, |reads, id| reads.owners::<Consultation>(scopes::DIAGNOSIS, id.to_string()))
}

/// Also looks up the orders in which a test is still to be done, for any of the patient's records.
fn reads_pending(reads: Reads, patient_id: PatientId, test: &OrderedTest, found: &Found) -> Reads {
    let keys = records_of(patient_id, found).into_iter().map(|it| pending_key(it, test.lab_test_id));
    keys.fold(reads, |reads, key| reads.holders(scopes::LAB_PENDING, key))
}

/// Checks one test that is ordered: the test is in use, and the diagnoses are of the patient.
fn check_test<'a>(
    test: &OrderedTest,
    at: &str,
    patient_id: PatientId,
    ctx: &'a Context<'_>,
) -> Result<&'a LabTest, Refused> {
    const DIAGNOSES: usize = 20;
    let known = ctx.named::<LabTest>(test.lab_test_id, &format!("{at}/lab_test_id"))?;
    if !known.is_active {
        return refuse(Refusal::InactiveTest);
    }
    if test.diagnosis_ids.len() > DIAGNOSES {
        let message = format!("give at most {DIAGNOSES} diagnoses");
        return Err(Refused::field("invalid-fields", &format!("{at}/diagnosis_ids"), message));
    }
    for (index, id) in test.diagnosis_ids.iter().enumerate() {
        check_diagnosis(*id, &format!("{at}/diagnosis_ids/{index}"), patient_id, ctx)?;
    }
    Ok(known)
}

/// Collects the tests that are still to be done for the patient already.
#[derive(Default)]
struct Duplicates {
    errors: Vec<Invalid>,
    candidates: BTreeSet<Uuid>,
}

impl Duplicates {
    /// Looks for orders in which a test is still to be done.
    fn look(&mut self, patient_id: PatientId, test: &OrderedTest, at: &str, ctx: &Context<'_>) {
        let keys = records_of(patient_id, ctx.found).into_iter().map(|it| pending_key(it, test.lab_test_id));
        let orders: Vec<_> = keys.flat_map(|key| ctx.found.holders(scopes::LAB_PENDING, key)).copied().collect();
        if !orders.is_empty() {
            self.candidates.extend(orders);
            self.add(at, "the test is still to be done in an order of the patient; see candidates");
        }
    }

    fn add(&mut self, at: &str, message: &str) {
        self.errors.push(Invalid::coded("possible-duplicate", format!("{at}/lab_test_id"), message));
    }

    /// Asks back if there are such tests.
    fn none(self) -> Result<(), Refused> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let detail = "tests are ordered for the patient already; look at the orders, or repeat with \
                      confirm_not_duplicate if they are to be done once more";
        let candidates = self.candidates.into_iter().collect();
        let asked = Refused::new(Kind::Conflict, "possible-duplicate", detail);
        Err(Refused { errors: self.errors, candidates, ..asked })
    }
}

impl Command for CancelLabOrderItem {
    const NAME: &'static str = "cancel-lab-order-item";
    const PERMISSION: Permission = Permission::Update(Update::LabOrderStatus);
    type Aggregate = LabOrder;

    fn target(&self) -> Target {
        Target::existing(self.lab_order_id)
    }

    fn follows_on(state: &LabOrder) -> bool {
        state.items.iter().any(Item::is_open)
    }

    fn decide(self, state: Option<&LabOrder>, _: &Context<'_>) -> Result<Decision<LabOrder>, Refused> {
        let order = existing(state)?;
        match item_of(order, self.item_id)? {
            it if it.is_cancelled => Ok(Decision::nothing()),
            it if it.is_final => refuse(Refusal::HasFinalResult),
            _ => Ok(Decision::event(order.item_cancelled(self.item_id, Some(self.reason)))),
        }
    }
}

impl Command for CancelLabOrder {
    const NAME: &'static str = "cancel-lab-order";
    const PERMISSION: Permission = Permission::Update(Update::LabOrderStatus);
    type Aggregate = LabOrder;

    fn target(&self) -> Target {
        Target::existing(self.lab_order_id)
    }

    fn follows_on(state: &LabOrder) -> bool {
        is_under_way(state.status) && !state.items.iter().any(|it| it.is_final)
    }

    fn decide(self, state: Option<&LabOrder>, _: &Context<'_>) -> Result<Decision<LabOrder>, Refused> {
        let order = existing(state)?;
        match order.status {
            Status::Cancelled => Ok(Decision::nothing()),
            status @ Status::Completed => Err(Refused::wrong_status::<LabOrder>(status)),
            _ if order.items.iter().any(|it| it.is_final) => refuse(Refusal::HasFinalResult),
            Status::Ordered | Status::Collected | Status::InProgress => {
                let after = After::unknown();
                Ok(Decision::event(order.followed_up(Event::Cancelled { reason: self.reason, after })))
            }
        }
    }
}

#[cfg(test)]
mod tests;
