use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// A thing with an identity and a history: its state is the fold of its events, and nothing else changes it.
pub trait Aggregate: Debug + Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// The stream type of its events, and the first half of their type (`appointment` in `appointment.scheduled`).
    const STREAM: &'static str;

    /// Moves with the shape of the state, so that a snapshot of an older shape is folded anew instead of misread.
    const STATE_VERSION: i32 = 1;

    /// Everything that can happen to it. The serde form of the enum is its stored form.
    type Event: Debug + Clone + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static;

    /// The state after the event. Cannot fail: what is recorded has happened.
    fn evolve(state: Option<Self>, event: &Self::Event) -> Option<Self>;

    /// Whose personal values its events hold; `None` when they hold none.
    fn subject(&self, id: Uuid) -> Option<Subject>;
}

/// The person whose key seals the personal values of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A patient; reading needs access to that patient.
    Patient(Uuid),
    /// A member of staff or a patient in the role of a login.
    User(Uuid),
}

/// Folds a whole history.
pub fn fold<'a, A: Aggregate>(events: impl IntoIterator<Item = &'a A::Event>) -> Option<A> {
    events.into_iter().fold(None, A::evolve)
}
