//! Notifications: what users and patients are told, on which channel, and how far the delivery is (FHIR R4
//! `Communication`).

mod delivery;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Name, Text};
use crate::{Aggregate, NotificationRecipientId, PatientId, Personal, Subject, UserId, described, terms};
pub use delivery::Delivery;

terms! {
    /// What a notification is about.
    pub enum NotificationType {
        AppointmentReminder = "appointment_reminder",
        AppointmentChanged = "appointment_changed",
        WaitlistOffer = "waitlist_offer",
        ProviderLeave = "provider_leave",
        CriticalResult = "critical_result",
        CriticalWithdrawn = "critical_withdrawn",
        ResultAvailable = "result_available",
        SpecimenRejected = "specimen_rejected",
        PrescriptionReady = "prescription_ready",
        LowStock = "low_stock",
        StockExpiring = "stock_expiring",
        ClaimDenied = "claim_denied",
        ReportReady = "report_ready",
        EmergencyAccess = "emergency_access",
        System = "system",
    }

    /// How urgent a notification is. What is urgent is also sent in quiet hours.
    pub enum Priority {
        Low = "low",
        Normal = "normal",
        High = "high",
        Urgent = "urgent",
    }

    /// The way on which a notification reaches its recipient.
    pub enum Channel {
        InApp = "in_app",
        Email = "email",
        Sms = "sms",
        Push = "push",
    }

    /// How far a notification is on its way to a recipient.
    pub enum Status {
        Pending = "pending",
        Sent = "sent",
        Delivered = "delivered",
        Read = "read",
        Failed = "failed",
    }

    /// Why a notification did not reach a recipient.
    pub enum FailureReason {
        /// The notification would have come too late.
        Expired = "expired",
        /// The server of the recipient, or the gateway, refused the message for good.
        Refused = "refused",
        /// The last of all tries failed.
        GaveUp = "gave_up",
        /// The recipient does not want this any more on this channel.
        OptedOut = "opted_out",
        /// The patient has died, or the user is no longer active.
        Gone = "gone",
        /// The recipient has no address on the channel any more.
        NoAddress = "no_address",
        /// The hospital has not set up the channel.
        NotSetUp = "not_set_up",
        /// The gateway reported that the message did not arrive.
        Undelivered = "undelivered",
    }
}

impl NotificationType {
    /// Whether the safety of a patient depends on it, so that nobody can switch it off.
    pub fn is_critical(self) -> bool {
        matches!(self, Self::CriticalResult | Self::CriticalWithdrawn)
    }
}

described! {
    /// The visit that a notification is about. Its day and time are all that an e-mail or a text message says of it.
    pub struct Visit {
        /// When the visit begins.
        pub starts_at: DateTime<Utc>,
        /// The time zone in which the visit is kept (IANA), such as `Europe/Zurich`.
        pub time_zone: Text<64>,
    }

    /// What a notification says.
    pub struct Content {
        /// What the notification is about.
        pub r#type: NotificationType,
        /// How urgent the notification is; `normal` if left out.
        #[serde(default = "normal")]
        pub priority: Priority,
        /// The title, which is shown within the program only.
        pub title: Personal<Name<200>>,
        /// The text, which is shown within the program only. E-mails and text messages hold nothing of it.
        pub message: Personal<LongText>,
        /// A path within the program that leads to what the notification is about, such as
        /// `/appointments/01990000-0000-7000-8000-000000000000`.
        pub action_url: Option<Text<500>>,
        /// What the link is called.
        pub action_label: Option<Name<100>>,
        /// After which time the notification is no longer sent.
        pub expires_at: Option<DateTime<Utc>>,
        /// The patient of whom the notification speaks; the patient among the recipients if left out.
        pub subject_patient_id: Option<PatientId>,
        /// The visit that the notification is about.
        pub visit: Option<Visit>,
        /// What tells this occasion apart from others: of notifications with the same type, patient and key, only the
        /// first is sent. The key has ids, codes and times, and nothing that identifies a person.
        pub dedupe_key: Option<Text<200>>,
    }
}

fn normal() -> Priority {
    Priority::Normal
}

