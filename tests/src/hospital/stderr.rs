//! Nobody reads what the server says on standard error, or it cannot be written. The server answers and stops all the
//! same.

use std::fs::File;
use std::process::Stdio;

use super::Process;
use super::demo::person;
use crate::support::scratch;

/// Works with a server, some of whose requests are logged, and stops it in good order.
async fn works(server: Process) {
    let reception = server.nobody.login("reception").await;
    reception.command("no-such-command", person("Anna", "Nobody", 1)).await.problem(404, "no-such-command");
    for number in 0..50 {
        let id = reception.did("register-patient", person(&format!("Name{number}"), "Unlike", number)).await;
        assert_eq!(reception.row("patients", &id).await["last_name"], "Unlike");
    }
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
}

#[tokio::test]
async fn a_full_disk_behind_standard_error_harms_nobody() {
    let folder = scratch("stderr");
    let server = Process::start_with(folder.path(), &["--demo"], |command| {
        let full = File::options().write(true).open("/dev/full").expect("a device that is full");
        command.env("RUST_LOG", "debug").stderr(full);
    });
    works(server).await;
}

#[tokio::test]
async fn a_closed_standard_error_harms_nobody() {
    let folder = scratch("stderr");
    let mut server = Process::start_with(folder.path(), &["--demo"], |command| {
        command.env("RUST_LOG", "debug").stderr(Stdio::piped());
    });
    drop(server.stderr());
    works(server).await;
}

#[tokio::test]
async fn a_standard_error_that_nobody_reads_harms_nobody() {
    let folder = scratch("stderr");
    let mut server = Process::start_with(folder.path(), &["--demo"], |command| {
        command.env("RUST_LOG", "trace").stderr(Stdio::piped());
    });
    let unread = server.stderr();
    works(server).await;
    drop(unread);
}
