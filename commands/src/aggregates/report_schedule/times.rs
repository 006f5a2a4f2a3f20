//! The times of a schedule: a pattern of cron, read by the clock on the wall of a time zone.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use hims_domain::report_schedule::Plan;
use hims_domain::wall_clock::{Bound, instant_of};

use super::Refusal;
use crate::Refused;
use crate::department::{fault_of_zone, zone_named};

/// How far apart the times of a schedule are at least.
const LEAST: TimeDelta = TimeDelta::minutes(15);
/// How many times are compared to find out whether two are too close: those of more than two days if a schedule runs as
/// often as it may.
const COMPARED: usize = 200;
/// How many times of the clock on the wall may lie in one gap, or be shown twice, when clocks change: four in an hour,
/// for the largest change that there was, a whole day.
const IN_A_CHANGE: usize = 100;

/// The times of a schedule.
pub(super) struct Times {
    cron: Cron,
    zone: Tz,
}

impl Times {
    /// Reads the times of a plan.
    ///
    /// # Errors
    /// When the pattern has not five fields of cron, or there is no such time zone.
    pub(super) fn parse(plan: &Plan) -> Result<Self, Refused> {
        let pattern = plan.cron.as_str();
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let malformed = || Refused::from(Refusal::Malformed).at("/cron");
        if pattern.split_whitespace().count() != 5 {
            return Err(malformed());
        }
        let cron = parser.parse(pattern).map_err(|_| malformed())?;
        match fault_of_zone(&plan.time_zone) {
            Some(fault) => Err(Refused::field("invalid-fields", "/time_zone", fault)),
            None => Ok(Self { cron, zone: zone_named(&plan.time_zone) }),
        }
    }

    /// The next time of the pattern on a clock that never changes.
    fn next_on_the_wall(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&after.and_utc(), false).ok().map(|it| it.naive_utc())
    }

    /// The first instant of the schedule after another. A time that clocks skip means the first instant after the gap,
    /// and one that they show twice means the first of the two only.
    pub(super) fn after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut wall = at.with_timezone(&self.zone).naive_local();
        for _ in 0..IN_A_CHANGE {
            wall = self.next_on_the_wall(wall)?;
            let instant = instant_of(wall, &self.zone, Bound::Start);
            if instant > at {
                return Some(instant);
            }
        }
        None
    }

    /// Whether two times of the pattern are too close to each other.
    pub(super) fn are_too_often(&self, now: DateTime<Utc>) -> bool {
        let first = self.next_on_the_wall(now.naive_utc());
        let times: Vec<_> = std::iter::successors(first, |it| self.next_on_the_wall(*it)).take(COMPARED).collect();
        times.windows(2).any(|pair| pair[1] - pair[0] < LEAST)
    }

    /// The day on which the clock on the wall shows an instant.
    pub(super) fn day_of(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    /// The minute that the clock on the wall shows at an instant, such as `2026-11-23T07:00`.
    pub(super) fn minute_of(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.zone).format("%Y-%m-%dT%H:%M").to_string()
    }

    /// The last instant of the schedule up to `now`, from `due_at` on, which is one itself. `None` if the last one is
    /// more than a day ago.
    pub(super) fn last_missed(&self, due_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let a_day_ago = now - TimeDelta::days(1);
        let first = if due_at >= a_day_ago { Some(due_at) } else { self.after(a_day_ago - TimeDelta::seconds(1)) };
        std::iter::successors(first, |it| self.after(*it)).take_while(|it| *it <= now).last()
    }
}
