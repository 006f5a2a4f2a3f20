//! Tickets: what a browser sends in an address, where it can send no header, instead of the token of its session.

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::session::Session;
use hims_domain::{described, terms};
use hims_event_store::Receipt;
use hims_event_store::chain::hex;
use secrecy::SecretString;
use uuid::{Builder, Uuid};

use super::{Login, Origin, is_same};
use crate::{Caller, Failure};

/// How long a ticket is good for.
const GOOD_FOR: TimeDelta = TimeDelta::seconds(30);
/// What sets the marks of tickets apart from other marks that the master key makes.
const SCOPE: &str = "stream-tickets";

terms! {
    /// The event streams for which there are tickets.
    pub enum TicketStream {
        Events = "events",
        Notifications = "notifications",
    }
}

described! {
    /// Asks for a ticket.
    pub struct AskForTicket {
        /// The event stream that the ticket opens.
        pub stream: TicketStream,
    }
}

/// A ticket. It opens one event stream once, for the session that asked for it.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// What the browser sends.
    pub text: SecretString,
    /// Until when the ticket is good.
    pub expires_at: DateTime<Utc>,
}

/// What a ticket says: the session, an id of its own and until when it is good, in milliseconds since 1970.
struct Said {
    session: Uuid,
    id: Uuid,
    until: i64,
}

impl Said {
    /// Reads a ticket; also the mark, as it is given.
    fn read(text: &str) -> Option<(Self, Vec<u8>)> {
        let mut parts = text.splitn(4, '.');
        let mut part = || parts.next();
        let (session, id) = (Uuid::try_parse(part()?).ok()?, Uuid::try_parse(part()?).ok()?);
        let until = part()?.parse().ok()?;
        Some((Self { session, id, until }, part()?.as_bytes().to_vec()))
    }

    /// What the mark covers. No two different tickets are the same bytes, since only the last part has no fixed length.
    fn covered(&self, stream: TicketStream) -> Vec<u8> {
        let until = self.until.to_be_bytes();
        [self.session.as_bytes(), self.id.as_bytes(), &until[..], stream.as_str().as_bytes()].concat()
    }
}

impl Login {
    /// Makes a ticket for a session. Nothing is stored: the ticket has a mark that only nodes of this hospital can
    /// make.
    pub fn ticket(&self, session: Uuid, stream: TicketStream) -> Ticket {
        let expires_at = self.executor.now() + GOOD_FOR;
        let id = Builder::from_random_bytes(self.executor.entropy().to_be_bytes()).into_uuid();
        let until = expires_at.timestamp_millis();
        let mark = self.mark(&Said { session, id, until }, stream);
        let text = format!("{}.{}.{until}.{mark}", session.simple(), id.simple());
        Ticket { text: text.into(), expires_at }
    }

    fn mark(&self, said: &Said, stream: TicketStream) -> String {
        hex(&self.executor.store().vault().blind(SCOPE, &said.covered(stream)))
    }

    /// The caller to whom a ticket was given, and the hash of the token of the caller's session. `None` if the ticket
    /// is not good for the stream, or not any more: each is taken once, by whichever node. That a ticket was taken is a
    /// receipt in the log, under the id of the ticket.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn admit(
        &self,
        ticket: &str,
        stream: TicketStream,
        origin: Origin,
    ) -> Result<Option<(Caller, String)>, Failure> {
        let Some((said, mark)) = Said::read(ticket) else { return Ok(None) };
        let is_ours = is_same(&mark, self.mark(&said, stream).as_bytes());
        if !is_ours || self.executor.now().timestamp_millis() >= said.until {
            return Ok(None);
        }
        let session = self.executor.load::<Session>(said.session, true).await?;
        let hash = session.state.as_ref().and_then(|it| it.token_hash.known().cloned());
        let Some(hash) = hash else { return Ok(None) };
        let Some(caller) = self.is_still(&hash, origin).await? else { return Ok(None) };
        let receipt = Receipt::new(said.id, said.covered(stream));
        let taken = self.executor.store().acknowledge(receipt, said.session, session.version).await?;
        Ok(taken.map(|_| (caller, hash)))
    }
}
