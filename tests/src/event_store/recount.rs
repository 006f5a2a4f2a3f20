//! Claims that do not follow from the events of their owners are found and rebuilt.

use hims_event_store::{Append, AppendError, Claim, ClaimDifference, NewEvent, Opened, StoreError, StreamAppend};
use serde_json::json;
use uuid::Uuid;

use super::fixture::{Log, id, on_every_log};

on_every_log!(
    claims_that_are_as_the_events_say_do_not_differ,
    what_is_missing_and_what_is_too_much_is_found,
    claims_are_made_anew_from_the_events,
    a_key_that_two_streams_hold_goes_to_one_of_them,
);

/// Computes the claims of a stream from its events: the claims under the key that the last event names.
fn claims_of(events: &[Opened]) -> Result<Vec<Claim>, StoreError> {
    let Some(last) = events.last() else { return Ok(Vec::new()) };
    let (owner, data) = (last.recorded.stream_id, last.data()?);
    Ok(data["key"].as_str().map_or(Vec::new(), |key| held(key, owner).into()))
}

/// The claims of a stream under a key: the unique key itself, its first letter as a shared key, and a booked minute.
fn held(key: &str, owner: Uuid) -> [Claim; 3] {
    let minute = i64::try_from(key.len()).expect("a short key");
    let from = chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(minute);
    [
        Claim::Take { scope: "name", key: key.to_owned(), owner },
        Claim::Share { scope: "letter", key: key[..1].to_owned(), owner },
        Claim::Book { resource: Uuid::from_u128(7), from, until: from + chrono::TimeDelta::minutes(1), owner },
    ]
}

/// The append that is recorded when the claims are rebuilt.
fn note() -> Append {
    let event = NewEvent { event_type: "note.rebuilt".to_owned(), data: json!({}) };
    Append::stream(StreamAppend::begin("note", id(), [event]))
}

/// Begins a stream whose event names a key, with the given claims instead of those that follow from the event.
async fn named(log: &Log, key: &str, claims: impl IntoIterator<Item = Claim>) -> Result<Uuid, AppendError> {
    let owner = id();
    let event = NewEvent { event_type: "thing.named".to_owned(), data: json!({"key": key}) };
    let claims = claims.into_iter().map(|claim| owned_by(owner, claim)).collect();
    let append = Append { claims, ..Append::stream(StreamAppend::begin("thing", owner, [event])) };
    log.append(append).await.map(|_| owner)
}

fn owned_by(owner: Uuid, claim: Claim) -> Claim {
    match claim {
        Claim::Take { scope, key, .. } => Claim::Take { scope, key, owner },
        Claim::Share { scope, key, .. } => Claim::Share { scope, key, owner },
        Claim::Book { resource, from, until, .. } => Claim::Book { resource, from, until, owner },
        other => other,
    }
}

async fn claims_that_are_as_the_events_say_do_not_differ(log: Log) {
    for key in ["a", "bb", "ccc"] {
        named(&log, key, held(key, Uuid::nil())).await.expect("claimed");
    }
    let report = log.store().compare_claims(&claims_of, &|_| {}).await.expect("compared");
    assert_eq!((report.streams, report.skipped, report.differing), (3, 0, 0), "{report:?}");
}

async fn what_is_missing_and_what_is_too_much_is_found(log: Log) {
    let [name, letter, time] = held("a", Uuid::nil());
    let lacking = named(&log, "a", [letter, time]).await.expect("claimed");
    let [_, letter, time] = held("bb", Uuid::nil());
    let greedy = named(&log, "bb", [name, letter, time]).await.expect("claimed");
    let report = log.store().compare_claims(&claims_of, &|_| {}).await.expect("compared");
    let difference = |owner, is_missing| ClaimDifference { set: "name".to_owned(), owner, is_missing };
    let mut expected = [difference(lacking, true), difference(greedy, true), difference(greedy, false)];
    expected.sort();
    assert_eq!((report.differing, report.examples.as_slice()), (3, expected.as_slice()));
}

async fn claims_are_made_anew_from_the_events(log: Log) {
    let none = named(&log, "a", []).await.expect("no claim");
    let [name, ..] = held("zz", Uuid::nil());
    named(&log, "bb", [name]).await.expect("another claim");
    assert_eq!(log.store().compare_claims(&claims_of, &|_| {}).await.expect("compared").differing, 7);
    let mended = log.store().mend_claims(&claims_of, note(), &|_| {}).await.expect("mended");
    assert_eq!((mended.streams, mended.differing), (2, 0), "{mended:?}");
    // The head has moved, so that no append that relied on the former claims can be written.
    assert_eq!(log.proved_length().await, 3);
    assert_eq!(log.events().await.pop().expect("the note").event_type, "note.rebuilt");
    assert_eq!(log.store().owners("name", "a").await.expect("owners"), [none]);
    assert!(log.store().owners("name", "zz").await.expect("owners").is_empty());
    // The rebuilt claims are in force: the key and the minute are taken.
    let refused = named(&log, "a", held("a", Uuid::nil())).await;
    assert!(matches!(refused, Err(AppendError::Taken { owner, .. }) if owner == none), "{refused:?}");
    let [_, _, time] = held("a", Uuid::nil());
    let refused = named(&log, "c", [time]).await;
    assert!(matches!(refused, Err(AppendError::DoubleBooked { owner, .. }) if owner == none), "{refused:?}");
}

async fn a_key_that_two_streams_hold_goes_to_one_of_them(log: Log) {
    let both = [named(&log, "a", []).await.expect("one"), named(&log, "a", []).await.expect("another")];
    let mended = log.store().mend_claims(&claims_of, note(), &|_| {}).await.expect("mended");
    let owners = log.store().owners("name", "a").await.expect("owners");
    assert!(owners.len() == 1 && both.contains(&owners[0]), "{owners:?}");
    // The stream that came second lacks the unique key and the booked minute; the shared key is held by both streams.
    assert_eq!(mended.differing, 2, "{mended:?}");
    assert!(mended.examples.iter().all(|it| it.is_missing && both.contains(&it.owner)), "{mended:?}");
}
