//! What operators do with what lies beside the log: rebuilding claims and snapshots.

use hims_domain::access::{self, Access};
use hims_domain::log::{self, KeyRotation, Log, Restore};
use hims_domain::{Aggregate, for_each_aggregate};
use hims_event_store::beside::Fold;
use hims_event_store::{
    Append, AppendError, ClaimsReport, EventStore, NewEvent, Opened, Position, Progress, StoreError, StreamAppend,
};
use serde_json::Value;
use uuid::Uuid;

use super::Executor;
use super::record::metadata;
use crate::machinery::claims::claims_of;
use crate::machinery::context::{Surroundings, new_id};
use crate::machinery::load::{SNAPSHOT_EVERY, keep_snapshot, load};
use crate::{Caller, Request};

impl Executor {
    /// Forgets what this process remembers of streams, since what was sealed about somebody cannot be opened any more.
    pub fn forget_states(&self) {
        self.states.forget_all();
    }

    /// Rebuilds the claims from the log, and records that this was done. Tells `progress` how many events were read.
    /// Appends wait meanwhile; a decision that relied
    /// on the former claims is made again. Reports the differences that remain.
    ///
    /// # Errors
    /// When the log does not answer.
    pub async fn rebuild_claims(&self, progress: &Progress) -> Result<ClaimsReport, AppendError> {
        let (now, entropy) = (self.now(), self.entropy());
        let event = NewEvent::try_new(Access::STREAM, &access::Event::ClaimsRebuilt)?;
        let stream = StreamAppend::begin(Access::STREAM, new_id(now, entropy, 0), [event]);
        let operator = Request::of(Caller::system("command-line"));
        let metadata = metadata("rebuild-claims", new_id(now, entropy, 1), now, &operator);
        self.store.mend_claims(&claims_of, Append { metadata, ..Append::stream(stream) }, progress).await
    }

    /// Records that a master key takes the place of another, unless this is recorded already.
    ///
    /// # Errors
    /// When the log does not answer, or another program records at the same time what happens to the log.
    pub async fn note_rotation(&self, rotation: KeyRotation) -> Result<(), AppendError> {
        let log = load::<Log>(self.store.as_ref(), Log::stream()).await?;
        if log.state.is_some_and(|it| it.rotations.last() == Some(&rotation)) {
            return Ok(());
        }
        let (now, entropy) = (self.now(), self.entropy());
        let event = NewEvent::try_new(Log::STREAM, &log::Event::MasterKeyRotated(rotation))?;
        let stream = StreamAppend::at(Log::STREAM, Log::stream(), log.version, [event]);
        let operator = Request::of(Caller::system("command-line"));
        let metadata = metadata("rotate-master-key", new_id(now, entropy, 0), now, &operator);
        self.store.append(Append { metadata, ..Append::stream(stream) }).await.map(drop)
    }

    /// Deletes all snapshots and makes them anew from the log. Tells `progress` how many streams were read. Answers how
    /// many streams have a snapshot now.
    ///
    /// # Errors
    /// When the log does not answer or an event of a long stream cannot be read.
    pub async fn rebuild_snapshots(&self, progress: &Progress) -> Result<u64, StoreError> {
        let store = self.store.as_ref();
        store.forget_snapshots().await?;
        for ((stream_type, id), nth) in store.streams_of_version(SNAPSHOT_EVERY).await?.into_iter().zip(1..) {
            macro_rules! make_if {
                ($aggregate:ty) => {
                    if stream_type == <$aggregate as Aggregate>::STREAM {
                        make_snapshot::<$aggregate>(store, id).await?;
                    }
                };
            }
            for_each_aggregate!(make_if);
            progress(nth);
        }
        count_snapshots(store).await
    }
}

/// The event that an operator restored the log, as an append to the stream of the log's own history, which has this
/// version. The incarnation of the restore is drawn anew.
///
/// # Errors
/// When the event is no JSON, which does not happen.
pub fn note_of_restore(
    surroundings: &Surroundings,
    (position, known): (Position, Position),
    version: i32,
) -> Result<Append, AppendError> {
    let (now, entropy) = ((surroundings.clock)(), (surroundings.entropy)());
    let restore = Restore { incarnation: new_id(now, entropy, 0), position, known };
    let event = NewEvent::try_new(Log::STREAM, &log::Event::Restored(restore))?;
    let stream = StreamAppend::at(Log::STREAM, Log::stream(), version, [event]);
    let operator = Request::of(Caller::system("command-line"));
    let metadata = metadata("restore", new_id(now, entropy, 1), now, &operator);
    Ok(Append { metadata, ..Append::stream(stream) })
}

async fn make_snapshot<A: Aggregate>(store: &dyn EventStore, id: Uuid) -> Result<(), StoreError> {
    let loaded = load::<A>(store, id).await?;
    if let Some(state) = &loaded.state {
        keep_snapshot(store, id, loaded.version, state.as_ref()).await;
    }
    Ok(())
}

async fn count_snapshots(store: &dyn EventStore) -> Result<u64, StoreError> {
    const PAGE: i64 = 1_000;
    let (mut count, mut after) = (0, Uuid::nil());
    loop {
        let page = store.snapshots(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = *last;
        count += u64::try_from(page.len()).unwrap_or_default();
    }
}

/// Begins to fold a stream of any aggregate; `None` for a stream of a type that this release does not know.
pub fn fold_of(stream_type: &str) -> Option<Box<dyn Fold>> {
    macro_rules! fold_if {
        ($aggregate:ty) => {
            if stream_type == <$aggregate as Aggregate>::STREAM {
                return Some(Box::new(Folded::<$aggregate>(None)));
            }
        };
    }
    for_each_aggregate!(fold_if);
    None
}

/// The state of a stream after the events so far.
struct Folded<A>(Option<A>);

impl<A: Aggregate> Fold for Folded<A> {
    fn add(&mut self, events: &[Opened]) -> Result<(), StoreError> {
        for event in events {
            self.0 = A::evolve(self.0.take(), &event.decode()?);
        }
        Ok(())
    }

    fn state(&self) -> Option<(i32, Value)> {
        // A state that is no JSON is never saved as a snapshot, so there is nothing to compare.
        Some((A::STATE_VERSION, serde_json::to_value(self.0.as_ref()?).ok()?))
    }
}
