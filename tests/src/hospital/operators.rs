//! What operators do on the command line: checking the log with few rights, comparing and rebuilding what lies beside
//! it, taking migrations back, and `hims doctor`.

use std::process::Output;

use hims_projections::migrations::{self, Loss};
use hims_projections::presence::Alone;
use serde_json::json;
use sqlx::{ConnectOptions as _, Connection as _};

use super::Hospital;
use super::command_line::{assert_failed, on, text};
use super::demo::{medication, room};
use super::fixture::key_file;
use super::process::{hims, run};
use super::releases::{tell, until};
use crate::support::{empty_database, scratch};

/// Runs the program on the hospital's database.
fn hims_on(hospital: &Hospital, arguments: &[&str]) -> Output {
    on(&hospital.database, &scratch("operators")).args(arguments).output().expect("the program runs")
}

#[tokio::test]
async fn the_log_is_checked_without_the_master_key_by_a_login_that_may_only_read_it() {
    let hospital = Hospital::start().await;
    // All databases of the cluster share their roles, so the role is named after this database.
    let auditor = format!("auditor_{}", hospital.database.options.get_database().expect("a name"));
    let rights = format!(
        "create role {auditor} login; grant usage on schema log to {auditor};
         grant select on log.events, log.head to {auditor}"
    );
    tell(&hospital, &rights).await;
    let url = hospital.database.options.clone().username(&auditor).to_url_lossy();
    let verify = |arguments: &[&str]| {
        let mut command = hims();
        command.arg("verify").args(arguments).env("DATABASE_URL", url.as_str()).env("RUST_LOG", "off");
        command.output().expect("the program runs")
    };
    let whole = verify(&[]);
    assert_eq!(whole.status.code(), Some(0), "{whole:?}");
    assert!(text(&whole.stdout).starts_with("positions 1 to "), "{whole:?}");
    let head = hospital.node.store.current_head().await.expect("the head is read");
    let end = verify(&["--from", &(head + 1).to_string()]);
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    assert!(text(&end.stdout).starts_with(&format!("the log ends at position {head}")), "{end:?}");
    let beyond = verify(&["--from", &(head + 2).to_string()]);
    assert_failed(&beyond);
    assert!(text(&beyond.stderr).contains(&format!("the log ends at position {head}")), "{beyond:?}");
    // What lies beside the log cannot be compared without the key.
    assert_eq!(verify(&["--deep"]).status.code(), Some(1));
    tell(&hospital, &format!("revoke select on log.head from {auditor}")).await;
    let refused = verify(&[]);
    assert_failed(&refused);
    assert!(text(&refused.stderr).contains("may read log.events and log.head"), "{refused:?}");
}

/// Takes and puts back a little of a new lot, so often that its stream has a snapshot.
async fn busy_lot(hospital: &Hospital) -> String {
    let pharmacist = hospital.login("pharmacist").await;
    let received = json!({"medication_id": medication(1), "location_id": room(3), "lot_number": "S-1",
                          "expiry_date": super::demo::at(400, 0).date_naive(), "quantity": "5", "unit": "capsule"});
    let lot = pharmacist.did("receive-medication-lot", received).await;
    for nth in 0..120 {
        let change = if nth % 2 == 0 { "-1" } else { "1" };
        let adjusted = json!({"medication_lot_id": lot, "change": change, "reason": "counted"});
        pharmacist.did("adjust-medication-lot", adjusted).await;
    }
    lot
}

