//! Claims as tests write them.

use chrono::{DateTime, Utc};
use hims_domain::appointment::Slot;
use hims_event_store::Claim;
use uuid::Uuid;

/// A claim that the command's own stream, or with `OfOther` another stream, takes or gives back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Claimed {
    Take(&'static str, String),
    Release(&'static str, String),
    Share(&'static str, String),
    Unshare(&'static str, String),
    Book(Uuid, DateTime<Utc>, DateTime<Utc>),
    Unbook,
    OfOther(Uuid, Box<Claimed>),
}

impl Claimed {
    pub(super) fn of(claim: Claim, own: Uuid) -> Self {
        let (claimed, owner) = match claim {
            Claim::Take { scope, key, owner } => (Self::Take(scope, key), owner),
            Claim::Release { scope, key, owner } => (Self::Release(scope, key), owner),
            Claim::Share { scope, key, owner } => (Self::Share(scope, key), owner),
            Claim::Unshare { scope, key, owner } => (Self::Unshare(scope, key), owner),
            Claim::Book { resource, from, until, owner } => (Self::Book(resource, from, until), owner),
            Claim::Unbook { owner } => (Self::Unbook, owner),
        };
        if owner == own { claimed } else { Self::OfOther(owner, Box::new(claimed)) }
    }
}

impl Claimed {
    /// The scope of a unique key that is given back.
    pub(super) fn released_scope(&self) -> Option<&'static str> {
        match self {
            Self::Release(scope, _) => Some(scope),
            Self::OfOther(_, other) => other.released_scope(),
            _ => None,
        }
    }
}

/// A unique key is taken.
pub(crate) fn takes(scope: &'static str, key: impl ToString) -> Claimed {
    Claimed::Take(scope, key.to_string())
}

/// A unique key is given back.
pub(crate) fn releases(scope: &'static str, key: impl ToString) -> Claimed {
    Claimed::Release(scope, key.to_string())
}

/// A shared key is taken, by which the stream can be found.
pub(crate) fn shares(scope: &'static str, key: impl ToString) -> Claimed {
    Claimed::Share(scope, key.to_string())
}

/// A shared key is given back.
pub(crate) fn unshares(scope: &'static str, key: impl ToString) -> Claimed {
    Claimed::Unshare(scope, key.to_string())
}

/// A claim of a stream other than the command's own.
pub(crate) fn of(owner: impl Into<Uuid>, claimed: Claimed) -> Claimed {
    Claimed::OfOther(owner.into(), Box::new(claimed))
}

/// A resource is booked for a slot.
pub(crate) fn books(resource: impl Into<Uuid>, slot: Slot) -> Claimed {
    Claimed::Book(resource.into(), slot.starts_at, slot.ends_at())
}

/// The earlier bookings of the stream are given back.
pub(crate) fn unbooks() -> Claimed {
    Claimed::Unbook
}
