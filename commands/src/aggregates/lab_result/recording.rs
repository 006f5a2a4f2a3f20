//! Recording the first values of an ordered test.

use chrono::{DateTime, Utc};
use hims_domain::lab_order::{Item, LabOrder};
use hims_domain::lab_result::{Event, LabResult, Recorded, ResultStatus, Revision};
use hims_domain::lab_test::LabTest;
use hims_domain::permission::Create;
use hims_domain::values::{LongText, Text};
use hims_domain::{LabOrderId, LabOrderItemId, LabResultId, Personal, SpecimenId, UserId, described, terms};

use super::{ComponentValue, Refusal, WithdrawLabResult, alarms, evaluated, is_complete, reads_compared};
use crate::user::{acting, reads_named};
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

terms! {
    /// Whether values are preliminary or final when they are recorded.
    pub enum Release {
        Preliminary = "P",
        Final = "F",
    }
}

described! {
    /// Records the first values of an ordered test, preliminary or final ones. The values are compared with the
    /// reference ranges for the patient; critical values are told at once to whoever treats the patient. Values that
    /// differ much from the patient's last ones are refused as `delta-exceeded` unless the caller confirms them.
    pub struct RecordLabResult {
        /// The id of the new result; issued by the server if left out.
        pub id: Option<LabResultId>,
        /// The order.
        pub lab_order_id: LabOrderId,
        /// The item of the order.
        pub item_id: LabOrderItemId,
        /// The specimen that was examined; the last one for the item that was not rejected, if left out.
        pub specimen_id: Option<SpecimenId>,
        /// Whether the values are preliminary (`P`) or final (`F`). A final result has a value for each component.
        pub status: Release,
        /// The values.
        pub components: Vec<ComponentValue>,
        /// The user who performed the test; the caller if left out.
        pub performed_by: Option<UserId>,
        /// When the test was performed; now if left out.
        pub performed_at: Option<DateTime<Utc>>,
        /// How the test was performed.
        pub method: Option<Text<50>>,
        /// Notes on the result.
        pub notes: Option<Personal<LongText>>,
        /// Confirms that values which differ much from the patient's last ones are of the patient's specimen.
        #[serde(default)]
        pub confirm_delta: bool,
    }
}

/// An item that waits for its first result.
fn waiting(order: &LabOrder, item_id: LabOrderItemId) -> Result<&Item, Refused> {
    let Some(item) = order.item(item_id) else { return refuse(Refusal::NoSuchItem) };
    match item.lab_result_id {
        _ if item.is_cancelled => refuse(Refusal::ItemCancelled),
        Some(id) => Err(Refused { candidates: vec![id.into()], ..Refusal::HasResult.into() }),
        None => Ok(item),
    }
}

impl RecordLabResult {
    /// The specimen that was examined: the named one, or else the last one for the item that was not rejected. `None` if
    /// no specimen was taken for the item.
    ///
    /// # Errors
    /// When the named specimen, or every specimen of the item, was rejected.
    fn specimen(&self, order: &LabOrder) -> Result<Option<(SpecimenId, DateTime<Utc>)>, Refused> {
        let of_item = || order.specimens.iter().filter(|(_, it)| it.item_ids.contains(&self.item_id));
        let wanted = match self.specimen_id {
            Some(id) => match of_item().find(|it| *it.0 == id) {
                Some(named) => Some(named),
                None => return refuse(Refusal::NoSuchSpecimen),
            },
            None => of_item().max_by_key(|(id, it)| (it.is_usable(), it.collected_at, **id)),
        };
        match wanted {
            Some((_, it)) if !it.is_usable() => refuse(Refusal::SpecimenRejected),
            Some((id, it)) => Ok(Some((*id, it.collected_at))),
            None => Ok(None),
        }
    }

    /// When the specimen was taken; when the test was performed, if there is no specimen.
    fn taken_at(&self, specimen: Option<(SpecimenId, DateTime<Utc>)>, now: DateTime<Utc>) -> DateTime<Utc> {
        specimen.map_or_else(|| self.performed_at.unwrap_or(now), |it| it.1)
    }

