//! Appointments, and the time of providers.

use hims_testing::patched;
use serde_json::{Value, json};

use super::{House, id};

/// An appointment with its day and time by the clocks of its department, and when that is in UTC.
fn visit(nth: u32, [day, time]: [&str; 2], starts_at: &str, more: Value) -> Value {
    let starts_at: chrono::DateTime<chrono::Utc> = starts_at.parse().expect("an instant");
    let ends_at = starts_at + chrono::TimeDelta::minutes(5);
    let row = json!({"id": id(nth), "scheduled_date": day, "scheduled_time": time, "starts_at": starts_at,
                     "ends_at": ends_at});
    patched(row, more)
}

#[tokio::test]
async fn the_schedule_of_a_day_is_that_of_the_clocks_of_each_department() {
    let mut house = House::new("2026-03-10T12:00:00Z").await;
    let brown = json!({"provider_id": id(22), "department_id": id(2), "time_zone": "Europe/Berlin", "room_id": id(12)});
    let mut visits = [
        visit(101, ["2026-03-10", "08:00"], "2026-03-10T07:00:00Z", brown.clone()),
        visit(102, ["2026-03-10", "23:30"], "2026-03-11T03:30:00Z", json!({"status": "scheduled"})),
        visit(
            103,
            ["2026-03-10", "09:00"],
            "2026-03-10T13:00:00Z",
            json!({"patient_id": id(32), "room_id": id(11), "insurance_verified": true, "status": "no_show"}),
        ),
        visit(104, ["2026-03-10", "10:00"], "2026-03-10T14:00:00Z", json!({"status": "cancelled"})),
        visit(105, ["2026-03-11", "00:30"], "2026-03-10T23:30:00Z", brown),
        visit(106, ["2026-03-10", "10:00"], "2026-03-10T14:00:00Z", json!({"provider_id": id(23)})),
    ];
    visits[5]["department_id"] = Value::Null;
    house.fill("appointments", visits).await;
    let all = "all_appointments,all_patients,staff";
    let ross = "09:00 | 30 | Rita Ross | MRN-2 | Ada Adler | R1 | follow_up | no_show | yes";
    let late = "23:30 | 30 | Paul Peters | MRN-1 | Ada Adler | - | follow_up | scheduled | no";
    let brown = "08:00 | 30 | Paul Peters | MRN-1 | Bea Brown | R2 | follow_up | completed | no";
    let clark = "10:00 | 30 | Paul Peters | MRN-1 | Cora Clark | - | follow_up | completed | no";
    let day = |more: Value| patched(json!({"date": "2026-03-10"}), more);
    for (more, expected) in [
        (json!({}), &[ross, late, brown, clark][..]),
        (json!({"department": id(2)}), &[brown]),
        (json!({"provider": id(21)}), &[ross, late]),
        (json!({"provider": id(21), "department": id(2)}), &[]),
    ] {
        assert_eq!(house.report(all, "daily-schedule", day(more)).await, expected);
    }
    // Who reads the appointments of a department sees those, and names only of the patients who come these days.
    let rows = house.rows("assigned_patients", &id(2), "daily-schedule", &day(json!({})), "UTC").await;
    assert_eq!(rows, ["08:00 | 30 | - | - | - | R2 | follow_up | completed | no"]);
}

#[tokio::test]
async fn the_rate_of_missed_appointments_counts_what_began_and_is_null_over_nothing() {
    let mut house = House::new("2026-03-20T12:00:00Z").await;
    let mut nth = 100;
    let mut of = |day: u32, status: &str, more: Value| {
        nth += 1;
        let date = format!("2026-03-{day:02}");
        let more = patched(json!({"status": status}), more);
        visit(nth, [&date, "10:00"], &format!("{date}T14:00:00Z"), more)
    };
    let other = json!({"provider_id": id(22), "department_id": id(2), "appointment_type": "surgery"});
    let cancelled = |at: &str| json!({"cancelled_at": at});
    let visits = [
        of(2, "completed", json!({})),
        of(3, "in_progress", json!({})),
        of(4, "no_show", json!({})),
        // Exactly 24 hours before is not too late; a minute later is.
        of(5, "cancelled", cancelled("2026-03-04T14:00:00Z")),
        of(6, "cancelled", cancelled("2026-03-05T14:01:00Z")),
        of(9, "checked_in", json!({"patient_id": id(32)})),
        of(10, "cancelled", patched(other.clone(), cancelled("2026-03-01T00:00:00Z"))),
        of(11, "scheduled", other.clone()),
        // Not in the span, and not begun yet.
        of(1, "no_show", json!({})),
        of(21, "cancelled", cancelled("2026-03-21T13:00:00Z")),
        of(22, "checked_in", json!({})),
    ];
    house.fill("appointments", visits).await;
    let asked = |by: &str| json!({"from": "2026-03-02", "to": "2026-03-31", "by": by});
    let adler = "1 | 4 | 25.0 | 2 | 1";
    let brown = "0 | 0 | - | 1 | 0";
    for (by, expected) in [
        ("provider", vec![format!("#21 | Ada Adler | {adler}"), format!("#22 | Bea Brown | {brown}")]),
        ("department", vec![format!("#1 | Cardiology | {adler}"), format!("#2 | Dermatology | {brown}")]),
        ("type", vec![format!("- | follow_up | {adler}"), format!("- | surgery | {brown}")]),
        (
            "weekday",
            vec![
                "- | Monday | 0 | 2 | 0.0 | 0 | 0".to_owned(),
                "- | Tuesday | 0 | 1 | 0.0 | 1 | 0".to_owned(),
                "- | Wednesday | 1 | 1 | 100.0 | 0 | 0".to_owned(),
                "- | Thursday | 0 | 0 | - | 1 | 0".to_owned(),
                "- | Friday | 0 | 0 | - | 1 | 1".to_owned(),
            ],
        ),
    ] {
        assert_eq!(house.report("all_appointments,staff", "no-show-rate", asked(by)).await, expected, "by {by}");
    }
    let without_by = json!({"from": "2026-03-04", "to": "2026-03-04"});
    let rows = house.report("all_appointments,staff", "no-show-rate", without_by).await;
    assert_eq!(rows, ["#21 | Ada Adler | 1 | 1 | 100.0 | 0 | 0"]);
}