#[tokio::test]
async fn a_forged_snapshot_is_not_used_and_what_is_forged_beside_the_log_is_found_and_made_anew() {
    let hospital = Hospital::start().await;
    let lot = busy_lot(&hospital).await;
    let whole = hims_on(&hospital, &["verify", "--deep"]);
    assert_eq!(whole.status.code(), Some(0), "{whole:?}");
    assert!(text(&whole.stdout).contains("1 snapshots, "), "{whole:?}");
    let forged = r#"
        update log.snapshots
           set state = regexp_replace(state::text, '"quantity_on_hand":"[0-9]+"', '"quantity_on_hand":"5000"')::json;
        insert into log.receipts values (gen_random_uuid(), '', 1, 1, now());
        delete from log.subject_keys
         where subject_id = (select stream_id from log.events where event_type = 'patient.registered' limit 1);
        delete from log.unique_claims where scope = 'room.number'"#;
    tell(&hospital, forged).await;
    // Another node, which remembers no state: the lot still holds what its events say.
    let node = hospital.another_node().await;
    let pharmacist = super::Client::new(node.base.clone(), std::sync::Arc::default());
    let pharmacist = pharmacist.login("pharmacist").await;
    let much = json!({"medication_lot_id": lot, "change": "-4000", "reason": "counted"});
    assert!(pharmacist.command("adjust-medication-lot", much).await.status >= 400);
    drop(node);
    let found = hims_on(&hospital, &["verify", "--deep"]);
    let said = text(&found.stderr);
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    for fault in [
        format!("the snapshot of stream {lot} was not written by this program"),
        "names positions that do not hold the events of this command".to_owned(),
        "is missing, so their personal values cannot be read".to_owned(),
        "should hold a claim of room.number".to_owned(),
    ] {
        assert!(said.contains(&fault), "{fault}: {said}");
    }
    let head = hospital.node.store.current_head().await.expect("the head is read");
    let mended = hims_on(&hospital, &["rebuild", "--claims", "--snapshots"]);
    assert_eq!(mended.status.code(), Some(0), "{mended:?}");
    assert!(text(&mended.stdout).contains("the snapshots of 1 streams were made anew"), "{mended:?}");
    let mended = text(&hims_on(&hospital, &["verify", "--deep"]).stderr);
    assert!(!mended.contains("snapshot of stream") && !mended.contains("should hold a claim"), "{mended}");
    // That the claims were rebuilt is an event, which auditors see.
    assert_eq!(hospital.node.store.current_head().await.expect("the head is read"), head + 1);
    hospital.settle().await;
    let audited = hospital.login("admin").await.items("audit-logs?action=access.claims_rebuilt").await;
    assert_eq!((audited.len(), &audited[0]["success"]), (1, &json!(true)), "{audited:?}");
}

#[tokio::test]
async fn the_log_is_not_taken_back_while_it_holds_events() {
    let mut hospital = Hospital::start().await;
    hospital.node.end();
    for steps in ["all", "1000"] {
        let refused = hims_on(&hospital, &["migrate", "down", steps]);
        assert_failed(&refused);
        assert!(text(&refused.stderr).contains("--delete-all-events"), "{refused:?}");
    }
    let events = super::tables::count(hospital.owner(), "log.events").await;
    assert!(events > 0);
    let database = empty_database().await;
    let folder = scratch("operators");
    let migrate = |arguments: &[&str]| {
        let output = on(&database, &folder).arg("migrate").args(arguments).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    };
    migrate(&["up"]);
    migrate(&["down", "all", "--delete-all-events"]);
}

#[tokio::test]
async fn no_migration_is_taken_back_beside_a_server() {
    let mut hospital = Hospital::start().await;
    hospital.settle().await;
    let other = hospital.another_node().await;
    for (running, ends) in [(2, Some(other)), (1, None)] {
        for steps in ["1", "all"] {
            let refused = hims_on(&hospital, &["migrate", "down", steps, "--delete-all-events"]);
            assert_failed(&refused);
            let told = format!("other programs of hims work with this database ({running})");
            assert!(text(&refused.stderr).contains(&told), "{refused:?}");
        }
        drop(ends);
    }
    assert_eq!(super::releases::ready(&hospital.nobody()).await.status, 200, "nothing was taken back");
    hospital.node.end();
    let down = hims_on(&hospital, &["migrate", "down", "2"]);
    assert_eq!(down.status.code(), Some(0), "{down:?}");
}

#[tokio::test]
async fn no_program_starts_while_migrations_are_taken_back() {
    let mut hospital = Hospital::start().await;
    hospital.node.end();
    let alone = Alone::claim(&hospital.database.migrator()).await.expect("nobody else is there");
    let started = hospital.another_node();
    tokio::pin!(started);
    tokio::select! {
        biased;
        _ = &mut started => panic!("the node started"),
        () = super::releases::until(async || super::releases::ask::<i64>(&hospital, WAITING).await > 0) => {}
    }
    alone.end().await;
    let node = started.await;
    assert!(Alone::claim(&hospital.database.migrator()).await.is_err(), "the node works with the database");
    drop(node);
    Alone::claim(&hospital.database.migrator()).await.expect("the node is gone").end().await;
}

#[tokio::test]
async fn a_server_without_its_migrations_names_what_is_missing() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    // Somebody takes back everything in another way than by the program.
    migrations::down(&hospital.database.migrator(), None, Loss::AllEvents).await.expect("down");
    let told = super::releases::assert_unfit(&hospital.nobody(), "migrations-not-applied").await;
    let missing: Vec<_> = told["missing"].as_array().expect("a list").iter().filter_map(|it| it.as_str()).collect();
    assert!(missing.contains(&"0001 log") && missing.contains(&"0008 read pharmacy"), "{missing:?}");
}

/// The programs that have asked for the lock of all programs, and do not have it.
const WAITING: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and query like '%pg_try_advisory_lock_shared%' and pid <> pg_backend_pid()";

