//! The waiting list, and what became of the time that was freed.

use hims_testing::patched;
use serde_json::{Value, json};

use super::{House, id};

#[tokio::test]
async fn the_waiting_list_is_told_by_department_with_the_time_that_was_freed() {
    let mut house = House::new("2026-05-01T12:00:00Z").await;
    let visit = |nth: u32, provider: u32, starts_at: &str, created_at: &str, more: Value| {
        let (day, time) = (&starts_at[..10], &starts_at[11..16]);
        let ends_at = format!("{day}T{}:30:00Z", &starts_at[11..13]);
        let row = json!({"id": id(nth), "provider_id": id(provider), "department_id": id(provider - 20),
                         "scheduled_date": day, "scheduled_time": time, "starts_at": starts_at, "ends_at": ends_at,
                         "created_at": created_at});
        patched(row, more)
    };
    let made = "2026-03-01T12:00:00Z";
    let cancelled = |at: &str| json!({"status": "cancelled", "cancelled_at": at});
    let visits = [
        // Two entries were fulfilled, after 1.5 and after 4 days.
        visit(101, 21, "2026-03-20T14:00:00Z", "2026-03-12T00:00:00Z", json!({})),
        visit(102, 21, "2026-03-21T14:00:00Z", "2026-03-14T12:00:00Z", json!({"status": "scheduled"})),
        // Of three slots in Cardiology that were freed two hours before or more, one was filled. The other two are one
        // time that was freed twice. In Dermatology, somebody else was to come for a part of the time.
        visit(103, 21, "2026-03-20T14:00:00Z", made, cancelled("2026-03-11T12:00:00Z")),
        visit(104, 21, "2026-03-22T14:00:00Z", made, cancelled("2026-03-22T12:00:00Z")),
        visit(105, 21, "2026-03-22T14:00:00Z", made, cancelled("2026-03-22T11:00:00Z")),
        visit(106, 22, "2026-03-23T14:00:00Z", made, cancelled("2026-03-13T12:00:00Z")),
        visit(107, 22, "2026-03-23T14:15:00Z", made, json!({"status": "no_show", "ends_at": "2026-03-23T14:45:00Z"})),
        // Less than two hours before, not in the span, and not cancelled at all.
        visit(108, 22, "2026-03-24T14:00:00Z", made, cancelled("2026-03-24T12:00:01Z")),
        visit(109, 22, "2026-03-25T14:00:00Z", made, cancelled("2026-03-01T04:59:00Z")),
        visit(110, 22, "2026-03-26T14:00:00Z", made, json!({})),
    ];
    house.fill("appointments", visits).await;
    let entry = |nth: u32, status: &str, joined_at: &str, more: Value| {
        patched(json!({"id": id(nth), "status": status, "joined_at": joined_at}), more)
    };
    let fulfilled = |visit: u32| json!({"appointment_id": id(visit), "offers": 1});
    let offer = json!({"offered_provider_id": id(21), "offered_starts_at": "2026-04-20T14:00:00Z",
                       "offered_ends_at": "2026-04-20T14:30:00Z", "offer_expires_at": "2026-04-20T12:00:00Z",
                       "offers": 2});
    let mut entries = [
        entry(951, "fulfilled", "2026-03-10T12:00:00Z", fulfilled(101)),
        entry(952, "fulfilled", "2026-03-10T12:00:00Z", fulfilled(102)),
        entry(953, "offered", "2026-03-10T12:00:00Z", offer),
        // One offer was not answered, and one was declined; another entry left after an offer.
        entry(954, "waiting", "2026-03-10T12:00:00Z", json!({"offers": 1, "unanswered_offers": 1})),
        entry(955, "lapsed", "2026-03-10T12:00:00Z", json!({"offers": 3, "unanswered_offers": 3})),
        entry(950, "waiting", "2026-03-10T12:00:00Z", json!({"offers": 1})),
        entry(949, "withdrawn", "2026-03-10T12:00:00Z", json!({"offers": 1})),
        entry(956, "lapsed", "2026-03-10T12:00:00Z", json!({})),
        entry(957, "withdrawn", "2026-04-01T03:59:00Z", json!({})),
        entry(958, "waiting", "2026-04-01T04:00:00Z", json!({})),
        entry(959, "waiting", "2026-03-10T12:00:00Z", json!({"provider_id": id(22)})),
    ];
    entries[10]["department_id"] = Value::Null;
    house.fill("waitlist_entries", entries).await;
    let march = json!({"from": "2026-03-01", "to": "2026-03-31"});
    assert_eq!(
        house.report("all_appointments,staff", "waitlist", march).await,
        ["#1 | Cardiology | 9 | 7 | 2 | 2 | 2.8 | 3 | 1", "#2 | Dermatology | 1 | 0 | 0 | 0 | - | 1 | 1"]
    );
}
