//! The program `hims` on the command line: its output and its exit codes.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::json;
use sqlx::ConnectOptions as _;

use super::Hospital;
use super::fixture::key_file;
use super::process::hims;
use crate::support::{TestDatabase, empty_database, scratch};

/// The program, set up to use a test database.
pub(crate) fn on(database: &TestDatabase, folder: &tempfile::TempDir) -> Command {
    let mut command = hims();
    command.env("DATABASE_URL", database.options.to_url_lossy().as_str());
    command.env("HIMS_MIGRATION_URL", database.migrations.to_url_lossy().as_str());
    command.env("HIMS_MASTER_KEY_FILE", key_file(folder)).env("RUST_LOG", "off").stdin(Stdio::null());
    command
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Fails unless the program ended with exit code 1 and said why in one line on stderr.
#[track_caller]
pub(super) fn assert_failed(output: &Output) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    assert_eq!((said.lines().count(), said.starts_with("hims: ")), (1, true), "{said}");
}

#[test]
fn every_command_explains_itself() {
    for command in [
        vec![],
        vec!["serve"],
        vec!["migrate"],
        vec!["migrate", "up"],
        vec!["migrate", "down"],
        vec!["migrate", "status"],
        vec!["import"],
        vec!["import", "fhir"],
        vec!["import", "interactions"],
        vec!["import", "lab-tests"],
        vec!["generate"],
        vec!["verify"],
        vec!["rebuild"],
        vec!["keys"],
        vec!["keys", "new"],
        vec!["keys", "list"],
        vec!["keys", "rotate"],
        vec!["backup"],
        vec!["backup", "verify"],
        vec!["restore"],
        vec!["doctor"],
        vec!["user"],
        vec!["user", "add"],
        vec!["user", "remove-second-factor"],
        vec!["openapi"],
        vec!["settings"],
        vec!["completions"],
        vec!["man"],
    ] {
        let output = hims().args(&command).arg("--help").output().expect("the program runs");
        assert_eq!(output.status.code(), Some(0), "{command:?}: {output:?}");
        assert!(text(&output.stdout).contains("Usage: hims"), "{command:?}: {output:?}");
    }
    let output = hims().arg("--version").output().expect("the program runs");
    assert_eq!((output.status.code(), text(&output.stdout).starts_with("hims ")), (Some(0), true), "{output:?}");
}

#[test]
fn a_usage_that_is_none_is_2() {
    for command in [
        vec![],
        vec!["dance"],
        vec!["serve", "--bind", "nowhere"],
        vec!["verify", "--from", "x"],
        vec!["import", "fhir"],
        vec!["import", "interactions"],
        vec!["import", "lab-tests"],
        vec!["generate"],
        vec!["generate", "--scale", "0"],
        vec!["generate", "--scale", "many"],
        vec!["rebuild", "--as-of", "1"],
        vec!["keys"],
        vec!["backup"],
        vec!["backup", "verify"],
        vec!["backup", "dir", "--unencrypted", "--recipient", "age1"],
        vec!["restore"],
        vec!["restore", "dir", "--to", "yesterday"],
        vec!["rebuild", "--as-of", "yesterday", "--into", "x"],
        vec!["user", "add"],
        vec!["user", "remove-second-factor"],
        vec!["migrate", "down", "some"],
        vec!["completions"],
        vec!["completions", "teletype"],
        vec!["man"],
    ] {
        let output = hims().args(&command).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(2), "{command:?}: {output:?}");
        assert!(text(&output.stdout).is_empty() && !output.stderr.is_empty(), "{command:?}: {output:?}");
    }
}

#[test]
fn what_cannot_be_done_is_1() {
    let folder = scratch("cli");
    let no_database = hims().env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none").arg("verify").output();
    assert_failed(&no_database.expect("the program runs"));
    let nothing_there = hims()
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
        .env("HIMS_MASTER_KEY_FILE", key_file(&folder))
        .env("RUST_LOG", "off")
        .args(["migrate", "status"])
        .output();
    assert_failed(&nothing_there.expect("the program runs"));
    let unknown = hims().env("HIMS_COLOUR", "red").arg("verify").output().expect("the program runs");
    assert_failed(&unknown);
}

#[test]
fn to_look_at_a_database_that_is_not_there_makes_none() {
    let folder = scratch("cli");
    let typo = folder.path().join("typo");
    for command in [vec!["verify"], vec!["rebuild"], vec!["migrate", "status"], vec!["migrate", "down"]] {
        let output = hims().args(&command).arg("--data-dir").arg(&typo).output().expect("the program runs");
        assert_failed(&output);
        assert!(text(&output.stderr).contains("typo"), "{output:?}");
        assert!(!typo.exists(), "{command:?}");
    }
}

