//! Restores a backup into an empty place, as of its end or of an earlier moment.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_commands::{claims_of, note_of_restore, upcasters};
use hims_domain::log::Log;
use hims_event_store::archive::End;
use hims_event_store::bounded::{ANSWER, lend, within};
use hims_event_store::{
    BESIDE, MASTER_KEYS, MasterKeys, PgEventStore, Position, RestoreError, Restoring, SUBJECT_KEYS, restore_keys,
};
use hims_projections::roles;
use sqlx::PgPool;
use uuid::Uuid;

use super::files::Source;
use super::history::{History, Reader, Set};
use super::manifest::{EVENTS, Kind};
use super::{BackupError, Identities, refuse_full};
use crate::database::Database;
use crate::keys::keys_of;
use crate::{HospitalError, Purpose, Settings, surroundings};

/// Up to what moment a backup is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Everything that was backed up.
    End,
    /// Up to and with the event at a position.
    Position(Position),
    /// Everything that was recorded at an instant or before.
    Instant(DateTime<Utc>),
}

impl Until {
    /// Whether a log that ends like this ends within the wanted part.
    fn holds(self, end: &End) -> bool {
        match self {
            Self::End => true,
            Self::Position(last) => end.position <= last,
            Self::Instant(last) => end.recorded_at <= last,
        }
    }
}

/// Is told what is being done.
pub(crate) type Telling = Arc<dyn Fn(String) + Send + Sync>;

/// What was restored.
#[derive(Debug)]
pub(crate) struct Restored {
    /// The end of the log as it was restored, before the event that says so.
    pub(crate) end: End,
    /// When the set was made from which the tables beside the log are.
    pub(crate) beside_of: DateTime<Utc>,
    /// The last position that the backup knows.
    pub(crate) known: Position,
    /// How many claims differ from the log.
    pub(crate) differing: u64,
}

/// What is read of a backup: the tables beside the log of one whole set, the events, and what is newer than that set in
/// the tables that only grow.
struct Plan {
    begin: Set,
    events: Vec<Source>,
    keys: Vec<Source>,
    /// The file with the master keys that wrap them.
    wrapping: Source,
    newer: Vec<Set>,
    known: Position,
    master_keys: Vec<Uuid>,
}

impl Plan {
    /// Chooses what to read.
    ///
    /// # Errors
    /// When the backup does not reach to that moment, or begins later.
    fn choose(history: &History, until: Until) -> Result<Self, BackupError> {
        let no_backup = || BackupError::NoBackup(history.folder.clone());
        let newest = history.newest().ok_or_else(no_backup)?;
        let reaches = match until {
            Until::End => true,
            Until::Position(last) => last <= newest.manifest.last,
            Until::Instant(last) => last <= newest.manifest.taken_at,
        };
        if !reaches {
            return Err(BackupError::Beyond { last: newest.manifest.last, at: newest.manifest.taken_at });
        }
        let Some((place, begin)) = history.whole().rfind(|(_, it)| until.holds(&it.manifest.end())) else {
            let (_, first) = history.whole().next().ok_or_else(no_backup)?;
            return Err(BackupError::TooEarly { first: first.manifest.last, at: first.manifest.recorded_at });
        };
        // The events after the whole set are in the sets that follow it, up to the one that reaches to the moment.
        let after = &history.sets[place + 1..];
        let reached = after.iter().position(|it| !until.holds(&it.manifest.end()));
        let newer = &after[..reached.map_or(after.len(), |it| it + 1)];
        let events = history.sets[..=place].iter().chain(newer).filter_map(|it| it.source(EVENTS)).collect();
        // Keys are those of the newest sets: the key of a person who was erased since then stays destroyed.
        let last_whole = history.whole().next_back().map_or(0, |(place, _)| place);
        let latest = &history.sets[last_whole..];
        let keys = latest.iter().filter_map(|it| it.source(SUBJECT_KEYS.name)).collect();
        let wrapping = latest.iter().filter_map(|it| it.source(MASTER_KEYS.name)).next_back().ok_or_else(no_backup)?;
        Ok(Self {
            begin: begin.clone(),
            events,
            keys,
            wrapping,
            newer: newer.iter().filter(|it| it.manifest.kind != Kind::Events).cloned().collect(),
            known: newest.manifest.last,
            master_keys: newest.manifest.master_keys.clone(),
        })
    }

    /// The files with the rows of a table beside the log, in their order.
    fn beside(&self, table: &hims_event_store::Beside) -> Vec<Source> {
        let newer = self.newer.iter().filter(|_| table.has_increments());
        std::iter::once(&self.begin).chain(newer).filter_map(|it| it.source(table.name)).collect()
    }

    /// All files that are read.
    fn files(&self) -> impl Iterator<Item = Source> {
        let beside = BESIDE.iter().flat_map(|table| self.beside(table));
        self.events.iter().chain(&self.keys).chain([&self.wrapping]).cloned().chain(beside)
    }
}

