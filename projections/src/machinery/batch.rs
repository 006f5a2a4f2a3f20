//! A batch of events, written in one transaction together with the checkpoint.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use hims_event_store::chain::Hash;
use hims_event_store::{EventStore, Opened, Position, StoreError};
use sqlx::{PgConnection, Row as _};
use thiserror::Error;
use uuid::Uuid;

use super::table;
use crate::machinery::event::Decoded;
use crate::machinery::form::FORM;
use crate::tables::audit::{self, AuditRow};
use crate::tables::dispatch::AllChanges;

/// Why a batch was not projected.
#[derive(Debug, Error)]
pub(crate) enum ProjectError {
    /// An event changes a row that is not there.
    #[error("{table} has no row {id} to change")]
    MissingRow { position: Position, table: &'static str, id: Uuid },
    /// The database did not take it.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The log did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else projected these events, or swapped the tables.
    #[error("the checkpoint is not where it was")]
    CheckpointMoved,
}

impl ProjectError {
    /// Whether an event is to blame, not the circumstances.
    fn is_poison(&self) -> bool {
        match self {
            Self::MissingRow { .. } => true,
            // Classes 22 and 23: the data, a constraint. Everything else may pass by itself.
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|it| it.starts_with("22") || it.starts_with("23"))
            }
            Self::Database(_) | Self::Store(_) | Self::CheckpointMoved => false,
        }
    }

    /// What is wrong, without a value.
    fn reason(&self) -> String {
        match self {
            Self::Database(sqlx::Error::Database(error)) => {
                let constraint = error.constraint().unwrap_or("no named constraint");
                format!("{} of {}: {constraint}", error.code().unwrap_or_default(), error.table().unwrap_or("no table"))
            }
            other => other.to_string(),
        }
    }
}

/// Events that are ready to be projected.
pub(crate) struct Batch {
    /// The position after them.
    pub(crate) last: Position,
    /// When the last of them was recorded.
    pub(crate) recorded_at: DateTime<Utc>,
    /// The hash of the last of them.
    hash: Hash,
    events: Vec<Decoded>,
    /// Events that nobody can read, and why.
    unreadable: Vec<(Opened, String)>,
}

/// Where the rows of the audit log go.
pub(crate) enum AuditTo<'a> {
    /// Into the table, together with the rest.
    Table,
    /// To whoever writes them apart.
    Apart(&'a mut Vec<AuditRow>),
}

impl AuditTo<'_> {
    async fn add(&mut self, db: &mut PgConnection, rows: Vec<AuditRow>) -> Result<(), sqlx::Error> {
        match self {
            Self::Table => table::insert(db, &rows.iter().collect::<Vec<_>>()).await,
            Self::Apart(all) => {
                all.extend(rows);
                Ok(())
            }
        }
    }
}

