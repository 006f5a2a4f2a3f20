use std::collections::BTreeSet;

use hims_event_store::{Append, AppendError, Claim, Guard};
use uuid::Uuid;

use super::fixture::{Log, claiming, id, on_every_log};

on_every_log!(
    a_key_has_one_owner,
    an_owner_may_take_its_own_key_again,
    only_the_owner_gives_a_key_back,
    a_key_changes_hands_in_one_append,
    an_append_that_contradicts_itself_is_refused,
    a_refused_claim_leaves_nothing,
    a_shared_key_has_any_number_of_owners,
    the_number_of_owners_is_guarded,
    the_owner_of_a_unique_key_is_guarded,
    scopes_are_apart,
);

fn take(key: &str, owner: Uuid) -> Claim {
    Claim::Take { scope: "email", key: key.to_owned(), owner }
}

fn release(key: &str, owner: Uuid) -> Claim {
    Claim::Release { scope: "email", key: key.to_owned(), owner }
}

fn share(key: &str, owner: Uuid) -> Claim {
    Claim::Share { scope: "birth-date", key: key.to_owned(), owner }
}

fn unshare(key: &str, owner: Uuid) -> Claim {
    Claim::Unshare { scope: "birth-date", key: key.to_owned(), owner }
}

async fn owners(log: &Log, scope: &'static str, key: &str) -> BTreeSet<Uuid> {
    log.store().owners(scope, key).await.expect("owners").into_iter().collect()
}

async fn a_key_has_one_owner(log: Log) {
    let (ann, ben) = (id(), id());
    log.append(claiming(ann, [take("a@example.org", ann)])).await.expect("taken");
    let refused = log.append(claiming(ben, [take("a@example.org", ben)])).await;
    assert!(
        matches!(&refused, Err(AppendError::Taken { scope, owner }) if scope == "email" && *owner == ann),
        "{refused:?}"
    );
    log.append(claiming(ben, [take("b@example.org", ben)])).await.expect("another key");
    assert_eq!(owners(&log, "email", "a@example.org").await, BTreeSet::from([ann]));
    assert!(owners(&log, "email", "c@example.org").await.is_empty());
}

async fn an_owner_may_take_its_own_key_again(log: Log) {
    let ann = id();
    log.append(claiming(ann, [take("a", ann)])).await.expect("taken");
    log.append(claiming(id(), [take("a", ann)])).await.expect("had already");
    log.append(claiming(id(), [take("a", ann), take("b", ann), take("a", ann)])).await.expect("said twice");
    assert_eq!(owners(&log, "email", "a").await, BTreeSet::from([ann]));
}

async fn only_the_owner_gives_a_key_back(log: Log) {
    let (ann, ben) = (id(), id());
    log.append(claiming(ann, [take("a", ann)])).await.expect("taken");
    log.append(claiming(id(), [release("a", ben)])).await.expect("of no effect");
    assert!(matches!(log.append(claiming(ben, [take("a", ben)])).await, Err(AppendError::Taken { .. })));
    log.append(claiming(id(), [release("a", ann)])).await.expect("given back");
    assert!(owners(&log, "email", "a").await.is_empty());
    log.append(claiming(ben, [take("a", ben)])).await.expect("free");
}

async fn a_key_changes_hands_in_one_append(log: Log) {
    let (ann, ben) = (id(), id());
    log.append(claiming(ann, [take("a", ann), take("b", ben)])).await.expect("taken");
    let exchange = [take("b", ann), release("a", ann), take("a", ben), release("b", ben)];
    log.append(claiming(ben, exchange)).await.expect("exchanged");
    assert_eq!(owners(&log, "email", "a").await, BTreeSet::from([ben]));
    assert_eq!(owners(&log, "email", "b").await, BTreeSet::from([ann]));
}

async fn an_append_that_contradicts_itself_is_refused(log: Log) {
    let (ann, ben) = (id(), id());
    let refused = log.append(claiming(ann, [take("a", ann), take("a", ben)])).await;
    assert!(matches!(refused, Err(AppendError::Taken { .. })), "{refused:?}");
    assert!(owners(&log, "email", "a").await.is_empty());
}

async fn a_refused_claim_leaves_nothing(log: Log) {
    let (ann, ben) = (id(), id());
    log.append(claiming(ann, [take("a", ann)])).await.expect("taken");
    let refused = log.append(claiming(ben, [take("b", ben), share("1980", ben), take("a", ben)])).await;
    assert!(matches!(refused, Err(AppendError::Taken { .. })));
    assert!(owners(&log, "email", "b").await.is_empty());
    assert!(owners(&log, "birth-date", "1980").await.is_empty());
    assert_eq!(log.proved_length().await, 1);
}

async fn a_shared_key_has_any_number_of_owners(log: Log) {
    let (ann, ben) = (id(), id());
    log.append(claiming(ann, [share("1980", ann)])).await.expect("shared");
    log.append(claiming(ben, [share("1980", ben), share("1980", ben)])).await.expect("shared");
    log.append(claiming(id(), [share("1980", ann)])).await.expect("noted already");
    assert_eq!(owners(&log, "birth-date", "1980").await, BTreeSet::from([ann, ben]));
    log.append(claiming(id(), [unshare("1980", ann), unshare("1980", id())])).await.expect("taken back");
    assert_eq!(owners(&log, "birth-date", "1980").await, BTreeSet::from([ben]));
}

async fn the_number_of_owners_is_guarded(log: Log) {
    let relying = |count| {
        let ann = id();
        let guard = Guard::Owners { scope: "birth-date", key: "1980".to_owned(), count };
        Append { guards: vec![guard], ..claiming(ann, [share("1980", ann)]) }
    };
    log.append(relying(0)).await.expect("nobody yet");
    assert!(matches!(log.append(relying(0)).await, Err(AppendError::GuardFailed)));
    log.append(relying(1)).await.expect("one");
    assert!(matches!(log.append(relying(1)).await, Err(AppendError::GuardFailed)));
    assert_eq!(owners(&log, "birth-date", "1980").await.len(), 2);
}

async fn the_owner_of_a_unique_key_is_guarded(log: Log) {
    let (ann, ben) = (id(), id());
    let relying = |count| {
        let guard = Guard::Owners { scope: "email", key: "a".to_owned(), count };
        Append { guards: vec![guard], ..claiming(id(), []) }
    };
    log.append(relying(0)).await.expect("nobody yet");
    log.append(claiming(ann, [take("a", ann)])).await.expect("taken");
    assert!(matches!(log.append(relying(0)).await, Err(AppendError::GuardFailed)));
    log.append(relying(1)).await.expect("one");
    log.append(claiming(ben, [share("1980", ben)])).await.expect("another key");
    log.append(relying(1)).await.expect("still one");
}

async fn scopes_are_apart(log: Log) {
    let (ann, ben) = (id(), id());
    log.append(claiming(ann, [take("1", ann)])).await.expect("taken");
    let claim = Claim::Take { scope: "mrn", key: "1".to_owned(), owner: ben };
    log.append(claiming(ben, [claim])).await.expect("another scope");
    assert_eq!(owners(&log, "mrn", "1").await, BTreeSet::from([ben]));
}
