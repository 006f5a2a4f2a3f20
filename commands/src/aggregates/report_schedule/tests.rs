use std::sync::Arc;

use hims_domain::permission::Word;
use hims_domain::report_execution::{self, ReportExecution};
use hims_domain::role::{Permissions, Role};
use hims_domain::{ReportExecutionId, derived, fold, user};
use hims_event_store::Actor;
use hims_testing::{sample, sample_with};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::role_id;
use crate::testing::samples::{DOCTOR, OTHER_DOCTOR, ask, created, created_with, defined, with};
use crate::testing::{Given, at, given};

const SCHEDULE: ReportScheduleId = ReportScheduleId(Uuid::from_u128(0xa3));
/// A user who reads only some rows of the report.
const NURSE: UserId = UserId(Uuid::from_u128(0xa4));

fn caller(id: UserId, words: &[Read]) -> Caller {
    let read = words.iter().copied().map(Word::from).collect();
    let permissions = Arc::new(Permissions { read, ..Permissions::default() });
    Caller { actor: Actor::User { id: id.0 }, is_system: false, permissions, ..Caller::system("test") }
}

fn hospital(events: impl IntoIterator<Item = Event>) -> Given<ReportSchedule> {
    given(events)
        .and::<Report>(report_of("daily-schedule"), [sample::<Report>("defined")])
        .and::<User>(OTHER_DOCTOR, [created()])
        .and::<User>(NURSE, [created_with(json!({"role_id": role_id("nurse")}))])
        .and::<Role>(role_id("doctor"), [defined("doctor")])
        .and::<Role>(role_id("nurse"), [defined("nurse")])
        .by(caller(DOCTOR, &[Read::AllAppointments]))
}

fn body(more: Value) -> Value {
    let plan = json!({"report_code": "daily-schedule", "parameters": {"by": "provider", "date": "today"}, "format": "csv",
                      "cron": "30 6 * * *", "time_zone": "Europe/Zurich", "recipients": [OTHER_DOCTOR]});
    with(plan, more)
}

fn schedule(more: Value) -> ScheduleReport {
    ask(body(more))
}

/// A schedule that was set up on Monday, the 23rd of November, at ten o'clock in London.
fn scheduled(more: Value) -> Event {
    hospital([]).when(schedule(more)).then_event()
}

fn next_of(event: &Event) -> DateTime<Utc> {
    match event {
        Event::Scheduled { next_run_at, .. }
        | Event::Changed { next_run_at, .. }
        | Event::Ran { next_run_at, .. }
        | Event::Missed { next_run_at }
        | Event::Resumed { next_run_at } => *next_run_at,
        Event::Paused { .. } => panic!("it pauses"),
    }
}

#[test]
fn the_next_time_is_by_the_clock_on_the_wall() {
    assert_eq!(next_of(&scheduled(json!({}))), at("2026-11-24T05:30:00Z"));
    assert_eq!(next_of(&scheduled(json!({"time_zone": "America/New_York"}))), at("2026-11-23T11:30:00Z"));
}

#[test]
fn times_that_never_come_or_come_too_often_are_refused() {
    for (cron, code) in [
        ("0 0 31 2 *", "never"),
        ("*/10 * * * *", "too-often"),
        ("0,50 * * * *", "too-often"),
        ("0 6 * * * *", "malformed-cron"),
        ("@daily", "malformed-cron"),
        ("61 6 * * *", "malformed-cron"),
        ("often", "malformed-cron"),
    ] {
        hospital([]).when(schedule(json!({"cron": cron}))).then_code(code);
    }
    for cron in ["*/15 * * * *", "0 0 29 2 *", "0 6 * * MON-FRI", "0 7 1 * *", "0 6 L * *"] {
        hospital([]).when(schedule(json!({"cron": cron}))).then_event();
    }
    hospital([]).when(schedule(json!({"time_zone": "Mars/Base"}))).then_field("invalid-fields", "/time_zone");
}

#[test]
fn parameters_and_recipients_are_checked() {
    let colour = json!({"parameters": {"by": "provider", "colour": "red"}});
    hospital([]).when(schedule(colour)).then_field("unknown-parameter", "/parameters/colour");
    let stranger = json!({"recipients": [Uuid::from_u128(99)]});
    hospital([]).when(schedule(stranger)).then_field("unknown-reference", "/recipients/0");
    let crowd: Vec<_> = (1..=51).map(|it| Uuid::from_u128(1_000 + it)).collect();
    hospital([]).when(schedule(json!({"recipients": crowd}))).then_field("invalid-fields", "/recipients");
    hospital([]).by(caller(DOCTOR, &[Read::Billing])).when(schedule(json!({}))).then_code("forbidden");
}

