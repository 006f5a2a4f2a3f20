//! A primary is lost and its standby is promoted, while people work. Nothing that was answered is lost, whatever became
//! of the commits that waited for the standby, and the former primary is refused when it comes back.
//!
//! One node goes through all rounds. `FAILOVER_ROUNDS` says how many there are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use hims_api::Settings;
use hims_api::embedded::EmbeddedPostgres;
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::Client;
use super::demo::person;
use super::fixture::{Node, key_file};
use super::process::hims;
use super::releases::until;
use super::replicas::{options, standby_of};
use crate::support::{Proxy, scratch};

/// What happens to the commits that wait for the standby before the standby is promoted.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// Somebody cancels their waits: PostgreSQL answers that they are committed, with a warning.
    Cancel,
    /// Somebody ends their sessions: they are committed, and their callers are not answered.
    Terminate,
    /// The primary starts anew: they are committed, and everybody sees them.
    Restart,
    /// They go on waiting.
    Detach,
}

const FAULTS: [Fault; 4] = [Fault::Cancel, Fault::Terminate, Fault::Restart, Fault::Detach];

/// Commits that wait for the standby.
const WAITING: &str = "select exists (select from pg_stat_activity where wait_event = 'SyncRep')";

/// A server, and the way to it for the node.
struct Place {
    server: EmbeddedPostgres,
    folder: TempDir,
    proxy: Proxy,
}

impl Place {
    async fn superuser(&self) -> PgConnection {
        let superuser = self.server.superuser_options().database("hims");
        superuser.connect().await.expect("a superuser's connection")
    }

    async fn tell(&self, sql: &str) {
        self.superuser().await.execute(AssertSqlSafe(sql)).await.expect("the server does as it is told");
    }

    async fn until(&self, sql: &'static str) {
        let mut superuser = self.superuser().await;
        until(async || sqlx::query_scalar(sql).fetch_one(&mut superuser).await.expect("an answer")).await;
    }

    async fn position(&self) -> i64 {
        let head = "select position from log.head";
        sqlx::query_scalar(head).fetch_one(&mut self.superuser().await).await.expect("the head")
    }
}

/// A primary with a standby that each commit waits for.
struct Pair {
    places: Vec<Place>,
    primary: usize,
}

impl Pair {
    async fn start() -> Self {
        let folder = scratch("failover");
        let server = EmbeddedPostgres::start(options(&folder)).await.expect("PostgreSQL starts");
        let proxy = Proxy::before(&server.connect_options());
        let mut pair = Self { places: vec![Place { server, folder, proxy }], primary: 0 };
        let (server, folder) = pair.copy().await;
        let proxy = Proxy::before(&server.connect_options());
        pair.places.push(Place { server, folder, proxy });
        pair.synchronise().await;
        pair
    }

    fn primary(&self) -> &Place {
        &self.places[self.primary]
    }

    fn standby(&self) -> &Place {
        &self.places[1 - self.primary]
    }

    /// Starts a standby of the primary.
    async fn copy(&self) -> (EmbeddedPostgres, TempDir) {
        let folder = scratch("failover");
        let primary = self.primary();
        (standby_of(&primary.server, primary.folder.path(), &folder).await, folder)
    }

    /// Makes each commit of the primary wait for the standby from now on.
    async fn synchronise(&self) {
        let primary = self.primary();
        primary.tell("alter system set synchronous_standby_names = '*'").await;
        primary.tell("select pg_reload_conf()").await;
        primary.until("select exists (select from pg_stat_replication where sync_state = 'sync')").await;
    }

    fn url(&self, user: &str) -> String {
        let hosts: Vec<_> = self.places.iter().map(|it| format!("127.0.0.1:{}", it.proxy.port())).collect();
        format!("postgres://{user}@{}/hims?sslmode=disable&target_session_attrs=read-write", hosts.join(","))
    }

    /// Lets the standby receive nothing more, waits for commits that miss it, and lets something happen to them.
    async fn strike(&mut self, fault: Fault) {
        self.standby().tell("alter system set primary_conninfo = ''").await;
        self.standby().tell("select pg_reload_conf()").await;
        self.standby().until("select not exists (select from pg_stat_wal_receiver)").await;
        self.primary().until(WAITING).await;
        let end = |how| {
            format!("select {how}(pid) from pg_stat_activity where wait_event = 'SyncRep' and query like '%log.%'")
        };
        let known = self.standby().position().await;
        match fault {
            Fault::Cancel => self.until_beyond(known, Some(end("pg_cancel_backend"))).await,
            Fault::Terminate => self.until_beyond(known, Some(end("pg_terminate_backend"))).await,
            Fault::Restart => {
                let Place { server, folder, proxy } = self.places.remove(self.primary);
                server.stop().await;
                let server = EmbeddedPostgres::start(options(&folder)).await.expect("the primary starts again");
                proxy.lead_to(&server.connect_options());
                self.places.insert(self.primary, Place { server, folder, proxy });
                self.until_beyond(known, None).await;
                self.primary().until(WAITING).await;
            }
            Fault::Detach => {}
        }
    }

