//! The folders of the embedded PostgreSQL, and its settings.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use hims_event_store::chain::hex;
use sha2::{Digest, Sha256};

use super::account::Account;
use super::binaries::Binaries;
use super::error::At;
use super::{DATABASE, EmbeddedError, EmbeddedOptions, PORT, SUPERUSER};

/// How often, and after how long each time, a lock is tried that somebody holds.
const GLANCES: u32 = 10;
const GLANCE: Duration = Duration::from_millis(20);
/// The longest path of a socket, with its ending NUL; fixed by the kernel.
const LONGEST_SOCKET: usize = 107;

/// A prepared cluster, locked for this process.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) data: PathBuf,
    pub(super) sockets: PathBuf,
    pub(super) log: PathBuf,
    pub(super) account: Account,
    pub(super) binaries: Binaries,
    /// Held for as long as the server may run; the kernel gives it back when we are killed.
    _lock: File,
}

impl Cluster {
    /// Finds or makes everything that the server needs.
    pub(super) fn prepare(options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let account = Account::find()?;
        let home = home(&options.data_dir)?;
        account.check_way_to(&home)?;
        let lock = lock(&home)?;
        let data = home.join("postgres");
        let version = fs::read_to_string(data.join("PG_VERSION")).ok().and_then(|it| it.trim().parse().ok());
        let binaries = Binaries::find(options.binaries.as_deref(), &data, version)?;
        let sockets = sockets(account, &home)?;
        let cluster = Self { data, sockets, log: home.join("postgres.log"), account, binaries, _lock: lock };
        if version.is_none() {
            cluster.initialise(&home.join("postgres.new"), options)?;
        }
        Ok(cluster)
    }

    /// Makes the data in a folder aside, so that what was interrupted is never taken for what was finished.
    fn initialise(&self, aside: &Path, options: &EmbeddedOptions) -> Result<(), EmbeddedError> {
        if aside.exists() {
            fs::remove_dir_all(aside).at(aside)?;
        }
        self.account.private_folder(aside)?;
        let mut initdb = self.account.command(&self.binaries.initdb);
        initdb.arg("--pgdata").arg(aside).args(["--username", SUPERUSER, "--encoding", "UTF8", "--locale", "C.UTF-8"]);
        initdb.args(["--auth-local", "trust", "--auth-host", "reject", "--data-checksums", "--no-instructions"]);
        if !options.durable {
            initdb.arg("--no-sync");
        }
        self.run(&mut initdb, "")?;
        let settings = aside.join("postgresql.conf");
        let mut file = File::options().append(true).open(&settings).at(&settings)?;
        file.write_all(tunable_settings(options, memory_bytes()).as_bytes()).at(&settings)?;
        file.sync_all().at(&settings)?;
        let mut single = self.account.command(&self.binaries.postgres);
        single.args(["--single", "-j", "-c", if options.durable { "fsync=on" } else { "fsync=off" }]);
        single.arg("-D").arg(aside).arg("template1");
        // Single-user mode ends a command at an empty line.
        let sql =
            format!("create role {DATABASE} login createrole;\n\ncreate database {DATABASE} owner {DATABASE};\n\n");
        self.run(&mut single, &sql)?;
        fs::rename(aside, &self.data).at(&self.data)?;
        let home = self.data.parent().unwrap_or(Path::new("/"));
        File::open(home).and_then(|it| it.sync_all()).at(home)
    }

    /// Runs a program to its end, its words going to the log.
    fn run(&self, command: &mut Command, input: &str) -> Result<(), EmbeddedError> {
        let mut child = spawn(command.stdin(Stdio::piped()).stdout(self.log()?).stderr(self.log()?))?;
        let mut stdin = child.stdin.take();
        let written = stdin.as_mut().map_or(Ok(()), |it| it.write_all(input.as_bytes()));
        drop(stdin);
        let status = child.wait().at(&self.log)?;
        if written.is_err() || !status.success() {
            return Err(self.failure());
        }
        Ok(())
    }

    /// Leaves nothing in a folder that belongs to all.
    pub(super) fn leave_sockets(&self) {
        if self.sockets.parent() != self.data.parent() {
            // What is left in it by a server that was killed is cleared by the next one.
            let _ = fs::remove_dir(&self.sockets);
        }
    }

    /// The log, to write at its end.
    pub(super) fn log(&self) -> Result<File, EmbeddedError> {
        File::options().create(true).append(true).open(&self.log).at(&self.log)
    }

