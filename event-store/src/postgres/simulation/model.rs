//! A model of PostgreSQL as far as the writer works with it: a log whose head is compared and set under a row lock,
//! constraints, commits that wait for a standby, and everything that can happen to a statement on its way.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::error::{DatabaseError, ErrorKind};
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::sleep;
use uuid::Uuid;

use super::chance::Chance;
use crate::chain::{GENESIS, Hash};
use crate::postgres::check::{Answers, Questions};
use crate::postgres::database::{Database, Session};
use crate::postgres::read::Head;
use crate::postgres::timeline::{Timeline, Timelines};
use crate::postgres::write::{Columns, Keys};
use crate::prepare::Key;
use crate::{LogClock, Position};

/// The database system of all servers.
const SYSTEM: i64 = 1;

/// A fault of the model, which a run must find: something that the writer relies on does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planted {
    Nothing,
    /// A commit whose wait for the standby was cancelled is answered like any other.
    SilentCancel,
    /// Settling what became of a batch does not raise the fence.
    NoFence,
    /// Servers do not say their timelines.
    NoTimelines,
    /// The head is set without being compared.
    NoComparison,
}

/// One event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) position: Position,
    pub(super) stream_id: Uuid,
    pub(super) version: i32,
    pub(super) data: String,
    pub(super) hash: Vec<u8>,
}

/// A booking of a resource.
#[derive(Debug, Clone)]
struct Booking {
    resource: Uuid,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    owner: Uuid,
}

/// What one transaction changes.
#[derive(Debug, Clone)]
enum Change {
    Batch(Arc<Written>),
    Fence,
    TakenUp(Timeline),
}

/// A batch that was sent to a server.
#[derive(Debug)]
struct Written {
    before: Position,
    fence: i64,
    head: Head,
    rows: Vec<Row>,
    receipts: Vec<(Uuid, Position, Position)>,
    released: Vec<(Key, Uuid)>,
    taken: Vec<(Key, Uuid)>,
    booked: Vec<Booking>,
    unbooked: Vec<Uuid>,
}

fn keys(keys: &Keys<'_>) -> Vec<(Key, Uuid)> {
    let named = keys.scopes.iter().zip(&keys.blinded).zip(&keys.owners);
    // The scopes of the simulation live as long as the program.
    named.map(|((scope, key), owner)| (Key { scope: super::scope(scope), key: key.to_vec() }, *owner)).collect()
}

impl Written {
    fn of(columns: &Columns<'_>) -> Self {
        let nth = |nth: usize| columns.before + Position::try_from(nth).expect("a small batch") + 1;
        let rows = (0..columns.hashes.len()).map(|it| Row {
            position: nth(it),
            stream_id: columns.stream_ids[it],
            version: columns.versions[it],
            data: columns.data[it].to_owned(),
            hash: columns.hashes[it].to_vec(),
        });
        let mut written = Self {
            before: columns.before,
            fence: columns.fence,
            head: columns.head,
            rows: rows.collect(),
            receipts: Vec::new(),
            released: Vec::new(),
            taken: Vec::new(),
            booked: Vec::new(),
            unbooked: Vec::new(),
        };
        if let Some(claims) = &columns.claims {
            let receipts = &claims.receipts;
            let positions = receipts.first.iter().zip(&receipts.last);
            written.receipts = receipts.commands.iter().zip(positions).map(|(id, (a, b))| (*id, *a, *b)).collect();
            (written.released, written.taken) = (keys(&claims.released), keys(&claims.taken));
            written.unbooked.clone_from(&claims.unbooked);
            let booked = &claims.booked;
            written.booked = (0..booked.owners.len())
                .map(|it| Booking {
                    resource: booked.resources[it],
                    since: booked.since[it],
                    until: booked.until[it],
                    owner: booked.owners[it],
                })
                .collect();
        }
        written
    }
}

