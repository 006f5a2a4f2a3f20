//! What a node does beside answering requests, until the hospital is closed.

use std::sync::Arc;

use hims_commands::{Executor, Login};
use hims_domain::erasure::Person;
use hims_domain::{Aggregate, department::Department, role::Role, session::Session, user::User};
use hims_event_store::{EventStore, Recorded};
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::archiver::keep_archiving;
use crate::feed::{Feed, News};

/// Starts the tasks. `archived` says on which connections, and after how many years, old rows are archived.
pub(super) fn start(executor: &Arc<Executor>, archived: Option<(PgPool, u32)>) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![tokio::spawn(Arc::clone(executor).keep_recording_repeats())];
    tasks.extend(archived.map(|(pool, years)| tokio::spawn(keep_archiving(pool, years))));
    tasks
}

/// Starts the feed, which tells the executor and the logins of what they must know before any follower is handed it.
pub(super) fn start_feed(store: &Arc<dyn EventStore>, executor: &Arc<Executor>, login: &Arc<Login>) -> Feed {
    let (executor, login, log) = (Arc::clone(executor), Arc::clone(login), Arc::clone(store));
    Feed::start(Arc::clone(store), move |news| {
        if let News::Events(events, _) = news {
            executor.note_new_events(events);
        }
        note_erasures(&executor, log.as_ref(), &news);
        note_access(&login, &news);
    })
}

/// Forgets a remembered session as soon as an event changes what its caller may do, whichever process recorded it. The
/// feed tells this first, so that nobody is handed an event after the one that ended the session.
fn note_access(login: &Login, news: &News<'_>) {
    match news {
        News::Events(events, _) => {
            for event in events.iter().filter(|it| changes_access(it)) {
                match event.event_type.as_str() {
                    "session.ended" => login.note_end(event.stream_id),
                    _ => login.forget(event.stream_id),
                }
            }
        }
        News::Missed => login.forget_all(),
    }
}

/// Forgets the keys of people whom an event erased, and the states in which something may stand about them, whichever
/// process recorded the event.
fn note_erasures(executor: &Executor, store: &dyn EventStore, news: &News<'_>) {
    let erased: Vec<_> = news.erased().map(Person::id).collect();
    match news {
        News::Events(..) if erased.is_empty() => return,
        News::Events(_, timeline) => store.vault().forget(&erased, *timeline),
        News::Missed => store.vault().forget_fetched_keys(),
    }
    executor.forget_states();
}

/// Whether an event changes what a caller may do. The start of a session does not; of the events of patients, only
/// those of merges do.
fn changes_access(event: &Recorded) -> bool {
    let of_access = [User::STREAM, Role::STREAM, Session::STREAM, Department::STREAM];
    match event.event_type.as_str() {
        "session.started" => false,
        "patient.merged_into" | "patient.unmerged" | "patient.duplicate_merged" | "patient.duplicate_unmerged" => true,
        _ => of_access.contains(&event.stream_type.as_str()),
    }
}
