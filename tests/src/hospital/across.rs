//! What begins in one chapter of the hospital and reaches into others: a merge, an erasure, a right that is lost, and
//! processes on two nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use hims_projections::Target;
use hims_testing::{assert_same_order, patched};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::billing::billed;
use super::demo::{appointment, at, patient, prescription};
use super::events::read_events;
use super::everything::{everything, record};
use super::insurance_claims::{Desks, adjudication, paid};
use super::merging::{merge, patients, unmerge};
use super::notifications::all_done;
use super::releases::{rebuild, tell, until};
use super::reports::{file, revenue, run, schedule_of_the_visits};
use super::tables::{assert_same_rows, contents, count};
use super::waitlist::{instant, scan, wait_for};
use super::{Client, Hospital};

/// How many appointments of a series a patient has, and their statuses in the order of time.
async fn of_series(client: &Client, series_id: &str, patient_id: &str) -> Vec<String> {
    let path = format!("appointments?series_id={series_id}&patient_id={patient_id}&sort=starts_at");
    client.items(&path).await.iter().map(|it| it["status"].as_str().expect("a status").to_owned()).collect()
}

#[tokio::test]
async fn a_merge_in_the_middle_of_a_series_changes_whose_series_it_is_and_no_appointment() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let [survivor, duplicate] = patients(&hospital).await;
    let weekly = patched(appointment(&duplicate, at(50, 60)), json!({"rrule": "FREQ=WEEKLY;COUNT=6"}));
    let series_id = reception.did("schedule-appointment-series", weekly.clone()).await;
    let rows = reception.items(&format!("appointments?series_id={series_id}&sort=starts_at")).await;
    let id_of = |nth: usize| rows[nth]["id"].as_str().expect("an id");
    reception.did("check-in-appointment", super::demo::early(id_of(0))).await;
    merge(&hospital, &survivor, &duplicate).await.done();

    let mut expected = vec!["scheduled"; 6];
    expected[0] = "checked_in";
    assert_eq!(of_series(&reception, &series_id, &survivor).await, expected);
    let refused = reception.command("schedule-appointment-series", weekly).await.problem(409, "merged");
    assert_eq!(refused["candidates"], json!([survivor]));
    // The series goes on: the visit that had begun is done, one is moved, the last three are cancelled.
    reception.did("start-appointment", json!({"appointment_id": id_of(0)})).await;
    reception.did("complete-appointment", json!({"appointment_id": id_of(0)})).await;
    let moved = json!({"appointment_id": id_of(1), "starts_at": at(58, 180)});
    reception.did("reschedule-appointment", moved).await;
    let last = instant(&rows[3]["starts_at"]);
    let cancelled = json!({"series_id": series_id, "from": last.date_naive(), "reason": "moved away"});
    reception.did("cancel-appointment-series", cancelled).await;
    let expected = ["completed", "scheduled", "scheduled", "cancelled", "cancelled", "cancelled"];
    assert_eq!(of_series(&reception, &series_id, &survivor).await, expected);
    // What the series holds is taken for others, and what it gave up is free.
    let at_time_of =
        |nth: usize| patched(appointment(&patient(6), at(0, 0)), json!({"starts_at": rows[nth]["starts_at"]}));
    reception.command("schedule-appointment", at_time_of(2)).await.problem(409, "double-booking");
    reception.did("schedule-appointment", at_time_of(3)).await;

    unmerge(&hospital, &survivor, &duplicate).await.done();
    assert_eq!(of_series(&reception, &series_id, &survivor).await, [""; 0]);
    assert_eq!(of_series(&reception, &series_id, &duplicate).await, expected);
}

