//! Recomputes the claims of each stream from its events, so that they can be compared with the stored claims.

use uuid::Uuid;

use crate::vault::is_sealed;
use crate::{Claim, Opened, StoreError};

/// Computes the claims that a stream holds from all of its events, in their order. The claims are only [`Claim::Take`],
/// [`Claim::Share`] and [`Claim::Book`], with the stream as their owner.
pub type ClaimsOf = dyn Fn(&[Opened]) -> Result<Vec<Claim>, StoreError> + Send + Sync;

/// Is told how many events long work on the whole log has gone through so far.
pub type Progress = dyn Fn(u64) + Send + Sync;

/// The result of comparing the stored claims with the claims recomputed from the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimsReport {
    /// How many streams were compared.
    pub streams: u64,
    /// How many streams were not compared, because an event of the stream cannot be read or the person whose values the
    /// stream holds was erased.
    pub skipped: u64,
    /// How many claims are missing or superfluous according to the log.
    pub differing: u64,
    /// Some of the differing claims.
    pub examples: Vec<ClaimDifference>,
}

/// A claim that is missing or superfluous according to the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimDifference {
    /// The scope of the key, or `booking` for a booking of a resource.
    pub set: String,
    /// The stream that should hold the claim, or holds it.
    pub owner: Uuid,
    /// True when the stream should hold the claim and does not; false when the stream holds the claim and should not.
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

/// How many differences a report gives as examples at most.
pub(crate) const EXAMPLES: usize = 20;

/// Computes the claims of a stream from its events; `None` when they cannot be known.
pub(crate) fn recount(events: &[Opened], claims_of: &ClaimsOf) -> Option<Vec<Claim>> {
    // A sealed value without a key means that the person was erased. The stored claims of the stream stay, so that a
    // unique key of the person, such as a record number, is never issued again.
    if events.iter().any(|event| event.key.is_none() && is_sealed(&event.recorded.data)) {
        return None;
    }
    match claims_of(events) {
        Ok(claims) => Some(claims),
        Err(error) => {
            tracing::warn!(%error, "the claims of a stream are not compared, since its events cannot be read");
            None
        }
    }
}
