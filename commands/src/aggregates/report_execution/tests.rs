use std::sync::Arc;

use hims_domain::UserId;
use hims_domain::permission::Word;
use hims_domain::report_execution::{FailureReason, Made, Planned};
use hims_domain::role::Permissions;
use hims_event_store::Actor;
use hims_testing::{sample, sample_with};
use serde_json::{Value, json};

use super::running::{FailReport, FinishReport, NoteProgress, StartReport};
use super::*;
use crate::testing::samples::{DOCTOR, OTHER_DOCTOR, ask, with};
use crate::testing::{Given, HEAD, given};

const EXECUTION: ReportExecutionId = ReportExecutionId(Uuid::from_u128(0xa2));

fn user(id: UserId, words: &[Read]) -> Caller {
    let read = words.iter().copied().map(Word::from).collect();
    let create = [Word::from(Create::ReportExecutions)].into();
    let permissions = Arc::new(Permissions { read, create, ..Permissions::default() });
    Caller { actor: Actor::User { id: id.0 }, is_system: false, permissions, ..Caller::system("test") }
}

fn doctor() -> Caller {
    user(DOCTOR, &[Read::AllAppointments])
}

fn hospital(events: impl IntoIterator<Item = Event>) -> Given<ReportExecution> {
    let defined = sample::<Report>("defined");
    given(events).and::<Report>(report_of("daily-schedule"), [defined]).by(doctor())
}

fn run(more: Value) -> RunReport {
    ask(with(json!({"report_code": "daily-schedule", "parameters": {"by": "provider"}, "format": "csv"}), more))
}

fn queued() -> Event {
    let Event::Queued(asked) = sample::<ReportExecution>("queued") else { panic!("it is queued") };
    let report_id = report_of("daily-schedule");
    Event::Queued(Box::new(Asked { report_id, planned: None, ..*asked }))
}

fn made() -> Made {
    let Event::Succeeded(made) = sample::<ReportExecution>("succeeded") else { panic!("it succeeded") };
    made
}

#[test]
fn a_report_is_asked_for_as_the_caller() {
    let Event::Queued(asked) = hospital([]).when(run(json!({}))).then_event() else { panic!("it is queued") };
    assert_eq!((asked.requested_by, asked.as_of, asked.planned), (DOCTOR, None, None));
}

#[test]
fn a_report_needs_one_of_its_words() {
    hospital([]).by(user(DOCTOR, &[Read::AssignedPatients])).when(run(json!({}))).then_event();
    hospital([]).by(user(DOCTOR, &[Read::Billing])).when(run(json!({}))).then_code("forbidden");
    hospital([]).when(run(json!({"report_code": "moods"}))).then_field("unknown-reference", "/report_code");
    hospital([]).by(Caller::system("test")).when(run(json!({}))).then_code("who-did-it");
}

#[test]
fn parameters_are_checked_when_the_report_is_asked_for() {
    let colour = json!({"parameters": {"by": "provider", "colour": "red"}});
    hospital([]).when(run(colour)).then_field("unknown-parameter", "/parameters/colour");
    hospital([]).when(run(json!({"parameters": {}}))).then_field("invalid-fields", "/parameters/by");
}

#[test]
fn a_state_is_an_instant_or_a_position_that_the_log_has_reached() {
    let asked_as_of = |text: &str| {
        let Event::Queued(asked) = hospital([]).when(run(json!({"as_of": text}))).then_event() else {
            panic!("queued")
        };
        asked.as_of
    };
    assert_eq!(asked_as_of("1000"), Some(AsOf::Position(HEAD)));
    assert_eq!(asked_as_of("2026-11-01T01:00:00+01:00"), Some(AsOf::Instant("2026-11-01T00:00:00Z".parse().unwrap())));
    for text in ["1001", "2099-01-01T00:00:00Z"] {
        hospital([]).when(run(json!({"as_of": text}))).then_code("no-such-position");
    }
    for text in ["-1", "2026-11-01", "now", "1.5"] {
        hospital([]).when(run(json!({"as_of": text}))).then_field("invalid-fields", "/as_of");
    }
}

/// A hospital in Los Angeles with a report on how things stand on one day.
fn standing(at: &str) -> Given<ReportExecution> {
    let shown = json!({"name": "on", "holds": "day", "default": null, "required": true, "description": "The day."});
    let defined = sample_with::<Report>("defined", json!({"parameters": [shown]}));
    let hospital = given([]).and::<Report>(report_of("daily-schedule"), [defined]).by(doctor());
    hospital.at(at.parse().unwrap()).in_zone(chrono_tz::America::Los_Angeles)
}

