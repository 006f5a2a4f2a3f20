//! What is known of the catalogues of the hospital: their contents, and up to which position they have not changed
//! since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hims_event_store::Position;
use hims_projections::query::Contents;
use hims_projections::{TABLES, Table, tables_changed_by};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::feed::{Fed, Feed};

/// The pause after a look at the contents of a catalogue: at least this long, and at least so many times as long as the
/// look took.
const REST: (Duration, u32) = (Duration::from_secs(2), 20);
/// How long after a look that failed the next one begins.
const REST_AFTER_FAILURE: Duration = Duration::from_mins(1);
/// How long to wait for the events up to a position that was read.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what is known may lie behind the read tables before the tables are read.
const BEHIND: Duration = Duration::from_secs(1);

/// The catalogues, kept up to date by following the log.
pub(super) struct Catalogues {
    known: Mutex<Known>,
    /// Up to which position the log was followed.
    followed: watch::Sender<Position>,
}

#[derive(Debug, Default)]
struct Known {
    catalogues: HashMap<&'static str, Catalogue>,
    /// How often following the log began. What was found before the last beginning does not count.
    beginning: u64,
    /// Since when less is known than the read tables show.
    behind_since: Option<Instant>,
}

#[derive(Debug, Default)]
struct Catalogue {
    /// The position of the last event that may have changed the catalogue.
    changed: Position,
    /// What is in the catalogue, if that was looked at since it changed.
    contents: Option<Contents>,
    /// When somebody may look next; `None` while somebody looks.
    next_look: Option<Instant>,
}

impl Catalogue {
    /// What is in the catalogue, unless it may have changed since that was looked at.
    fn present(&self) -> Option<&Contents> {
        self.contents.as_ref().filter(|it| it.position >= self.changed)
    }
}

/// What is in a catalogue at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Present {
    /// Differs wherever the rows differ.
    pub(super) digest: String,
    /// The position at which that was looked at.
    at: Position,
    /// The catalogue has not changed up to this position.
    pub(super) until: Position,
    beginning: u64,
}

/// A look at the contents of a catalogue, which somebody has to take.
#[derive(Debug)]
pub(super) struct Look {
    beginning: u64,
    began: Instant,
}

impl Catalogues {
    pub(super) fn new() -> Arc<Self> {
        let names = TABLES.iter().filter(|it| it.is_catalogue).map(|it| it.name);
        let catalogue = |name| (name, Catalogue { next_look: Some(Instant::now()), ..Catalogue::default() });
        let known = Known { catalogues: names.map(catalogue).collect(), ..Known::default() };
        Arc::new(Self { known: Mutex::new(known), followed: watch::Sender::new(0) })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the log, for as long as the feed hands out events.
    pub(super) async fn follow(self: Arc<Self>, feed: Arc<Feed>) {
        loop {
            let mut place = feed.follow(None);
            self.begin(place.from);
            while let Some(events) = place.events.recv().await {
                self.note(&events);
            }
            // The feed let this task go, which may have missed an event.
        }
    }

    /// Begins to follow the log at a position, with nothing known.
    fn begin(&self, position: Position) {
        let mut known = self.known();
        known.beginning += 1;
        for catalogue in known.catalogues.values_mut() {
            (catalogue.changed, catalogue.contents) = (position, None);
        }
        self.followed.send_replace(position);
    }

    fn note(&self, events: &[Arc<Fed>]) {
        let mut known = self.known();
        for fed in events {
            for name in tables_changed_by(&fed.event.stream_type) {
                if let Some(catalogue) = known.catalogues.get_mut(name) {
                    catalogue.changed = fed.event.position;
                }
            }
        }
        // Under the lock: whoever sees the position sees what has changed up to it.
        if let Some(last) = events.last() {
            self.followed.send_replace(last.event.position);
        }
    }

    /// What is in a catalogue now; `None` if that is not known, or if the read tables have shown more for a while.
    /// `position` is that of the read tables.
    pub(super) fn present(&self, catalogue: &Table, position: Position) -> Option<Present> {
        let mut known = self.known();
        let until = *self.followed.borrow();
        if position <= until {
            known.behind_since = None;
        } else if known.behind_since.get_or_insert_with(Instant::now).elapsed() > BEHIND {
            return None;
        }
        let contents = known.catalogues.get(catalogue.name)?.present()?;
        Some(Present { digest: contents.digest.clone(), at: contents.position, until, beginning: known.beginning })
    }

    /// The look that somebody should take at the contents of a catalogue now, if any. Whoever is told so takes it.
    pub(super) fn wanted_look(&self, catalogue: &Table) -> Option<Look> {
        let mut known = self.known();
        let beginning = known.beginning;
        let catalogue = known.catalogues.get_mut(catalogue.name)?;
        if catalogue.present().is_some() || catalogue.next_look.is_none_or(|at| Instant::now() < at) {
            return None;
        }
        catalogue.next_look = None;
        Some(Look { beginning, began: Instant::now() })
    }

    /// Takes note of what is in a catalogue; of `None` if the look failed.
    pub(super) fn looked(&self, catalogue: &Table, look: &Look, contents: Option<Contents>) {
        let mut known = self.known();
        let is_of_now = look.beginning == known.beginning;
        let Some(catalogue) = known.catalogues.get_mut(catalogue.name) else { return };
        let rest = match &contents {
            Some(_) => REST.0.max(look.began.elapsed() * REST.1),
            None => REST_AFTER_FAILURE,
        };
        catalogue.next_look = Some(Instant::now() + rest);
        if is_of_now {
            catalogue.contents = contents;
        }
    }

    /// Whether what was read of a catalogue at a position comes from the same rows that are present. Waits for the
    /// events up to there.
    pub(super) async fn is_unchanged(&self, catalogue: &Table, present: &Present, position: Position) -> bool {
        let (first, last) = (position.min(present.at), position.max(present.at));
        let mut followed = self.followed.subscribe();
        if !matches!(timeout(PATIENCE, followed.wait_for(|it| *it >= last)).await, Ok(Ok(_))) {
            return false;
        }
        let known = self.known();
        let has_not_changed = known.catalogues.get(catalogue.name).is_some_and(|it| it.changed <= first);
        known.beginning == present.beginning && has_not_changed
    }
}

#[cfg(test)]
mod tests {
    use hims_event_store::{EventStore as _, MasterKey, MemoryEventStore, NewEvent, StreamAppend, Upcasters};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn catalogue(name: &str) -> &'static Table {
        TABLES.iter().find(|it| it.name == name).expect("a catalogue")
    }

