//! Replicas of the database: which position each has, and whether reads may go there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hims_event_store::Position;
use hims_event_store::bounded::within;
use hims_projections::query::{self, QueryError};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::connections::{Connections, Opener};
use crate::connections::{Primary, Work, address_of};
use crate::slow::Slow;

/// How often the position of a replica is looked up. What was recorded since then is read from the primary.
const LOOK: Duration = Duration::from_millis(100);
/// How long ago the primary had the position that a replica must have by now, for reads that name no position.
const BEHIND: Duration = Duration::from_secs(5);
/// How long a replica may take to say its position.
const PATIENCE: Duration = Duration::from_secs(2);

/// The position of a replica that cannot be used.
const UNUSABLE: Position = -1;

/// A server that follows the primary by streaming replication, and answers reads.
pub(super) struct Replica {
    /// Host and port, or the folder of the socket, for people.
    pub(super) name: String,
    pub(super) connections: Connections,
    options: PgConnectOptions,
    /// The position of the read tables there at the last look, which the replica has since then, or [`UNUSABLE`].
    position: AtomicI64,
    /// The position that every read needs at least, so that no answer is older than a few seconds.
    least: AtomicI64,
    /// Why the replica cannot be used, as it was last said in the log.
    fault: Mutex<String>,
}

impl Replica {
    pub(super) fn new(options: PgConnectOptions, each: usize, slow: Slow) -> Self {
        let name = address_of(&options);
        let (position, least) = (AtomicI64::new(UNUSABLE), AtomicI64::new(0));
        let (connections, fault) =
            (Connections::new(Opener::Replica(Box::new(options.clone())), each, slow), Mutex::default());
        Self { name, connections, options, position, least, fault }
    }

    /// Whether the replica has a position, and is not far behind.
    pub(super) fn has(&self, position: Position) -> bool {
        self.position.load(Ordering::Acquire) >= position.max(self.least.load(Ordering::Acquire))
    }

    /// The position that the replica has; `None` if it cannot be used.
    pub(super) fn position(&self) -> Option<Position> {
        Some(self.position.load(Ordering::Acquire)).filter(|it| *it != UNUSABLE)
    }

    /// Notes that the replica did not answer as it should, and says so unless the same was said already. The replica is
    /// used again after the next look that succeeds.
    pub(super) fn fails(&self, reason: &str) {
        let was_used = self.position.swap(UNUSABLE, Ordering::AcqRel) != UNUSABLE;
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if was_used || *fault != reason {
            tracing::warn!(replica = self.name, reason, "a replica cannot be used; its reads go elsewhere");
            reason.clone_into(&mut fault);
        }
    }

    /// Looks the position up again and again, until a look fails.
    async fn follow(&self, primary: &Primary, newest: &impl Fn() -> Position) -> Result<(), QueryError> {
        let mut db = connect(&self.options, primary).await?;
        // Until it is known what the primary had some seconds ago, the replica must have what the primary has now.
        self.least.store(newest(), Ordering::Release);
        let mut earlier = VecDeque::new();
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A replica may be promoted while its sessions go on, and may go on to follow a former primary.
            follows(&mut db, primary).await?;
            let looked = tokio::time::timeout(PATIENCE, query::position(&mut db)).await;
            let position = match looked.unwrap_or_else(|_| Err(hims_event_store::bounded::too_late().into())) {
                // A rebuild has just swapped the tables there.
                Err(QueryError::Swapped) => continue,
                looked => looked?,
            };
            earlier.push_back((Instant::now(), newest()));
            while let Some((_, least)) = earlier.pop_front_if(|(at, _)| at.elapsed() > BEHIND) {
                self.least.store(least, Ordering::Release);
            }
            if self.position.swap(position, Ordering::AcqRel) == UNUSABLE {
                tracing::info!(replica = self.name, position, "a replica answers reads");
            }
        }
    }
}

/// Opens a connection to a replica that reads as the server does.
///
/// # Errors
/// When the server does not answer, or is no replica of the primary: its log must begin with the same event and be of the
/// same timeline, and it must not be written to.
pub(super) async fn connect(replica: &PgConnectOptions, primary: &Primary) -> Result<PgConnection, sqlx::Error> {
    let sql = "select hash from log.events where position = 1";
    let mut at_primary = within(PATIENCE, primary.connect()).await?;
    let told = within(PATIENCE, sqlx::query_scalar(sql).fetch_optional(&mut at_primary)).await;
    let _ = within(PATIENCE, at_primary.close()).await;
    let there: Option<Vec<u8>> = told?;
    let mut db = within(PATIENCE, PgConnection::connect_with(replica)).await?;
    follows(&mut db, primary).await?;
    let here: Option<Vec<u8>> = within(PATIENCE, sqlx::query_scalar(sql).fetch_optional(&mut db)).await?;
    if here.is_none() || here != there {
        let reason = "its log does not begin with the event of the primary's";
        return Err(sqlx::Error::Configuration(reason.into()));
    }
    within(PATIENCE, Work::Read.set_up(&mut db)).await?;
    Ok(db)
}

/// Makes sure that a server follows the primary, and not a former one: its log must be of the newest timeline.
///
/// # Errors
/// When the server does not answer, or does not follow the primary.
async fn follows(db: &mut PgConnection, primary: &Primary) -> Result<(), sqlx::Error> {
    let sql = "select pg_is_in_recovery(), timeline from log.head";
    let (follows, timeline): (bool, i32) = within(PATIENCE, sqlx::query_as(sql).fetch_one(db)).await?;
    if !follows {
        return Err(sqlx::Error::Configuration("it is no replica, since it accepts changes".into()));
    }
    if timeline != primary.timelines().number() {
        let reason = "its log has nothing of the timeline of the primary: nothing was recorded there yet, or the \
                      replica does not follow the primary";
        return Err(sqlx::Error::Configuration(reason.into()));
    }
    Ok(())
}

/// The tasks that look at the replicas. They end when this value is dropped.
pub(super) struct Watch(Vec<JoinHandle<()>>);

impl Watch {
    pub(super) fn start(
        replicas: &[Arc<Replica>],
        primary: &Primary,
        newest: impl Fn() -> Position + Send + Sync + 'static,
    ) -> Self {
        let newest = Arc::new(newest);
        let watch = |replica: &Arc<Replica>| {
            let (replica, primary, newest) = (Arc::clone(replica), primary.clone(), Arc::clone(&newest));
            tokio::spawn(async move {
                loop {
                    if let Err(error) = replica.follow(&primary, &*newest).await {
                        replica.fails(&error.to_string());
                    }
                    tokio::time::sleep(LOOK * 5).await;
                }
            })
        };
        Self(replicas.iter().map(watch).collect())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}
