//! A primary and a standby that each commit waits for, which change places.

use std::path::{Path, PathBuf};
use std::process::Command;

use hims_api::Settings;
use hims_api::embedded::{EmbeddedOptions, EmbeddedPostgres};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection};
use tempfile::TempDir;

use super::{Proxy, scratch, scratch_on_disk, until};

/// What happens to the commits that wait for the standby before the standby is promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranding {
    /// Somebody cancels their waits: PostgreSQL answers that they are committed, with a warning.
    Cancel,
    /// Somebody ends their sessions: they are committed, and their callers are not answered.
    Terminate,
    /// The primary starts anew: they are committed, and everybody sees them.
    Restart,
    /// They go on waiting.
    Detach,
}

pub(crate) const STRANDINGS: [Stranding; 4] =
    [Stranding::Cancel, Stranding::Terminate, Stranding::Restart, Stranding::Detach];

/// Appends that wait for the standby, each in a statement of its own or at the end of a transaction.
const APPENDS: &str = "from pg_stat_activity
    where wait_event = 'SyncRep' and usename = 'hims' and (query like '%log.head%' or query ilike 'commit%')";

/// Whether a standby that receives nothing has replayed everything that it has.
const REPLAYED: &str = "select exists (select from pg_stat_activity
    where backend_type = 'startup' and wait_event = 'RecoveryRetrieveRetryInterval')";

fn run(command: &mut Command) {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Starts a server that follows the primary, from a copy of the primary's data.
pub(crate) async fn standby_of(
    primary: &EmbeddedPostgres,
    data_of_primary: &Path,
    options: EmbeddedOptions,
) -> EmbeddedPostgres {
    let (superuser, data) = (primary.superuser_options(), options.data_dir.join("postgres"));
    let mut copy = Command::new("pg_basebackup");
    copy.arg("--host").arg(superuser.get_socket().expect("a socket")).args(["--username", "postgres", "--pgdata"]);
    run(copy.arg(&data).args(["--write-recovery-conf", "--checkpoint", "fast", "--no-sync"]));
    start_on_copy(data_of_primary, options).await
}

/// Starts a server on a copy of the primary's data.
async fn start_on_copy(data_of_primary: &Path, options: EmbeddedOptions) -> EmbeddedPostgres {
    // PostgreSQL runs in an account of its own where the tests run as root.
    let mut like = std::ffi::OsString::from("--reference=");
    like.push(data_of_primary.join("postgres"));
    run(Command::new("chown").arg("--recursive").arg(like).arg(options.data_dir.join("postgres")));
    EmbeddedPostgres::start(options).await.expect("the standby starts")
}

/// A server, and the way to it for nodes.
pub(crate) struct Place {
    /// `None` once the server was killed.
    server: Option<EmbeddedPostgres>,
    folder: TempDir,
    pub(crate) proxy: Proxy,
}

impl Place {
    /// The server, which runs.
    pub(crate) fn server(&self) -> &EmbeddedPostgres {
        self.server.as_ref().expect("the server runs")
    }

    /// The folder with the data of the server.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("postgres")
    }

    /// A connection of a superuser to the hospital's database.
    pub(crate) async fn superuser(&self) -> PgConnection {
        let superuser = self.server().superuser_options().database("hims");
        superuser.connect().await.expect("a superuser's connection")
    }

    async fn tell(&self, sql: &str) {
        self.superuser().await.execute(AssertSqlSafe(sql)).await.expect("the server does as it is told");
    }

    async fn until(&self, sql: &str) {
        until(&mut self.superuser().await, sql).await;
    }

    /// The end of the log that the server has.
    pub(crate) async fn position(&self) -> i64 {
        let head = "select position from log.head";
        sqlx::query_scalar(head).fetch_one(&mut self.superuser().await).await.expect("the head")
    }

    /// Kills the server (`kill -9`).
    pub(crate) async fn kill(&mut self) {
        let server = self.server.take().expect("the server runs");
        let ended = server.ended();
        let killed = Command::new("kill").args(["-KILL", &server.pid().to_string()]).status().expect("kill runs");
        assert!(killed.success(), "the server runs");
        ended.await;
    }
}

