//! When a slot is within the hours of a provider, also in the nights in which clocks change.
#![expect(clippy::unwrap_used, reason = "a value that cannot be read fails the test")]

use chrono_tz::Tz;
use hims_domain::appointment::Slot;
use hims_domain::provider_schedule::{Event, ProviderSchedule};
use hims_domain::{DepartmentId, fold};
use hims_testing::{sample, sample_with};
use serde_json::{Value, json};
use uuid::Uuid;

const DEPARTMENT: DepartmentId = DepartmentId(Uuid::from_u128(5));
const OTHER: DepartmentId = DepartmentId(Uuid::from_u128(6));

/// Weekly hours from a day on: each block with its weekday, its beginning and its end.
fn hours(effective_from: &str, effective_to: Option<&str>, blocks: &[(i32, &str, &str)]) -> Event {
    let block = |(weekday, from, until): &(i32, &str, &str)| json!({"weekday": weekday, "from": from, "until": until});
    let weekly: Vec<_> = blocks.iter().map(block).collect();
    let hours = json!({"effective_from": effective_from, "effective_to": effective_to, "weekly": weekly});
    sample_with::<ProviderSchedule>("hours_set", json!({ "hours": hours }))
}

fn exception(date: &str, hours: &Value) -> Event {
    sample_with::<ProviderSchedule>("exception_set", json!({"exception": {"date": date, "hours": hours}}))
}

/// A schedule, with the zone of the department.
struct Kept(ProviderSchedule, Tz);

fn kept(zone: &str, events: &[Event]) -> Kept {
    Kept(fold::<ProviderSchedule>(events).unwrap(), zone.parse().unwrap())
}

impl Kept {
    /// Whether a slot that begins at an instant is outside the hours.
    fn is_outside(&self, starts_at: &str, duration_minutes: i32) -> bool {
        self.is_outside_in(DEPARTMENT, starts_at, duration_minutes)
    }

    fn is_outside_in(&self, department: DepartmentId, starts_at: &str, duration_minutes: i32) -> bool {
        self.0.is_outside_hours(department, Slot { starts_at: starts_at.parse().unwrap(), duration_minutes }, &self.1)
    }
}

#[test]
fn a_slot_is_wholly_within_the_hours_or_outside() {
    // The 23rd of November 2026 is a Monday. New York is five hours behind UTC.
    let kept = kept("America/New_York", &[hours("2026-11-01", None, &[(1, "08:00", "12:00"), (1, "12:00", "19:30")])]);
    for (starts_at, minutes, is_outside) in [
        ("2026-11-23T13:00:00Z", 30, false),
        ("2026-11-23T12:59:00Z", 30, true),
        // Two blocks follow each other.
        ("2026-11-23T16:45:00Z", 30, false),
        ("2026-11-24T00:00:00Z", 30, false),
        ("2026-11-24T00:00:00Z", 31, true),
        ("2026-11-24T15:00:00Z", 15, true),
        // Before the first day, nothing is said.
        ("2026-10-26T15:00:00Z", 15, false),
    ] {
        assert_eq!(kept.is_outside(starts_at, minutes), is_outside, "{starts_at} {minutes}");
    }
    assert!(!kept.is_outside_in(OTHER, "2026-11-24T15:00:00Z", 15), "nothing is said about the other department");
}

#[test]
fn hours_until_the_end_of_the_day_go_on_the_next_day() {
    let kept = kept("UTC", &[hours("2026-11-01", None, &[(1, "22:00", "24:00"), (2, "00:00", "06:00")])]);
    assert!(!kept.is_outside("2026-11-23T23:30:00Z", 60));
    assert!(kept.is_outside("2026-11-24T05:30:00Z", 60));
    assert!(kept.is_outside("2026-11-24T23:30:00Z", 15));
}

#[test]
fn of_hours_that_count_on_a_day_those_that_begin_last_do() {
    let (usual, summer) = ([(1, "08:00", "12:00")], [(1, "06:00", "10:00")]);
    let kept = kept(
        "UTC",
        &[
            hours("2026-01-01", None, &usual),
            hours("2026-06-01", Some("2026-08-31"), &summer),
            hours("2027-01-01", None, &[]),
        ],
    );
    // A Monday in May, one in July, one in September, one in the next year.
    for (early, late, day) in [
        (true, false, "2026-05-04"),
        (false, true, "2026-07-06"),
        (true, false, "2026-09-07"),
        (true, true, "2027-02-01"),
    ] {
        assert_eq!(kept.is_outside(&format!("{day}T07:00:00Z"), 15), early, "{day}");
        assert_eq!(kept.is_outside(&format!("{day}T11:00:00Z"), 15), late, "{day}");
    }
}