    /// Refuses a result without values, and a test that was performed before its specimen was taken. An import tells
    /// what another laboratory has reported.
    fn check(&self, specimen: Option<(SpecimenId, DateTime<Utc>)>, ctx: &Context<'_>) -> Result<(), Refused> {
        if ctx.caller.is_system {
            return Ok(());
        }
        if self.components.is_empty() {
            let message = "give a value for at least one component";
            return Err(Refused::field("missing-component", "/components", message));
        }
        let (performed_at, taken_at) = (self.performed_at, specimen.map(|it| it.1));
        if performed_at.zip(taken_at).is_some_and(|(performed_at, taken_at)| performed_at < taken_at) {
            let message = "the specimen was taken later; give the time at which the test was performed";
            return Err(Refused::field("out-of-range", "/performed_at", message));
        }
        Ok(())
    }

    /// The user who performed the test. An import may not know.
    fn performer(&self, order: &LabOrder, ctx: &Context<'_>) -> Result<Option<UserId>, Refused> {
        if self.performed_by.is_none() && ctx.caller.is_system {
            return Ok(None);
        }
        acting(ctx, self.performed_by, "/performed_by", order.patient_id, Self::PERMISSION).map(Some)
    }
}

impl Command for RecordLabResult {
    const NAME: &'static str = "record-lab-result";
    const PERMISSION: Permission = Permission::Create(Create::LabResults);
    const REVERSED_BY: Option<&'static str> = Some(WithdrawLabResult::NAME);
    type Aggregate = LabResult;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&LabResult>, found: &Found) -> Reads {
        let reads = reads_named(Reads::nothing(), self.performed_by, found).stream::<LabOrder>(self.lab_order_id);
        let Some(order) = found.get::<LabOrder>(self.lab_order_id) else { return reads };
        let Some(item) = order.item(self.item_id) else { return reads };
        let taken_at = self.taken_at(self.specimen(order).ok().flatten(), found.asked_at());
        reads_compared(reads, (order.patient_id, item.lab_test_id), &self.components, taken_at, found)
    }

    fn decide(self, _: Option<&LabResult>, ctx: &Context<'_>) -> Result<Decision<LabResult>, Refused> {
        let order = ctx.named::<LabOrder>(self.lab_order_id, "/lab_order_id")?;
        let item = waiting(order, self.item_id)?;
        let performed_at = self.performed_at.unwrap_or(ctx.now);
        if performed_at > ctx.now {
            return Err(Refused::field("in-the-future", "/performed_at", "give a time that is not in the future"));
        }
        let specimen = self.specimen(order)?;
        self.check(specimen, ctx)?;
        let taken_at = self.taken_at(specimen, ctx.now);
        let performed_by = self.performer(order, ctx)?;
        let is_final = self.status == Release::Final;
        let test = ctx.named::<LabTest>(item.lab_test_id, "/item_id")?;
        let how = (is_complete(is_final, ctx), self.confirm_delta);
        let components = evaluated(&self.components, (order.patient_id, test), taken_at, how, ctx)?;
        let alarm = alarms::raised(&Revision { number: 1, components: components.clone() }, ctx);
        let recorded = Decision::event(Event::Recorded(Box::new(Recorded {
            patient_id: order.patient_id,
            lab_order_id: self.lab_order_id,
            item_id: self.item_id,
            lab_test_id: item.lab_test_id,
            test_code: test.definition.code.clone(),
            test_name: test.definition.name.clone(),
            specimen_id: specimen.map(|it| it.0),
            taken_at,
            result_status: if is_final { ResultStatus::Final } else { ResultStatus::Preliminary },
            components,
            performed_by,
            performed_at,
            method: self.method,
            notes: self.notes,
        })));
        let resulted = order.resulted(self.item_id, ctx.id.into(), is_final);
        Ok(alarm.into_iter().fold(recorded, Decision::followed_by).also::<LabOrder>(self.lab_order_id, resulted))
    }
}