#[tokio::test]
async fn the_claims_of_an_erased_patient_keep_their_amounts_and_are_paid() {
    let hospital = Hospital::start().await;
    let desks = Desks::of(&hospital).await;
    let three = patient(3);
    let record = desks.invoiced(&three, &["77.49"]).await;
    let claim = desks.claim(&record).await;
    desks.accepted(&claim).await;
    let lowered = billed(&hospital.login("reception").await, &three, &["10"]).await;
    let courtesy = json!({"billing_record_id": lowered, "amount": "1", "kind": "courtesy", "reason": "waited long"});
    desks.admin.did("adjust-billing-record", courtesy).await;
    let adjustment = format!("billing-adjustments?billing_record_id={lowered}");
    let adjusted = desks.admin.items(&adjustment).await.remove(0);
    let (money, sums) = (desks.money(&record).await, revenue(&desks.admin).await);
    assert_eq!(money, ["billed", "77.49", "77.49", "0.00"]);
    let row = desks.admin.row("insurance-claims", &claim).await;

    hospital.settle().await;
    hospital.node.store.vault().destroy_key(three.parse().expect("an id")).await.expect("the key is destroyed");
    rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
    let person = desks.admin.row("patients", &three).await;
    assert_eq!((&person["first_name"], &person["last_name"]), (&json!("[erased]"), &json!("[erased]")), "{person}");
    assert_eq!(desks.admin.row("insurance-claims", &claim).await, row);
    assert_eq!((desks.money(&record).await, revenue(&desks.admin).await), (money, sums));
    let after = desks.admin.items(&adjustment).await.remove(0);
    assert_eq!((&adjusted["reason"], &after["reason"]), (&json!("waited long"), &json!(null)));
    assert_eq!((&adjusted["amount"], &adjusted["kind"]), (&after["amount"], &after["kind"]));

    // The payer answers later, and the sums move by what was paid.
    let answer = adjudication("TRN-E", "1", paid("40", "17.49", "20"));
    desks.command("record-claim-payment", &claim, answer).await.done();
    assert_eq!(desks.money(&record).await, ["partially_paid", "20.00", "0.00", "0.00"]);
    let received = revenue(&desks.admin).await[1];
    assert_eq!(received - sums[1], "40".parse().expect("an amount"));
}

/// The types of the events that a stream of server-sent events brings, up to one of this type.
async fn brought(stream: reqwest::Response, last: &str) -> Vec<String> {
    let mut brought = Vec::new();
    let reading = read_events(stream, |_, event_type, _| {
        brought.push(event_type.to_owned());
        event_type == last
    });
    tokio::time::timeout(Duration::from_mins(1), reading).await.expect("the last event is sent within a minute");
    brought
}

/// Takes words away from the role of doctors.
async fn take_from_doctors(admin: &Client, words: Value) {
    let role = super::problems::role("doctor");
    let permissions = admin.row("user-roles", &role.to_string()).await["permissions"].take();
    let mut fewer = json!({});
    for (list, taken) in words.as_object().expect("lists of words") {
        let (all, taken) = (permissions[list].as_array().expect("words"), taken.as_array().expect("words"));
        fewer[list] = all.iter().filter(|it| !taken.contains(it)).cloned().collect();
    }
    admin.did("change-role-permissions", json!({"role_id": role, "permissions": fewer})).await;
}

