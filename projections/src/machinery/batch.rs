//! A batch of events, projected in one transaction together with the checkpoint.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use hims_domain::erasure::Person;
use hims_event_store::chain::Hash;
use hims_event_store::{EventStore, Opened, Position, StoreError};
use sqlx::PgConnection;
use thiserror::Error;
use uuid::Uuid;

use super::{archive, reason, statements};
use crate::machinery::erasing::blank;
use crate::machinery::event::Decoded;
use crate::machinery::form::FORM;
use crate::machinery::lease::EXTENDED;
use crate::tables::audit::{self, AuditRow};
use crate::tables::dispatch::AllChanges;

/// Why a batch was not projected.
#[derive(Debug, Error)]
pub(crate) enum ProjectError {
    /// An event changes a row that does not exist in its read table.
    #[error("{table} has no row {id} to change")]
    MissingRow { position: Position, table: &'static str, id: Uuid },
    /// The database refused a statement or did not answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The database refused rows of a read table or did not answer.
    #[error("{error}")]
    Table {
        table: &'static str,
        /// The lengths of the texts in the rows, with their columns.
        lengths: Vec<(&'static str, usize)>,
        error: sqlx::Error,
    },
    /// The log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process moved the checkpoint: it projected these events, or swapped the tables.
    #[error("another process moved the checkpoint; begin again at the new position")]
    CheckpointMoved,
}

impl ProjectError {
    /// Whether an event is the cause, so that the same batch would fail again.
    fn is_poison(&self) -> bool {
        match self {
            Self::MissingRow { .. } => true,
            // SQLSTATE classes 22 (invalid data) and 23 (a broken constraint). Every other error may be temporary.
            Self::Database(sqlx::Error::Database(error)) | Self::Table { error: sqlx::Error::Database(error), .. } => {
                error.code().is_some_and(|it| it.starts_with("22") || it.starts_with("23"))
            }
            Self::Database(_) | Self::Table { .. } | Self::Store(_) | Self::CheckpointMoved => false,
        }
    }

    /// The cause in the form that `projection_failures` stores: what went wrong, with the table, constraint and column,
    /// and no personal value.
    async fn reason(&self, db: &mut PgConnection) -> Result<String, sqlx::Error> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => reason::describe(db, None, error.as_ref()).await,
            Self::Table { table, lengths, error: sqlx::Error::Database(error) } => {
                reason::describe(db, Some((table, lengths)), error.as_ref()).await
            }
            other => Ok(other.to_string()),
        }
    }
}

/// Events that are read from the log and ready to be projected.
pub(crate) struct Batch {
    /// The position of the last event.
    pub(crate) last: Position,
    /// When the last event was recorded.
    pub(crate) recorded_at: DateTime<Utc>,
    /// The hash of the last event.
    hash: Hash,
    events: Vec<Decoded>,
    /// The events that this program cannot decode, each with the reason.
    unreadable: Vec<(Opened, String)>,
    /// The people whom events of the batch erased.
    pub(crate) erased: Vec<Person>,
}

/// Where the audit rows of a batch go.
pub(crate) enum AuditTo<'a> {
    /// The audit rows are written to their table in the transaction of the batch.
    Table,
    /// The audit rows are collected for the rebuild, which writes them on a connection of their own.
    Apart(&'a mut Vec<AuditRow>),
}

impl AuditTo<'_> {
    async fn add(&mut self, db: &mut PgConnection, rows: Vec<AuditRow>) -> Result<(), sqlx::Error> {
        match self {
            Self::Table => statements::insert(db, &rows.iter().collect::<Vec<_>>()).await,
            Self::Apart(all) => {
                all.extend(rows);
                Ok(())
            }
        }
    }
}

/// A parked stream, with the event that could not be projected.
struct Parked {
    stream_id: Uuid,
    stream_type: String,
    position: Position,
    event_type: String,
    reason: String,
}

impl Parked {
    fn at(event: &Opened, reason: String) -> Self {
        let event = &event.recorded;
        Self {
            stream_id: event.stream_id,
            stream_type: event.stream_type.clone(),
            position: event.position,
            event_type: event.event_type.clone(),
            reason,
        }
    }
}

