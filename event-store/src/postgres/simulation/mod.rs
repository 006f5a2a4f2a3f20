//! The write path in a simulation: three nodes with the real writer on a model of the database, in one thread and in
//! simulated time. A seed decides what happens, so that a failure can be repeated: `SIMULATION_SEED=N cargo test -p
//! hims-event-store simulation`.

mod chance;
mod cluster;
mod session;
mod tables;
mod watched;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use self::chance::Chance;
use self::cluster::{Cluster, Interruption, Planted};
use self::session::Reached;
use self::tables::{Row, Tables};
use super::PgEventStore;
use super::tests::store_on;
use super::timeline::Timelines;
use crate::{
    Append, AppendError, Appended, Claim, EventStore as _, MasterKey, MemoryEventStore, NewEvent, NodeClock, Position,
    Receipt, StreamAppend, Upcasters,
};

/// How many seeds are tried.
const SEEDS: u64 = 200;
const NODES: usize = 3;
/// How many callers each node has.
const CALLERS: u64 = 3;
/// How many commands each caller gives.
const COMMANDS: u64 = 12;
/// How many streams all callers append to.
const STREAMS: u64 = 4;
/// How many keys and resources all callers want.
const WANTED: u64 = 6;
const KEYS: &str = "simulated";

/// The scope of the keys that are claimed here, by its name.
fn scope(name: &str) -> &'static str {
    assert_eq!(name, KEYS, "the simulation has one scope");
    KEYS
}

/// What a caller wants.
#[derive(Debug, Clone)]
enum Wanted {
    /// To append to some of the streams that all callers share.
    Further(BTreeSet<Uuid>),
    /// To begin a stream that has a unique key.
    Key(Uuid, u64),
    /// To begin a stream that books a resource for an hour.
    Booking(Uuid, u64, i64),
}

impl Wanted {
    fn streams(&self) -> Vec<Uuid> {
        match self {
            Self::Further(streams) => streams.iter().copied().collect(),
            Self::Key(id, _) | Self::Booking(id, ..) => vec![*id],
        }
    }

    fn claims(&self, now: DateTime<Utc>) -> Vec<Claim> {
        match self {
            Self::Further(_) => Vec::new(),
            Self::Key(owner, key) => vec![Claim::Take { scope: KEYS, key: key.to_string(), owner: *owner }],
            Self::Booking(owner, resource, hour) => {
                let from = now + TimeDelta::hours(*hour);
                let (resource, until) = (Uuid::from_u128(u128::from(*resource)), from + TimeDelta::minutes(90));
                vec![Claim::Book { resource, from, until, owner: *owner }]
            }
        }
    }

    /// The command, decided on streams whose newest events are these.
    fn append<'a>(&self, command: Uuid, newest: impl Fn(Uuid) -> Option<&'a Row>, now: DateTime<Utc>) -> Append {
        let stream = |id| {
            let newest = newest(id).filter(|_| matches!(self, Self::Further(_)));
            let data = json!({"by": command, "after": newest.map(|it| &it.hash)});
            let event = NewEvent { event_type: "thing.done".to_owned(), data };
            StreamAppend::at("thing", id, newest.map_or(0, |it| it.version), [event])
        };
        let streams = self.streams().into_iter().map(stream);
        let receipt = Some(Receipt::new(command, vec![1]));
        Append { streams: streams.collect(), claims: self.claims(now), receipt, ..Append::default() }
    }
}

/// What a caller was answered in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Done(Position, Position),
    Refused,
}

/// A node: the real event store with the real writer, on the model.
struct Node {
    store: PgEventStore,
    cluster: Arc<Cluster>,
    timelines: Timelines,
    leads_to: watch::Sender<usize>,
}

impl Node {
    fn on(cluster: &Arc<Cluster>, now: DateTime<Utc>) -> Self {
        let (timelines, leads_to) = (Timelines::default(), watch::Sender::new(0));
        timelines.meet(cluster.timeline(0)).expect("the first server");
        let database = Reached { cluster: Arc::clone(cluster), leads_to: leads_to.subscribe() };
        // What is not written by the writer is not asked of this pool, which leads nowhere.
        let pool = PgPoolOptions::new().connect_lazy_with(PgConnectOptions::new());
        let store = store_on(database, pool, timelines.clone(), NodeClock::new(move || now));
        Self { store, cluster: Arc::clone(cluster), timelines, leads_to }
    }

    fn tables(&self) -> Tables {
        self.cluster.tables(*self.leads_to.borrow())
    }

    /// Goes over to another server, as the task that looks at the servers does.
    fn follow(&self, server: usize) {
        self.leads_to.send_replace(server);
        self.timelines.meet(self.cluster.timeline(server)).expect("the promoted server");
    }