#[test]
fn a_database_that_is_only_migrated_has_its_key() {
    let folder = scratch("cli");
    let hims = |arguments: &[&str]| {
        let output = hims()
            .args(arguments)
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .output()
            .expect("the program runs");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout)
    };
    hims(&["migrate", "up"]);
    assert_eq!(hims(&["verify"]), "the log is empty\n");
}

#[tokio::test]
async fn the_database_goes_up_and_down_and_up() {
    let (database, folder) = (empty_database().await, scratch("cli"));
    let migrate = |arguments: &[&str]| {
        let output = on(&database, &folder).arg("migrate").args(arguments).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout).lines().map(|it| it.contains(" applied 2")).collect::<Vec<_>>()
    };
    let pending = migrate(&["status"]);
    assert!(pending.len() >= 9 && pending.iter().all(|it| !it), "{pending:?}");
    assert!(migrate(&["up"]).iter().all(|it| *it));
    assert_eq!(migrate(&["down"]).iter().filter(|it| **it).count(), pending.len() - 1);
    assert_eq!(migrate(&["down", "2"]).iter().filter(|it| **it).count(), pending.len() - 3);
    assert!(migrate(&["up"]).iter().all(|it| *it));
    assert!(migrate(&["down", "all"]).iter().all(|it| !it));
    assert!(migrate(&["up"]).iter().all(|it| *it));
}

#[tokio::test]
async fn a_broken_chain_is_told_with_its_position() {
    let hospital = Hospital::start().await;
    let folder = scratch("cli");
    let verify = |from: &str| {
        on(&hospital.database, &folder).args(["verify", "--from", from]).output().expect("the program runs")
    };
    let whole = verify("1");
    assert_eq!(whole.status.code(), Some(0), "{whole:?}");
    assert!(text(&whole.stdout).starts_with("positions 1 to "), "{whole:?}");
    let mut db = hospital.database.superuser().await;
    sqlx::raw_sql("set session_replication_role = replica").execute(&mut db).await.expect("no trigger fires");
    let tamper = "update log.events set metadata = replace(metadata::text, 'demo', 'omed')::json
                   where position = (select min(position) from log.events where metadata::text like '%demo%')
                  returning position::text";
    let position: String = sqlx::query_scalar(tamper).fetch_one(&mut db).await.expect("an event is changed");
    let broken = verify("1");
    assert_failed(&broken);
    assert!(text(&broken.stderr).contains(&position), "{broken:?}");
    assert_failed(&verify(&position));
}

#[tokio::test]
async fn a_past_is_made_in_a_schema_of_its_own() {
    let hospital = Hospital::start().await;
    let folder = scratch("cli");
    let rebuild = |schema: &str| {
        on(&hospital.database, &folder)
            .args(["rebuild", "--as-of", "20", "--into", schema])
            .output()
            .expect("the program runs")
    };
    let made = rebuild("as_of_20");
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    assert_eq!(super::tables::count(hospital.owner(), "as_of_20.audit_logs").await, 20);
    assert_failed(&rebuild("as_of_20"));
    // No erasure reaches the copy.
    let advised = on(&hospital.database, &folder).arg("doctor").output().expect("the program runs");
    assert!(text(&advised.stdout).contains("the tables in as_of_20 are as of earlier positions"), "{advised:?}");
    // `then` is a reserved word of SQL.
    let reserved = rebuild("then");
    assert_failed(&reserved);
    assert!(text(&reserved.stderr).contains("choose another"), "{reserved:?}");
    assert_failed(&rebuild("Robert'); drop"));
}

