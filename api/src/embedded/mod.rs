//! The embedded PostgreSQL, for hospitals that run no database server: a child process that uses the installed
//! programs. Commits are durable, and the server is reachable only through a Unix socket in a folder that no other user
//! can enter.
//!
//! PostgreSQL stops with this process, however the process ends: the kernel interrupts PostgreSQL when the thread that
//! started it is gone. Therefore PostgreSQL is started by a thread of its own, which does nothing but wait for the end
//! of the server. On a thread of an async runtime, PostgreSQL would stop whenever the runtime ends that thread.

mod account;
mod binaries;
mod cluster;
mod error;
mod postmaster;

use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::sync::{oneshot, watch};

use self::cluster::Cluster;
pub use self::error::EmbeddedError;
use crate::connections::PROGRAM;

/// The name of the database, and of the server's login.
const DATABASE: &str = "hims";
/// The login for migrations, a member of the role that owns the database and the log.
const MIGRATOR: &str = "hims_migrator";
const SUPERUSER: &str = "postgres";
const PORT: &str = "5432";
/// How long an orderly stop may last. After this time PostgreSQL is stopped at once, and the next start recovers.
const ORDERLY: Duration = Duration::from_mins(2);

/// The options of the embedded PostgreSQL.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The data directory with `postgres/` (the data), `run/` (the socket) and `postgres.log`. Created if missing.
    pub data_dir: PathBuf,
    /// Whether an acknowledged commit survives a crash. `false` only for throw-away clusters of tests.
    pub durable: bool,
    /// The folder of `postgres` and `initdb`; the usual folders are searched if left out.
    pub binaries: Option<PathBuf>,
    /// How many connections there may be. Applies when the data are created; later, `postgresql.conf` holds the number.
    pub max_connections: u16,
}

impl EmbeddedOptions {
    /// A durable server in a data directory, with the programs in the folder `HIMS_PG_BIN`, or else in the usual
    /// folders.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let binaries = std::env::var_os("HIMS_PG_BIN").filter(|it| !it.is_empty()).map(PathBuf::from);
        Self { data_dir: data_dir.into(), durable: true, binaries, max_connections: 200 }
    }
}

/// A running server. Dropping this value tells the server to stop, without waiting; [`stop`](Self::stop) waits.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    pid: u32,
    sockets: Sockets,
    gone: watch::Receiver<bool>,
}

impl EmbeddedPostgres {
    /// Starts the server, and returns when the server accepts connections. Missing data are created first.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, another server uses the data directory, or the server does not start.
    pub async fn start(options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let (ready, started) = oneshot::channel();
        let (end, gone) = watch::channel(false);
        let path = options.data_dir.clone();
        let thread = std::thread::Builder::new().name("postgres".to_owned());
        let spawned = thread.spawn(move || {
            match Cluster::prepare(&options).and_then(|it| Ok((postmaster::start(&it, options.durable)?, it))) {
                Err(error) => drop(ready.send(Err(error))),
                Ok((mut child, cluster)) => {
                    let server = Self { pid: child.id(), sockets: Sockets(cluster.sockets.clone()), gone };
                    // If the caller no longer waits, the server is dropped here, and dropping stops it.
                    drop(ready.send(Ok(server)));
                    if let Err(error) = child.wait() {
                        tracing::error!(%error, "cannot wait for PostgreSQL to end");
                    }
                    cluster.leave_sockets();
                    // The lock of the data directory is released before the end of the server is announced.
                    drop(cluster);
                }
            }
            end.send_replace(true);
        });
        spawned.map_err(|source| EmbeddedError::Io { path: path.clone(), source })?;
        started.await.unwrap_or_else(|_| {
            Err(EmbeddedError::Io { path, source: std::io::Error::other("the thread that starts PostgreSQL ended") })
        })
    }

    /// A server that another process runs on a data directory.
    ///
    /// # Errors
    /// When the data directory cannot be used.
    pub fn reach(options: &EmbeddedOptions) -> Result<Sockets, EmbeddedError> {
        cluster::sockets_of(&options.data_dir).map(Sockets)
    }

    /// Options to connect to the database `hims` with the server's login, the user `hims`.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.sockets.connect_options()
    }

    /// Options to connect to the database `hims` with the login for migrations.
    pub fn migration_options(&self) -> PgConnectOptions {
        self.sockets.migration_options()
    }

    /// Options to connect to the database `hims` as the superuser.
    pub(crate) fn overseer_options(&self) -> PgConnectOptions {
        self.sockets.overseer_options()
    }

    /// Options to connect as the superuser, for what no other user may do, such as reading all statistics.
    pub fn superuser_options(&self) -> PgConnectOptions {
        self.sockets.connect_options().username(SUPERUSER).database("postgres")
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns when the server has ended, for whatever reason.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut gone = self.gone.clone();
        async move {
            // An error means that the thread of the server has ended, and the server with it.
            let _ = gone.wait_for(|it| *it).await;
        }
    }

    /// Stops the server in good order and returns when the server has ended. Open connections are closed, so the last
    /// request must have been answered before.
    pub async fn stop(self) {
        postmaster::interrupt(self.pid);
        if tokio::time::timeout(ORDERLY, self.ended()).await.is_err() {
            tracing::warn!("PostgreSQL takes too long to stop in good order and is stopped at once");
            postmaster::quit(self.pid);
            self.ended().await;
        }
    }
}

/// The last resort: tells the server to stop and does not wait.
impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        if !*self.gone.borrow() {
            postmaster::interrupt(self.pid);
        }
    }
}

/// Refuses a data directory that belongs to another user, before anything in it is created or changed.
///
/// # Errors
/// [`EmbeddedError::Foreign`]; also when PostgreSQL has no account to run in.
pub(crate) fn refuse_foreign(data_dir: &std::path::Path) -> Result<(), EmbeddedError> {
    account::Account::find()?.refuse_foreign(data_dir)
}

/// The folder with the socket of a running server.
#[derive(Debug, Clone)]
pub struct Sockets(PathBuf);

impl Sockets {
    /// Options to connect to the database `hims` with the server's login, the user `hims`.
    pub fn connect_options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.0)
            .port(PORT.parse().unwrap_or_default())
            .username(DATABASE)
            .database(DATABASE)
            .ssl_mode(PgSslMode::Disable)
            .application_name(PROGRAM)
    }

    /// Options to connect to the database `hims` with the login for migrations.
    pub fn migration_options(&self) -> PgConnectOptions {
        self.connect_options().username(MIGRATOR)
    }

    /// Options to connect to the database `hims` as the superuser.
    pub(crate) fn overseer_options(&self) -> PgConnectOptions {
        self.connect_options().username(SUPERUSER)
    }
}
