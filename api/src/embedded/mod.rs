//! A PostgreSQL of our own, for whoever has none: a server process over the installed binaries, durable, reachable only
//! through a Unix socket in a folder that nobody else can enter.
//!
//! It stops with us, in whatever way we end: the kernel interrupts it when the thread that started it is gone. That is
//! why it is started by a thread of its own, which does nothing but wait for it; on a thread of a runtime it would stop
//! whenever the runtime lets that thread go.

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

/// The user who owns the database, and the database.
const DATABASE: &str = "hims";
const SUPERUSER: &str = "postgres";
const PORT: &str = "5432";
/// How long an orderly stop may last before a hasty one follows, from which the next start recovers.
const ORDERLY: Duration = Duration::from_mins(2);

/// What can be set.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Where everything lies: `postgres/` (the data), `run/` (the socket), `postgres.log`. Made when missing.
    pub data_dir: PathBuf,
    /// Whether an acknowledged commit survives a crash. `false` only for throw-away clusters of tests.
    pub durable: bool,
    /// The folder of `postgres` and `initdb`; looked for unless given.
    pub binaries: Option<PathBuf>,
    /// How many connections there may be. Taken up when the data are made; later it stands in `postgresql.conf`.
    pub max_connections: u16,
}

impl EmbeddedOptions {
    /// A durable server in a folder, with the binaries that `HIMS_PG_BIN` names or that are found.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let binaries = std::env::var_os("HIMS_PG_BIN").filter(|it| !it.is_empty()).map(PathBuf::from);
        Self { data_dir: data_dir.into(), durable: true, binaries, max_connections: 200 }
    }
}

/// A running server. Dropping it tells the server to stop, without waiting; [`stop`](Self::stop) waits.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    pid: u32,
    sockets: PathBuf,
    gone: watch::Receiver<bool>,
}

impl EmbeddedPostgres {
    /// Starts the server on its data, which are made first if there are none, and returns when it takes connections.
    ///
    /// # Errors
    /// When PostgreSQL is not installed, another server uses the directory, or the server does not start.
    pub async fn start(options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let (ready, started) = oneshot::channel();
        let (end, gone) = watch::channel(false);
        let path = options.data_dir.clone();
        let thread = std::thread::Builder::new().name("postgres".to_owned());
        let spawned = thread.spawn(move || {
            match Cluster::prepare(&options).and_then(|it| Ok((postmaster::start(&it, options.durable)?, it))) {
                Err(error) => drop(ready.send(Err(error))),
                Ok((mut child, cluster)) => {
                    let server = Self { pid: child.id(), sockets: cluster.sockets.clone(), gone };
                    // Nobody waits for it any more: dropping it stops it.
                    drop(ready.send(Ok(server)));
                    if let Err(error) = child.wait() {
                        tracing::error!(%error, "lost sight of PostgreSQL");
                    }
                    cluster.leave_sockets();
                    // The directory is free before anybody hears of it.
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

    /// How to reach the database of a server that another process runs on a directory.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn reach(options: &EmbeddedOptions) -> Result<PgConnectOptions, EmbeddedError> {
        Ok(options_for(&cluster::sockets_of(&options.data_dir)?, DATABASE).database(DATABASE))
    }

    /// How to reach the database `hims` as its owner, the user `hims`.
    pub fn connect_options(&self) -> PgConnectOptions {
        options_for(&self.sockets, DATABASE).database(DATABASE)
    }

    /// How to reach the server as its superuser: for what only that one can do, such as reading its statistics.
    pub fn superuser_options(&self) -> PgConnectOptions {
        options_for(&self.sockets, SUPERUSER).database("postgres")
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns when the server has ended, for whatever reason.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut gone = self.gone.clone();
        async move {
            // An error means that its thread is gone, and so is the server.
            let _ = gone.wait_for(|it| *it).await;
        }
    }

    /// Stops the server in good order and returns when it has ended. Open connections are closed: call it when the
    /// last request has been answered.
    pub async fn stop(self) {
        postmaster::interrupt(self.pid);
        if tokio::time::timeout(ORDERLY, self.ended()).await.is_err() {
            tracing::warn!("PostgreSQL takes too long to stop in good order; the next start will recover");
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

fn options_for(sockets: &std::path::Path, user: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(sockets)
        .port(PORT.parse().unwrap_or_default())
        .username(user)
        .ssl_mode(PgSslMode::Disable)
        .application_name("hims")
}