/// Restores a backup: checks all of its files first, then restores the log as a whole or not at all.
pub(crate) async fn restore(
    settings: &Settings,
    folder: &Path,
    until: Until,
    identities: &Identities,
    tell: Telling,
) -> Result<Restored, BackupError> {
    if !folder.is_dir() {
        return Err(BackupError::NoBackup(folder.to_owned()));
    }
    let _reader = Reader::of(folder)?;
    let plan = Plan::choose(&History::read(folder)?, until)?;
    let (master_keys, source_of_keys) = keys_of(settings, Purpose::Inspect).await.map_err(HospitalError::Key)?;
    if let Some(id) = plan.master_keys.iter().find(|needed| master_keys.ids().all(|id| id != **needed)) {
        return Err(BackupError::OtherKey { source_of_keys, id: *id });
    }
    refuse_full_disk(settings, &plan)?;
    for source in plan.files() {
        tell(format!("checking {}", source.path.display()));
        source.check().await?;
        // A key that does not open the files is told before anything is made.
        identities.open(&source.path, source.is_encrypted)?;
    }
    let database = Database::open(settings, Purpose::Work).await?;
    let pool = database.migrator();
    let restored = async {
        if !roles::may_migrate(&pool).await? {
            return Err(BackupError::NotTheOwner);
        }
        refuse_occupied(&pool).await?;
        database.migrate().await?;
        keys(&pool, &plan, identities).await?;
        PgEventStore::prove_keys(pool.clone(), &master_keys).await?;
        Box::pin(log(&master_keys, &pool, &plan, until, identities, tell)).await
    };
    let restored = restored.await;
    pool.close().await;
    database.close().await;
    restored
}

/// Refuses a database that holds events, before its migrations are touched. Whether the database is empty in every other
/// way is seen when the restore begins.
async fn refuse_occupied(pool: &PgPool) -> Result<(), BackupError> {
    let mut db = lend(pool).await?;
    let is_there = sqlx::query_scalar("select to_regclass('log.head') is not null").fetch_one(&mut *db);
    if !within(ANSWER, is_there).await? {
        return Ok(());
    }
    let position = sqlx::query_scalar("select position from log.head").fetch_one(&mut *db);
    match within(ANSWER, position).await? {
        0 => Ok(()),
        position => Err(RestoreError::NotEmpty(position).into()),
    }
}

async fn keys(pool: &PgPool, plan: &Plan, identities: &Identities) -> Result<(), BackupError> {
    let (rows, readings): (Vec<_>, Vec<_>) = plan.keys.iter().map(|it| it.read(identities)).unzip();
    let (master_keys, reading) = plan.wrapping.read(identities);
    restore_keys(pool, master_keys, rows).await?;
    for reading in readings.into_iter().chain([reading]) {
        reading.end().await?;
    }
    Ok(())
}

/// Restores everything but the keys, in one transaction.
async fn log(
    master_keys: &MasterKeys,
    pool: &PgPool,
    plan: &Plan,
    until: Until,
    identities: &Identities,
    tell: Telling,
) -> Result<Restored, BackupError> {
    let mut restoring = Restoring::begin(pool).await?;
    let mut end = End::NOTHING;
    for source in &plan.events {
        tell(format!("restoring {}", source.path.display()));
        let (mut rows, reading) = source.read_events(identities, end, move |it| until.holds(it));
        restoring.events(&mut rows).await?;
        end = reading.end().await?;
    }
    restoring.end(&end).await?;
    for table in &BESIDE {
        for source in plan.beside(table) {
            tell(format!("restoring {}", source.path.display()));
            let (mut rows, reading) = source.read(identities);
            restoring.beside(table, &mut rows).await?;
            reading.end().await?;
        }
    }
    let surroundings = surroundings();
    let note = |version| note_of_restore(&surroundings, (end.position, plan.known), version);
    let shown = move |events: u64| tell(format!("comparing the claims of {events} events"));
    let report =
        restoring.finish((master_keys.clone(), &upcasters()), (&claims_of, &shown), (Log::stream(), note)).await?;
    let beside_of = plan.begin.manifest.taken_at;
    Ok(Restored { end, beside_of, known: plan.known, differing: report.differing })
}

/// How many bytes of tables, indexes and write-ahead log come from one byte of rows, at most.
const GROWTH: u64 = 4;

/// Refuses a disk of the embedded PostgreSQL that is too full. The disk of another one cannot be seen from here.
fn refuse_full_disk(settings: &Settings, plan: &Plan) -> Result<(), BackupError> {
    if settings.database_url.is_some() {
        return Ok(());
    }
    let content: u64 = plan.files().map(|it| it.file.content).sum();
    refuse_full(&settings.data_dir, content.saturating_mul(GROWTH))
}
