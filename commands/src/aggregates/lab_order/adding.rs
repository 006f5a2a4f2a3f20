use hims_domain::lab_order::{Addition, After, Event, ItemAdded, LabOrder, OrderedTest, Status};
use hims_domain::lab_test::LabTest;
use hims_domain::permission::{Create, Read};
use hims_domain::values::LongText;
use hims_domain::{DiagnosisId, LabOrderId, LabOrderItemId, LabTestId, Personal, SpecimenId, described};

use super::{CancelLabOrderItem, Duplicates, check_test, reads_pending, reads_test};
use crate::aggregates::patient::{check_alive, reads_person};
use crate::machinery::command::existing;
use crate::{Caller, Command, Context, Decision, Found, Permission, Reads, Refused, Target};

/// The largest number of lines of an order.
const LINES: usize = 100;

described! {
    /// Orders a further test in an order, also in one that is completed. A specimen of the order that is of the kind
    /// that the test needs, and was not rejected, is used for the test, too.
    pub struct AddLabOrderItem {
        /// Which order.
        pub lab_order_id: LabOrderId,
        /// The id of the new item; issued by the server if left out.
        pub item_id: Option<LabOrderItemId>,
        /// The test.
        pub lab_test_id: LabTestId,
        /// The diagnoses of the same patient for which the test is ordered: at most 20.
        #[serde(default)]
        pub diagnosis_ids: Vec<DiagnosisId>,
        /// Notes for the laboratory on this test.
        pub notes: Option<Personal<LongText>>,
        /// Why the test is added. Whoever may record results may add a reflex test.
        pub reason: Addition,
        /// Confirms that the test is to be done though it is ordered already.
        #[serde(default)]
        pub confirm_not_duplicate: bool,
    }
}

impl AddLabOrderItem {
    /// The test that is ordered.
    fn test(&self) -> OrderedTest {
        let Self { item_id, lab_test_id, diagnosis_ids, notes, .. } = self.clone();
        OrderedTest { item_id, lab_test_id, diagnosis_ids, notes }
    }
}

/// The specimens of an order that will do for a test, too.
fn usable_for(test: &LabTest, order: &LabOrder) -> Vec<SpecimenId> {
    let Some(needed) = &test.definition.specimen_type else { return Vec::new() };
    let usable = order.specimens.iter().filter(|(_, it)| it.is_usable());
    usable
        .filter(|(_, it)| it.specimen_type.as_str().eq_ignore_ascii_case(needed.as_str()))
        .map(|(id, _)| *id)
        .collect()
}

impl Command for AddLabOrderItem {
    const NAME: &'static str = "add-lab-order-item";
    const PERMISSION: Permission = Permission::Create(Create::LabOrders);
    const REVERSED_BY: Option<&'static str> = Some(CancelLabOrderItem::NAME);
    type Aggregate = LabOrder;

    fn target(&self) -> Target {
        Target::existing(self.lab_order_id)
    }

    fn or_permission(&self) -> Option<Permission> {
        (self.reason == Addition::Reflex).then_some(Permission::Create(Create::LabResults))
    }

    fn follows_on(state: &LabOrder) -> bool {
        state.status != Status::Cancelled
    }

    fn probes_a_secret(&self, caller: &Caller) -> bool {
        !self.confirm_not_duplicate && !caller.reads_all_charts() && !caller.reads(Read::LabOrders)
    }

    fn reads(&self, state: Option<&LabOrder>, found: &Found) -> Reads {
        let reads = reads_test(Reads::nothing(), &self.test());
        let Some(order) = state else { return reads };
        let reads = reads_person(reads, order.patient_id, found);
        if self.confirm_not_duplicate { reads } else { reads_pending(reads, order.patient_id, &self.test(), found) }
    }

    fn decide(self, state: Option<&LabOrder>, ctx: &Context<'_>) -> Result<Decision<LabOrder>, Refused> {
        let order = existing(state)?;
        let ordered = self.test();
        if self.item_id.is_some_and(|id| order.item(id).is_some()) {
            return Err(Refused::exists());
        }
        if order.status == Status::Cancelled {
            return Err(Refused::wrong_status::<LabOrder>(order.status));
        }
        if order.items.len() >= LINES {
            let message = format!("an order has at most {LINES} items; place another order");
            return Err(Refused::field("out-of-range", "/lab_order_id", message));
        }
        if self.reason == Addition::AddOn {
            check_alive(order.patient_id, ctx)?;
        }
        let test = check_test(&ordered, "", order.patient_id, ctx)?;
        if !self.confirm_not_duplicate && !ctx.caller.is_system {
            let mut duplicates = Duplicates::default();
            duplicates.look(order.patient_id, &ordered, "", ctx);
            duplicates.none()?;
        }
        let specimen_ids = usable_for(test, order);
        let line_number = i32::try_from(order.items.len()).unwrap_or(i32::MAX).saturating_add(1);
        let added = ItemAdded {
            patient_id: order.patient_id,
            item: ordered.into_item(ctx.new_id(1).into()),
            line_number,
            reason: self.reason,
            specimen_ids,
            after: After::unknown(),
        };
        Ok(Decision::event(order.followed_up(Event::ItemAdded(Box::new(added)))))
    }
}
