//! A demo that was interrupted again and again is completed in the end, and nothing is done twice. Every demo has the
//! same streams.

use std::collections::BTreeSet;

use hims_api::{Purpose, Settings};
use hims_event_store::EventStore;
use hims_testing::assert_same;
use sqlx::ConnectOptions as _;
use uuid::Uuid;

use super::Hospital;
use super::fixture::key_file;
use super::releases::until;
use crate::support::{database, scratch};

/// The events that the log holds, each with its stream and its place in the stream.
async fn events(store: &dyn EventStore) -> BTreeSet<(String, Uuid, i32)> {
    let events = store.read(0, 10_000).await.expect("the log answers");
    events.into_iter().map(|it| (it.event_type, it.stream_id, it.version)).collect()
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
    assert_same(events(hospital.store.as_ref()).await, events(uninterrupted.node.store.as_ref()).await);
    hospital.close().await;
}