impl Batch {
    /// Reads at most `limit` events after a position, and opens and decodes each event once for all tables. `None` at
    /// the end of the log.
    pub(crate) async fn read(store: &dyn EventStore, after: Position, limit: i64) -> Result<Option<Self>, StoreError> {
        let timeline = store.timeline();
        let events = store.read(after, limit).await?;
        let Some((last, recorded_at, hash)) = events.last().map(|it| (it.position, it.recorded_at, it.hash)) else {
            return Ok(None);
        };
        let erased: Vec<_> = events.iter().filter_map(|it| Person::erased_by(&it.event_type, it.stream_id)).collect();
        let erased_ids: Vec<_> = erased.iter().map(|it| it.id()).collect();
        store.vault().forget(&erased_ids, timeline);
        let (mut decoded, mut unreadable) = (Vec::with_capacity(events.len()), Vec::new());
        for opened in store.open(events).await? {
            match Decoded::read(opened) {
                Ok(event) => decoded.push(event),
                Err(unread) => unreadable.push(*unread),
            }
        }
        Ok(Some(Self { last, recorded_at, hash, events: decoded, unreadable, erased }))
    }

    /// The number of events, readable or not.
    pub(crate) fn count(&self) -> usize {
        self.events.len() + self.unreadable.len()
    }

    /// Projects the batch, which follows the position `from`, in the transaction of `db`. An event that cannot be
    /// projected parks its stream; all other streams are projected. What was said about people whom the batch erased is
    /// taken out of the tables, unless the audit rows go elsewhere: by these rows it is found.
    pub(crate) async fn project(
        mut self,
        db: &mut PgConnection,
        store: &dyn EventStore,
        from: Position,
        mut audit: AuditTo<'_>,
    ) -> Result<(), ProjectError> {
        let (erased, last) = (std::mem::take(&mut self.erased), self.last);
        self.project_all(db, store, from, &mut audit).await?;
        match audit {
            AuditTo::Table => blank(db, store, &erased, last).await,
            AuditTo::Apart(_) => Ok(()),
        }
    }

    async fn project_all(
        mut self,
        db: &mut PgConnection,
        store: &dyn EventStore,
        from: Position,
        audit: &mut AuditTo<'_>,
    ) -> Result<(), ProjectError> {
        move_checkpoint(db, from, &self).await?;
        let (mut parked, has_archive) = parked_and_archived(db).await?;
        ensure_partitions(db, &self.events, &self.unreadable).await?;
        for unread in &self.unreadable {
            park(db, &Parked::at(&unread.0, unread.1.clone())).await?;
            parked.entry(unread.0.recorded.stream_id).or_insert(unread.0.recorded.position);
        }
        let waits = |event: &Decoded| {
            let stored = &event.opened.recorded;
            parked.get(&stored.stream_id).is_some_and(|since| stored.position >= *since)
        };
        let waiting: Vec<_> = self.events.extract_if(.., |event| waits(event)).collect();
        let unread = self.unreadable.iter().map(|unread| &unread.0.recorded);
        let unprojected = waiting.iter().map(|event| &event.opened.recorded).chain(unread);
        audit.add(db, unprojected.map(audit::parked_row).collect()).await?;
        savepoint(db, "whole_batch").await?;
        match write(db, &self.events, store, audit, has_archive).await {
            Ok(()) => release(db, "whole_batch").await.map_err(ProjectError::from),
            Err(error) if error.is_poison() => {
                roll_back(db, "whole_batch").await?;
                self.project_one_by_one(db, store, audit, has_archive).await
            }
            Err(error) => Err(error),
        }
    }