/// A primary with a standby that each commit waits for.
pub(crate) struct Pair {
    places: Vec<Place>,
    primary: usize,
    is_durable: bool,
}

impl Pair {
    /// Starts both. Servers that are durable are on a disk, and keep what they have acknowledged if they are killed.
    pub(crate) async fn start(is_durable: bool) -> Self {
        let mut pair = Self { places: Vec::new(), primary: 0, is_durable };
        let folder = pair.folder();
        let server = EmbeddedPostgres::start(pair.options(&folder)).await.expect("PostgreSQL starts");
        let mut superuser = server.superuser_options().connect().await.expect("a superuser's connection");
        // A standby looks for its primary again soon.
        superuser.execute("alter system set wal_retrieve_retry_interval = '200ms'").await.expect("a setting");
        let proxy = Proxy::before(&server.connect_options());
        pair.places.push(Place { server: Some(server), folder, proxy });
        let (server, folder) = pair.copy().await;
        let proxy = Proxy::before(&server.connect_options());
        pair.places.push(Place { server: Some(server), folder, proxy });
        pair.synchronise().await;
        pair
    }

    fn folder(&self) -> TempDir {
        if self.is_durable { scratch_on_disk("pair") } else { scratch("pair") }
    }

    fn options(&self, folder: &TempDir) -> EmbeddedOptions {
        EmbeddedOptions { durable: self.is_durable, ..EmbeddedOptions::new(folder.path()) }
    }

    pub(crate) fn primary(&self) -> &Place {
        &self.places[self.primary]
    }

    pub(crate) fn primary_mut(&mut self) -> &mut Place {
        &mut self.places[self.primary]
    }

    pub(crate) fn standby(&self) -> &Place {
        &self.places[1 - self.primary]
    }

    pub(crate) fn standby_mut(&mut self) -> &mut Place {
        &mut self.places[1 - self.primary]
    }

    /// Starts a standby of the primary.
    async fn copy(&self) -> (EmbeddedPostgres, TempDir) {
        let (folder, primary) = (self.folder(), self.primary());
        (standby_of(primary.server(), primary.folder.path(), self.options(&folder)).await, folder)
    }

    /// Makes each commit of the primary wait for the standby from now on.
    async fn synchronise(&self) {
        let primary = self.primary();
        primary.tell("alter system set synchronous_standby_names = '*'").await;
        primary.tell("select pg_reload_conf()").await;
        self.until_synchronous().await;
    }

    /// The URL of the primary, which names both servers.
    pub(crate) fn url(&self, user: &str) -> String {
        let hosts: Vec<_> = self.ports().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("postgres://{user}@{}/hims?sslmode=disable&target_session_attrs=read-write", hosts.join(","))
    }

    /// Settings of a node that finds the primary by itself, and may migrate it.
    pub(crate) fn settings(&self, master_key_file: PathBuf) -> Settings {
        Settings {
            bind: ([127, 0, 0, 1], 0).into(),
            database_url: Some(self.url("hims")),
            migration_url: Some(self.url("hims_migrator")),
            master_key_file: Some(master_key_file),
            workers: Some(2),
            ..Settings::default()
        }
    }

    /// The URLs of both servers, of which one is a replica.
    pub(crate) fn read_urls(&self, user: &str) -> Vec<String> {
        self.ports().map(|port| format!("postgres://{user}@127.0.0.1:{port}/hims?sslmode=disable")).collect()
    }

