use hims_event_store::verify::{Broken, verify};
use hims_event_store::{Append, NewEvent, StoreError, StreamAppend, Upcasters};
use serde_json::{Value, json};

use super::fixture::{Event, Log, at, begin, event, id, on_every_log};

on_every_log!(
    the_chain_is_checked_from_any_position_on,
    an_unknown_event_type_is_readable_as_it_stands,
    an_event_without_content_is_an_empty_object,
    the_circumstances_are_kept,
    the_versions_of_streams_are_asked_at_once,
    the_first_events_of_streams_are_asked_at_once,
);

async fn the_first_events_of_streams_are_asked_at_once(log: Log) {
    let (one, two, other) = (id(), id(), id());
    for append in [begin(one), begin(two), begin(other), at(two, 1), at(one, 1), at(two, 2)] {
        log.append(append).await.expect("appended");
    }
    let events = log.store().load_all(&[two, one, id()], 2).await.expect("events");
    let versions = |stream| events.iter().filter(|it| it.stream_id == stream).map(|it| it.version).collect::<Vec<_>>();
    assert_eq!((versions(one), versions(two), events.len()), (vec![1, 2], vec![1, 2], 4));
    assert!(log.store().load_all(&[], 2).await.expect("events").is_empty());
}

async fn the_versions_of_streams_are_asked_at_once(log: Log) {
    let (one, two, nothing) = (id(), id(), id());
    log.append(begin(one)).await.expect("appended");
    log.append(begin(two)).await.expect("appended");
    log.append(at(two, 1)).await.expect("appended");
    let versions = log.store().versions(&[two, nothing, one, two]).await.expect("versions");
    assert_eq!(versions, [(one, 1), (two, 2)].into());
    assert!(log.store().versions(&[]).await.expect("versions").is_empty());
}

async fn the_chain_is_checked_from_any_position_on(log: Log) {
    for _ in 0..10 {
        log.append(begin(id())).await.expect("appended");
    }
    let whole = verify(log.store(), 1, |_| {}).await.expect("whole");
    for from in [0, 2, 10, 11] {
        let mut reached = 0;
        let verified = verify(log.store(), from, |position| reached = position).await.expect("whole");
        assert_eq!((verified.first, verified.last, verified.hash), (from.max(1), 10, whole.hash));
        assert_eq!(reached, if from == 11 { 0 } else { 10 });
    }
    assert!(matches!(verify(log.store(), 13, |_| {}).await, Err(Broken::NothingThere(10))));
}

async fn an_unknown_event_type_is_readable_as_it_stands(log: Log) {
    let unknown = NewEvent { event_type: "account.frozen".to_owned(), data: json!({"reason": "secret"}) };
    log.append(Append::stream(StreamAppend::begin("account", id(), [unknown]))).await.expect("appended");
    log.append(begin(id())).await.expect("appended");
    let opened = log.store().open(log.events().await).await.expect("opened");
    assert_eq!(opened[0].recorded.event_type, "account.frozen");
    assert_eq!(opened[0].data().expect("JSON"), json!({"reason": "secret"}));
    let refused = opened[0].decode::<Event>().expect_err("no such event");
    assert!(
        matches!(&refused, StoreError::Unreadable { position: 1, event_type, .. } if event_type == "account.frozen")
    );
    assert!(!refused.to_string().contains("secret"), "{refused}");
    assert_eq!(opened[1].decode::<Event>().expect("an event"), Event::Credited { amount: 1 });
}

async fn an_event_without_content_is_an_empty_object(log: Log) {
    log.append(Append::stream(StreamAppend::begin("account", id(), [event(&Event::Closed)]))).await.expect("appended");
    let opened = log.store().open(log.events().await).await.expect("opened");
    assert_eq!((opened[0].recorded.event_type.as_str(), opened[0].recorded.data.as_str()), ("account.closed", "{}"));
    assert_eq!(opened[0].decode::<Event>().expect("an event"), Event::Closed);
}

async fn the_circumstances_are_kept(log: Log) {
    let mut append = begin(id());
    append.metadata.command = "open-account".to_owned();
    append.metadata.ip = Some([192, 0, 2, 1].into());
    append.metadata.user_agent = Some("a \"quoted\" agent\n\u{0} \u{2028} €".to_owned());
    let given = append.metadata.clone();
    log.append(append).await.expect("appended");
    assert_eq!(log.events().await[0].circumstances().expect("metadata"), given);
    assert_eq!(log.proved_length().await, 1);
}

/// Converts schema version 1, in which amounts were strings, to version 2.
fn amounts_become_numbers(mut data: Value) -> Value {
    data["amount"] = data["amount"].as_str().and_then(|text| text.parse::<i64>().ok()).into();
    data
}

/// Converts schema version 2, in which amounts were in another unit, to version 3.
fn amounts_become_cents(mut data: Value) -> Value {
    data["amount"] = data["amount"].as_i64().map(|amount| amount * 100).into();
    data
}

async fn an_older_event_is_lifted_when_it_is_read(older: Log, newer: Log) {
    let old = NewEvent { event_type: "account.credited".to_owned(), data: json!({"amount": "5"}) };
    older.append(Append::stream(StreamAppend::begin("account", id(), [old]))).await.expect("appended");
    newer.append(begin(id())).await.expect("appended");
    let mut events = older.events().await;
    events.extend(newer.events().await);
    assert_eq!(events.iter().map(|it| it.schema_version).collect::<Vec<_>>(), [1, 3]);
    let opened = newer.store().open(events.clone()).await.expect("opened");
    assert_eq!(opened[0].decode::<Event>().expect("lifted"), Event::Credited { amount: 500 });
    assert_eq!(opened[1].decode::<Event>().expect("today's"), Event::Credited { amount: 1 });
    assert_eq!(opened[0].recorded, events[0], "what is recorded stays as it is");
}

fn upcasters() -> Upcasters {
    Upcasters::default().lift("account.credited", amounts_become_numbers).lift("account.credited", amounts_become_cents)
}

#[tokio::test]
async fn an_older_event_is_lifted_in_memory() {
    an_older_event_is_lifted_when_it_is_read(Log::in_memory(), Log::in_memory_with(upcasters())).await;
}

#[tokio::test]
async fn an_older_event_is_lifted_in_postgres() {
    let older = Log::in_postgres().await;
    an_older_event_is_lifted_when_it_is_read(older, Log::in_postgres_with(upcasters()).await).await;
}
