//! The backup and the set-up of `docs/operators.md`, carried out word for word.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use hims_api::embedded::{EmbeddedOptions, EmbeddedPostgres};
use hims_projections::roles::ROLES;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use super::demo::busy_day;
use super::fixture::key_file;
use super::process::hims;
use super::tables::{assert_same_rows, contents, count};
use super::{Client, Hospital};
use crate::support::{cluster, scratch};

const OPERATORS: &str = include_str!("../../../docs/operators.md");

/// The blocks of code of a language in a section of the page for operators.
fn blocks(section: &str, language: &str) -> Vec<&'static str> {
    blocks_of(OPERATORS, section, language)
}

/// The blocks of code of a language in a section of a page.
pub(super) fn blocks_of(page: &'static str, section: &str, language: &str) -> Vec<&'static str> {
    let section = page.split("\n## ").find(|it| it.starts_with(&format!("{section}\n"))).expect("the section");
    let begins = format!("```{language}\n");
    section.split(&begins).skip(1).map(|it| it.split("```").next().expect("the block ends")).collect()
}

/// A URL of a database that both `hims` and PostgreSQL's own programs understand.
pub(super) fn url(options: &PgConnectOptions, user: &str, database: &str) -> String {
    let folder = options.get_socket().expect("a socket").display().to_string();
    format!("postgres:///{database}?host={folder}&user={user}&sslmode=disable")
}

/// Runs the commands of a block in a folder, and returns what they print.
pub(super) fn run(block: &str, folder: &Path, variables: &[(&str, &str)]) -> String {
    let program = hims().get_program().to_owned();
    let beside = Path::new(&program).parent().expect("a folder").to_owned();
    let path = std::env::join_paths(
        std::iter::once(beside).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", block]).current_dir(folder).stdin(Stdio::null());
    command.env("PATH", path.expect("a search path")).env("RUST_LOG", "off").envs(variables.iter().copied());
    let output = command.output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{block}: {output:?}");
    said
}

/// A cluster with nothing but its superuser.
pub(super) async fn empty_cluster(folder: &Path) -> EmbeddedPostgres {
    let options = EmbeddedOptions { durable: true, ..EmbeddedOptions::new(folder) };
    let cluster = EmbeddedPostgres::start(options).await.expect("PostgreSQL starts");
    let mut superuser = cluster.superuser_options().connect().await.expect("a superuser's connection");
    for sql in [
        "drop database hims",
        "drop role hims, hims_migrator, hims_owner, hims_tables, hims_writer",
        "drop role hims_projector, hims_reader",
    ] {
        superuser.execute(sql).await.expect(sql);
    }
    superuser.close().await.expect("closed");
    cluster
}

#[test]
fn the_set_up_is_that_of_the_embedded_database() {
    let [set_up] = blocks("Your own database", "sql")[..] else { panic!("the set-up is one block") };
    let database = "create database hims owner hims_owner encoding 'UTF8' template template0;\n";
    assert_eq!(set_up.replace(" password '…'", ""), format!("{ROLES}{database}"));
}

#[tokio::test]
async fn a_backup_as_documented_is_restored_as_documented_into_an_empty_cluster() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    let before = contents(hospital.owner(), "hims").await;
    let folder = scratch("backup");
    let name = hospital.database.options.get_database().expect("a name").to_owned();
    let [backup, restore] = blocks("Backup", "sh")[..] else { panic!("one block to back up and one to restore") };
    let old = &cluster().await.connect_options();
    run(
        backup,
        folder.path(),
        &[
            ("SUPERUSER_URL", &url(old, "postgres", "postgres")),
            ("HIMS_MIGRATION_URL", &url(old, "hims_migrator", &name)),
        ],
    );
    let noted = hospital.node.store.end().await.expect("the end of the log");
    let dump = std::fs::read(folder.path().join("hims.dump")).expect("the dump");
    assert!(dump.starts_with(b"PGDMP"));
    let new = empty_cluster(&folder.path().join("cluster")).await;
    let options = &new.connect_options();
    let (key, server) = (key_file(&folder), url(options, "hims", &name));
    let said = run(
        restore,
        folder.path(),
        &[
            ("SUPERUSER_URL", &url(options, "postgres", "postgres")),
            ("DATABASE_URL", &server),
            ("HIMS_MASTER_KEY_FILE", key.to_str().expect("a path")),
        ],
    );
    let hash = hims_event_store::chain::hex(&noted.1);
    assert!(said.starts_with(&format!("positions 1 to {} hold; the last hash is {hash}\n", noted.0)), "{said}");
    let owner = sqlx::PgPool::connect(&server).await.expect("the restored database");
    assert_same_rows(&contents(&owner, "hims").await, &before);
    // The search path of the database is restored with it.
    assert_eq!(count(&owner, "events").await, noted.0);
    owner.close().await;
    // The restored hospital serves.
    let settings =
        hims_api::Settings { database_url: Some(server), master_key_file: Some(key), ..hospital.settings.clone() };
    let node = super::fixture::Node::start(settings, hims_api::surroundings(), false).await;
    let reception = Client::new(node.base.clone(), Arc::default()).login("reception").await;
    let id = reception.did("register-patient", super::demo::person("Ottilie", "Nachtigall", 77)).await;
    assert_eq!(reception.row("patients", &id).await["first_name"], "Ottilie");
    drop(node);
    new.stop().await;
}

#[tokio::test]
async fn a_copy_is_for_those_who_have_been_given_it_and_is_dropped_as_documented() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    let [give, drop_it] = blocks("Personal values in clear", "sql")[..] else { panic!("a block to give, one to drop") };
    let rebuild = super::releases::rebuild(&hospital);
    let head = hospital.node.store.current_head().await.expect("the head is read");
    rebuild.run(&hims_projections::Target::Position(head, "copied".to_owned()), |_| {}).await.expect("a copy");
    // All databases of the cluster share their roles, so the role is named after this database.
    let auditor = format!("copier_{}", hospital.database.options.get_database().expect("a name"));
    super::releases::tell(&hospital, &format!("create role {auditor} login")).await;
    let mut db = hospital.database.options.clone().username(&auditor).connect().await.expect("a connection");
    db.execute("select count(*) from copied.patients").await.expect_err("nobody has given the copy yet");
    let give = give.replace("NAME", "copied").replace("auditor", &auditor);
    sqlx::raw_sql(AssertSqlSafe(give)).execute(hospital.owner()).await.expect("the server's login gives the copy");
    let shown: i64 =
        sqlx::query_scalar("select count(*) from copied.patients").fetch_one(&mut db).await.expect("a number");
    assert_eq!(shown, count(hospital.owner(), "copied.patients").await);
    assert!(shown > 0);
    db.execute("select count(*) from copied.users").await.expect_err("only one table is given");
    db.close().await.expect("closed");
    let drop_it = drop_it.replace("NAME", "copied");
    sqlx::raw_sql(AssertSqlSafe(drop_it)).execute(hospital.owner()).await.expect("the server's login drops the copy");
}
