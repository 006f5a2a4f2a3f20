//! Keeps the read tables up to date with the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use hims_event_store::{EventStore, Position};
use sqlx::postgres::PgListener;
use sqlx::{Acquire, PgConnection, PgPool};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::machinery::batch::{AuditTo, Batch, ProjectError};
use crate::machinery::form::{Living, Standing, look, look_at_checkpoint};
use crate::machinery::rebuild::Rebuild;
use crate::machinery::renewal::renew;

/// The limits of a batch's size, the smallest and the greatest. The size grows with the backlog, since a batch writes a
/// row once, however many events changed the row.
const BATCH: (i64, i64) = (1_000, 10_000);
/// The least time between the starts of two batches, unless a large backlog waits. Writing rows together is cheaper.
const PACE: Duration = Duration::from_millis(10);
/// How long to wait after a failure, while another process projects, or while the tables are not of this program's
/// form.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);
/// Batches within this time share one notification of the other processes.
const COALESCE: Duration = Duration::from_millis(20);
/// How often to read the checkpoint, in case a notification was lost.
const POLL: Duration = Duration::from_secs(1);
const CHANNEL: &str = "read_position";
/// The advisory lock of the process that projects ("hims" in ASCII). The lock ends with the session, even in a crash.
const LOCK: i64 = 0x6869_6d73;

/// What this process knows of the living read tables.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) standing: watch::Sender<Standing>,
    position: watch::Sender<Position>,
}

impl Known {
    fn new(living: Living) -> Self {
        let known = Self { standing: watch::Sender::new(Standing::Current), position: watch::Sender::new(0) };
        known.learn(living);
        known
    }

    /// Takes over the observed state of the tables, and logs the standing if it has changed.
    pub(crate) fn learn(&self, living: Living) {
        if living.standing != Standing::Beyond {
            self.raise(living.position);
        }
        let before = self.standing.send_replace(living.standing);
        if before == living.standing {
            return;
        }
        let position = living.position;
        match living.standing {
            Standing::Current => tracing::info!(position, "the read tables are of this program's form"),
            Standing::Due => tracing::warn!(
                position,
                "the read tables are missing or of another form; a rebuild makes new ones and replaces the old"
            ),
            Standing::Newer => tracing::warn!(
                position,
                "the read tables are of a newer program's form; this program reads them but does not update them"
            ),
            Standing::TakenBack => tracing::warn!(
                position,
                "a migration of the read tables is not applied; run `hims migrate up` or restart to update the tables"
            ),
            Standing::Beyond => tracing::error!(
                position,
                "the read tables show events that the log does not hold, and are not updated: find out what happened \
                 to the log, then run `hims rebuild`"
            ),
        }
    }

    fn raise(&self, position: Position) {
        self.position.send_if_modified(|known| std::mem::replace(known, position.max(*known)) < position);
    }
}

/// Projects the log into the read tables, if these are of this program's form. Only one process projects at a time: the
/// process holds an advisory lock that ends with its session, and compares and sets the checkpoint in each batch.
pub struct Runner {
    store: Arc<dyn EventStore>,
    pool: PgPool,
    known: Known,
    stop: watch::Receiver<bool>,
}

/// A handle to the running projection.
pub struct RunnerHandle {
    /// The position of the read tables, as far as this process knows.
    pub position: watch::Receiver<Position>,
    /// How the read tables compare with this program's form and with the log, as far as this process knows.
    pub standing: watch::Receiver<Standing>,
    /// The end of the log when the projection started.
    began_at: Position,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Runner {
    /// Starts projecting. The connections of `pool` need the rights of the role `hims_projector` and the schema `hims`
    /// in their search path; the login of `owner` must be a member of the role that owns the tables. If `renews` is true,
    /// this process rebuilds tables that are due; otherwise another process must.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(
        store: Arc<dyn EventStore>,
        pool: PgPool,
        owner: PgPool,
        renews: bool,
    ) -> Result<RunnerHandle, sqlx::Error> {
        let began_at = *store.head().borrow();
        let known = Known::new(look(&mut *owner.acquire().await?).await?);
        let (position, standing) = (known.position.subscribe(), known.standing.subscribe());
        let (stop, stopped) = watch::channel(false);
        let mut tasks = vec![
            tokio::spawn(listen(pool.clone(), owner.clone(), known.clone(), stopped.clone())),
            tokio::spawn(notify(pool.clone(), position.clone(), stopped.clone())),
        ];
        if renews {
            let rebuild = Rebuild { store: Arc::clone(&store), pool: owner };
            tasks.push(tokio::spawn(renew(rebuild, known.clone(), stopped.clone())));
        }
        tasks.push(tokio::spawn(Self { store, pool, known, stop: stopped }.run()));
        Ok(RunnerHandle { position, standing, began_at, stop, tasks })
    }

    async fn run(mut self) {
        loop {
            let mut stop = self.stop.clone();
            let projected = tokio::select! {
                () = stopping(&mut stop) => return,
                projected = self.project() => projected,
            };
            match projected {
                Ok(()) | Err(ProjectError::CheckpointMoved) => {}
                Err(error) => tracing::warn!(%error, "projecting was interrupted; trying again"),
            }
            sleep(PAUSE).await;
        }
    }

