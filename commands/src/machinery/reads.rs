use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use hims_domain::Aggregate;
use hims_event_store::{Opened, Span};
use uuid::Uuid;

use crate::machinery::cache::Era;
use crate::machinery::context::FoundState;
use crate::machinery::execute::Executor;
use crate::machinery::outcome::Failure;

/// Loads a stream as a certain aggregate.
pub(crate) type Loader = for<'a> fn(&'a Executor, Uuid, Need) -> BoxFuture<'a, Result<FoundState, Failure>>;

/// Which state of a stream is needed.
pub(crate) enum Need {
    /// A remembered state will do.
    Remembered,
    /// The state as it is in the log.
    Fresh,
    /// The state at this version, which the stream has in the log. A remembered state of the version is as good.
    At(i32),
    /// The state that follows from all events of the stream, which are these, and were read in this era.
    Of(Vec<Opened>, Era),
}

/// The other streams and key owners that a decision needs to know.
#[derive(Default)]
pub struct Reads {
    pub(crate) streams: Vec<(Uuid, Loader)>,
    pub(crate) owners: Vec<KeyRead>,
    /// The resources and times whose bookings are looked up, with the loader of the streams that have booked them.
    pub(crate) booked: Vec<(Span, Loader)>,
}

/// A key whose owners are looked up.
pub(crate) struct KeyRead {
    pub(crate) scope: &'static str,
    pub(crate) key: String,
    /// The loader of the owners' streams, if these are needed.
    pub(crate) loader: Option<Loader>,
    /// Whether the decision relies on the versions of the owners, which are only looked at otherwise.
    pub(crate) is_relied_on: bool,
}

impl Reads {
    /// Looks up nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Looks up a stream.
    #[must_use]
    pub fn stream<A: Aggregate>(mut self, id: impl Into<Uuid>) -> Self {
        self.streams.push((id.into(), load::<A>));
        self
    }

    /// Also looks up something else.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.streams.extend(other.streams);
        self.owners.extend(other.owners);
        self.booked.extend(other.booked);
        self
    }

    /// Looks up a stream, if there is an id.
    #[must_use]
    pub fn maybe<A: Aggregate>(self, id: Option<impl Into<Uuid>>) -> Self {
        match id {
            Some(id) => self.stream::<A>(id),
            None => self,
        }
    }

    /// Looks up every stream that owns a key. The append fails if the owners have changed by then, so that no new owner
    /// is missed.
    #[must_use]
    pub fn owners<A: Aggregate>(mut self, scope: &'static str, key: impl Into<String>) -> Self {
        self.owners.push(KeyRead { scope, key: key.into(), loader: Some(load::<A>), is_relied_on: true });
        self
    }

    /// Looks at every stream that owns a key, as something to compare with. The append fails if the owners have changed
    /// by then, but a further event of an owner does not matter, so that nobody waits for those who write the owners.
    #[must_use]
    pub fn candidates<A: Aggregate>(mut self, scope: &'static str, key: impl Into<String>) -> Self {
        self.owners.push(KeyRead { scope, key: key.into(), loader: Some(load::<A>), is_relied_on: false });
        self
    }

    /// Looks up the ids of the streams that own a key, without the streams: the work is the same whether or not there
    /// is an owner. The append fails if the owners have changed by then.
    #[must_use]
    pub fn holders(mut self, scope: &'static str, key: impl Into<String>) -> Self {
        self.owners.push(KeyRead { scope, key: key.into(), loader: None, is_relied_on: true });
        self
    }

    /// Looks up who has booked a resource at a time that overlaps the given one, with the streams of the bookings. The
    /// append does not fail if a booking is added or given back meanwhile: what must not overlap is guarded by the
    /// claims, and what follows from a stream that was found by the version of that stream.
    #[must_use]
    pub fn booked<A: Aggregate>(
        mut self,
        resource: impl Into<Uuid>,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Self {
        self.booked.push((Span { resource: resource.into(), from, until }, load::<A>));
        self
    }
}

fn load<A: Aggregate>(executor: &Executor, id: Uuid, need: Need) -> BoxFuture<'_, Result<FoundState, Failure>> {
    Box::pin(async move { executor.load_as::<A>(id, need).await.map(FoundState::of) })
}
