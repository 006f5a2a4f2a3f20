//! Keeps the read tables up to date with the log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{Datelike as _, TimeDelta};
use hims_event_store::bounded::{self, ANSWER, LONG_ANSWER, lend, within};
use hims_event_store::{EventStore, Position, Reached};
use sqlx::{Acquire, PgConnection, PgPool};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::Instrument as _;

use crate::machinery::archive::make_ahead;
use crate::machinery::batch::{AuditTo, Batch, ProjectError};
use crate::machinery::form::{Living, Standing, look, look_at_checkpoint};
use crate::machinery::lease;
use crate::machinery::rebuild::Rebuild;
use crate::machinery::renewal::renew;

/// How many events a batch has at most. A batch writes a row once, however many events changed the row.
const BATCH: i64 = 10_000;
/// From this backlog on, batches follow each other without a pause.
const BACKLOG: i64 = 1_000;
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
/// How long a batch may take. After a batch that takes longer, the next one is smaller.
const BATCH_TIME: Duration = LONG_ANSWER;
/// How long the read tables may lie behind the log without moving on before they count as standing still.
const STANDSTILL: Duration = Duration::from_secs(5);

/// What this process knows of the living read tables.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) standing: watch::Sender<Standing>,
    position: Arc<Reached>,
    /// When the tables were last seen to move on, or to be at the end of the log.
    moved_at: watch::Sender<Instant>,
}

impl Known {
    fn new() -> Self {
        let (standing, moved_at) = (watch::Sender::new(Standing::Current), watch::Sender::new(Instant::now()));
        Self { standing, position: Arc::new(Reached::new(0, 0)), moved_at }
    }

    /// Examines the living read tables on a connection of their owner, and logs their standing if it has changed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn look(&self, owner: &PgPool, store: &dyn EventStore) -> Result<(), sqlx::Error> {
        let timeline = store.timeline();
        let mut db = lend(owner).await?;
        let living = within(ANSWER, look(&mut db)).await;
        self.learn(timeline, db.back(living)?);
        Ok(())
    }

    fn learn(&self, timeline: i32, living: Living) {
        if living.standing != Standing::Beyond {
            self.see(timeline, living.position);
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
                "a newer release works with the database; this program reads it, but neither records nor projects"
            ),
            Standing::TakenBack => tracing::warn!(
                position,
                "a migration of the read tables is not applied; run `hims migrate up` or restart to update the tables"
            ),
            Standing::Beyond => tracing::error!(
                position,
                "the read tables do not fit the log, and are not updated: find out what happened to the log, then run \
                 `hims rebuild`"
            ),
        }
    }

    /// Takes note of a position of the tables that was seen in a timeline of the log.
    fn see(&self, timeline: i32, position: Position) {
        if self.position.see(timeline, position) {
            self.moved_at.send_replace(Instant::now());
        }
    }

    /// Notes that nothing waits to be projected if the tables are at the end of the log.
    fn compare(&self, head: Position) {
        if self.position.position() >= head {
            self.moved_at.send_replace(Instant::now());
        }
    }
}

/// Projects the log into the read tables, if these are of this program's form. Only one process projects at a time: the
/// process holds a lease, and compares and sets the checkpoint in each batch.
pub struct Runner {
    store: Arc<dyn EventStore>,
    pool: PgPool,
    known: Known,
    /// The greatest size of the next batch.
    greatest: i64,
    stop: watch::Receiver<bool>,
}

/// A handle to the running projection.
pub struct RunnerHandle {
    /// The position of the read tables, as far as this process knows.
    pub position: watch::Receiver<Position>,
    /// How the read tables compare with this program's form and with the log, as far as this process knows.
    pub standing: watch::Receiver<Standing>,
    moved_at: watch::Receiver<Instant>,
    /// The end of the log when the projection started.
    began_at: Position,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Runner {
    /// Starts projecting. The connections of `pool` need the rights of the role `hims_projector` and the schema `hims`
    /// in their search path; the login of `owner` must be a member of the role that owns the tables. With a rebuild
    /// this process makes tables that are due anew; otherwise another process must.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn start(
        store: Arc<dyn EventStore>,
        pool: PgPool,
        owner: PgPool,
        renewal: Option<Rebuild>,
    ) -> Result<RunnerHandle, sqlx::Error> {
        let began_at = *store.head().borrow();
        let known = Known::new();
        known.look(&owner, store.as_ref()).await?;
        let (position, standing) = (known.position.subscribe(), known.standing.subscribe());
        let moved_at = known.moved_at.subscribe();
        let (stop, stopped) = watch::channel(false);
        let mut tasks = vec![
            tokio::spawn(listen((pool.clone(), owner.clone()), Arc::clone(&store), known.clone(), stopped.clone())),
            tokio::spawn(notify(pool.clone(), position.clone(), stopped.clone())),
        ];
        if let Some(rebuild) = renewal {
            tasks.push(tokio::spawn(renew(rebuild, known.clone(), stopped.clone())));
        }
        tasks.push(tokio::spawn(Self { store, pool, known, greatest: BATCH, stop: stopped }.run()));
        Ok(RunnerHandle { position, standing, moved_at, began_at, stop, tasks })
    }

    async fn run(mut self) {
        loop {
            let mut stop = self.stop.clone();
            let projected = tokio::select! {
                () = stopping(&mut stop) => return,
                projected = self.project() => projected,
            };
            match projected {
                Ok(()) => {}
                // A rebuild replaced the tables, or another process took the lease: begin again at once.
                Err(ProjectError::CheckpointMoved) => continue,
                Err(error) => tracing::warn!(%error, "projecting was interrupted; trying again"),
            }
            sleep(PAUSE).await;
        }
    }

