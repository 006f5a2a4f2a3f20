//! Answers that never end: server-sent events for clients who follow the log, or a part of it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::ContentEncoding;
use actix_web::{HttpRequest, HttpResponse, web};
use futures::stream;
use hims_commands::{Caller, Share};
use hims_event_store::Position;
use tokio::sync::broadcast;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::caller::LoggedIn;
use super::events::Concerned;
use super::incarnation::incarnation;
use super::limits::Limits;
use super::reads::{Asked, Shown, record};
use crate::Hospital;
use crate::feed::{Fed, Place};
use crate::hospital::Stage;
use crate::problem::Problem;

/// How often an event stream without new events sends a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The sign of life: a comment of server-sent events, which clients ignore.
const STILL_HERE: &str = ": still here\n\n";
/// How many events a follower reads at once who is behind the feed.
const BEHIND: i64 = 500;

/// The part of the log that a client follows.
pub(super) trait Followed: 'static {
    /// The patient whom all events of the part are about, if there is one.
    fn patient_id(&self) -> Option<Uuid> {
        None
    }

    /// Whether an event belongs to the part.
    fn is_wanted(&self, fed: &Fed) -> bool;

    /// Whether the read tables decide who may read the events, so that the tables must have reached them first.
    fn needs_tables(&self, logged_in: &LoggedIn) -> bool;

    /// Refuses a caller who may not follow the part, or not any more.
    fn authorise(&self, hospital: &Hospital, logged_in: &LoggedIn) -> impl Future<Output = Result<(), Problem>>;

    /// The events as the caller may read them, as server-sent events.
    fn frames(
        &self,
        hospital: &Hospital,
        logged_in: &LoggedIn,
        events: &[Arc<Fed>],
    ) -> impl Future<Output = Result<Arc<str>, Problem>>;
}

