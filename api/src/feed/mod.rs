//! The feed: one task of the node reads each new event of the log once and hands the event to all who follow the log in
//! this node. A follower who takes the events too slowly is let go, and reads on by itself.

mod frames;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hims_domain::erasure::Person;
use hims_event_store::{EventStore, Position, Recorded};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use uuid::Uuid;

pub(crate) use frames::Frames;

use crate::routes::Concerned;

/// The pause after each look at the log, so that events of this time are handed out together.
const TOGETHER: Duration = Duration::from_millis(20);
/// How many events are read at once.
const BATCH: i64 = 1_000;
/// How many batches may wait for a follower before the follower is let go.
const WAITING: usize = 64;
/// The pause before the feed reads again after the log could not be read.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// A new event, with the people whom the event concerns.
#[derive(Debug)]
pub(crate) struct Fed {
    pub(crate) event: Recorded,
    pub(crate) concerned: Concerned,
}

/// New events in the order of the log. Whoever follows one patient is handed the events about this patient only.
pub(crate) type Batch = Arc<[Arc<Fed>]>;

/// A place among the followers.
pub(crate) struct Place {
    /// The new events. Ends when the follower was too slow, another server has taken over, or the feed has ended.
    pub(crate) events: mpsc::Receiver<Batch>,
    /// The follower is handed the events after this position, and reads earlier events itself.
    pub(crate) from: Position,
}

/// What the feed tells whoever must know of an event before any follower is handed it.
pub(crate) enum News<'a> {
    /// These events, which were read in this timeline of the log, are about to be handed out.
    Events(&'a [Recorded], i32),
    /// Events may have been missed.
    Missed,
}

impl News<'_> {
    /// The people whom the events erased.
    pub(crate) fn erased(&self) -> impl Iterator<Item = Person> {
        let events = if let Self::Events(events, _) = self { *events } else { &[] };
        events.iter().filter_map(|it| Person::erased_by(&it.event_type, it.stream_id))
    }
}

/// The followers of the log in this node.
pub(crate) struct Feed {
    /// What followers are sent.
    pub(crate) frames: Arc<Frames>,
    followers: Arc<Mutex<Followers>>,
    task: JoinHandle<()>,
}

struct Followers {
    /// The last position that was handed out.
    position: Position,
    /// Those who follow one patient, by the patient.
    of_patients: HashMap<Uuid, Vec<mpsc::Sender<Batch>>>,
    /// Those who follow the whole log.
    of_everything: Vec<mpsc::Sender<Batch>>,
}

impl Feed {
    /// Begins to read the log after its current head. `first` is told of events before any follower is handed them.
    pub(crate) fn start(store: Arc<dyn EventStore>, first: impl Fn(News<'_>) + Send + 'static) -> Self {
        let position = *store.head().borrow();
        let followers = Followers { position, of_patients: HashMap::new(), of_everything: Vec::new() };
        let followers = Arc::new(Mutex::new(followers));
        let frames = Arc::new(Frames::new());
        let forgetful = Arc::clone(&frames);
        let first = move |news: News<'_>| {
            if news.erased().next().is_some() || matches!(news, News::Missed) {
                forgetful.forget_all();
            }
            first(news);
        };
        let task = tokio::spawn(hand_out(store, Arc::clone(&followers), first));
        Self { frames, followers, task }
    }

    /// Begins to follow the events about a patient, or all events.
    pub(crate) fn follow(&self, patient_id: Option<Uuid>) -> Place {
        let (sender, events) = mpsc::channel(WAITING);
        let mut followers = lock(&self.followers);
        match patient_id {
            Some(patient_id) => followers.of_patients.entry(patient_id).or_default().push(sender),
            None => followers.of_everything.push(sender),
        }
        Place { events, from: followers.position }
    }

    /// Stops reading the log, which ends the events of all followers.
    pub(crate) fn stop(&self) {
        self.task.abort();
        let mut followers = lock(&self.followers);
        followers.of_patients.clear();
        followers.of_everything.clear();
    }
}

fn lock(followers: &Mutex<Followers>) -> MutexGuard<'_, Followers> {
    followers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the new events of the log and hands them out, until the task is aborted.
