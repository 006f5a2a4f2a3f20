use hims_domain::{Aggregate, Described, PatientId};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::claims::Claims;
use crate::{Caller, Context, Decision, Found, Password, Permission, Reads, Refused};

/// The stream to which a command applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A stream that must not exist yet; its id is issued when the caller gives none.
    New(Option<Uuid>),
    /// A stream that must exist.
    Existing(Uuid),
    /// A stream that the command begins if it does not exist yet, such as the medication list of a patient. Its id is
    /// derived from what it stands for.
    Either(Uuid),
}

impl Target {
    /// A stream that must not exist yet.
    pub fn new(id: Option<impl Into<Uuid>>) -> Self {
        Self::New(id.map(Into::into))
    }

    /// A stream that must exist.
    pub fn existing(id: impl Into<Uuid>) -> Self {
        Self::Existing(id.into())
    }

    /// A stream that the command begins if it does not exist yet.
    pub fn either(id: impl Into<Uuid>) -> Self {
        Self::Either(id.into())
    }

    /// The id of the stream, unless the server is to issue it.
    pub(crate) fn id(self) -> Option<Uuid> {
        match self {
            Self::New(id) => id,
            Self::Existing(id) | Self::Either(id) => Some(id),
        }
    }
}

/// Passwords that a decision needs hashed or compared. Hashing and comparing take too long for `decide` itself.
#[derive(Debug, Default)]
pub struct Passwords<'a> {
    /// A password to be hashed; the hash becomes [`Context::password_hash`].
    pub set: Option<&'a Password>,
    /// A password and the hash to compare it with; the result becomes [`Context::password_matches`].
    pub compare: Option<(&'a Password, &'a str)>,
}

/// A request to change something. The struct is the request body.
pub trait Command: Described + Clone + DeserializeOwned + Send + Sync + 'static {
    /// The command's name in the API, in kebab-case.
    const NAME: &'static str;
    /// The permission that the caller's roles must include.
    const PERMISSION: Permission;
    /// Whether the command compares a password. Such commands are rate-limited, since repeating them guesses passwords.
    const COMPARES_PASSWORD: bool = false;
    /// Whether a caller in a session must have proved lately who they are, since the session alone may be somebody
    /// else's by now.
    const NEEDS_IDENTITY: bool = false;
    /// The name of the command that reverses this command, if there is one.
    const REVERSED_BY: Option<&'static str> = None;
    /// The aggregate of the stream to which the command applies.
    type Aggregate: Claims;

    /// The stream to which the command applies.
    fn target(&self) -> Target;

    /// The other streams that `decide` needs. The executor calls `reads` again with the streams found so far, until
    /// `reads` names no new stream.
    fn reads(&self, state: Option<&Self::Aggregate>, found: &Found) -> Reads {
        let _ = (state, found);
        Reads::nothing()
    }

    /// Whether the caller may give the command without [`PERMISSION`](Self::PERMISSION), because the command concerns
    /// the caller's own record. `state` is the state of the command's stream, if the stream exists.
    fn is_own(&self, state: Option<&Self::Aggregate>, caller: &Caller) -> bool {
        let _ = (state, caller);
        false
    }

    /// Another permission that is enough for this request, in place of [`PERMISSION`](Self::PERMISSION).
    fn or_permission(&self) -> Option<Permission> {
        None
    }

    /// Whether the status of the record demands nothing else before this command. When a command is refused because of
    /// the status, the refusal names the commands of the same aggregate that follow on the status. `false` for a
    /// command that demands no status.
    fn follows_on(state: &Self::Aggregate) -> bool {
        let _ = state;
        false
    }

    /// The refusal of a command because others have booked what the command books. The errors of the given refusal name
    /// every booking that stands against the command.
    fn when_booked(refused: Refused) -> Refused {
        refused
    }

    /// Passwords to be hashed or compared before `decide` is called.
    fn passwords<'a>(&'a self, state: Option<&'a Self::Aggregate>) -> Passwords<'a> {
        let _ = state;
        Passwords::default()
    }

    /// Whether a conflict would tell the caller that a value of the request, such as a social security number, is in a
    /// record, though the caller may not read it there. The executor limits how many such conflicts a caller gets.
    fn probes_a_secret(&self, caller: &Caller) -> bool {
        let _ = caller;
        false
    }

    /// The patient whose records the command opens to somebody. Only who may read them can do that.
    fn opens(&self) -> Option<PatientId> {
        None
    }

    /// Decides which events follow from the command. `state` is `Some` for an [existing](Target::Existing) stream and
    /// `None` for a [new](Target::New) one; the executor checks this before. For [either](Target::Either), it may be
    /// both.
    ///
    /// # Errors
    /// The refusal, when a rule does not allow the command.
    fn decide(self, state: Option<&Self::Aggregate>, ctx: &Context<'_>) -> Result<Decision<Self::Aggregate>, Refused>;
}

/// The state of a stream that must exist. The executor does not call [`Command::decide`] without this state.
///
/// # Errors
/// When the state is missing all the same.
pub(crate) fn existing<A: Aggregate>(state: Option<&A>) -> Result<&A, Refused> {
    state.ok_or_else(|| Refused::missing(A::STREAM))
}

/// Describes commands that only the system gives, and that hold texts which are not checked as those of requests are.
/// They are never sent to the server, so they have no form there.
macro_rules! never_sent {
    ($($name:ident),* $(,)?) => {$(
        impl ::hims_domain::Described for $name {
            const SHAPE: ::hims_domain::Shape = ::hims_domain::Shape::Object(&[]);
        }
    )*};
}
pub(crate) use never_sent;
