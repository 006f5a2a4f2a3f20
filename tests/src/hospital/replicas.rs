//! Reads that go to a replica: a real standby, which follows by streaming replication and lags when the test says so.

use std::sync::Arc;

use hims_api::Settings;
use hims_api::embedded::{EmbeddedOptions, EmbeddedPostgres};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Executor as _, PgConnection};
use tempfile::TempDir;

use super::Client;
use super::backup::url;
use super::erasure::ask;
use super::fixture::{Node, key_file};
use super::process::{hims, signal};
use super::releases::until;
use crate::support::{empty_database, scratch, standby_of};

/// A hospital on a primary server of its own, with a replica.
struct Replicated {
    primary: EmbeddedPostgres,
    standby: EmbeddedPostgres,
    settings: Settings,
    node: Node,
    folders: [TempDir; 2],
}

fn options(folder: &TempDir) -> EmbeddedOptions {
    EmbeddedOptions { durable: false, ..EmbeddedOptions::new(folder.path()) }
}

impl Replicated {
    async fn start() -> Self {
        let folders = [scratch("primary"), scratch("standby")];
        let primary = EmbeddedPostgres::start(options(&folders[0])).await.expect("PostgreSQL starts");
        let standby = standby_of(&primary, folders[0].path(), options(&folders[1])).await;
        let settings = Settings {
            bind: ([127, 0, 0, 1], 0).into(),
            database_url: Some(url(&primary.connect_options(), "hims", "hims")),
            migration_url: Some(url(&primary.connect_options(), "hims_migrator", "hims")),
            read_urls: vec![url(&standby.connect_options(), "hims", "hims")],
            master_key_file: Some(key_file(&folders[0])),
            workers: Some(2),
            ..Settings::default()
        };
        let node = Node::start(settings.clone(), hims_api::surroundings(), true).await;
        Self { primary, standby, settings, node, folders }
    }

    fn nobody(&self) -> Client {
        Client::new(self.node.base.clone(), Arc::default())
    }

    /// Lets the standby stand still. Answers a connection of a superuser to it.
    async fn paused_standby(&self) -> PgConnection {
        let mut standby = self.standby.superuser_options().connect().await.expect("a superuser's connection");
        standby.execute("select pg_wal_replay_pause()").await.expect("replay is paused");
        let paused = "select pg_get_wal_replay_pause_state() = 'paused'";
        until(async || sqlx::query_scalar(paused).fetch_one(&mut standby).await.expect("the state of replay")).await;
        standby
    }

    /// The sum of a metric over the servers of this test, whose names have the folder of the socket.
    async fn metric(&self, name: &str, of: &EmbeddedPostgres) -> Option<i64> {
        let nobody = self.nobody();
        let told = nobody.send(nobody.request(Method::GET, "/metrics")).await.text;
        let folder = of.connect_options().get_socket().expect("a socket").display().to_string();
        let line = told.lines().find(|it| it.starts_with(name) && it.contains(&folder))?;
        line.rsplit(' ').next().and_then(|it| it.parse().ok())
    }

    /// What `hims doctor` says.
    fn doctor(&self) -> String {
        self.told("doctor")
    }