async fn hand_out(
    store: Arc<dyn EventStore>,
    followers: Arc<Mutex<Followers>>,
    first: impl Fn(News<'_>) + Send + 'static,
) {
    let (mut head, mut timeline) = (store.head(), store.timeline());
    let mut position = lock(&followers).position;
    loop {
        if !store.knows_head() {
            sleep(TOGETHER).await;
            continue;
        }
        let end = *head.borrow_and_update();
        if store.timeline() != timeline {
            timeline = store.timeline();
            position = end;
            first(News::Missed);
            lock(&followers).begin_anew(end);
        }
        // Nobody is handed an event that is not known to be in the log.
        if end <= position {
            if head.changed().await.is_err() {
                return;
            }
            continue;
        }
        match store.read(position, BATCH.min(end - position)).await {
            Ok(events) => {
                position = events.last().map_or(position, |it| it.position);
                first(News::Events(&events, timeline));
                lock(&followers).hand_out(events);
                sleep(TOGETHER).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the new events could not be read for event streams; trying again");
                sleep(AFTER_ERROR).await;
            }
        }
    }
}

impl Followers {
    /// Lets all followers go, since another server has taken over: the log may end earlier there than what they were
    /// handed. They read on by themselves up to the position.
    fn begin_anew(&mut self, position: Position) {
        self.position = position;
        self.of_patients.clear();
        self.of_everything.clear();
    }

    fn hand_out(&mut self, events: Vec<Recorded>) {
        let Some(last) = events.last().map(|it| it.position) else { return };
        self.position = last;
        let events: Vec<_> =
            events.into_iter().map(|event| Arc::new(Fed { concerned: Concerned::of(&event), event })).collect();
        let mut of_patients: HashMap<Uuid, Vec<Arc<Fed>>> = HashMap::new();
        for fed in &events {
            if let Some(patient_id) = fed.concerned.patient_id.filter(|it| self.of_patients.contains_key(it)) {
                of_patients.entry(patient_id).or_default().push(Arc::clone(fed));
            }
        }
        send(&mut self.of_everything, &events.into());
        for (patient_id, events) in of_patients {
            if let Some(followers) = self.of_patients.get_mut(&patient_id) {
                send(followers, &events.into());
            }
        }
        // Whoever left before an event about their patient is forgotten here.
        self.of_patients.retain(|_, followers| {
            followers.retain(|follower| !follower.is_closed());
            !followers.is_empty()
        });
    }
}

/// Hands a batch to some followers, and lets go those who have left or for whom too many batches wait.
fn send(followers: &mut Vec<mpsc::Sender<Batch>>, batch: &Batch) {
    followers.retain(|follower| follower.try_send(Arc::clone(batch)).is_ok());
}

#[cfg(test)]
mod tests {
    use hims_event_store::{Append, MasterKey, MemoryEventStore, NewEvent, StreamAppend, Subject, Upcasters};
    use serde_json::json;

    use super::*;

    fn log() -> Arc<MemoryEventStore> {
        Arc::new(MemoryEventStore::new(MasterKey::new(&[7; 32]), Upcasters::default()))
    }

    /// Records an event about a patient, and returns its position.
    async fn record(log: &MemoryEventStore, patient: u128) -> Position {
        let event = NewEvent { event_type: "appointment.confirmed".to_owned(), data: json!(null) };
        let id = Uuid::from_u128(u128::try_from(*log.head().borrow()).expect("positive") + 1_000);
        let subject = Subject { kind: "patient".to_owned(), id: Uuid::from_u128(patient) };
        let stream = StreamAppend { subject: Some(subject), ..StreamAppend::begin("appointment", id, [event]) };
        log.append(Append::stream(stream)).await.expect("recorded").last
    }

    async fn positions(place: &mut Place, count: usize) -> Vec<Position> {
        let mut positions = Vec::new();
        while positions.len() < count {
            let batch = place.events.recv().await.expect("a batch");
            positions.extend(batch.iter().map(|it| it.event.position));
        }
        positions
    }

    #[tokio::test]
    async fn everybody_is_handed_what_they_follow_and_nothing_else() {
        let log = log();
        record(&log, 1).await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let first = {
            let told = Arc::clone(&told);
            move |news: News<'_>| {
                if let News::Events(events, _) = news {
                    told.lock().expect("a lock").extend(events.iter().map(|it| it.position));
                }
            }
        };
        let feed = Feed::start(log.clone(), first);
        let (mut all, mut one) = (feed.follow(None), feed.follow(Some(Uuid::from_u128(1))));
        assert_eq!((all.from, one.from), (1, 1));
        for patient in [2, 1, 2, 1] {
            record(&log, patient).await;
        }
        assert_eq!(positions(&mut all, 4).await, [2, 3, 4, 5]);
        assert_eq!(*told.lock().expect("a lock"), [2, 3, 4, 5]);
        assert_eq!(positions(&mut one, 2).await, [3, 5]);
        assert_eq!(feed.follow(None).from, 5);
    }

    #[tokio::test]
    async fn whoever_is_too_slow_is_let_go_and_whoever_leaves_is_forgotten() {
        let log = log();
        let feed = Feed::start(log.clone(), |_| {});
        let (mut slow, left) = (feed.follow(Some(Uuid::from_u128(1))), feed.follow(Some(Uuid::from_u128(2))));
        drop(left);
        let mut all = feed.follow(None);
        for nth in 1..=i64::try_from(WAITING).expect("few") + 2 {
            assert_eq!(record(&log, 1).await, nth);
            // One batch for each event, since the next event is recorded when this one was handed out.
            assert_eq!(positions(&mut all, 1).await, [nth]);
        }
        let mut handed = 0;
        while slow.events.recv().await.is_some() {
            handed += 1;
        }
        assert_eq!(handed, WAITING);
        assert!(lock(&feed.followers).of_patients.is_empty());
        feed.stop();
        assert!(all.events.recv().await.is_none());
    }
}
