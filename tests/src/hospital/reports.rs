//! Reports as users meet them: asking, waiting, fetching the file, and schedules.

use hims_domain::Aggregate;
use hims_domain::report::report_of;
use hims_domain::report_execution::ReportExecution;
use hims_domain::report_schedule::ReportSchedule;
use hims_event_store::{Append, NewEvent, StreamAppend};
use hims_testing::{fields, patched};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::demo::{self, DOCTOR, NURSE, PATIENT_LOGIN, RECEPTION, at, local_day, user, visit};
use super::everything::record;
use super::notifications::{all_done, own_id};
use super::problems::role;
use super::releases::{ask, until};
use super::{Answer, Client, Hospital};

/// The request for the schedule of the day on which the demo's visits are.
pub(super) fn schedule_of_the_visits(format: &str) -> Value {
    json!({"report_code": "daily-schedule", "parameters": {"date": local_day(1)}, "format": format})
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the value where they call")]
fn weekly(recipients: Value) -> Value {
    json!({"report_code": "daily-schedule", "parameters": {"date": "today"}, "format": "csv", "cron": "0 6 * * MON",
           "time_zone": "Europe/Zurich", "recipients": recipients})
}

/// Asks for a report and waits until it is finished. Returns the row of the execution.
pub(super) async fn run(client: &Client, body: Value) -> Value {
    let id = client.did("run-report", body).await;
    client.row_until("report-executions", &id, |row| row["finished_at"].is_string()).await
}

pub(super) async fn file(client: &Client, execution: &Value) -> Answer {
    client.get(&format!("report-executions/{}/file", execution["id"].as_str().expect("an id"))).await
}

/// What the hospital charged, and what came in less what went back, in all its records, by the report on revenue.
pub(super) async fn revenue(admin: &Client) -> [Decimal; 2] {
    let span = json!({"from": at(-300, 0).date_naive(), "to": at(20, 0).date_naive()});
    let execution = run(admin, json!({"report_code": "revenue", "parameters": span, "format": "json"})).await;
    assert_eq!(execution["status"], "succeeded", "{execution}");
    let report = file(admin, &execution).await.json();
    let sum = |name: &str| -> Decimal {
        let columns = report["columns"].as_array().expect("columns");
        let place = columns.iter().position(|it| it["name"] == name).expect("the column");
        let rows = report["rows"].as_array().expect("rows").iter();
        rows.map(|row| row[place].as_str().map_or(Decimal::ZERO, |it| it.parse().expect("an amount"))).sum()
    };
    [sum("charges"), sum("payments") - sum("refunds").abs()]
}

/// Every command and event of reports. Part of [`everything`](super::everything).
pub(super) async fn everything(hospital: &Hospital) {
    let doctor = hospital.login("doctor").await;
    let made = run(&doctor, schedule_of_the_visits("csv")).await;
    assert_eq!(file(&doctor, &made).await.status, 200);
    // The tables of an earlier state take a while, so the report is not made yet when it is cancelled.
    let slow = patched(schedule_of_the_visits("json"), json!({"as_of": "2"}));
    let slow = doctor.did("run-report", slow).await;
    doctor.did("cancel-report-execution", json!({"report_execution_id": slow})).await;
    record(hospital, "report_execution", &slow, "progressed", json!({"percent": 40})).await;
    let failed = json!({"reason": "too-slow", "report_schedule_id": null});
    record(hospital, "report_execution", &slow, "failed", failed).await;
    let id = doctor.did("schedule-report", weekly(json!([user(RECEPTION)]))).await;
    let of_it = json!({"report_schedule_id": id});
    doctor.did("change-report-schedule", patched(of_it.clone(), json!({"cron": "0 7 * * MON"}))).await;
    let (due_at, next_run_at) = ("2031-11-24T06:00:00Z", "2031-12-01T06:00:00Z");
    let ran =
        json!({"report_execution_id": made["id"], "due_at": due_at, "is_late": false, "next_run_at": next_run_at});
    record(hospital, "report_schedule", &id, "ran", ran).await;
    record(hospital, "report_schedule", &id, "missed", json!({ "next_run_at": next_run_at })).await;
    doctor.did("pause-report-schedule", of_it.clone()).await;
    doctor.did("resume-report-schedule", of_it).await;
}

/// The id of the execution that [`fill`] makes for a user.
pub(super) fn execution_for(recipient: &str) -> String {
    format!("0dd0{}", &recipient[4..])
}

/// Begins a stream with an event that nobody asked for.
async fn begin<A: Aggregate>(hospital: &Hospital, id: &str, event: &str, changes: Value) {
    let data = patched(fields::<A>(event), changes);
    let event = NewEvent { event_type: format!("{}.{event}", A::STREAM), data };
    let stream = StreamAppend::begin(A::STREAM, id.parse().expect("an id"), [event]);
    hospital.node.store.append(Append::stream(stream)).await.expect("the event is recorded");
}

/// A schedule and an execution for each of these users, some of whom may not fetch the reports: they had more rights
/// when the schedules were set up. For [`access_matrix`](super::access_matrix).
pub(super) async fn fill(hospital: &Hospital, logins: &[&str]) {
    let admin = hospital.login("admin").await;
    let asker = own_id(&admin).await;
    for login in logins {
        let reader = own_id(&hospital.login(login).await).await;
        let (id, schedule) = (execution_for(&reader), format!("0dd1{}", &reader[4..]));
        let (report_id, plan) = (report_of("daily-schedule"), weekly(json!([reader])));
        let planned = json!({"report_id": report_id, "plan": plan, "owner_id": asker,
                             "next_run_at": "2031-11-24T06:00:00Z"});
        begin::<ReportSchedule>(hospital, &schedule, "scheduled", planned).await;
        let asked = json!({"report_id": report_id, "requested_by": asker, "recipients": [reader], "planned": null,
                           "as_of": null});
        begin::<ReportExecution>(hospital, &id, "queued", asked).await;
        admin.saw(hospital.node.store.current_head().await.expect("the head is read"));
        admin.row_until("report-executions", &id, |row| row["finished_at"].is_string()).await;
    }
}

/// An execution that was cancelled, for [`telling`](super::telling).
pub(super) async fn told(hospital: &Hospital) -> (String, String) {
    let doctor = hospital.login("doctor").await;
    let execution = run(&doctor, schedule_of_the_visits("csv")).await["id"].as_str().expect("an id").to_owned();
    let schedule = doctor.did("schedule-report", weekly(json!([]))).await;
    doctor.did("pause-report-schedule", json!({"report_schedule_id": schedule})).await;
    (execution, schedule)
}

fn sha256(bytes: &[u8]) -> String {
    hims_event_store::chain::hex(&Sha256::digest(bytes))
}

#[tokio::test]
async fn a_report_is_made_with_the_rights_of_the_one_who_asked() {
    let hospital = Hospital::start().await;
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    let made = run(&doctor, schedule_of_the_visits("csv")).await;
    assert_eq!(made["status"], "succeeded", "{made}");
    let answer = file(&doctor, &made).await;
    let tag = format!("\"{}\"", made["output_sha256"].as_str().expect("a hash"));
    assert_eq!(answer.header("etag"), Some(tag.as_str()));
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(sha256(answer.text.as_bytes()), made["output_sha256"]);
    let lines: Vec<_> = answer.text.split("\r\n").collect();
    assert!(lines[0].starts_with("Time,Minutes,Patient,MRN,Provider"), "{}", lines[0]);
    assert_eq!(lines.len() - 2, usize::try_from(made["row_count"].as_u64().expect("a number")).expect("few"));
    assert!(lines.len() > 3, "the demo has visits tomorrow: {}", answer.text);
    // Each download is in the audit log, with who it was.
    let of_it = format!("events?stream_id={}&type=report_execution.downloaded", made["id"].as_str().expect("an id"));
    let downloads = hospital.login("admin").await.items(&of_it).await;
    assert_eq!((downloads.len(), &downloads[0]["metadata"]["actor"]["id"]), (1, &json!(user(DOCTOR))));
    // Others do not know of the report, and who has no right to it is refused.
    let id = made["id"].as_str().expect("an id");
    file(&nurse, &made).await.problem(404, "not-found");
    nurse.get(&format!("report-executions/{id}")).await.problem(404, "not-found");
    for login in ["lab", "patient"] {
        let client = hospital.login(login).await;
        client.command("run-report", schedule_of_the_visits("csv")).await.problem(403, "forbidden");
    }
    let colour = patched(schedule_of_the_visits("csv"), json!({"parameters": {"colour": "red"}}));
    doctor.command("run-report", colour).await.problem(422, "unknown-parameter");
}

#[tokio::test]
async fn the_same_state_gives_the_same_bytes_in_every_format() {
    let hospital = Hospital::start().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    for (visitor, format) in (1..).zip(["csv", "json", "xlsx", "pdf"]) {
        let now = run(&doctor, schedule_of_the_visits(format)).await;
        assert_eq!(now["status"], "succeeded", "{now}");
        let position = now["as_of_position"].as_i64().expect("a position");
        // What happens afterwards does not show in the state of before.
        let left_out = json!({"appointment_id": visit(visitor), "reason": "moved to another town"});
        reception.did("cancel-appointment", left_out).await;
        let again = patched(schedule_of_the_visits(format), json!({"as_of": position.to_string()}));
        let again = run(&doctor, again).await;
        assert_eq!((&again["status"], &again["as_of_position"]), (&json!("succeeded"), &json!(position)), "{again}");
        assert_eq!(again["output_sha256"], now["output_sha256"], "{format}");
        assert_eq!(file(&doctor, &again).await.status, 200);
    }
    let left = "select count(*) from pg_namespace where nspname like 'report\\_%'";
    assert_eq!(ask::<i64>(&hospital, left).await, 0, "the tables of earlier states are dropped");
    let beyond = patched(schedule_of_the_visits("csv"), json!({"as_of": "999999999"}));
    doctor.command("run-report", beyond).await.problem(409, "no-such-position");
}

#[tokio::test]
async fn what_was_owed_on_a_day_that_is_over_is_told_as_of_the_end_of_the_day() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let ageing = |on: &str| json!({"report_code": "receivables-ageing", "parameters": {"on": on}, "format": "csv"});
    let now = run(&admin, ageing("today")).await;
    assert_eq!((&now["status"], &now["as_of"]), (&json!("succeeded"), &Value::Null), "{now}");
    assert!(now["row_count"].as_i64() > Some(0), "the demo has open invoices: {now}");
    // A week ago, the hospital was not there yet.
    let then = run(&admin, ageing("today-7")).await;
    assert_eq!((&then["status"], &then["row_count"]), (&json!("succeeded"), &json!(0)), "{then}");
    let end = (hims_api::surroundings().clock)() - chrono::TimeDelta::days(6);
    let as_of = then["as_of"].as_str().expect("an instant");
    assert!(as_of < end.to_rfc3339().as_str(), "{as_of}");
}

