use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::notification::{Channel, Delivery, Event, FailureReason, Recipient, Status};
use hims_domain::values::Text;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text};

table! {
    /// One row per notification, for its recipients and its sender.
    NotificationRow in "notifications",
    narrowed [address] to [],
    stamped by (created_at),
    indexes [(r#type, created_at), (priority, created_at), (subject_patient_id, created_at)] {
        /// The notification.
        id: Uuid [indexed],
        /// What the notification is about.
        r#type: String [indexed] of hims_domain::notification::NotificationType::CODES,
        /// How urgent the notification is.
        priority: String [indexed] of hims_domain::notification::Priority::CODES,
        /// The title; null once the person was erased.
        title: Option<String> [personal],
        /// The text; null once the person was erased.
        message: Option<String> [personal],
        /// A path within the program that leads to what the notification is about.
        action_url: Option<String>,
        /// What the link is called.
        action_label: Option<String>,
        /// After which time the notification is no longer sent.
        expires_at: Option<DateTime<Utc>> [indexed],
        /// What tells the occasion of the notification apart from others.
        dedupe_key: Option<String>,
        /// The patient of whom the notification speaks.
        subject_patient_id: Option<Uuid> [indexed],
        /// When the visit begins that the notification is about.
        visit_starts_at: Option<DateTime<Utc>>,
        /// The time zone in which the visit is kept.
        visit_time_zone: Option<String>,
    }
}

table! {
    /// One row per notification, recipient and channel. `created_by` is the sender.
    RecipientRow in "notification_recipients", stamped by (created_at, created_by),
    indexes [(recipient_id, created_at), (patient_id, created_at), (channel, created_at), (status, created_at)] {
        /// The delivery to the recipient.
        id: Uuid [indexed],
        /// The notification.
        notification_id: Uuid [indexed],
        /// The user who gets the notification; null for a patient or an address.
        recipient_id: Option<Uuid> [indexed],
        /// The patient who gets the notification.
        patient_id: Option<Uuid> [indexed],
        /// The channel.
        channel: String [indexed] of hims_domain::notification::Channel::CODES,
        /// The e-mail address, phone number or device of somebody who is neither a user nor a patient; that of a user or a
        /// patient is looked up when the notification is sent.
        address: Option<String> [personal],
        /// How far the notification is.
        status: String [indexed] of hims_domain::notification::Status::CODES,
        /// How often it was tried to send the notification.
        attempts: i32,
        /// When it is tried next.
        next_attempt_at: Option<DateTime<Utc>>,
        /// When the mail server, or the gateway, took the notification.
        sent_at: Option<DateTime<Utc>>,
        /// When the notification arrived.
        delivered_at: Option<DateTime<Utc>>,
        /// When the recipient read the notification.
        read_at: Option<DateTime<Utc>>,
        /// When it was given up to send the notification.
        failed_at: Option<DateTime<Utc>>,
        /// Why the notification did not arrive: a code, and what the server or the gateway said.
        failure_reason: Option<String> [personal],
    }
}

fn recipient_row(event: &Projected<'_, Event>, recipient: &Recipient) -> RecipientRow {
    let begun = Delivery::begun(recipient.clone());
    RecipientRow {
        id: recipient.recipient_id.into(),
        notification_id: event.stream_id,
        recipient_id: recipient.user_id.map(Uuid::from),
        patient_id: recipient.patient_id.map(Uuid::from),
        channel: recipient.channel.to_string(),
        address: known_text(recipient.address.as_ref()),
        status: begun.status.to_string(),
        attempts: begun.attempts,
        next_attempt_at: begun.next_attempt_at,
        sent_at: None,
        delivered_at: (recipient.channel == Channel::InApp).then_some(event.recorded_at),
        read_at: None,
        failed_at: None,
        failure_reason: None,
        stamps: event.stamps(),
    }
}

/// The row of a delivery that has come to a further status.
fn moved(row: &mut RecipientRow, status: Status) {
    row.status = status.to_string();
    row.next_attempt_at = None;
}

fn failed(row: &mut RecipientRow, at: DateTime<Utc>, reason: FailureReason, detail: Option<&Personal<Text<200>>>) {
    moved(row, Status::Failed);
    row.failed_at = Some(at);
    row.failure_reason = Some(match known_text(detail) {
        Some(detail) => format!("{reason}: {detail}"),
        None => reason.to_string(),
    });
}

fn change(row: &mut RecipientRow, event: &Event, at: DateTime<Utc>) {
    match event {
        Event::Created { .. } => {}
        Event::Attempted { attempt, next_attempt_at, .. } => {
            row.attempts = *attempt;
            row.next_attempt_at = *next_attempt_at;
        }
        Event::Postponed { next_attempt_at, .. } => row.next_attempt_at = Some(*next_attempt_at),
        Event::Sent { .. } => {
            moved(row, Status::Sent);
            row.sent_at = Some(at);
        }
        Event::Delivered { .. } => {
            moved(row, Status::Delivered);
            row.delivered_at = Some(at);
        }
        Event::Read { .. } => {
            moved(row, Status::Read);
            row.read_at = Some(at);
        }
        Event::Failed { reason, detail, .. } => failed(row, at, *reason, detail.as_ref()),
        Event::Expired { .. } => failed(row, at, FailureReason::Expired, None),
    }
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    notifications: &mut Changes<'e, NotificationRow>,
    recipients: &mut Changes<'e, RecipientRow>,
) {
    if let Event::Created { content, recipients: told } = event.data {
        notifications.insert(NotificationRow {
            id: event.stream_id,
            r#type: content.r#type.to_string(),
            priority: content.priority.to_string(),
            title: known_text(Some(&content.title)),
            message: known_text(Some(&content.message)),
            action_url: text(content.action_url.as_ref()),
            action_label: text(content.action_label.as_ref()),
            expires_at: content.expires_at,
            dedupe_key: text(content.dedupe_key.as_ref()),
            subject_patient_id: content.subject_patient_id.map(Uuid::from),
            visit_starts_at: content.visit.as_ref().map(|it| it.starts_at),
            visit_time_zone: content.visit.as_ref().map(|it| it.time_zone.0.clone()),
            stamps: event.stamps(),
        });
        for recipient in told {
            recipients.insert(recipient_row(event, recipient));
        }
    }
    if let Some(id) = event.data.recipient_id() {
        let (data, at) = (event.data, event.recorded_at);
        notifications.touch(event);
        recipients.change_row(event, id, move |row| change(row, data, at));
    }
}
