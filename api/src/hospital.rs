use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hims_commands::{Executor, Failure, Login, Registry, upcasters};
use hims_domain::{Aggregate, department::Department, role::Role, session::Session, user::User};
use hims_event_store::{EventStore, MasterKey, PgEventStore, PgOptions, Position, StoreError, VaultError, Wanted};
use hims_projections::query::Shape;
use hims_projections::{READ_SCHEMA, Runner, RunnerHandle, Standing, migrations, query};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::embedded::{EmbeddedError, EmbeddedOptions, EmbeddedPostgres};
use crate::keys::{KeyError, master_key};
use crate::{Readers, Settings, surroundings};

/// For so long the read tables may stay where they are before nobody waits for them any more.
const STANDSTILL: Duration = Duration::from_secs(30);

/// For so long whoever still uses a connection may hold up the end.
const LAST_ORDERS: Duration = Duration::from_secs(5);

/// Why the hospital did not open.
#[derive(Debug, Error)]
pub enum HospitalError {
    /// The embedded PostgreSQL.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The database.
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration.
    #[error("the database could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The master key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Another hospital's master key.
    #[error("the master key file {0} is not that of this hospital: bring back the file that it was made with")]
    OtherKey(PathBuf),
    /// `DATABASE_URL` without a master key file.
    #[error("DATABASE_URL needs HIMS_MASTER_KEY_FILE, the file with the key that the database must never see")]
    NoKeyFile,
    /// The log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A command of the set-up.
    #[error("the set-up failed: {0}")]
    SetUp(#[from] Failure),
    /// The first administrator cannot be made of the settings.
    #[error("HIMS_ADMIN_EMAIL and HIMS_ADMIN_PASSWORD give no administrator: {0}")]
    Administrator(String),
    /// There is no hospital to look at.
    #[error("there is no hospital in {0}: name the --data-dir of one, or its DATABASE_URL")]
    Nothing(PathBuf),
    /// The database was made by an older program.
    #[error("the database is older than this program: run `hims migrate up` first")]
    Older,
    /// `--demo` on a database that holds something else.
    #[error("the database holds something else already; --demo fills an empty one only (choose another --data-dir)")]
    NotEmpty,
}

/// What the hospital is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve: the embedded PostgreSQL is this process's own.
    Serve,
    /// To work on it, beside a server or without one.
    Work,
    /// To look at what there is, beside a server or without one: nothing is made or brought up to date.
    Inspect,
}

/// The database, whoever runs it.
pub(crate) struct Database {
    options: PgConnectOptions,
    embedded: Option<EmbeddedPostgres>,
}

