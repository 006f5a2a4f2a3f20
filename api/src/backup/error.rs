use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use hims_event_store::archive::Torn;
use hims_event_store::{Position, RestoreError, StoreError};
use thiserror::Error;
use uuid::Uuid;

use crate::HospitalError;
use crate::keys::KeySource;

/// Why a backup was not made, or nothing was restored. Every message says what to do.
#[derive(Debug, Error)]
pub(crate) enum BackupError {
    #[error(
        "nobody is named who can read the backup: name a recipient with --recipient age1… or HIMS_BACKUP_RECIPIENTS \
         (`age-keygen` makes a key), or say --unencrypted"
    )]
    NoRecipient,
    #[error("the recipient number {0} is no public key of age: name a key that begins with age1 (`age-keygen -y`)")]
    Recipient(usize),
    #[error("the backup is encrypted: name the file with the key that opens it with --identity")]
    NoIdentity,
    #[error("{0} holds no key of age: name the file that `age-keygen` made, which holds AGE-SECRET-KEY-1…")]
    Identity(PathBuf),
    #[error("{0} does not open with this key: name the file with the key of a recipient in its manifest.json")]
    OtherIdentity(PathBuf),
    #[error("{0} is no backup: name a folder that `hims backup` has made")]
    NoBackup(PathBuf),
    #[error("{path} cannot be read ({reason}): restore from another copy of the backup")]
    Manifest { path: PathBuf, reason: String },
    #[error("{path} was made by a newer program (format {format}): use that program to restore it")]
    Newer { path: PathBuf, format: u32 },
    #[error("{0} is not the file that was backed up (its size or SHA-256 differs): restore from another copy")]
    Altered(PathBuf),
    #[error("the events after position {after} are missing in {folder}: restore from another copy of the backup")]
    Gap { folder: PathBuf, after: Position },
    #[error("{path} does not hold the log that its manifest names ({torn}): restore from another copy of the backup")]
    Torn { path: PathBuf, torn: Torn },
    #[error(
        "the log does not continue the backup in {folder} ({reason}): if the log was restored to an earlier moment, or \
         is another hospital's, choose a new folder; else run `hims verify`"
    )]
    OtherHistory { folder: PathBuf, reason: String },
    #[error("{0} holds no whole backup yet: run `hims backup` without --increment first")]
    NothingToIncrement(PathBuf),
    #[error("another backup of this hospital is being made: wait until it is done")]
    Busy,
    #[error("the backup needs up to {needed} MB and {folder} has {free} MB: free some space, or choose another folder")]
    NoSpace { folder: PathBuf, needed: u64, free: u64 },
    #[error("the backup ends at position {last}, backed up at {}: choose an earlier position or time", instant(*.at))]
    Beyond { last: Position, at: DateTime<Utc> },
    #[error(
        "position {0} is in the middle of what one command recorded, which is restored as a whole or not at all: name \
         the position of its last event, or one before its first; its events have the same command_id"
    )]
    InsideCommand(Position),
    #[error(
        "the backup can go back to position {first} ({}) at the earliest: what lies beside the log is kept since then",
        instant(*.at)
    )]
    TooEarly { first: Position, at: DateTime<Utc> },
    #[error(
        "this backup needs the master key {id}, and {source_of_keys} does not hold it: put the one of that hospital there"
    )]
    OtherKey { source_of_keys: KeySource, id: Uuid },
    #[error("a backup is restored with the login for migrations: give it in HIMS_MIGRATION_URL")]
    NotTheOwner,
    #[error(
        "nothing was restored: {source}; name an empty --data-dir or an empty database, or move the old one away first"
    )]
    Occupied { source: RestoreError },
    #[error("{path} cannot be used: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Hospital(#[from] HospitalError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("nothing was restored: {0}")]
    Restore(RestoreError),
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
}

impl BackupError {
    /// Whether the backup does not hold, and not only the place or the key is wrong.
    pub(crate) fn is_of_the_backup(&self) -> bool {
        matches!(
            self,
            Self::Manifest { .. } | Self::Altered(_) | Self::Gap { .. } | Self::Torn { .. } | Self::Restore(_)
        )
    }
}

impl From<RestoreError> for BackupError {
    fn from(error: RestoreError) -> Self {
        match error {
            source @ RestoreError::NotEmpty(_) => Self::Occupied { source },
            error => Self::Restore(error),
        }
    }
}

/// An instant as it is told to people.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Adds the path to an error of the file system.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T, BackupError>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, path: &Path) -> Result<T, BackupError> {
        self.map_err(|source| BackupError::Io { path: path.to_owned(), source })
    }
}
