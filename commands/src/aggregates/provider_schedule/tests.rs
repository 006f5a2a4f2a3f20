use hims_domain::department::Department;
use hims_domain::provider_schedule::Event;
use hims_domain::room::Room;
use hims_domain::{LeaveId, department, user};
use hims_testing::{sample, sample_with};
use serde_json::{Value, json};

use super::*;
use crate::testing::samples::{
    DEPARTMENT, DOCTOR, PATIENT, ROOM, added_room, ask, created, created_with, defined, opened, with,
};
use crate::testing::world::user;
use crate::testing::{Given, given, takes};
use crate::{Command as _, role_id};

const LEAVE: LeaveId = LeaveId(Uuid::from_u128(0x51));

/// The past events of a schedule, in a hospital with a doctor, a room and the department of cardiology.
fn given_schedule(events: impl IntoIterator<Item = Event>) -> Given<ProviderSchedule> {
    given(events)
        .and::<User>(DOCTOR, [created()])
        .and::<Department>(DEPARTMENT, [opened()])
        .and::<Room>(ROOM, [added_room()])
        .and::<Role>(role_id("doctor"), [defined("doctor")])
        .and::<Role>(role_id("patient"), [defined("patient")])
}

fn set(changes: Value) -> SetProviderHours {
    let weekly = json!([{"weekday": 1, "from": "08:00", "until": "12:00", "room_id": ROOM}]);
    let body = json!({"provider_id": DOCTOR, "department_id": DEPARTMENT, "effective_from": "2026-11-23",
                      "weekly": weekly});
    ask(with(body, changes))
}

fn blocks(blocks: &[(i32, &str, &str)]) -> Value {
    let block = |(weekday, from, until): &(i32, &str, &str)| json!({"weekday": weekday, "from": from, "until": until});
    json!({"weekly": blocks.iter().map(block).collect::<Vec<_>>()})
}

fn except(changes: Value) -> SetScheduleException {
    let body = json!({"provider_id": DOCTOR, "department_id": DEPARTMENT, "date": "2026-11-30", "hours": []});
    ask(with(body, changes))
}

fn remove(date: &str) -> RemoveScheduleException {
    ask(json!({"provider_id": DOCTOR, "department_id": DEPARTMENT, "date": date}))
}

fn leave(changes: Value) -> AddProviderLeave {
    let body = json!({"provider_id": DOCTOR, "leave_id": LEAVE, "kind": "vacation", "from": "2026-12-24T11:00:00Z",
                      "until": "2027-01-02T05:00:00Z", "reason": "in the mountains"});
    ask(with(body, changes))
}

fn cancel(leave_id: LeaveId) -> CancelProviderLeave {
    CancelProviderLeave { provider_id: DOCTOR, leave_id }
}

/// A user who is not active, or who is a patient only.
fn no_providers() -> [Vec<user::Event>; 2] {
    let patient = created_with(json!({"role_id": role_id("patient"), "patient_id": PATIENT}));
    [vec![created(), user::Event::Deactivated], vec![patient]]
}

#[test]
fn what_is_left_out_of_hours_is_filled_in() {
    let Event::HoursSet { hours, replaces, .. } = given_schedule([]).when(set(json!({}))).then_event() else {
        panic!("hours")
    };
    assert_eq!((hours.slot_minutes, hours.minimum_notice_minutes, hours.horizon_days), (15, 0, 180));
    assert!(!replaces && hours.weekly[0].room_id == Some(ROOM));
}

#[test]
fn hours_with_the_same_first_day_are_replaced() {
    let first = given_schedule([]).when(set(json!({}))).then_event();
    given_schedule([first.clone()]).when(set(json!({}))).then_nothing();
    let longer = given_schedule([first.clone()]).when(set(json!({"slot_minutes": 20}))).then_event();
    assert!(matches!(longer, Event::HoursSet { replaces: true, .. }));
    let later = given_schedule([first]).when(set(json!({"effective_from": "2027-01-01"}))).then_event();
    assert!(matches!(later, Event::HoursSet { replaces: false, .. }));
}

