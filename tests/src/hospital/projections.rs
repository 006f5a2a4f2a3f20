//! The read tables follow from the log alone, whether they are projected, rebuilt, or made as of a past position.

use std::sync::atomic::{AtomicBool, Ordering};

use hims_commands::Registry;
use hims_event_store::{Append, NewEvent, StreamAppend};
use hims_projections::{RebuildError, Rebuilt, Target};
use hims_testing::{assert_same, event_types};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::Hospital;
use super::demo::{appointment, at, busy_day, patient, person};
use super::everything::{HOURS_LATER, everything};
use super::releases::rebuild;
use super::tables::{assert_same_rows, contents, count};

#[tokio::test]
async fn a_rebuild_gives_every_row_of_every_table_again() {
    let hospital = Hospital::start().await;
    everything(&hospital).await;
    let recorded = sqlx::query_scalar("select distinct event_type from log.events").fetch_all(hospital.owner()).await;
    assert_same(recorded.expect("event types"), event_types());
    let sql = "select distinct metadata->>'command' from log.events";
    let ran: Vec<String> = sqlx::query_scalar(sql).fetch_all(hospital.owner()).await.expect("commands");
    let registry = Registry::hospital();
    let ran = |name: &str| ran.iter().any(|it| it == name) || HOURS_LATER.contains(&name);
    let left_out: Vec<_> = registry.iter().map(|it| it.name).filter(|it| !ran(it)).collect();
    assert_eq!(left_out, Vec::<&str>::new(), "`everything` is to run them");
    hospital.settle().await;
    let before = contents(hospital.owner(), "hims").await;
    let Rebuilt { position, parked } = rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
    assert_eq!(parked, 0);
    let checkpoint: Value = serde_json::from_str(&before["projection_checkpoint"][0]).expect("a checkpoint");
    assert_eq!(checkpoint["position"], position);
    assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
    // Projecting goes on after the rebuild.
    let reception = hospital.login("reception").await;
    let id = reception.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    assert_eq!(reception.row("patients", &id).await["first_name"], "Ottilie");
}

#[tokio::test]
async fn the_server_reads_and_writes_while_its_tables_are_swapped() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    let (reception, done) = (hospital.login("reception").await, AtomicBool::new(false));
    let working = async {
        let mut number = 100;
        while !done.load(Ordering::SeqCst) {
            let id = reception.did("register-patient", person(&format!("Name{number}"), "Unlike", number)).await;
            let row = reception.row("patients", &id).await;
            assert_eq!(row["first_name"], format!("Name{number}"));
            reception.did("change-patient-demographics", json!({"patient_id": id, "city": "Freiburg"})).await;
            number += 1;
        }
        number
    };
    let rebuilding = async {
        for _ in 0..3 {
            rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
        }
        done.store(true, Ordering::SeqCst);
    };
    let (number, ()) = tokio::join!(working, rebuilding);
    assert!(number > 100, "patients are registered during the rebuilds");
    hospital.settle().await;
    let before = contents(hospital.owner(), "hims").await;
    assert_eq!(before["projection_failures"], Vec::<String>::new());
    rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
    assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
}

#[tokio::test]
async fn one_rebuild_at_a_time() {
    let hospital = Hospital::start().await;
    let mut holder = hospital.owner().acquire().await.expect("a connection");
    sqlx::query("select pg_advisory_lock(1751739762)").execute(&mut *holder).await.expect("the lock of a rebuild");
    let refused = rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect_err("another rebuild holds the lock");
    assert!(matches!(refused, RebuildError::Busy), "{refused}");
    sqlx::query("select pg_advisory_unlock(1751739762)").execute(&mut *holder).await.expect("the lock is given back");
    rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
}

#[tokio::test]
async fn the_tables_as_of_a_position_are_those_of_then() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    let then = contents(hospital.owner(), "hims").await;
    let position: Value = serde_json::from_str(&then["projection_checkpoint"][0]).expect("a checkpoint");
    let position = position["position"].as_i64().expect("a position");
    let sql = format!("select recorded_at from log.events where position = {position}");
    let instant = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(hospital.owner()).await.expect("an instant");
    let reception = hospital.login("reception").await;
    reception.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    let targets = [Target::Position(position, "then_a".to_owned()), Target::Instant(instant, "then_b".to_owned())];
    for (target, schema) in targets.iter().zip(["then_a", "then_b"]) {
        let past = rebuild(&hospital).run(target, |_| {}).await.expect("a past");
        assert_eq!(past, Rebuilt { position, parked: 0 });
        assert_same_rows(&contents(hospital.owner(), schema).await, &then);
    }
    let future = Target::Position(1_000_000, "then_c".to_owned());
    let beyond = rebuild(&hospital).run(&future, |_| {}).await.expect_err("the log does not have the position");
    assert!(matches!(beyond, RebuildError::Beyond(head) if head > position), "{beyond}");
    let again = rebuild(&hospital).run(&targets[0], |_| {}).await.expect_err("the schema exists already");
    assert!(again.to_string().contains("choose another"), "{again}");
}

/// Appends an event to an appointment without a command, so that the event may be one that cannot be projected.
async fn poison(hospital: &Hospital, stream_id: Uuid, version: i32, data: Value) {
    let event = NewEvent { event_type: "appointment.scheduled".to_owned(), data };
    let stream = StreamAppend::at("appointment", stream_id, version, [event]);
    hospital.node.store.append(Append::stream(stream)).await.expect("the log takes any event");
}

#[tokio::test]
async fn a_poison_event_parks_its_stream_and_no_other() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let unreadable = Uuid::from_u128(1);
    poison(&hospital, unreadable, 0, json!({"nonsense": true})).await;
    // This event can be read, but its patient does not exist: a foreign key refuses the row.
    let orphan = Uuid::from_u128(2);
    let mut data = appointment(&Uuid::from_u128(3).to_string(), at(9, 0));
    for (field, value) in [("time_zone", "UTC"), ("priority", "normal")] {
        data[field] = json!(value);
    }
    data["insurance_verified"] = json!(false);
    data["outside_hours"] = json!(false);
    data["series"] = Value::Null;
    data["slot"] = json!({"starts_at": at(9, 0), "duration_minutes": 30});
    data["reason_for_visit"] = Value::Null;
    poison(&hospital, orphan, 0, data).await;
    let id = reception.did("schedule-appointment", appointment(&patient(5), at(4, 0))).await;
    assert_eq!(reception.row("appointments", &id).await["status"], "scheduled");
    // Later events of a parked stream are not projected either.
    poison(&hospital, unreadable, 1, json!({})).await;
    hospital.settle().await;
    let parked: Vec<(Uuid, String)> =
        sqlx::query_as("select stream_id, reason from hims.projection_failures order by stream_id")
            .fetch_all(hospital.owner())
            .await
            .expect("the parked streams");
    assert_eq!(parked.iter().map(|it| it.0).collect::<Vec<_>>(), [unreadable, orphan], "{parked:?}");
    let audited = format!(
        "audit_logs where resource_id in ('{unreadable}', '{orphan}') and action <> 'process_failure.occurred'"
    );
    assert_eq!(
        count(hospital.owner(), &audited).await,
        3,
        "the audit log has every event, also those of parked streams"
    );
    // A process records that it could not read an event.
    super::notifications::all_done(&hospital).await;
    hospital.settle().await;
    let before = contents(hospital.owner(), "hims").await;
    rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
    assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
    let metrics = reception.send(reception.request(reqwest::Method::GET, "/metrics")).await;
    assert!(metrics.text.contains("hims_parked_streams 2"), "{}", metrics.text);
}
