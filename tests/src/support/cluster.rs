//! One PostgreSQL cluster for all tests of a run, kept in memory and removed when the process ends.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

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
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = tempfile::Builder::new().prefix(&format!("hims-{purpose}-")).tempdir_in(parent).expect("a folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).expect("the folder is ours");
    folder
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
