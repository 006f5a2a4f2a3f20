//! Critical values: raising and withdrawing the alarm, who is to be told of it, and acknowledging it.

use std::collections::BTreeSet;

use hims_domain::appointment::Slot;
use hims_domain::consultation::Consultation;
use hims_domain::department::Department;
use hims_domain::lab_order::LabOrder;
use hims_domain::lab_result::{Alarm, ComponentResult, Event, LabResult, Revision, critical};
use hims_domain::permission::Update;
use hims_domain::provider_schedule::ProviderSchedule;
use hims_domain::role::Role;
use hims_domain::user::User;
use hims_domain::values::LongText;
use hims_domain::{DepartmentId, LabResultId, Personal, UserId, described};
use hims_event_store::Actor;

use super::Refusal;
use crate::access::CHART_WORDS;
use crate::aggregates::patient::{reads_person, records_of};
use crate::aggregates::user::{administrators_key, found_administrators, reads_roles};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse, scopes};

described! {
    /// Acknowledges the critical values of a result: the caller was told of them, and has read them back to whoever told
    /// them (NPSG.02.03.01). Nobody else is told from then on.
    pub struct AcknowledgeCriticalResult {
        /// Which result.
        pub lab_result_id: LabResultId,
        /// Whether the caller has read the values back; always true.
        pub read_back: bool,
        /// What the caller says of the values, or does about them.
        pub note: Option<Personal<LongText>>,
    }

    /// Records who is to be told next of critical values that nobody has acknowledged. Does nothing if somebody has, or
    /// if the values no longer count. The process `critical-results` gives the command.
    pub struct EscalateCriticalResult {
        /// Which result.
        pub lab_result_id: LabResultId,
        /// The revision that raised the alarm.
        pub revision: i32,
        /// How far the alarm goes: 0 at once, and one more each time.
        pub level: i32,
    }
}

/// Whether critical values of this caller raise an alarm: those of an import are old, and those of generated patients
/// are nobody's.
fn raises_alarms(ctx: &Context<'_>) -> bool {
    !matches!(&ctx.caller.actor, Actor::System { name } if name == "import" || name == "generate")
}

/// The alarm that a revision raises, if some of its values are critical.
pub(super) fn raised(revision: &Revision, ctx: &Context<'_>) -> Option<Event> {
    let codes: Vec<_> = critical(&revision.components).into_iter().map(|it| it.code.clone()).collect();
    let is_raised = !codes.is_empty() && raises_alarms(ctx);
    is_raised.then_some(Event::CriticalRaised { revision: revision.number, codes, raised_at: ctx.now })
}

/// The end of an alarm whose values are no longer critical, or no longer count. Everybody who was told is to be told.
pub(super) fn withdrawn(alarm: &Alarm) -> Event {
    Event::CriticalWithdrawn { told: alarm.told.clone() }
}

/// What follows for the alarm of a result from its next revision: an alarm ends when no value is critical any more. An
/// alarm that was acknowledged is raised again when other values are critical.
pub(super) fn after(result: &LabResult, next: &Revision, ctx: &Context<'_>) -> Option<Event> {
    let Some(alarm) = &result.alarm else { return raised(next, ctx) };
    let critical = critical(&next.components);
    if critical.is_empty() {
        return Some(withdrawn(alarm));
    }
    let said = |it: &ComponentResult| (it.code.clone(), it.value, it.comparator, it.flag);
    let is_known = critical.iter().copied().map(said).eq(alarm.values.iter().map(said));
    if alarm.is_acknowledged && !is_known { raised(next, ctx) } else { None }
}

impl Command for AcknowledgeCriticalResult {
    const NAME: &'static str = "acknowledge-critical-result";
    const PERMISSION: Permission = Permission::Update(Update::CriticalResults);
    type Aggregate = LabResult;

    fn target(&self) -> Target {
        Target::existing(self.lab_result_id)
    }

    fn follows_on(state: &LabResult) -> bool {
        state.is_alarming()
    }

    fn decide(self, state: Option<&LabResult>, ctx: &Context<'_>) -> Result<Decision<LabResult>, Refused> {
        let result = existing(state)?;
        match &result.alarm {
            None => Err(Refused::wrong_status::<LabResult>(result.status())),
            Some(alarm) if alarm.is_acknowledged => Ok(Decision::nothing()),
            Some(_) if !self.read_back => refuse(Refusal::NotReadBack),
            Some(_) => {
                let acknowledged_by = ctx.user(None, "")?;
                Ok(Decision::event(Event::CriticalAcknowledged { acknowledged_by, note: self.note }))
            }
        }
    }
}

/// Everybody who may be told of the critical values of a result, as far as they were looked up.
struct Circle<'a> {
    result: &'a LabResult,
    order: &'a LabOrder,
    found: &'a Found,
}

impl<'a> Circle<'a> {
    fn of(result: &'a LabResult, found: &'a Found) -> Option<Self> {
        Some(Self { result, order: found.get(result.lab_order_id)?, found })
    }

    /// The department that ordered the test: that of the provider.
    fn department(&self) -> Option<DepartmentId> {
        self.found.get::<User>(self.order.provider_id)?.department_id
    }

    /// The users of the department that ordered the test.
    fn colleagues(&self) -> impl Iterator<Item = (UserId, &'a User)> {
        let key = self.department().map(|it| it.to_string()).unwrap_or_default();
        self.found.owners::<User>(scopes::USERS_OF_DEPARTMENT, key).map(|(id, user)| (id.into(), user))
    }