/// The tables of a server.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    head: Head,
    noted: Timeline,
    pub(super) rows: Vec<Row>,
    versions: HashMap<Uuid, i32>,
    pub(super) receipts: BTreeMap<Uuid, (Position, Position)>,
    unique: HashMap<Key, Uuid>,
    booked: Vec<Booking>,
}

impl Tables {
    fn empty(now: DateTime<Utc>) -> Self {
        let head = Head { position: 0, hash: GENESIS, recorded_at: now, fence: 0 };
        Self {
            head,
            noted: Timeline { system: 0, number: 0 },
            rows: Vec::new(),
            versions: HashMap::new(),
            receipts: BTreeMap::new(),
            unique: HashMap::new(),
            booked: Vec::new(),
        }
    }

    /// The hash and position at which the log ends.
    pub(super) fn end(&self) -> (Position, Hash) {
        (self.head.position, self.head.hash)
    }

    fn version(&self, stream_id: Uuid) -> i32 {
        self.versions.get(&stream_id).copied().unwrap_or(0)
    }

    /// The newest event of a stream.
    pub(super) fn newest(&self, stream_id: Uuid) -> Option<&Row> {
        self.rows.iter().rfind(|it| it.stream_id == stream_id)
    }

    /// Which constraint of the tables a batch violates, by its SQLSTATE.
    fn violated(&self, batch: &Written) -> Option<&'static str> {
        let gives_back = |key: &Key, owner: &Uuid| batch.released.iter().any(|(it, by)| it == key && by == owner);
        let is_taken = |(key, owner): &(Key, Uuid)| {
            self.unique.get(key).is_some_and(|other| other != owner && !gives_back(key, other))
        };
        let is_second = |row: &Row| self.version(row.stream_id) >= row.version;
        let is_repeated = |receipt: &(Uuid, Position, Position)| self.receipts.contains_key(&receipt.0);
        let overlaps = |one: &Booking| {
            let kept = self.booked.iter().filter(|it| !batch.unbooked.contains(&it.owner));
            kept.into_iter().any(|it| it.resource == one.resource && it.since < one.until && one.since < it.until)
        };
        if batch.rows.iter().any(is_second)
            || batch.taken.iter().any(is_taken)
            || batch.receipts.iter().any(is_repeated)
        {
            Some("23505")
        } else {
            batch.booked.iter().any(overlaps).then_some("23P01")
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Fence => self.head.fence += 1,
            Change::TakenUp(timeline) => (self.noted, self.head.fence) = (*timeline, self.head.fence + 1),
            Change::Batch(batch) => {
                self.head = Head { fence: self.head.fence, ..batch.head };
                self.rows.extend(batch.rows.iter().cloned());
                self.versions.extend(batch.rows.iter().map(|it| (it.stream_id, it.version)));
                self.receipts.extend(batch.receipts.iter().map(|(id, first, last)| (*id, (*first, *last))));
                for (key, owner) in &batch.released {
                    if self.unique.get(key) == Some(owner) {
                        self.unique.remove(key);
                    }
                }
                self.unique.extend(batch.taken.iter().cloned());
                self.booked.retain(|it| !batch.unbooked.contains(&it.owner));
                self.booked.extend(batch.booked.iter().cloned());
            }
        }
    }
}

/// A server. Its write-ahead log is the list of the changes that were committed, in their order.
struct Server {
    timeline: i32,
    accepts_changes: bool,
    wal: Vec<Change>,
    /// What every session sees. A change that waits for the standby is not seen yet.
    tables: Tables,
}

/// What interrupts commits that wait for the standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interruption {
    Cancel,
    Terminate,
}

/// A server with what its sessions wait for.
struct Place {
    server: Mutex<Server>,
    /// The row lock of the head.
    row: Arc<tokio::sync::Mutex<()>>,
    /// How many changes the standby has; everything once no commit waits for a standby any more.
    standby_has: watch::Sender<usize>,
    interrupted: watch::Sender<(u64, Interruption)>,
    /// How often the server was started. A session does not outlive the start in which it began.
    starts: watch::Sender<u64>,
    /// Whether nothing passes between the server and the nodes.
    isolated: watch::Sender<bool>,
}