    /// What the log says of a failure: the last thing that PostgreSQL could not do.
    pub(super) fn failure(&self) -> EmbeddedError {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let fault = |it: &&str| ["FATAL:", "PANIC:", "ERROR:", "error:"].iter().any(|word| it.contains(word));
        let line = text.lines().rev().find(fault).or_else(|| text.lines().next_back()).unwrap_or("it says nothing");
        let reason = line.rsplit_once(":  ").map_or(line, |(_, reason)| reason);
        EmbeddedError::Failed { reason: reason.trim().to_owned(), log: self.log.clone() }
    }
}

/// Starts a program through setpriv.
pub(super) fn spawn(command: &mut Command) -> Result<std::process::Child, EmbeddedError> {
    command.spawn().map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => EmbeddedError::NoSetpriv,
        _ => EmbeddedError::Io { path: "setpriv".into(), source },
    })
}

/// The folder of everything. Made so that PostgreSQL's account can pass through it, and nobody can look around in it.
fn home(folder: &Path) -> Result<PathBuf, EmbeddedError> {
    if !folder.exists() {
        fs::create_dir_all(folder).at(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o711)).at(folder)?;
    }
    folder.canonicalize().at(folder)
}

/// The folder of the socket of a server on a directory.
pub(super) fn sockets_of(folder: &Path) -> Result<PathBuf, EmbeddedError> {
    sockets(Account::find()?, &home(folder)?)
}

fn lock(home: &Path) -> Result<File, EmbeddedError> {
    let path = home.join("postgres.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).at(&path)?;
    for _ in 0..GLANCES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // A program that another thread is starting has a copy of everything that is open, until it executes.
            Err(TryLockError::WouldBlock) => sleep(GLANCE),
            Err(TryLockError::Error(source)) => return Err(EmbeddedError::Io { path, source }),
        }
    }
    Err(EmbeddedError::InUse(home.to_owned()))
}

/// The folder of the socket: beside the data, or, where that path is too long for a socket, a private one with a name
/// made from that path.
fn sockets(account: Account, home: &Path) -> Result<PathBuf, EmbeddedError> {
    let beside = home.join("run");
    if socket_fits(&beside) {
        account.private_folder(&beside)?;
        return Ok(beside);
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let parent =
        runtime.filter(|it| it.is_dir() && account.check_way_to(it).is_ok()).unwrap_or_else(std::env::temp_dir);
    let digest = Sha256::digest(home.as_os_str().as_bytes());
    let folder = parent.join(format!("hims-{}", hex(&digest[..8])));
    // Others may write there: only a folder that we made, or that is ours already, will do.
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error).at(&folder)?,
        Ok(()) => {}
        Err(_) => {
            let found = fs::symlink_metadata(&folder).at(&folder)?;
            if !found.is_dir() || ![account.uid(), rustix::process::geteuid().as_raw()].contains(&found.uid()) {
                return Err(EmbeddedError::ForeignSocket(folder));
            }
        }
    }
    account.private_folder(&folder)?;
    if socket_fits(&folder) { Ok(folder) } else { Err(EmbeddedError::ForeignSocket(folder)) }
}

fn socket_fits(folder: &Path) -> bool {
    folder.join(format!(".s.PGSQL.{PORT}")).as_os_str().len() < LONGEST_SOCKET
}

fn memory_bytes() -> u64 {
    let told = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total =
        told.lines().find_map(|it| it.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    total.unwrap_or(1 << 20) * 1024
}

/// What whoever runs the server may change, in `postgresql.conf`. What must not be changed is on the command line.
fn tunable_settings(options: &EmbeddedOptions, memory: u64) -> String {
    let megabytes = memory >> 20;
    let (shared_buffers, max_wal_size) =
        if options.durable { ((megabytes / 6).clamp(128, 8192), 4096) } else { (128, 1024) };
    format!(
        "\n# HIMS: for a hospital's server. Change what you like; a restart takes it up.\n\
         max_connections = {}\n\
         shared_buffers = {shared_buffers}MB\n\
         effective_cache_size = {}MB\n\
         maintenance_work_mem = {}MB\n\
         max_wal_size = {max_wal_size}MB\n\
         min_wal_size = 256MB\n\
         wal_buffers = 16MB\n\
         checkpoint_timeout = 15min\n\
         wal_compression = on\n\
         random_page_cost = 1.1\n\
         jit = off\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         # A log is no place for patients: neither statements nor the values that they failed on.\n\
         log_min_error_statement = panic\n\
         log_error_verbosity = terse\n",
        options.max_connections,
        (megabytes / 2).max(256),
        (megabytes / 32).clamp(64, 1024),
    )
}