/// Answers the events of a part of the log, from a position on, each as soon as it is recorded. The position is that of
/// the last event that the client received, or else the one that it asks for, or else that of the last event of all.
pub(super) fn answer(
    request: &HttpRequest,
    (hospital, limits): (web::Data<Hospital>, &Limits),
    logged_in: LoggedIn,
    (followed, asked): (impl Followed, Asked),
    after: Option<Position>,
) -> Result<HttpResponse, Problem> {
    let after = match (request.headers().get("last-event-id"), after) {
        (Some(last), _) => {
            let position = last.to_str().ok().and_then(|it| it.parse().ok());
            position.ok_or_else(|| Problem::parameter("Last-Event-ID", "must be a position"))?
        }
        (None, Some(after)) => after,
        (None, None) => *hospital.store.head().borrow(),
    };
    let incarnation = incarnation(&hospital);
    let share = limits.streams.take(logged_in.caller.session_id.unwrap_or_default(), hospital.executor.now())?;
    // What is sent from now on is sent without being asked for.
    let logged_in = LoggedIn { is_in_background: true, ..logged_in };
    let (place, unsent, ends) = (None, Vec::new(), hospital.login.ends());
    let follower = Follower { hospital, logged_in, followed, asked, after, place, unsent, ends, _share: share };
    let frames = stream::unfold(follower, |mut follower| async {
        match follower.next().await {
            Ok(frame) => Some((Ok::<_, actix_web::Error>(web::Bytes::from(frame?)), follower)),
            Err(problem) => {
                // The client connects again after its last event, and is answered with the problem then.
                tracing::info!(%problem, "an event stream ended");
                None
            }
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(incarnation)
        .insert_header(("Cache-Control", "no-store"))
        // Compression would hold events back.
        .insert_header(ContentEncoding::Identity)
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(frames))
}

/// Returns when a session has ended, or when it is not known whether it has.
async fn may_have_ended(ends: &mut broadcast::Receiver<Uuid>, session: Option<Uuid>) {
    while ends.recv().await.is_ok_and(|it| Some(it) != session) {}
}

/// A client that follows a part of the log: its login, and the position up to which it has received events.
struct Follower<F> {
    hospital: web::Data<Hospital>,
    logged_in: LoggedIn,
    followed: F,
    asked: Asked,
    after: Position,
    /// The place among the followers of the feed; `None` before the first event and after the follower was too slow.
    place: Option<Place>,
    /// Events that wait until the read tables, which decide who may read the events, have reached them.
    unsent: Vec<Arc<Fed>>,
    /// The sessions that end.
    ends: broadcast::Receiver<Uuid>,
    /// The share of the event streams that the session may have open.
    _share: Share<Uuid>,
}

impl<F: Followed> Follower<F> {
    /// The next events, or a sign of life; `None` when the server stops; a problem when the session is over.
    async fn next(&mut self) -> Result<Option<String>, Problem> {
        let mut stage = self.hospital.stage.subscribe();
        let session = self.logged_in.caller.session_id;
        let mut ends = std::mem::replace(&mut self.ends, self.hospital.login.ends());
        if self.unsent.is_empty() {
            self.unsent = tokio::select! {
                _ = stage.wait_for(|it| *it == Stage::Stopping) => return Ok(None),
                () = may_have_ended(&mut ends, session) => Vec::new(),
                events = self.new_events() => events?,
            };
        }
        let last = self.unsent.last().map(|it| it.event.position);
        let runner = self.hospital.runner.as_ref().filter(|_| self.followed.needs_tables(&self.logged_in));
        let are_shown = match runner.zip(last) {
            Some((runner, last)) => timeout(HEARTBEAT, runner.reach(last)).await.is_ok(),
            None => true,
        };
        let caller = &self.logged_in.caller;
        let (origin, purpose_of_use) = ((caller.ip, caller.user_agent.clone()), caller.purpose_of_use);
        // The session may have ended, or the caller's rights may have changed, since the last round and during the wait.
        let caller = self.hospital.login.is_still(&self.logged_in.token_hash, origin).await?;
        self.logged_in.caller = Caller { purpose_of_use, ..caller.ok_or_else(Problem::unauthenticated)? };
        let Some(last) = last.filter(|_| are_shown) else {
            self.followed.authorise(&self.hospital, &self.logged_in).await?;
            return Ok(Some(STILL_HERE.to_owned()));
        };
        let events = std::mem::take(&mut self.unsent);
        let frames = self.followed.frames(&self.hospital, &self.logged_in, &events).await?;
        if frames.is_empty() {
            self.after = last;
            return Ok(Some(STILL_HERE.to_owned()));
        }
        let shown = Shown::of_concerned(events.iter().map(|it| it.concerned));
        record(&self.hospital, &self.logged_in, self.asked.clone(), shown).await?;
        self.after = last;
        Ok(Some(frames.to_string()))
    }

    /// New events of the part; none if there was none for a while.
    async fn new_events(&mut self) -> Result<Vec<Arc<Fed>>, Problem> {
        let until = Instant::now() + HEARTBEAT;
        loop {
            let feed = &self.hospital.feed;
            let place = self.place.get_or_insert_with(|| feed.follow(self.followed.patient_id()));
            let events: Vec<_> = if self.after < place.from {
                let read = self.hospital.store.read(self.after, BEHIND.min(place.from - self.after)).await?;
                self.after = read.last().map_or(place.from, |it| it.position);
                let fed = |event| Arc::new(Fed { concerned: Concerned::of(&event), event });
                read.into_iter().map(fed).filter(|it| self.followed.is_wanted(it)).collect()
            } else {
                match timeout_at(until, place.events.recv()).await {
                    Ok(Some(batch)) => {
                        let is_new = |it: &&Arc<Fed>| it.event.position > self.after && self.followed.is_wanted(it);
                        batch.iter().filter(is_new).cloned().collect()
                    }
                    Ok(None) => {
                        self.place = None;
                        continue;
                    }
                    Err(_) => return Ok(Vec::new()),
                }
            };
            // Events that the client did not ask for do not put off the line that keeps the connection open.
            if !events.is_empty() || Instant::now() >= until {
                return Ok(events);
            }
        }
    }
}
