//! Read tables that do not fit this program or its log: of a newer release, beyond the log, dropped, or taken back.

use hims_projections::migrations::Loss;
use hims_projections::{Target, migrations};
use serde_json::Value;

use super::Hospital;
use super::demo::{PASSWORD, busy_day, person};
use super::releases::{
    ask, assert_behind, assert_rebuilt, assert_unfit, count_of, no_rebuild, read, ready, rebuild, schema, tell, until,
    until_ready,
};
use super::tables::{assert_same_rows, contents};

#[tokio::test]
async fn the_tables_of_a_newer_release_are_left_to_it() {
    let mut hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    hospital.settle().await;
    let before = schema(&hospital).await;
    let form: String = ask(&hospital, "select form from hims.projection_checkpoint").await;
    tell(&hospital, "update hims.projection_checkpoint set form = '9999.1.newer'").await;
    hospital.node = hospital.another_node().await;
    let reception = reception.at(&hospital.node.base);
    assert_unfit(&reception, "newer-release").await;
    // A catalogue is answered; who was shown a patient could not be recorded, so nobody is.
    assert!(count_of(&reception, "departments").await > 0);
    read(&reception, "patients").await.problem(503, "newer-release");
    // What this release writes, the newer one may not expect.
    let refused = reception.command("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    refused.problem(503, "newer-release");
    let refused = hospital.nobody().at(&hospital.node.base).log_in("nurse@demo.hims", PASSWORD).await;
    refused.problem(503, "newer-release");
    let head = "select position from log.head";
    let before_reading: i64 = ask(&hospital, head).await;
    read(&reception, "patients").await.problem(503, "newer-release");
    assert_eq!(ask::<i64>(&hospital, head).await, before_reading, "the older release records nothing");
    tell(&hospital, &format!("update hims.projection_checkpoint set form = '{form}'")).await;
    until_ready(&reception).await;
    let id = reception.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    assert_eq!(reception.row("patients", &id).await["first_name"], "Ottilie");
    assert_eq!(schema(&hospital).await, before, "nobody rebuilt");
}

#[tokio::test]
async fn tables_beyond_the_log_are_an_error_until_somebody_rebuilds() {
    let mut hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    hospital.settle().await;
    tell(&hospital, "update hims.projection_checkpoint set position = position + 10").await;
    hospital.node = hospital.another_node().await;
    let reception = reception.at(&hospital.node.base);
    let told = assert_unfit(&reception, "read-tables-beyond-the-log").await;
    assert!(told["read_position"].as_i64() > told["head_position"].as_i64(), "{told}");
    // The log grows past the position of the tables. The tables are still wrong.
    let mut id = String::new();
    for number in 0..12 {
        id = reception.did("register-patient", person(&format!("Name{number}"), "Unlike", number)).await;
    }
    hospital.node = hospital.another_node().await;
    let reception = reception.at(&hospital.node.base);
    let told = assert_unfit(&reception, "read-tables-beyond-the-log").await;
    assert!(told["read_position"].as_i64() < told["head_position"].as_i64(), "{told}");
    rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
    until_ready(&reception).await;
    assert_eq!(reception.row("patients", &id).await["first_name"], "Name11");
    assert_rebuilt(&hospital).await;
}

#[tokio::test]
async fn tables_that_somebody_dropped_are_made_anew() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    let reception = hospital.login("reception").await;
    let gone =
        ["drop schema hims cascade", "drop table hims.projection_checkpoint", "delete from hims.projection_checkpoint"];
    for (number, gone) in (0..).zip(gone) {
        hospital.settle().await;
        let patients = count_of(&reception, "patients").await;
        let held = no_rebuild(&hospital).await;
        tell(&hospital, gone).await;
        let told = assert_unfit(&reception, "read-tables-rebuilding").await;
        assert_eq!(told["read_position"], Value::Null);
        assert_behind(&read(&reception, "patients").await);
        let id = reception.did("register-patient", person(&format!("Name{number}"), "Unlike", 70 + number)).await;
        drop(held);
        until_ready(&reception).await;
        assert_eq!(reception.row("patients", &id).await["first_name"], format!("Name{number}"));
        assert_eq!(count_of(&reception, "patients").await, patients + 1);
    }
    assert_rebuilt(&hospital).await;
}

#[tokio::test]
async fn tables_that_are_taken_back_come_back_whole() {
    let hospital = Hospital::start_with(|settings| settings.record_reads = false).await;
    busy_day(&hospital.nobody()).await;
    let admin = hospital.login("admin").await;
    hospital.settle().await;
    let before = contents(hospital.owner(), "hims").await;
    let applied = migrations::status(hospital.owner()).await.expect("the migrations");
    let pharmacy = applied.iter().position(|it| it.description == "read pharmacy").expect("the pharmacy's migration");
    migrations::down(&hospital.database.migrator(), Some(applied.len() - pharmacy), Loss::NoEvent).await.expect("down");
    until(async || ready(&admin).await.status == 503).await;
    assert_unfit(&admin, "migrations-not-applied").await;
    for table in ["audit-logs", "medications", "prescriptions"] {
        assert_behind(&read(&admin, table).await);
    }
    // Policies of what is about patients look up tables that are gone. Tables without such policies are answered.
    for table in ["departments", "rooms"] {
        assert_eq!(count_of(&admin, table).await, before[table].len());
    }
    migrations::up(&hospital.database.migrator()).await.expect("up");
    until_ready(&admin).await;
    assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
    assert_rebuilt(&hospital).await;
}
