//! Snapshots in the form in which they are stored: sealed, and authenticated with a code that only a holder of the
//! master key can compute.
//!
//! Whoever can write the table of snapshots could otherwise give a stream any state. The code binds a snapshot to its
//! stream, to the version and to the hash that the chain has there: a snapshot that was changed, moved to another
//! stream or version, or made for another history is not used.

use uuid::Uuid;

use crate::chain::Hash;
use crate::prepare::{open_state, seal_state};
use crate::{Snapshot, StoreError, Vault, VaultError};

/// The stream of a snapshot: its type and its id.
pub(crate) type Stream<'a> = (&'a str, Uuid);

/// A snapshot as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredSnapshot {
    pub(crate) version: i32,
    pub(crate) state_version: i32,
    /// The state as JSON text, with personal values sealed.
    pub(crate) state: String,
    /// The person whose personal values the state holds.
    pub(crate) subject: Option<Uuid>,
    /// The authentication code of the other fields, the stream, and the hash of the event at the version.
    pub(crate) code: Vec<u8>,
}

impl StoredSnapshot {
    /// Seals and authenticates a snapshot. `hash` is the hash of the event at the snapshot's version.
    pub(crate) async fn seal(
        vault: &Vault,
        stream: Stream<'_>,
        hash: &Hash,
        subject: Option<Uuid>,
        Snapshot { version, state_version, mut state }: Snapshot,
    ) -> Result<Self, VaultError> {
        seal_state(vault, stream, subject, &mut state).await?;
        let mut stored = Self { version, state_version, state: state.to_string(), subject, code: Vec::new() };
        stored.code = vault.authenticate(&stored.parts(stream, hash));
        Ok(stored)
    }

    /// Opens the snapshot; `None` when its code does not fit. `hash` is the hash of the event at the snapshot's
    /// version, if the stream has that version.
    pub(crate) async fn open(
        self,
        vault: &Vault,
        stream: Stream<'_>,
        hash: Option<&Hash>,
    ) -> Result<Option<Snapshot>, StoreError> {
        let is_authentic = hash.is_some_and(|hash| vault.is_authentic(&self.parts(stream, hash), &self.code));
        let state = if is_authentic { serde_json::from_str(&self.state).ok() } else { None };
        let Some(mut state) = state else {
            tracing::error!(
                stream = %stream.1,
                "the snapshot of a stream was not written by this program and is not used: run `hims verify --deep`"
            );
            return Ok(None);
        };
        open_state(vault, stream, self.subject, &mut state).await?;
        Ok(Some(Snapshot { version: self.version, state_version: self.state_version, state }))
    }

    /// Everything that the code authenticates.
    fn parts(&self, (stream_type, stream_id): Stream<'_>, hash: &Hash) -> [Vec<u8>; 7] {
        [
            stream_type.as_bytes().to_vec(),
            stream_id.as_bytes().to_vec(),
            self.version.to_be_bytes().to_vec(),
            hash.to_vec(),
            self.state_version.to_be_bytes().to_vec(),
            self.subject.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
            self.state.as_bytes().to_vec(),
        ]
    }
}

/// Whether a stored snapshot makes a new one superfluous, since it has the same form and is not older.
pub(crate) fn is_superfluous(new: &Snapshot, kept: Option<&Snapshot>) -> bool {
    kept.is_some_and(|kept| kept.state_version == new.state_version && kept.version >= new.version)
}