#[tokio::test]
async fn a_role_that_lost_a_word_loses_it_in_sessions_reports_and_event_streams() {
    let hospital = Hospital::start().await;
    let (admin, doctor) = (hospital.login("admin").await, hospital.login("doctor").await);
    let (nurse, reception) = (hospital.login("nurse").await, hospital.login("reception").await);
    let made = run(&doctor, schedule_of_the_visits("csv")).await;
    assert_eq!((file(&doctor, &made).await.status, made["status"].as_str()), (200, Some("succeeded")));
    let hourly = json!({"cron": "0 * * * *", "time_zone": "UTC", "recipients": []});
    let scheduled = doctor.did("schedule-report", patched(schedule_of_the_visits("csv"), hourly)).await;
    let two = || prescription(&patient(2), 2, "5", "tablet");
    doctor.did("write-prescription", two()).await;
    let stream = format!("/api/v1/events/stream?patient_id={}", patient(2));
    let follow = async || doctor.request(Method::GET, &stream).send().await.expect("a stream");
    let (before, after) = (follow().await, follow().await);
    let pulse = json!({"patient_id": patient(2), "heart_rate": 72});
    nurse.did("record-vital-signs", pulse.clone()).await;
    assert_eq!(brought(before, "vital_signs.recorded").await, ["vital_signs.recorded"]);

    let taken = json!({"read": ["all_appointments", "clinical_records"], "create": ["prescriptions"]});
    take_from_doctors(&admin, taken).await;
    doctor.get_until("vital-signs", 403).await;
    doctor.command("write-prescription", two()).await.problem(403, "forbidden");
    doctor.command("run-report", schedule_of_the_visits("csv")).await.problem(403, "forbidden");
    file(&doctor, &made).await.problem(403, "forbidden");
    // The stream that was open before goes on with what doctors may still read.
    nurse.did("record-vital-signs", pulse).await;
    reception
        .did("change-patient-demographics", json!({"patient_id": patient(2), "phone_primary": "212-555-0144"}))
        .await;
    let last = "patient.demographics_changed";
    assert_eq!(brought(after, last).await, ["vital_signs.recorded", last], "only what was recorded before the change");
    // The schedule of before has its report made as its owner, who may not have it any more.
    let due_at = ((hims_api::surroundings().clock)() - TimeDelta::hours(3)).format("%Y-%m-%dT%H:00:00Z").to_string();
    record(&hospital, "report_schedule", &scheduled, "missed", json!({ "next_run_at": due_at })).await;
    let executions = format!("report-executions?schedule_id={scheduled}");
    until(async || admin.items(&executions).await.iter().any(|it| it["finished_at"].is_string())).await;
    let row = admin.items(&executions).await.remove(0);
    assert_eq!((&row["status"], &row["error_code"]), (&json!("failed"), &json!("forbidden")), "{row}");
}

/// Ends the lease of one process after the other, so that each node leads each of them for a while. Notes the nodes that
/// held the leases.
async fn take_leases_away(hospital: &Hospital, leaders: &mut BTreeSet<(String, Uuid)>) {
    let sql = "update log.processes set held_until = now() - interval '1 minute'
                where name = (select name from log.processes order by name
                              offset $1 % (select count(*) from log.processes) limit 1)
                  and held_by is not null
                returning name, held_by";
    for nth in 0_i64.. {
        let ended = sqlx::query_as(sql).bind(nth).fetch_all(hospital.owner()).await;
        let ended: Vec<(String, Option<Uuid>)> = ended.expect("the lease is ended");
        leaders.extend(ended.into_iter().filter_map(|(name, node)| Some((name, node?))));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The events of one command are recorded together, at positions one after the other. So a command that was carried out
/// twice has events at positions that are apart.
#[tokio::test]
async fn two_nodes_that_take_turns_carry_out_no_command_twice_and_leave_none_out() {
    let hospital = Hospital::start().await;
    let _other = hospital.another_node().await;
    let mut leaders = BTreeSet::new();
    tokio::select! {
        () = take_leases_away(&hospital, &mut leaders) => {}
        () = everything(&hospital) => {}
    }
    all_done(&hospital).await;
    let processes: BTreeSet<_> = leaders.iter().map(|(process, _)| process).collect();
    let led = |process: &String| leaders.iter().filter(|(it, _)| it == process).count();
    // A third node may come and go meanwhile.
    assert!(processes.iter().all(|it| led(it) >= 2), "each node led each process: {leaders:?}");
    let reacting = "(select distinct metadata -> 'actor' ->> 'name' from log.events
                      where metadata -> 'actor' ->> 'name' like 'process:%') as it";
    assert!(count(hospital.owner(), reacting).await >= 8);
    let twice = "(select from log.events where metadata -> 'actor' ->> 'name' like 'process:%'
                   group by metadata ->> 'command_id' having max(position) - min(position) >= count(*)) as it";
    assert_eq!(count(hospital.owner(), twice).await, 0);
}

