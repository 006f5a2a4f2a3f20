//! The embedded PostgreSQL is durable, private, and stops in good order.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use hims_api::embedded::{EmbeddedError, EmbeddedOptions, EmbeddedPostgres};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use crate::support::scratch;

/// The environment variable with the data directory of the process that is to be killed.
const CHILD: &str = "HIMS_TEST_CHILD_DATA";

async fn start(folder: &Path) -> EmbeddedPostgres {
    EmbeddedPostgres::start(EmbeddedOptions::new(folder)).await.expect("PostgreSQL starts")
}

async fn ask(options: &PgConnectOptions, sql: &'static str) -> String {
    let mut connection = options.connect().await.expect("a connection");
    let answer = sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("an answer");
    connection.close().await.expect("closed");
    answer
}

fn lives(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn it_is_durable_and_private() {
    let folder = scratch("embedded");
    let server = start(folder.path()).await;
    let options = server.connect_options();
    let asked = "select concat_ws(' ', current_user, current_database(), current_setting('fsync'),
        current_setting('synchronous_commit'), current_setting('full_page_writes'), current_setting('data_checksums'),
        '[' || current_setting('listen_addresses') || ']', pg_encoding_to_char(encoding), datcollate, current_setting('timezone'))
        from pg_database where datname = current_database()";
    assert_eq!(ask(&options, asked).await, "hims hims on on on on [] UTF8 C.UTF-8 UTC");
    let superuser = "select rolsuper::text from pg_roles where rolname = current_user";
    assert_eq!(ask(&options, superuser).await, "false");
    assert_eq!(ask(&server.superuser_options(), superuser).await, "true");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&folder.path().join("run").metadata().expect("run").permissions());
    assert_eq!(mode & 0o777, 0o700);
    server.stop().await;
}

#[tokio::test]
async fn it_stops_in_good_order_and_keeps_its_data() {
    let folder = scratch("embedded");
    let server = start(folder.path()).await;
    let mut connection = server.migration_options().connect().await.expect("a connection");
    connection.execute("create table kept as select 'here'::text as it").await.expect("a table");
    let pid = server.pid();
    server.stop().await;
    assert!(!lives(pid));
    let log = std::fs::read_to_string(folder.path().join("postgres.log")).expect("a log");
    assert!(log.contains("database system is shut down"), "{log}");
    let server = start(folder.path()).await;
    assert_eq!(ask(&server.migration_options(), "select it from kept").await, "here");
    server.stop().await;
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_in_plain_words() {
    let folder = scratch("embedded");
    let first = start(folder.path()).await;
    let second = EmbeddedPostgres::start(EmbeddedOptions::new(folder.path())).await.expect_err("a second server");
    assert!(matches!(&second, EmbeddedError::InUse(_)));
    let told =
        format!("{} is in use by another server: stop it, or choose another --data-dir", folder.path().display());
    assert_eq!(second.to_string(), told);
    assert_eq!(ask(&first.connect_options(), "select 'unharmed'").await, "unharmed");
    first.stop().await;
}

#[tokio::test]
async fn it_starts_again_after_it_was_killed() {
    let folder = scratch("embedded");
    let first = start(folder.path()).await;
    let kill = Command::new("kill").args(["-KILL", &first.pid().to_string()]).status().expect("kill");
    assert!(kill.success());
    first.ended().await;
    assert!(folder.path().join("postgres/postmaster.pid").exists(), "a killed server leaves its file");
    let second = start(folder.path()).await;
    assert_eq!(ask(&second.connect_options(), "select 'recovered'").await, "recovered");
    second.stop().await;
}

#[tokio::test]
async fn a_file_left_behind_whose_number_is_anothers_by_now_is_no_obstacle() {
    let folder = scratch("embedded");
    start(folder.path()).await.stop().await;
    let stale = format!("{}\n/nowhere\n", std::process::id());
    std::fs::write(folder.path().join("postgres/postmaster.pid"), stale).expect("a stale file");
    start(folder.path()).await.stop().await;
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_is_no_obstacle() {
    let folder = scratch("embedded");
    let long = folder.path().join("a-folder-with-a-long-name/".repeat(5));
    for _ in 0..2 {
        let server = start(&long).await;
        assert_eq!(ask(&server.connect_options(), "select 'reached'").await, "reached");
        server.stop().await;
    }
}

#[tokio::test]
async fn what_was_interrupted_while_it_was_made_is_made_anew() {
    let folder = scratch("embedded");
    std::fs::create_dir(folder.path().join("postgres.new")).expect("half a cluster");
    std::fs::write(folder.path().join("postgres.new/PG_VERSION"), "15\n").expect("half a cluster");
    start(folder.path()).await.stop().await;
}

#[tokio::test]
async fn data_of_a_version_that_is_not_installed_are_left_alone() {
    let folder = scratch("embedded");
    std::fs::create_dir(folder.path().join("postgres")).expect("a folder");
    std::fs::write(folder.path().join("postgres/PG_VERSION"), "99\n").expect("a version");
    let refused = EmbeddedPostgres::start(EmbeddedOptions::new(folder.path())).await.expect_err("no PostgreSQL 99");
    assert!(refused.to_string().ends_with("not installed: run `apt install postgresql-99`"), "{refused}");
}

/// The process that the test below starts and kills.
#[tokio::test]
#[ignore = "is killed by another test"]
async fn runs_until_it_is_killed() {
    let _server = start(Path::new(&std::env::var_os(CHILD).expect("the parent process names the data"))).await;
    println!("\nit runs");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn it_stops_in_good_order_when_we_are_killed() {
    let folder = scratch("embedded");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "embedded::runs_until_it_is_killed", "--ignored", "--nocapture"])
        .env(CHILD, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program again");
    let mut lines = BufReader::new(child.stdout.take().expect("the output of the child")).lines();
    assert!(lines.any(|it| it.expect("a line") == "it runs"));
    child.kill().expect("kill");
    child.wait().expect("the child ends");
    // A new server waits for the old one to be gone.
    let server = start(folder.path()).await;
    let log = std::fs::read_to_string(folder.path().join("postgres.log")).expect("a log");
    assert!(log.contains("received fast shutdown request") && log.contains("database system is shut down"), "{log}");
    assert!(!log.contains("not properly shut down"), "{log}");
    server.stop().await;
}
