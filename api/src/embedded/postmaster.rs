//! The server process: starting it, waiting until it is ready, and clearing away what a killed server left behind.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::cluster::{Cluster, spawn};
use super::error::At;
use super::{EmbeddedError, PORT};

/// How long the server of a killed process may take to stop and to release its shared memory.
const PATIENCE: Duration = Duration::from_mins(1);
/// The pause between two looks at a file of the server.
const GLANCE: Duration = Duration::from_millis(10);

/// Starts the server and returns when it accepts connections, however long the recovery lasts.
pub(super) fn start(cluster: &Cluster, durable: bool) -> Result<Child, EmbeddedError> {
    let deadline = Instant::now() + PATIENCE;
    wait_for_predecessor(cluster, deadline)?;
    loop {
        let written = fs::metadata(&cluster.log).map_or(0, |it| it.len());
        let mut child = run(cluster, durable)?;
        if is_ready(cluster, &mut child)? {
            return Ok(child);
        }
        // The sessions of a killed server live on for a moment and keep the shared memory in use: try again.
        let said = fs::read(&cluster.log).unwrap_or_default().split_off(usize::try_from(written).unwrap_or(0));
        if !String::from_utf8_lossy(&said).contains("is still in use") || Instant::now() > deadline {
            return Err(cluster.failure());
        }
        sleep(GLANCE * 10);
    }
}

/// Tells the server to stop in good order (PostgreSQL's fast shutdown): open transactions are rolled back.
pub(super) fn interrupt(pid: u32) {
    signal(pid, Signal::INT);
}

/// Tells the server to stop at once (PostgreSQL's immediate shutdown); the next start recovers.
pub(super) fn quit(pid: u32) {
    signal(pid, Signal::QUIT);
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // An error means that the server has ended by itself.
        let _ = kill_process(pid, signal);
    }
}

fn run(cluster: &Cluster, durable: bool) -> Result<Child, EmbeddedError> {
    let mut command = cluster.account.command(&cluster.binaries.postgres);
    command.arg("-D").arg(&cluster.data);
    let switch = if durable { "on" } else { "off" };
    let settings = [
        ("listen_addresses", ""),
        ("port", PORT),
        ("unix_socket_permissions", "0700"),
        ("fsync", switch),
        ("full_page_writes", switch),
        // Nothing is appended where commits are not synchronous. Without fsync they cost no time.
        ("synchronous_commit", "on"),
    ];
    for (name, value) in settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    let mut sockets = std::ffi::OsString::from("unix_socket_directories=");
    sockets.push(&cluster.sockets);
    command.arg("-c").arg(sockets);
    // In a process group of its own, the server does not receive the Ctrl-C that is meant for this process.
    command.stdout(cluster.log()?).stderr(cluster.log()?).process_group(0);
    spawn(&mut command)
}

/// Waits until the server accepts connections; `false` when the server ended instead.
fn is_ready(cluster: &Cluster, child: &mut Child) -> Result<bool, EmbeddedError> {
    let pid_file = cluster.data.join("postmaster.pid");
    loop {
        if child.try_wait().at(&cluster.binaries.postgres)?.is_some() {
            return Ok(false);
        }
        let written = fs::read_to_string(&pid_file).unwrap_or_default();
        let mut lines = written.lines();
        let ours = lines.next().and_then(|it| it.trim().parse().ok()) == Some(child.id());
        if ours && lines.nth(6).is_some_and(|it| it.trim() == "ready") {
            return Ok(true);
        }
        sleep(GLANCE);
    }
}

/// Waits until the server that a killed process left behind has stopped, and removes the pid file that a killed server
/// left behind. The data directory is locked, so the server in the pid file belongs to no running hims.
fn wait_for_predecessor(cluster: &Cluster, deadline: Instant) -> Result<(), EmbeddedError> {
    let pid_file = cluster.data.join("postmaster.pid");
    let mut told = false;
    while let Ok(written) = fs::read_to_string(&pid_file) {
        let pid = written.lines().next().and_then(|it| it.trim().parse().ok());
        let Some(pid) = pid.filter(|it| runs_on(*it, &cluster.data)) else {
            // Another program may have the pid of the file by now, which would keep PostgreSQL from starting.
            return fs::remove_file(&pid_file).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error).at(&pid_file),
            });
        };
        if Instant::now() > deadline {
            return Err(EmbeddedError::InUse(cluster.data.clone()));
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(pid, "waiting for the PostgreSQL of an earlier process to stop");
            interrupt(pid);
        }
        sleep(GLANCE);
    }
    Ok(())
}

/// Whether a process is a PostgreSQL server on these data: its working directory is the folder of the data.
fn runs_on(pid: u32, data: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == data)
}
