//! The hospital that is to stand the load: a primary that keeps what it acknowledges, its standby, which answers reads,
//! a Redis, and three nodes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use hims_api::Settings;
use hims_projections::migrations;
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;

use crate::hospital::{Node, Process, hims, key_file, surroundings_ahead_by};
use crate::support::{Pair, Redis, scratch};

/// How many nodes are processes of their own, which can be killed.
pub(super) const PROCESSES: usize = 2;

/// Where the nodes listen now: first the processes, then the node with a clock of its own.
pub(super) type Addresses = Arc<Mutex<Vec<String>>>;

pub(super) struct House {
    pub(super) databases: Pair,
    pub(super) redis: Redis,
    has_redis: bool,
    pub(super) nodes: [Option<Process>; PROCESSES],
    /// By how much the clock of the third node is wrong.
    pub(super) ahead: Arc<Mutex<TimeDelta>>,
    pub(super) addresses: Addresses,
    settings: Settings,
    third: Node,
    folder: TempDir,
}

impl House {
    /// Makes the demo hospital, with its database on a disk.
    pub(super) async fn build() -> Self {
        let folder = scratch("checker");
        let (databases, redis) = (Pair::start(true).await, Redis::start().await);
        let migrations = databases.primary().server().migration_options();
        migrations::up(&PgPoolOptions::new().connect_lazy_with(migrations)).await.expect("migrated");
        let nodes = [0; PROCESSES].map(|_| None);
        let ahead = Arc::new(Mutex::new(TimeDelta::zero()));
        let settings = Settings {
            migration_url: None,
            read_urls: databases.read_urls("hims"),
            redis_url: Some(redis.url()),
            ..databases.settings(key_file(&folder))
        };
        let first = Self::process(&settings, folder.path(), &["--demo"]).await;
        let third = Node::start(settings.clone(), surroundings_ahead_by(ahead.clone()), false).await;
        let addresses = Arc::new(Mutex::new(vec![third.base.clone(); PROCESSES + 1]));
        let mut house = Self { databases, redis, has_redis: true, nodes, ahead, addresses, settings, third, folder };
        house.put(0, first);
        house.heal().await;
        house
    }

    async fn process(settings: &Settings, folder: &Path, arguments: &'static [&str]) -> Process {
        let (settings, data_dir) = (settings.clone(), folder.join("node"));
        let start = move || Process::start_with(&data_dir, arguments, |command| make_node(command, &settings));
        tokio::task::spawn_blocking(start).await.expect("the node starts")
    }

    fn put(&mut self, place: usize, node: Process) {
        node.nobody.base().clone_into(&mut self.addresses.lock().expect("a lock")[place]);
        self.nodes[place] = Some(node);
    }

    /// Starts whatever does not run, and puts the clock right.
    pub(super) async fn heal(&mut self) {
        self.databases.revive().await;
        if !std::mem::replace(&mut self.has_redis, true) {
            self.redis.start_again().await;
        }
        for place in 0..PROCESSES {
            if self.nodes[place].is_none() {
                let node = Self::process(&self.settings, self.folder.path(), &[]).await;
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

    /// Ends the Redis with `kill -9`.
    pub(super) fn kill_redis(&mut self) {
        self.redis.kill();
        self.has_redis = false;
    }

    /// Copies the files of the primary, which does not run.
    pub(super) fn copy_database(&self) -> PathBuf {
        let copy = self.folder.path().join("copy");
        let mut command = Command::new("cp");
        command.arg("--archive").arg(self.databases.primary().data()).arg(&copy);
        assert!(command.status().expect("cp runs").success(), "the files are copied");
        copy
    }

    /// Replaces the files of the primary, which does not run, with those of a copy. The standby, which has more, is
    /// made anew.
    pub(super) async fn put_back(&mut self, copy: &Path) {
        let place = self.databases.primary().data();
        std::fs::remove_dir_all(&place).expect("the files are removed");
        let mut command = Command::new("mv");
        assert!(command.arg(copy).arg(place).status().expect("mv runs").success(), "the copy is in place");
        self.databases.revive().await;
        self.databases.make_standby().await;
    }

    /// How many reads the replica has answered to the third node.
    pub(super) async fn read_at_replica(&self) -> u64 {
        let nobody = &self.nodes[0].as_ref().expect("a node").nobody.at(&self.third.base);
        let told = nobody.send(nobody.request(reqwest::Method::GET, "/metrics")).await.text;
        let ports: Vec<_> = self.databases.ports().map(|it| it.to_string()).collect();
        let of_these = told.lines().filter(|line| {
            line.starts_with("hims_replica_reads_total") && ports.iter().any(|port| line.contains(port.as_str()))
        });
        of_these.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
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
        make_node(&mut verify, &self.settings);
        let told = tokio::task::spawn_blocking(move || verify.output()).await.expect("a thread");
        let told = told.expect("the program runs");
        let text = [told.stdout, told.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
        (!told.status.success()).then(|| format!("hims verify --deep: {text}"))
    }

    /// Ends everything, in good order.
    pub(super) async fn leave(self) {
        let Self { databases, nodes, mut third, .. } = self;
        drop(nodes);
        tokio::task::spawn_blocking(move || third.end()).await.expect("the node ends in good order");
        databases.stop().await;
    }
}

/// Gives a program the settings of a node.
fn make_node(command: &mut Command, settings: &Settings) {
    command.env("HIMS_READ_URLS", settings.read_urls.join(","));
    command.env("DATABASE_URL", settings.database_url.as_deref().expect("a URL"));
    command.env("HIMS_REDIS_URL", settings.redis_url.as_deref().expect("a URL"));
    command.env("HIMS_MASTER_KEY_FILE", settings.master_key_file.as_deref().expect("a file"));
}