/// Somebody who gets a notification on one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipient {
    /// The id of this delivery.
    pub recipient_id: NotificationRecipientId,
    /// The user, if a user gets the notification.
    pub user_id: Option<UserId>,
    /// The patient, if a patient gets the notification.
    pub patient_id: Option<PatientId>,
    /// The channel.
    pub channel: Channel,
    /// The e-mail address, phone number or device of somebody who is neither a user nor a patient. That of a user or a
    /// patient is looked up when the notification is sent: the key that seals this event is another person's.
    pub address: Option<Personal<Text<255>>>,
    /// When the notification is to be sent first; `None` within the program, where it is delivered at once.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// What the notification is about.
    pub notification_type: NotificationType,
    /// How urgent the notification is.
    pub priority: Priority,
    /// After which time the notification is no longer sent.
    pub expires_at: Option<DateTime<Utc>>,
    /// The patient of whom the notification speaks.
    pub subject_patient_id: Option<PatientId>,
    /// The visit that the notification is about.
    pub visit: Option<Visit>,
    /// What tells this occasion apart from others.
    pub dedupe_key: Option<Text<200>>,
    /// Who gets the notification, on which channel, and how far it is.
    pub deliveries: Vec<Delivery>,
}

impl Notification {
    /// The delivery with an id.
    pub fn delivery(&self, id: NotificationRecipientId) -> Option<&Delivery> {
        self.deliveries.iter().find(|it| it.recipient.recipient_id == id)
    }

    /// The notification, with a delivery changed.
    fn with(mut self, id: NotificationRecipientId, change: impl FnOnce(&mut Delivery)) -> Self {
        if let Some(delivery) = self.deliveries.iter_mut().find(|it| it.recipient.recipient_id == id) {
            change(delivery);
        }
        self
    }
}

/// What can happen to a notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The notification was written. Within the program, it is delivered with this event.
    Created {
        /// What the notification says. The patient of whom it speaks is named, if there is one.
        content: Box<Content>,
        /// Who gets it, on which channel.
        recipients: Vec<Recipient>,
    },
    /// The notification is about to be sent. This is recorded before it is sent, so that no try is forgotten.
    Attempted {
        /// Which delivery.
        recipient_id: NotificationRecipientId,
        /// The number of the try, from 1.
        attempt: i32,
        /// When the notification is sent again, unless this try succeeds; `None` after the last try.
        next_attempt_at: Option<DateTime<Utc>>,
    },
    /// The notification is sent later, since it is the recipient's quiet time.
    Postponed {
        /// Which delivery.
        recipient_id: NotificationRecipientId,
        /// When the notification is to be sent.
        next_attempt_at: DateTime<Utc>,
    },
    /// The mail server, or the gateway, has taken the notification.
    Sent {
        /// Which delivery.
        recipient_id: NotificationRecipientId,
    },
    /// The notification has arrived.
    Delivered {
        /// Which delivery.
        recipient_id: NotificationRecipientId,
        /// What the gateway told of it.
        detail: Option<Personal<Text<200>>>,
    },
    /// The recipient has read the notification.
    Read {
        /// Which delivery.
        recipient_id: NotificationRecipientId,
    },
    /// The notification did not reach the recipient, and is not sent again.
    Failed {
        /// Which delivery.
        recipient_id: NotificationRecipientId,
        /// Why the notification did not arrive.
        reason: FailureReason,
        /// What the server or the gateway said.
        detail: Option<Personal<Text<200>>>,
    },
    /// The notification is not sent any more, since it would come too late.
    Expired {
        /// Which delivery.
        recipient_id: NotificationRecipientId,
    },
}

impl Event {
    /// The delivery that the event is about; `None` for the event that begins the notification.
    pub fn recipient_id(&self) -> Option<NotificationRecipientId> {
        match self {
            Self::Created { .. } => None,
            Self::Attempted { recipient_id, .. }
            | Self::Postponed { recipient_id, .. }
            | Self::Sent { recipient_id }
            | Self::Delivered { recipient_id, .. }
            | Self::Read { recipient_id }
            | Self::Failed { recipient_id, .. }
            | Self::Expired { recipient_id } => Some(*recipient_id),
        }
    }
}

impl Aggregate for Notification {
    const STREAM: &'static str = "notification";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        if let Event::Created { content, recipients } = event {
            return Some(Self {
                notification_type: content.r#type,
                priority: content.priority,
                expires_at: content.expires_at,
                subject_patient_id: content.subject_patient_id,
                visit: content.visit.clone(),
                dedupe_key: content.dedupe_key.clone(),
                deliveries: recipients.iter().cloned().map(Delivery::begun).collect(),
            });
        }
        let id = event.recipient_id()?;
        state.map(|it| it.with(id, |delivery| delivery.change(event)))
    }

    /// The patient of whom the notification speaks; of a notification that speaks of no patient, the first recipient.
    fn subject(&self, _: Uuid) -> Option<Subject> {
        let user = || self.deliveries.iter().find_map(|it| it.recipient.user_id);
        match self.subject_patient_id {
            Some(patient_id) => Some(Subject::Patient(patient_id.0)),
            None => user().map(|it| Subject::User(it.0)),
        }
    }
}
