//! From the time that a clock on the wall shows to an instant: the one rule of the hospital for nights in which clocks
//! change. The SQL function `hims_identity.instant_of` keeps the same rule, and a test compares the two.

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};

/// What a wall-clock time bounds: the beginning or the end of a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The beginning of a span, or a time by itself.
    Start,
    /// The end of a span.
    End,
}

/// The instant at which clocks in a time zone show a time.
///
/// A time that clocks skip means the first instant after the gap. A time that clocks show twice means the earlier
/// instant, or for the end of a span the later one.
pub fn instant_of<Z: TimeZone>(wall: NaiveDateTime, zone: &Z, bound: Bound) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(instant) => instant.to_utc(),
        LocalResult::Ambiguous(one, other) => match bound {
            Bound::Start => one.to_utc().min(other.to_utc()),
            Bound::End => one.to_utc().max(other.to_utc()),
        },
        LocalResult::None => after_gap(wall, zone),
    }
}

/// The latest day that a calendar shows anywhere at an instant: time zones are up to 14 hours ahead of UTC.
pub fn latest_day(at: DateTime<Utc>) -> NaiveDate {
    (at + TimeDelta::hours(14)).date_naive()
}

/// Whether clocks in a time zone ever show a time. In the night in which clocks are put forward, they skip some times.
pub fn is_shown<Z: TimeZone>(wall: NaiveDateTime, zone: &Z) -> bool {
    !matches!(zone.from_local_datetime(&wall), LocalResult::None)
}

/// The first instant after the gap in which a wall-clock time lies.
fn after_gap<Z: TimeZone>(wall: NaiveDateTime, zone: &Z) -> DateTime<Utc> {
    /// How far from `wall`, read as UTC, the gap is sought. No time zone is a whole day away from UTC.
    const DAY: i64 = 86_400;
    let at = |seconds| wall.and_utc() + TimeDelta::seconds(seconds);
    let (mut before, mut after) = (-DAY, DAY);
    while after - before > 1 {
        let middle = i64::midpoint(before, after);
        if at(middle).with_timezone(zone).naive_local() > wall {
            after = middle;
        } else {
            before = middle;
        }
    }
    at(after)
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    /// The instant at which clocks in a zone show a time, as text; `bound` says what the time bounds.
    fn instant(zone: &str, wall: &str, bound: Bound) -> String {
        let zone: Tz = zone.parse().unwrap();
        instant_of(wall.parse().unwrap(), &zone, bound).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }

    #[test]
    fn a_time_that_clocks_show_once_is_one_instant() {
        for bound in [Bound::Start, Bound::End] {
            assert_eq!(instant("America/New_York", "2026-11-23T19:00:00", bound), "2026-11-24T00:00:00Z");
            assert_eq!(instant("UTC", "2026-11-23T19:00:00", bound), "2026-11-23T19:00:00Z");
            assert_eq!(instant("Asia/Kathmandu", "2026-11-23T00:00:00", bound), "2026-11-22T18:15:00Z");
        }
    }

    #[test]
    fn a_time_that_clocks_skip_is_the_first_instant_after_the_gap() {
        for (zone, wall, expected) in [
            ("America/New_York", "2027-03-14T02:00:00", "2027-03-14T07:00:00Z"),
            ("America/New_York", "2027-03-14T02:59:59", "2027-03-14T07:00:00Z"),
            ("America/New_York", "2027-03-14T03:00:00", "2027-03-14T07:00:00Z"),
            // Half an hour.
            ("Australia/Lord_Howe", "2026-10-04T02:10:00", "2026-10-03T15:30:00Z"),
            // Midnight is skipped.
            ("Africa/Cairo", "2026-04-24T00:00:00", "2026-04-23T22:00:00Z"),
            ("Africa/Cairo", "2026-04-24T00:30:00", "2026-04-23T22:00:00Z"),
            // A whole day is skipped.
            ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00Z"),
        ] {
            for bound in [Bound::Start, Bound::End] {
                assert_eq!(instant(zone, wall, bound), expected, "{zone} {wall}");
            }
        }
        let new_york: Tz = "America/New_York".parse().unwrap();
        assert!(!is_shown("2027-03-14T02:30:00".parse().unwrap(), &new_york));
        assert!(is_shown("2026-11-01T01:30:00".parse().unwrap(), &new_york));
    }

    #[test]
    fn of_a_time_that_clocks_show_twice_a_beginning_is_the_earlier_and_an_end_the_later() {
        for (zone, wall, earlier, later) in [
            ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"),
            ("Australia/Lord_Howe", "2026-04-05T01:40:00", "2026-04-04T14:40:00Z", "2026-04-04T15:10:00Z"),
            ("Africa/Cairo", "2026-10-29T23:30:00", "2026-10-29T20:30:00Z", "2026-10-29T21:30:00Z"),
        ] {
            assert_eq!(instant(zone, wall, Bound::Start), earlier, "{zone}");
            assert_eq!(instant(zone, wall, Bound::End), later, "{zone}");
        }
    }
}
