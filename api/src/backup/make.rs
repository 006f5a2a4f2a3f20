//! Makes a backup while the hospital goes on.

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use hims_event_store::archive::End;
use hims_event_store::bounded::{ANSWER, lend, within};
use hims_event_store::{
    BESIDE, Beside, MASTER_KEYS, PgEventStore, Position, SUBJECT_KEYS, Still, StoreError, VaultError, copy_events,
};
use sqlx::PgPool;

use super::history::{Folder, History, Set};
use super::manifest::{EVENTS, FORMAT, FileOf, Kind, Manifest};
use super::prune::prune;
use super::{BackupError, NoteOf, Recipients, files, note, refuse_full};
use crate::database::{Database, ensure_fits};
use crate::keys::keys_of;
use crate::{HospitalError, Purpose, Settings};

/// The columns of the file with the events.
const COLUMNS: &str =
    "position, stream_type, stream_id, version, event_type, schema_version, recorded_at, data, metadata, hash";
/// A row that was written before a backup may become visible after it: the next increment looks back so far.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// The lock in the database that lets one backup be made at a time, whatever node makes it: `hims bak` in ASCII.
const LOCK: i64 = 0x6869_6d73_2062_616b;

/// How a backup is to be made.
pub(crate) struct Wanted<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) recipients: Recipients,
    /// Only what is new, and not the tables beside the log as a whole.
    pub(crate) is_increment: bool,
}

/// A backup that was made.
#[derive(Debug)]
pub(crate) struct Made {
    /// The folder of the new set; `None` if nothing was new to an increment.
    pub(crate) set: Option<PathBuf>,
    pub(crate) first: Position,
    pub(crate) end: End,
    /// How many bytes were written.
    pub(crate) size: u64,
}

/// Makes a backup.
pub(crate) async fn back_up(settings: &Settings, wanted: &Wanted<'_>) -> Result<Made, BackupError> {
    let (keys, source_of_keys) = keys_of(settings, Purpose::Inspect).await.map_err(HospitalError::Key)?;
    let database = Database::open(settings, Purpose::Inspect).await?;
    let pool = database.migrator();
    let made = async {
        ensure_fits(&pool).await?;
        // A backup that nobody could read later is none.
        PgEventStore::prove_keys(pool.clone(), &keys).await.map_err(|error| match error {
            StoreError::Vault(VaultError::OtherMasterKey(id)) => HospitalError::OtherKey { source_of_keys, id }.into(),
            error => BackupError::Store(error),
        })?;
        let mut alone = lend(&pool).await?;
        let lock = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *alone);
        if !within(ANSWER, lock).await? {
            return Err(BackupError::Busy);
        }
        let made = add_set(&pool, wanted, settings.backup_keep_days).await?;
        note(&pool, NoteOf::Backup, &made.end, wanted.folder).await?;
        if !wanted.is_increment {
            note(&pool, NoteOf::Whole, &made.end, wanted.folder).await?;
        }
        // Dropping the connection gives the lock back.
        drop(alone);
        Ok(made)
    };
    let made = made.await;
    pool.close().await;
    database.close().await;
    made
}

