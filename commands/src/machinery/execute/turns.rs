//! Who writes a stream waits for the others who write it, in the order in which they came.
//!
//! Without this, callers of one stream would race: each loads the stream and decides, one of them appends, and all
//! others have to decide again. Of many callers, some would lose every round. Within a node the callers of a stream
//! queue up. Between nodes there is no queue: a node that has appended several times in a row to a stream for which its
//! callers queue makes a pause, so that the callers of another node get their chance.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use crate::Failure;

/// How often a node may append in a row to a stream that other nodes may be waiting for.
const ROW: u32 = 8;
/// How long a node then leaves the stream to other nodes: about the time in which they load, decide and append.
const PAUSE: Duration = Duration::from_millis(4);

/// The queues of callers, one for each stream that somebody is writing.
#[derive(Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<Uuid, Queue>>>);

#[derive(Default)]
struct Queue {
    /// Held by the caller whose turn it is. Callers get the lock in the order in which they asked for it.
    lock: Arc<tokio::sync::Mutex<()>>,
    /// How many callers wait or have their turn. The queue is removed when the last of them leaves.
    callers: usize,
    /// How often callers of this queue appended in a row, before a pause or a conflict with another node.
    row: u32,
}

/// The turn of a caller at several streams. Dropping it lets the next callers have theirs.
#[derive(Default)]
pub(super) struct Turn(Vec<Place>);

/// A place in a queue: waiting, or at its head with the lock.
struct Place {
    queues: Arc<Mutex<HashMap<Uuid, Queue>>>,
    id: Uuid,
    lock: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Takes the turn at those of the streams at which the caller does not have it yet, unless somebody else has it at
    /// one of them: then the turn stays as it was, and the answer is `false`. Nobody waits here, so two callers who
    /// extend their turns never wait for each other.
    pub(super) fn try_extend(&self, turn: &mut Turn, ids: &BTreeSet<Uuid>) -> bool {
        let mut more = Vec::new();
        for id in ids.iter().filter(|id| !turn.0.iter().any(|place| place.id == **id)) {
            let (mut place, lock) = self.join(*id);
            let Ok(lock) = lock.try_lock_owned() else { return false };
            place.lock = Some(lock);
            more.push(place);
        }
        turn.0.extend(more);
        true
    }

    /// Waits for the turn at all streams. The streams are taken in the order of their ids, so that two callers never
    /// wait for each other. `is_shared` says whether other nodes append to the log as well.
    ///
    /// # Errors
    /// When the turn has not come by the deadline.
    pub(super) async fn take(&self, ids: &BTreeSet<Uuid>, is_shared: bool, deadline: Instant) -> Result<Turn, Failure> {
        let mut turn = Turn::default();
        for id in ids {
            let (mut place, lock) = self.join(*id);
            place.lock = Some(timeout_at(deadline, lock.lock_owned()).await.map_err(|_| Failure::Overloaded)?);
            turn.0.push(place);
        }
        if is_shared && turn.0.iter().any(|place| place.row() >= ROW) {
            turn.restart();
            sleep(PAUSE).await;
        }
        Ok(turn)
    }

    /// Joins the queue of a stream.
    fn join(&self, id: Uuid) -> (Place, Arc<tokio::sync::Mutex<()>>) {
        let mut queues = locked(&self.0);
        let queue = queues.entry(id).or_default();
        queue.callers += 1;
        (Place { queues: Arc::clone(&self.0), id, lock: None }, Arc::clone(&queue.lock))
    }
}

impl Turn {
    /// The streams of this turn.
    pub(super) fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.0.iter().map(|place| place.id)
    }

    /// Counts a successful append to the streams.
    pub(super) fn count(&self) {
        self.0.iter().for_each(|place| place.set_row(|row| row + 1));
    }

    /// Begins to count anew, after a pause or because another node came first.
    pub(super) fn restart(&self) {
        self.0.iter().for_each(|place| place.set_row(|_| 0));
    }
}

impl Place {
    fn row(&self) -> u32 {
        locked(&self.queues).get(&self.id).map_or(0, |queue| queue.row)
    }