/// The nurse reads only her own patients, so she could fetch no report that shows those of others.
#[test]
fn recipients_read_every_row_of_the_report() {
    let to = |recipients: &[UserId]| json!({ "recipients": recipients });
    let refused = hospital([]).when(schedule(to(&[OTHER_DOCTOR, NURSE])));
    refused.then_field("unknown-reference", "/recipients/1");
    let changed = ask(with(json!({"report_schedule_id": SCHEDULE}), to(&[NURSE])));
    let refused = hospital([scheduled(json!({}))]).when::<ChangeReportSchedule>(changed);
    refused.then_field("unknown-reference", "/recipients/0");
    // Another role of the nurse may be enough.
    let both = user::Event::RoleChanged { role_id: role_id("nurse"), additional_role_ids: [role_id("doctor")].into() };
    let more = hospital([]).and::<User>(NURSE, [created_with(json!({"role_id": role_id("nurse")})), both]);
    more.when(schedule(to(&[NURSE]))).then_event();
    // Owners fetch their own reports, which show what they read.
    let own = hospital([]).by(caller(NURSE, &[Read::AssignedPatients]));
    own.when(schedule(to(&[NURSE]))).then_event();
}

#[test]
fn a_change_says_when_the_report_is_due_next() {
    let change = |more: Value| ask::<ChangeReportSchedule>(with(json!({"report_schedule_id": SCHEDULE}), more));
    let changed = hospital([scheduled(json!({}))]).when(change(json!({"cron": "0 12 * * *"}))).then_event();
    assert_eq!(next_of(&changed), at("2026-11-23T11:00:00Z"));
    hospital([scheduled(json!({}))]).when(change(json!({"format": "csv"}))).then_nothing();
    hospital([scheduled(json!({}))]).when(change(json!({"cron": "*/5 * * * *"}))).then_code("too-often");
}

#[test]
fn a_schedule_pauses_and_goes_on_and_does_either_once() {
    let pause = || PauseReportSchedule { report_schedule_id: SCHEDULE };
    let resume = || ResumeReportSchedule { report_schedule_id: SCHEDULE };
    let paused = || Event::Paused { reason: PauseReason::Asked };
    hospital([scheduled(json!({}))]).when(pause()).then([paused()]);
    hospital([scheduled(json!({})), paused()]).when(pause()).then_nothing();
    let resumed = hospital([scheduled(json!({})), paused()]).at(at("2026-12-24T12:00:00Z")).when(resume()).then_event();
    assert_eq!(next_of(&resumed), at("2026-12-25T05:30:00Z"));
    hospital([scheduled(json!({}))]).when(resume()).then_nothing();
    let state: ReportSchedule = fold(&[scheduled(json!({}))]).unwrap();
    assert!(
        pause().is_own(Some(&state), &caller(DOCTOR, &[])) && !pause().is_own(Some(&state), &caller(OTHER_DOCTOR, &[]))
    );
}

/// What a schedule does at a time, and the execution that it begins.
fn ran(more: Value, due_at: &str, now: &str) -> (Event, Option<report_execution::Asked>) {
    let begun = scheduled(more);
    let history = if next_of(&begun) == at(due_at) {
        vec![begun]
    } else {
        vec![begun, Event::Missed { next_run_at: at(due_at) }]
    };
    let system = hospital(history).by(Caller::system("process:report-schedules")).at(at(now));
    let then = system.when(RunSchedule { report_schedule_id: SCHEDULE, due_at: at(due_at) });
    let event = then.events().pop().expect("an event");
    let Event::Ran { report_execution_id, .. } = &event else { return (event, None) };
    let queued = then.events_of::<ReportExecution>(*report_execution_id).pop();
    let Some(report_execution::Event::Queued(asked)) = queued else { panic!("the execution begins") };
    (event, Some(*asked))
}

#[test]
fn at_its_time_a_schedule_asks_for_the_report_of_the_day() {
    let (event, asked) = ran(json!({}), "2026-11-24T05:30:00Z", "2026-11-24T05:30:00.3Z");
    let Event::Ran { due_at, is_late, next_run_at, .. } = event else { panic!("it ran") };
    let told = (due_at, is_late, next_run_at);
    assert_eq!(told, (at("2026-11-24T05:30:00Z"), false, at("2026-11-25T05:30:00Z")));
    let asked = asked.expect("an execution");
    assert_eq!(asked.parameters["date"], "2026-11-24".into());
    assert_eq!((asked.requested_by, asked.recipients), (DOCTOR, [OTHER_DOCTOR].into()));
    assert_eq!(asked.planned.map(|it| it.local_minute.0).as_deref(), Some("2026-11-24T06:30"));
}

#[test]
fn a_schedule_that_runs_after_the_day_that_its_report_shows_asks_for_the_end_of_the_day() {
    let shown = json!({"name": "on", "holds": "day", "default": null, "required": true, "description": "The day."});
    let defined = sample_with::<Report>("defined", json!({"parameters": [shown]}));
    let begun = |on: &str| {
        let parameters = json!({ "parameters": {"on": on} });
        let given = hospital([]).and::<Report>(report_of("daily-schedule"), [defined.clone()]);
        given.when(schedule(parameters)).then_event()
    };
    for (on, as_of) in [("today", None), ("today-1", Some("2026-11-23T23:59:59.999999Z"))] {
        let given = given([begun(on)]).and::<Report>(report_of("daily-schedule"), [defined.clone()]);
        let given = given.by(Caller::system("process:report-schedules")).at(at("2026-11-24T05:30:01Z"));
        let then = given.when(RunSchedule { report_schedule_id: SCHEDULE, due_at: at("2026-11-24T05:30:00Z") });
        let Some(Event::Ran { report_execution_id, .. }) = then.events().pop() else { panic!("it ran") };
        let queued = then.events_of::<ReportExecution>(report_execution_id).pop();
        let Some(report_execution::Event::Queued(asked)) = queued else { panic!("the execution begins") };
        assert_eq!(asked.as_of, as_of.map(|it| report_execution::AsOf::Instant(at(it))), "{on}");
    }
}

