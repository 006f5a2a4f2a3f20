//! One PostgreSQL cluster for all tests of a run, kept in memory and removed when the process ends.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::LazyLock;

use hims_api::embedded::{EmbeddedOptions, EmbeddedPostgres};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// The cluster, started by the first test that asks for it.
pub(crate) async fn cluster() -> &'static EmbeddedPostgres {
    static CLUSTER: OnceCell<(EmbeddedPostgres, ChildStdin)> = OnceCell::const_new();
    let start = async || {
        let folder = scratch("cluster").keep();
        let options = EmbeddedOptions { durable: false, max_connections: 500, ..EmbeddedOptions::new(&folder) };
        let reaper = reap_after_us(&folder);
        (EmbeddedPostgres::start(options).await.expect("PostgreSQL for the tests"), reaper)
    };
    &CLUSTER.get_or_init(start).await.0
}

/// A new folder with a unique name, which is removed when the returned value is dropped. Its permissions let the user
/// account of PostgreSQL reach the folders within.
pub(crate) fn scratch(purpose: &str) -> TempDir {
    static PARENT: LazyLock<PathBuf> = LazyLock::new(|| cleared(parent_of_scratch()));
    scratch_in(&PARENT, purpose)
}

/// As [`scratch`], but never in memory.
pub(crate) fn scratch_on_disk(purpose: &str) -> TempDir {
    static PARENT: LazyLock<PathBuf> = LazyLock::new(|| cleared(std::env::temp_dir()));
    scratch_in(&PARENT, purpose)
}

fn scratch_in(parent: &Path, purpose: &str) -> TempDir {
    let prefix = format!("{PREFIX}{}-{purpose}-", std::process::id());
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).expect("a folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).expect("the folder is ours");
    folder
}

/// What the names of the folders begin with, before the id of the process that made them.
const PREFIX: &str = "hims-test-";

/// The memory that a run needs for its folders and for its servers, in kB.
const MEMORY: u64 = 8 << 20;

/// Memory where the machine has enough, since that is several times as fast as a disk, else the folder of temporary
/// files.
fn parent_of_scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let available = || {
        let facts = std::fs::read_to_string("/proc/meminfo").ok()?;
        let line = facts.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    if memory.is_dir() && available().is_some_and(|available| available >= MEMORY) {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// Removes the folders of runs whose process is gone, as after `kill -9` of a whole session: nobody else would, and in
/// memory they are lost to everybody.
fn cleared(parent: PathBuf) -> PathBuf {
    let is_alive = |process: &str| Path::new("/proc").join(process).exists();
    for folder in std::fs::read_dir(&parent).into_iter().flatten().flatten() {
        let name = folder.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        let postmaster = std::fs::read_to_string(folder.path().join("postgres/postmaster.pid")).unwrap_or_default();
        let server = postmaster.lines().next().unwrap_or_default();
        if maker.is_some_and(|maker| !is_alive(maker)) && (server.is_empty() || !is_alive(server)) {
            // Another run may be removing it as well.
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
    parent
}

/// Starts a shell that removes the cluster when this process ends in any way, since a static is never dropped. The
/// shell notices the end because the pipe on its standard input closes.
fn reap_after_us(folder: &Path) -> ChildStdin {
    let script = r#"cat; pid="$1/postgres/postmaster.pid"; [ -e "$pid" ] && kill -QUIT "$(head -n 1 "$pid")"
        while [ -e "$pid" ]; do sleep 0.05; done; rm -rf "$1""#;
    let mut reaper = Command::new("sh");
    reaper.args(["-c", script, "reaper"]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut reaper, 0);
    reaper.spawn().expect("a shell").stdin.take().expect("a pipe")
}
