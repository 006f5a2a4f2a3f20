use std::any::Any;
use std::sync::Arc;

use hims_domain::Subject;
use hims_event_store::{Claim, NewEvent, StreamAppend};
use thiserror::Error;
use uuid::Uuid;

use super::claims::{Claims, Held};
use crate::{Found, Refused};

/// What follows from a command: events of the command's own stream and of other streams, recorded all together or not
/// at all. Which keys and times each stream holds follows from its state (see [`Claims`]).
pub struct Decision<A: Claims> {
    pub(crate) events: Vec<A::Event>,
    pub(crate) others: Vec<Box<dyn OtherStream>>,
    /// The people whose keys are destroyed together with the events.
    pub(crate) erases: Vec<Uuid>,
    /// Why the command is refused all the same.
    pub(crate) against: Option<Refused>,
}

impl<A: Claims> Decision<A> {
    /// No event, because the requested state is reached already.
    pub fn nothing() -> Self {
        Self { events: Vec::new(), others: Vec::new(), erases: Vec::new(), against: None }
    }

    /// One event of the command's own stream.
    pub fn event(event: A::Event) -> Self {
        Self { events: vec![event], others: Vec::new(), erases: Vec::new(), against: None }
    }

    /// Adds a further event of the command's own stream.
    #[must_use]
    pub fn followed_by(mut self, event: A::Event) -> Self {
        self.events.push(event);
        self
    }

    /// Destroys the key of a person together with the events: whatever was sealed with the key reads as erased from then
    /// on.
    #[must_use]
    pub fn erasing(mut self, subject: impl Into<Uuid>) -> Self {
        self.erases.push(subject.into());
        self
    }

    /// Refuses the command, if something stands against it. Unlike a refusal instead of a decision, this one also names
    /// the bookings that stand against what the command would have booked, so that the caller learns of everything at
    /// once.
    #[must_use]
    pub fn unless(mut self, against: Option<Refused>) -> Self {
        self.against = against;
        self
    }

    /// Adds the first event of another stream, which must not exist yet.
    #[must_use]
    pub fn begin<B: Claims>(mut self, id: impl Into<Uuid>, event: B::Event) -> Self {
        self.others.push(Box::new(Other::<B> { id: id.into(), event, begins: true }));
        self
    }

    /// Adds an event to another stream, which the decision must have looked up or begun.
    #[must_use]
    pub fn also<B: Claims>(mut self, id: impl Into<Uuid>, event: B::Event) -> Self {
        self.others.push(Box::new(Other::<B> { id: id.into(), event, begins: false }));
        self
    }

    /// Adds an event to another stream, which begins with the event if it does not exist yet. The decision must have
    /// looked the stream up.
    #[must_use]
    pub fn begin_or_also<B: Claims>(self, id: impl Into<Uuid>, event: B::Event, found: &Found) -> Self {
        let id = id.into();
        if found.get::<B>(id).is_some() { self.also::<B>(id, event) } else { self.begin::<B>(id, event) }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.events.is_empty() && self.others.is_empty()
    }

    /// Plans the append of every stream; the command's own stream comes first.
    pub(crate) fn plan(
        &self,
        id: Uuid,
        version: i32,
        state: Option<&A>,
        found: &Found,
    ) -> Result<Vec<Planned>, Mistake> {
        let mut planned = Vec::with_capacity(1 + self.others.len());
        planned.push(plan(id, version, state, &self.events)?);
        for other in &self.others {
            let earlier = planned.iter().position(|plan| plan.append.stream_id == other.id());
            let before = earlier.map(|index| planned.remove(index));
            planned.push(other.plan(found, before)?);
        }
        Ok(planned)
    }
}

