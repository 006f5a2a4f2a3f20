use hims_domain::consultation::Consultation;
use hims_domain::lab_order::{Details, Event, LabOrder, OrderedTest, Placed};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Read};
use hims_domain::values::LabOrderNumber;
use hims_domain::{LabOrderId, PatientId, UserId, described};

use super::{CancelLabOrder, Duplicates, check_test, reads_pending, reads_test};
use crate::aggregates::consultation::check_occasion;
use crate::aggregates::patient::{check_alive, check_not_erased, reads_person};
use crate::aggregates::user::{acting, reads_named};
use crate::{Caller, Command, Context, Decision, Found, Permission, Reads, Refused, Target};

/// The largest number of tests that are ordered at once.
const ITEMS: usize = 30;

described! {
    /// Orders laboratory tests for a patient and issues the number of the order. A test that is still to be done for
    /// the patient needs `confirm_not_duplicate`.
    pub struct PlaceLabOrder {
        /// The id of the new order; issued by the server if left out.
        pub id: Option<LabOrderId>,
        /// The patient for whom the tests are ordered.
        pub patient_id: PatientId,
        /// The provider who orders the tests; the caller if left out.
        pub provider_id: Option<UserId>,
        /// What is said of the order as a whole.
        #[serde(flatten)]
        pub details: Details,
        /// The tests: 1 to 30 items.
        pub items: Vec<OrderedTest>,
        /// Whether the order is made for results that nobody had ordered here. Whoever may record results may make such
        /// an order.
        #[serde(default)]
        pub unsolicited: bool,
        /// Confirms that the tests are to be done though they are ordered already.
        #[serde(default)]
        pub confirm_not_duplicate: bool,
    }
}

impl PlaceLabOrder {
    /// Whether somebody is asked about tests that are ordered already. An import tells what was ordered long ago.
    fn is_asked(&self, ctx: &Context<'_>) -> bool {
        !self.confirm_not_duplicate && !ctx.caller.is_system
    }

    fn check(&self, ctx: &Context<'_>) -> Result<(), Refused> {
        if !(1..=ITEMS).contains(&self.items.len()) {
            return Err(Refused::field("no-items", "/items", format!("give 1 to {ITEMS} items")));
        }
        check_not_erased(ctx.named::<Patient>(self.patient_id, "/patient_id")?)?;
        if !self.unsolicited {
            // A result may come after the patient's death, but nothing is ordered any more.
            check_alive(self.patient_id, ctx)?;
        }
        if let Some(id) = self.details.consultation_id {
            check_occasion(ctx, id, self.patient_id)?;
        }
        if self.details.scheduled_for.is_some_and(|it| it < ctx.now) && !ctx.caller.is_system {
            let message = "give a time that is not in the past, or leave it out";
            return Err(Refused::field("in-the-past", "/scheduled_for", message));
        }
        let mut duplicates = Duplicates::default();
        for (index, test) in self.items.iter().enumerate() {
            let at = format!("/items/{index}");
            check_test(test, &at, self.patient_id, ctx)?;
            if test.item_id.is_some() && self.items.iter().take(index).any(|it| it.item_id == test.item_id) {
                return Err(Refused::field(
                    "invalid-fields",
                    &format!("{at}/item_id"),
                    "give each item an id of its own",
                ));
            }
            if self.is_asked(ctx) {
                if self.items.iter().take(index).any(|it| it.lab_test_id == test.lab_test_id) {
                    duplicates.add(&at, "the test is in this order twice");
                }
                duplicates.look(self.patient_id, test, &at, ctx);
            }
        }
        duplicates.none()
    }
}

impl Command for PlaceLabOrder {
    const NAME: &'static str = "place-lab-order";
    const PERMISSION: Permission = Permission::Create(Create::LabOrders);
    const REVERSED_BY: Option<&'static str> = Some(CancelLabOrder::NAME);
    type Aggregate = LabOrder;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn or_permission(&self) -> Option<Permission> {
        self.unsolicited.then_some(Permission::Create(Create::LabResults))
    }

    fn probes_a_secret(&self, caller: &Caller) -> bool {
        !self.confirm_not_duplicate && !caller.reads_all_charts() && !caller.reads(Read::LabOrders)
    }

    fn reads(&self, _: Option<&LabOrder>, found: &Found) -> Reads {
        let reads = Reads::nothing().maybe::<Consultation>(self.details.consultation_id);
        let reads = reads_person(reads, self.patient_id, found);
        let reads = reads_named(reads, self.provider_id, found);
        self.items.iter().fold(reads, |reads, test| {
            let reads = reads_test(reads, test);
            if self.confirm_not_duplicate { reads } else { reads_pending(reads, self.patient_id, test, found) }
        })
    }

    fn decide(self, _: Option<&LabOrder>, ctx: &Context<'_>) -> Result<Decision<LabOrder>, Refused> {
        self.check(ctx)?;
        let provider_id = acting(ctx, self.provider_id, "/provider_id", self.patient_id, Self::PERMISSION)?;
        let items = self.items.into_iter().zip(1..);
        let placed = Placed {
            number: LabOrderNumber::issue(ctx.draw()),
            patient_id: self.patient_id,
            provider_id,
            details: self.details,
            is_unsolicited: self.unsolicited,
            items: items.map(|(test, nth)| test.into_item(ctx.new_id(nth).into())).collect(),
        };
        Ok(Decision::event(Event::Placed(Box::new(placed))))
    }
}
