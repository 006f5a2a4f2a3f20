//! When a notification is sent: quiet hours, and the waits between tries.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use hims_domain::PatientId;
use hims_domain::notification::{Priority, Visit};
use hims_domain::notification_preferences::{Person, Wishes};

use super::recipients::{Reached, reached};
use crate::Context;
use crate::department::zone_named;

/// The waits before the second and each further try.
const WAITS: [TimeDelta; 8] = [
    TimeDelta::seconds(30),
    TimeDelta::minutes(2),
    TimeDelta::minutes(10),
    TimeDelta::minutes(30),
    TimeDelta::hours(2),
    TimeDelta::hours(6),
    TimeDelta::hours(12),
    TimeDelta::hours(24),
];
/// The number of the last try.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "there are few waits")]
pub(crate) const LAST_TRY: i32 = WAITS.len() as i32 + 1;
/// What is said of a visit comes no later than this before the visit, quiet hours or not.
const BEFORE_VISIT: TimeDelta = TimeDelta::hours(2);

/// How long before the beginning of quiet hours a notification is sent that cannot wait for their end.
const BEFORE_QUIET: TimeDelta = TimeDelta::minutes(1);

/// What decides when a notification is sent to somebody.
pub(super) struct Timing<'a> {
    priority: Priority,
    visit: Option<&'a Visit>,
    /// What the recipient wants; `None` if they never said.
    wishes: Option<&'a Wishes>,
    zone: Tz,
}

impl<'a> Timing<'a> {
    /// The timing of a notification to somebody who is reached, or to an address. Quiet hours are those of the
    /// recipient's time zone, or else, for a patient, of the visit's, or else of the hospital's.
    pub(super) fn of(
        priority: Priority,
        visit: Option<&'a Visit>,
        reached: Option<&Reached<'a>>,
        hospital_zone: Tz,
    ) -> Self {
        let of_visit = visit.filter(|_| reached.is_some_and(Reached::is_patient)).map(|it| zone_named(&it.time_zone));
        let zone = reached.and_then(Reached::zone).or(of_visit).unwrap_or(hospital_zone);
        Self { priority, visit, wishes: reached.and_then(Reached::wishes), zone }
    }

    /// When the notification is sent that is due at a time, now or later: in quiet hours at their end, unless the
    /// notification is urgent. What would come too late before the visit then is sent before the quiet hours begin, as
    /// long as there is time.
    pub(super) fn earliest(&self, due_at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        let usual = Wishes::default();
        match self.wishes.unwrap_or(&usual).quiet_hours(due_at, &self.zone) {
            Some(_) if self.priority == Priority::Urgent => due_at,
            Some(quiet) if !self.is_too_late(quiet.end) => quiet.end,
            Some(quiet) if now < quiet.start - BEFORE_QUIET => quiet.start - BEFORE_QUIET,
            _ => due_at,
        }
    }

    fn is_too_late(&self, at: DateTime<Utc>) -> bool {
        self.visit.is_some_and(|it| at > it.starts_at - BEFORE_VISIT)
    }

    /// When the notification is sent again after a try that failed; `None` after the last try. The wait is up to a
    /// tenth shorter or longer, so that what failed together does not come back together.
    pub(super) fn retry(&self, attempt: i32, now: DateTime<Utc>, draw: u64) -> Option<DateTime<Utc>> {
        let wait = *WAITS.get(usize::try_from(attempt).ok()?.checked_sub(1)?)?;
        let tenth = wait / 10;
        let permille = i32::try_from(draw % 2001).unwrap_or(1000);
        Some(self.earliest(now + wait - tenth + tenth * permille / 1000, now))
    }
}

/// When a patient who is told something now reads it: at once, or at the end of their quiet hours. Quiet hours of
/// somebody without a time zone are those of the zone. What is told is looked up with
/// [`reads_patient`](super::reads_patient).
pub(crate) fn told_at(patient_id: PatientId, zone: Tz, ctx: &Context<'_>) -> DateTime<Utc> {
    let reached = reached(Some(Person::PatientId(patient_id)), ctx);
    Timing::of(Priority::Normal, None, reached.as_ref(), zone).earliest(ctx.now, ctx.now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn timing<'a>(wishes: &'a Wishes, priority: Priority, visit: Option<&'a Visit>) -> Timing<'a> {
        Timing { priority, visit, wishes: Some(wishes), zone: Tz::America__New_York }
    }

    #[test]
    fn quiet_hours_hold_what_is_not_urgent() {
        let wishes = Wishes::default();
        let evening = at("2026-11-24T03:00:00Z");
        let normal = timing(&wishes, Priority::High, None);
        assert_eq!(normal.earliest(evening, evening), at("2026-11-24T13:00:00Z"));
        let morning = at("2026-11-24T13:00:00Z");
        assert_eq!(normal.earliest(morning, evening), morning);
        assert_eq!(timing(&wishes, Priority::Urgent, None).earliest(evening, evening), evening);
    }

    #[test]
    fn what_would_come_less_than_two_hours_before_the_visit_is_not_held() {
        let wishes = Wishes::default();
        let visit = |starts_at| Visit { starts_at: at(starts_at), time_zone: "America/New_York".into() };
        let evening = at("2026-11-24T03:00:00Z");
        for (starts_at, expected) in
            [("2026-11-24T14:59:00Z", "2026-11-24T03:00:00Z"), ("2026-11-24T15:00:00Z", "2026-11-24T13:00:00Z")]
        {
            let visit = visit(starts_at);
            let told = timing(&wishes, Priority::Normal, Some(&visit)).earliest(evening, evening);
            assert_eq!(told, at(expected), "{starts_at}");
        }
    }

    #[test]
    fn what_cannot_wait_for_the_end_of_quiet_hours_goes_out_before_they_begin() {
        let wishes = Wishes::default();
        let visit = Visit { starts_at: at("2026-11-24T14:59:00Z"), time_zone: "America/New_York".into() };
        let timing = timing(&wishes, Priority::Normal, Some(&visit));
        // A try fails shortly before nine in the evening in New York, and the next one would be due in the night.
        let due_at = at("2026-11-24T03:00:00Z");
        for (now, expected) in [
            ("2026-11-24T01:00:00Z", "2026-11-24T01:59:00Z"),
            ("2026-11-24T01:59:00Z", "2026-11-24T03:00:00Z"),
            ("2026-11-24T02:00:00Z", "2026-11-24T03:00:00Z"),
        ] {
            assert_eq!(timing.earliest(due_at, at(now)), at(expected), "{now}");
        }
        assert_eq!(timing.retry(5, at("2026-11-24T01:30:00Z"), 1000), Some(at("2026-11-24T01:59:00Z")));
    }

    #[test]
    fn there_are_nine_tries_with_waits_that_differ_by_a_tenth() {
        let none =
            Wishes { quiet_from: Some(hims_domain::values::TimeOfDay::parse("08:00").unwrap()), ..Wishes::default() };
        let timing = timing(&none, Priority::Normal, None);
        let now = at("2026-11-23T10:00:00Z");
        let waits = |draw| (1..).map_while(|attempt| Some(timing.retry(attempt, now, draw)? - now)).collect::<Vec<_>>();
        assert_eq!(waits(1000), WAITS);
        assert_eq!(waits(0)[0], TimeDelta::seconds(27));
        assert_eq!(waits(2000)[0], TimeDelta::seconds(33));
        assert_eq!(timing.retry(0, now, 0), None);
        assert_eq!(timing.retry(LAST_TRY, now, 0), None);
        assert_eq!(LAST_TRY, 9);
    }
}
