//! The daily work of processes: at a time of the clock on the wall, once a day in each time zone of the hospital.
//!
//! The work of a day is a timer, whose firing sets the timer of the next day in the same statement. So a day is neither
//! left out nor done twice, whichever node is killed; and whatever was due while no node ran is done once.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use hims_domain::derived;
use hims_domain::wall_clock::{Bound, instant_of};
use hims_event_store::Timer;
use serde_json::json;
use uuid::Uuid;

use super::react::{Occasion, Reacting};
use super::{Part, Process, Reaction, Tables};
use crate::Failure;

/// What the keys of these timers begin with. The name of the time zone follows.
const DAILY: &str = "daily ";
/// How many records a part of the work is about at most, so that the lease is extended between two parts.
const RECORDS: usize = 50;

/// A day on which a process does its daily work.
pub struct Day<'a> {
    /// The time zone whose departments the work is for.
    pub time_zone: Tz,
    /// The day that it is there.
    pub date: NaiveDate,
    /// The day that it is in that time zone of the hospital in which it is earliest, for work on records that belong to
    /// no department: what was due before this day is due everywhere.
    pub begun_everywhere: NaiveDate,
    /// The part of the records that the work is about now.
    pub part: Part,
    /// Where the process looks up what is due.
    pub tables: &'a dyn Tables,
}

/// What a process does on a day: a part of the work, and where to go on.
#[derive(Default)]
pub struct DailyWork {
    /// What follows now.
    pub reactions: Vec<Reaction>,
    /// The record after which the next part begins; `None` when the work of the day is done.
    pub after: Option<Uuid>,
}

impl Day<'_> {
    /// One reaction for each record of this part of the work. If there are as many records as a part can have, there
    /// may be more, so that the process is asked again.
    pub fn each(&self, records: &[Uuid], reaction: impl Fn(Uuid) -> Reaction) -> DailyWork {
        let after = records.last().copied().filter(|_| records.len() >= self.part.limit);
        DailyWork { reactions: records.iter().copied().map(reaction).collect(), after }
    }
}

/// The last day whose work has begun: today, or yesterday if the given time of day is still to come.
fn last_begun(now: DateTime<Utc>, time_zone: Tz, at: NaiveTime) -> NaiveDate {
    let today = now.with_timezone(&time_zone).date_naive();
    let has_begun = instant_of(today.and_time(at), &time_zone, Bound::Start) <= now;
    if has_begun { today } else { today.pred_opt().unwrap_or(today) }
}

/// The timer for the work of the day after a day.
fn after_day<P: Process>(day: NaiveDate, time_zone: Tz, at: NaiveTime) -> Timer {
    let next = day.succ_opt().unwrap_or(day);
    Timer {
        id: derived("timer", &[P::NAME, "daily", time_zone.name(), &next.to_string()]),
        key: format!("{DAILY}{time_zone}"),
        due_at: instant_of(next.and_time(at), &time_zone, Bound::Start),
        payload: json!({}),
    }
}

/// The timer for the rest of the work of a day.
fn rest_of_day<P: Process>(day: &Day<'_>, after: Uuid, due_at: DateTime<Utc>) -> Timer {
    let (date, zone) = (day.date.to_string(), day.time_zone.name());
    Timer {
        id: derived("timer", &[P::NAME, "daily", zone, &date, &after.to_string()]),
        key: format!("{DAILY}{zone}"),
        due_at,
        payload: json!({"date": date, "after": after}),
    }
}

/// The time zone whose daily work a timer stands for; `None` for any other timer.
fn zone_of(timer: &Timer) -> Option<Tz> {
    timer.key.strip_prefix(DAILY)?.parse().ok()
}

impl<P: Process> Reacting<P> {
    /// Sets a timer for each time zone that has none yet.
    ///
    /// # Errors
    /// When the tables or the log do not answer.
    pub(super) async fn plan_days(&self, at: NaiveTime) -> Result<(), Failure> {
        let now = self.executor.now();
        let zones = self.tables.time_zones().await?;
        let timers = zones.into_iter().map(|zone| after_day::<P>(last_begun(now, zone, at), zone, at));
        Ok(self.store.set_missing_timers(P::NAME, &timers.collect::<Vec<_>>()).await?)
    }

    /// Does the daily work that a timer stands for, and returns the timers to be set; `None` for any other timer. A
    /// timer that fires days late stands for the last of these days.
    ///
    /// # Errors
    /// When something does not answer; nothing is lost then if the timer is tried again.
    pub(super) async fn to_day(&self, timer: &Timer) -> Result<Option<Vec<Timer>>, Failure> {
        let Some((at, time_zone)) = P::DAILY_AT.zip(zone_of(timer)) else { return Ok(None) };
        let (now, zones) = (self.executor.now(), self.tables.time_zones().await?);
        if !zones.contains(&time_zone) {
            return Ok(Some(Vec::new()));
        }
        let begun = timer.payload["date"].as_str().and_then(|it| it.parse().ok());
        let after = timer.payload["after"].as_str().and_then(|it| it.parse().ok());
        let days = zones.iter().map(|zone| now.with_timezone(zone).date_naive());
        let date = begun.unwrap_or_else(|| last_begun(now, time_zone, at));
        let day = Day {
            time_zone,
            date,
            begun_everywhere: days.min().unwrap_or(date),
            part: Part { after, limit: RECORDS },
            tables: self.tables.as_ref(),
        };
        let DailyWork { reactions, after } = self.process.daily(&day).await?;
        let mut timers = self.carry_out(&Occasion::timer(timer.id), reactions).await?;
        timers.push(match after {
            Some(after) => rest_of_day::<P>(&day, after, timer.due_at),
            None => after_day::<P>(date, time_zone, at),
        });
        Ok(Some(timers))
    }
}

#[cfg(test)]
mod tests;
