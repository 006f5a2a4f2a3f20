//! A primary is lost and its standby is promoted, while people work. Nothing that was answered is lost, whatever became
//! of the commits that waited for the standby, and the former primary is refused when it comes back.
//!
//! One node goes through all rounds. `FAILOVER_ROUNDS` says how many there are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use hims_api::Settings;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::Client;
use super::demo::person;
use super::fixture::{Node, key_file};
use super::process::hims;
use super::releases::until;
use crate::support::{Pair, Place, STRANDINGS, scratch};

/// How many people work, so how many events a batch has at most.
const WORKERS: i64 = 6;

/// People who record vital signs, each again and again under one key until it is answered as done.
struct Work {
    answered: Arc<Mutex<Vec<Uuid>>>,
    over: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

impl Work {
    fn start(nurse: &Client, patient: &str) -> Self {
        let (answered, over) = (Arc::<Mutex<Vec<Uuid>>>::default(), Arc::new(AtomicBool::new(false)));
        let worker = |rate: i64| {
            let (nurse, answered, over) = (nurse.clone(), answered.clone(), over.clone());
            let body = json!({"patient_id": patient, "heart_rate": 60 + rate});
            tokio::spawn(async move {
                let keys = (u128::from(rate.unsigned_abs()) << 64..).map(Uuid::from_u128);
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
        let workers = (1..=WORKERS).map(worker).collect();
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
    let mut pair = Pair::start(false).await;
    let key = scratch("key");
    let settings = pair.settings(key_file(&key));
    let node = Node::start(settings.clone(), hims_api::surroundings(), true).await;
    let nobody = Client::new(node.base.clone(), Arc::default());
    let nurse = nobody.login("nurse").await;
    let patient = nobody.login("reception").await.did("register-patient", person("Fail", "Over", 1)).await;
    let follower = Follower::start(&nobody.login("admin").await, node.store.current_head().await.expect("the head"));
    let work = Work::start(&nurse, &patient);
    for (round, fate) in (1..=rounds).zip(STRANDINGS.into_iter().cycle()) {
        work.goes_on().await;
        pair.strand(fate).await;
        pair.promote().await;
        work.goes_on().await;
        let before = pair.bring_back().await;
        // The batch that was under way when the network was cut may still arrive at the former primary, and nothing
        // after.
        work.goes_on().await;
        let left = pair.standby().position().await;
        assert!(left <= before + WORKERS, "round {round}, {fate:?}: {before} to {left} is more than one batch");
        work.goes_on().await;
        assert_eq!(pair.standby().position().await, left, "round {round}, {fate:?}: the former primary is refused");
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
