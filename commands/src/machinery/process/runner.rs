//! Runs processes: one task for each, which follows the log while its node holds the lease of the process.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use hims_event_store::{Position, ProcessStore, Timer, Wanted};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::react::Reacting;
use super::tables::NoTables;
use super::{Process, Tables};
use crate::machinery::context::new_id;
use crate::{Caller, Executor, Failure};

/// How many positions of the log are looked at in one turn, and how many events are reacted to.
const STEP: (Position, i64) = (20_000, 200);
/// How many timers are fired in one turn.
const TIMERS: i64 = 100;
/// After this time a turn ends, so that the lease is extended before it lapses.
const TURN: Duration = Duration::from_secs(1);
/// How long to wait for new events before the lease is extended.
const POLL: Duration = Duration::from_secs(1);
/// The least time between two turns without a backlog, so that events of this time are looked at together.
const TOGETHER: Duration = Duration::from_millis(50);
/// How long no event must have come before a position is stored up to which there was nothing to react to.
const CALM: Duration = Duration::from_millis(100);
/// How long to wait after a failure, or while another node runs the process.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a process with daily work looks for time zones that have no timer yet.
const PLANNING: Duration = Duration::from_secs(10);
/// How long a node that stops waits for the database to take a lease back.
const FAREWELL: Duration = Duration::from_secs(2);

/// The processes that a node runs.
pub struct Processes {
    executor: Arc<Executor>,
    store: Arc<dyn ProcessStore>,
    /// The position of the read tables.
    position: watch::Receiver<Position>,
    /// Where processes look up what only a table knows.
    tables: Arc<dyn Tables>,
    /// This node, as the leases name it.
    node: Uuid,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// How a turn ended.
#[derive(Debug, PartialEq)]
enum Turn {
    /// More waits to be done.
    Unfinished,
    /// Everything is done, up to the time of the next timer.
    Done(Option<DateTime<Utc>>),
    /// Another node runs the process.
    Elsewhere,
    /// Nothing can be done for the moment.
    NotNow,
}

/// What came of looking at new events.
#[derive(Debug, PartialEq)]
enum Reacted {
    /// None of the events concerns the process.
    ToNothing,
    /// The process has reacted, and its position is stored.
    Until(Position),
    /// Another node has moved the process meanwhile.
    Elsewhere,
}

impl Processes {
    /// Runs no process yet. `position` is that of the read tables, for processes that read them.
    pub fn new(executor: Arc<Executor>, store: Arc<dyn ProcessStore>, position: watch::Receiver<Position>) -> Self {
        let node = new_id(executor.now(), executor.entropy(), 0);
        let (tables, stop) = (Arc::new(NoTables), watch::Sender::new(false));
        Self { executor, store, position, tables, node, stop, tasks: Vec::new() }
    }

    /// Gives the processes that are started afterwards the read tables to look things up in.
    #[must_use]
    pub fn with_tables(self, tables: Arc<dyn Tables>) -> Self {
        Self { tables, ..self }
    }

    /// Carries out the commands of the processes.
    pub(crate) fn executor(&self) -> Arc<Executor> {
        Arc::clone(&self.executor)
    }

    /// Starts a process.
    #[must_use]
    pub fn start<P: Process>(mut self, process: P) -> Self {
        let reacting = Reacting {
            process,
            executor: Arc::clone(&self.executor),
            store: Arc::clone(&self.store),
            tables: Arc::clone(&self.tables),
            caller: Arc::new(Caller::system(&format!("process:{}", P::NAME))),
        };
        let end = if P::READS_TABLES { self.position.clone() } else { self.executor.store().head() };
        let head = self.executor.store().head();
        let runner = Runner { reacting, node: self.node, end, head, led: None, planned_at: None };
        self.tasks.push(tokio::spawn(runner.run(self.stop.subscribe())));
        self
    }

    /// Stops all processes. What a process was about to do is done after the next start, or by another node.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "the task of a process failed");
            }
        }
    }
}

/// The position that a channel has now.
fn position_of(channel: &mut watch::Receiver<Position>) -> Position {
    *channel.borrow_and_update()
}

/// What a node knows of a process that it leads.
#[derive(Debug, Clone, Copy)]
struct Led {
    /// The position of the process, as it is stored.
    position: Position,
    /// The position up to which the process found nothing to react to. It is stored when no event has come for a
    /// moment ([`CALM`]), or with the next extension of the lease.
    seen: Position,
    next_timer: Option<DateTime<Utc>>,
    /// When the lease was extended last.
    extended_at: Instant,
    /// The timeline of the log in which all this was found.
    timeline: i32,
}

