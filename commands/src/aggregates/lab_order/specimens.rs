//! The specimens of an order: taking, receiving and rejecting specimens.

use std::collections::BTreeSet;

use chrono::{DateTime, Timelike as _, Utc};
use hims_domain::lab_order::{
    After, Event, Item, LabOrder, RejectionCode, Specimen, SpecimenCollected, SpecimenStatus,
};
use hims_domain::permission::{Create, Update};
use hims_domain::values::{Measured, SpecimenNumber, Text};
use hims_domain::{LabOrderId, LabOrderItemId, Personal, SpecimenId, UserId, described};
use rust_decimal::Decimal;

use super::{Refusal, is_under_way, item_of, wrong_part};
use crate::aggregates::user::{acting, reads_named};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

/// The largest volume of a specimen, in millilitres: urine of several days.
const VOLUME: i64 = 20_000;

described! {
    /// Records that a specimen was taken, and issues the number for its label.
    pub struct CollectSpecimen {
        /// Which order.
        pub lab_order_id: LabOrderId,
        /// The id of the new specimen; issued by the server if left out.
        pub specimen_id: Option<SpecimenId>,
        /// The items of the order for which the specimen was taken; all open ones without a specimen if left out.
        pub item_ids: Option<Vec<LabOrderItemId>>,
        /// The kind of specimen (HL7 table 0487), such as `SER` for serum.
        pub specimen_type: Text<20>,
        /// When the specimen was taken; now if left out.
        pub collected_at: Option<DateTime<Utc>>,
        /// The user who took the specimen; the caller if left out.
        pub collected_by: Option<UserId>,
        /// The part of the body from which the specimen was taken.
        pub body_site: Option<Text<100>>,
        /// The volume in millilitres.
        pub volume_ml: Option<Measured>,
    }

    /// Records that a specimen arrived in the laboratory.
    pub struct ReceiveSpecimen {
        /// Which order.
        pub lab_order_id: LabOrderId,
        /// Which specimen of the order.
        pub specimen_id: SpecimenId,
    }

    /// Rejects a specimen that the laboratory cannot use. Tests that are not done yet wait for another specimen.
    pub struct RejectSpecimen {
        /// Which order.
        pub lab_order_id: LabOrderId,
        /// Which specimen of the order.
        pub specimen_id: SpecimenId,
        /// Why the specimen cannot be used.
        pub reason_code: RejectionCode,
        /// What else is to be said.
        pub note: Option<Personal<Text<200>>>,
    }
}

/// The specimen of an order that a request names.
fn specimen_of(order: &LabOrder, id: SpecimenId) -> Result<&Specimen, Refused> {
    order.specimens.get(&id).ok_or_else(|| Refusal::NoSuchSpecimen.into())
}

impl CollectSpecimen {
    /// The items for which the specimen was taken.
    fn items(&self, order: &LabOrder) -> Result<BTreeSet<LabOrderItemId>, Refused> {
        let Some(named) = &self.item_ids else {
            let waiting = order.items.iter().filter(|it| it.is_open() && !order.has_specimen(it.id));
            let waiting: BTreeSet<_> = waiting.map(|it| it.id).collect();
            return if waiting.is_empty() { refuse(Refusal::NothingToCollect) } else { Ok(waiting) };
        };
        if named.is_empty() {
            return Err(Refused::field("no-items", "/item_ids", "name the items, or leave the field out"));
        }
        for id in named {
            let item: &Item = item_of(order, *id)?;
            if !item.is_open() {
                return Err(wrong_part("item", item.status));
            }
        }
        Ok(named.iter().copied().collect())
    }
}

impl Command for CollectSpecimen {
    const NAME: &'static str = "collect-specimen";
    const PERMISSION: Permission = Permission::Create(Create::Specimens);
    const REVERSED_BY: Option<&'static str> = Some(RejectSpecimen::NAME);
    type Aggregate = LabOrder;

    fn target(&self) -> Target {
        Target::existing(self.lab_order_id)
    }

    fn follows_on(state: &LabOrder) -> bool {
        is_under_way(state.status)
    }

    fn reads(&self, _: Option<&LabOrder>, found: &Found) -> Reads {
        reads_named(Reads::nothing(), self.collected_by, found)
    }