#[test]
fn hours_of_one_weekday_do_not_overlap() {
    for (told, code) in [
        (blocks(&[(1, "08:00", "12:00"), (1, "11:59", "13:00")]), Some("hours-overlap")),
        (blocks(&[(1, "08:00", "12:00"), (2, "11:00", "13:00")]), None),
        (blocks(&[(1, "08:00", "12:00"), (1, "12:00", "24:00")]), None),
        (blocks(&[(1, "12:00", "08:00")]), Some("ends-before-it-starts")),
        (blocks(&[(1, "08:00", "08:00")]), Some("ends-before-it-starts")),
        (blocks(&[(0, "08:00", "12:00")]), Some("out-of-range")),
        (blocks(&[(8, "08:00", "12:00")]), Some("out-of-range")),
        (blocks(&[(1, "08:00", "25:00")]), Some("invalid-fields")),
        (blocks(&[]), None),
        (blocks(&[(1, "08:00", "12:00"); 51]), Some("out-of-range")),
        (json!({"effective_to": "2026-11-22"}), Some("ends-before-it-starts")),
        (json!({"effective_to": "2026-11-23"}), None),
        (json!({"slot_minutes": 4}), Some("out-of-range")),
        (json!({"slot_minutes": 241}), Some("out-of-range")),
        (json!({"minimum_notice_minutes": 10_081}), Some("out-of-range")),
        (json!({"minimum_notice_minutes": -1}), Some("out-of-range")),
        (json!({"horizon_days": 0}), Some("out-of-range")),
        (json!({"horizon_days": 731}), Some("out-of-range")),
    ] {
        assert_eq!(given_schedule([]).when(set(told.clone())).code(), code, "{told}");
    }
    let overlapping = set(blocks(&[(1, "08:00", "12:00"), (1, "11:00", "13:00")]));
    given_schedule([]).when(overlapping).then_field("hours-overlap", "/weekly/1/from");
    let wrong = with(
        blocks(&[(1, "08:00", "12:00"), (1, "11:00", "13:00"), (9, "12:00", "08:00")]),
        json!({
            "effective_to": "2026-11-22", "slot_minutes": 4,
        }),
    );
    let fields = ["/effective_to", "/slot_minutes", "/weekly/2/weekday", "/weekly/1/from", "/weekly/2/from"];
    given_schedule([]).when(set(wrong)).then_fields("ends-before-it-starts", &fields);
}

#[test]
fn who_and_where_must_exist_and_be_open() {
    let nowhere = json!({"weekly": [{"weekday": 1, "from": "08:00", "until": "12:00", "room_id": PATIENT}]});
    given_schedule([]).when(set(nowhere)).then_field("unknown-reference", "/weekly/0/room_id");
    given_schedule([]).when(set(json!({"department_id": PATIENT}))).then_field("unknown-reference", "/department_id");
    let closed = given_schedule([]).and::<Department>(DEPARTMENT, [opened(), department::Event::Closed]);
    closed.when(set(json!({}))).then_code("department-closed");
}

#[test]
fn only_who_can_be_booked_has_a_schedule() {
    for user in no_providers() {
        let nobody = || given_schedule([]).and::<User>(DOCTOR, user.clone());
        nobody().when(set(json!({}))).then_refused(Refusal::NoProvider);
        nobody().when(except(json!({}))).then_refused(Refusal::NoProvider);
        nobody().when(leave(json!({}))).then_refused(Refusal::NoProvider);
    }
}

#[test]
fn a_day_gets_hours_of_its_own_and_loses_them() {
    let first = given_schedule([]).when(except(json!({}))).then_event();
    given_schedule([first.clone()]).when(except(json!({}))).then_nothing();
    let open = json!({"hours": [{"from": "09:00", "until": "10:00"}, {"from": "9:30", "until": "11:00"}]});
    given_schedule([]).when(except(open)).then_field("hours-overlap", "/hours/1/from");
    let removed = given_schedule([first.clone()]).when(remove("2026-11-30")).then_event();
    given_schedule([first.clone(), removed.clone()]).when(remove("2026-11-30")).then_nothing();
    given_schedule([first.clone()]).when(remove("2026-12-01")).then_refused(Refusal::NoSuchException);
    let again = given_schedule([first, removed]).when(except(json!({}))).then_event();
    assert!(matches!(again, Event::ExceptionSet { replaces: true, .. }), "the row is there already");
}