    /// Projects until an error occurs; returns early if another process projects or the tables are of another form.
    async fn project(&mut self) -> Result<(), ProjectError> {
        // Waiting fails only when no sender is left, and `self.known` is a sender.
        let _ = self.known.standing.subscribe().wait_for(|it| *it == Standing::Current).await;
        let mut db = self.pool.acquire().await?;
        let locked: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *db).await?;
        if !locked {
            return Ok(());
        }
        // The connection is detached, since it must not go back to the pool with the lock.
        let mut db = db.detach();
        // A crash of the database may lose the last commits. Their events are projected again, since the checkpoint is
        // lost with the rows.
        sqlx::query("set synchronous_commit = off").execute(&mut db).await?;
        let mut head = self.store.head();
        let Some(mut position) = self.begin(&mut db).await? else { return Ok(()) };
        loop {
            let behind = *head.borrow_and_update() - position;
            if behind <= 0 {
                match tokio::time::timeout(POLL, head.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ok(()),
                    // After a rebuild, projecting begins again at the checkpoint of the new tables.
                    Err(_) => match self.begin(&mut db).await? {
                        Some(begin) => position = begin,
                        None => return Ok(()),
                    },
                }
                continue;
            }
            let started = Instant::now();
            let limit = behind.clamp(BATCH.0, BATCH.1);
            let Some(batch) = Batch::read(self.store.as_ref(), position, limit).await? else {
                // The notification named a position that the log does not have yet: wait.
                sleep(PAUSE).await;
                continue;
            };
            let (next, recorded_at, count) = (batch.last, batch.recorded_at, batch.count());
            let mut transaction = db.begin().await.map_err(ProjectError::from)?;
            match batch.project(&mut transaction, self.store.as_ref(), position, AuditTo::Table).await {
                Ok(()) => transaction.commit().await?,
                Err(ProjectError::CheckpointMoved) => {
                    transaction.rollback().await?;
                    let Some(begin) = self.begin(&mut db).await? else { return Ok(()) };
                    position = begin;
                    continue;
                }
                Err(error) => return Err(error),
            }
            position = next;
            self.known.raise(position);
            observe(count, started, recorded_at, position);
            if *head.borrow() - position < BATCH.0 {
                sleep(PACE.saturating_sub(started.elapsed())).await;
            }
        }
    }

    /// The checkpoint's position, at which projecting begins; `None` if the tables are not of this program's form.
    async fn begin(&self, db: &mut PgConnection) -> Result<Option<Position>, sqlx::Error> {
        let living = look_at_checkpoint(db).await?;
        let is_ours = living.standing == Standing::Current;
        if is_ours {
            self.known.raise(living.position);
        }
        Ok(is_ours.then_some(living.position))
    }
}

impl RunnerHandle {
    /// Waits until the read tables are at a position or past it.
    pub async fn reach(&self, position: Position) {
        // Waiting fails only when the projection has ended, and then there is nothing to wait for.
        let _ = self.position.clone().wait_for(|it| *it >= position).await;
    }

    /// Whether the read tables show every event that was recorded before the projection started, and are of this
    /// program's form or a newer one.
    pub fn has_caught_up(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Current | Standing::Newer)
            && *self.position.borrow() >= self.began_at
    }

    /// Stops the projection. A batch in progress is rolled back and projected at the next start; a rebuild in progress
    /// is abandoned and begins anew.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the projection failed");
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and positions stay far below 2^52")]
#[expect(clippy::disallowed_methods, reason = "the lag is measured against the wall clock")]
fn observe(count: usize, started: Instant, recorded_at: DateTime<Utc>, position: Position) {
    let lag = (Utc::now() - recorded_at).to_std().unwrap_or_default();
    metrics::histogram!("hims_projection_batch_size").record(count as f64);
    metrics::histogram!("hims_projection_batch_seconds").record(started.elapsed().as_secs_f64());
    metrics::histogram!("hims_projection_lag_seconds").record(lag.as_secs_f64());
    metrics::gauge!("hims_read_position").set(position as f64);
}

pub(crate) async fn checkpoint(db: &mut PgConnection) -> Result<Position, sqlx::Error> {
    sqlx::query_scalar("select position from projection_checkpoint").fetch_one(db).await
}

pub(crate) async fn stopping(stop: &mut watch::Receiver<bool>) {
    // Waiting fails only when the handle was dropped, which also means to stop.
    let _ = stop.wait_for(|it| *it).await;
}

/// Notifies other processes of the read tables' position.
async fn notify(pool: PgPool, mut position: watch::Receiver<Position>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopping(&mut stop) => return,
            changed = position.changed() => if changed.is_err() { return },
        }
        let reached = *position.borrow_and_update();
        let notified = sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(reached.to_string());
        if let Err(error) = notified.execute(&pool).await {
            tracing::warn!(%error, "other processes could not be notified of the read tables' position");
        }
        sleep(COALESCE).await;
    }
}

/// Receives the read tables' position from the process that projects. Also examines the tables from time to time, and
/// more often while the tables are not of this program's form.
async fn listen(pool: PgPool, owner: PgPool, known: Known, mut stop: watch::Receiver<bool>) {
    loop {
        let listening = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            loop {
                known.learn(look(&mut *owner.acquire().await?).await?);
                let patience = if *known.standing.borrow() == Standing::Current { POLL } else { PAUSE };
                let next_look = tokio::time::Instant::now() + patience;
                while let Ok(notification) = tokio::time::timeout_at(next_look, listener.recv()).await {
                    known.raise(notification?.payload().parse().unwrap_or_default());
                }
            }
        };
        let listened: Result<(), sqlx::Error> = tokio::select! {
            () = stopping(&mut stop) => return,
            listened = listening => listened,
        };
        if let Err(error) = listened {
            tracing::warn!(%error, "lost the connection that receives the read tables' position; trying again");
        }
        sleep(PAUSE).await;
    }
}
