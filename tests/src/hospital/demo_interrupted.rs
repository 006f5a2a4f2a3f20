//! A demo that was interrupted again and again is completed in the end, and nothing is done twice.

use std::collections::BTreeMap;

use hims_api::{Purpose, Settings};
use hims_event_store::EventStore;
use sqlx::ConnectOptions as _;

use super::Hospital;
use super::fixture::key_file;
use super::releases::until;
use crate::support::{database, scratch};

/// How many events of each type the log holds.
async fn events(store: &dyn EventStore) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for event in store.read(0, 10_000).await.expect("the log answers") {
        *counted.entry(event.event_type).or_default() += 1;
    }
    counted
}

#[tokio::test]
async fn an_interrupted_demo_is_completed_and_nothing_is_done_twice() {
    let (database, folder) = (database().await, scratch("interrupted"));
    let settings = Settings {
        database_url: Some(database.options.to_url_lossy().into()),
        master_key_file: Some(key_file(&folder)),
        ..Settings::default()
    };
    let hospital = hims_api::Hospital::open(&settings, Purpose::Work).await.expect("the hospital opens");
    for reached in (60..).step_by(60) {
        let stop = until(async || hospital.store.current_head().await.expect("the log answers") >= reached);
        tokio::select! {
            filled = hospital.fill_with_demo() => {
                filled.expect("the demo goes on");
                break;
            }
            () = stop => {}
        }
    }
    let uninterrupted = Hospital::start().await;
    assert_eq!(events(hospital.store.as_ref()).await, events(uninterrupted.node.store.as_ref()).await);
    hospital.close().await;
}