#[test]
fn a_day_with_hours_of_its_own_has_no_others() {
    let usual = || hours("2026-01-01", None, &[(1, "08:00", "12:00")]);
    let closed = || exception("2026-11-23", &json!([]));
    let removed = sample_with::<ProviderSchedule>("exception_removed", json!({"date": "2026-11-23"}));
    let at_nine = |kept: &Kept, day: &str| kept.is_outside(&format!("2026-11-{day}T09:00:00Z"), 15);
    let closed_kept = kept("UTC", &[usual(), closed()]);
    assert!(at_nine(&closed_kept, "23") && !at_nine(&closed_kept, "30"));
    let other = kept("UTC", &[usual(), exception("2026-11-23", &json!([{"from": "14:00", "until": "15:00"}]))]);
    assert!(at_nine(&other, "23") && !other.is_outside("2026-11-23T14:45:00Z", 15));
    assert!(!at_nine(&kept("UTC", &[usual(), closed(), removed]), "23"));
    // A day may have hours although there are no weekly ones.
    let alone = kept("UTC", &[exception("2026-11-23", &json!([{"from": "14:00", "until": "15:00"}]))]);
    assert!(at_nine(&alone, "23") && !at_nine(&alone, "24"));
}

#[test]
fn a_night_in_which_clocks_change_is_shorter_or_longer() {
    let sunday = |blocks: &[(i32, &str, &str)]| hours("2026-01-01", None, blocks);
    let new_york = |blocks: &[(i32, &str, &str)]| kept("America/New_York", &[sunday(blocks)]);
    // On the 14th of March 2027, clocks skip the hour from two to three: there is no such time.
    let skipped = new_york(&[(7, "02:00", "03:00")]);
    assert!(skipped.is_outside("2027-03-14T07:00:00Z", 1) && skipped.is_outside("2027-03-14T06:59:00Z", 1));
    // On the 1st of November 2026, the hour from one to two comes twice: three hours.
    let twice = new_york(&[(7, "01:00", "03:00")]);
    assert!(!twice.is_outside("2026-11-01T05:00:00Z", 180));
    assert!(twice.is_outside("2026-11-01T04:59:00Z", 10) && twice.is_outside("2026-11-01T07:59:00Z", 2));
    // On Lord Howe it is half an hour.
    let lord_howe = kept("Australia/Lord_Howe", &[sunday(&[(7, "01:30", "02:30")])]);
    assert!(!lord_howe.is_outside("2026-04-04T14:30:00Z", 90), "half an hour comes twice");
    assert!(!lord_howe.is_outside("2026-10-03T15:00:00Z", 30) && lord_howe.is_outside("2026-10-03T15:00:00Z", 31));
    // In Cairo, the 24th of April 2026 (a Friday) begins at one: clocks skip the first hour.
    let cairo = kept("Africa/Cairo", &[sunday(&[(4, "23:00", "24:00"), (5, "00:00", "02:00")])]);
    assert!(!cairo.is_outside("2026-04-23T21:00:00Z", 120), "one hour of Thursday and one of Friday");
    assert!(cairo.is_outside("2026-04-23T21:00:00Z", 121));
}

#[test]
fn leave_counts_until_it_is_cancelled() {
    let slot = |starts_at: &str| Slot { starts_at: starts_at.parse().unwrap(), duration_minutes: 30 };
    let added = || sample::<ProviderSchedule>("leave_added");
    let away = kept("UTC", &[added()]);
    for (starts_at, is_on_leave) in [
        ("2026-12-24T10:30:00Z", false),
        ("2026-12-24T10:31:00Z", true),
        ("2026-12-31T10:30:00Z", true),
        ("2027-01-02T04:59:00Z", true),
        ("2027-01-02T05:00:00Z", false),
    ] {
        assert_eq!(away.0.is_on_leave(slot(starts_at)), is_on_leave, "{starts_at}");
    }
    let back = kept("UTC", &[added(), sample::<ProviderSchedule>("leave_cancelled")]);
    assert!(!back.0.is_on_leave(slot("2026-12-31T10:30:00Z")));
}