    /// Projects each event by itself, and parks the streams of the events that cannot be projected.
    async fn project_one_by_one(
        self,
        db: &mut PgConnection,
        store: &dyn EventStore,
        audit: &mut AuditTo<'_>,
        has_archive: bool,
    ) -> Result<(), ProjectError> {
        let mut parked: BTreeSet<Uuid> = BTreeSet::new();
        for event in self.events {
            let stream_id = event.opened.recorded.stream_id;
            if parked.contains(&stream_id) {
                audit.add(db, vec![audit::parked_row(&event.opened.recorded)]).await?;
                continue;
            }
            savepoint(db, "one_event").await?;
            let one = std::slice::from_ref(&event);
            match write(db, one, store, audit, has_archive).await {
                Ok(()) => release(db, "one_event").await?,
                Err(error) if error.is_poison() => {
                    roll_back(db, "one_event").await?;
                    let reason = error.reason(db).await?;
                    park(db, &Parked::at(&event.opened, reason)).await?;
                    audit.add(db, vec![audit::parked_row(&event.opened.recorded)]).await?;
                    parked.insert(stream_id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Writes the changes that events make to every table and to the audit log, and checks every deferred constraint. Rows
/// that the events concern come back from the archives.
async fn write(
    db: &mut PgConnection,
    events: &[Decoded],
    store: &dyn EventStore,
    audit: &mut AuditTo<'_>,
    has_archive: bool,
) -> Result<(), ProjectError> {
    let mut changes = AllChanges::default();
    for event in events {
        changes.project(event, store.vault());
    }
    let mut named = Vec::new();
    let differences = changes.write(db, has_archive.then_some(&mut named)).await?;
    if has_archive {
        archive::bring_back_named(db, &named).await?;
    }
    sqlx::raw_sql("set constraints all immediate; set constraints all deferred").execute(&mut *db).await?;
    // The audit rows come last: rows that the rebuild collects could not be taken back if a constraint failed.
    audit.add(db, audit::rows(events, differences)).await?;
    Ok(())
}

/// Moves the checkpoint to the end of the batch, if the checkpoint is still at `from`, the tables are of this program's
/// form, and no other session holds the lease. This is the first step of a batch: the lock on the checkpoint's row
/// keeps other processes from writing the tables.
async fn move_checkpoint(db: &mut PgConnection, from: Position, batch: &Batch) -> Result<(), ProjectError> {
    let sql = format!(
        "update projection_checkpoint set position = $2, hash = $3, held_until = {EXTENDED}
          where position = $1 and form = $4 and coalesce(held_by, pg_backend_pid()) = pg_backend_pid()"
    );
    let moved = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(from)
        .bind(batch.last)
        .bind(batch.hash)
        .bind(FORM.as_str())
        .execute(db)
        .await?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(ProjectError::CheckpointMoved) }
}

/// The parked streams, each with the position since which it waits, and whether rows are archived. Asked only under the
/// lock on the checkpoint's row: a statement that waited for an archiver there does not see what that has archived.
async fn parked_and_archived(db: &mut PgConnection) -> Result<(HashMap<Uuid, Position>, bool), sqlx::Error> {
    let sql = "select f.stream_id, f.position, a.has_archive
                 from (select exists (select from projection_archive)) a (has_archive)
                 left join projection_failures f on true";
    let rows: Vec<(Option<Uuid>, Option<Position>, bool)> = sqlx::query_as(sql).fetch_all(db).await?;
    let has_archive = rows.first().is_some_and(|(_, _, has_archive)| *has_archive);
    Ok((rows.into_iter().filter_map(|(stream, position, _)| stream.zip(position)).collect(), has_archive))
}

async fn park(db: &mut PgConnection, parked: &Parked) -> Result<(), sqlx::Error> {
    tracing::error!(
        position = parked.position,
        stream = %parked.stream_id,
        event = parked.event_type,
        reason = parked.reason,
        "an event could not be projected; its stream is parked"
    );
    sqlx::query(
        "insert into projection_failures (stream_id, stream_type, position, event_type, reason)
         values ($1, $2, $3, $4, $5) on conflict do nothing",
    )
    .bind(parked.stream_id)
    .bind(&parked.stream_type)
    .bind(parked.position)
    .bind(&parked.event_type)
    .bind(&parked.reason)
    .execute(db)
    .await
    .map(drop)
}

/// Makes the partitions of the audit log for the months in which the events were recorded, and for the months after.
async fn ensure_partitions(
    db: &mut PgConnection,
    events: &[Decoded],
    unreadable: &[(Opened, String)],
) -> Result<(), sqlx::Error> {
    let opened = events.iter().map(|event| &event.opened).chain(unreadable.iter().map(|unread| &unread.0));
    let months = opened.filter_map(|it| it.recorded.recorded_at.date_naive().with_day(1));
    let ahead = months.flat_map(|month| [Some(month), month.checked_add_months(Months::new(1))]).flatten();
    let months: BTreeSet<NaiveDate> = ahead.collect();
    for month in months {
        sqlx::query("select create_monthly_partition('audit_logs', $1)").bind(month).execute(&mut *db).await?;
    }
    Ok(())
}

async fn savepoint(db: &mut PgConnection, name: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(sqlx::AssertSqlSafe(format!("savepoint {name}"))).execute(db).await.map(drop)
}

async fn roll_back(db: &mut PgConnection, name: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("rollback to savepoint {name}; release savepoint {name}")))
        .execute(db)
        .await
        .map(drop)
}

async fn release(db: &mut PgConnection, name: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(sqlx::AssertSqlSafe(format!("release savepoint {name}"))).execute(db).await.map(drop)
}