#[test]
fn of_what_was_missed_the_last_is_made_within_a_day_and_marked_as_late() {
    let hourly = || json!({"cron": "0 * * * *"});
    let (event, asked) = ran(hourly(), "2026-11-23T11:00:00Z", "2026-11-23T15:20:00Z");
    let Event::Ran { due_at, is_late, next_run_at, .. } = event else { panic!("it ran") };
    let told = (due_at, is_late, next_run_at);
    assert_eq!(told, (at("2026-11-23T15:00:00Z"), true, at("2026-11-23T16:00:00Z")));
    assert!(asked.and_then(|it| it.planned).is_some_and(|it| it.is_late));
    let (event, _) = ran(json!({"cron": "30 6 23 * *"}), "2026-12-23T05:30:00Z", "2026-12-25T05:30:00Z");
    assert_eq!(event, Event::Missed { next_run_at: at("2027-01-23T05:30:00Z") });
}

#[test]
fn a_time_that_clocks_skip_is_the_first_instant_after_the_gap() {
    // On the 28th of March 2027, clocks in Zurich go from two to three o'clock.
    let half_past_two = json!({"cron": "30 2 * * *"});
    let (event, _) = ran(half_past_two.clone(), "2027-03-27T01:30:00Z", "2027-03-27T01:30:00Z");
    assert_eq!(next_of(&event), at("2027-03-28T01:00:00Z"));
    let (event, _) = ran(half_past_two, "2027-03-28T01:00:00Z", "2027-03-28T01:00:00Z");
    assert_eq!(next_of(&event), at("2027-03-29T00:30:00Z"));
}

#[test]
fn a_time_that_clocks_show_twice_is_the_first_of_the_two_only() {
    // On the 31st of October 2027, clocks in Zurich go from three back to two o'clock.
    for (now, next) in
        [("2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"), ("2027-10-31T01:30:00Z", "2027-11-01T01:30:00Z")]
    {
        let (event, asked) = ran(json!({"cron": "30 2 * * *"}), "2027-10-31T00:30:00Z", now);
        assert_eq!(next_of(&event), at(next), "{now}");
        assert_eq!(asked.and_then(|it| it.planned).map(|it| it.local_minute.0).as_deref(), Some("2027-10-31T02:30"));
    }
}

#[test]
fn a_schedule_that_changed_meanwhile_does_not_run_at_its_old_time() {
    let run = || RunSchedule { report_schedule_id: SCHEDULE, due_at: at("2026-11-24T05:30:00Z") };
    let system = |events: Vec<Event>| {
        hospital(events).by(Caller::system("process:report-schedules")).at(at("2026-11-24T05:30:00Z"))
    };
    system(vec![scheduled(json!({"cron": "0 9 * * *"}))]).when(run()).then_nothing();
    system(vec![scheduled(json!({})), Event::Paused { reason: PauseReason::Asked }]).when(run()).then_nothing();
}

#[test]
fn a_schedule_pauses_when_its_last_three_executions_failed() {
    let ids: Vec<ReportExecutionId> = (0..3).map(|it| derived("test", &[&it.to_string()]).into()).collect();
    let history = |count: usize| {
        let ran = ids.iter().take(count).map(|id| Event::Ran {
            report_execution_id: *id,
            due_at: at("2026-11-24T05:30:00Z"),
            is_late: false,
            next_run_at: at("2026-11-25T05:30:00Z"),
        });
        [scheduled(json!({}))].into_iter().chain(ran).collect::<Vec<_>>()
    };
    let failing = |count: usize, failed: usize| {
        let begun = hospital(history(count)).by(Caller::system("process:report-schedules"));
        let with_executions = ids.iter().enumerate().fold(begun, |hospital, (nth, id)| {
            let end =
                if nth < failed { sample::<ReportExecution>("failed") } else { sample::<ReportExecution>("succeeded") };
            hospital.and::<ReportExecution>(
                *id,
                [sample::<ReportExecution>("queued"), report_execution::Event::Started, end],
            )
        });
        with_executions.when(PauseFailingSchedule { report_schedule_id: SCHEDULE })
    };
    failing(3, 3).then([Event::Paused { reason: PauseReason::Failing }]);
    failing(3, 2).then_nothing();
    failing(2, 3).then_nothing();
    let mut paused = history(3);
    paused.push(Event::Paused { reason: PauseReason::Failing });
    hospital(paused).when(PauseFailingSchedule { report_schedule_id: SCHEDULE }).then_nothing();
}
