use std::any::Any;
use std::sync::Arc;

use hims_domain::Subject;
use hims_event_store::{AppendError, Claim, NewEvent, StreamAppend};
use uuid::Uuid;

use super::claims::{Claims, Held};
use crate::Found;

/// What follows from a command: events of its stream and of others. All of them are recorded, or none. What the streams
/// hold against others follows from their [`Claims`].
pub struct Decision<A: Claims> {
    pub(crate) events: Vec<A::Event>,
    pub(crate) others: Vec<Box<dyn OtherStream>>,
}

impl<A: Claims> Decision<A> {
    /// Nothing: it is so already.
    pub fn nothing() -> Self {
        Self { events: Vec::new(), others: Vec::new() }
    }

    /// An event.
    pub fn event(event: A::Event) -> Self {
        Self { events: vec![event], others: Vec::new() }
    }

    /// The first event of another stream, which must not exist yet.
    #[must_use]
    pub fn begin<B: Claims>(mut self, id: impl Into<Uuid>, event: B::Event) -> Self {
        self.others.push(Box::new(Other::<B> { id: id.into(), event, begins: true }));
        self
    }

    /// A further event of another stream. The decision must have looked the stream up, or begun it.
    #[must_use]
    pub fn also<B: Claims>(mut self, id: impl Into<Uuid>, event: B::Event) -> Self {
        self.others.push(Box::new(Other::<B> { id: id.into(), event, begins: false }));
        self
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.events.is_empty() && self.others.is_empty()
    }

    /// Everything that is to be appended, by stream; the command's own stream first.
    pub(crate) fn plan(
        &self,
        id: Uuid,
        version: i32,
        state: Option<&A>,
        found: &Found,
    ) -> Result<Vec<Planned>, AppendError> {
        let mut planned = Vec::with_capacity(1 + self.others.len());
        planned.push(plan(id, version, state, &self.events)?);
        for other in &self.others {
            let before = planned.iter().position(|it| it.append.stream_id == other.id()).map(|it| planned.remove(it));
            planned.push(other.plan(found, before)?);
        }
        Ok(planned)
    }
}

/// Events of one stream, ready to be appended, with the state after them and what the stream holds.
pub(crate) struct Planned {
    pub(crate) append: StreamAppend,
    pub(crate) state: Option<Arc<dyn Any + Send + Sync>>,
    before: Held,
    pub(crate) after: Held,
}

impl Planned {
    /// What the stream gives back and takes with these events.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.before.until(&self.after, self.append.stream_id)
    }
}

/// Plans events of one stream that follow on a version.
pub(crate) fn plan<A: Claims>(
    id: Uuid,
    version: i32,
    state: Option<&A>,
    events: &[A::Event],
) -> Result<Planned, AppendError> {
    let after = events.iter().fold(state.cloned(), A::evolve);
    let recorded = events.iter().map(|event| NewEvent::new(A::STREAM, event)).collect::<Result<Vec<_>, _>>()?;
    let mut append = StreamAppend::at(A::STREAM, id, version, recorded);
    append.subject = after.as_ref().and_then(|it| it.subject(id)).map(stored_subject);
    Ok(Planned {
        append,
        before: Held::of(id, state),
        after: Held::of(id, after.as_ref()),
        state: after.map(|it| Arc::new(it) as Arc<dyn Any + Send + Sync>),
    })
}

/// A subject as the log knows it.
pub(crate) fn stored_subject(subject: Subject) -> hims_event_store::Subject {
    let (kind, id) = match subject {
        Subject::Patient(id) => ("patient", id),
        Subject::User(id) => ("user", id),
    };
    hims_event_store::Subject { kind: kind.to_owned(), id }
}

/// An event of another stream than the command's, whatever aggregate it is of.
pub(crate) trait OtherStream: Send + Sync {
    fn id(&self) -> Uuid;
    /// Whether the stream begins with the event.
    fn begins(&self) -> bool;
    /// Plans the event, after those that are planned for the same stream already.
    fn plan(&self, found: &Found, before: Option<Planned>) -> Result<Planned, AppendError>;
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

    fn plan(&self, found: &Found, before: Option<Planned>) -> Result<Planned, AppendError> {
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
            (None, Some(it)) => plan::<B>(self.id, it.version, found.get(self.id), events),
            (None, None) => {
                Err(AppendError::Malformed(format!("a decision adds to a {} that it did not look up", B::STREAM)))
            }
        }
    }

    #[cfg(test)]
    fn as_any(&self) -> &dyn Any {
        self
    }
}
