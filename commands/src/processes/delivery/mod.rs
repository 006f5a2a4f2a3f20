//! The process that sends e-mails, text messages and push messages.

mod messenger;

use std::sync::Arc;

use hims_domain::notification::{Channel, Delivery as Sending, Event, FailureReason, Notification, Recipient, Status};
use hims_domain::notification_preferences::{NotificationPreferences, Person};
use hims_domain::patient::Patient;
use hims_domain::user::User;
use hims_domain::{DomainEvent, NotificationId, NotificationRecipientId, PatientId, Personal};
use hims_event_store::Timer;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use messenger::{Message, Messenger, ResetMail, Undelivered};

use crate::notification::{
    AttemptDelivery, FailDelivery, LAST_TRY, RecordSent, address_of_patient, address_of_user,
};
use crate::{Caller, Executor, Failure, Happened, Process, Reaction, Request};

/// Sends each notification on each channel, and sends it again after a while if that fails.
///
/// Each try is recorded before the message is sent, so that a node which is killed in between does not send more often
/// than intended. A node that is killed after sending and before recording it sends the message again, under the same
/// id.
pub(super) struct Delivery {
    executor: Arc<Executor>,
    messenger: Arc<dyn Messenger>,
    caller: Arc<Caller>,
}

/// A try to be made, as the payload of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Try {
    notification_id: NotificationId,
    recipient_id: NotificationRecipientId,
    attempt: i32,
}

impl Try {
    fn timer(self, due_at: chrono::DateTime<chrono::Utc>) -> Reaction {
        Reaction::timer(self.recipient_id.to_string(), due_at, json!(self))
    }

    fn next(self) -> Self {
        Self { attempt: self.attempt + 1, ..self }
    }

    fn command(self) -> AttemptDelivery {
        let Self { notification_id, recipient_id, attempt } = self;
        AttemptDelivery { notification_id, recipient_id, attempt }
    }

    fn failed(self, reason: FailureReason, said: Option<String>) -> Reaction {
        let Self { notification_id, recipient_id, .. } = self;
        let detail = said.map(|it| Personal::Known(in_one_line(&it).as_str().into()));
        Reaction::command(FailDelivery { notification_id, recipient_id, reason, detail })
    }
}

