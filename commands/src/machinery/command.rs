use hims_domain::{Aggregate, Described};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::claims::Claims;
use crate::{Caller, Context, Decision, Found, Password, Permission, Reads, Refused};

/// The stream that a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One that must not exist yet; its id is issued when the caller brings none.
    New(Option<Uuid>),
    /// One that must exist.
    Existing(Uuid),
}

impl Target {
    /// One that must not exist yet.
    pub fn new(id: Option<impl Into<Uuid>>) -> Self {
        Self::New(id.map(Into::into))
    }

    /// One that must exist.
    pub fn existing(id: impl Into<Uuid>) -> Self {
        Self::Existing(id.into())
    }
}

/// Passwords that a decision needs hashed or compared; both take too long to be done while deciding.
#[derive(Debug, Default)]
pub struct Passwords<'a> {
    /// To be hashed for [`Context::password_hash`].
    pub set: Option<&'a Password>,
    /// To be compared with a hash for [`Context::password_matches`].
    pub compare: Option<(&'a Password, &'a str)>,
}

/// A request to change something. The struct is the request body.
pub trait Command: Described + Clone + DeserializeOwned + Send + Sync + 'static {
    /// Its name in the API, in kebab-case.
    const NAME: &'static str;
    /// What the caller's roles must allow.
    const PERMISSION: Permission;
    /// Whether it compares a password, so that repeating it would be guessing.
    const COMPARES_PASSWORD: bool = false;
    /// The name of the command that takes back what this one did, where there is one.
    const REVERSED_BY: Option<&'static str> = None;
    /// What it is about.
    type Aggregate: Claims;

    /// The stream that it is for.
    fn target(&self) -> Target;

    /// What `decide` needs to know of other streams. Asked again with what was found, until it names nothing new.
    fn reads(&self, state: Option<&Self::Aggregate>, found: &Found) -> Reads {
        let _ = (state, found);
        Reads::nothing()
    }

    /// Whether the caller may do it without [`PERMISSION`](Self::PERMISSION), because it is about themselves. `state` is
    /// that of the stream that the command is for, if it exists.
    fn is_own(&self, state: Option<&Self::Aggregate>, caller: &Caller) -> bool {
        let _ = (state, caller);
        false
    }

    /// Passwords to be hashed or compared before it is decided.
    fn passwords<'a>(&'a self, state: Option<&'a Self::Aggregate>) -> Passwords<'a> {
        let _ = state;
        Passwords::default()
    }

    /// What follows. `state` is there for an [existing](Target::Existing) stream and not there for a [new](Target::New)
    /// one: that is checked before.
    ///
    /// # Errors
    /// Why it does not follow.
    fn decide(self, state: Option<&Self::Aggregate>, ctx: &Context<'_>) -> Result<Decision<Self::Aggregate>, Refused>;
}

/// The state of a stream that must exist; [`Command::decide`] is not called without it.
///
/// # Errors
/// When it is not there after all.
pub(crate) fn existing<A: Aggregate>(state: Option<&A>) -> Result<&A, Refused> {
    state.ok_or_else(|| Refused::missing(A::STREAM))
}
