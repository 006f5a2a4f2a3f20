//! Somebody with every right on the database changes the log: `verify` names the position of the change.

use hims_event_store::verify::{Broken, verify};
use hims_event_store::{Append, StreamAppend};
use sqlx::{Executor, PgConnection};

use super::fixture::{Log, credited, id};

/// Gives the last event the hash that the documented rule demands, as somebody would who forges an event.
const REHASH: &str = r#"
    update log.events e set hash = sha256((select p.hash from log.events p where p.position = e.position - 1) ||
        convert_to(concat_ws(E'\n', position, stream_type, stream_id, version, event_type, schema_version,
            to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), data::text, metadata::text), 'UTF8'))
     where position = (select max(position) from log.events)"#;

/// Makes a log of five events, changes it with SQL, and returns what `verify` finds.
async fn broken_by(changes: &[&'static str]) -> Broken {
    let log = Log::in_postgres().await;
    let credits: Vec<_> = (1..=5).map(credited).collect();
    log.append(Append::stream(StreamAppend::begin("account", id(), credits))).await.expect("appended");
    assert_eq!(log.proved_length().await, 5);
    let mut superuser: PgConnection = log.database().superuser().await;
    superuser.execute("set session_replication_role = replica").await.expect("triggers are off");
    for change in changes {
        let done = superuser.execute(*change).await.expect("changed");
        assert!(done.rows_affected() > 0, "{change}");
    }
    verify(log.store(), 1, |_| {}).await.expect_err("the log was changed")
}

#[tokio::test]
async fn a_changed_field_is_found() {
    for change in [
        r#"update log.events set data = '{"amount":1000}' where position = 3"#,
        r#"update log.events set data = '{"amount": 3}' where position = 3"#,
        "update log.events set metadata = '{}' where position = 3",
        "update log.events set event_type = 'account.debited' where position = 3",
        "update log.events set schema_version = 2 where position = 3",
        "update log.events set stream_type = 'loan' where position = 3",
        "update log.events set stream_id = '00000000-0000-0000-0000-000000000001' where position = 3",
        "update log.events set version = 30 where position = 3",
        "update log.events set recorded_at = recorded_at + interval '1 microsecond' where position = 3",
        "update log.events set hash = sha256(hash) where position = 3",
    ] {
        let broken = broken_by(&[change]).await;
        assert!(matches!(broken, Broken::Hash(3)), "{change}: {broken}");
    }
}

#[tokio::test]
async fn a_missing_event_is_found() {
    for (change, position) in [
        ("delete from log.events where position = 1", 1),
        ("delete from log.events where position = 3", 3),
        ("delete from log.events where position = 5", 5),
        ("delete from log.events where position > 2", 3),
        ("delete from log.events", 1),
    ] {
        let broken = broken_by(&[change]).await;
        assert!(matches!(broken, Broken::Missing(at) if at == position), "{change}: {broken}");
    }
}

#[tokio::test]
async fn two_events_that_changed_places_are_found() {
    let swap = [
        "update log.events set position = 100 where position = 2",
        "update log.events set position = 2 where position = 4",
        "update log.events set position = 4 where position = 100",
    ];
    let broken = broken_by(&swap).await;
    assert!(matches!(broken, Broken::Hash(2)), "{broken}");
}

#[tokio::test]
async fn an_event_that_no_append_recorded_is_found() {
    let insert = "insert into log.events select position + 1, stream_type, stream_id, version + 1, event_type,
            schema_version, recorded_at, data, metadata, hash from log.events where position = 5";
    let broken = broken_by(&[insert]).await;
    assert!(matches!(broken, Broken::Hash(6)), "{broken}");
    let broken = broken_by(&[insert, REHASH]).await;
    assert!(matches!(broken, Broken::Beyond(6)), "{broken}");
    let far = "insert into log.events select position + 2, stream_type, stream_id, version + 1, event_type,
            schema_version, recorded_at, data, metadata, hash from log.events where position = 5";
    let broken = broken_by(&[far]).await;
    assert!(matches!(broken, Broken::Missing(6)), "{broken}");
}

/// Gives the head the hash of the last event, as somebody would who forges the end of the log.
const REHEAD: &str = "update log.head set hash = (select hash from log.events order by position desc limit 1)";

#[tokio::test]
async fn versions_with_a_gap_and_times_that_go_back_are_found_behind_fitting_hashes() {
    let broken = broken_by(&["update log.events set version = 7 where position = 5", REHASH, REHEAD]).await;
    assert!(matches!(broken, Broken::Version(5)), "{broken}");
    let earlier = "update log.events set recorded_at = recorded_at - interval '1 microsecond' where position = 5";
    let broken = broken_by(&[earlier, REHASH, REHEAD]).await;
    assert!(matches!(broken, Broken::Time(5)), "{broken}");
}

#[tokio::test]
async fn a_check_from_a_position_on_also_knows_what_comes_before() {
    let log = Log::in_postgres().await;
    let (one, other) = (id(), id());
    for (stream, version) in [(one, 0), (other, 0), (one, 1), (other, 1), (one, 2)] {
        let stream = StreamAppend::at("account", stream, version, [credited(1)]);
        log.append(Append::stream(stream)).await.expect("appended");
    }
    for from in [-1, 0, 1, 3, 5, 6] {
        let verified = verify(log.store(), from, |_| {}).await.expect("the log is whole");
        assert_eq!((verified.first, verified.last), (from.max(1), 5), "from {from}");
    }
    for from in [7, 100, i64::MAX] {
        let refused = verify(log.store(), from, |_| {}).await.expect_err("the log is shorter");
        assert!(matches!(refused, Broken::NothingThere(5)), "from {from}: {refused}");
    }
    let mut superuser: PgConnection = log.database().superuser().await;
    for change in [
        "set session_replication_role = replica",
        "update log.events set version = 4 where position = 5",
        REHASH,
        REHEAD,
    ] {
        superuser.execute(change).await.expect("changed");
    }
    for from in [1, 4, 5] {
        let broken = verify(log.store(), from, |_| {}).await.expect_err("a version is missing");
        assert!(matches!(broken, Broken::Version(5)), "from {from}: {broken}");
    }
}

#[tokio::test]
async fn an_end_that_was_rewritten_with_fitting_hashes_is_found_by_what_is_noted_beside_the_log() {
    let change = r#"update log.events set data = '{"amount":1000}' where position = 5"#;
    let broken = broken_by(&[change, REHASH]).await;
    assert!(matches!(broken, Broken::Hash(5)), "{broken}");
}
