use hims_domain::Personal;
use hims_event_store::{Append, AppendError, StoreError, StreamAppend, VaultError};

use super::fixture::{Event, Log, begin, event, id, on_every_log, opened};

on_every_log!(
    it_is_sealed_in_the_log_and_opened_for_a_reader,
    it_is_erased_with_its_key_and_the_proof_stays,
    it_needs_a_subject,
    a_sealed_value_opens_only_in_its_place,
);

fn named(name: &str) -> Event {
    Event::Opened { owner: Personal::Known(name.to_owned()) }
}

async fn decoded(log: &Log) -> Vec<Event> {
    let opened = log.store().open(log.events().await).await.expect("opened");
    opened.iter().map(|it| it.decode().expect("an event")).collect()
}

async fn it_is_sealed_in_the_log_and_opened_for_a_reader(log: Log) {
    log.append(opened(id(), id(), "Ann Example")).await.expect("appended");
    log.append(begin(id())).await.expect("appended");
    let events = log.events().await;
    assert!(!events[0].data.contains("Ann"));
    assert!(events[0].data.starts_with("{\"owner\":{\"$sealed\":\""), "{}", events[0].data);
    assert_eq!(decoded(&log).await, [named("Ann Example"), Event::Credited { amount: 1 }]);
}

async fn it_is_erased_with_its_key_and_the_proof_stays(log: Log) {
    let (ann, ben) = (id(), id());
    log.append(opened(id(), ann, "Ann")).await.expect("appended");
    log.append(opened(id(), ben, "Ben")).await.expect("appended");
    log.store().vault().destroy_key(ann).await.expect("destroyed");
    assert_eq!(decoded(&log).await, [Event::Opened { owner: Personal::Erased }, named("Ben")]);
    assert_eq!(log.proved_length().await, 2);
    let refused = log.append(opened(id(), ann, "Ann again")).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Vault(VaultError::Erased)))), "{refused:?}");
    log.store().vault().destroy_key(ann).await.expect("destroyed already");
}

async fn it_needs_a_subject(log: Log) {
    let append = Append::stream(StreamAppend::begin("account", id(), [event(&named("Ann"))]));
    let refused = log.append(append).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Vault(VaultError::NoSubject)))), "{refused:?}");
    assert_eq!(log.proved_length().await, 0);
}

async fn a_sealed_value_opens_only_in_its_place(log: Log) {
    let ann = id();
    log.append(opened(id(), ann, "Ann")).await.expect("appended");
    log.append(opened(id(), ann, "Anna")).await.expect("appended");
    let mut events = log.events().await;
    events[0].data = events[1].data.clone();
    let opened = log.store().open(events).await.expect("opened");
    assert!(matches!(opened[0].decode::<Event>(), Err(StoreError::Unreadable { position: 1, .. })));
    assert_eq!(opened[1].decode::<Event>().expect("an event"), named("Anna"));
}