#[tokio::test]
async fn a_file_is_sealed_kept_for_thirty_days_and_then_gone() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let made = run(&doctor, schedule_of_the_visits("csv")).await;
    let id = made["id"].as_str().expect("an id");
    let sealed = "select bool_and(position('Minutes'::bytea in sealed) = 0) from log.report_files";
    assert!(ask::<bool>(&hospital, sealed).await, "the database does not see what is in the file");
    let tag = format!("\"{}\"", made["output_sha256"].as_str().expect("a hash"));
    let request = doctor.request(reqwest::Method::GET, &format!("/api/v1/report-executions/{id}/file"));
    assert_eq!(doctor.send(request.header("if-none-match", tag)).await.status, 304);
    sqlx::query("delete from log.report_files").execute(hospital.owner()).await.expect("deleted");
    file(&doctor, &made).await.problem(410, "gone");
}

/// Gives the nurse these roles beside that of nurses.
async fn is_nurse_and(hospital: &Hospital, others: &[&str]) {
    let others: Vec<_> = others.iter().map(|it| role(it)).collect();
    let roles = json!({"user_id": user(NURSE), "role_id": role("nurse"), "additional_role_ids": others});
    hospital.login("admin").await.did("change-user-role", roles).await;
}

#[tokio::test]
async fn a_schedule_has_only_recipients_who_may_fetch_its_reports() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    for nobody in [NURSE, PATIENT_LOGIN] {
        // The recipients are a set, in the order of their ids.
        let (place, both) = (usize::from(nobody > RECEPTION), json!([user(nobody), user(RECEPTION)]));
        let refused = doctor.command("schedule-report", weekly(both)).await;
        refused.problem_at(422, "unknown-reference", &format!("/recipients/{place}"));
    }
    let id = doctor.did("schedule-report", weekly(json!([user(RECEPTION)]))).await;
    let to_nurse = json!({"report_schedule_id": id, "recipients": [user(NURSE)]});
    let refused = doctor.command("change-report-schedule", to_nurse.clone()).await;
    refused.problem_at(422, "unknown-reference", "/recipients/0");
    is_nurse_and(&hospital, &["receptionist"]).await;
    doctor.did("change-report-schedule", to_nurse).await;
    // Each recipient of the demo's schedule may have its reports, or else the schedule could not be changed.
    let of_demo = demo::report_schedule();
    assert_eq!(doctor.row("report-schedules", &of_demo).await["recipients"], json!([user(RECEPTION)]));
    doctor.did("change-report-schedule", json!({"report_schedule_id": of_demo, "format": "json"})).await;
}

