//! How a node reaches the model: sessions, and everything that can happen to a statement on its way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::sleep;

use super::cluster::{Cluster, Planted, lost};
use super::tables::{Booking, Change, Written};
use crate::LogClock;
use crate::postgres::check::{Answers, Questions};
use crate::postgres::database::{Database, Session};
use crate::postgres::read::Head;
use crate::postgres::timeline::Timelines;
use crate::postgres::write::Columns;
use crate::prepare::Key;

/// The database as one node reaches it.
pub(super) struct Reached {
    pub(super) cluster: Arc<Cluster>,
    /// The server to which the node connects.
    pub(super) leads_to: watch::Receiver<usize>,
}

/// A session of a node on a server.
pub(super) struct ModelSession {
    cluster: Arc<Cluster>,
    at: usize,
    start: u64,
    /// The lock of a transaction, and what the transaction writes.
    locked: Option<(OwnedMutexGuard<()>, Option<Change>)>,
}

impl Database for Reached {
    type Session = ModelSession;

    async fn open(&self) -> Result<ModelSession, sqlx::Error> {
        let (cluster, at) = (Arc::clone(&self.cluster), *self.leads_to.borrow());
        cluster.chance.pause().await;
        let start = cluster.places[at].starts.get();
        Ok(ModelSession { cluster, at, start, locked: None })
    }

    async fn free_head(&self) -> Result<u64, sqlx::Error> {
        Ok(0)
    }
}

impl ModelSession {
    /// Sends a statement, which may be lost on its way, or whose answer may be lost. The server carries it out even if
    /// nobody waits for the answer any more.
    async fn send<T: Send + 'static>(
        &self,
        statement: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, sqlx::Error> {
        if self.cluster.places[self.at].starts.get() != self.start {
            return Err(lost("the server was restarted"));
        }
        let fate = self.cluster.chance.below(100);
        let delay = Duration::from_millis(self.cluster.chance.below(if fate == 2 { 3_000 } else { 4 }));
        if fate == 0 {
            return Err(lost("the statement was lost"));
        }
        let (cluster, at) = (Arc::clone(&self.cluster), self.at);
        let carried_out = tokio::spawn(async move {
            let isolated = &cluster.places[at].isolated;
            sleep(delay).await;
            isolated.until(|it| !it).await;
            let answer = statement.await;
            isolated.until(|it| !it).await;
            answer
        });
        match fate {
            1 => {
                let _ = carried_out.await;
                Err(lost("the answer was lost"))
            }
            // The statement arrives when the caller has given it up.
            2 => Err(lost("the connection broke")),
            _ => carried_out.await.expect("no panic in the model"),
        }
    }
}

impl Session for ModelSession {
    async fn take_up(&mut self, timelines: &Timelines) -> Result<i32, sqlx::Error> {
        let found = self.cluster.timeline(self.at);
        if !self.cluster.server(self.at).accepts_changes {
            return Err(lost("the server is a standby"));
        }
        timelines.meet(found)?;
        if self.cluster.server(self.at).tables.noted != found {
            let (cluster, at) = (Arc::clone(&self.cluster), self.at);
            self.send(async move {
                let _row = cluster.places[at].row.lock().await;
                cluster.commit(at, Change::TakenUp(found)).await
            })
            .await?;
        }
        Ok(found.number)
    }

    async fn head(&mut self, clock: &LogClock) -> Result<Head, sqlx::Error> {
        let now = std::time::Instant::now();
        clock.measured(now, now, self.cluster.now);
        Ok(self.cluster.server(self.at).tables.head)
    }

    async fn lock_head(&mut self) -> Result<Head, sqlx::Error> {
        let row = Arc::clone(&self.cluster.places[self.at].row);
        let (cluster, at) = (Arc::clone(&self.cluster), self.at);
        let (row, head) = self
            .send(async move {
                let row = row.lock_owned().await;
                let head = cluster.server(at).tables.head;
                Ok((row, head))
            })
            .await?;
        self.locked = Some((row, None));
        Ok(head)
    }

    async fn ask(&mut self, questions: &Questions<'_>) -> Result<Answers, sqlx::Error> {
        self.cluster.chance.pause().await;
        let server = self.cluster.server(self.at);
        let tables = &server.tables;
        let owner = |key: &&Key| Some(((*key).clone(), *tables.unique.get(*key)?));
        let booked = questions.booked.iter().map(|wanted| {
            let overlaps =
                |it: &&Booking| it.resource == wanted.resource && it.since < wanted.until && wanted.from < it.until;
            let owners = tables.booked.iter().filter(overlaps).map(|it| it.owner).collect();
            ((wanted.resource, wanted.owner), owners)
        });
        Ok(Answers {
            versions: questions.streams.iter().map(|id| (*id, tables.version(*id))).collect(),
            owners: questions.taken.iter().filter_map(owner).collect(),
            counts: HashMap::new(),
            booked: booked.collect(),
            recorded: questions.commands.iter().filter(|id| tables.receipts.contains_key(id)).copied().collect(),
        })
    }

    async fn write(&mut self, columns: &Columns<'_>) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        let (batch, cluster, at) = (Arc::new(Written::of(columns)), Arc::clone(&self.cluster), self.at);
        let now = cluster.now;
        if let Some((_, change)) = &mut self.locked {
            let is_written = cluster.judge(at, &batch)?;
            *change = is_written.then_some(Change::Batch(batch));
            return Ok(is_written.then_some(now));
        }
        let writing = async move {
            let _row = cluster.places[at].row.lock().await;
            if !cluster.judge(at, &batch)? {
                return Ok(None);
            }
            cluster.commit(at, Change::Batch(batch)).await?;
            Ok(Some(now))
        };
        self.send(writing).await
    }

    async fn commit(&mut self) -> Result<(), sqlx::Error> {
        let Some((row, change)) = self.locked.take() else { return Ok(()) };
        let (cluster, at) = (Arc::clone(&self.cluster), self.at);
        let committing = async move {
            let committed = match change {
                Some(change) => cluster.commit(at, change).await,
                None => Ok(()),
            };
            drop(row);
            committed
        };
        self.send(committing).await
    }

    async fn settle(&mut self, aim: &Head) -> Result<(Head, bool), sqlx::Error> {
        let (aim, cluster, at) = (*aim, Arc::clone(&self.cluster), self.at);
        let settling = async move {
            let _row = cluster.places[at].row.lock().await;
            if !cluster.server(at).accepts_changes {
                return Err(lost("the server is a standby"));
            }
            if cluster.planted != Planted::NoFence {
                cluster.commit(at, Change::Fence).await?;
            }
            let tables = &cluster.server(at).tables;
            let is_recorded = tables.rows.iter().any(|it| it.position == aim.position && it.hash == aim.hash);
            Ok((tables.head, is_recorded))
        };
        self.send(settling).await
    }

    fn close(self) {}
}
