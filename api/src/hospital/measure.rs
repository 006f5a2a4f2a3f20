//! What the hospital measures of itself.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use hims_event_store::bounded::lend;
use hims_projections::archive::{Archiving, months_ahead};
use hims_projections::query;
use tokio::sync::Mutex;

use super::Hospital;
use crate::backup::{self, Note, NoteOf};

/// How long what is known of the last whole backup is not asked again.
const FRESH: Duration = Duration::from_mins(1);

/// The last whole backup, with the time at which the database was asked for it; `None` before that.
pub(super) struct KnownBackup {
    /// How many hours may lie between two backups.
    hours: u32,
    last: Mutex<Option<(Instant, Option<Note>)>>,
}

impl KnownBackup {
    pub(super) fn new(hours: u32) -> Self {
        Self { hours, last: Mutex::default() }
    }
}

impl Hospital {
    /// Updates the gauges that are measured only when somebody asks for the metrics.
    pub(crate) async fn measure(&self) {
        let head = *self.store.head().borrow();
        gauge("hims_head_position", head);
        if let Some(runner) = &self.runner {
            let read = *runner.position.borrow();
            gauge("hims_read_position", read);
            gauge("hims_read_lag_events", (head - read).max(0));
        }
        match self.process_store.processes().await {
            Ok(processes) => {
                for (name, position) in processes {
                    labelled_gauge("hims_process_position", ("process", &name), position);
                    labelled_gauge("hims_process_lag_events", ("process", &name), (head - position).max(0));
                }
            }
            Err(error) => tracing::warn!(%error, "the positions of the processes could not be read"),
        }
        self.measure_backups().await;
        if let Err(error) = self.measure_archives().await {
            tracing::warn!(%error, "the months of the audit log and the archives are not known");
        }
        let (readers, idle_readers) = self.readers.count();
        connections("readers", readers, idle_readers);
        for (name, pool) in [("writers", &self.writers), ("history", &self.history), ("projectors", &self.projectors)] {
            connections(name, usize::try_from(pool.size()).unwrap_or(usize::MAX), pool.num_idle());
        }
        for (name, position) in self.readers.replicas() {
            labelled_gauge("hims_replica_position", ("replica", name), position.unwrap_or(-1));
        }
        let parked = self.readers.read("projection_failures", async |db| query::parked(db).await).await;
        match parked {
            Ok(parked) => gauge("hims_parked_streams", parked),
            Err(error) => tracing::warn!(%error, "the parked streams could not be counted"),
        }
    }

    /// When the last backup and the last whole one were made, and when the last check of one succeeded or failed, in
    /// seconds since 1970; 0 for never.
    async fn measure_backups(&self) {
        for of in NoteOf::ALL {
            match self.last(of).await {
                Ok(note) => {
                    let at = note.map_or(0, |it| it.done_at.timestamp());
                    labelled_gauge("hims_backup_timestamp_seconds", ("kind", of.word()), at);
                }
                Err(error) => tracing::warn!(%error, "the last backup is not known"),
            }
        }
    }

    /// For how many months the audit log has partitions ahead; when rows were archived last, in seconds since 1970, 0
    /// for never and where nobody archives by schedule.
    async fn measure_archives(&self) -> Result<(), sqlx::Error> {
        let mut db = lend(&self.projectors).await?;
        let today = self.store.clock().now().date_naive();
        let looked = async { Ok((months_ahead(&mut db, today).await?, Archiving::noted(&mut db).await?)) };
        let looked = looked.await;
        let (ahead, archiving) = db.back(looked)?;
        gauge("hims_audit_months_ahead", ahead);
        let archived_at = archiving.run_at.filter(|_| self.archives);
        gauge("hims_archive_timestamp_seconds", archived_at.map_or(0, |it| it.timestamp()));
        Ok(())
    }

    /// The last backup or the last check of one.
    pub(crate) async fn last(&self, of: NoteOf) -> Result<Option<Note>, sqlx::Error> {
        let mut db = lend(&self.history).await?;
        let note = backup::last(&mut db, of).await;
        db.back(note)
    }

    /// When the last whole backup was made, and whether that is too long ago, as it was known a minute ago at most: a
    /// balancer asks for readiness every second.
    pub(crate) async fn last_whole_backup(&self) -> Result<(Option<DateTime<Utc>>, bool), sqlx::Error> {
        let mut known = self.backups.last.lock().await;
        let note = match known.take().filter(|(asked_at, _)| asked_at.elapsed() < FRESH) {
            Some(known) => known,
            None => (Instant::now(), self.last(NoteOf::Whole).await?),
        };
        let (_, note) = known.insert(note);
        let is_overdue = note.as_ref().is_none_or(|it| it.is_overdue(self.backups.hours));
        Ok((note.as_ref().map(|it| it.done_at), is_overdue))
    }
}

fn connections(pool: &'static str, all: usize, idle: usize) {
    let count = |it| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
    metrics::gauge!("hims_connections", "pool" => pool).set(count(all));
    metrics::gauge!("hims_connections_idle", "pool" => pool).set(count(idle));
}

#[expect(clippy::cast_precision_loss, reason = "counts and positions stay far below 2^52")]
fn labelled_gauge(name: &'static str, (label, of): (&'static str, &str), value: i64) {
    metrics::gauge!(name, label => of.to_owned()).set(value as f64);
}

#[expect(clippy::cast_precision_loss, reason = "counts and positions stay far below 2^52")]
fn gauge(name: &'static str, value: i64) {
    metrics::gauge!(name).set(value as f64);
}