#[tokio::test]
async fn a_schedule_that_is_due_makes_its_report_and_tells_its_recipients() {
    let hospital = Hospital::start().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    // A nurse who also works at the front desk may have the report, until she leaves the desk.
    is_nurse_and(&hospital, &["receptionist"]).await;
    let id = doctor.did("schedule-report", weekly(json!([user(NURSE), user(RECEPTION)]))).await;
    all_done(&hospital).await;
    // A node was down when the schedule was due, a few hours ago.
    let now = (hims_api::surroundings().clock)();
    let due_at = (now - chrono::TimeDelta::hours(3)).format("%Y-%m-%dT%H:00:00Z").to_string();
    let hourly = json!({"report_schedule_id": id, "cron": "0 * * * *"});
    doctor.did("change-report-schedule", hourly).await;
    is_nurse_and(&hospital, &[]).await;
    let nurse = hospital.login("nurse").await;
    record(&hospital, "report_schedule", &id, "missed", json!({ "next_run_at": due_at })).await;
    let of_it = format!("report-executions?schedule_id={id}");
    until(async || doctor.items(&of_it).await.iter().any(|row| row["status"] == "succeeded")).await;
    let executions = doctor.items(&of_it).await;
    assert_eq!(executions.len(), 1, "of several times that were missed, one is made up for");
    let schedule = doctor.row("report-schedules", &id).await;
    assert!(schedule["last_run_at"].is_string() && schedule["status"] == "active", "{schedule}");
    let told = "notifications?type=report_ready";
    until(async || !nurse.items(told).await.is_empty()).await;
    // The nurse reads only the patients of her department, and the doctor has read all.
    file(&nurse, &executions[0]).await.problem(403, "forbidden");
    for client in [&doctor, &reception] {
        assert_eq!(file(client, &executions[0]).await.status, 200);
    }
    nurse.command("pause-report-schedule", json!({"report_schedule_id": id})).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_report_of_too_many_days_and_a_schedule_of_too_many_times_are_refused() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let spanning = |from: &str| json!({"report_code": "revenue", "parameters": {"from": from, "to": "2026-02-04"}, "format": "csv"});
    let run = async |from: &str| admin.command("run-report", spanning(from)).await;
    run("2024-12-31").await.problem_at(422, "range-too-long", "/parameters/to");
    run("2025-01-01").await.done();
    let scheduled = |cron: &str| patched(weekly(json!([])), json!({ "cron": cron }));
    admin.command("schedule-report", scheduled("*/14 * * * *")).await.problem(422, "too-often");
    admin.command("schedule-report", scheduled("0 0 30 2 *")).await.problem(422, "never");
    admin.did("schedule-report", scheduled("*/15 * * * *")).await;
}
