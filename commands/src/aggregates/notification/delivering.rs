//! Sending a notification to one recipient, step by step. The process `delivery` gives these commands.

use hims_domain::notification::{Delivery, Event, FailureReason, Notification, Status};
use hims_domain::notification_preferences::Person;
use hims_domain::values::Text;
use hims_domain::{NotificationId, NotificationRecipientId, Personal};
use serde::Deserialize;

use super::recipients::{reached, reads_recipient};
use super::timing::Timing;
use crate::machinery::command::{existing, never_sent};
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target};

/// Records that a notification is about to be sent, unless it is not to be sent any more, or not yet.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AttemptDelivery {
    pub(crate) notification_id: NotificationId,
    pub(crate) recipient_id: NotificationRecipientId,
    /// The number of the try, from 1. A try that was recorded before is not recorded again.
    pub(crate) attempt: i32,
}

/// Records that the mail server, or the gateway, has taken a notification.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RecordSent {
    pub(crate) notification_id: NotificationId,
    pub(crate) recipient_id: NotificationRecipientId,
}

/// Records that a notification did not reach a recipient and is not sent again.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FailDelivery {
    pub(crate) notification_id: NotificationId,
    pub(crate) recipient_id: NotificationRecipientId,
    pub(crate) reason: FailureReason,
    pub(crate) detail: Option<Personal<Text<200>>>,
}

never_sent!(AttemptDelivery, RecordSent, FailDelivery);

/// A message that did not arrive, as the gateway tells it.
pub(super) fn undelivered(recipient_id: NotificationRecipientId, detail: Option<Personal<Text<200>>>) -> Event {
    Event::Failed { recipient_id, reason: FailureReason::Undelivered, detail }
}

/// The delivery to a recipient, as long as it is pending.
fn pending(state: &Notification, id: NotificationRecipientId) -> Option<&Delivery> {
    state.delivery(id).filter(|it| it.status == Status::Pending)
}

impl AttemptDelivery {
    /// What becomes of the try.
    fn event(&self, state: &Notification, delivery: &Delivery, ctx: &Context<'_>) -> Event {
        let (recipient, recipient_id, attempt) = (&delivery.recipient, self.recipient_id, self.attempt);
        let is_late = |at| state.expires_at.is_some_and(|end| at >= end);
        if is_late(ctx.now) {
            return Event::Expired { recipient_id };
        }
        let person = Person::of(recipient.user_id, recipient.patient_id);
        let reached = reached(person, ctx);
        if person.is_some() && reached.is_none() {
            return Event::Failed { recipient_id, reason: FailureReason::Gone, detail: None };
        }
        if reached.as_ref().is_some_and(|it| it.has_opted_out(state.notification_type, recipient.channel)) {
            return Event::Failed { recipient_id, reason: FailureReason::OptedOut, detail: None };
        }
        if reached.as_ref().is_some_and(|it| !it.is_on(recipient.channel)) {
            return Event::Failed { recipient_id, reason: FailureReason::NoAddress, detail: None };
        }
        let timing = Timing::of(state.priority, state.visit.as_ref(), reached.as_ref(), ctx.hospital_zone);
        let at = timing.earliest(ctx.now, ctx.now);
        if at <= ctx.now {
            let next_attempt_at = timing.retry(attempt, ctx.now, ctx.draw()).filter(|it| !is_late(*it));
            return Event::Attempted { recipient_id, attempt, next_attempt_at };
        }
        if is_late(at) {
            return Event::Expired { recipient_id };
        }
        Event::Postponed { recipient_id, next_attempt_at: at }
    }
}

impl Command for AttemptDelivery {
    const NAME: &'static str = "attempt-delivery";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Notification;

    fn target(&self) -> Target {
        Target::existing(self.notification_id)
    }

    fn reads(&self, state: Option<&Notification>, found: &Found) -> Reads {
        let recipient = state.and_then(|it| it.delivery(self.recipient_id)).map(|it| &it.recipient);
        let person = recipient.and_then(|it| Person::of(it.user_id, it.patient_id));
        reads_recipient(Reads::nothing(), person, found)
    }

    fn decide(self, state: Option<&Notification>, ctx: &Context<'_>) -> Result<Decision<Notification>, Refused> {
        let state = existing(state)?;
        let due = pending(state, self.recipient_id).filter(|it| it.attempts < self.attempt);
        Ok(due.map_or_else(Decision::nothing, |it| Decision::event(self.event(state, it, ctx))))
    }
}

impl Command for RecordSent {
    const NAME: &'static str = "record-sent";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Notification;

    fn target(&self) -> Target {
        Target::existing(self.notification_id)
    }

    fn decide(self, state: Option<&Notification>, _: &Context<'_>) -> Result<Decision<Notification>, Refused> {
        let Self { recipient_id, .. } = self;
        let is_pending = pending(existing(state)?, recipient_id).is_some();
        Ok(if is_pending { Decision::event(Event::Sent { recipient_id }) } else { Decision::nothing() })
    }
}

impl Command for FailDelivery {
    const NAME: &'static str = "fail-delivery";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = Notification;

    fn target(&self) -> Target {
        Target::existing(self.notification_id)
    }

    fn decide(self, state: Option<&Notification>, _: &Context<'_>) -> Result<Decision<Notification>, Refused> {
        let Self { recipient_id, reason, detail, .. } = self;
        let is_pending = pending(existing(state)?, recipient_id).is_some();
        Ok(if is_pending {
            Decision::event(Event::Failed { recipient_id, reason, detail })
        } else {
            Decision::nothing()
        })
    }
}