#[test]
fn a_day_that_is_over_is_shown_as_it_was_at_its_end() {
    // In Los Angeles it is still Sunday evening.
    let asked_on = |on: &str, more: Value| {
        let body = with(json!({ "parameters": {"on": on} }), more);
        let queued = standing("2026-11-23T07:00:00Z").when(run(body)).then_event();
        let Event::Queued(asked) = queued else { panic!("it is queued") };
        (asked.as_of, asked.parameters["on"].as_str().to_owned())
    };
    let instant = |text: &str| Some(AsOf::Instant(text.parse().unwrap()));
    for on in ["today", "2026-11-22", "today+1"] {
        assert_eq!(asked_on(on, json!({})), (None, on.to_owned()));
    }
    for on in ["today-1", "2026-11-21"] {
        assert_eq!(asked_on(on, json!({})), (instant("2026-11-22T07:59:59.999999Z"), "2026-11-21".to_owned()));
    }
    // Clocks were put back on the first of November.
    assert_eq!(asked_on("2026-10-31", json!({})).0, instant("2026-11-01T06:59:59.999999Z"));
    assert_eq!(asked_on("2026-11-01", json!({})).0, instant("2026-11-02T07:59:59.999999Z"));
    // Whoever names a state gets it.
    let named = asked_on("today-1", json!({"as_of": "12"}));
    assert_eq!(named, (Some(AsOf::Position(12)), "today-1".to_owned()));
}

#[test]
fn only_the_one_who_asked_cancels_a_report_that_is_not_made() {
    let cancel = || CancelReportExecution { report_execution_id: EXECUTION };
    for history in [vec![queued()], vec![queued(), Event::Started]] {
        hospital(history).when(cancel()).then([Event::Cancelled]);
    }
    hospital([queued(), Event::Cancelled]).when(cancel()).then_nothing();
    hospital([queued(), Event::Started, Event::Succeeded(made())]).when(cancel()).then_code("wrong-status");
    let state: ReportExecution = hims_domain::fold(&[queued()]).unwrap();
    assert!(cancel().is_own(Some(&state), &doctor()));
    assert!(!cancel().is_own(Some(&state), &user(OTHER_DOCTOR, &[Read::AllData])));
}

#[test]
fn only_those_for_whom_a_report_is_made_know_of_it() {
    let state: ReportExecution = hims_domain::fold(&[queued()]).unwrap();
    for (caller, is_hidden) in [
        (doctor(), false),
        (user(OTHER_DOCTOR, &[]), false),
        (user(UserId(Uuid::from_u128(77)), &[Read::AllData]), false),
        (user(UserId(Uuid::from_u128(77)), &[Read::AllAppointments]), true),
    ] {
        assert_eq!(state.is_hidden_from(&caller), is_hidden);
    }
}

#[test]
fn a_recipient_fetches_the_file_with_rights_to_every_row_of_it() {
    let download = || DownloadReport { report_execution_id: EXECUTION };
    let history = || [queued(), Event::Started, Event::Succeeded(made())];
    let fetched = || [Event::Downloaded { sha256: made().sha256 }];
    hospital(history()).when(download()).then(fetched());
    hospital(history()).by(user(DOCTOR, &[Read::AssignedPatients])).when(download()).then(fetched());
    hospital(history()).by(user(OTHER_DOCTOR, &[Read::AllAppointments])).when(download()).then(fetched());
    hospital(history()).by(user(OTHER_DOCTOR, &[Read::AssignedPatients])).when(download()).then_code("forbidden");
    hospital(history()).by(user(DOCTOR, &[Read::Billing])).when(download()).then_code("forbidden");
    hospital([queued()]).when(download()).then_code("wrong-status");
}

#[test]
fn what_the_process_records_is_quiet_on_repetition_and_after_the_end() {
    let id = EXECUTION;
    let system = |events: Vec<Event>| hospital(events).by(Caller::system("process:reports"));
    let running = || vec![queued(), Event::Started];
    system(vec![queued()]).when(StartReport { report_execution_id: id }).then([Event::Started]);
    system(running()).when(StartReport { report_execution_id: id }).then_nothing();
    let note = || NoteProgress { report_execution_id: id, percent: 40 };
    system(running()).when(note()).then([Event::Progressed { percent: 40 }]);
    system([running(), vec![Event::Progressed { percent: 40 }]].concat()).when(note()).then_nothing();
    let fail = || FailReport { report_execution_id: id, reason: FailureReason::TooLarge };
    let failed = Event::Failed { reason: FailureReason::TooLarge, report_schedule_id: None };
    system(running()).when(fail()).then([failed.clone()]);
    let finish = || FinishReport { report_execution_id: id, made: made() };
    system(running()).when(finish()).then([Event::Succeeded(made())]);
    for end in [Event::Cancelled, Event::Succeeded(made()), failed] {
        let over = || [running(), vec![end.clone()]].concat();
        system(over()).when(finish()).then_nothing();
        system(over()).when(fail()).then_nothing();
    }
}

#[test]
fn a_run_of_a_schedule_is_claimed_by_its_minute() {
    let Event::Queued(asked) = queued() else { panic!("it is queued") };
    let planned = Planned {
        report_schedule_id: Uuid::from_u128(0xa3).into(),
        local_minute: "2026-11-23T07:00".into(),
        is_late: false,
    };
    let state: ReportExecution =
        hims_domain::fold(&[Event::Queued(Box::new(Asked { planned: Some(planned), ..*asked }))]).unwrap();
    let mut held = Held::default();
    state.claims(EXECUTION.0, &mut held);
    let key = scopes::key(&[&Uuid::from_u128(0xa3).to_string(), "2026-11-23T07:00"]);
    let mut expected = Held::default();
    expected.take(scopes::REPORT_RUN, key);
    assert_eq!(held, expected);
}
