//! What happened to the log itself. All of it is in one stream, which every log has at most once.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, Subject, derived};

/// How often the log was restored, and from where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The restores, the earliest first.
    pub restores: Vec<Restore>,
}

/// The log was restored from a backup: a new incarnation begins. What was recorded after the position was taken back,
/// so positions after it do not name the same events any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The id of the incarnation that begins.
    pub incarnation: Uuid,
    /// The last position of the log as it was restored.
    pub position: i64,
    /// The last position of the earlier history that the backup knows of.
    pub known: i64,
}

/// What happened to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An operator restored the log from a backup.
    Restored(Restore),
}

impl Log {
    /// The stream of the log's own history.
    pub fn stream() -> Uuid {
        derived("log", &[])
    }

    /// The incarnation that goes on now; nil as long as the log was never restored.
    pub fn incarnation(&self) -> Uuid {
        self.restores.last().map_or(Uuid::nil(), |it| it.incarnation)
    }

    /// Up to which position the history of an incarnation is still that of this log; `None` when this log never had the
    /// incarnation. The current one has no end, which reads as the greatest position.
    pub fn holds_until(&self, incarnation: Uuid) -> Option<i64> {
        let begun = if incarnation.is_nil() {
            0
        } else {
            1 + self.restores.iter().position(|it| it.incarnation == incarnation)?
        };
        // A later restore may have gone further back than an earlier one.
        Some(self.restores[begun..].iter().map(|it| it.position).min().unwrap_or(i64::MAX))
    }
}

impl Aggregate for Log {
    const STREAM: &'static str = "log";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Restored(restore) => {
                let mut log = state.unwrap_or_default();
                log.restores.push(*restore);
                Some(log)
            }
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(positions: &[i64]) -> Log {
        let restores = positions.iter().zip(1..).map(|(position, nth)| Restore {
            incarnation: Uuid::from_u128(nth),
            position: *position,
            known: position + 5,
        });
        Log { restores: restores.collect() }
    }

    #[test]
    fn a_log_that_was_never_restored_has_one_incarnation_without_end() {
        let log = Log::default();
        assert_eq!((log.incarnation(), log.holds_until(Uuid::nil())), (Uuid::nil(), Some(i64::MAX)));
        assert_eq!(log.holds_until(Uuid::from_u128(1)), None);
    }

    #[test]
    fn an_incarnation_holds_up_to_the_earliest_position_to_which_later_ones_went_back() {
        let log = restored(&[100, 40, 70]);
        assert_eq!(log.incarnation(), Uuid::from_u128(3));
        let until = [0, 1, 2, 3].map(|it| log.holds_until(Uuid::from_u128(it)));
        assert_eq!(until, [Some(40), Some(40), Some(70), Some(i64::MAX)]);
    }
}
