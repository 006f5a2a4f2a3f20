use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use super::{Client, Hospital, demo};

/// The program `hims`, which `make test` builds beside the tests.
pub(crate) fn hims() -> Command {
    let tests = std::env::current_exe().expect("the path of this test program");
    let program = tests.ancestors().nth(2).expect("the target folder").join("hims");
    assert!(program.is_file(), "{} is missing: run `cargo build --bin hims` first", program.display());
    let mut command = Command::new(program);
    // The developer's own settings must not affect the tests.
    let is_a_setting = |name: &str| name.starts_with("OTEL_") || name.starts_with("HIMS_") && name != "HIMS_PG_BIN";
    for (name, _) in std::env::vars().filter(|(name, _)| is_a_setting(name)) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").current_dir("/");
    command
}

/// Runs the program on a data directory to its end.
pub(crate) fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    hims().args(arguments).arg("--data-dir").arg(data_dir).stdin(Stdio::null()).output().expect("the program runs")
}

/// Makes a server a node: on a database, with a master key.
fn make_node(command: &mut Command, database: &PgConnectOptions, key: &Path) {
    command.env("DATABASE_URL", database.to_url_lossy().as_str()).env("HIMS_MASTER_KEY_FILE", key);
}

/// The real program as a server with an embedded PostgreSQL.
pub(crate) struct Process {
    child: Child,
    data_dir: PathBuf,
    pub(crate) nobody: Client,
}

impl Process {
    /// Starts the server, and waits until the server prints the address on which it listens.
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &["--demo"], |_| {})
    }

    /// Starts the server with further arguments and a change of its environment.
    pub(crate) fn start_with(data_dir: &Path, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        // What the demo holds and what a test expects are of the same days.
        demo::today();
        let mut command = hims();
        command.args(["serve", "--bind", "127.0.0.1:0", "--data-dir"]).arg(data_dir).args(arguments);
        command.env("HIMS_FREE_WRONG_PASSWORDS", "10000").env("RUST_LOG", "off");
        change(&mut command);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
        let listens = "AROCORD-HIMS listens on ";
        let mut said = lines.map_while(Result::ok).filter_map(|it| it.strip_prefix(listens).map(str::to_owned));
        let base = said.next().expect("the server prints its address");
        let base = base.split(' ').next().expect("an address").to_owned();
        Self { child, data_dir: data_dir.to_owned(), nobody: Client::new(base, Arc::default()) }
    }

    /// Starts the server as a node of a hospital: on its database, with its master key.
    pub(crate) fn start_on(database: &PgConnectOptions, key: &Path, data_dir: &Path, arguments: &[&str]) -> Self {
        Self::start_with(data_dir, arguments, |command| make_node(command, database, key))
    }

    /// Starts the server as another node of a hospital, with a change of its environment.
    pub(crate) fn beside(hospital: &Hospital, data_dir: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let key = hospital.settings.master_key_file.as_deref().expect("a key file");
        Self::start_with(data_dir, &[], |command| {
            make_node(command, &hospital.database.options, key);
            change(command);
        })
    }

    /// The process id of the server.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The process id of the server's PostgreSQL.
    pub(crate) fn postgres(&self) -> u32 {
        let file =
            std::fs::read_to_string(self.data_dir.join("postgres/postmaster.pid")).expect("a running PostgreSQL");
        file.lines().next().and_then(|it| it.parse().ok()).expect("a process id")
    }

    /// The standard error of the server, if it was piped.
    pub(crate) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends the server a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits until the server has ended.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.child.wait().expect("the server ends")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The server may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a process a signal.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().expect("kill runs");
    assert!(sent.success(), "there is no process {process}");
}
