use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::thread::JoinHandle;

use chrono::{NaiveDate, TimeDelta};
use hims_api::Settings;
use hims_commands::Surroundings;
use hims_event_store::EventStore;
use sqlx::{ConnectOptions as _, PgPool};
use tempfile::TempDir;
use tokio::sync::{Mutex, oneshot};

use super::command_line::on;
use super::releases::until_shown;
use super::{Client, demo};
use crate::support::{TestDatabase, copy_of, database, scratch};

/// The demo hospital on a database and a key of its own, served by one node in this process.
pub(crate) struct Hospital {
    pub(crate) node: Node,
    pub(crate) database: TestDatabase,
    pub(crate) settings: Settings,
    seen: Arc<AtomicI64>,
    _folder: TempDir,
}

impl Hospital {
    /// Starts the hospital on a copy of a database in which the demo was made once for all tests of a day.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts the hospital like [`start`](Self::start), with some settings changed that say nothing about the demo.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        static MADE: OfToday = OfToday::const_new(None);
        let make = async || {
            let mut first = Self::made_with(|_| {}).await;
            first.until_shown().await;
            first.node.end();
            first.database
        };
        Self::on(copy_of_todays(&MADE, make).await, scratch("hospital"), change, false).await
    }

    /// Makes the demo in a hospital with some settings changed.
    pub(crate) async fn made_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::on(database().await, scratch("hospital"), change, true).await
    }

    /// Starts the hospital with some settings changed, on a copy of a database that was generated once for all tests
    /// of a day: forty patients with ten years of visits.
    pub(crate) async fn generated(change: impl FnOnce(&mut Settings)) -> Self {
        static MADE: OfToday = OfToday::const_new(None);
        let make = async || {
            let (database, folder) = (database().await, scratch("generated"));
            let arguments = ["generate", "--scale", "0.0004"];
            let output = on(&database, &folder).args(arguments).output().expect("the program runs");
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            database.owner.close().await;
            database
        };
        let hospital = Self::on(copy_of_todays(&MADE, make).await, scratch("hospital"), change, false).await;
        hospital.until_shown().await;
        hospital
    }

    async fn on(database: TestDatabase, folder: TempDir, change: impl FnOnce(&mut Settings), demo: bool) -> Self {
        let mut settings = Settings {
            bind: ([127, 0, 0, 1], 0).into(),
            database_url: Some(database.options.to_url_lossy().into()),
            master_key_file: Some(key_file(&folder)),
            free_wrong_passwords: 10_000,
            read_connections: 6,
            workers: Some(2),
            ..Settings::default()
        };
        change(&mut settings);
        let node = Node::start(settings.clone(), hims_api::surroundings(), demo).await;
        Self { node, database, settings, seen: Arc::default(), _folder: folder }
    }

    /// Returns when the tables show everything that is recorded; asks nothing that is recorded itself.
    pub(crate) async fn until_shown(&self) {
        until_shown(&self.nobody()).await;
    }

    /// Starts another node on the same database.
    pub(crate) async fn another_node(&self) -> Node {
        Node::start(self.settings.clone(), hims_api::surroundings(), false).await
    }

    /// Starts another node on the same database, whose clock is ahead by what `ahead` says, or behind.
    pub(crate) async fn another_node_ahead_by(&self, ahead: Arc<std::sync::Mutex<TimeDelta>>) -> Node {
        Node::start(self.settings.clone(), surroundings_ahead_by(ahead), false).await
    }

    /// A client that is not logged in.
    pub(crate) fn nobody(&self) -> Client {
        Client::new(self.node.base.clone(), Arc::clone(&self.seen))
    }

    /// Logs in as the demo user `<login>@demo.hims`.
    pub(crate) async fn login(&self, login: &str) -> Client {
        self.nobody().login(login).await
    }

    /// Connections to the database as its owner.
    pub(crate) fn owner(&self) -> &PgPool {
        &self.database.owner
    }

    /// Returns when the tables show everything that is recorded.
    pub(crate) async fn settle(&self) {
        let auditor = self.login("admin").await;
        auditor.saw(self.node.store.current_head().await.expect("the head is read"));
        auditor.get("departments").await.done();
    }
}

/// A database that is made once for all tests of a day, with the day.
type OfToday = Mutex<Option<([NaiveDate; 2], TestDatabase)>>;

/// Copies a database, which is made first unless it was made today.
async fn copy_of_todays(made: &OfToday, make: impl AsyncFnOnce() -> TestDatabase) -> TestDatabase {
    let mut made = made.lock().await;
    let days = demo::today();
    let todays = match made.take().filter(|(of, _)| *of == days) {
        Some(it) => it,
        None => (days, make().await),
    };
    let (_, database) = made.insert(todays);
    copy_of(database).await
}

/// The surroundings of a node whose clock is ahead by what `ahead` says, or behind.
pub(crate) fn surroundings_ahead_by(ahead: Arc<std::sync::Mutex<TimeDelta>>) -> Surroundings {
    let right = hims_api::surroundings();
    let clock = right.clock.clone();
    Surroundings { clock: Arc::new(move || clock() + *ahead.lock().expect("a lock")), ..right }
}

/// A master key in a file that only its owner can read.
pub(crate) fn key_file(folder: &TempDir) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let file = folder.path().join("master.key");
    std::fs::write(&file, format!("{:064x}", uuid::Uuid::from_u128(7).as_u128())).expect("the key is written");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("the file is ours");
    file
}

/// A node of the hospital: a server in this process, on threads of its own.
pub(crate) struct Node {
    pub(crate) base: String,
    pub(crate) store: Arc<dyn EventStore>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    pub(crate) async fn start(settings: Settings, surroundings: Surroundings, demo: bool) -> Self {
        let (tell, told) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let serve = async move || {
            let hospital = hims_api::Hospital::open_in(&settings, hims_api::Purpose::Serve, surroundings).await;
            let hospital = hospital.expect("the hospital opens");
            if demo {
                hospital.fill_with_demo().await.expect("the demo is made");
            }
            let listening = hims_api::server::listen(&settings, hospital).expect("a port is free");
            let stop = listening.stop();
            tokio::spawn(async move {
                // A dropped sender means that the node was dropped: the server stops as well.
                let _ = stopped.await;
                stop.await;
            });
            let told = tell.send((listening.url(), Arc::clone(&listening.hospital.store)));
            assert!(told.is_ok(), "the test waits for its server");
            listening.serve().await.expect("served to the end");
        };
        let thread = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(2).enable_all().build().expect("a runtime").block_on(serve());
        });
        let (base, store) = told.await.expect("the server starts");
        Self { base, store, stop: Some(stop), thread: Some(thread) }
    }
}

impl Node {
    /// Stops the node in good order, and waits until it has stopped.
    pub(crate) fn end(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(!matches!(ended, Some(Err(_))), "the server ended badly");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}
