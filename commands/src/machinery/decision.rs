use std::any::Any;
use std::sync::Arc;

use hims_domain::appointment::Slot;
use hims_domain::{Aggregate, Subject};
use hims_event_store::{AppendError, Claim, NewEvent, StreamAppend};
use uuid::Uuid;

use crate::Found;

/// What follows from a command: events, and what is claimed with them. All of it is recorded, or nothing.
pub struct Decision<A: Aggregate> {
    pub(crate) events: Vec<A::Event>,
    pub(crate) others: Vec<Box<dyn OtherStream>>,
    pub(crate) claims: Vec<Claimed>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Claimed {
    Take(&'static str, String),
    Release(&'static str, String),
    Share(&'static str, String),
    Unshare(&'static str, String),
    UnshareOf(Uuid, &'static str, String),
    Book(Uuid, Slot),
    Unbook,
}

impl<A: Aggregate> Decision<A> {
    /// Nothing: it is so already.
    pub fn nothing() -> Self {
        Self { events: Vec::new(), others: Vec::new(), claims: Vec::new() }
    }

    /// An event.
    pub fn event(event: A::Event) -> Self {
        Self { events: vec![event], ..Self::nothing() }
    }

    /// An event of another stream, which was looked up.
    #[must_use]
    pub fn also<B: Aggregate>(mut self, id: impl Into<Uuid>, event: B::Event) -> Self {
        self.others.push(Box::new(Other::<B> { id: id.into(), event }));
        self
    }

    /// A key that nobody else may have.
    #[must_use]
    pub fn take(self, scope: &'static str, key: impl Into<String>) -> Self {
        self.claim(Claimed::Take(scope, key.into()))
    }

    /// Such a key, no longer.
    #[must_use]
    pub fn release(self, scope: &'static str, key: impl Into<String>) -> Self {
        self.claim(Claimed::Release(scope, key.into()))
    }

    /// Such a key instead of another, unless they are the same.
    #[must_use]
    pub fn exchange(self, scope: &'static str, old: Option<String>, new: Option<String>) -> Self {
        if old == new {
            return self;
        }
        let released = old.into_iter().fold(self, |it, key| it.release(scope, key));
        new.into_iter().fold(released, |it, key| it.take(scope, key))
    }

    /// A key by which it can be found.
    #[must_use]
    pub fn share(self, scope: &'static str, key: impl Into<String>) -> Self {
        self.claim(Claimed::Share(scope, key.into()))
    }

    /// Such a key instead of another, unless they are the same.
    #[must_use]
    pub fn reshare(self, scope: &'static str, old: Option<String>, new: Option<String>) -> Self {
        if old == new {
            return self;
        }
        let unshared = old.into_iter().fold(self, |it, key| it.claim(Claimed::Unshare(scope, key)));
        new.into_iter().fold(unshared, |it, key| it.share(scope, key))
    }

    /// A key by which another stream is no longer found.
    #[must_use]
    pub fn unshare_of(self, owner: impl Into<Uuid>, scope: &'static str, key: impl Into<String>) -> Self {
        self.claim(Claimed::UnshareOf(owner.into(), scope, key.into()))
    }

    /// A time of a resource, which nobody else may have.
    #[must_use]
    pub fn book(self, resource: impl Into<Uuid>, slot: Slot) -> Self {
        self.claim(Claimed::Book(resource.into(), slot))
    }

    /// The same, if there is a resource.
    #[must_use]
    pub fn book_if(self, resource: Option<impl Into<Uuid>>, slot: Slot) -> Self {
        match resource {
            Some(resource) => self.book(resource, slot),
            None => self,
        }
    }

    /// All that was booked before is free again.
    #[must_use]
    pub fn unbook(self) -> Self {
        self.claim(Claimed::Unbook)
    }

    fn claim(mut self, claimed: Claimed) -> Self {
        self.claims.push(claimed);
        self
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.events.is_empty() && self.others.is_empty()
    }

    pub(crate) fn claims_of(&self, owner: Uuid) -> Vec<Claim> {
        let claim = |it: &Claimed| match it {
            Claimed::Take(scope, key) => Claim::Take { scope, key: key.clone(), owner },
            Claimed::Release(scope, key) => Claim::Release { scope, key: key.clone(), owner },
            Claimed::Share(scope, key) => Claim::Share { scope, key: key.clone(), owner },
            Claimed::Unshare(scope, key) => Claim::Unshare { scope, key: key.clone(), owner },
            Claimed::UnshareOf(other, scope, key) => Claim::Unshare { scope, key: key.clone(), owner: *other },
            Claimed::Book(resource, slot) => {
                Claim::Book { resource: *resource, from: slot.starts_at, until: slot.ends_at(), owner }
            }
            Claimed::Unbook => Claim::Unbook { owner },
        };
        self.claims.iter().map(claim).collect()
    }
}

/// Events of one stream, ready to be appended, and the state after them.
pub(crate) struct Planned {
    pub(crate) append: StreamAppend,
    pub(crate) state: Option<Arc<dyn Any + Send + Sync>>,
}

/// Events of one stream at a version, as they are appended.
pub(crate) fn plan<A: Aggregate>(
    id: Uuid,
    version: i32,
    state: Option<&A>,
    events: &[A::Event],
) -> Result<Planned, AppendError> {
    let after = events.iter().fold(state.cloned(), A::evolve);
    let recorded = events.iter().map(|it| NewEvent::new(A::STREAM, it)).collect::<Result<Vec<_>, _>>()?;
    let mut append = StreamAppend::at(A::STREAM, id, version, recorded);
    append.subject = after.as_ref().and_then(|it| it.subject(id)).map(stored_subject);
    Ok(Planned { append, state: after.map(|it| Arc::new(it) as Arc<dyn Any + Send + Sync>) })
}

/// A subject as the log knows it.
pub(crate) fn stored_subject(subject: Subject) -> hims_event_store::Subject {
    let (kind, id) = match subject {
        Subject::Patient(id) => ("patient", id),
        Subject::User(id) => ("user", id),
    };
    hims_event_store::Subject { kind: kind.to_owned(), id }
}

/// An event of a stream that was looked up, whatever aggregate it is of.
pub(crate) trait OtherStream: Send + Sync {
    fn id(&self) -> Uuid;
    /// Joins the event to those planned for the same stream before.
    fn plan(&self, found: &Found, before: Option<Planned>) -> Result<Planned, AppendError>;
    #[cfg(test)]
    fn as_any(&self) -> &dyn Any;
}

pub(crate) struct Other<B: Aggregate> {
    pub(crate) id: Uuid,
    pub(crate) event: B::Event,
}

impl<B: Aggregate> OtherStream for Other<B> {
    fn id(&self) -> Uuid {
        self.id
    }

    fn plan(&self, found: &Found, before: Option<Planned>) -> Result<Planned, AppendError> {
        let events = std::slice::from_ref(&self.event);
        match before {
            Some(before) => {
                let state = before.state.as_ref().and_then(|it| it.downcast_ref::<B>());
                let next = plan::<B>(self.id, before.append.expected_version, state, events)?;
                let joined = [before.append.events, next.append.events].concat();
                Ok(Planned { append: StreamAppend { events: joined, ..next.append }, state: next.state })
            }
            None => {
                let version = found.streams.get(&self.id).map_or(0, |it| it.version);
                plan::<B>(self.id, version, found.get(self.id), events)
            }
        }
    }

    #[cfg(test)]
    fn as_any(&self) -> &dyn Any {
        self
    }
}