    fn set_row(&self, next: impl Fn(u32) -> u32) {
        if let Some(queue) = locked(&self.queues).get_mut(&self.id) {
            queue.row = next(queue.row);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lock = None;
        let mut queues = locked(&self.queues);
        if let Some(queue) = queues.get_mut(&self.id) {
            queue.callers -= 1;
            if queue.callers == 0 {
                queues.remove(&self.id);
            }
        }
    }
}

fn locked(queues: &Mutex<HashMap<Uuid, Queue>>) -> MutexGuard<'_, HashMap<Uuid, Queue>> {
    // A lock that a panic left behind is used all the same: each change of the queues is complete in itself.
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn ids(ids: impl IntoIterator<Item = u128>) -> BTreeSet<Uuid> {
        ids.into_iter().map(Uuid::from_u128).collect()
    }

    /// The turn at some streams, if nobody has it at any of them.
    fn try_take(turns: &Turns, ids: &BTreeSet<Uuid>) -> Option<Turn> {
        let mut turn = Turn::default();
        turns.try_extend(&mut turn, ids).then_some(turn)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    #[tokio::test]
    async fn callers_of_one_stream_have_their_turns_in_order() {
        let turns = Turns::default();
        let first = try_take(&turns, &ids([1, 2])).unwrap();
        assert!(try_take(&turns, &ids([2, 3])).is_none());
        assert!(try_take(&turns, &ids([3])).is_some(), "a caller in vain leaves no lock behind");
        let streams = ids([2]);
        let mut second = Box::pin(turns.take(&streams, false, soon()));
        let mut third = Box::pin(turns.take(&streams, false, soon()));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        drop(first);
        assert!((&mut third).now_or_never().is_none(), "it is the second caller's turn");
        let second = second.await.unwrap();
        assert!(try_take(&turns, &streams).is_none(), "nobody passes the third caller");
        drop(second);
        drop(third.await.unwrap());
        assert!(locked(&turns.0).is_empty(), "queues without callers are removed");
    }

    #[tokio::test]
    async fn a_turn_is_extended_unless_somebody_else_has_the_turn_there() {
        let turns = Turns::default();
        let mut one = try_take(&turns, &ids([1])).unwrap();
        assert!(turns.try_extend(&mut one, &ids([1, 2])));
        let other = try_take(&turns, &ids([3])).unwrap();
        assert!(!turns.try_extend(&mut one, &ids([1, 2, 3, 4])));
        assert_eq!(one.ids().collect::<BTreeSet<_>>(), ids([1, 2]), "a turn that cannot be extended stays as it was");
        drop(other);
        assert!(turns.try_extend(&mut one, &ids([1, 2, 3, 4])));
        drop(one);
        assert!(locked(&turns.0).is_empty());
    }

    #[tokio::test]
    async fn who_stops_waiting_lets_the_next_have_the_turn() {
        let turns = Turns::default();
        let streams = ids([1]);
        let first = try_take(&turns, &streams).unwrap();
        let mut gone = Box::pin(turns.take(&streams, false, soon()));
        let mut next = Box::pin(turns.take(&streams, false, soon()));
        assert!((&mut gone).now_or_never().is_none() && (&mut next).now_or_never().is_none());
        drop((first, gone));
        drop(next.await.unwrap());
        assert!(locked(&turns.0).is_empty());
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_deadline() {
        let turns = Turns::default();
        let held = try_take(&turns, &ids([1])).unwrap();
        let refused = turns.take(&ids([1]), false, Instant::now()).await;
        assert!(matches!(refused, Err(Failure::Overloaded)));
        drop(held);
        assert!(locked(&turns.0).is_empty());
    }

    #[tokio::test]
    async fn a_node_leaves_a_stream_to_other_nodes_now_and_then() {
        let turns = Turns::default();
        let streams = ids([1]);
        // Somebody always waits, so that the queue lives on.
        let (waiting, _) = turns.join(Uuid::from_u128(1));
        for _ in 0..ROW {
            turns.take(&streams, true, soon()).await.unwrap().count();
        }
        assert_eq!(waiting.row(), ROW);
        drop(turns.take(&streams, false, soon()).await.unwrap());
        assert_eq!(waiting.row(), ROW, "without another node there is no pause");
        let began = Instant::now();
        drop(turns.take(&streams, true, soon()).await.unwrap());
        assert!(began.elapsed() >= PAUSE);
        assert_eq!(waiting.row(), 0, "the row begins anew");
    }
}