#[tokio::test]
async fn a_user_is_entered_and_chooses_another_password() {
    let hospital = Hospital::start().await;
    let folder = scratch("cli");
    let add_to = |department: &[&str], email: &str, role: &str, password: &str| {
        let mut command = on(&hospital.database, &folder);
        command.args(["user", "add", "--email", email, "--role", role]).args(department);
        command.args(["--first-name", "Ines", "--last-name", "Roth"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        child
            .stdin
            .take()
            .expect("standard input")
            .write_all(format!("{password}\n").as_bytes())
            .expect("the password is read");
        child.wait_with_output().expect("the program ends")
    };
    let add = |email: &str, role: &str, password: &str| add_to(&[], email, role, password);
    assert_failed(&add("ines@example.org", "nurse", "short"));
    let added = add("ines@example.org", "nurse", "a long enough password");
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    assert!(!text(&added.stdout).contains("long enough"), "{added:?}");
    assert_failed(&add("ines@example.org", "nurse", "a long enough password"));
    // A user can also be given a role that the hospital defined itself.
    let admin = hospital.login("admin").await;
    admin.did("define-role", json!({"name": "porter", "display_name": "Porter", "permissions": {}})).await;
    let porter = add("pavel@example.org", "porter", "a long enough password");
    assert_eq!(porter.status.code(), Some(0), "{porter:?}");
    assert_failed(&add("paul@example.org", "potter", "a long enough password"));
    let ines = hospital.nobody().login_as("ines@example.org", "a long enough password").await;
    assert_eq!(ines.get("sessions/current").await.done()["user"]["must_change_password"], true);
    // A nurse who works in a department reads its patients.
    let password = "a long enough password";
    let unknown = add_to(&["--department", "XYZ"], "nora@example.org", "nurse", password);
    assert_failed(&unknown);
    assert!(text(&unknown.stderr).contains("there is no department with the code XYZ"), "{unknown:?}");
    let added = add_to(&["--department", "med"], "nora@example.org", "nurse", password);
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    let nora = hospital.nobody().login_as("nora@example.org", password).await;
    assert_eq!(nora.get("sessions/current").await.done()["user"]["department_id"], super::demo::department(1));
}

#[tokio::test]
async fn a_demo_is_made_once_and_never_over_something_else() {
    let (database, folder) = (empty_database().await, scratch("cli"));
    let output = on(&database, &folder)
        .args(["user", "add", "--email", "x@example.org", "--role", "nurse", "--first-name", "X", "--last-name", "Y"])
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    assert_failed(&output);
    let output =
        on(&database, &folder).args(["serve", "--demo", "--bind", "127.0.0.1:0"]).output().expect("the program runs");
    assert_failed(&output);
    assert!(text(&output.stderr).contains("empty"), "{output:?}");
}

#[test]
fn an_output_that_is_closed_early_is_no_failure() {
    let mut child =
        hims().arg("openapi").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn a_setting_with_which_nothing_would_work_is_refused() {
    let folder = scratch("cli");
    for name in
        ["HIMS_QUEUE", "HIMS_WORKERS", "HIMS_READ_CONNECTIONS", "HIMS_SESSION_HOURS", "HIMS_SESSION_IDLE_MINUTES"]
    {
        let output =
            hims().env(name, "0").args(["serve", "--data-dir"]).arg(folder.path()).output().expect("the program runs");
        assert_failed(&output);
        assert!(text(&output.stderr).contains("at least 1"), "{output:?}");
    }
    for name in ["HIMS_SESSION_HOURS", "HIMS_SESSION_IDLE_MINUTES"] {
        let output = hims().env(name, "99999999999").arg("verify").output().expect("the program runs");
        assert_failed(&output);
        assert!(text(&output.stderr).contains("a year"), "{output:?}");
    }
}

#[tokio::test]
async fn with_another_master_key_nothing_is_opened_and_nothing_is_made() {
    let hospital = Hospital::start().await;
    let folder = scratch("cli");
    let with = |file: &std::path::Path| {
        let mut command = on(&hospital.database, &folder);
        command.env("HIMS_MASTER_KEY_FILE", file).args(["serve", "--bind", "127.0.0.1:0"]);
        command.output().expect("the program runs")
    };
    let other = folder.path().join("other.key");
    std::fs::rename(key_file(&folder), &other).expect("the key file is renamed and keeps its mode");
    std::fs::write(&other, format!("{:064x}", 8)).expect("another key is written");
    let output = with(&other);
    assert_failed(&output);
    assert!(text(&output.stderr).contains("belongs to another hospital"), "{output:?}");
    let output = with(&folder.path().join("no.key"));
    assert_failed(&output);
    assert!(text(&output.stderr).contains("is missing"), "{output:?}");
    let users = "select count(distinct stream_id) from log.events where stream_type = 'user'";
    let users: i64 = sqlx::query_scalar(users).fetch_one(hospital.owner()).await.expect("a number");
    assert_eq!(users, 11);
}

#[test]
fn a_setting_for_the_administrator_that_cannot_be_used_is_named() {
    let folder = scratch("administrator");
    let serve = |settings: &[(&str, &str)]| {
        let mut command = hims();
        command.args(["serve", "--bind", "127.0.0.1:0", "--data-dir"]).arg(folder.path().join("data"));
        command.env("RUST_LOG", "off").envs(settings.iter().copied()).stdin(Stdio::null());
        command.output().expect("the program runs")
    };
    let password = ("HIMS_ADMIN_PASSWORD", "correct horse battery");
    for (settings, named) in [
        (&[("HIMS_ADMIN_EMAIL", "admin at example.org"), password][..], "HIMS_ADMIN_EMAIL"),
        (&[("HIMS_ADMIN_PASSWORD", "password1234")], "HIMS_ADMIN_PASSWORD"),
        (&[("HIMS_TRUSTED_PROXIES", "proxy.example")], "proxy.example"),
    ] {
        let output = serve(settings);
        assert_failed(&output);
        let said = text(&output.stderr);
        assert!(said.contains(named) && !said.contains("password1234"), "{said}");
    }
}