/// A primary with its standby. Their places change with each promotion.
pub(super) struct Cluster {
    places: [Place; 2],
    planted: Planted,
    now: DateTime<Utc>,
    pub(super) chance: Chance,
}

/// Everything is replicated.
const EVERYTHING: usize = usize::MAX;

fn lost(what: &str) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::ConnectionReset, what.to_owned()))
}

#[derive(Debug)]
struct Refusal(&'static str);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a constraint is violated ({})", self.0)
    }
}

impl std::error::Error for Refusal {}

impl DatabaseError for Refusal {
    fn message(&self) -> &'static str {
        "a constraint is violated"
    }

    fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
        Some(self.0.into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        if self.0 == "23505" { ErrorKind::UniqueViolation } else { ErrorKind::ExclusionViolation }
    }
}

impl Cluster {
    pub(super) fn new(chance: Chance, planted: Planted, now: DateTime<Utc>) -> Arc<Self> {
        let place = |accepts_changes| Place {
            server: Mutex::new(Server { timeline: 1, accepts_changes, wal: Vec::new(), tables: Tables::empty(now) }),
            row: Arc::default(),
            standby_has: watch::Sender::new(0),
            interrupted: watch::Sender::new((0, Interruption::Cancel)),
            starts: watch::Sender::new(0),
            isolated: watch::Sender::new(false),
        };
        Arc::new(Self { places: [place(true), place(false)], planted, now, chance })
    }

