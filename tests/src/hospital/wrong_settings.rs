//! A wrong setting is named as what it is, on one line, without a secret, and without dangerous advice.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use sqlx::{ConnectOptions as _, Executor as _};
use tokio::net::TcpListener;

use super::Hospital;
use super::fixture::key_file;
use super::process::hims;
use crate::support::{database, scratch};

/// What the program says about a failure, in one line.
async fn complaint(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().expect("the program runs"));
    let output = output.await.expect("the program ends");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.starts_with("hims: ") && said.lines().count() == 1 && !said.contains("secret"), "{said}");
    said
}

fn with_url(url: &str, key: &Path) -> Command {
    let mut command = hims();
    command
        .env("DATABASE_URL", url)
        .env("HIMS_MASTER_KEY_FILE", key)
        .env("RUST_LOG", "off")
        .args(["migrate", "status"]);
    command
}

#[tokio::test]
async fn a_wrong_url_of_the_database_is_named() {
    let folder = scratch("settings");
    let key = key_file(&folder);
    let (hospital, silent) = (Hospital::start().await, TcpListener::bind(("127.0.0.1", 0)).await.expect("a port"));
    let http = hospital.node.base.trim_start_matches("http://");
    let silent = silent.local_addr().expect("an address");
    for (url, wanted) in [
        ("mysql://hims:secret@127.0.0.1:3306/hims", "must begin with postgres://"),
        ("127.0.0.1:5432/secret", "must begin with postgres://"),
        ("postgres://hims:secret@127.0.0.1:99999/hims", "invalid port number"),
        ("postgres://hims:secret@127.0.0.1:1/hims", "cannot be reached at 127.0.0.1:1"),
        (&format!("postgres://hims:secret@{http}/hims"), "does not speak PostgreSQL's protocol"),
        (&format!("postgres://hims:secret@{silent}/hims"), "does not answer"),
    ] {
        let said = complaint(with_url(url, &key)).await;
        assert!(said.contains(wanted), "{url}: {said}");
    }
}

#[tokio::test]
async fn a_database_that_refuses_the_connection_says_why() {
    let folder = scratch("settings");
    let (key, database) = (key_file(&folder), database().await);
    let said = complaint(with_url(database.options.clone().database("nowhere").to_url_lossy().as_str(), &key)).await;
    assert!(said.contains("database \"nowhere\" does not exist"), "{said}");
}

#[tokio::test]
async fn a_database_without_durable_commits_is_refused() {
    let folder = scratch("settings");
    let (key, database) = (key_file(&folder), database().await);
    let mut superuser = database.superuser().await;
    let name = database.options.get_database().expect("a database");
    let sql = format!("alter database {name} set synchronous_commit = off");
    superuser.execute(sqlx::AssertSqlSafe(sql)).await.expect("set");
    let said = complaint(with_url(database.options.to_url_lossy().as_str(), &key)).await;
    assert!(said.contains("synchronous_commit is off"), "{said}");
    let mut doctor = hims();
    doctor.env("DATABASE_URL", database.options.to_url_lossy().as_str()).env("HIMS_MASTER_KEY_FILE", &key);
    let found = doctor.arg("doctor").output().expect("the program runs");
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let told = String::from_utf8_lossy(&found.stdout);
    assert!(
        told.contains("FAULT   database: synchronous_commit is off in PostgreSQL, so an answered command"),
        "{told}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_tell_its_timeline_is_used_if_it_is_the_only_one() {
    let folder = scratch("settings");
    let (key, database) = (key_file(&folder), database().await);
    let mut superuser = database.superuser().await;
    let withheld = superuser.execute("revoke execute on function pg_control_system() from public").await;
    withheld.expect("the function is withheld");
    let url = database.options.to_url_lossy();
    let mut command = hims();
    command.env("DATABASE_URL", url.as_str()).env("HIMS_MASTER_KEY_FILE", &key).args(["verify", "--deep"]);
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{output:?}");
    let options = &database.options;
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |it| it.display().to_string());
    let host = format!("{}:{}", host.replace('/', "%2F"), options.get_port());
    let (user, name) = (options.get_username(), options.get_database().expect("a database"));
    let two = format!("postgres://{user}@{host},{host}/{name}");
    let said = complaint(with_url(&two, &key)).await;
    assert!(said.contains("does not tell its timeline"), "{said}");
}

#[tokio::test]
async fn a_key_file_that_is_a_folder_is_named() {
    let folder = scratch("settings");
    let (mut command, database) = (hims(), database().await);
    command.env("DATABASE_URL", database.options.to_url_lossy().as_str());
    command.env("HIMS_MASTER_KEY_FILE", folder.path()).args(["verify", "--deep"]);
    let said = complaint(command).await;
    assert!(said.contains("is not a file") && !said.contains("chmod"), "{said}");
}

#[tokio::test]
async fn a_wrong_log_setting_and_a_wrong_port_are_named() {
    let folder = scratch("settings");
    for (name, value, wanted) in [
        ("RUST_LOG", "inof", "RUST_LOG cannot be read"),
        ("RUST_LOG", "sqlx=loud", "RUST_LOG cannot be read"),
        ("HIMS_BIND", "127.0.0.1:99999", "bind"),
        ("HIMS_BIND", "somewhere", "bind"),
        ("HIMS_WORKERS", "many", "workers"),
    ] {
        let mut command = hims();
        command.env(name, value).arg("verify").arg("--data-dir").arg(folder.path());
        let said = complaint(command).await;
        assert!(said.contains(wanted), "{name}={value}: {said}");
    }
}

/// Only root can give a folder to another user, so without root only the unit test beside the code checks this.
#[tokio::test]
async fn the_data_directory_of_somebody_else_is_left_as_it_is() {
    const SOMEBODY: u32 = 54_321;
    let folder = scratch("settings");
    let home = folder.path().join("data");
    std::fs::create_dir_all(home.join("run")).expect("a folder");
    for path in [home.join("run"), home.clone()] {
        if chown(&path, Some(SOMEBODY), Some(SOMEBODY)).is_err() {
            return;
        }
    }
    let before = |path: &Path| std::fs::metadata(path).map(|it| (it.uid(), it.gid(), it.mode())).expect("it is there");
    let (of_home, of_run) = (before(&home), before(&home.join("run")));
    for arguments in [&["serve", "--bind", "127.0.0.1:0"][..], &["migrate", "up"], &["import", "fhir", "/nowhere"]] {
        let mut command = hims();
        command.args(arguments).arg("--data-dir").arg(&home);
        let said = complaint(command).await;
        assert!(said.contains("belongs to another user"), "{said}");
        assert_eq!((before(&home), before(&home.join("run"))), (of_home, of_run));
        let names = std::fs::read_dir(&home).expect("a folder").map(|it| it.expect("an entry").file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["run"]);
    }
}
