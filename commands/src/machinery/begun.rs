//! The beginning of a stream from events that no command decided, such as those of a made-up history.

use hims_domain::{Aggregate, fold};
use hims_event_store::{AppendError, Claim, NewEvent, StreamAppend};
use uuid::Uuid;

use super::claims::{Claims, claimed_by};
use super::decision::stored_subject;

/// A new stream with its events, and the claims that the stream then holds. The subject is that of the state to which
/// the events lead.
///
/// # Errors
/// When an event cannot be serialised.
pub fn begun<A: Claims>(id: Uuid, events: &[A::Event]) -> Result<(StreamAppend, Vec<Claim>), AppendError> {
    let new = events.iter().map(|event| NewEvent::try_new(A::STREAM, event)).collect::<Result<Vec<_>, _>>()?;
    let stream = StreamAppend::begin(<A as Aggregate>::STREAM, id, new);
    let state: Option<A> = fold(events);
    let subject = state.as_ref().and_then(|it| it.subject(id)).map(stored_subject);
    Ok((StreamAppend { subject, ..stream }, claimed_by(id, state.as_ref())))
}