    /// An event of a stream, as the feed hands it out.
    async fn fed(stream_type: &'static str, position: Position) -> Arc<Fed> {
        let log = MemoryEventStore::new(MasterKey::new(&[7; 32]), Upcasters::default());
        let event = NewEvent { event_type: "thing.done".to_owned(), data: json!(null) };
        let stream = StreamAppend::begin(stream_type, Uuid::from_u128(1), [event]);
        log.append(hims_event_store::Append::stream(stream)).await.expect("recorded");
        let mut event = log.read(0, 1).await.expect("read").remove(0);
        event.position = position;
        Arc::new(Fed { concerned: crate::routes::Concerned::of(&event), event })
    }

    fn contents(digest: &str, position: Position) -> Contents {
        Contents { digest: digest.to_owned(), position }
    }

    /// The digest of what is present, and up to where it is.
    fn known(catalogues: &Catalogues, table: &Table) -> Option<(String, Position)> {
        catalogues.present(table, 0).map(|it| (it.digest, it.until))
    }

    fn of(digest: &str, until: Position) -> (String, Position) {
        (digest.to_owned(), until)
    }

    #[tokio::test(start_paused = true)]
    async fn a_catalogue_is_known_until_an_event_may_have_changed_it() {
        let (catalogues, rooms, payers) = (Catalogues::new(), catalogue("rooms"), catalogue("payers"));
        catalogues.begin(5);
        assert_eq!(known(&catalogues, rooms), None);
        let look = catalogues.wanted_look(rooms).expect("somebody should look");
        assert!(catalogues.wanted_look(rooms).is_none(), "one looks");
        catalogues.looked(rooms, &look, Some(contents("a", 4)));
        assert_eq!(known(&catalogues, rooms), None, "before the log was followed");
        assert!(catalogues.wanted_look(rooms).is_none(), "not at once");
        tokio::time::advance(REST.0).await;
        let look = catalogues.wanted_look(rooms).expect("somebody should look");
        catalogues.looked(rooms, &look, Some(contents("a", 5)));
        let look = catalogues.wanted_look(payers).expect("somebody should look");
        catalogues.looked(payers, &look, Some(contents("p", 6)));
        assert_eq!(known(&catalogues, rooms), Some(of("a", 5)));
        catalogues.note(&[fed("appointment", 6).await]);
        assert_eq!(known(&catalogues, rooms), Some(of("a", 6)));
        catalogues.note(&[fed("room", 7).await, fed("appointment", 8).await]);
        assert_eq!((known(&catalogues, rooms), known(&catalogues, payers)), (None, Some(of("p", 8))));
        assert_eq!(known(&catalogues, catalogue("patients")), None);
        assert!(catalogues.wanted_look(payers).is_none() && catalogues.wanted_look(catalogue("patients")).is_none());
        // The tables have shown more for a while than what is known.
        assert!(catalogues.present(payers, 9).is_some());
        tokio::time::advance(BEHIND * 2).await;
        assert!(catalogues.present(payers, 9).is_none() && catalogues.present(payers, 8).is_some());
        // What was known before the log was followed anew does not count, nor what was looked at before.
        tokio::time::advance(REST.0).await;
        let look = catalogues.wanted_look(rooms).expect("somebody should look");
        catalogues.begin(7);
        catalogues.looked(rooms, &look, Some(contents("b", 8)));
        assert_eq!((known(&catalogues, rooms), known(&catalogues, payers)), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_of_what_is_present_only_if_nothing_changed_in_between() {
        let (catalogues, rooms) = (Catalogues::new(), catalogue("rooms"));
        catalogues.begin(5);
        let look = catalogues.wanted_look(rooms).expect("somebody should look");
        catalogues.note(&[fed("room", 6).await]);
        catalogues.looked(rooms, &look, Some(contents("a", 9)));
        let present = catalogues.present(rooms, 0).expect("known");
        assert!(!catalogues.is_unchanged(rooms, &present, 6).await, "the log was not followed up to the look");
        catalogues.note(&[fed("appointment", 9).await]);
        assert!(catalogues.is_unchanged(rooms, &present, 6).await && catalogues.is_unchanged(rooms, &present, 9).await);
        assert!(!catalogues.is_unchanged(rooms, &present, 5).await, "read by somebody who was behind the change");
        assert!(!catalogues.is_unchanged(rooms, &present, 10).await, "the log was not followed so far");
        catalogues.note(&[fed("room", 10).await, fed("appointment", 11).await]);
        assert!(!catalogues.is_unchanged(rooms, &present, 9).await, "it has changed since");
        catalogues.begin(11);
        assert!(!catalogues.is_unchanged(rooms, &present, 11).await, "the log was followed anew");
    }
}