#[tokio::test]
async fn the_server_starts_only_on_a_migrated_database_when_its_login_may_not_migrate() {
    let (database, folder) = (empty_database().await, scratch("operators"));
    let mut command = on(&database, &folder);
    let output = command.env_remove("HIMS_MIGRATION_URL").args(["serve", "--bind", "127.0.0.1:0"]).output();
    let output = output.expect("the program runs");
    assert_failed(&output);
    assert!(text(&output.stderr).contains("hims migrate up"), "{output:?}");
    let output = on(&database, &folder).env_remove("HIMS_MIGRATION_URL").args(["migrate", "up"]).output();
    let output = output.expect("the program runs");
    assert_failed(&output);
    assert!(text(&output.stderr).contains("HIMS_MIGRATION_URL"), "{output:?}");
    // The login for migrations alone is enough to migrate.
    let output = on(&database, &folder).env_remove("DATABASE_URL").args(["migrate", "up"]).output();
    assert_eq!(output.as_ref().ok().and_then(|it| it.status.code()), Some(0), "{output:?}");
}

#[tokio::test]
async fn for_a_trial_one_login_that_may_make_roles_is_enough_and_the_doctor_objects() {
    let folder = scratch("operators");
    let cluster = super::backup::empty_cluster(&folder.path().join("cluster")).await;
    let mut superuser = cluster.superuser_options().connect().await.expect("a superuser's connection");
    for sql in ["create role trial login createrole", "create database trial owner trial"] {
        sqlx::query(sql).execute(&mut superuser).await.expect(sql);
    }
    superuser.close().await.expect("closed");
    let url = super::backup::url(&cluster.connect_options(), "trial", "trial");
    let trial = |arguments: &[&str]| {
        let mut command = hims();
        command.env("DATABASE_URL", &url).env("HIMS_MASTER_KEY_FILE", key_file(&folder)).env("RUST_LOG", "off");
        command.args(arguments).output().expect("the program runs")
    };
    for arguments in [&["migrate", "up"][..], &["import", "fhir", "/dev/null"], &["rebuild"], &["verify", "--deep"]] {
        let output = trial(arguments);
        assert!(output.status.success() || arguments[0] == "import", "{output:?}");
    }
    let found = trial(&["doctor"]);
    let told = "FAULT   roles: the server's login trial may change what is recorded";
    assert!(text(&found.stdout).contains(told), "{found:?}");
    // A right that a restore lost is given back by the next migration.
    let mut owner = cluster.superuser_options().database("trial").connect().await.expect("a connection");
    let sql = "revoke create on database trial from hims_tables";
    sqlx::query(sql).execute(&mut owner).await.expect(sql);
    owner.close().await.expect("closed");
    assert!(text(&trial(&["doctor"]).stdout).contains("hims_tables may not make new read tables"));
    assert!(trial(&["migrate", "up"]).status.success());
    assert!(!text(&trial(&["doctor"]).stdout).contains("hims_tables may not make new read tables"));
    cluster.stop().await;
}

#[tokio::test]
async fn the_status_and_the_doctor_tell_of_the_log_the_tables_and_the_processes() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    let told = |what: &str| {
        let mut command = hims();
        let key = hospital.settings.master_key_file.as_ref().expect("the hospital has a key file");
        command.env("DATABASE_URL", hospital.database.options.to_url_lossy().as_str()).env("HIMS_MASTER_KEY_FILE", key);
        text(&command.env("RUST_LOG", "off").arg(what).output().expect("the program runs").stdout)
    };
    until(async || !told("status").contains(" behind")).await;
    let said = told("status");
    let line = |subject: &str| said.lines().find(|line| line.starts_with(subject)).unwrap_or_else(|| panic!("{said}"));
    let head = *hospital.node.store.head().borrow();
    assert!(line("programs").contains("1 at work with the database: at the database for "), "{said}");
    assert!(line("log ").contains(&format!("position {head}, ")), "{said}");
    let up_to_date = format!("position {head}, up to date; a node at the database works on it");
    assert!(line("read tables").contains(&up_to_date), "{said}");
    assert!(line("process charges").contains("up to date; node "), "{said}");
    assert!(line("failures").ends_with(" 0 of processes"), "{said}");
    assert!(line("partitions").contains("the last is audit_logs_"), "{said}");
    assert!(line("timers").contains("of which 0 are due"), "{said}");
    super::death::failure(&hospital).await;
    hospital.settle().await;
    let said = told("status");
    assert!(said.contains("1 of processes, the last at "), "{said}");
    // The doctor says what to do about it, and about a stream that is not projected.
    let said = told("doctor");
    assert!(said.contains("advice  processes: 1 of their commands were refused within seven days"), "{said}");
    assert!(said.contains("ok      read tables: close to the end of the log"), "{said}");
    let parked = "insert into hims.projection_failures (stream_id, stream_type, position, event_type, reason)
                  values (gen_random_uuid(), 'room', 1, 'room.added', 'it could not be read')";
    tell(&hospital, parked).await;
    let said = told("doctor");
    assert!(said.contains("FAULT   read tables: 1 streams are parked"), "{said}");
}