impl Led {
    /// Whether the process has come further than its stored position.
    fn is_ahead(&self) -> bool {
        self.seen > self.position
    }
}

/// Runs one process.
struct Runner<P> {
    reacting: Reacting<P>,
    node: Uuid,
    /// The position up to which the process may react to the log.
    end: watch::Receiver<Position>,
    /// The end of the log. A rebuild may bring the read tables further than what is known to be in the log for good.
    head: watch::Receiver<Position>,
    /// What the last turn found, if the next one can rely on it; `None` makes the next turn extend the lease first.
    led: Option<Led>,
    /// When the process last looked for time zones without a timer.
    planned_at: Option<Instant>,
}

impl<P: Process> Runner<P> {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            // Waiting fails only when the sender was dropped, which also means to stop.
            _ = stop.wait_for(|it| *it) => {}
            () = self.follow() => {}
        }
        if timeout(FAREWELL, self.reacting.store.resign(P::NAME, self.node)).await.is_err() {
            tracing::warn!(process = P::NAME, "the lease of a process was not given back; it lapses in a few seconds");
        }
    }

    async fn follow(&mut self) {
        loop {
            match self.turn().await {
                Ok(Turn::Unfinished) => {}
                Ok(Turn::Done(next_timer)) => {
                    sleep(TOGETHER).await;
                    self.wait(next_timer).await;
                }
                Ok(Turn::Elsewhere | Turn::NotNow) => sleep(PAUSE).await,
                Err(error) => {
                    metrics::counter!("hims_process_interruptions_total", "process" => P::NAME).increment(1);
                    tracing::warn!(process = P::NAME, %error, "a process was interrupted; trying again");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Waits for a new event, for the next timer, or for the time to extend the lease or to store the position.
    async fn wait(&mut self, next_timer: Option<DateTime<Utc>>) {
        let until_timer = next_timer.map(|it| (it - self.reacting.executor.now()).to_std().unwrap_or_default());
        let longest = if self.led.is_some_and(|it| it.is_ahead()) { CALM } else { POLL };
        let patience = until_timer.map_or(longest, |it| it.min(longest));
        if P::ON.is_empty() {
            sleep(patience).await;
        } else {
            // Waiting fails only when the log is closed; the next turn finds that.
            let _ = timeout(patience, async {
                tokio::select! {
                    _ = self.end.changed() => {}
                    _ = self.head.changed() => {}
                }
            })
            .await;
        }
    }

    /// Reacts to some new events, and fires some timers that are due. While events come that do not concern the process,
    /// its lease is extended and its position stored once a second only, so that many processes cost little.
    async fn turn(&mut self) -> Result<Turn, Failure> {
        // What was found in another timeline is not relied on: the log may lack it.
        let log = self.reacting.executor.store();
        let timeline = log.timeline();
        let known = self.led.take().filter(|it| it.timeline == timeline);
        if !log.knows_head() {
            // Another server has just taken over.
            return Ok(Turn::NotNow);
        }
        if self.reacting.executor.is_outdated() {
            // A node of the newer release takes the process over when the lease lapses.
            return Ok(Turn::NotNow);
        }
        let Some(mut led) = self.lead(known, timeline).await? else { return Ok(Turn::Elsewhere) };
        // One after the other: both may be the same channel, which must not be locked twice at once.
        let (end, head) = (position_of(&mut self.end), position_of(&mut self.head));
        let end = end.min(head);
        let mut has_reacted = false;
        if end > led.seen {
            let until = end.min(led.seen + STEP.0);
            match self.react(&led, until).await? {
                Reacted::Elsewhere => return Ok(Turn::Elsewhere),
                Reacted::Until(reached) if reached == end => has_reacted = true,
                Reacted::Until(_) => return Ok(Turn::Unfinished),
                Reacted::ToNothing => led.seen = until,
            }
            if led.seen < end && !has_reacted {
                self.led = Some(led);
                return Ok(Turn::Unfinished);
            }
        } else if !self.store_position(&mut led).await? {
            return Ok(Turn::Elsewhere);
        }
        if self.plan_days().await {
            return Ok(Turn::Unfinished);
        }
        let now = self.reacting.executor.now();
        if led.next_timer.is_some_and(|it| it <= now) {
            let fired = self.while_leading(self.fire()).await?;
            return Ok(if fired.is_some() { Turn::Unfinished } else { Turn::Elsewhere });
        }
        if has_reacted {
            // Reactions may have set timers; the next turn asks at once for the time of the next timer.
            return Ok(Turn::Done(Some(now)));
        }
        self.led = Some(led);
        Ok(Turn::Done(led.next_timer))
    }

    /// Extends the lease, unless that was done a moment ago. `None` if another node runs the process.
    async fn lead(&self, known: Option<Led>, timeline: i32) -> Result<Option<Led>, Failure> {
        if let Some(mut led) = known {
            if led.extended_at.elapsed() < POLL {
                return Ok(Some(led));
            }
            if !self.store_position(&mut led).await? {
                return Ok(None);
            }
        }
        // The stored position counts, not what this node remembers: if the database crashed meanwhile, it may have lost
        // the last position and the timers that were stored with it, and the events are reacted to once more.
        let leading = self.reacting.store.lead(P::NAME, self.node).await?;
        Ok(leading.map(|it| Led {
            position: it.position,
            seen: it.position,
            next_timer: it.next_timer,
            extended_at: Instant::now(),
            timeline,
        }))
    }

    /// Stores how far the process has come. Returns whether the process was where this node thought it was: if not,
    /// another node runs it.
    async fn store_position(&self, led: &mut Led) -> Result<bool, Failure> {
        if led.is_ahead() {
            let has_moved = self.reacting.store.advance(P::NAME, led.position, led.seen, &[]).await?;
            led.position = led.seen;
            return Ok(has_moved);
        }
        Ok(true)
    }

    /// Sees to it that each time zone has a timer for the daily work of the process. Returns whether there was reason to
    /// look. That the read tables do not answer keeps nobody from the other work of the process.
    async fn plan_days(&mut self) -> bool {
        let Some(at) = P::DAILY_AT.filter(|_| self.planned_at.is_none_or(|it| it.elapsed() >= PLANNING)) else {
            return false;
        };
        self.planned_at = Some(Instant::now());
        if let Err(error) = self.reacting.plan_days(at).await {
            tracing::warn!(process = P::NAME, %error, "the daily work of a process could not be planned; trying again");
        }
        true
    }

    /// Reacts to the events up to a position that the process has not seen so far.
    async fn react(&self, led: &Led, until: Position) -> Result<Reacted, Failure> {
        let began = Instant::now();
        let log = self.reacting.executor.store();
        let event_types = Some(P::ON);
        let wanted = Wanted { after: led.seen, until: Some(until), event_types, limit: STEP.1, ..Wanted::default() };
        let events = if P::ON.is_empty() { Vec::new() } else { log.search(&wanted).await? };
        if events.is_empty() {
            return Ok(Reacted::ToNothing);
        }
        let is_full = i64::try_from(events.len()) == Ok(STEP.1);
        let mut reached = events.last().filter(|_| is_full).map_or(until, |it| it.position);
        let mut timers = BTreeMap::new();
        let mut trouble = None;
        for event in log.open(events).await? {
            match self.reacting.to_event(&event).await {
                Ok(set) => timers.extend(set.into_iter().map(|it| (it.key.clone(), it))),
                Err(failure) => {
                    reached = event.recorded.position - 1;
                    trouble = Some(failure);
                    break;
                }
            }
            if began.elapsed() > TURN {
                reached = event.recorded.position;
                break;
            }
        }
        let timers: Vec<Timer> = timers.into_values().collect();
        let from = led.position;
        let has_moved = reached == from || self.reacting.store.advance(P::NAME, from, reached, &timers).await?;
        match trouble {
            Some(failure) => Err(failure),
            None if has_moved => Ok(Reacted::Until(reached)),
            None => Ok(Reacted::Elsewhere),
        }
    }

    /// Fires timers that are due, the earliest first.
    async fn fire(&self) -> Result<(), Failure> {
        let began = Instant::now();
        let due = self.reacting.store.due_timers(P::NAME, self.reacting.executor.now(), TIMERS).await?;
        let in_time = due.into_iter().take_while(|_| began.elapsed() <= TURN);
        stream::iter(in_time.map(|timer| self.fire_one(timer))).buffer_unordered(P::AT_ONCE).try_collect::<()>().await
    }

    async fn fire_one(&self, timer: Timer) -> Result<(), Failure> {
        let mut following = BTreeMap::new();
        for set in self.reacting.to_timer(&timer).await? {
            following.insert(set.key.clone(), set);
        }
        let following: Vec<Timer> = following.into_values().collect();
        self.reacting.store.end_timer(P::NAME, timer.id, &following).await?;
        Ok(())
    }

    /// Extends the lease for as long as some work takes, such as waiting for a server outside. The work is given up
    /// (`None`) if another node has taken the lease all the same.
    async fn while_leading<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<Option<T>, Failure> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done.map(Some),
                () = sleep(POLL) => {
                    if self.reacting.store.lead(P::NAME, self.node).await?.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
    }
}
