//! Notifications: what users and patients are told. People and processes write them, the process `delivery` sends them.

mod delivering;
mod notice;
mod recipients;
mod sending;
mod telling;
mod timing;

use hims_domain::notification::{Delivery, Event, Notification, NotificationType, Status};
use hims_domain::permission::Update;
use hims_domain::values::Text;
use hims_domain::{NotificationId, NotificationRecipientId, PatientId, Personal, described, terms};
use uuid::Uuid;

pub(crate) use delivering::{AttemptDelivery, FailDelivery, RecordSent};
pub use notice::Notice;
pub(crate) use recipients::{address_of_patient, address_of_user, reads_patient};
pub use sending::{Addressee, SendNotification};
pub(crate) use telling::{Tell, Telling};
pub(crate) use timing::{LAST_TRY, told_at};

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{Caller, Claims, Command, Context, Decision, Held, Permission, Refused, Registry, Target, refuse, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<SendNotification>().add::<MarkNotificationRead>().add::<RecordDeliveryStatus>();
}

refusals! {
    DeliveryStatus { status: Status } = Conflict, "wrong-status",
        "the notification is {status} for this recipient, which does not allow the command";
    NobodyToReach = Rule, "nobody-to-reach",
        "none of the recipients can be reached: they have no address, do not want this, or are no longer here";
    NoSuchRecipient = Missing, "not-found", "the notification has no recipient with this id";
    OneFor { patients: usize } = Rule, "several-patients",
        "the notification names {patients} patients; write to each patient in a notification of their own";
}

terms! {
    /// What a gateway tells of a message.
    pub enum Report {
        Delivered = "delivered",
        Failed = "failed",
    }
}

described! {
    /// Records that the caller has read a notification. Only a recipient may do so.
    pub struct MarkNotificationRead {
        /// Which notification.
        pub notification_id: NotificationId,
    }

    /// Records whether a message has arrived, as the gateway tells it.
    pub struct RecordDeliveryStatus {
        /// Which notification.
        pub notification_id: NotificationId,
        /// Which recipient.
        pub recipient_id: NotificationRecipientId,
        /// Whether the message has arrived.
        pub status: Report,
        /// What the gateway says about it.
        pub detail: Option<Personal<Text<200>>>,
    }
}

/// The key of an occasion, of which only the first notification is sent.
fn occasion(about: NotificationType, subject: Option<PatientId>, key: &Text<200>) -> String {
    let subject = subject.map(|it| it.to_string()).unwrap_or_default();
    scopes::key(&[about.as_str(), &subject, key.as_str()])
}

impl Claims for Notification {
    /// Of one occasion, only one notification is sent.
    fn claims(&self, _: Uuid, held: &mut Held) {
        let key = self.dedupe_key.as_ref();
        let occasion = key.map(|key| occasion(self.notification_type, self.subject_patient_id, key));
        held.take_if(scopes::NOTIFICATION_OCCASION, occasion);
    }
}

/// Whether a delivery is to the caller.
fn is_to(delivery: &Delivery, caller: &Caller) -> bool {
    let recipient = &delivery.recipient;
    let is_user = recipient.user_id.is_some() && recipient.user_id == caller.user_id();
    is_user || recipient.patient_id.is_some_and(|it| caller.is_patient(it))
}

impl Command for MarkNotificationRead {
    const NAME: &'static str = "mark-notification-read";
    const PERMISSION: Permission = Permission::Own;
    type Aggregate = Notification;

    fn target(&self) -> Target {
        Target::existing(self.notification_id)
    }

    fn is_own(&self, state: Option<&Notification>, caller: &Caller) -> bool {
        state.is_some_and(|it| it.deliveries.iter().any(|delivery| is_to(delivery, caller)))
    }

    fn decide(self, state: Option<&Notification>, ctx: &Context<'_>) -> Result<Decision<Notification>, Refused> {
        let arrived = |it: &&Delivery| matches!(it.status, Status::Sent | Status::Delivered);
        let own = existing(state)?.deliveries.iter().filter(|it| is_to(it, ctx.caller)).filter(arrived);
        let read = own.map(|it| Event::Read { recipient_id: it.recipient.recipient_id });
        Ok(read.fold(Decision::nothing(), Decision::followed_by))
    }
}

impl Command for RecordDeliveryStatus {
    const NAME: &'static str = "record-delivery-status";
    const PERMISSION: Permission = Permission::Update(Update::NotificationStatus);
    type Aggregate = Notification;

    fn target(&self) -> Target {
        Target::existing(self.notification_id)
    }

    fn decide(self, state: Option<&Notification>, _: &Context<'_>) -> Result<Decision<Notification>, Refused> {
        let Self { notification_id: _, recipient_id, status, detail } = self;
        let Some(delivery) = existing(state)?.delivery(recipient_id) else { return refuse(Refusal::NoSuchRecipient) };
        // The report may come before the answer to the message that it is about.
        let is_on_its_way = match delivery.status {
            Status::Pending => delivery.attempts > 0,
            Status::Sent => true,
            Status::Delivered | Status::Read | Status::Failed => false,
        };
        let is_known = match status {
            Report::Delivered => matches!(delivery.status, Status::Delivered | Status::Read),
            Report::Failed => delivery.status == Status::Failed,
        };
        match status {
            _ if is_known => Ok(Decision::nothing()),
            _ if !is_on_its_way => refuse(Refusal::DeliveryStatus { status: delivery.status }),
            Report::Delivered => Ok(Decision::event(Event::Delivered { recipient_id, detail })),
            Report::Failed => Ok(Decision::event(delivering::undelivered(recipient_id, detail))),
        }
    }
}

#[cfg(test)]
mod tests;
