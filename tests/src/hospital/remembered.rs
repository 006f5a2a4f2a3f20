//! Answers about catalogues are remembered, in the memory of a node and in a Redis that nodes share. They are never older
//! than what a client asks for, and nothing depends on Redis.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join;
use hims_projections::TABLES;
use reqwest::Method;
use reqwest::header::CACHE_CONTROL;
use serde_json::json;

use super::answer::Answer;
use super::process::{Process, hims, signal};
use super::protection::PUBLIC;
use super::releases::until;
use super::{Client, Hospital, demo};
use crate::support::{Redis, scratch};

/// A node in a process of its own, with counts of its own.
fn node(hospital: &Hospital, data_dir: &Path, redis: Option<&Redis>) -> Process {
    let key = hospital.settings.master_key_file.clone().expect("a key file");
    Process::start_with(data_dir, &[], |command| {
        command.env("DATABASE_URL", hospital.settings.database_url.as_deref().expect("a URL"));
        command.env("HIMS_MASTER_KEY_FILE", key);
        command.envs(redis.map(|it| ("HIMS_REDIS_URL", it.url())));
    })
}

/// A number that a node counts.
async fn counted(client: &Client, name: &str) -> u64 {
    let told = client.send(client.request(Method::GET, "/metrics")).await.text;
    let line = told.lines().find_map(|it| it.strip_prefix(name));
    line.and_then(|it| it.trim().parse().ok()).unwrap_or(0)
}

/// How many answers a node has given from its memory, from Redis and from the tables.
async fn answers(client: &Client) -> [u64; 3] {
    let mut counts = [0; 3];
    for (count, from) in counts.iter_mut().zip(["memory", "redis", "tables"]) {
        *count = counted(client, &format!("hims_catalogue_answers_total{{from=\"{from}\"}}")).await;
    }
    counts
}

const DEPARTMENTS: &str = "departments?sort=code&limit=2";

/// Asks until the answer comes from the memory of the node.
async fn until_remembered(client: &Client, path: &str) {
    until(async || {
        let before = answers(client).await[0];
        client.get(path).await.done();
        answers(client).await[0] > before
    })
    .await;
}

#[test]
fn what_is_remembered_is_open_to_everybody_and_about_no_patient() {
    let catalogues: Vec<_> = TABLES.iter().filter(|it| it.is_catalogue).collect();
    assert!(catalogues.len() > 5);
    for table in catalogues {
        assert!(PUBLIC.iter().any(|(name, _)| *name == table.name), "{}: some callers read some rows", table.name);
        assert!(table.narrowed.is_empty(), "{}: some callers read some columns", table.name);
        let is_about_people = table.columns.iter().any(|it| it.personal || it.hidden || it.name == "patient_id");
        assert!(!is_about_people, "{}: it is about people", table.name);
    }
}

#[tokio::test]
async fn what_is_remembered_is_answered_again_until_it_changes() {
    let (hospital, folder) = (Hospital::start().await, scratch("node"));
    let node = node(&hospital, folder.path(), None);
    let (admin, nurse) = (node.nobody.login("admin").await, node.nobody.login("nurse").await);
    until_remembered(&admin, DEPARTMENTS).await;
    let before = answers(&nurse).await;
    let page = nurse.get(DEPARTMENTS).await;
    let id = page.done()["items"][0]["id"].as_str().expect("an id").to_owned();
    let after = answers(&nurse).await;
    assert_eq!((after[0] - before[0], after[2] - before[2]), (1, 0), "everybody is answered the same");
    // The next page is asked for by the cursor of the remembered page.
    let next = format!("{DEPARTMENTS}&cursor={}", page.done()["next"].as_str().expect("a cursor"));
    assert_ne!(nurse.get(&next).await.done()["items"], page.done()["items"]);
    let row = format!("departments/{id}");
    until_remembered(&nurse, &row).await;
    let version = |row: &Answer| row.headers["etag"].clone();
    let old = version(&nurse.get(&row).await);
    // A room changes no department: the answer is remembered on, and shows the position of the change.
    let position = admin.command("change-room", json!({"room_id": demo::room(1), "name": "Blue"})).await.position();
    until(async || {
        let before = answers(&nurse).await;
        let shown = nurse.get(DEPARTMENTS).await.position();
        shown >= position && answers(&nurse).await[0] > before[0]
    })
    .await;
    for number in 0..20 {
        let name = format!("Number {number}");
        // Whoever has written asks for the position of what they wrote.
        admin.did("change-department", json!({"department_id": id, "name": name})).await;
        assert_eq!(admin.row("departments", &id).await["name"], name);
        assert_eq!(admin.get(DEPARTMENTS).await.done()["items"][0]["name"], name);
    }
    // Whoever asks for no position is told soon.
    until(async || nurse.get(&row).await.done()["name"] == "Number 19").await;
    assert_ne!(version(&nurse.get(&row).await), old);
    // A client can ask for the table itself.
    until_remembered(&nurse, &row).await;
    let before = answers(&nurse).await;
    let asked = nurse.request(Method::GET, &format!("/api/v1/{row}")).header(CACHE_CONTROL, "no-cache");
    assert_eq!(nurse.send(asked).await.done()["name"], "Number 19");
    assert_eq!(answers(&nurse).await, before);
    nurse.get("departments/00000000-0000-0000-0000-000000000001").await.problem(404, "not-found");
    // What concerns people is never remembered.
    let before = answers(&nurse).await;
    for _ in 0..3 {
        nurse.get("users?limit=5").await.done();
        nurse.get("patients?limit=5").await.done();
    }
    assert_eq!(answers(&nurse).await, before);
}