    /// Gives a command until it is answered, as the executor does: reads, decides, appends, and looks for the receipt
    /// whenever it is not known what became of the append.
    async fn carry_out(&self, command: Uuid, wanted: &Wanted, now: DateTime<Utc>) -> Answer {
        loop {
            let timeline = self.store.timeline();
            let tables = self.tables();
            self.cluster.chance.pause().await;
            let append = wanted.append(command, |id| tables.newest(id), now);
            let appended = self.store.append(Append { timeline: Some(timeline), ..append }).await;
            match appended {
                Ok(Appended { first, last, .. }) => return Answer::Done(first, last),
                Err(AppendError::Closed | AppendError::Malformed(_)) => panic!("{appended:?}"),
                Err(refusal) => {
                    let is_final = matches!(refusal, AppendError::Taken { .. } | AppendError::DoubleBooked { .. });
                    match self.receipt(command).await {
                        Some(answer) => return answer,
                        None if is_final => return Answer::Refused,
                        None => {}
                    }
                }
            }
            self.cluster.chance.pause().await;
        }
    }

    /// The answer to a command that was recorded before, once the standby has it.
    async fn receipt(&self, command: Uuid) -> Option<Answer> {
        loop {
            let (timeline, server) = (self.store.timeline(), *self.leads_to.borrow());
            let (first, last) = *self.tables().receipts.get(&command)?;
            let confirmed = timeout(Duration::from_secs(4), self.cluster.confirm(server)).await;
            if matches!(confirmed, Ok(Ok(()))) && self.store.timeline() == timeline {
                return Some(Answer::Done(first, last));
            }
            self.cluster.chance.pause().await;
        }
    }
}

/// Everything that happened in a run.
struct History {
    given: HashMap<Uuid, Wanted>,
    answers: BTreeMap<Uuid, Answer>,
    left: Tables,
    now: DateTime<Utc>,
    promotions: usize,
}

/// Lets something happen to the servers, several times.
async fn strike(cluster: &Cluster, nodes: &[Node], primary: &AtomicUsize, is_cut: &AtomicBool) -> usize {
    let (chance, mut promotions) = (&cluster.chance, 0);
    for _ in 0..10 {
        sleep(Duration::from_millis(20 + chance.below(200))).await;
        let at = primary.load(Ordering::SeqCst);
        is_cut.store(true, Ordering::SeqCst);
        sleep(Duration::from_millis(chance.below(60))).await;
        match chance.below(4) {
            0 => cluster.interrupt(at, Interruption::Cancel),
            1 => cluster.interrupt(at, Interruption::Terminate),
            2 => cluster.restart(at),
            _ => {}
        }
        sleep(Duration::from_millis(chance.below(60))).await;
        if chance.below(3) == 0 {
            promotions += 1;
            cluster.isolate(at, true);
            cluster.promote(at);
            primary.store(1 - at, Ordering::SeqCst);
            for node in nodes {
                sleep(Duration::from_millis(chance.below(1_000))).await;
                node.follow(1 - at);
            }
            // The former primary comes back, and waits for no standby any more.
            cluster.detach(at);
            cluster.isolate(at, false);
            sleep(Duration::from_millis(chance.below(2_000))).await;
            cluster.rejoin(at).await;
        }
        is_cut.store(false, Ordering::SeqCst);
    }
    promotions
}

/// Runs three nodes with their callers while things happen to the servers.
async fn run(seed: u64, planted: Planted) -> Result<History, String> {
    let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    let cluster = Cluster::new(Chance::of(seed), planted, now);
    let nodes: Arc<Vec<Node>> = Arc::new((0..NODES).map(|_| Node::on(&cluster, now)).collect());
    let (primary, is_cut) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let replicating = {
        let (cluster, primary, is_cut) = (Arc::clone(&cluster), Arc::clone(&primary), Arc::clone(&is_cut));
        tokio::spawn(async move {
            loop {
                cluster.chance.pause().await;
                sleep(Duration::from_millis(1)).await;
                if !is_cut.load(Ordering::SeqCst) {
                    cluster.replicate(primary.load(Ordering::SeqCst));
                }
            }
        })
    };
    let (given, answers) = (Arc::new(Mutex::new(HashMap::new())), Arc::new(Mutex::new(BTreeMap::new())));
    let mut callers = Vec::new();
    for caller in 0..CALLERS * NODES as u64 {
        let (nodes, given, answers) = (Arc::clone(&nodes), Arc::clone(&given), Arc::clone(&answers));
        callers.push(tokio::spawn(async move {
            let node = &nodes[usize::try_from(caller).expect("few callers") % NODES];
            let chance = &node.cluster.chance;
            for nth in 0..COMMANDS {
                sleep(Duration::from_millis(chance.below(150))).await;
                let command = Uuid::from_u128(u128::from(1_000 + caller * COMMANDS + nth));
                let own = Uuid::from_u128(command.as_u128() << 32);
                let shared = |_| Uuid::from_u128(u128::from(1 + chance.below(STREAMS)));
                let wanted = match chance.below(4) {
                    0 => Wanted::Key(own, chance.below(WANTED)),
                    1 => Wanted::Booking(own, chance.below(WANTED), i64::try_from(chance.below(6)).expect("an hour")),
                    _ => Wanted::Further((0..=chance.below(2)).map(shared).collect()),
                };
                given.lock().expect("a lock").insert(command, wanted.clone());
                let answer = node.carry_out(command, &wanted, now).await;
                answers.lock().expect("a lock").insert(command, answer);
            }
        }));
    }
    let promotions = strike(&cluster, &nodes, &primary, &is_cut).await;
    for caller in callers {
        let ended = timeout(Duration::from_mins(30), caller).await;
        ended.map_err(|_| "a command is never answered".to_owned())?.map_err(|error| error.to_string())?;
    }
    for node in nodes.iter() {
        node.store.shutdown().await;
    }
    replicating.abort();
    let left = cluster.tables(primary.load(Ordering::SeqCst));
    let given = std::mem::take(&mut *given.lock().expect("a lock"));
    let answers = std::mem::take(&mut *answers.lock().expect("a lock"));
    Ok(History { given, answers, left, now, promotions })
}

