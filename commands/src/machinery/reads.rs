use futures::future::BoxFuture;
use hims_domain::Aggregate;
use uuid::Uuid;

use crate::machinery::context::FoundState;
use crate::machinery::execute::Executor;
use crate::machinery::outcome::Failure;

/// Loads a stream as the aggregate that asked for it.
pub(crate) type Loader = for<'a> fn(&'a Executor, Uuid, bool) -> BoxFuture<'a, Result<FoundState, Failure>>;

/// What a decision needs to know of other streams.
#[derive(Default)]
pub struct Reads {
    pub(crate) streams: Vec<(Uuid, Loader)>,
    pub(crate) owners: Vec<(&'static str, String, Loader)>,
}

impl Reads {
    /// Nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// A stream.
    #[must_use]
    pub fn stream<A: Aggregate>(mut self, id: impl Into<Uuid>) -> Self {
        self.streams.push((id.into(), load::<A>));
        self
    }

    /// A stream, if there is an id.
    #[must_use]
    pub fn maybe<A: Aggregate>(self, id: Option<impl Into<Uuid>>) -> Self {
        match id {
            Some(id) => self.stream::<A>(id),
            None => self,
        }
    }

    /// Every owner of a key, and that no other comes until the decision is recorded.
    #[must_use]
    pub fn owners<A: Aggregate>(mut self, scope: &'static str, key: impl Into<String>) -> Self {
        self.owners.push((scope, key.into(), load::<A>));
        self
    }
}

fn load<A: Aggregate>(executor: &Executor, id: Uuid, fresh: bool) -> BoxFuture<'_, Result<FoundState, Failure>> {
    Box::pin(async move { executor.load::<A>(id, fresh).await.map(FoundState::of) })
}