/// Adds a set to the folder.
async fn add_set(pool: &PgPool, wanted: &Wanted<'_>, keep_days: u32) -> Result<Made, BackupError> {
    let folder = Folder::open(wanted.folder)?;
    let history = History::read(&folder.path)?;
    let kind = if wanted.is_increment { Kind::Increment } else { Kind::Whole };
    if wanted.is_increment && history.sets.is_empty() {
        return Err(BackupError::NothingToIncrement(folder.path));
    }
    let mut still = Still::begin(pool).await?;
    let (before, end) = (history.end_before(kind), still.end);
    let known = history.newest().map_or(End::NOTHING, |it| it.manifest.end());
    continues(pool, &folder.path, &known, &end).await?;
    if wanted.is_increment && end.position == before.position {
        return Ok(Made { set: None, first: end.position + 1, end, size: 0 });
    }
    let since = history.newest().filter(|_| wanted.is_increment).map(|it| it.manifest.taken_at - OVERLAP);
    refuse_full_disk(&folder, &still, &before, kind)?;
    let (at, postgresql, master_keys) = (still.at, still.postgresql.clone(), still.master_keys.clone());
    let unfinished = folder.begin(at, end.position, kind)?;
    let mut written = Vec::new();
    for table in tables(kind) {
        let copy = async |to: &_| still.copy(table, since, to).await;
        let about = (table.name, table.columns);
        written.push(files::write(&unfinished.path, about, &wanted.recipients, None, copy).await?.0);
    }
    // The events do not change, so they need not be copied as of that moment, which would hold the database up.
    drop(still);
    let copy = async |to: &_| copy_events(pool, before.position, end.position, to).await;
    let events = files::write(&unfinished.path, (EVENTS, COLUMNS), &wanted.recipients, Some(before), copy).await;
    let (file, reached) = events.map_err(|error| match error {
        BackupError::Torn { torn, .. } => other_history(&folder.path, torn.to_string()),
        error => error,
    })?;
    if reached != Some(end) {
        return Err(other_history(&folder.path, format!("the log does not end at position {}", end.position)));
    }
    written.insert(0, file);
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        postgresql,
        kind,
        taken_at: at,
        first: before.position + 1,
        last: end.position,
        recorded_at: end.recorded_at,
        previous_hash: before.hash,
        hash: end.hash,
        master_keys,
        recipients: wanted.recipients.names(),
        files: written,
    };
    let Set { path, manifest } = unfinished.complete(manifest)?;
    finish(&folder, at, keep_days)?;
    Ok(Made { set: Some(path), first: manifest.first, end, size: size(&manifest.files) })
}

fn tables(kind: Kind) -> impl Iterator<Item = &'static Beside> {
    [&MASTER_KEYS, &SUBJECT_KEYS]
        .into_iter()
        .chain(&BESIDE)
        .filter(move |it| kind == Kind::Whole || it.has_increments())
}

fn size(files: &[FileOf]) -> u64 {
    files.iter().map(|it| it.size).sum()
}

fn other_history(folder: &Path, reason: String) -> BackupError {
    BackupError::OtherHistory { folder: folder.to_owned(), reason }
}

/// Refuses a log that ends before what the folder holds, or that has another event where the folder's history ends: a
/// part of that history was taken back by a restore, and the folder may hold the only copy.
async fn continues(pool: &PgPool, folder: &Path, known: &End, end: &End) -> Result<(), BackupError> {
    if end.position < known.position {
        let (last, known) = (end.position, known.position);
        return Err(other_history(folder, format!("it ends at position {last}, and the backup at {known}")));
    }
    let mut db = lend(pool).await?;
    let hash = sqlx::query_scalar("select hash from log.events where position = $1").bind(known.position);
    let hash: Option<Vec<u8>> = within(ANSWER, hash.fetch_optional(&mut *db)).await?;
    if known.position > 0 && hash.as_deref() != Some(&known.hash[..]) {
        return Err(other_history(folder, format!("position {} holds another event", known.position)));
    }
    Ok(())
}

/// Refuses a disk that is too full for the backup even if nothing of it can be compressed.
fn refuse_full_disk(folder: &Folder, still: &Still, before: &End, kind: Kind) -> Result<(), BackupError> {
    let (events, others) = (still.bytes.0.unsigned_abs(), still.bytes.1.unsigned_abs());
    let new = (still.end.position - before.position).unsigned_abs();
    let of_events = u128::from(events) * u128::from(new) / u128::from(still.end.position.unsigned_abs().max(1));
    let needed = u64::try_from(of_events).unwrap_or(u64::MAX) + if kind == Kind::Whole { others } else { 0 };
    refuse_full(&folder.path, needed)
}

/// Clears away what the new set has made superfluous, and leaves a page that says how to read the folder. While somebody
/// reads the folder, nothing is cleared away; the next backup does it.
fn finish(folder: &Folder, now: DateTime<Utc>, keep_days: u32) -> Result<(), BackupError> {
    super::files::leave_page(&folder.path)?;
    let Some(_alone) = folder.keep_readers_out()? else { return Ok(()) };
    prune(&History::read(&folder.path)?, now, TimeDelta::days(keep_days.into()))
}
