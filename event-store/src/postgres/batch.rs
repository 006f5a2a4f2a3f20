//! Chooses which of the waiting appends are written together.

use std::collections::{HashSet, VecDeque};
use tokio::time::Instant;
use uuid::Uuid;

use super::writer::Pending;
use crate::prepare::{Key, Prepared, PreparedClaim};

/// How many events a batch holds before it takes no further request.
const EVENTS: usize = 8192;
/// How many bytes of events a batch holds before it takes no further request.
const BYTES: usize = 8 << 20;

/// Appends that are written in one transaction. No append of a batch depends on a stream, key, booking or command that
/// an earlier append of the batch changes, so each append can be checked without regard to the others.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) requests: Vec<Pending>,
    streams: HashSet<Uuid>,
    keys: HashSet<Key>,
    resources: HashSet<Uuid>,
    bookers: HashSet<Uuid>,
    commands: HashSet<Uuid>,
    events: usize,
    bytes: usize,
}

impl Batch {
    /// Takes the waiting appends that can be written together, in their order, and leaves the other appends waiting.
    /// Leaves out the appends whose time is over. The batch is empty only when no append waits.
    pub(super) fn take(waiting: &mut VecDeque<Pending>) -> Self {
        let mut batch = Self::default();
        for _ in 0..waiting.len() {
            let Some(request) = waiting.pop_front() else { break };
            if !batch.admits(&request.prepared) {
                waiting.push_back(request);
            } else if let Some(request) = request.take() {
                batch.push(request);
            }
        }
        batch
    }

    /// When the last caller of the batch stops waiting.
    pub(super) fn until(&self) -> Option<Instant> {
        self.requests.iter().map(|it| it.until).max()
    }

    /// A batch of one append.
    pub(super) fn of(request: Pending) -> Self {
        let mut batch = Self::default();
        batch.push(request);
        batch
    }

    fn admits(&self, request: &Prepared) -> bool {
        let room = self.requests.is_empty() || (self.events < EVENTS && self.bytes < BYTES);
        room && !request.streams.iter().any(|it| self.streams.contains(&it.stream_id))
            && !request.versions.iter().any(|(id, _)| self.streams.contains(id))
            && !request.owner_counts.iter().any(|(key, _)| self.keys.contains(key))
            && !request.receipt.as_ref().is_some_and(|it| self.commands.contains(&it.command_id))
            && !request.claims.iter().any(|claim| match claim {
                PreparedClaim::Take(key, _) | PreparedClaim::Release(key, _) | PreparedClaim::Unshare(key, _) => {
                    self.keys.contains(key)
                }
                PreparedClaim::Share(..) => false,
                PreparedClaim::Book(booked) => self.resources.contains(&booked.resource),
                PreparedClaim::Unbook { owner } => self.bookers.contains(owner),
            })
    }

    fn push(&mut self, request: Pending) {
        let prepared = &request.prepared;
        for stream in &prepared.streams {
            self.streams.insert(stream.stream_id);
            self.events += stream.events.len();
            self.bytes += stream.events.iter().map(|it| it.data.len() + stream.metadata.len()).sum::<usize>();
        }
        self.commands.extend(prepared.receipt.as_ref().map(|it| it.command_id));
        for claim in &prepared.claims {
            match claim {
                PreparedClaim::Take(key, _)
                | PreparedClaim::Release(key, _)
                | PreparedClaim::Share(key, _)
                | PreparedClaim::Unshare(key, _) => drop(self.keys.insert(key.clone())),
                PreparedClaim::Book(booked) => {
                    self.resources.insert(booked.resource);
                    self.bookers.insert(booked.owner);
                }
                PreparedClaim::Unbook { .. } => {}
            }
        }
        self.requests.push(request);
    }
}
