//! What a refusal names when it is not known whether the caller may read it.

use std::collections::HashSet;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hims_event_store::StoreError;

use super::*;

fn register() -> RegisterPatient {
    ask(ann())
}

/// Sees the record of the command, and cannot look any other up.
struct Blind;

impl Sight for Blind {
    fn seen<'a>(
        &'a self,
        _: &'a Caller,
        stream_type: Option<&'static str>,
        ids: &'a [Uuid],
    ) -> BoxFuture<'a, Result<HashSet<Uuid>, StoreError>> {
        let seen = stream_type.map(|_| ids.iter().copied().collect());
        async { seen.ok_or_else(|| StoreError::Unavailable("a table is not there yet".to_owned())) }.boxed()
    }

    fn withheld(&self, _: &Caller, _: &'static str) -> Vec<&'static str> {
        Vec::new()
    }
}

#[tokio::test]
async fn candidates_that_cannot_be_looked_up_are_not_named_and_the_refusal_says_so() {
    let world = World::new();
    let first = world.done(register()).await;
    let again = || Request::of(somebody("receptionist"));
    let seeing = world.another_node().execute(register(), again()).await;
    assert_eq!(refused(seeing).candidates, [first.id]);
    let blind = world.another_node().with_sight(Arc::new(Blind)).execute(register(), again()).await;
    let refused = refused(blind);
    assert_eq!((refused.code, refused.candidates), ("possible-duplicate", vec![]));
    assert!(refused.detail.contains("it is not known now whether"), "{}", refused.detail);
}
