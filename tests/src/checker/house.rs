//! The hospital that is to stand the load: one PostgreSQL that keeps what it acknowledges, and three nodes on it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use hims_api::Settings;
use hims_api::embedded::EmbeddedPostgres;
use hims_projections::migrations;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tempfile::TempDir;

use crate::hospital::{Node, Process, hims, key_file, postgres, surroundings_ahead_by};
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

    async fn process(options: &PgConnectOptions, key: &std::path::Path, arguments: &'static [&str]) -> Process {
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