    fn server(&self, at: usize) -> MutexGuard<'_, Server> {
        self.places[at].server.lock().expect("no panic under the lock")
    }

    /// What everybody sees on a server.
    pub(super) fn tables(&self, at: usize) -> Tables {
        self.server(at).tables.clone()
    }

    /// The timeline of a server, as far as servers say it.
    pub(super) fn timeline(&self, at: usize) -> Timeline {
        let number = if self.planted == Planted::NoTimelines { 1 } else { self.server(at).timeline };
        Timeline { system: SYSTEM, number }
    }

    /// Sends the standby of a server the next change that it lacks.
    pub(super) fn replicate(&self, primary: usize) {
        let has = *self.places[primary].standby_has.borrow();
        let wal = self.server(primary).wal.clone();
        if has == EVERYTHING || has >= wal.len() {
            return;
        }
        let mut standby = self.server(1 - primary);
        standby.tables.apply(&wal[has]);
        standby.wal.push(wal[has].clone());
        drop(standby);
        self.places[primary].standby_has.send_replace(has + 1);
    }

    /// Cancels or terminates the sessions whose commits wait for the standby.
    pub(super) fn interrupt(&self, at: usize, how: Interruption) {
        self.places[at].interrupted.send_modify(|(times, last)| (*times, *last) = (*times + 1, how));
    }

    /// Ends all sessions of a server. What waited for the standby is recorded there, and seen.
    pub(super) fn restart(&self, at: usize) {
        self.places[at].starts.send_modify(|it| *it += 1);
    }

    /// Cuts a server off from the nodes, or ends that. What was sent meanwhile arrives then.
    pub(super) fn isolate(&self, at: usize, is_isolated: bool) {
        self.places[at].isolated.send_replace(is_isolated);
    }

    /// Lets no commit of a server wait for a standby any more.
    pub(super) fn detach(&self, at: usize) {
        self.places[at].standby_has.send_replace(EVERYTHING);
    }

    /// Makes the standby of a server a primary, with what it has. The former primary goes on.
    pub(super) fn promote(&self, former: usize) {
        let mut standby = self.server(1 - former);
        (standby.timeline, standby.accepts_changes) = (standby.timeline + 1, true);
        drop(standby);
        self.detach(1 - former);
    }

    /// Ends the former primary, and makes it a standby of the new one.
    pub(super) async fn rejoin(&self, former: usize) {
        self.restart(former);
        // What was under way there ends before the data are replaced.
        drop(self.places[former].row.lock().await);
        let primary = self.server(1 - former);
        let copy = Server {
            timeline: primary.timeline,
            accepts_changes: false,
            wal: primary.wal.clone(),
            tables: primary.tables.clone(),
        };
        let has = copy.wal.len();
        drop(primary);
        *self.server(former) = copy;
        self.places[1 - former].standby_has.send_replace(has);
    }

    /// Waits until the standby has everything that is seen on a server.
    pub(super) async fn confirm(&self, at: usize) -> Result<(), sqlx::Error> {
        let wanted = self.server(at).wal.len();
        self.wait_for_standby(at, wanted).await
    }

    async fn wait_for_standby(&self, at: usize, wanted: usize) -> Result<(), sqlx::Error> {
        let place = &self.places[at];
        let (mut has, mut interrupted, mut starts) =
            (place.standby_has.subscribe(), place.interrupted.subscribe(), place.starts.subscribe());
        tokio::select! {
            biased;
            _ = has.wait_for(|it| *it >= wanted) => Ok(()),
            _ = starts.changed() => Err(lost("the server was restarted")),
            _ = interrupted.changed() => match interrupted.borrow().1 {
                Interruption::Cancel if self.planted == Planted::SilentCancel => Ok(()),
                Interruption::Cancel => Err(sqlx::Error::Protocol("the wait for the standby was cut short".to_owned())),
                Interruption::Terminate => Err(lost("the session was ended")),
            },
        }
    }

    /// Commits a change under the lock on the row of the head. The change is recorded at once, and seen once the standby
    /// has it, or once the wait is over for another reason.
    async fn commit(&self, at: usize, change: Change) -> Result<(), sqlx::Error> {
        let wanted = {
            let mut server = self.server(at);
            server.wal.push(change.clone());
            server.wal.len()
        };
        let waited = self.wait_for_standby(at, wanted).await;
        self.server(at).tables.apply(&change);
        waited
    }

    /// Carries a batch out, under the lock on the row of the head.
    fn judge(&self, at: usize, batch: &Written) -> Result<bool, sqlx::Error> {
        let server = self.server(at);
        if !server.accepts_changes {
            return Err(lost("the server is a standby"));
        }
        let head = &server.tables.head;
        let compared = head.position == batch.before && head.fence == batch.fence;
        let is_let_through = self.planted == Planted::NoComparison && head.fence == batch.fence;
        if !compared && !is_let_through {
            return Ok(false);
        }
        match server.tables.violated(batch) {
            Some(code) => Err(sqlx::Error::Database(Box::new(Refusal(code)))),
            None => Ok(true),
        }
    }
}

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
        let start = *cluster.places[at].starts.borrow();
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
        if *self.cluster.places[self.at].starts.borrow() != self.start {
            return Err(lost("the server was restarted"));
        }
        let fate = self.cluster.chance.below(100);
        let delay = Duration::from_millis(self.cluster.chance.below(if fate == 2 { 3_000 } else { 4 }));
        if fate == 0 {
            return Err(lost("the statement was lost"));
        }
        let mut isolated = self.cluster.places[self.at].isolated.subscribe();
        let carried_out = tokio::spawn(async move {
            sleep(delay).await;
            let _ = isolated.wait_for(|it| !*it).await;
            let answer = statement.await;
            let _ = isolated.wait_for(|it| !*it).await;
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
        let tables = self.cluster.tables(self.at);
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
            let tables = cluster.tables(at);
            let is_recorded = tables.rows.iter().any(|it| it.position == aim.position && it.hash == aim.hash);
            Ok((tables.head, is_recorded))
        };
        self.send(settling).await
    }

    fn close(self) {}
}