/// How many events processes gave rise to.
async fn reactions(hospital: &Hospital) -> i64 {
    count(hospital.owner(), "log.events where metadata -> 'actor' ->> 'name' like 'process:%'").await
}

#[tokio::test]
async fn processes_that_are_first_started_over_an_old_log_leave_it_alone() {
    let mut hospital = Hospital::start().await;
    everything(&hospital).await;
    all_done(&hospital).await;
    hospital.node.end();
    let (processes, before) = (count(hospital.owner(), "log.processes").await, reactions(&hospital).await);
    assert!(processes > 10 && before > 50, "{processes} processes with {before} reactions");
    let of_events = "log.timers where key not like 'daily %'";
    assert!(count(hospital.owner(), of_events).await > 0, "an event has set a timer");
    // Nothing remembers what the processes did, so whoever reacts again is noticed.
    for beside in ["log.timers", "log.processes", "log.receipts"] {
        tell(&hospital, &format!("delete from {beside}")).await;
    }
    let _node = hospital.another_node().await;
    until(async || count(hospital.owner(), "log.processes").await == processes).await;
    all_done(&hospital).await;
    assert_eq!(reactions(&hospital).await, before);
    assert_eq!(count(hospital.owner(), of_events).await, 0);
}

/// The timers that are set, but for those of daily work, which follow from no event.
async fn timers(hospital: &Hospital) -> Vec<String> {
    let sql = "select process || ' ' || key || ' ' || due_at from log.timers where key not like 'daily %' order by 1";
    sqlx::query_scalar(sql).fetch_all(hospital.owner()).await.expect("the timers are read")
}

/// Receipts are forgotten after seven days, and a process may have been down for longer: that a command was carried out
/// before shows in the state of its own stream.
#[tokio::test]
async fn processes_that_run_over_the_same_events_again_do_nothing_again() {
    let mut hospital = Hospital::start().await;
    let began = hospital.node.store.current_head().await.expect("the head is read");
    everything(&hospital).await;
    // Somebody joins who would have been offered a time, had they waited when it became free.
    let (reception, kind) = (hospital.login("reception").await, json!({"appointment_type": "late scan"}));
    let booked = patched(scan(&patient(5), at(99, 0)), kind.clone());
    let booked = reception.did("schedule-appointment", booked).await;
    reception.did("cancel-appointment", json!({"appointment_id": booked, "reason": "ill"})).await;
    all_done(&hospital).await;
    reception.did("join-waitlist", patched(wait_for(&patient(6)), kind)).await;
    all_done(&hospital).await;
    hospital.until_shown().await;
    hospital.node.end();
    let events = async |hospital: &Hospital| {
        let sql = "select concat_ws(' ', position, event_type, metadata -> 'actor' ->> 'name',
                                     data #>> '{content,dedupe_key}')
                     from log.events order by position";
        sqlx::query_scalar::<_, String>(sql).fetch_all(hospital.owner()).await.expect("the events are read")
    };
    let (before, rows) = (events(&hospital).await, contents(hospital.owner(), "hims").await);
    let (set, reacted) = (timers(&hospital).await, reactions(&hospital).await);
    assert!(set.len() > 10 && reacted > 50, "{} timers, {reacted} reactions", set.len());
    tell(&hospital, "delete from log.receipts").await;
    tell(&hospital, &format!("update log.processes set position = least(position, {began})")).await;
    hospital.node = hospital.another_node().await;
    all_done(&hospital).await;
    hospital.until_shown().await;
    assert_same_order(events(&hospital).await, before);
    assert_same_rows(&contents(hospital.owner(), "hims").await, &rows);
    assert_same_order(timers(&hospital).await, set);
}