#[tokio::test]
async fn no_answer_is_older_than_what_was_asked_for_while_catalogues_change() {
    let (hospital, redis, folders) =
        (Hospital::start().await, Redis::start().await, [scratch("one"), scratch("other")]);
    let nodes = folders.each_ref().map(|it| node(&hospital, it.path(), Some(&redis)));
    let mut admins = Vec::new();
    for node in &nodes {
        admins.push(node.nobody.login("admin").await);
    }
    let (id, over, written) = (demo::department(1), AtomicBool::new(false), Mutex::new(Vec::new()));
    let writing = async {
        for number in 0..60_u32 {
            let admin = &admins[number as usize % 2];
            let change = json!({"department_id": id, "name": format!("Number {number}")});
            let position = admin.command("change-department", change).await.position();
            written.lock().expect("a lock").push((position, number));
            if number.is_multiple_of(15) {
                until_remembered(&admins[1], &format!("departments/{id}")).await;
            }
            for reader in &admins {
                reader.saw(position);
                let name = reader.row("departments", &id).await["name"].to_string();
                assert_eq!(name, format!("\"Number {number}\""), "the name that was written last");
            }
        }
        over.store(true, Ordering::SeqCst);
    };
    // Others ask for no position. They are told which position they are shown.
    let reading = async {
        let nurse = nodes[1].nobody.login("nurse").await;
        while !over.load(Ordering::SeqCst) {
            let row = nurse.send(nurse.request(Method::GET, &format!("/api/v1/departments/{id}"))).await;
            let number = row.done()["name"].as_str().and_then(|it| it.strip_prefix("Number ")?.parse().ok());
            let number: u32 = number.unwrap_or(0);
            let written = written.lock().expect("a lock");
            let shown: i64 = row.header("hims-position").and_then(|it| it.parse().ok()).expect("a position");
            let last = written.iter().rfind(|(position, _)| *position <= shown);
            assert!(last.is_none_or(|(_, last)| number >= *last), "{number} is shown at {shown}: {last:?}");
        }
    };
    join(writing, reading).await;
}

#[tokio::test]
async fn nodes_share_answers_in_redis_and_go_on_without_it() {
    let (hospital, mut redis) = (Hospital::start().await, Redis::start().await);
    let folders = [scratch("one"), scratch("other")];
    let [one, other] = folders.each_ref().map(|it| node(&hospital, it.path(), Some(&redis)));
    let (here, there) = (one.nobody.login("nurse").await, other.nobody.login("nurse").await);
    let all = "departments?limit=50";
    until(async || {
        here.get(all).await.done();
        !redis.contents().await.is_empty()
    })
    .await;
    until(async || {
        there.get(all).await.done();
        answers(&there).await[1] > 0
    })
    .await;
    // Nobody reads there what is remembered, or which questions were asked.
    for (key, value) in redis.contents().await {
        let name = b"department";
        assert!(key.starts_with("hims:answer:") && !key.contains("department"), "{key}");
        assert!(!value.windows(name.len()).any(|it| it.eq_ignore_ascii_case(name)), "an answer in the clear");
    }
    // An answer that stands under another key is none.
    let rows: Vec<_> = (1..=2).map(|number| format!("departments/{}", demo::department(number))).collect();
    until(async || {
        for asked in rows.iter().map(String::as_str).chain([all]) {
            here.get(asked).await.done();
        }
        redis.contents().await.len() >= 3
    })
    .await;
    redis.confuse().await;
    for (number, row) in (1..).zip(&rows) {
        assert_eq!(there.get(row).await.done()["id"], demo::department(number));
    }
    let healthy = answers(&there).await;
    // A Redis that stands still holds up nobody, and is left alone for a while.
    signal(redis.id(), "STOP");
    for limit in 1..=40 {
        there.get(&format!("departments?limit={limit}")).await.done();
    }
    assert_eq!(answers(&there).await[1], healthy[1]);
    assert!(counted(&there, "hims_redis_failures_total").await > 0);
    signal(redis.id(), "CONT");
    redis.kill();
    for limit in 41..=80 {
        there.get(&format!("departments?limit={limit}")).await.done();
    }
    // It is used again when it is back.
    redis.start_again().await;
    let asked = "departments?limit=90";
    until(async || {
        here.get(asked).await.done();
        !redis.contents().await.is_empty()
    })
    .await;
    until(async || {
        there.get(asked).await.done();
        there.get("departments?limit=91").await.done();
        here.get("departments?limit=91").await.done();
        answers(&there).await[1] + answers(&here).await[1] > healthy[1]
    })
    .await;
}

#[tokio::test]
async fn the_doctor_looks_at_redis_and_a_wrong_url_is_named() {
    let (hospital, mut redis) = (Hospital::start().await, Redis::start().await);
    let run = |arguments: &[&str], url: &str| {
        let mut command = hims();
        command.args(arguments).env("RUST_LOG", "off").env("HIMS_REDIS_URL", url);
        command.env("DATABASE_URL", hospital.settings.database_url.as_deref().expect("a URL"));
        command.env("HIMS_MASTER_KEY_FILE", hospital.settings.master_key_file.as_deref().expect("a key file"));
        let output = command.output().expect("the program runs");
        [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat()
    };
    assert!(run(&["doctor"], &redis.url()).contains("ok      redis: it answers"));
    redis.kill();
    assert!(run(&["doctor"], &redis.url()).contains("FAULT   redis: it cannot be used"));
    let said = run(&["serve", "--bind", "127.0.0.1:0"], "http://user:secret@cache");
    assert!(said.contains("HIMS_REDIS_URL: the URL of Redis cannot be read") && !said.contains("secret"), "{said}");
}
