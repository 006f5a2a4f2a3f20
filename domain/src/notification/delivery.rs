use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Channel, Event, Recipient, Status};

/// How far a notification is on its way to one recipient on one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Who gets the notification, on which channel.
    pub recipient: Recipient,
    /// How far the notification is.
    pub status: Status,
    /// How often it was tried to send the notification.
    pub attempts: i32,
    /// When it is tried next, as long as the notification is pending.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

impl Delivery {
    /// A delivery at its beginning. Within the program, a notification is delivered at once.
    pub fn begun(recipient: Recipient) -> Self {
        let status = if recipient.channel == Channel::InApp { Status::Delivered } else { Status::Pending };
        let next_attempt_at = recipient.next_attempt_at;
        Self { recipient, status, attempts: 0, next_attempt_at }
    }

    /// Changes the delivery by an event that is about it.
    pub(super) fn change(&mut self, event: &Event) {
        match event {
            Event::Created { .. } => {}
            Event::Attempted { attempt, next_attempt_at, .. } => {
                self.attempts = *attempt;
                self.next_attempt_at = *next_attempt_at;
            }
            Event::Postponed { next_attempt_at, .. } => self.next_attempt_at = Some(*next_attempt_at),
            Event::Sent { .. } => self.end(Status::Sent),
            Event::Delivered { .. } => self.end(Status::Delivered),
            Event::Read { .. } => self.end(Status::Read),
            Event::Failed { .. } | Event::Expired { .. } => self.end(Status::Failed),
        }
    }

    fn end(&mut self, status: Status) {
        self.status = status;
        self.next_attempt_at = None;
    }
}
