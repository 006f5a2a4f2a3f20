//! What a node does beside answering requests, until the hospital is closed.

use std::sync::Arc;

use hims_commands::{Executor, Login};
use hims_domain::{Aggregate, department::Department, role::Role, session::Session, user::User};
use hims_event_store::Recorded;
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::archiver::keep_archiving;
use crate::feed::News;

/// Starts the tasks. `archived` says on which connections, and after how many years, old rows are archived.
pub(super) fn start(executor: &Arc<Executor>, archived: Option<(PgPool, u32)>) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![tokio::spawn(Arc::clone(executor).keep_recording_repeats())];
    tasks.extend(archived.map(|(pool, years)| tokio::spawn(keep_archiving(pool, years))));
    tasks
}

/// Forgets a remembered session as soon as an event changes what its caller may do, whichever process recorded it. The
/// feed tells this first, so that nobody is handed an event after the one that ended the session.
pub(super) fn note_access(login: &Login, news: &News<'_>) {
    match news {
        News::Events(events) => {
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
