//! What begins in one chapter of the hospital and reaches into others: a merge, an erasure, a right that is lost, and
//! processes on two nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use hims_projections::Target;
use hims_testing::patched;
use serde_json::json;
use uuid::Uuid;

use super::billing::billed;
use super::demo::{appointment, at, patient, prescription};
use super::everything::everything;
use super::insurance_claims::{Desks, adjudication, paid};
use super::merging::{merge, patients, unmerge};
use super::notifications::all_done;
use super::releases::{rebuild, tell, until};
use super::reports::{file, revenue, run, schedule_of_the_visits};
use super::tables::count;
use super::waitlist::instant;
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

#[tokio::test]
async fn a_role_that_lost_a_word_loses_it_in_sessions_reports_and_event_streams() {
    let hospital = Hospital::start().await;
    let (admin, doctor) = (hospital.login("admin").await, hospital.login("doctor").await);
    let made = run(&doctor, schedule_of_the_visits("csv")).await;
    assert_eq!((file(&doctor, &made).await.status, made["status"].as_str()), (200, Some("succeeded")));
    let two = || prescription(&patient(2), 2, "5", "tablet");
    doctor.did("write-prescription", two()).await;
    let role = super::problems::role("doctor");
    let permissions = admin.row("user-roles", &role.to_string()).await["permissions"].clone();
    let without = |list: &str, words: &[&str]| {
        let all = permissions[list].as_array().expect("words").iter();
        all.filter(|it| !words.contains(&it.as_str().unwrap_or_default())).cloned().collect::<Vec<_>>()
    };
    let fewer = json!({"read": without("read", &["all_appointments", "clinical_records"]),
                       "create": without("create", &["prescriptions"])});
    admin.did("change-role-permissions", json!({"role_id": role, "permissions": fewer})).await;

    doctor.get_until("vital-signs", 403).await;
    doctor.command("write-prescription", two()).await.problem(403, "forbidden");
    doctor.command("run-report", schedule_of_the_visits("csv")).await.problem(403, "forbidden");
    file(&doctor, &made).await.problem(403, "forbidden");
}

/// Ends the lease of one process after the other, so that each node leads each of them for a while. Notes the nodes that
/// held the leases.
async fn take_leases_away(hospital: &Hospital, leaders: &mut BTreeSet<(String, Uuid)>) {
    let sql = "update log.processes set held_until = now() - interval '1 minute'
                where name = (select name from log.processes order by name
                              offset $1 % (select count(*) from log.processes) limit 1)
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
    assert_eq!(leaders.len(), 2 * processes.len(), "each node led each process: {leaders:?}");
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
