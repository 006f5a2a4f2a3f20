//! Keeps the read tables at the end of the log.

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

/// Fewest and most events of a batch; it grows with the backlog, since a row is written once however many events
/// touched it.
const BATCH: (i64, i64) = (1_000, 10_000);
/// A batch begins no sooner after the one before, unless it is large: a row is cheaper with others than alone.
const PACE: Duration = Duration::from_millis(10);
/// How long to wait after a failure, and for the tables to be somebody else's no longer.
const PAUSE: Duration = Duration::from_millis(500);
/// Batches within this time share a notification.
const COALESCE: Duration = Duration::from_millis(20);
/// How often it is looked how far the tables are, in case nobody told.
const POLL: Duration = Duration::from_secs(1);
const CHANNEL: &str = "read_position";
/// The advisory lock of whoever projects ("hims" in ASCII). It falls with the session, whatever becomes of the process.
const LOCK: i64 = 0x6869_6d73;

/// Projects, unless another process does: one at a time, under a lock that falls with its session and behind a
/// checkpoint that is compared and set.
pub struct Runner {
    store: Arc<dyn EventStore>,
    pool: PgPool,
    position: Arc<watch::Sender<Position>>,
    stop: watch::Receiver<bool>,
}

/// A running projection.
pub struct RunnerHandle {
    /// How far the read tables are, as far as this process knows.
    pub position: watch::Receiver<Position>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Runner {
    /// Starts projecting. The connections of the pool need the rights of the role `hims_projector`, and the schema
    /// `hims` in their search path.
    ///
    /// # Errors
    /// When the read tables are missing or the database does not answer.
    pub async fn start(store: Arc<dyn EventStore>, pool: PgPool) -> Result<RunnerHandle, sqlx::Error> {
        let start = checkpoint(&mut *pool.acquire().await?).await?;
        let (position, known) = watch::channel(start);
        let position = Arc::new(position);
        let (stop, stopped) = watch::channel(false);
        let listener = listen(pool.clone(), Arc::clone(&position), stopped.clone());
        let notifier = notify(pool.clone(), known.clone(), stopped.clone());
        let runner = Self { store, pool, position, stop: stopped };
        let tasks = vec![tokio::spawn(runner.run()), tokio::spawn(listener), tokio::spawn(notifier)];
        Ok(RunnerHandle { position: known, stop, tasks })
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

    /// Projects for as long as nothing goes wrong; returns at once when another process projects.
    async fn project(&mut self) -> Result<(), ProjectError> {
        let mut db = self.pool.acquire().await?;
        let locked: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *db).await?;
        if !locked {
            return Ok(());
        }
        // The lock must not go back to the pool with the connection.
        let mut db = db.detach();
        // What a crash of the database takes back is projected again: the checkpoint goes back with it.
        sqlx::query("set synchronous_commit = off").execute(&mut db).await?;
        let mut head = self.store.head();
        let mut position = checkpoint(&mut db).await?;
        raise(&self.position, position);
        loop {
            let behind = *head.borrow_and_update() - position;
            if behind <= 0 {
                match tokio::time::timeout(POLL, head.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ok(()),
                    // Where tables were made anew, it all begins again.
                    Err(_) => position = checkpoint(&mut db).await?,
                }
                continue;
            }
            let started = Instant::now();
            let events = self.store.read(position, behind.clamp(BATCH.0, BATCH.1)).await?;
            let (Some(last), count) = (events.last(), events.len()) else {
                // The head was said to be further than it is.
                sleep(PAUSE).await;
                continue;
            };
            let recorded_at = last.recorded_at;
            let batch = Batch::open(self.store.as_ref(), events).await?;
            let next = batch.last;
            let mut transaction = db.begin().await.map_err(ProjectError::from)?;
            match batch.project(&mut transaction, self.store.as_ref(), position, AuditTo::Table).await {
                Ok(()) => transaction.commit().await?,
                Err(ProjectError::CheckpointMoved) => {
                    transaction.rollback().await?;
                    position = checkpoint(&mut db).await?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            position = next;
            raise(&self.position, position);
            observe(count, started, recorded_at, position);
            if *head.borrow() - position < BATCH.0 {
                sleep(PACE.saturating_sub(started.elapsed())).await;
            }
        }
    }
}

impl RunnerHandle {
    /// Returns when the read tables are at a position, or past it.
    pub async fn reach(&self, position: Position) {
        // An error means that nothing is projected any more.
        let _ = self.position.clone().wait_for(|it| *it >= position).await;
    }

    /// Stops; a batch in hand is rolled back and projected at the next start.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the projection ended badly");
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and positions stay far below 2^52")]
#[expect(clippy::disallowed_methods, reason = "the lag is against the clock of the wall")]
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

fn raise(known: &watch::Sender<Position>, position: Position) {
    known.send_if_modified(|it| std::mem::replace(it, position.max(*it)) < position);
}

async fn stopping(stop: &mut watch::Receiver<bool>) {
    // An error means that the handle is gone, which is as good.
    let _ = stop.wait_for(|it| *it).await;
}

/// Tells other processes how far the tables are.
async fn notify(pool: PgPool, mut position: watch::Receiver<Position>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopping(&mut stop) => return,
            changed = position.changed() => if changed.is_err() { return },
        }
        let reached = *position.borrow_and_update();
        let notified = sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(reached.to_string());
        if let Err(error) = notified.execute(&pool).await {
            tracing::warn!(%error, "other processes were not told how far the tables are");
        }
        sleep(COALESCE).await;
    }
}

/// Hears how far the tables are from whoever projects; looks by itself now and then.
async fn listen(pool: PgPool, known: Arc<watch::Sender<Position>>, mut stop: watch::Receiver<bool>) {
    loop {
        let listening = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            loop {
                match tokio::time::timeout(POLL, listener.recv()).await {
                    Ok(notification) => raise(&known, notification?.payload().parse().unwrap_or_default()),
                    Err(_) => raise(&known, checkpoint(&mut *pool.acquire().await?).await?),
                }
            }
        };
        let listened: Result<(), sqlx::Error> = tokio::select! {
            () = stopping(&mut stop) => return,
            listened = listening => listened,
        };
        if let Err(error) = listened {
            tracing::warn!(%error, "lost the connection that hears how far the tables are; trying again");
        }
        sleep(PAUSE).await;
    }
}