impl Database {
    /// The database that is named, or the embedded one: started, or that of the server that runs it already.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn open(settings: &Settings, purpose: Purpose) -> Result<Self, HospitalError> {
        if let Some(url) = &settings.database_url {
            return Ok(Self::named(url.parse::<PgConnectOptions>()?, None));
        }
        let mut options = EmbeddedOptions::new(&settings.data_dir);
        options.binaries = settings.pg_bin.clone().or(options.binaries);
        if purpose == Purpose::Inspect && !settings.has_data() {
            return Err(HospitalError::Nothing(settings.data_dir.clone()));
        }
        if !settings.has_data() {
            // Whoever makes the data makes their key.
            key_of(settings, purpose)?;
        }
        match EmbeddedPostgres::start(options.clone()).await {
            Ok(embedded) => Ok(Self::named(embedded.connect_options(), Some(embedded))),
            Err(EmbeddedError::InUse(_)) if purpose != Purpose::Serve => {
                Ok(Self::named(EmbeddedPostgres::reach(&options)?, None))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn named(options: PgConnectOptions, embedded: Option<EmbeddedPostgres>) -> Self {
        Self { options: options.application_name("hims"), embedded }
    }

    /// Connections of the login itself, which owns the tables.
    pub(crate) fn owner(&self) -> PgPool {
        pool(self.options.clone(), 4, None)
    }

    /// Stops the embedded PostgreSQL, if this process runs it.
    pub(crate) async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// A connection that was idle for longer is tested before it is used.
pub(crate) const IDLE: Duration = Duration::from_secs(1);
/// How long to wait for a connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

fn pool(options: PgConnectOptions, connections: u32, role: Option<&'static str>) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        // A connection was tested when it came back. It is tested again only if it may have broken since.
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for > IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| Box::pin(work_as(connection, role)))
        .connect_lazy_with(options)
}

/// Takes up a role, and finds the read tables by their names.
pub(crate) async fn work_as(connection: &mut PgConnection, role: Option<&str>) -> Result<(), sqlx::Error> {
    if let Some(role) = role {
        sqlx::query(sqlx::AssertSqlSafe(format!("set role {role}"))).execute(&mut *connection).await?;
    }
    // Names are found with a typing error or two in them.
    let settings = format!("set search_path = {READ_SCHEMA}, public; set pg_trgm.word_similarity_threshold = 0.4");
    sqlx::raw_sql(sqlx::AssertSqlSafe(settings)).execute(connection).await.map(drop)
}

/// Everything that works: the log, the commands, the read tables.
pub struct Hospital {
    /// The log.
    pub store: Arc<dyn EventStore>,
    /// Carries commands out.
    pub executor: Arc<Executor>,
    /// Every command.
    pub registry: Registry,
    /// Sessions.
    pub login: Arc<Login>,
    /// For reading under row-level security.
    pub readers: Readers,
    writers: PgPool,
    projectors: PgPool,
    /// Keeps the read tables; `None` where nothing is projected.
    pub runner: Option<RunnerHandle>,
    /// For what the owner of the tables does.
    pub owner: PgPool,
    watcher: JoinHandle<()>,
    database: Database,
    /// Whether the server is about to stop: what goes on for ever ends then.
    pub(crate) stopping: watch::Sender<bool>,
}

/// The master key, and where it is from. It is made before the data are: with data and without it, somebody has to
/// bring it back.
fn key_of(settings: &Settings, purpose: Purpose) -> Result<(MasterKey, PathBuf), HospitalError> {
    let key_file = match (&settings.master_key_file, &settings.database_url) {
        (Some(file), _) => file.clone(),
        (None, None) => settings.data_dir.join("master.key"),
        (None, Some(_)) => return Err(HospitalError::NoKeyFile),
    };
    let may_make = settings.database_url.is_none() && purpose != Purpose::Inspect && !settings.has_data();
    Ok((master_key(&key_file, may_make)?, key_file))
}

impl Hospital {
    /// Opens the log; unless only to inspect it, brings the database up to date first and projects.
    ///
    /// # Errors
    /// When any of that is not possible; the error says what to do.
    pub async fn open(settings: &Settings, purpose: Purpose) -> Result<Self, HospitalError> {
        let (master, key_file) = key_of(settings, purpose)?;
        let database = Database::open(settings, purpose).await?;
        let owner = database.owner();
        if purpose != Purpose::Inspect {
            migrations::up(&owner).await?;
        } else if migrations::status(&owner).await?.iter().any(|it| it.applied_at.is_none()) {
            return Err(HospitalError::Older);
        }
        let writers = pool(database.options.clone(), 12, Some("hims_writer"));
        let projectors = pool(database.options.clone(), 5, Some("hims_projector"));
        let readers = Readers::new(database.options.clone(), settings.read_connections_of_a_worker());
        let options = PgOptions { queue: settings.queue, ..PgOptions::default() };
        let store: Arc<dyn EventStore> =
            Arc::new(PgEventStore::connect(writers.clone(), master, upcasters(), options).await.map_err(|error| {
                match error {
                    StoreError::Vault(VaultError::Forged) => HospitalError::OtherKey(key_file),
                    error => error.into(),
                }
            })?);
        let executor = Arc::new(Executor::new(Arc::clone(&store), surroundings()));
        let login = Arc::new(Login::new(Arc::clone(&executor), settings.session_limits()));
        let runner = match purpose {
            Purpose::Inspect => None,
            // What only works for a while would give up halfway.
            purpose => {
                let renews = purpose == Purpose::Serve;
                Some(Runner::start(Arc::clone(&store), projectors.clone(), owner.clone(), renews).await?)
            }
        };
        let watcher = tokio::spawn(watch_access(Arc::clone(&store), Arc::clone(&login)));
        let registry = Registry::hospital();
        let stopping = watch::channel(false).0;
        Ok(Self {
            store,
            executor,
            registry,
            login,
            readers,
            writers,
            projectors,
            runner,
            owner,
            watcher,
            database,
            stopping,
        })
    }

    /// Returns when the embedded PostgreSQL has ended, though nobody stopped it.
    pub(crate) fn database_ended(&self) -> impl Future<Output = ()> + use<> {
        let ended = self.database.embedded.as_ref().map(EmbeddedPostgres::ended);
        async move {
            match ended {
                Some(ended) => ended.await,
                None => std::future::pending().await,
            }
        }
    }

    /// What is known of the read tables that live.
    pub(crate) fn shape(&self) -> Shape {
        let standing = self.runner.as_ref().map(|it| *it.standing.borrow());
        if standing.is_none_or(|it| it == Standing::Current) { Shape::Declared } else { Shape::Other }
    }

    /// Returns when the read tables show everything that was recorded so far; when they stand still, without that: the
    /// next start goes on.
    pub async fn settle(&self) {
        let Some(runner) = &self.runner else { return };
        if *runner.standing.borrow() != Standing::Current {
            tracing::warn!("the read tables do not show it yet; they follow once a server has made them anew");
            return;
        }
        let head = *self.store.head().borrow();
        let mut position = runner.position.clone();
        while *position.borrow_and_update() < head {
            if !matches!(tokio::time::timeout(STANDSTILL, position.changed()).await, Ok(Ok(()))) {
                tracing::warn!("the read tables stand still; the next start of the server brings them up to date");
                return;
            }
        }
    }

    /// Writes what waits, stops projecting, and stops the database if it is our own.
    pub async fn close(self) {
        self.watcher.abort();
        self.store.shutdown().await;
        if let Some(runner) = self.runner {
            runner.stop().await;
        }
        self.readers.close();
        for pool in [self.projectors, self.writers, self.owner] {
            if tokio::time::timeout(LAST_ORDERS, pool.close()).await.is_err() {
                tracing::warn!("a connection is still in use; it ends with the program");
            }
        }
        self.database.close().await;
    }
}

/// Forgets what is known of sessions as soon as an event, of whatever process, changes who may do what.
async fn watch_access(store: Arc<dyn EventStore>, login: Arc<Login>) {
    /// Events within this time are looked at together.
    const TOGETHER: Duration = Duration::from_millis(10);
    let mut head = store.head();
    let mut position = *head.borrow_and_update();
    while head.changed().await.is_ok() {
        let reached = *head.borrow_and_update();
        match changes_access(store.as_ref(), position).await {
            Ok(changed) => {
                if changed {
                    login.forget();
                }
                position = reached;
            }
            Err(error) => tracing::warn!(%error, "who may do what was not looked at; trying again with the next event"),
        }
        sleep(TOGETHER).await;
    }
}

/// Whether an event after a position changes who may do what.
async fn changes_access(store: &dyn EventStore, after: Position) -> Result<bool, StoreError> {
    for stream_type in [User::STREAM, Role::STREAM, Session::STREAM, Department::STREAM] {
        let wanted = Wanted { after, limit: 1_000, stream_type: Some(stream_type.to_owned()), ..Wanted::default() };
        let found = store.search(&wanted).await?;
        if found.iter().any(|it| it.event_type != "session.started") || found.len() == 1_000 {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Hospital {
    /// Brings the gauges up to date that nobody else moves.
    pub(crate) async fn measure(&self) {
        let head = *self.store.head().borrow();
        gauge("hims_head_position", head);
        if let Some(runner) = &self.runner {
            let read = *runner.position.borrow();
            gauge("hims_read_position", read);
            gauge("hims_read_lag_events", (head - read).max(0));
        }
        let (readers, idle_readers) = self.readers.count();
        connections("readers", readers, idle_readers);
        for (name, pool) in [("writers", &self.writers), ("projectors", &self.projectors)] {
            connections(name, usize::try_from(pool.size()).unwrap_or(usize::MAX), pool.num_idle());
        }
        let parked = self.readers.read(async |db| query::parked(db).await).await;
        match parked {
            Ok(parked) => gauge("hims_parked_streams", parked),
            Err(error) => tracing::warn!(%error, "parked streams were not counted"),
        }
    }
}

fn connections(pool: &'static str, all: usize, idle: usize) {
    let count = |it| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
    metrics::gauge!("hims_connections", "pool" => pool).set(count(all));
    metrics::gauge!("hims_connections_idle", "pool" => pool).set(count(idle));
}

#[expect(clippy::cast_precision_loss, reason = "counts and positions stay far below 2^52")]
fn gauge(name: &'static str, value: i64) {
    metrics::gauge!(name).set(value as f64);
}