    /// Waits until the primary shows more events than the standby ever had.
    async fn until_beyond(&self, known: i64, end: Option<String>) {
        until(async || {
            if let Some(end) = &end {
                self.primary().tell(end).await;
            }
            self.primary().position().await > known
        })
        .await;
    }

    /// Cuts the primary off, and promotes the standby.
    async fn promote(&mut self) {
        self.primary().proxy.isolate();
        self.standby().tell("select pg_promote()").await;
        self.standby().tell("alter system reset primary_conninfo").await;
        self.primary = 1 - self.primary;
    }

    /// Brings the former primary back, as a server that waits for nobody.
    async fn bring_back(&self) {
        let former = self.standby();
        former.tell("alter system set synchronous_standby_names = ''").await;
        former.tell("select pg_reload_conf()").await;
        former.until("select not exists (select from pg_stat_activity where wait_event = 'SyncRep')").await;
        former.proxy.rejoin();
    }

    /// Makes the former primary a standby of the new one.
    async fn make_standby(&mut self) {
        let (server, folder) = self.copy().await;
        let former = &mut self.places[1 - self.primary];
        former.proxy.lead_to(&server.connect_options());
        let server = std::mem::replace(&mut former.server, server);
        former.folder = folder;
        server.stop().await;
        self.synchronise().await;
    }
}