    /// What the program says to a command.
    fn told(&self, what: &str) -> String {
        let mut program = hims();
        program.arg(what).env("RUST_LOG", "off").env("HIMS_READ_URLS", self.settings.read_urls.join(","));
        program.env("DATABASE_URL", self.settings.database_url.as_deref().expect("a URL"));
        program.env("HIMS_MASTER_KEY_FILE", self.settings.master_key_file.as_deref().expect("a file"));
        let output = program.output().expect("the program runs");
        [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat()
    }

    /// How many reads the replica has answered.
    async fn answered(&self) -> i64 {
        self.answered_by(&self.standby).await
    }

    async fn answered_by(&self, replica: &EmbeddedPostgres) -> i64 {
        self.metric("hims_replica_reads_total", replica).await.unwrap_or(0)
    }
}

/// Reads a page without naming a position. Answers the position that the page shows.
async fn position_of(client: &Client) -> i64 {
    client.send(client.request(Method::GET, "/api/v1/patients?limit=1")).await.position()
}

fn patient(family: &str) -> Value {
    json!({"first_name": "Rep", "last_name": family, "date_of_birth": "1980-01-01", "gender": "female"})
}

#[tokio::test]
async fn a_read_goes_to_the_replica_unless_the_replica_lacks_the_position() {
    let hospital = Replicated::start().await;
    let reception = hospital.nobody().login("reception").await;
    until(async || {
        position_of(&reception).await;
        hospital.answered().await > 0
    })
    .await;

    let doctor = hospital.doctor();
    assert!(doctor.contains("replicas: number 1 has position"), "{doctor}");
    let status = hospital.told("status");
    assert!(status.lines().any(|it| it.starts_with("replica 1 ") && it.contains("position ")), "{status}");

    // A replica that stands still answers what it has, to those who name no position …
    let mut standby = hospital.paused_standby().await;
    let before = hospital.answered().await;
    let id = reception.did("register-patient", patient("Lagging")).await;
    let written = hospital.node.store.current_head().await.expect("the head");
    let shown = position_of(&reception).await;
    assert_eq!(shown < written, hospital.answered().await > before, "the replica, and only the replica, shows less");
    // … while whoever has written sees it, and no later page shows an earlier position than the page before.
    assert_eq!(reception.row("patients", &id).await["last_name"], "Lagging");
    let first = reception.get("patients?limit=1").await;
    assert!(first.position() >= written, "{}", first.text);
    let next = format!("/api/v1/patients?limit=1&cursor={}", first.done()["next"].as_str().expect("a cursor"));
    let second = reception.send(reception.request(Method::GET, &next)).await;
    assert!(second.position() >= first.position(), "{}", second.text);
    // After some seconds nobody is answered what is so old.
    until(async || position_of(&reception).await >= written).await;

    standby.execute("select pg_wal_replay_resume()").await.expect("replay goes on");
    let before = hospital.answered().await;
    until(async || {
        assert!(position_of(&reception).await >= written);
        hospital.answered().await > before
    })
    .await;
}

#[tokio::test]
async fn of_two_replicas_the_one_that_has_the_position_is_read() {
    let mut hospital = Replicated::start().await;
    let folder = scratch("standby");
    let other = standby_of(&hospital.primary, hospital.folders[0].path(), options(&folder)).await;
    hospital.settings.read_urls.push(url(&other.connect_options(), "hims", "hims"));
    hospital.node.end();
    hospital.node = Node::start(hospital.settings.clone(), hims_api::surroundings(), false).await;
    let reception = hospital.nobody().login("reception").await;
    until(async || {
        position_of(&reception).await;
        hospital.answered().await > 0 && hospital.answered_by(&other).await > 0
    })
    .await;
    let mut standby = hospital.paused_standby().await;
    let id = reception.did("register-patient", patient("Elsewhere")).await;
    let before = [hospital.answered().await, hospital.answered_by(&other).await];
    until(async || {
        // Whoever has written asks for the position of what they wrote.
        assert_eq!(reception.row("patients", &id).await["last_name"], "Elsewhere");
        hospital.answered_by(&other).await > before[1] + 5
    })
    .await;
    assert_eq!(hospital.answered().await, before[0], "the replica that lacks the position is not asked");
    standby.execute("select pg_wal_replay_resume()").await.expect("replay goes on");
    other.stop().await;
}

#[tokio::test]
async fn whoever_is_erased_is_gone_from_the_replica_too() {
    let hospital = Replicated::start().await;
    let reception = hospital.nobody().login("reception").await;
    let id = reception.did("register-patient", patient("Nimbuswort")).await;
    let standby = hospital.standby.superuser_options().database("hims").connect().await;
    let mut standby = standby.expect("a superuser's connection");
    let sql = "select count(*) from hims.patients p where p::text like '%Nimbuswort%'";
    let mut names = async || sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut standby).await.expect("a number");
    until(async || names().await == 1).await;
    let asked = hospital.nobody().login("admin").await.did("erase-patient", ask(&id)).await;
    hospital.nobody().login("privacy").await.did("confirm-erasure", json!({"erasure_id": asked})).await;
    until(async || names().await == 0).await;
}

#[tokio::test]
async fn a_replica_that_is_gone_makes_no_read_fail() {
    let mut hospital = Replicated::start().await;
    let reception = hospital.nobody().login("reception").await;
    until(async || {
        position_of(&reception).await;
        hospital.answered().await > 0
    })
    .await;
    let reading = async {
        for _ in 0..300 {
            reception.get("patients?limit=5").await.done();
        }
    };
    let stopping = async {
        let pid = hospital.standby.pid();
        signal(pid, "QUIT");
        hospital.standby.ended().await;
    };
    tokio::join!(reading, stopping);
    until(async || hospital.metric("hims_replica_position", &hospital.standby).await == Some(-1)).await;
    reception.did("register-patient", patient("Alone")).await;
    hospital.standby = EmbeddedPostgres::start(options(&hospital.folders[1])).await.expect("the standby starts again");
    let before = hospital.answered().await;
    until(async || {
        reception.get("patients?limit=5").await.done();
        hospital.answered().await > before
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_goes_on_with_an_older_history_is_not_used() {
    let hospital = Replicated::start().await;
    let position = async || hospital.metric("hims_replica_position", &hospital.standby).await;
    until(async || position().await.is_some_and(|it| it > 0)).await;
    let superuser = hospital.primary.superuser_options().database("hims");
    let mut superuser = superuser.connect().await.expect("a superuser's connection");
    superuser.execute("update log.head set timeline = timeline - 1").await.expect("the log is of an older history");
    until(async || position().await == Some(-1)).await;
    let doctor = hospital.doctor();
    assert!(doctor.contains("its log has nothing of the timeline of the primary"), "{doctor}");
    superuser.execute("update log.head set timeline = timeline + 1").await.expect("the log is of this history");
    until(async || position().await.is_some_and(|it| it > 0)).await;
}

#[tokio::test]
async fn a_server_that_is_no_replica_of_the_database_answers_nothing() {
    let mut hospital = Replicated::start().await;
    let other = empty_database().await;
    let itself = url(&hospital.primary.connect_options(), "hims", "hims");
    let another = other.options.to_url_lossy().to_string();
    hospital.settings.read_urls = vec![itself, another];
    hospital.node.end();
    hospital.node = Node::start(hospital.settings.clone(), hims_api::surroundings(), false).await;
    let reception = hospital.nobody().login("reception").await;
    for _ in 0..50 {
        reception.get("patients?limit=5").await.done();
    }
    assert_eq!(hospital.metric("hims_replica_position", &hospital.primary).await, Some(-1));
    let doctor = hospital.doctor();
    assert!(
        doctor.contains("number 1 of HIMS_READ_URLS is not used") && doctor.contains("accepts changes"),
        "{doctor}"
    );
    assert!(doctor.contains("number 2 of HIMS_READ_URLS is not used"), "{doctor}");
    assert_eq!(hospital.metric("hims_replica_reads_total", &hospital.primary).await, None);
}
