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

/// How often the lock of the data directory is tried while another process holds it.
const GLANCES: u32 = 10;
/// The pause between two tries.
const GLANCE: Duration = Duration::from_millis(20);
/// The path of a socket must be shorter than this many bytes, a limit of the kernel.
const LONGEST_SOCKET: usize = 107;

/// A database cluster (the data of one PostgreSQL server) that is ready to be started, locked for this process.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) data: PathBuf,
    pub(super) sockets: PathBuf,
    pub(super) log: PathBuf,
    pub(super) account: Account,
    pub(super) binaries: Binaries,
    /// The lock of the data directory, held for as long as the server may run. The kernel releases the lock when this
    /// process is killed.
    _lock: File,
}

impl Cluster {
    /// Finds or creates everything that the server needs: account, lock, programs, socket folder and data.
    pub(super) fn prepare(options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let account = Account::find()?;
        account.refuse_foreign(&options.data_dir)?;
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

    /// Creates the data in another folder and renames that folder at the end, so that an interrupted creation is never
    /// taken for a finished one.
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
        let sql = format!("{}create database {DATABASE} owner hims_owner;\n", hims_projections::roles::ROLES);
        // In single-user mode with -j, a semicolon and an empty line end a command.
        self.run(&mut single, &sql.replace(";\n", ";\n\n"))?;
        fs::rename(aside, &self.data).at(&self.data)?;
        let home = self.data.parent().unwrap_or(Path::new("/"));
        File::open(home).and_then(|it| it.sync_all()).at(home)
    }

    /// Runs a program to its end. The output of the program goes to the log file.
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

    /// Removes the socket folder if it lies outside the data directory, where all users keep their files.
    pub(super) fn leave_sockets(&self) {
        if self.sockets.parent() != self.data.parent() {
            // After a killed server the folder is not empty and stays; the next server clears it.
            let _ = fs::remove_dir(&self.sockets);
        }
    }

    /// Opens PostgreSQL's log file for appending.
    pub(super) fn log(&self) -> Result<File, EmbeddedError> {
        File::options().create(true).append(true).open(&self.log).at(&self.log)
    }

    /// The error of a failed start, with the last error message in PostgreSQL's log as the reason.
    pub(super) fn failure(&self) -> EmbeddedError {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let fault = |line: &&str| ["FATAL:", "PANIC:", "ERROR:", "error:"].iter().any(|word| line.contains(word));
        let line = text.lines().rev().find(fault).or_else(|| text.lines().next_back()).unwrap_or("no reason was given");
        let reason = line.rsplit_once(":  ").map_or(line, |(_, reason)| reason);
        EmbeddedError::Failed { reason: reason.trim().to_owned(), log: self.log.clone() }
    }
}

/// Starts a command of `Account::command`, which runs its program through `setpriv`.
pub(super) fn spawn(command: &mut Command) -> Result<std::process::Child, EmbeddedError> {
    command.spawn().map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => EmbeddedError::NoSetpriv,
        _ => EmbeddedError::Io { path: "setpriv".into(), source },
    })
}

/// The data directory, created if it is missing. Its mode lets PostgreSQL's account pass through to the folders inside,
/// but lets nobody except the owner list them.
fn home(folder: &Path) -> Result<PathBuf, EmbeddedError> {
    if !folder.exists() {
        fs::create_dir_all(folder).at(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o711)).at(folder)?;
    }
    folder.canonicalize().at(folder)
}

/// The socket folder of the server that runs on a data directory.
pub(super) fn sockets_of(folder: &Path) -> Result<PathBuf, EmbeddedError> {
    let account = Account::find()?;
    account.refuse_foreign(folder)?;
    sockets(account, &home(folder)?)
}

fn lock(home: &Path) -> Result<File, EmbeddedError> {
    let path = home.join("postgres.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).at(&path)?;
    for _ in 0..GLANCES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // A child process that another thread is starting holds copies of all open files until it calls exec.
            Err(TryLockError::WouldBlock) => sleep(GLANCE),
            Err(TryLockError::Error(source)) => return Err(EmbeddedError::Io { path, source }),
        }
    }
    Err(EmbeddedError::InUse(home.to_owned()))
}

/// The socket folder: `run` in the data directory. If that path is too long for a socket, a private folder elsewhere
/// with a name that is derived from the data directory.
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
    // Other users may write to the parent folder, so only a folder of PostgreSQL's account or of this process is
    // accepted.
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

/// The settings in `postgresql.conf`, which an operator may change. Settings that must not be changed are given on the
/// command line of the server.
fn tunable_settings(options: &EmbeddedOptions, memory: u64) -> String {
    let megabytes = memory >> 20;
    // While a new segment of the WAL is made, all commits wait; from `min_wal_size` segments are used again.
    let (shared_buffers, min_wal_size, max_wal_size) =
        if options.durable { ((megabytes / 6).clamp(128, 8192), 1024, 4096) } else { (128, 256, 1024) };
    format!(
        "\n# HIMS: defaults for a hospital's server. You may change them; a restart applies the changes.\n\
         max_connections = {}\n\
         shared_buffers = {shared_buffers}MB\n\
         effective_cache_size = {}MB\n\
         maintenance_work_mem = {}MB\n\
         max_wal_size = {max_wal_size}MB\n\
         min_wal_size = {min_wal_size}MB\n\
         wal_buffers = 16MB\n\
         checkpoint_timeout = 15min\n\
         wal_compression = on\n\
         random_page_cost = 1.1\n\
         jit = off\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         # Keeps patients' data out of the log: no statements, and no values on which a statement failed.\n\
         log_min_error_statement = panic\n\
         log_error_verbosity = terse\n",
        options.max_connections,
        (megabytes / 2).max(256),
        (megabytes / 32).clamp(64, 1024),
    )
}