/// People who record vital signs, each again and again under one key until it is answered as done.
struct Work {
    answered: Arc<Mutex<Vec<Uuid>>>,
    over: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

impl Work {
    fn start(nurse: &Client, patient: &str) -> Self {
        let (answered, over) = (Arc::<Mutex<Vec<Uuid>>>::default(), Arc::new(AtomicBool::new(false)));
        let worker = |rate: u32| {
            let (nurse, answered, over) = (nurse.clone(), answered.clone(), over.clone());
            let body = json!({"patient_id": patient, "heart_rate": 60 + rate});
            tokio::spawn(async move {
                let keys = (u128::from(rate) << 64..).map(Uuid::from_u128);
                for key in keys.take_while(|_| !over.load(Ordering::SeqCst)) {
                    loop {
                        let asked = nurse.post("record-vital-signs", &body).header("Idempotency-Key", key.to_string());
                        let answer = nurse.try_send(asked).await.expect("the node answers");
                        if answer.status == 201 {
                            break;
                        }
                        assert!([408, 503].contains(&answer.status), "{}", answer.text);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    answered.lock().expect("a lock").push(key);
                }
            })
        };
        let workers = (1..=6).map(worker).collect();
        Self { answered, over, workers }
    }

    fn count(&self) -> usize {
        self.answered.lock().expect("a lock").len()
    }

    async fn goes_on(&self) {
        let before = self.count();
        until(async || self.count() > before + 20).await;
    }

    async fn end(self) -> Vec<Uuid> {
        self.over.store(true, Ordering::SeqCst);
        for worker in self.workers {
            worker.await.expect("every command was answered");
        }
        std::mem::take(&mut self.answered.lock().expect("a lock"))
    }
}

/// Somebody who follows the whole log, and goes on behind the last event whenever the stream ends.
struct Follower {
    told: Arc<Mutex<Vec<i64>>>,
    following: JoinHandle<()>,
}

impl Follower {
    fn start(admin: &Client, from: i64) -> Self {
        let told = Arc::new(Mutex::new(vec![from]));
        let (admin, heard) = (admin.clone(), Arc::clone(&told));
        let following = tokio::spawn(async move {
            loop {
                let last = *heard.lock().expect("a lock").last().expect("a position");
                let path = format!("/api/v1/events/stream?after={last}");
                if let Ok(response) = admin.request(Method::GET, &path).send().await {
                    let (mut chunks, mut text) = (response.bytes_stream(), String::new());
                    while let Some(Ok(chunk)) = chunks.next().await {
                        // Only numbers are read, whatever letter a chunk ends in.
                        text.push_str(&String::from_utf8_lossy(&chunk));
                        let (complete, rest) = text.rsplit_once('\n').unwrap_or(("", &text));
                        let ids = complete.lines().filter_map(|it| it.strip_prefix("id:"));
                        heard
                            .lock()
                            .expect("a lock")
                            .extend(ids.map(|it| it.trim().parse::<i64>().expect("a position")));
                        text = rest.to_owned();
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { told, following }
    }

    /// Waits until everything up to a position was told, and checks that it was told once and in order.
    async fn heard_all_up_to(self, last: i64) {
        until(async || self.told.lock().expect("a lock").last().is_some_and(|it| *it >= last)).await;
        self.following.abort();
        let told = self.told.lock().expect("a lock").clone();
        let is_whole = told.windows(2).all(|it| it[1] == it[0] + 1);
        assert!(is_whole, "the stream left something out, or told it twice: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost_when_the_standby_takes_over() {
    let rounds = std::env::var("FAILOVER_ROUNDS").map_or(4, |it| it.parse().expect("a number of rounds"));
    let mut pair = Pair::start().await;
    let key = scratch("key");
    let settings = Settings {
        bind: ([127, 0, 0, 1], 0).into(),
        database_url: Some(pair.url("hims")),
        migration_url: Some(pair.url("hims_migrator")),
        master_key_file: Some(key_file(&key)),
        workers: Some(2),
        ..Settings::default()
    };
    let node = Node::start(settings.clone(), hims_api::surroundings(), true).await;
    let nobody = Client::new(node.base.clone(), Arc::default());
    let nurse = nobody.login("nurse").await;
    let patient = nobody.login("reception").await.did("register-patient", person("Fail", "Over", 1)).await;
    let follower = Follower::start(&nobody.login("admin").await, node.store.current_head().await.expect("the head"));
    let work = Work::start(&nurse, &patient);
    for (round, fault) in (1..=rounds).zip(FAULTS.into_iter().cycle()) {
        work.goes_on().await;
        pair.strike(fault).await;
        pair.promote().await;
        work.goes_on().await;
        pair.bring_back().await;
        // What was under way when the network was cut may still arrive at the former primary, and nothing after it.
        work.goes_on().await;
        let left = pair.standby().position().await;
        work.goes_on().await;
        assert_eq!(pair.standby().position().await, left, "round {round}, {fault:?}: the former primary is refused");
        if round == 1 {
            a_program_that_starts_now_finds_the_new_primary(&pair, &settings);
        }
        pair.make_standby().await;
    }
    let answered = work.end().await;
    follower.heard_all_up_to(pair.primary().position().await).await;
    let receipts: i64 = sqlx::query_scalar("select count(*) from log.receipts where command_id = any($1)")
        .bind(&answered)
        .fetch_one(&mut pair.primary().superuser().await)
        .await
        .expect("the receipts are counted");
    assert_eq!(usize::try_from(receipts).expect("a count"), answered.len(), "every answered command is in the log");
    let page = nurse.get(&format!("vital-signs?patient_id={patient}&limit=1")).await;
    assert_eq!(page.done()["items"].as_array().map(Vec::len), Some(1));
    let shown = "select count(*) from hims.vital_signs where patient_id = $1::uuid";
    until(async || {
        let rows: i64 = sqlx::query_scalar(shown)
            .bind(&patient)
            .fetch_one(&mut pair.primary().superuser().await)
            .await
            .expect("the rows are counted");
        rows == receipts
    })
    .await;
    let verified = program(&settings).args(["verify", "--deep"]).output().expect("the program runs");
    assert!(verified.status.success(), "{verified:?}");
}

/// The program `hims` with the settings of the node.
fn program(settings: &Settings) -> std::process::Command {
    let mut program = hims();
    program.env("RUST_LOG", "off").env("DATABASE_URL", settings.database_url.as_deref().expect("a URL"));
    program.env("HIMS_MASTER_KEY_FILE", settings.master_key_file.as_deref().expect("a file"));
    program
}

/// Both servers accept changes now, and the former primary is named first.
fn a_program_that_starts_now_finds_the_new_primary(pair: &Pair, settings: &Settings) {
    let output = program(settings).arg("doctor").output().expect("the program runs");
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
    let address = |place: &Place| format!("127.0.0.1:{}", place.proxy.port());
    assert!(said.contains(&format!("{} is the primary, in timeline 2", address(pair.primary()))), "{said}");
    assert!(said.contains(&format!("{} is a former primary, in timeline 1", address(pair.standby()))), "{said}");
    assert!(said.contains("no commit waits for a standby"), "{said}");
}
