use hims_event_store::Snapshot;
use serde_json::{Value, json};

use super::fixture::{Log, id, on_every_log};

on_every_log!(the_newest_is_kept, what_is_personal_is_sealed_and_erased_with_its_key);

fn snapshot(version: i32, state: Value) -> Snapshot {
    Snapshot { version, state_version: 1, state }
}

async fn the_newest_is_kept(log: Log) {
    let (store, stream) = (log.store(), id());
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

async fn what_is_personal_is_sealed_and_erased_with_its_key(log: Log) {
    let (store, stream, ann) = (log.store(), id(), id());
    let state = json!({"owner": {"$personal": "Ann"}, "sum": 3, "others": [{"$personal": {"name": "Ben"}}]});
    store.save_snapshot("account", stream, Some(ann), snapshot(3, state.clone())).await.expect("kept");
    let find = async || store.snapshot("account", stream).await.expect("an answer").expect("a snapshot").state;
    assert_eq!(find().await, state);
    store.vault().destroy_key(ann).await.expect("destroyed");
    assert_eq!(find().await, json!({"owner": {"$erased": true}, "sum": 3, "others": [{"$erased": true}]}));
}