/// What a server said, in a line of at most 200 characters.
fn in_one_line(said: &str) -> String {
    said.split(|it: char| it.is_control() || it.is_whitespace())
        .filter(|it| !it.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(200)
        .collect()
}

/// What a server said, without the address of the recipient, which it likes to repeat: what is kept of it is sealed with
/// the key of the person whom the notification is about.
fn without(message: &Message, said: &str) -> String {
    let (lower, address) = (said.to_ascii_lowercase(), message.address.to_ascii_lowercase());
    let (mut left, mut from) = (String::new(), 0);
    for (at, found) in lower.match_indices(&address) {
        left.extend([&said[from..at], "…"]);
        from = at + found.len();
    }
    left + &said[from..]
}

impl Delivery {
    pub(super) fn new(executor: Arc<Executor>, messenger: Arc<dyn Messenger>) -> Self {
        let caller = Arc::new(Caller::system(&format!("process:{}", Self::NAME)));
        Self { executor, messenger, caller }
    }

    /// The record of a patient who gets a message, or the one that survived it, as it is now.
    async fn patient(&self, recipient: &Recipient) -> Result<Option<(PatientId, Arc<Patient>)>, Failure> {
        let Some(id) = recipient.patient_id else { return Ok(None) };
        let (id, state) = self.executor.survivor(id.into(), true).await?;
        Ok(state.map(|it| (PatientId(id), it)))
    }

    /// Where a message goes: to the address that the user or the patient has now, or else to the one that was named.
    async fn address(
        &self,
        recipient: &Recipient,
        patient: Option<&(PatientId, Arc<Patient>)>,
    ) -> Result<Option<String>, Failure> {
        let channel = recipient.channel;
        if recipient.patient_id.is_some() {
            return Ok(patient.and_then(|(_, it)| address_of_patient(it, channel)).map(str::to_owned));
        }
        match recipient.user_id {
            Some(id) => {
                let user = self.executor.load::<User>(id.0, true).await?.state;
                Ok(user.and_then(|it| address_of_user(&it, channel).map(str::to_owned)))
            }
            None => Ok(recipient.address.as_ref().and_then(Personal::known).map(|it| it.0.clone())),
        }
    }

    /// The language that a recipient wants: that of the preferences, or else that of the patient.
    async fn language(
        &self,
        recipient: &Recipient,
        patient: Option<(PatientId, Arc<Patient>)>,
    ) -> Result<Option<String>, Failure> {
        if let Some(person) = Person::of(recipient.user_id, patient.as_ref().map(|it| it.0)) {
            let stream = NotificationPreferences::stream_of(person);
            let preferences = self.executor.load::<NotificationPreferences>(stream, true).await?.state;
            if let Some(language) = preferences.and_then(|it| it.wishes.language.clone()) {
                return Ok(Some(language.0));
            }
        }
        let spoken = patient.and_then(|(_, it)| it.demographics.preferred_language.as_ref()?.known().cloned());
        Ok(spoken.map(|it| it.0))
    }

    /// Sends a message, and says what follows.
    async fn send(&self, made: Try, state: &Notification, sending: &Sending) -> Result<Reaction, Failure> {
        let recipient = &sending.recipient;
        let patient = self.patient(recipient).await?;
        let Some(address) = self.address(recipient, patient.as_ref()).await? else {
            // The address was removed since the try was recorded, or somebody was erased since the notification was written.
            return Ok(made.failed(FailureReason::NoAddress, None));
        };
        let message = Message {
            id: made.recipient_id,
            channel: recipient.channel,
            address,
            notification_type: state.notification_type,
            visit: state.visit.clone(),
            language: self.language(recipient, patient).await?,
        };
        let sent = self.messenger.send(&message).await;
        let outcome = match &sent {
            Ok(()) => "sent",
            Err(Undelivered::NotSetUp) => "not-set-up",
            Err(Undelivered::Refused(_)) => "refused",
            Err(Undelivered::Later(_)) => "later",
        };
        let channel = message.channel.as_str();
        metrics::counter!("hims_messages_total", "channel" => channel, "outcome" => outcome).increment(1);
        Ok(match sent {
            Ok(()) => {
                let Try { notification_id, recipient_id, .. } = made;
                Reaction::command(RecordSent { notification_id, recipient_id })
            }
            Err(Undelivered::NotSetUp) => made.failed(FailureReason::NotSetUp, None),
            Err(Undelivered::Refused(said)) => made.failed(FailureReason::Refused, Some(without(&message, &said))),
            Err(Undelivered::Later(said)) => match sending.next_attempt_at {
                Some(at) => made.next().timer(at),
                None if state.expires_at.is_some() && made.attempt < LAST_TRY => {
                    made.failed(FailureReason::Expired, Some(without(&message, &said)))
                }
                None => made.failed(FailureReason::GaveUp, Some(without(&message, &said))),
            },
        })
    }
}

impl Process for Delivery {
    const NAME: &'static str = "delivery";
    const ON: &'static [&'static str] = &["notification.created"];
    const AT_ONCE: usize = 16;

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let DomainEvent::Notification(Event::Created { recipients, .. }) = &happened.event else {
            return Ok(Vec::new());
        };
        let sent = recipients.iter().filter(|it| it.channel != Channel::InApp);
        let first = sent.map(|it| {
            let made =
                Try { notification_id: happened.stream_id.into(), recipient_id: it.recipient_id, attempt: 1 };
            made.timer(it.next_attempt_at.unwrap_or(happened.recorded_at))
        });
        Ok(first.collect())
    }

    async fn fire(&self, timer: &Timer) -> Result<Vec<Reaction>, Failure> {
        let Ok(made) = serde_json::from_value::<Try>(timer.payload.clone()) else { return Ok(Vec::new()) };
        let request = Request::of(Arc::clone(&self.caller));
        match self.executor.execute_unless_refused(made.command(), request).await {
            Ok(_) => {}
            // The command is given once more, so that the refusal is kept as a failure of the process.
            Err(Failure::Refused(_)) => return Ok(vec![Reaction::command(made.command())]),
            Err(failure) => return Err(failure),
        }
        let state = self.executor.load::<Notification>(made.notification_id.0, true).await?.state;
        let Some(state) = state else { return Ok(Vec::new()) };
        let sending = state.delivery(made.recipient_id).filter(|it| it.status == Status::Pending);
        Ok(match sending {
            Some(sending) if sending.attempts == made.attempt => vec![self.send(made, &state, sending).await?],
            // The message waits until quiet hours end.
            Some(Sending { attempts, next_attempt_at: Some(at), .. }) if *attempts < made.attempt => {
                vec![made.timer(*at)]
            }
            _ => Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests;