    /// Projects until an error occurs; returns early if another process projects, the tables are of another form, or
    /// another server has taken over.
    async fn project(&mut self) -> Result<(), ProjectError> {
        // Waiting fails only when no sender is left, and `self.known` is a sender.
        let _ = self.known.standing.subscribe().wait_for(|it| *it == Standing::Current).await;
        let (mut head, timeline) = (self.store.head(), self.store.timeline());
        if !self.store.knows_head() {
            // Another server has just taken over.
            return Ok(());
        }
        let mut db = lend(&self.pool).await?;
        let begun = within(ANSWER, self.begin(&mut db, timeline)).await;
        let Ok(Some(mut position)) = begun else { return Ok(db.back(begun).map(drop)?) };
        // The lease belongs to the session, so the connection must not go back to the pool.
        let mut db = db.keep();
        // A crash of the database may lose the last commits. Their events are projected again, since the checkpoint is
        // lost with the rows.
        within(ANSWER, sqlx::query("set synchronous_commit = off").execute(&mut db)).await?;
        let mut month = None;
        loop {
            let end = *head.borrow_and_update();
            if *self.known.standing.borrow() != Standing::Current || self.store.timeline() != timeline {
                return Ok(());
            }
            let today = self.store.clock().now().date_naive();
            if month.replace(today.month()) != Some(today.month()) {
                within(ANSWER, make_ahead(&mut db, today)).await?;
            }
            if end <= position {
                match tokio::time::timeout(POLL, head.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ok(()),
                    Err(_) if within(ANSWER, lease::renew(&mut db)).await? == Some(position) => {}
                    Err(_) => return Err(ProjectError::CheckpointMoved),
                }
                continue;
            }
            let started = Instant::now();
            let limit = (end - position).min(self.greatest);
            let Some(batch) = Batch::read(self.store.as_ref(), position, limit).await? else {
                // The log ends earlier since another server has taken over: wait until that is known.
                sleep(PAUSE).await;
                continue;
            };
            let (next, recorded_at, count) = (batch.last, batch.recorded_at, batch.count());
            let span = tracing::debug_span!("projection batch", events = count, position = next);
            match tokio::time::timeout(BATCH_TIME, self.write(batch, &mut db, position).instrument(span)).await {
                Ok(Ok(())) => self.greatest = (self.greatest * 2).min(BATCH),
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    self.greatest = (self.greatest / 10).max(10);
                    return Err(bounded::too_late().into());
                }
            }
            position = next;
            self.known.see(timeline, position);
            observe(count, started, self.store.clock().now() - recorded_at, position);
            if *head.borrow() - position < BACKLOG {
                sleep(PACE.saturating_sub(started.elapsed())).await;
            }
        }
    }

    async fn write(&self, batch: Batch, db: &mut PgConnection, from: Position) -> Result<(), ProjectError> {
        let mut transaction = db.begin().await?;
        batch.project(&mut transaction, self.store.as_ref(), from, AuditTo::Table).await?;
        Ok(transaction.commit().await?)
    }

    /// Takes the lease, and returns the checkpoint's position, at which projecting begins. `None` if the tables are not
    /// of this program's form, or another process projects.
    async fn begin(&self, db: &mut PgConnection, timeline: i32) -> Result<Option<Position>, sqlx::Error> {
        if look_at_checkpoint(db).await?.standing != Standing::Current || !lease::take(db).await? {
            return Ok(None);
        }
        // The previous holder may have moved the checkpoint before the lease was taken.
        let living = look_at_checkpoint(db).await?;
        let is_ours = living.standing == Standing::Current;
        if is_ours {
            self.known.see(timeline, living.position);
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

    /// Whether read tables at a position show every event that was recorded before the projection started, and are of
    /// this program's form or a newer one.
    pub fn has_caught_up(&self, position: Position) -> bool {
        matches!(*self.standing.borrow(), Standing::Current | Standing::Newer) && position >= self.began_at
    }

    /// Whether the read tables have been behind the log for a while and do not move on.
    pub fn stands_still(&self) -> bool {
        self.moved_at.borrow().elapsed() > STANDSTILL
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
fn observe(count: usize, started: Instant, lag: TimeDelta, position: Position) {
    let lag = lag.to_std().unwrap_or_default();
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
        if let Err(error) = tell(&pool, reached).await {
            tracing::warn!(%error, "other processes could not be notified of the read tables' position");
        }
        sleep(COALESCE).await;
    }
}

async fn tell(pool: &PgPool, position: Position) -> Result<(), sqlx::Error> {
    let mut db = lend(pool).await?;
    let notification = sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(position.to_string());
    let told = within(ANSWER, notification.execute(&mut *db)).await;
    db.back(told).map(drop)
}

/// Receives the read tables' position from the process that projects. Also examines the tables from time to time, and
/// more often while the tables are not of this program's form.
async fn listen(
    (pool, owner): (PgPool, PgPool),
    store: Arc<dyn EventStore>,
    known: Known,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let listening = async {
            let timeline = store.timeline();
            let mut listener = bounded::listen(&pool, CHANNEL).await?;
            // Nobody notifies at a former primary any more.
            while store.timeline() == timeline {
                bounded::test(&mut listener).await?;
                known.look(&owner, store.as_ref()).await?;
                known.compare(*store.head().borrow());
                let patience = if *known.standing.borrow() == Standing::Current { POLL } else { PAUSE };
                let next_look = tokio::time::Instant::now() + patience;
                while let Ok(notification) = tokio::time::timeout_at(next_look, listener.recv()).await {
                    known.see(timeline, notification?.payload().parse().unwrap_or_default());
                }
            }
            Ok(())
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