/// A stream that waits.
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
    /// Reads at most so many events after a position, and opens and decodes them once for all tables. `None` where the
    /// log ends.
    pub(crate) async fn read(store: &dyn EventStore, after: Position, limit: i64) -> Result<Option<Self>, StoreError> {
        let events = store.read(after, limit).await?;
        let Some((last, recorded_at, hash)) = events.last().map(|it| (it.position, it.recorded_at, it.hash)) else {
            return Ok(None);
        };
        let (mut decoded, mut unreadable) = (Vec::with_capacity(events.len()), Vec::new());
        for opened in store.open(events).await? {
            match Decoded::read(opened) {
                Ok(event) => decoded.push(event),
                Err(unread) => unreadable.push(*unread),
            }
        }
        Ok(Some(Self { last, recorded_at, hash, events: decoded, unreadable }))
    }

    /// How many events there are.
    pub(crate) fn count(&self) -> usize {
        self.events.len() + self.unreadable.len()
    }

    /// Projects the batch from one position to the next, in the transaction that `db` is in. An event that cannot be
    /// projected parks its stream; the rest goes on.
    pub(crate) async fn project(
        mut self,
        db: &mut PgConnection,
        store: &dyn EventStore,
        from: Position,
        mut audit: AuditTo<'_>,
    ) -> Result<(), ProjectError> {
        move_checkpoint(db, from, &self).await?;
        let mut parked = parked_streams(db).await?;
        ensure_partitions(db, &self.events, &self.unreadable).await?;
        for unread in &self.unreadable {
            park(db, &Parked::at(&unread.0, unread.1.clone())).await?;
            parked.entry(unread.0.recorded.stream_id).or_insert(unread.0.recorded.position);
        }
        let waits = |it: &Decoded| {
            let stored = &it.opened.recorded;
            parked.get(&stored.stream_id).is_some_and(|since| stored.position >= *since)
        };
        let waiting: Vec<_> = self.events.extract_if(.., |it| waits(it)).collect();
        let unread = self.unreadable.iter().map(|it| &it.0.recorded);
        let unprojected = waiting.iter().map(|it| &it.opened.recorded).chain(unread);
        audit.add(db, unprojected.map(audit::parked_row).collect()).await?;
        savepoint(db, "whole_batch").await?;
        match write(db, &self.events, store, &mut audit).await {
            Ok(()) => release(db, "whole_batch").await.map_err(ProjectError::from),
            Err(error) if error.is_poison() => {
                roll_back(db, "whole_batch").await?;
                self.project_one_by_one(db, store, &mut audit).await
            }
            Err(error) => Err(error),
        }
    }

    /// Finds the events that are to blame, and parks their streams.
    async fn project_one_by_one(
        self,
        db: &mut PgConnection,
        store: &dyn EventStore,
        audit: &mut AuditTo<'_>,
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
            match write(db, one, store, audit).await {
                Ok(()) => release(db, "one_event").await?,
                Err(error) if error.is_poison() => {
                    roll_back(db, "one_event").await?;
                    park(db, &Parked::at(&event.opened, error.reason())).await?;
                    audit.add(db, vec![audit::parked_row(&event.opened.recorded)]).await?;
                    parked.insert(stream_id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Writes what the events do to every table, the audit log among them, and has every deferred constraint checked.
async fn write(
    db: &mut PgConnection,
    events: &[Decoded],
    store: &dyn EventStore,
    audit: &mut AuditTo<'_>,
) -> Result<(), ProjectError> {
    let mut changes = AllChanges::default();
    for event in events {
        changes.project(event, store.vault());
    }
    let differences = changes.write(db).await?;
    sqlx::raw_sql("set constraints all immediate; set constraints all deferred").execute(&mut *db).await?;
    // Last, so that nothing is audited apart of what is taken back.
    audit.add(db, audit::rows(events, differences)).await?;
    Ok(())
}

/// Moves the checkpoint, if it is where it is thought to be and the tables are of this program's form. First of all:
/// whoever moves it has the tables to themselves.
async fn move_checkpoint(db: &mut PgConnection, from: Position, batch: &Batch) -> Result<(), ProjectError> {
    let moved =
        sqlx::query("update projection_checkpoint set position = $2, hash = $3 where position = $1 and form = $4")
            .bind(from)
            .bind(batch.last)
            .bind(batch.hash)
            .bind(FORM.as_str())
            .execute(db)
            .await?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(ProjectError::CheckpointMoved) }
}

async fn parked_streams(db: &mut PgConnection) -> Result<HashMap<Uuid, Position>, sqlx::Error> {
    let rows = sqlx::query("select stream_id, position from projection_failures").fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
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

/// Makes the audit log's partitions of the months that the events were recorded in, and of those after.
async fn ensure_partitions(
    db: &mut PgConnection,
    events: &[Decoded],
    unreadable: &[(Opened, String)],
) -> Result<(), sqlx::Error> {
    let opened = events.iter().map(|it| &it.opened).chain(unreadable.iter().map(|it| &it.0));
    let months = opened.filter_map(|it| it.recorded.recorded_at.date_naive().with_day(1));
    let ahead = months.flat_map(|it| [Some(it), it.checked_add_months(Months::new(1))]).flatten();
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