    fn decide(self, state: Option<&LabOrder>, ctx: &Context<'_>) -> Result<Decision<LabOrder>, Refused> {
        let order = existing(state)?;
        let specimen_id = ctx.part_id(self.specimen_id, |id| order.specimens.contains_key(&id))?;
        if !is_under_way(order.status) {
            return Err(Refused::wrong_status::<LabOrder>(order.status));
        }
        let item_ids = self.items(order)?;
        let collected_at = self.collected_at.unwrap_or(ctx.now);
        if collected_at > ctx.now {
            return Err(Refused::field("in-the-future", "/collected_at", "give a time that is not in the future"));
        }
        let is_volume = |it: Measured| it.number() > Decimal::ZERO && it.number() <= Decimal::from(VOLUME);
        if !self.volume_ml.is_none_or(is_volume) {
            let message = format!("give more than 0 and at most {VOLUME} millilitres");
            return Err(Refused::field("out-of-range", "/volume_ml", message));
        }
        // An import may not know who took a specimen long ago.
        let collected_by = match self.collected_by {
            None if ctx.caller.is_system => None,
            named => Some(acting(ctx, named, "/collected_by", order.patient_id, Self::PERMISSION)?),
        };
        let clock = collected_at.with_timezone(&ctx.caller.time_zone).naive_local();
        let collected = SpecimenCollected {
            specimen_id,
            number: SpecimenNumber::issue(ctx.draw()),
            patient_id: order.patient_id,
            item_ids,
            specimen_type: self.specimen_type,
            collected_at,
            collection_date: clock.date(),
            collection_time: clock.time().with_nanosecond(0).unwrap_or(clock.time()),
            collected_by,
            body_site: self.body_site,
            volume_ml: self.volume_ml,
            after: After::unknown(),
        };
        Ok(Decision::event(order.followed_up(Event::SpecimenCollected(Box::new(collected)))))
    }
}

impl Command for ReceiveSpecimen {
    const NAME: &'static str = "receive-specimen";
    const PERMISSION: Permission = Permission::Update(Update::LabOrderStatus);
    const REVERSED_BY: Option<&'static str> = Some(RejectSpecimen::NAME);
    type Aggregate = LabOrder;

    fn target(&self) -> Target {
        Target::existing(self.lab_order_id)
    }

    fn follows_on(state: &LabOrder) -> bool {
        state.specimens.values().any(|it| it.status == SpecimenStatus::Collected)
    }

    fn decide(self, state: Option<&LabOrder>, _: &Context<'_>) -> Result<Decision<LabOrder>, Refused> {
        let order = existing(state)?;
        match specimen_of(order, self.specimen_id)?.status {
            SpecimenStatus::Received => Ok(Decision::nothing()),
            SpecimenStatus::Collected => {
                let (specimen_id, after) = (self.specimen_id, After::unknown());
                Ok(Decision::event(order.followed_up(Event::SpecimenReceived { specimen_id, after })))
            }
            status @ SpecimenStatus::Rejected => Err(wrong_part("specimen", status)),
        }
    }
}

impl Command for RejectSpecimen {
    const NAME: &'static str = "reject-specimen";
    const PERMISSION: Permission = Permission::Update(Update::LabOrderStatus);
    const REVERSED_BY: Option<&'static str> = Some(CollectSpecimen::NAME);
    type Aggregate = LabOrder;

    fn target(&self) -> Target {
        Target::existing(self.lab_order_id)
    }

    fn follows_on(state: &LabOrder) -> bool {
        state.specimens.values().any(Specimen::is_usable)
    }

    fn decide(self, state: Option<&LabOrder>, _: &Context<'_>) -> Result<Decision<LabOrder>, Refused> {
        let order = existing(state)?;
        match specimen_of(order, self.specimen_id)?.status {
            SpecimenStatus::Rejected => Ok(Decision::nothing()),
            SpecimenStatus::Collected | SpecimenStatus::Received => {
                let Self { specimen_id, reason_code, note, .. } = self;
                let after = After::unknown();
                let rejected = Event::SpecimenRejected { specimen_id, reason_code, note, after };
                Ok(Decision::event(order.followed_up(rejected)))
            }
        }
    }
}
