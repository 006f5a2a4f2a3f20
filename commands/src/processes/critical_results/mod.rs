use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::DomainEvent;
use hims_domain::lab_result::Event;
use hims_event_store::Timer;
use serde::{Deserialize, Deserializer};
use serde_json::json;

use crate::lab_result::EscalateCriticalResult;
use crate::{Failure, Happened, Process, Reaction};

/// When people are told of critical values that nobody acknowledges: the minutes from the alarm to each of the four
/// levels. After the last level people are told again every hour, and after a day every day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CriticalEscalation([u16; 4]);

/// How many minutes an hour and a day have.
const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

impl Default for CriticalEscalation {
    fn default() -> Self {
        Self([0, 15, 30, 60])
    }
}

impl FromStr for CriticalEscalation {
    type Err = &'static str;

    /// Reads four numbers of minutes that ascend.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "the levels of critical values must be four numbers of minutes that ascend, up to 1440, such \
                            as 0,15,30,60";
        let minutes: Vec<u16> = text.split(',').map(|it| it.trim().parse()).collect::<Result<_, _>>().map_err(|_| RULE)?;
        let minutes: [u16; 4] = minutes.try_into().map_err(|_| RULE)?;
        let ascends = minutes.is_sorted_by(|one, next| one < next) && i64::from(minutes[3]) <= DAY;
        if ascends { Ok(Self(minutes)) } else { Err(RULE) }
    }
}

impl fmt::Display for CriticalEscalation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth] = self.0;
        write!(f, "{first},{second},{third},{fourth}")
    }
}

impl<'de> Deserialize<'de> for CriticalEscalation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl CriticalEscalation {
    /// How long after the alarm a level is reached.
    fn after(self, level: i32) -> TimeDelta {
        let named = usize::try_from(level).ok().and_then(|it| self.0.get(it));
        let last = i64::from(self.0[3]);
        let repeats = i64::from(level) - 3;
        let hourly = (DAY - last) / HOUR;
        let minutes = match named {
            Some(minutes) => i64::from(*minutes),
            None if repeats <= hourly => last + repeats * HOUR,
            None => last + hourly * HOUR + (repeats - hourly) * DAY,
        };
        TimeDelta::minutes(minutes)
    }

    /// The level that follows on a level. Of the repetitions, those whose time has passed already are left out but for
    /// the last, so that people are not told again and again at once after an interruption.
    fn following(self, level: i32, raised_at: DateTime<Utc>, now: DateTime<Utc>) -> i32 {
        let mut next = level + 1;
        while next > 3 && raised_at + self.after(next + 1) <= now {
            next += 1;
        }
        next
    }
}

/// Has people told of critical values until somebody acknowledges them. Each level sets the timer of the next one; a
/// level that finds the values acknowledged or withdrawn changes nothing, so that nothing follows.
pub(super) struct CriticalResults(pub(super) CriticalEscalation);

impl CriticalResults {
    /// The timer of a level, whose payload is the command for the level.
    fn timer(&self, due: &EscalateCriticalResult, raised_at: DateTime<Utc>) -> Reaction {
        let EscalateCriticalResult { lab_result_id, revision, level } = *due;
        Reaction::timer(format!("{lab_result_id} {revision}"), raised_at + self.0.after(level), json!(due))
    }
}

impl Process for CriticalResults {
    const NAME: &'static str = "critical-results";
    const ON: &'static [&'static str] = &["lab_result.critical_raised", "lab_result.critical_escalated"];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let lab_result_id = happened.stream_id.into();
        Ok(match &happened.event {
            DomainEvent::LabResult(Event::CriticalRaised { revision, codes: _, raised_at }) => {
                let due = EscalateCriticalResult { lab_result_id, revision: *revision, level: 0 };
                vec![self.timer(&due, *raised_at)]
            }
            DomainEvent::LabResult(Event::CriticalEscalated { revision, raised_at, level, recipients: _ }) => {
                let level = self.0.following(*level, *raised_at, happened.occurred_at);
                let due = EscalateCriticalResult { lab_result_id, revision: *revision, level };
                vec![self.timer(&due, *raised_at)]
            }
            _ => Vec::new(),
        })
    }

    async fn fire(&self, timer: &Timer) -> Result<Vec<Reaction>, Failure> {
        let due = EscalateCriticalResult::deserialize(&timer.payload).ok();
        Ok(due.into_iter().map(Reaction::command).collect())
    }
}

#[cfg(test)]
mod tests;
