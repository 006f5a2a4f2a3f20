//! Leave: times in which a provider is away from every department.

use chrono::TimeDelta;
use hims_domain::permission::{Create, Update};
use hims_domain::provider_schedule::{Event, Leave, LeaveStatus, ProviderSchedule};
use hims_domain::{LeaveId, UserId, described};

use super::{Refusal, check_provider, reads_provider};
use crate::machinery::command::existing;
use crate::{Caller, Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

/// How long a leave takes at most.
const LONGEST: TimeDelta = TimeDelta::days(731);
/// How far ahead a leave ends at most.
const FURTHEST: TimeDelta = TimeDelta::days(3_653);

described! {
    /// Records that a provider will be away. Appointments that are in the leave stay: people fall ill. Every provider
    /// may add leave of their own.
    pub struct AddProviderLeave {
        /// The provider: a user who may start consultations.
        pub provider_id: UserId,
        /// The id of the new leave; issued by the server if left out.
        pub leave_id: Option<LeaveId>,
        /// The leave.
        #[serde(flatten)]
        pub leave: Leave,
    }

    /// Records that a provider will not be away after all. Every provider may cancel leave of their own.
    pub struct CancelProviderLeave {
        /// The provider.
        pub provider_id: UserId,
        /// Which leave.
        pub leave_id: LeaveId,
    }
}

impl Command for AddProviderLeave {
    const NAME: &'static str = "add-provider-leave";
    const PERMISSION: Permission = Permission::Create(Create::ProviderSchedules);
    const REVERSED_BY: Option<&'static str> = Some(CancelProviderLeave::NAME);
    type Aggregate = ProviderSchedule;

    fn target(&self) -> Target {
        Target::either(ProviderSchedule::stream_of(self.provider_id))
    }

    fn is_own(&self, _: Option<&ProviderSchedule>, caller: &Caller) -> bool {
        caller.user_id() == Some(self.provider_id)
    }

    fn reads(&self, _: Option<&ProviderSchedule>, found: &Found) -> Reads {
        reads_provider(self.provider_id, found)
    }

    fn decide(
        self,
        state: Option<&ProviderSchedule>,
        ctx: &Context<'_>,
    ) -> Result<Decision<ProviderSchedule>, Refused> {
        let Self { provider_id, leave, .. } = self;
        check_provider(ctx, provider_id)?;
        if leave.until <= leave.from {
            return refuse(Refusal::EndsBeforeItStarts);
        }
        let furthest = ctx.now + FURTHEST;
        if leave.until - leave.from > LONGEST || leave.until > furthest {
            let message = "a leave takes two years at most, and ends within ten years";
            return Err(Refused::field("out-of-range", "/until", message));
        }
        let is_known = |id| state.is_some_and(|schedule| schedule.leaves.iter().any(|it| it.leave_id == id));
        let leave_id = ctx.part_id(self.leave_id, is_known)?;
        Ok(Decision::event(Event::LeaveAdded { provider_id, leave_id, leave }))
    }
}

impl Command for CancelProviderLeave {
    const NAME: &'static str = "cancel-provider-leave";
    const PERMISSION: Permission = Permission::Update(Update::ProviderSchedules);
    type Aggregate = ProviderSchedule;

    fn target(&self) -> Target {
        Target::existing(ProviderSchedule::stream_of(self.provider_id))
    }

    fn is_own(&self, _: Option<&ProviderSchedule>, caller: &Caller) -> bool {
        caller.user_id() == Some(self.provider_id)
    }

    fn decide(self, state: Option<&ProviderSchedule>, _: &Context<'_>) -> Result<Decision<ProviderSchedule>, Refused> {
        let known = existing(state)?.leaves.iter().find(|it| it.leave_id == self.leave_id);
        match known.map(|it| it.status) {
            Some(LeaveStatus::Active) => Ok(Decision::event(Event::LeaveCancelled { leave_id: self.leave_id })),
            Some(LeaveStatus::Cancelled) => Ok(Decision::nothing()),
            None => refuse(Refusal::NoSuchLeave),
        }
    }
}
