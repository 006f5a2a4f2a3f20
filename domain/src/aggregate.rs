use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// A thing with an identity and a history, such as a patient's record. The state of an aggregate is the fold of its
/// events; nothing else changes the state.
pub trait Aggregate: Debug + Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// The stream type of the aggregate, which is also the first half of its event types (`appointment` in
    /// `appointment.scheduled`).
    const STREAM: &'static str;

    /// The version of the form of the state. Raise the version when the form changes, so that older snapshots are
    /// folded again instead of misread.
    const STATE_VERSION: i32 = 1;

    /// The enum of everything that can happen to the aggregate. Its serde form is the stored form of the events.
    type Event: Debug + Clone + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static;

    /// The state after an event. Cannot fail, since what is recorded has happened.
    fn evolve(state: Option<Self>, event: &Self::Event) -> Option<Self>;

    /// The person whose personal values the events hold; `None` when the events hold no personal values. `id` is the id
    /// of the stream.
    fn subject(&self, id: Uuid) -> Option<Subject>;
}

/// The person whose key seals the personal values of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A patient. Reading the personal values needs access to the patient.
    Patient(Uuid),
    /// A user: a member of staff, or a patient who can log in.
    User(Uuid),
    /// A supplier: the people who speak for it.
    Supplier(Uuid),
}

/// Folds the whole history of an aggregate into its state; `None` when nothing has happened yet.
pub fn fold<'a, A: Aggregate>(events: impl IntoIterator<Item = &'a A::Event>) -> Option<A> {
    events.into_iter().fold(None, A::evolve)
}