#[tokio::test]
async fn the_use_of_providers_is_over_the_hours_that_were_offered_less_leave() {
    let mut house = House::new("2026-03-20T12:00:00Z").await;
    let hours = |nth: u32, provider: u32, department: u32, weekly: Value| json!({"id": id(nth), "provider_id": id(provider), "department_id": id(department), "weekly": weekly});
    let block = |weekday: u32, from: &str, until: &str| json!({"weekday": weekday, "from": from, "until": until});
    let schedules = [
        // On Sunday, 8 March 2026, clocks in New York skip the hour from 2 o'clock on.
        hours(201, 21, 1, json!([block(7, "01:00", "04:00"), block(1, "09:00", "12:00"), block(2, "09:00", "12:00")])),
        hours(202, 22, 2, json!([block(1, "09:00", "10:00")])),
        hours(203, 23, 1, json!([block(1, "22:00", "24:00")])),
        // The version of hours that is in force on a day counts.
        hours(204, 23, 2, json!([block(1, "09:00", "10:00")])),
        patched(hours(205, 23, 2, json!([block(1, "09:00", "09:30")])), json!({"effective_from": "2026-03-01"})),
    ];
    house.fill("provider_schedules", schedules).await;
    let closed =
        json!({"id": id(211), "provider_id": id(22), "department_id": id(2), "date": "2026-03-09", "hours": []});
    house.fill("schedule_exceptions", [closed]).await;
    let leave = |nth: u32, provider: u32, starts_at: &str, ends_at: &str, status: &str| json!({"id": id(nth), "provider_id": id(provider), "starts_at": starts_at, "ends_at": ends_at, "status": status});
    let leaves = [
        leave(221, 21, "2026-03-09T15:30:00Z", "2026-03-09T16:30:00Z", "active"),
        leave(222, 21, "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z", "cancelled"),
        leave(223, 23, "2026-03-09T20:00:00Z", "2026-03-10T12:00:00Z", "active"),
    ];
    house.fill("provider_leaves", leaves).await;
    let at = |nth, time: &str, minutes: u32, status: &str, more: Value| {
        let more = patched(json!({"duration_minutes": minutes, "status": status}), more);
        visit(nth, ["2026-03-09", time], &format!("2026-03-09T{time}:00Z"), more)
    };
    let visits = [
        at(101, "09:00", 60, "completed", json!({})),
        at(102, "10:00", 30, "no_show", json!({})),
        at(103, "10:30", 45, "cancelled", json!({})),
        at(104, "09:00", 20, "scheduled", json!({"provider_id": id(22), "department_id": id(2), "patient_id": id(32)})),
    ];
    house.fill("appointments", visits).await;
    let span = |more| patched(json!({"from": "2026-03-08", "to": "2026-03-09"}), more);
    let adler = "#21 | Ada Adler | Cardiology | 60 | 30 | 270 | 22.2";
    let brown = "#22 | Bea Brown | Dermatology | 20 | 0 | 0 | -";
    let clark = "#23 | Cora Clark | Cardiology | 0 | 0 | 0 | -";
    let clark_too = "#23 | Cora Clark | Dermatology | 0 | 0 | 30 | 0.0";
    let rows = house.report("all_appointments,staff", "provider-utilisation", span(json!({}))).await;
    assert_eq!(rows, [adler, brown, clark, clark_too]);
    let rows = house.report("all_appointments,staff", "provider-utilisation", span(json!({"department": id(2)}))).await;
    assert_eq!(rows, [brown, clark_too]);
    // Who reads the appointments of a department alone would see a ratio that is wrong.
    let rows = house.rows("assigned_patients,staff", &id(1), "provider-utilisation", &span(json!({})), "UTC").await;
    assert_eq!(rows, [""; 0]);
}
