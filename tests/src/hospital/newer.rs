//! A newer release works with the database of a node that still runs, or that is started again.

use hims_api::Purpose;
use hims_event_store::{Append, NewEvent, StreamAppend};
use serde_json::json;
use uuid::Uuid;

use super::demo::person;
use super::releases::{assert_unfit, count_of, ready, tell, until, until_ready};
use super::{Client, Hospital};

/// Notes a migration of a newer release as applied, as that release does.
async fn migrate(hospital: &Hospital, version: i64, description: &str) {
    let sql = format!(
        "insert into public._sqlx_migrations (version, description, success, checksum, execution_time)
         values ({version}, '{description}', true, '', 0)"
    );
    tell(hospital, &sql).await;
}

/// The node finds out by itself, says so, and records nothing any more.
async fn assert_refuses(hospital: &Hospital, reception: &Client) {
    until(async || ready(reception).await.status == 503).await;
    assert_unfit(reception, "newer-release").await;
    let head = hospital.node.store.current_head().await.expect("the head");
    let refused = reception.command("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    refused.problem(503, "newer-release");
    let refused = hospital.nobody().log_in("nurse@demo.hims", super::PASSWORD).await;
    refused.problem(503, "newer-release");
    assert!(count_of(reception, "departments").await > 0, "it reads on");
    assert_eq!(hospital.node.store.current_head().await.expect("the head"), head);
}

/// Why a program of this release does not start with the database.
async fn why_not(hospital: &Hospital, purpose: Purpose) -> String {
    let opened = hims_api::Hospital::open(&hospital.settings, purpose).await;
    opened.err().expect("the database is newer than this program").to_string()
}

#[tokio::test]
async fn a_running_node_records_nothing_once_a_newer_release_has_migrated_the_log() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    hospital.settle().await;
    migrate(&hospital, 9000, "log of tomorrow").await;
    assert_refuses(&hospital, &reception).await;
    for purpose in [Purpose::Serve, Purpose::Work, Purpose::Inspect] {
        let why = why_not(&hospital, purpose).await;
        assert!(why.contains("newer than this program") && why.contains("9000 log of tomorrow"), "{why}");
    }
    // The newer release takes its migration back.
    tell(&hospital, "delete from public._sqlx_migrations where version = 9000").await;
    until_ready(&reception).await;
    let id = reception.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    assert_eq!(reception.row("patients", &id).await["first_name"], "Ottilie");
}

#[tokio::test]
async fn a_running_node_goes_on_until_a_newer_release_has_replaced_the_tables() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    hospital.settle().await;
    migrate(&hospital, 9001, "read tomorrow").await;
    let id = reception.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    assert_eq!(reception.row("patients", &id).await["first_name"], "Ottilie");
    let why = why_not(&hospital, Purpose::Serve).await;
    assert!(why.contains("9001 read tomorrow"), "a node that starts now would not be needed: {why}");
    tell(&hospital, "update hims.projection_checkpoint set form = '9001.1.newer'").await;
    assert_refuses(&hospital, &reception).await;
}

#[tokio::test]
async fn a_node_that_meets_an_event_of_a_newer_release_records_nothing_any_more() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    hospital.settle().await;
    let event = NewEvent { event_type: "department.painted".to_owned(), data: json!({"colour": "blue"}) };
    let newer = Append::stream(StreamAppend::begin("department", Uuid::from_u128(77), [event]));
    hospital.node.store.append(newer).await.expect("the log takes any event");
    assert_refuses(&hospital, &reception).await;
}
