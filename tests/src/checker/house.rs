//! The hospital that is to stand the load: one PostgreSQL that keeps what it acknowledges, and three nodes on it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use hims_api::Settings;
use hims_api::embedded::EmbeddedPostgres;
use hims_projections::migrations;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tempfile::TempDir;

use crate::hospital::{Node, Process, hims, key_file, postgres, signal, surroundings_ahead_by};
use crate::support::scratch_on_disk;

/// How many nodes are processes of their own, which can be killed.
pub(super) const PROCESSES: usize = 2;

/// Where the nodes listen now: first the processes, then the node with a clock of its own.
pub(super) type Addresses = Arc<Mutex<Vec<String>>>;

pub(super) struct House {
    pub(super) database: Option<EmbeddedPostgres>,
    pub(super) nodes: [Option<Process>; PROCESSES],
    /// By how much the clock of the third node is wrong.
    pub(super) ahead: Arc<Mutex<TimeDelta>>,
    pub(super) addresses: Addresses,
    options: PgConnectOptions,
    key: PathBuf,
    third: Node,
    folder: TempDir,
}

impl House {
    /// Makes the demo hospital, on a disk.
    pub(super) async fn build() -> Self {
        let folder = scratch_on_disk("checker");
        std::fs::create_dir(folder.path().join("postgres")).expect("a folder");
        let database = postgres(&folder.path().join("postgres")).await;
        let (options, key) = (database.connect_options(), key_file(&folder));
        migrations::up(&PgPoolOptions::new().connect_lazy_with(database.migration_options())).await.expect("migrated");
        let nodes = [0; PROCESSES].map(|_| None);
        let ahead = Arc::new(Mutex::new(TimeDelta::zero()));
        let settings = Settings {
            bind: ([127, 0, 0, 1], 0).into(),
            database_url: Some(options.to_url_lossy().into()),
            master_key_file: Some(key.clone()),
            workers: Some(2),
            ..Settings::default()
        };
        let first = Self::process(&options, &key, &["--demo"]).await;
        let third = Node::start(settings, surroundings_ahead_by(ahead.clone()), false).await;
        let addresses = Arc::new(Mutex::new(vec![third.base.clone(); PROCESSES + 1]));
        let mut house = Self { database: Some(database), nodes, ahead, addresses, options, key, third, folder };
        house.put(0, first);
        house.heal().await;
        house
    }

    async fn process(options: &PgConnectOptions, key: &Path, arguments: &'static [&str]) -> Process {
        let (options, key) = (options.clone(), key.to_owned());
        let start = move || Process::start_on(&options, &key, &key.with_file_name("node"), arguments);
        tokio::task::spawn_blocking(start).await.expect("the node starts")
    }

    fn put(&mut self, place: usize, node: Process) {
        node.nobody.base().clone_into(&mut self.addresses.lock().expect("a lock")[place]);
        self.nodes[place] = Some(node);
    }

    /// Starts whatever does not run, and puts the clock right.
    pub(super) async fn heal(&mut self) {
        if self.database.is_none() {
            self.database = Some(postgres(&self.folder.path().join("postgres")).await);
        }
        for place in 0..PROCESSES {
            if self.nodes[place].is_none() {
                let node = Self::process(&self.options, &self.key, &[]).await;
                self.put(place, node);
            }
        }
        *self.ahead.lock().expect("a lock") = TimeDelta::zero();
    }

    /// Ends a node with a signal.
    pub(super) async fn end(&mut self, place: usize, name: &'static str) {
        let node = self.nodes[place].take().expect("a node");
        node.signal(name);
        tokio::task::spawn_blocking(move || node.ended()).await.expect("the node ends");
    }

    /// Ends the database with `kill -9`.
    pub(super) async fn kill_database(&mut self) {
        let database = self.database.take().expect("a database");
        let ended = database.ended();
        signal(database.pid(), "KILL");
        ended.await;
    }

    /// Copies the files of the database, which does not run.
    pub(super) fn copy_database(&self) -> PathBuf {
        let copy = self.folder.path().join("copy");
        let mut command = Command::new("cp");
        command.arg("--archive").arg(self.folder.path().join("postgres")).arg(&copy);
        assert!(command.status().expect("cp runs").success(), "the files are copied");
        copy
    }

    /// Replaces the files of the database, which does not run, with those of a copy.
    pub(super) fn put_back(&self, copy: &Path) {
        let place = self.folder.path().join("postgres");
        std::fs::remove_dir_all(&place).expect("the files are removed");
        std::fs::rename(copy, place).expect("the copy is in place");
    }

    /// How much memory each process has, in kB.
    pub(super) fn memory(&self) -> [Option<u64>; PROCESSES] {
        self.nodes.each_ref().map(|node| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", node.as_ref()?.id())).ok()?;
            status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?.parse().ok()
        })
    }

    /// What `hims verify --deep` says is wrong.
    pub(super) async fn verify(&self) -> Option<String> {
        let mut verify = hims();
        verify.args(["verify", "--deep", "--data-dir"]).arg(self.folder.path().join("node"));
        verify.env("DATABASE_URL", self.options.to_url_lossy().as_str()).env("HIMS_MASTER_KEY_FILE", &self.key);
        let told = tokio::task::spawn_blocking(move || verify.output()).await.expect("a thread");
        let told = told.expect("the program runs");
        let text = [told.stdout, told.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
        (!told.status.success()).then(|| format!("hims verify --deep: {text}"))
    }

    /// Ends everything, in good order.
    pub(super) async fn leave(self) {
        let Self { database, nodes, mut third, .. } = self;
        drop(nodes);
        tokio::task::spawn_blocking(move || third.end()).await.expect("the node ends in good order");
        if let Some(database) = database {
            database.stop().await;
        }
    }
}
