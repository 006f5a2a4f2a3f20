//! What happened to the log itself. All of it is in one stream, which every log has at most once.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, Subject, derived};

/// How often the log was restored, and from where; and how its master keys followed each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The restores, the earliest first.
    pub restores: Vec<Restore>,
    /// The rotations of the master key, the earliest first.
    pub rotations: Vec<KeyRotation>,
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

/// A master key takes the place of another: it wraps the keys of people from now on. What is sealed with the keys of people
/// stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotation {
    /// The id of the former master key.
    pub from: Uuid,
    /// The id of the new master key.
    pub to: Uuid,
}

/// What happened to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An operator restored the log from a backup.
    Restored(Restore),
    /// An operator replaced the master key.
    MasterKeyRotated(KeyRotation),
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

    /// Which master key took the place of this one; `None` if none did, or this one came back since.
    pub fn replaced_by(&self, key: Uuid) -> Option<Uuid> {
        let last = self.rotations.iter().rfind(|it| it.from == key || it.to == key);
        last.filter(|it| it.from == key).map(|it| it.to)
    }
}

impl Aggregate for Log {
    const STREAM: &'static str = "log";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let mut log = state.unwrap_or_default();
        match event {
            Event::Restored(restore) => log.restores.push(*restore),
            Event::MasterKeyRotated(rotation) => log.rotations.push(*rotation),
        }
        Some(log)
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
        Log { restores: restores.collect(), rotations: Vec::new() }
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

    #[test]
    fn a_master_key_is_replaced_until_it_comes_back() {
        let [first, second, third] = [1, 2, 3].map(Uuid::from_u128);
        let replaced = |rotations: &[(Uuid, Uuid)]| {
            let rotations = rotations.iter().map(|(from, to)| KeyRotation { from: *from, to: *to }).collect();
            let log = Log { restores: Vec::new(), rotations };
            [first, second, third].map(|key| log.replaced_by(key))
        };
        assert_eq!(replaced(&[]), [None, None, None]);
        assert_eq!(replaced(&[(first, second), (second, third)]), [Some(second), Some(third), None]);
        assert_eq!(replaced(&[(first, second), (second, first)]), [None, Some(first), None]);
    }
}
