//! The process that sends the e-mails of resets.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::notification_preferences::{NotificationPreferences, Person};
use hims_domain::password_reset::{Event, Outcome, PasswordReset};
use hims_domain::user::User;
use hims_domain::{DomainEvent, UserId};
use hims_event_store::Timer;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::delivery::{Messenger, ResetMail, Undelivered};
use crate::access::reset_token;
use crate::password_reset::SettlePasswordReset;
use crate::{Executor, Failure, Happened, Process, Reaction};

/// After how many minutes an e-mail is sent again that the mail server did not take.
const WAITS: [i64; 3] = [1, 3, 10];

/// Sends an e-mail for each request, and sends it again after a while if that fails. What became of the e-mail is one
/// event, also for a request that nobody is sent an e-mail for.
///
/// The token follows from the request, so that a node which is killed between sending and recording sends the same
/// e-mail again.
pub(super) struct ResetMails {
    executor: Arc<Executor>,
    messenger: Arc<dyn Messenger>,
}

/// A try to be made, as the payload of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Try {
    stream_id: Uuid,
    request_id: Uuid,
    made: usize,
}

impl Try {
    fn timer(self, due_at: DateTime<Utc>) -> Reaction {
        Reaction::timer(self.request_id.to_string(), due_at, json!(self))
    }

    fn settled(self, outcome: Outcome) -> Reaction {
        let Self { stream_id, request_id, .. } = self;
        Reaction::command(SettlePasswordReset { stream_id, request_id, outcome })
    }
}

impl ResetMails {
    pub(super) fn new(executor: Arc<Executor>, messenger: Arc<dyn Messenger>) -> Self {
        Self { executor, messenger }
    }

    /// The language that a user wants.
    async fn language(&self, user_id: UserId) -> Result<Option<String>, Failure> {
        let Some(person) = Person::of(Some(user_id), None) else { return Ok(None) };
        let stream = NotificationPreferences::stream_of(person);
        let preferences = self.executor.load::<NotificationPreferences>(stream, true).await?.state;
        Ok(preferences.and_then(|it| it.wishes.language.clone()).map(|it| it.0))
    }

    /// Sends an e-mail, and says what follows.
    async fn send(&self, now: Try, user_id: UserId, expires_at: DateTime<Utc>) -> Result<Reaction, Failure> {
        let user = self.executor.load::<User>(user_id.0, true).await?.state;
        let Some(address) = user.as_ref().and_then(|it| it.email.known()) else {
            return Ok(now.settled(Outcome::Gone));
        };
        let mail = ResetMail {
            id: now.request_id,
            address: address.as_str().to_owned(),
            token: reset_token(self.executor.store().vault(), user_id, now.request_id),
            language: self.language(user_id).await?,
        };
        let outcome = match self.messenger.send_reset(&mail).await {
            Ok(()) => Outcome::Sent,
            Err(Undelivered::NotSetUp) => Outcome::NotSetUp,
            Err(Undelivered::Refused(_)) => Outcome::Refused,
            Err(Undelivered::Later(_)) => {
                let due_at = WAITS.get(now.made).map(|it| self.executor.now() + TimeDelta::minutes(*it));
                if let Some(due_at) = due_at.filter(|it| *it < expires_at) {
                    return Ok(Try { made: now.made + 1, ..now }.timer(due_at));
                }
                Outcome::GaveUp
            }
        };
        metrics::counter!("hims_messages_total", "channel" => "reset", "outcome" => outcome.as_str()).increment(1);
        Ok(now.settled(outcome))
    }
}

impl Process for ResetMails {
    const NAME: &'static str = "reset-mails";
    const ON: &'static [&'static str] = &["password_reset.requested"];
    const AT_ONCE: usize = 16;

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let DomainEvent::PasswordReset(Event::Requested { request_id, .. }) = happened.event else {
            return Ok(Vec::new());
        };
        let first = Try { stream_id: happened.stream_id, request_id, made: 0 };
        Ok(vec![first.timer(happened.occurred_at)])
    }

    async fn fire(&self, timer: &Timer) -> Result<Vec<Reaction>, Failure> {
        let Ok(now) = Try::deserialize(&timer.payload) else { return Ok(Vec::new()) };
        let state = self.executor.load::<PasswordReset>(now.stream_id, true).await?.state;
        let usable = state.as_ref().filter(|it| it.is_open(now.request_id, self.executor.now()));
        let whom = usable.and_then(|it| Some((it.user_id?, it.open.as_ref()?.expires_at)));
        Ok(vec![match whom {
            Some((user_id, expires_at)) => self.send(now, user_id, expires_at).await?,
            None => now.settled(Outcome::Withheld),
        }])
    }
}

#[cfg(test)]
mod tests;
