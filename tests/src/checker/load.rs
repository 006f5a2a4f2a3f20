//! Clients that work in the hospital at a pace, and what they were answered.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::client::{Order, Staff, Tokens};
use super::faults::Fault;
use super::history::{History, Operation, What};
use super::house::Addresses;
use super::subjects::{AT_ONCE, Subjects};
use super::worker::Worker;
use crate::hospital::{Client, draw};

/// How long the hospital may take until work goes on.
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) struct Load {
    pub(super) addresses: Addresses,
    pub(super) tokens: Tokens,
    pub(super) subjects: Mutex<Subjects>,
    /// Commands that somebody gave up, with what they are to be asked again with.
    pub(super) given_up: Mutex<Vec<(Operation, Order)>>,
    pub(super) strikes: Mutex<Vec<Strike>>,
    /// Reads that were refused, which none should be.
    pub(super) refused: Mutex<Vec<String>>,
    /// How many times a request had no answer, or one that told nothing, and the last of them.
    failures: Mutex<(u64, String)>,
    operations: Mutex<Vec<Operation>>,
    processes: AtomicU32,
    commands: AtomicU64,
    slots: AtomicU64,
    ended: AtomicU64,
    worked_until: AtomicU64,
    is_over: AtomicBool,
    zero: Instant,
    /// Where the history is kept if the run ends badly.
    pub(super) file: PathBuf,
}

/// A fault, and when it began and ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strike {
    pub(super) fault: Fault,
    pub(super) began: u64,
    pub(super) ended: u64,
}

/// When the next operation is due: at once, or at a constant rate.
pub(super) struct Pace {
    every: Option<Duration>,
    zero: Instant,
    turns: AtomicU32,
}

impl Pace {
    pub(super) fn new(per_second: Option<f64>) -> Self {
        let every = per_second.map(|it| Duration::from_secs_f64(1.0 / it));
        Self { every, zero: Instant::now(), turns: AtomicU32::new(0) }
    }

    /// Waits for the next turn, and returns when it was due.
    async fn turn(&self) -> Instant {
        let turn = self.turns.fetch_add(1, Ordering::SeqCst);
        let Some(every) = self.every else { return Instant::now() };
        let due = self.zero + every * turn;
        tokio::time::sleep_until(due.into()).await;
        due
    }
}

impl Load {
    /// Logs everybody in, and makes the first subjects.
    pub(super) async fn prepare(addresses: Addresses, nobody: &Client, file: PathBuf) -> Arc<Self> {
        let load = Arc::new(Self {
            addresses,
            tokens: Tokens::of(nobody).await,
            subjects: Mutex::default(),
            given_up: Mutex::default(),
            strikes: Mutex::default(),
            refused: Mutex::default(),
            failures: Mutex::default(),
            operations: Mutex::default(),
            processes: AtomicU32::new(0),
            commands: AtomicU64::new(1),
            slots: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            worked_until: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            zero: Instant::now(),
            file,
        });
        let mut first = Worker::new(load.clone(), 0);
        for _ in 0..AT_ONCE {
            first.add_patient().await;
            first.add_shelf().await;
            first.add_article().await;
        }
        load
    }

    /// Lets so many clients work at a pace until something has happened, and waits until each has ended what it does.
    pub(super) async fn work<T>(
        self: &Arc<Self>,
        clients: u64,
        pace: Pace,
        seed: u64,
        until: impl Future<Output = T>,
    ) -> T {
        let (pace, mut state) = (Arc::new(pace), seed);
        self.is_over.store(false, Ordering::SeqCst);
        let working = (0..clients).map(|_| {
            let (load, pace, seed) = (self.clone(), pace.clone(), draw(&mut state));
            tokio::spawn(async move {
                let mut worker = Worker::new(load.clone(), seed);
                while !load.is_over.load(Ordering::SeqCst) {
                    worker.due = load.at(pace.turn().await);
                    worker.step().await;
                }
            })
        });
        let working: Vec<_> = working.collect();
        let happened = until.await;
        self.is_over.store(true, Ordering::SeqCst);
        for worker in join_all(working).await {
            worker.expect("the client works to the end");
        }
        self.worked_until.store(self.now(), Ordering::SeqCst);
        happened
    }

    /// Asks once more for everything that was given up, until there is an answer.
    pub(super) async fn settle(&self) {
        let staff = Staff::new(self);
        let given_up = std::mem::take(&mut *self.given_up.lock().expect("a lock"));
        for (operation, order) in given_up {
            let What::Write(write) = operation.what else { continue };
            let write = staff.ask(self, &order, write, false).await;
            self.keep(Operation { ended: self.now(), what: What::Write(write), ..operation });
        }
    }

    /// Returns when so many more operations have ended.
    pub(super) async fn go_on(&self, operations: u64) {
        let enough = self.ended.load(Ordering::SeqCst) + operations;
        let going_on = async {
            while self.ended.load(Ordering::SeqCst) < enough {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let is_going_on = tokio::time::timeout(PATIENCE, going_on).await.is_ok();
        let last = self.strikes.lock().expect("a lock").last().map(|it| it.fault);
        let failure = self.failures.lock().expect("a lock").1.clone();
        assert!(is_going_on, "nobody could work, after {last:?}: {failure}");
    }

    /// Takes note of a fault that began then and has ended now.
    pub(super) fn struck(&self, fault: Fault, began: u64) {
        let strike = Strike { fault, began, ended: self.now() };
        #[expect(clippy::cast_precision_loss, reason = "for readers")]
        let second = |nanoseconds: u64| nanoseconds as f64 / 1e9;
        eprintln!("{:7.2} s to {:7.2} s: {fault:?}", second(began), second(strike.ended));
        self.strikes.lock().expect("a lock").push(strike);
    }

    pub(super) fn keep(&self, operation: Operation) {
        self.operations.lock().expect("a lock").push(operation);
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    pub(super) fn failed(&self, why: String) {
        let mut failures = self.failures.lock().expect("a lock");
        *failures = (failures.0 + 1, why);
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.lock().expect("a lock").0
    }

    /// When the clients last stopped to work.
    pub(super) fn worked_until(&self) -> u64 {
        self.worked_until.load(Ordering::SeqCst)
    }

    pub(super) fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, instant: Instant) -> u64 {
        u64::try_from(instant.saturating_duration_since(self.zero).as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn new_process(&self) -> u32 {
        self.processes.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn new_command(&self) -> u64 {
        self.commands.fetch_add(1, Ordering::SeqCst)
    }

    /// A time of the doctor that about three clients want.
    pub(super) fn new_slot(&self) -> u64 {
        self.slots.fetch_add(1, Ordering::SeqCst) / 3
    }

    /// What has been answered so far.
    pub(super) fn operations(&self) -> Vec<Operation> {
        self.operations.lock().expect("a lock").clone()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Whatever ended the run badly, its answers can be checked.
        if std::thread::panicking() {
            History { operations: self.operations(), ..History::default() }.keep(&self.file);
            eprintln!("the answers up to here are in {}", self.file.display());
        }
    }
}
