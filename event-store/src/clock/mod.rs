//! The clock of the log: the database's clock, as each node knows it.
//!
//! Nodes that stamped events with clocks of their own would contradict each other, and a single event from a node whose
//! clock is a month ahead would hold the time of all later events there, since the log's time never goes back. So a
//! node measures the database's clock with every batch, and counts on from the last measurement with a clock that
//! nobody can set (the monotonic clock). The node's own clock is only compared: a node whose clock is wrong says so,
//! and records nothing while the difference is large.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::StoreError;

/// From this difference on, the node warns that its clock is wrong.
const WARNS: TimeDelta = TimeDelta::seconds(1);
/// From this difference on, the node records nothing.
const REFUSES: TimeDelta = TimeDelta::seconds(30);
/// When the difference has changed by this much since the last measurement, somebody has set the clock of the node or
/// the machine has slept: the database's clock is measured again before it is relied on.
const JUMP: TimeDelta = TimeDelta::milliseconds(500);

/// Reads the clock of this node.
#[derive(Clone)]
pub struct NodeClock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl NodeClock {
    /// A clock that a function reads, such as a wrong clock in tests.
    pub fn new(read: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }
}

impl Default for NodeClock {
    /// The clock of the operating system.
    #[expect(clippy::disallowed_methods, reason = "the event store compares this clock with the database's")]
    fn default() -> Self {
        Self::new(Utc::now)
    }
}

impl fmt::Debug for NodeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeClock")
    }
}

/// The clock of the log, as this node knows it.
#[derive(Debug)]
pub struct LogClock {
    node: NodeClock,
    known: Mutex<Known>,
}

/// What a node knows of the database's clock.
#[derive(Debug)]
struct Known {
    /// A moment, and what the database's clock showed then; `None` before the first measurement.
    measured: Option<(Instant, DateTime<Utc>)>,
    /// By how much the node's clock was ahead of the database's at the last measurement.
    lead: TimeDelta,
    /// The time of the newest event that this node has seen.
    newest: DateTime<Utc>,
    /// What the node said last about its clock.
    said: Standing,
}

/// How wrong the clock of the node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Right,
    Off,
    Wrong,
}

impl Standing {
    fn of(lead: TimeDelta) -> Self {
        match lead.abs() {
            difference if difference >= REFUSES => Self::Wrong,
            difference if difference >= WARNS => Self::Off,
            _ => Self::Right,
        }
    }
}

impl LogClock {
    /// A clock that shows the node's own time until the database's clock is measured.
    pub fn new(node: NodeClock) -> Self {
        let newest = DateTime::UNIX_EPOCH;
        let known = Known { measured: None, lead: TimeDelta::zero(), newest, said: Standing::Right };
        Self { node, known: Mutex::new(known) }
    }

    /// The time of the log, in microseconds, the precision that is stored and hashed. Not earlier than an event that
    /// this node has seen, unless that event is further ahead than clocks may differ: a decision comes after what it
    /// relies on, even if another node knows the database's clock a little less exactly.
    pub fn now(&self) -> DateTime<Utc> {
        let known = self.known();
        let now = self.estimate(&known);
        let ahead = known.newest - now;
        if ahead > TimeDelta::zero() && ahead < REFUSES { known.newest } else { now.trunc_subsecs(6) }
    }

    /// By how much the node's own clock is ahead of the database's; negative when the node's clock is behind.
    pub fn lead(&self) -> TimeDelta {
        self.lead_of(&self.known())
    }

    /// Refuses to record anything while the clock of the node is wrong.
    ///
    /// # Errors
    /// When the clocks differ by 30 s or more.
    pub fn check(&self) -> Result<(), StoreError> {
        let mut known = self.known();
        match self.say(&mut known) {
            (Standing::Wrong, lead) => Err(StoreError::WrongClock { seconds: lead.num_seconds() }),
            (Standing::Right | Standing::Off, _) => Ok(()),
        }
    }

    /// Whether the database's clock must be measured before it is relied on.
    pub(crate) fn is_doubtful(&self) -> bool {
        let known = self.known();
        known.measured.is_none() || (self.lead_of(&known) - known.lead).abs() > JUMP
    }

    /// Takes note of what the database's clock showed at some moment between two others. The known time is corrected by
    /// no more than the measurement demands, so that a slow answer does not spoil what a quick one has told.
    pub(crate) fn measured(&self, sent: Instant, received: Instant, database: DateTime<Utc>) {
        let mut known = self.known();
        let corrected = match known.measured {
            None => (sent + (received - sent) / 2, database),
            Some((moment, time)) => {
                let (earliest, latest) = (since(moment, time, sent), since(moment, time, received));
                (moment, time + (database - database.clamp(earliest, latest)))
            }
        };
        known.measured = Some(corrected);
        known.lead = self.lead_of(&known);
        self.say(&mut known);
    }

    /// Takes note of the time of an event in the log, unless the event is from far ahead.
    pub(crate) fn reached(&self, recorded_at: DateTime<Utc>) {
        let mut known = self.known();
        if recorded_at > known.newest && recorded_at - self.estimate(&known) < REFUSES {
            known.newest = recorded_at;
        }
    }

    fn estimate(&self, known: &Known) -> DateTime<Utc> {
        known.measured.map_or_else(|| (self.node.0)(), |(moment, time)| since(moment, time, Instant::now()))
    }

    fn lead_of(&self, known: &Known) -> TimeDelta {
        if known.measured.is_some() { (self.node.0)() - self.estimate(known) } else { TimeDelta::zero() }
    }

    /// Shows the difference of the clocks as a metric, and logs when the node's clock becomes wrong or right.
    fn say(&self, known: &mut Known) -> (Standing, TimeDelta) {
        let lead = self.lead_of(known);
        metrics::gauge!("hims_clock_offset_seconds").set(lead.as_seconds_f64());
        let standing = Standing::of(lead);
        if std::mem::replace(&mut known.said, standing) != standing {
            let ahead_by_seconds = lead.as_seconds_f64();
            match standing {
                Standing::Right => tracing::info!(ahead_by_seconds, "the clock of this node is right again"),
                Standing::Off => tracing::warn!(ahead_by_seconds, "the clock of this node differs from the database's"),
                Standing::Wrong => tracing::error!(
                    ahead_by_seconds,
                    "the clock of this node is wrong; the node records nothing until the clock is set"
                ),
            }
        }
        (standing, lead)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A lock that a panic left behind is used all the same: each change of the known clocks is complete in itself.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a clock shows at a moment, if it showed `time` at `then`.
fn since(then: Instant, time: DateTime<Utc>, moment: Instant) -> DateTime<Utc> {
    let passed = |it| TimeDelta::from_std(it).unwrap_or_default();
    time + passed(moment.saturating_duration_since(then)) - passed(then.saturating_duration_since(moment))
}

#[cfg(test)]
mod tests;
