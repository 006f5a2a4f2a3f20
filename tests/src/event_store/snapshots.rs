//! Snapshots: the newest is kept, sealed, and used only if this program wrote it for this stream and history.

use hims_event_store::{Append, Snapshot, StreamAppend};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Log, credited, id, on_every_log};

on_every_log!(
    the_newest_is_kept,
    a_version_that_the_stream_does_not_have_gives_no_snapshot,
    what_is_personal_is_sealed_and_erased_with_its_key,
    snapshots_are_listed_and_forgotten,
);

fn snapshot(version: i32, state: Value) -> Snapshot {
    Snapshot { version, state_version: 1, state }
}

/// A stream of nine events.
async fn stream_of_nine(log: &Log) -> Uuid {
    let stream = id();
    let credits: Vec<_> = (1..=9).map(credited).collect();
    log.append(Append::stream(StreamAppend::begin("account", stream, credits))).await.expect("appended");
    stream
}

async fn the_newest_is_kept(log: Log) {
    let (store, stream) = (log.store(), stream_of_nine(&log).await);
    let find = async || store.snapshot("account", stream).await.expect("an answer");
    assert_eq!(find().await, None);
    for version in [5, 9, 7] {
        store.save_snapshot("account", stream, None, snapshot(version, json!({"sum": version}))).await.expect("kept");
    }
    assert_eq!(find().await, Some(snapshot(9, json!({"sum": 9}))));
    let other_form = Snapshot { state_version: 2, ..snapshot(8, json!({"total": 8})) };
    store.save_snapshot("account", stream, None, other_form.clone()).await.expect("kept");
    assert_eq!(find().await, Some(other_form));
}

async fn a_version_that_the_stream_does_not_have_gives_no_snapshot(log: Log) {
    let (store, stream) = (log.store(), stream_of_nine(&log).await);
    store.save_snapshot("account", stream, None, snapshot(10, json!({"sum": 10}))).await.expect("an answer");
    assert_eq!(store.snapshot("account", stream).await.expect("an answer"), None);
}

async fn what_is_personal_is_sealed_and_erased_with_its_key(log: Log) {
    let (store, stream, ann) = (log.store(), stream_of_nine(&log).await, id());
    let state = json!({"owner": {"$personal": "Ann"}, "sum": 3, "others": [{"$personal": {"name": "Ben"}}]});
    store.save_snapshot("account", stream, Some(ann), snapshot(3, state.clone())).await.expect("kept");
    let find = async || store.snapshot("account", stream).await.expect("an answer").expect("a snapshot").state;
    assert_eq!(find().await, state);
    store.vault().destroy_key(ann).await.expect("destroyed");
    assert_eq!(find().await, json!({"owner": {"$erased": true}, "sum": 3, "others": [{"$erased": true}]}));
}

async fn snapshots_are_listed_and_forgotten(log: Log) {
    let store = log.store();
    let mut streams = [stream_of_nine(&log).await, stream_of_nine(&log).await, stream_of_nine(&log).await];
    streams.sort_unstable();
    for stream in streams {
        store.save_snapshot("account", stream, None, snapshot(9, json!({"sum": 9}))).await.expect("kept");
    }
    let listed = async |after, limit| store.snapshots(after, limit).await.expect("an answer");
    assert_eq!(listed(Uuid::nil(), 2).await, streams[..2]);
    assert_eq!(listed(streams[1], 2).await, streams[2..]);
    let long = store.streams_of_version(9).await.expect("an answer");
    assert_eq!(long, streams.map(|stream| ("account".to_owned(), stream)));
    assert!(store.streams_of_version(10).await.expect("an answer").is_empty());
    assert_eq!(store.forget_snapshots().await.expect("forgotten"), 3);
    assert_eq!(store.snapshot("account", streams[0]).await.expect("an answer"), None);
}

#[tokio::test]
async fn a_snapshot_that_somebody_else_wrote_is_not_used_and_gives_way_to_a_new_one() {
    let log = Log::in_postgres().await;
    let (store, stream, other) = (log.store(), stream_of_nine(&log).await, stream_of_nine(&log).await);
    for change in [
        r#"update log.snapshots set state = '{"sum":5000}'"#,
        r#"update log.snapshots set state = '{"sum": 5}'"#,
        "update log.snapshots set version = 6",
        "update log.snapshots set version = 2147483647",
        "update log.snapshots set state_version = 2",
        "update log.snapshots set subject_id = gen_random_uuid()",
        "update log.snapshots set code = sha256(code)",
        "update log.snapshots set code = ''",
        "update log.snapshots set stream_id = $1",
    ] {
        store.forget_snapshots().await.expect("forgotten");
        store.save_snapshot("account", stream, None, snapshot(5, json!({"sum": 5}))).await.expect("kept");
        assert!(store.snapshot("account", stream).await.expect("an answer").is_some());
        let changed = sqlx::query(change);
        let changed = if change.contains("$1") { changed.bind(other) } else { changed };
        changed.execute(&log.database().owner).await.expect("changed");
        for stream in [stream, other] {
            assert_eq!(store.snapshot("account", stream).await.expect("an answer"), None, "{change}");
        }
        store.save_snapshot("account", stream, None, snapshot(5, json!({"sum": 5}))).await.expect("kept");
        let found = store.snapshot("account", stream).await.expect("an answer");
        assert_eq!(found, Some(snapshot(5, json!({"sum": 5}))), "{change}");
    }
    // The same version of the same stream in another history: the event there has another hash.
    let mut superuser = log.database().superuser().await;
    sqlx::raw_sql("set session_replication_role = replica; update log.events set hash = sha256(hash)")
        .execute(&mut superuser)
        .await
        .expect("another history");
    assert_eq!(store.snapshot("account", stream).await.expect("an answer"), None);
}
