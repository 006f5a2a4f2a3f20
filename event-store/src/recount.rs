//! Claims against the log: what each stream's events say that it holds, beside what is claimed.

use uuid::Uuid;

use crate::vault::is_sealed;
use crate::{Claim, Opened, StoreError};

/// Says what a stream holds, from all of its events in their order: only [`Claim::Take`], [`Claim::Share`] and
/// [`Claim::Book`], with the stream as their owner.
pub type ClaimsOf = dyn Fn(&[Opened]) -> Result<Vec<Claim>, StoreError> + Send + Sync;

/// How the claims compare with the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimsReport {
    /// How many streams were compared.
    pub streams: u64,
    /// How many streams were not: an event of theirs cannot be read, or the person was erased whose values they hold.
    pub skipped: u64,
    /// How many claims are not as the log says.
    pub differing: u64,
    /// Some of them.
    pub examples: Vec<ClaimDifference>,
}

/// A claim that is not as the log says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimDifference {
    /// The set of a key, or `booking` for a time of a resource.
    pub set: String,
    /// The stream.
    pub owner: Uuid,
    /// Whether the stream should hold it and does not, or holds it and should not.
    pub is_missing: bool,
}

impl std::fmt::Display for ClaimDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { set, owner, is_missing } = self;
        match is_missing {
            true => write!(f, "stream {owner} should hold a claim of {set}, and does not"),
            false => write!(f, "stream {owner} holds a claim of {set}, and should not"),
        }
    }
}

/// So many differences are given as examples.
pub(crate) const EXAMPLES: usize = 20;

/// What the events of a stream say that it holds; `None` when that cannot be known.
pub(crate) fn recount(events: &[Opened], claims_of: &ClaimsOf) -> Option<Vec<Claim>> {
    // A sealed value without a key: the person was erased. The claims stay, so that no key of theirs is issued again.
    if events.iter().any(|event| event.key.is_none() && is_sealed(&event.recorded.data)) {
        return None;
    }
    match claims_of(events) {
        Ok(claims) => Some(claims),
        Err(error) => {
            tracing::warn!(%error, "the claims of a stream are not compared");
            None
        }
    }
}