/// A decision that no append can follow from: a mistake in the program, which deciding again would repeat.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Mistake {
    /// The decision adds an event to a stream that it did not look up.
    #[error("the decision adds an event to a stream ({0}) that it did not look up; name the stream in `reads`")]
    NotLookedUp(&'static str),
    /// The decision adds a further event to a stream that does not exist, or that has another type.
    #[error("the decision adds a further event to a stream ({0}) that is not there; use `begin` for a first event")]
    NotThere(&'static str),
    /// An event of the decision cannot be stored.
    #[error("an event of the decision cannot be stored ({0})")]
    Unstorable(&'static str),
}

/// Events of one stream, ready to be appended, with the state after them and what the stream holds before and after.
pub(crate) struct Planned {
    pub(crate) append: StreamAppend,
    pub(crate) state: Option<Arc<dyn Any + Send + Sync>>,
    before: Held,
    pub(crate) after: Held,
}

impl Planned {
    /// The stream, and the version that it must be at.
    pub(crate) fn at(&self) -> (Uuid, i32) {
        (self.append.stream_id, self.append.expected_version)
    }

    /// The keys and times that the stream gives back and takes with its new events.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.before.until(&self.after, self.append.stream_id)
    }
}

/// Plans the append of new events to one stream that is at the given version.
pub(crate) fn plan<A: Claims>(
    id: Uuid,
    version: i32,
    state: Option<&A>,
    events: &[A::Event],
) -> Result<Planned, Mistake> {
    let after = events.iter().fold(state.cloned(), A::evolve);
    let recorded = events.iter().map(|event| NewEvent::try_new(A::STREAM, event)).collect::<Result<Vec<_>, _>>();
    let recorded = recorded.map_err(|_| Mistake::Unstorable(A::STREAM))?;
    let mut append = StreamAppend::at(A::STREAM, id, version, recorded);
    append.subject = after.as_ref().and_then(|it| it.subject(id)).map(stored_subject);
    Ok(Planned {
        append,
        before: Held::of(id, state),
        after: Held::of(id, after.as_ref()),
        state: after.map(|it| Arc::new(it) as Arc<dyn Any + Send + Sync>),
    })
}

/// Converts the domain's subject to the form that the log stores.
pub(crate) fn stored_subject(subject: Subject) -> hims_event_store::Subject {
    let (kind, id) = match subject {
        Subject::Patient(id) => ("patient", id),
        Subject::User(id) => ("user", id),
        Subject::Supplier(id) => ("supplier", id),
    };
    hims_event_store::Subject { kind: kind.to_owned(), id }
}

/// An event of a stream other than the command's own, whatever the aggregate of that stream.
pub(crate) trait OtherStream: Send + Sync {
    fn id(&self) -> Uuid;
    /// Whether the event is the first of its stream.
    fn begins(&self) -> bool;
    /// Plans the event after the events that are planned for the same stream already (`before`).
    fn plan(&self, found: &Found, before: Option<Planned>) -> Result<Planned, Mistake>;
    #[cfg(test)]
    fn as_any(&self) -> &dyn Any;
}

pub(crate) struct Other<B: Claims> {
    pub(crate) id: Uuid,
    pub(crate) event: B::Event,
    begins: bool,
}

impl<B: Claims> OtherStream for Other<B> {
    fn id(&self) -> Uuid {
        self.id
    }

    fn begins(&self) -> bool {
        self.begins
    }

    fn plan(&self, found: &Found, before: Option<Planned>) -> Result<Planned, Mistake> {
        let events = std::slice::from_ref(&self.event);
        match (before, found.streams.get(&self.id)) {
            (Some(before), _) => {
                let state = before.state.as_ref().and_then(|it| it.downcast_ref::<B>());
                let next = plan::<B>(self.id, before.append.expected_version, state, events)?;
                let joined = [before.append.events, next.append.events].concat();
                let append = StreamAppend { events: joined, ..next.append };
                Ok(Planned { append, before: before.before, ..next })
            }
            (None, _) if self.begins => plan::<B>(self.id, 0, None, events),
            (None, Some(it)) => match found.get::<B>(self.id) {
                Some(state) => plan::<B>(self.id, it.version, Some(state), events),
                None => Err(Mistake::NotThere(B::STREAM)),
            },
            (None, None) => Err(Mistake::NotLookedUp(B::STREAM)),
        }
    }

    #[cfg(test)]
    fn as_any(&self) -> &dyn Any {
        self
    }
}
