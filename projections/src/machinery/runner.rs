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
use crate::machinery::form::{Living, Standing, look, look_at_checkpoint};
use crate::machinery::rebuild::Rebuild;
use crate::machinery::renewal::renew;

/// Fewest and most events of a batch; it grows with the backlog, since a row is written once however many events
/// touched it.
const BATCH: (i64, i64) = (1_000, 10_000);
/// A batch begins no sooner after the one before, unless it is large: a row is cheaper with others than alone.
const PACE: Duration = Duration::from_millis(10);
/// How long to wait after a failure, and for the tables to be somebody else's no longer.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);
/// Batches within this time share a notification.
const COALESCE: Duration = Duration::from_millis(20);
/// How often it is looked how far the tables are, in case nobody told.
const POLL: Duration = Duration::from_secs(1);
const CHANNEL: &str = "read_position";
/// The advisory lock of whoever projects ("hims" in ASCII). It falls with the session, whatever becomes of the process.
const LOCK: i64 = 0x6869_6d73;

/// What a process knows of the living read tables.
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

    /// Takes over how the tables stand, and says so where that is news.
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
            Standing::Current => tracing::info!(position, "the read tables are those of this program"),
            Standing::Due => tracing::warn!(
                position,
                "the read tables are missing or of another form; new ones are made beside them and take their place"
            ),
            Standing::Newer => tracing::warn!(
                position,
                "the read tables are a newer program's, which is to project; this program reads them only"
            ),
            Standing::TakenBack => tracing::warn!(
                position,
                "a migration of the read tables is not applied; they wait until `hims migrate up` or the next start"
            ),
            Standing::Beyond => tracing::error!(
                position,
                "the read tables show events that the log does not hold, and are not brought up to date: find out what \
                 became of the log, then run `hims rebuild`"
            ),
        }
    }

    fn raise(&self, position: Position) {
        self.position.send_if_modified(|it| std::mem::replace(it, position.max(*it)) < position);
    }
}

/// Projects, unless another process does: one at a time, under a lock that falls with its session and behind a
/// checkpoint that is compared and set. Projects into tables of this program's form only.
pub struct Runner {
    store: Arc<dyn EventStore>,
    pool: PgPool,
    known: Known,
    stop: watch::Receiver<bool>,
}

/// A running projection.
pub struct RunnerHandle {
    /// How far the read tables are, as far as this process knows.
    pub position: watch::Receiver<Position>,
    /// How they stand to this program, as far as this process knows.
    pub standing: watch::Receiver<Standing>,
    /// The end of the log when this began.
    began_at: Position,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Runner {
    /// Starts projecting. The connections of the pool need the rights of the role `hims_projector`, and the schema
    /// `hims` in their search path; those of the owner own the tables. Tables that are due are made anew if `renews`, and
    /// otherwise left to a process that does.
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

    /// Projects for as long as nothing goes wrong; returns when another process projects, or when the tables are of
    /// another form.
    async fn project(&mut self) -> Result<(), ProjectError> {
        // An error would mean that nobody looks at the tables any more; but this one could.
        let _ = self.known.standing.subscribe().wait_for(|it| *it == Standing::Current).await;
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
        let Some(mut position) = self.begin(&mut db).await? else { return Ok(()) };
        loop {
            let behind = *head.borrow_and_update() - position;
            if behind <= 0 {
                match tokio::time::timeout(POLL, head.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ok(()),
                    // Where tables were made anew, it all begins again.
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
                // The head was said to be further than it is.
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

    /// Where to begin: at the checkpoint, if the tables are of this program's form.
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
    /// Returns when the read tables are at a position, or past it.
    pub async fn reach(&self, position: Position) {
        // An error means that nothing is projected any more.
        let _ = self.position.clone().wait_for(|it| *it >= position).await;
    }

    /// Whether the read tables show all that was recorded before this began, in a form that this program knows.
    pub fn has_caught_up(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Current | Standing::Newer)
            && *self.position.borrow() >= self.began_at
    }

    /// Stops; a batch in hand is rolled back and projected at the next start. So is a rebuild.
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

pub(crate) async fn stopping(stop: &mut watch::Receiver<bool>) {
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

/// Hears how far the tables are from whoever projects; looks by itself now and then, and more often while they are not
/// of this program's form.
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
            tracing::warn!(%error, "lost the connection that hears how far the tables are; trying again");
        }
        sleep(PAUSE).await;
    }
}