#[test]
fn leave_is_added_once_and_cancelled_once() {
    given_schedule([])
        .when(leave(json!({})))
        .then([sample::<ProviderSchedule>("leave_added")])
        .then_claims([takes(scopes::PROVIDER_LEAVE, LEAVE)]);
    let added = || sample::<ProviderSchedule>("leave_added");
    given_schedule([added()]).when(leave(json!({}))).then_refused(Refused::exists());
    let backwards = leave(json!({"until": "2026-12-24T11:00:00Z"}));
    given_schedule([]).when(backwards).then_refused(Refusal::EndsBeforeItStarts);
    // The id of a cancelled leave is not given to another.
    given([added()]).when(cancel(LEAVE)).then([Event::LeaveCancelled { leave_id: LEAVE }]).then_claims([]);
    given([added(), Event::LeaveCancelled { leave_id: LEAVE }]).when(cancel(LEAVE)).then_nothing();
    given([added()]).when(cancel(LeaveId(Uuid::from_u128(1)))).then_refused(Refusal::NoSuchLeave);
}

#[test]
fn the_leave_of_oneself_is_ones_own() {
    let (own, other) = (user(DOCTOR, "doctor"), user(UserId(Uuid::from_u128(77)), "doctor"));
    assert!(leave(json!({})).is_own(None, &own) && !leave(json!({})).is_own(None, &other));
    assert!(cancel(LEAVE).is_own(None, &own) && !cancel(LEAVE).is_own(None, &other));
    assert!(!set(json!({})).is_own(None, &own) && !except(json!({})).is_own(None, &own));
}

/// What stands against a slot of half an hour in the schedule that follows from some events.
fn against(events: &[Event], starts_at: &str, accepted: bool) -> Result<bool, Vec<&'static str>> {
    let schedule = hims_domain::fold::<ProviderSchedule>(events).unwrap();
    let mut found = Found::default();
    let state = std::sync::Arc::new(schedule) as _;
    let state =
        crate::machinery::context::FoundState { version: 1, state: Some(state), fresh: true, is_relied_on: true };
    found.streams.insert(ProviderSchedule::stream_of(DOCTOR), state);
    let caller = crate::Caller::system("test");
    let (password_hash, password_matches) = (None, false);
    let ctx = Context {
        now: crate::testing::now(),
        caller: &caller,
        hospital_zone: chrono_tz::Tz::UTC,
        found: &found,
        password_hash,
        password_matches,
        entropy: 1,
        id: Uuid::nil(),
        currency: hims_domain::values::Currency::default(),
    };
    let slot = crate::testing::samples::slot(starts_at, 30);
    let checked = check_hours(&ctx, DOCTOR, Some(DEPARTMENT), (slot, &"America/New_York".into()), accepted);
    checked.map_err(|refused| std::iter::once(refused.code).chain(refused.errors.iter().map(|_| "+")).collect())
}

#[test]
fn all_that_stands_against_a_slot_is_named_and_may_be_accepted() {
    let monday = json!({"hours": {"effective_from": "2026-11-01", "effective_to": null,
                                  "weekly": [{"weekday": 1, "from": "08:00", "until": "12:00"}]}});
    let hours = sample_with::<ProviderSchedule>("hours_set", monday);
    let away = json!({"leave": {"from": "2026-11-30T15:00:00Z", "until": "2026-12-01T00:00:00Z"}});
    let both = [hours, sample_with::<ProviderSchedule>("leave_added", away)];
    assert_eq!(against(&both, "2026-11-30T14:00:00Z", false), Ok(false));
    assert_eq!(against(&both, "2026-11-30T14:00:00Z", true), Ok(false), "nothing had to be accepted");
    assert_eq!(against(&both, "2026-11-30T12:45:00Z", false), Err(vec!["outside-hours", "+"]));
    assert_eq!(against(&both, "2026-11-30T15:00:00Z", false), Err(vec!["on-leave", "+"]));
    assert_eq!(against(&both, "2026-11-30T18:00:00Z", false), Err(vec!["on-leave", "+", "+"]));
    assert_eq!(against(&both, "2026-11-30T18:00:00Z", true), Ok(true));
    // Leave counts without hours as well.
    assert_eq!(against(&both[1..], "2026-11-30T15:00:00Z", false), Err(vec!["on-leave", "+"]));
    assert_eq!(against(&both[1..], "2026-11-30T12:00:00Z", false), Ok(false));
}