    /// Whoever has the patient in consultation, by any of the patient's records.
    fn seeing(&self) -> impl Iterator<Item = UserId> {
        let records = records_of(self.order.patient_id, self.found).into_iter();
        let open = records.flat_map(|it| self.found.owners::<Consultation>(scopes::OPEN_CONSULTATIONS, it.to_string()));
        open.map(|(_, it)| it.provider_id)
    }

    /// The head of the department that ordered the test.
    fn head(&self) -> Option<UserId> {
        self.found.get::<Department>(self.department()?)?.details.head_user_id
    }

    /// Whether a user cannot be expected to answer: the user is inactive or on leave. An active user always has a
    /// channel, since critical values are shown within the program whatever the user wishes.
    fn is_away(&self, id: UserId, ctx: &Context<'_>) -> bool {
        let schedule = self.found.get::<ProviderSchedule>(ProviderSchedule::stream_of(id));
        let now = Slot { starts_at: ctx.now, duration_minutes: 1 };
        !self.found.get::<User>(id).is_some_and(|it| it.is_active) || schedule.is_some_and(|it| it.is_on_leave(now))
    }

    /// The users whose leave decides whether the next level is told at once: all but those who are told last.
    fn awaited(&self) -> impl Iterator<Item = UserId> {
        let colleagues = self.colleagues().filter(|(_, it)| self.reads_charts(it)).map(|it| it.0);
        [self.order.provider_id].into_iter().chain(self.seeing()).chain(self.head()).chain(colleagues)
    }

    /// Whether the roles of a user let them read charts.
    fn reads_charts(&self, user: &User) -> bool {
        let mut roles = user.role_ids().filter_map(|it| self.found.get::<Role>(it));
        roles.any(|role| CHART_WORDS.iter().any(|it| role.definition.permissions.read.contains(it.as_str())))
    }

    /// Whether a user is active, and is not the patient.
    fn can_be_told(&self, id: UserId) -> bool {
        let records = records_of(self.result.patient_id, self.found);
        let user = self.found.get::<User>(id);
        user.is_some_and(|it| it.is_active && it.patient_id.is_none_or(|own| !records.contains(&own)))
    }

    /// The users who are to be told at a level. Each level from the second on also reaches those of the level before.
    fn at(&self, level: i32, ctx: &Context<'_>) -> BTreeSet<UserId> {
        let mut users = BTreeSet::from([self.order.provider_id]);
        if level == 0 {
            users.extend(self.seeing());
        }
        if level > 0 || self.is_away(self.order.provider_id, ctx) {
            users.extend(self.head());
        }
        if level > 1 {
            users.extend(self.colleagues().filter(|(_, it)| self.reads_charts(it)).map(|it| it.0));
        }
        if level > 2 {
            users.extend(found_administrators(self.found).map(|it| it.0));
        }
        users.retain(|id| self.can_be_told(*id));
        users
    }

    /// The users who are to be told when a level is reached. Where everybody of a level is away, those of the next level
    /// are told at once, too.
    fn from(&self, level: i32, ctx: &Context<'_>) -> BTreeSet<UserId> {
        let mut users = BTreeSet::new();
        for level in level..=level.max(EVERYBODY) {
            users.extend(self.at(level, ctx));
            if users.iter().any(|id| !self.is_away(*id, ctx)) {
                break;
            }
        }
        users
    }
}

/// The level from which on everybody is told.
const EVERYBODY: i32 = 3;

impl Command for EscalateCriticalResult {
    const NAME: &'static str = "escalate-critical-result";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = LabResult;

    fn target(&self) -> Target {
        Target::existing(self.lab_result_id)
    }

    fn reads(&self, state: Option<&LabResult>, found: &Found) -> Reads {
        let Some(result) = state else { return Reads::nothing() };
        let reads = Reads::nothing().stream::<LabOrder>(result.lab_order_id);
        let Some(circle) = Circle::of(result, found) else { return reads };
        let provider_id = circle.order.provider_id;
        let reads = reads_person(reads, circle.order.patient_id, found).stream::<User>(provider_id);
        let schedules = circle.awaited().map(ProviderSchedule::stream_of);
        let reads = schedules.fold(reads, Reads::stream::<ProviderSchedule>);
        // Who is told depends on who is there at the moment; a change of a user in the same moment does not matter.
        let reads = reads.candidates::<User>(scopes::USERS_WITH_ROLE, administrators_key());
        let records = records_of(circle.order.patient_id, found).into_iter().map(|it| it.to_string());
        let reads = records.fold(reads, |reads, key| reads.candidates::<Consultation>(scopes::OPEN_CONSULTATIONS, key));
        let reads = circle.seeing().chain(circle.head()).fold(reads, Reads::stream::<User>);
        let Some(department) = circle.department() else { return reads };
        let reads = reads.stream::<Department>(department);
        let reads = reads.candidates::<User>(scopes::USERS_OF_DEPARTMENT, department.to_string());
        reads.and(reads_roles(circle.colleagues().flat_map(|it| it.1.role_ids())))
    }

    fn decide(self, state: Option<&LabResult>, ctx: &Context<'_>) -> Result<Decision<LabResult>, Refused> {
        let result = existing(state)?;
        let open = result.alarm.as_ref().filter(|it| !it.is_acknowledged && it.revision == self.revision);
        let Some(alarm) = open.filter(|it| it.level.is_none_or(|level| level < self.level)) else {
            return Ok(Decision::nothing());
        };
        let circle = Circle::of(result, ctx.found).ok_or_else(|| Refused::missing("lab_order"))?;
        let recipients = circle.from(self.level, ctx);
        Ok(Decision::event(Event::CriticalEscalated {
            revision: alarm.revision,
            raised_at: alarm.raised_at,
            level: self.level,
            recipients,
        }))
    }
}