#[test]
fn the_doctor_finds_nothing_to_change_in_the_embedded_database() {
    let folder = scratch("operators");
    let data = folder.path().join("data");
    assert_eq!(run(&data, &["migrate", "up"]).status.code(), Some(0));
    let found = run(&data, &["doctor"]);
    let said = text(&found.stdout);
    assert!(!said.contains("FAULT"), "{said}");
    assert_eq!(found.status.code(), Some(0), "{found:?}");
    for subject in [
        "configuration",
        "disk",
        "keys",
        "database",
        "durability",
        "time limits",
        "clock",
        "roles",
        "extensions",
        "migrations",
        "owners",
        "triggers",
        "grants",
        "read tables",
    ] {
        assert!(said.contains(&format!("ok      {subject}: ")) || subject == "disk", "{subject}: {said}");
    }
    // Without a key the doctor goes on, and says what is wrong with it.
    std::fs::remove_file(data.join("master.key")).expect("the key is there");
    let found = run(&data, &["doctor"]);
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    assert!(text(&found.stdout).contains("FAULT   keys: "), "{found:?}");
    let nothing = run(&folder.path().join("typo"), &["doctor"]);
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    assert!(text(&nothing.stdout).contains("FAULT   database: there is no hospital in"), "{nothing:?}");
}

#[tokio::test]
async fn the_doctor_finds_what_takes_the_protection_from_the_log() {
    let hospital = Hospital::start().await;
    let name = hospital.database.options.get_database().expect("a name").to_owned();
    // The databases of the tests are not durable; every other fault was made by this test.
    let found = hims_on(&hospital, &["doctor"]);
    let told = "FAULT   durability: fsync is off, so an answered command may be lost: set it to on";
    assert!(found.status.code() == Some(1) && text(&found.stdout).contains(told), "{found:?}");
    let faults = || {
        let said = text(&hims_on(&hospital, &["doctor"]).stdout);
        let faults = said.lines().filter(|line| line.starts_with("FAULT") && !line.contains("durability"));
        faults.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(faults(), Vec::<String>::new());
    for (change, undo, told) in [
        (
            "alter table log.events disable trigger events_append_only",
            "alter table log.events enable trigger all",
            "triggers: events_append_only is off",
        ),
        (
            "drop trigger head_stays on log.head",
            "create trigger head_stays before delete or truncate on log.head
             for each statement execute function log.refuse_change()",
            "triggers: head_stays is off",
        ),
        (
            "grant delete on log.events to hims_writer",
            "revoke delete on log.events from hims_writer",
            "grants: hims_writer may delete log.events",
        ),
        (
            "grant truncate on log.head to public",
            "revoke truncate on log.head from public",
            "grants: everybody may truncate log.head",
        ),
        (
            "alter table log.events owner to hims",
            "alter table log.events owner to hims_owner",
            "owners: table log.events belongs to hims and should belong to hims_owner",
        ),
        (
            "alter function log.refuse_change() owner to hims",
            "alter function log.refuse_change() owner to hims_owner",
            "owners: function log.refuse_change() belongs to hims",
        ),
        ("drop extension pg_trgm cascade", "create extension pg_trgm schema public", "extensions: pg_trgm is missing"),
    ] {
        tell(&hospital, change).await;
        let found = faults();
        assert!(found.iter().any(|line| line.contains(told)), "{change}: {found:?}");
        tell(&hospital, undo).await;
    }
    tell(&hospital, &format!("alter database {name} owner to hims")).await;
    let found = faults();
    assert!(found.iter().any(|line| line.contains("owns the database")), "{found:?}");
    tell(&hospital, &format!("alter database {name} owner to hims_owner")).await;
    let mut command = on(&hospital.database, &scratch("operators"));
    let superuser = hospital.database.options.clone().username("postgres").to_url_lossy();
    let output = command.env("DATABASE_URL", superuser.as_str()).arg("doctor").output().expect("the program runs");
    assert!(text(&output.stdout).contains("FAULT   roles: the server's login postgres is a superuser"), "{output:?}");
    // Settings of the login are shared by all tests, so the time limit is one of this database.
    tell(&hospital, &format!("alter database {name} set statement_timeout = '5s'")).await;
    let advised = text(&hims_on(&hospital, &["doctor"]).stdout);
    assert!(advised.contains("advice  time limits: "), "{advised}");
}