    /// The ports at which nodes find the servers.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.places.iter().map(|it| it.proxy.port())
    }

    /// Starts whichever server was killed.
    pub(crate) async fn revive(&mut self) {
        for place in 0..self.places.len() {
            if self.places[place].server.is_none() {
                self.start_again(place).await;
            }
        }
    }

    async fn start_again(&mut self, place: usize) {
        let options = self.options(&self.places[place].folder);
        let server = EmbeddedPostgres::start(options).await.expect("the server starts again");
        let place = &mut self.places[place];
        place.proxy.lead_to(&server.connect_options());
        place.server = Some(server);
    }

    /// Lets the standby receive nothing more, waits for commits that miss it, and lets something happen to them.
    pub(crate) async fn strand(&mut self, fate: Stranding) {
        self.standby().tell("alter system set primary_conninfo = ''").await;
        self.standby().tell("select pg_reload_conf()").await;
        self.standby().until("select not exists (select from pg_stat_wal_receiver)").await;
        self.standby().until(REPLAYED).await;
        let known = self.standby().position().await;
        let waiting = format!("select exists (select {APPENDS})");
        self.primary().until(&waiting).await;
        match fate {
            Stranding::Cancel => self.until_beyond(known, "pg_cancel_backend").await,
            Stranding::Terminate => self.until_beyond(known, "pg_terminate_backend").await,
            Stranding::Restart => self.restart_beyond(known, &waiting).await,
            Stranding::Detach => {}
        }
    }

    /// Ends waits until the primary shows more events than the standby ever had.
    async fn until_beyond(&self, known: i64, end: &str) {
        let end = format!("select {end}(pid) {APPENDS}");
        let beyond = async {
            while self.primary().position().await <= known {
                self.primary().tell(&end).await;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let shown = tokio::time::timeout(std::time::Duration::from_mins(1), beyond).await;
        shown.expect("the primary shows commits that the standby lacks");
    }

    /// Starts the primary anew until it shows more events than the standby ever had. The standby has an append that
    /// waits if it was cut off before it could say so.
    async fn restart_beyond(&mut self, known: i64, waiting: &str) {
        while self.primary().position().await <= known {
            let server = self.primary_mut().server.take().expect("the primary runs");
            server.stop().await;
            self.start_again(self.primary).await;
            self.primary().until(waiting).await;
        }
    }

    /// Cuts the primary off, and promotes the standby.
    pub(crate) async fn promote(&mut self) {
        self.primary().proxy.isolate();
        self.standby().tell("select pg_promote()").await;
        self.standby().tell("alter system reset primary_conninfo").await;
        self.note_promotion();
    }

    /// Takes note that somebody has promoted the standby.
    pub(crate) fn note_promotion(&mut self) {
        self.primary = 1 - self.primary;
    }

    /// Brings the former primary back, as a server that waits for nobody. Answers the end of the log that it has then.
    pub(crate) async fn bring_back(&self) -> i64 {
        let former = self.standby();
        former.tell("alter system set synchronous_standby_names = ''").await;
        former.tell("select pg_reload_conf()").await;
        former.until("select not exists (select from pg_stat_activity where wait_event = 'SyncRep')").await;
        let position = former.position().await;
        former.proxy.rejoin();
        position
    }

    /// Makes the other server a standby of the primary, from a new copy.
    pub(crate) async fn make_standby(&mut self) {
        let (server, folder) = self.copy().await;
        self.replace_standby(server, folder).await;
        self.synchronise().await;
    }

    /// Makes the other server a standby, from a copy that somebody makes of the primary's data into a folder.
    pub(crate) async fn follow_with(&mut self, copy: impl FnOnce(&Place, &Path)) {
        let (folder, primary) = (self.folder(), self.primary());
        copy(primary, &folder.path().join("postgres"));
        let server = start_on_copy(primary.folder.path(), self.options(&folder)).await;
        self.replace_standby(server, folder).await;
        self.primary().until("select exists (select from pg_stat_replication where state = 'streaming')").await;
    }

    /// Waits until each commit of the primary waits for the standby, which is there.
    pub(crate) async fn until_synchronous(&self) {
        self.primary().until("select exists (select from pg_stat_replication where sync_state = 'sync')").await;
    }

    async fn replace_standby(&mut self, server: EmbeddedPostgres, folder: TempDir) {
        let former = self.standby_mut();
        former.proxy.lead_to(&server.connect_options());
        if let Some(server) = former.server.replace(server) {
            server.stop().await;
        }
        former.folder = folder;
    }

    /// Stops both.
    pub(crate) async fn stop(self) {
        for place in self.places {
            if let Some(server) = place.server {
                server.stop().await;
            }
        }
    }
}