impl History {
    /// Checks that what is left is what was answered, and that a log in memory takes the same commands in the same
    /// order.
    async fn check(&self) -> Result<(), String> {
        let done: BTreeMap<Uuid, (Position, Position)> = self
            .answers
            .iter()
            .filter_map(|(command, answer)| match answer {
                Answer::Done(first, last) => Some((*command, (*first, *last))),
                Answer::Refused => None,
            })
            .collect();
        if done != self.left.receipts {
            let lost = done.iter().filter(|(command, at)| self.left.receipts.get(command) != Some(at)).count();
            let secret = self.left.receipts.keys().filter(|it| !done.contains_key(it)).count();
            return Err(format!("{lost} answered commands are not in the log, {secret} refused ones are"));
        }
        let positions: Vec<_> = self.left.rows.iter().map(|it| it.position).collect();
        if !positions.iter().copied().eq(1..=self.left.end().0) {
            return Err(format!("the positions are {positions:?}"));
        }
        let oracle = MemoryEventStore::new(MasterKey::generate().expect("a key"), Upcasters::default());
        let mut in_order: Vec<_> = self.left.receipts.iter().map(|(id, at)| (at.0, at.1, *id)).collect();
        in_order.sort_unstable();
        for (first, last, command) in in_order {
            let place = |position: Position| usize::try_from(position).expect("a small log");
            let rows = &self.left.rows[place(first - 1)..place(last)];
            let before = |id| self.left.rows[..place(first - 1)].iter().rfind(|it| it.stream_id == id);
            let append = self.given[&command].append(command, before, self.now);
            let decided: Vec<_> = append.streams.iter().map(|it| it.events[0].data.to_string()).collect();
            if !rows.iter().map(|it| &it.data).eq(&decided) {
                return Err(format!("at {first}: decided on events that are not in the log"));
            }
            let appended = oracle.append(append).await.map_err(|error| format!("at {first}: {error}"))?;
            if (appended.first, appended.last) != (first, last) {
                return Err(format!("position {first} is {} in the order of the log", appended.first));
            }
        }
        if self.left.rows.last().map(|it| it.hash.as_slice()) != Some(self.left.end().1.as_slice()) {
            return Err("the hash of the head is not that of the last event".to_owned());
        }
        Ok(())
    }
}

/// Runs a seed in simulated time, in one thread, and checks what happened.
fn simulate(seed: u64, planted: Planted) -> Result<History, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let history = run(seed, planted).await?;
        history.check().await?;
        Ok(history)
    })
}

#[test]
fn nothing_is_lost_or_doubled_whatever_happens_to_the_servers() {
    let seeds = match option_env!("SIMULATION_SEED") {
        Some(seed) => vec![seed.parse().expect("a seed")],
        None => (0..SEEDS).collect(),
    };
    let (mut promotions, mut refused) = (0, 0);
    for seed in &seeds {
        match simulate(*seed, Planted::Nothing) {
            Ok(history) => {
                promotions += history.promotions;
                refused += history.answers.values().filter(|it| **it == Answer::Refused).count();
            }
            Err(fault) => panic!("{fault}: repeat it with SIMULATION_SEED={seed}"),
        }
    }
    assert!(promotions > seeds.len() && refused > 0, "{promotions} promotions, {refused} refused commands");
}

/// What happened with a seed, without what differs from run to run, such as times and hashes.
#[derive(Debug, PartialEq)]
struct Course {
    promotions: usize,
    answers: BTreeMap<Uuid, Answer>,
    /// The positions, streams and versions of the events.
    events: Vec<(Position, Uuid, i32)>,
}

impl Course {
    fn of(seed: u64) -> Self {
        let History { promotions, answers, left, .. } =
            simulate(seed, Planted::Nothing).expect("nothing is lost or doubled");
        let events = left.rows.iter().map(|it| (it.position, it.stream_id, it.version)).collect();
        Self { promotions, answers, events }
    }
}

#[test]
fn a_seed_repeats_what_happened() {
    for seed in 0..10 {
        assert!(Course::of(seed) == Course::of(seed), "seed {seed} does something else the second time");
    }
    assert!(Course::of(0) != Course::of(1), "another seed does something else");
}

#[test]
fn a_planted_fault_is_found() {
    for planted in [Planted::SilentCancel, Planted::NoFence, Planted::NoTimelines, Planted::NoComparison] {
        assert!((0..SEEDS).any(|seed| simulate(seed, planted).is_err()), "{planted:?} is found by no seed");
    }
}
