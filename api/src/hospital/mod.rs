mod measure;
mod opening;
mod patience;
mod tasks;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hims_commands::{
    Executor, Failure, Login, Processes, Registry, ReportMaker, Surroundings, start_processes, upcasters,
};
use hims_domain::log::Log;
use hims_event_store::{EventStore, MasterKeys, NodeClock, PgEventStore, PgFiles, PgOptions, ProcessStore, StoreError};
use hims_projections::migrations::MigrationError;
use hims_projections::presence::{self, Presence};
use hims_projections::query::Shape;
use hims_projections::{Rebuild, Runner, RunnerHandle, Standing};
use sqlx::PgPool;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::measure::KnownBackup;
use self::opening::{bring_up_to_date, not_opened};
pub(crate) use self::patience::patiently;
use crate::cache::{Cache, RedisUrlError, redis_client};
use crate::connections::{DatabaseError, Primary, Work};
use crate::database::Database;
use crate::due::DueRecords;
use crate::embedded::{EmbeddedError, refuse_foreign};
use crate::feed::Feed;
use crate::keys::{KeyError, KeySource, keys_of};
use crate::outside::{OutsideError, Post};
use crate::reports::Reports;
use crate::routes::Looks;
use crate::sight::TableSight;
use crate::{Readers, Settings, surroundings};

/// How long [`Hospital::settle`] waits for the read tables to move on before it gives up.
const STANDSTILL: Duration = Duration::from_secs(30);

/// How long closing a pool waits for connections that are still in use.
const LAST_ORDERS: Duration = Duration::from_secs(5);

/// Why the hospital did not open.
#[derive(Debug, Error)]
pub enum HospitalError {
    /// The embedded PostgreSQL did not start.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The database that `DATABASE_URL` names cannot be used.
    #[error(transparent)]
    Unusable(#[from] DatabaseError),
    /// `HIMS_READ_URLS` names something that is no database.
    #[error("HIMS_READ_URLS: {0}")]
    ReadUrl(DatabaseError),
    /// `HIMS_REDIS_URL` names no Redis.
    #[error("HIMS_REDIS_URL: {0}")]
    RedisUrl(#[from] RedisUrlError),
    /// The database does not answer.
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed, the login may not run migrations, or the database is newer than this program.
    #[error(transparent)]
    Migrate(MigrationError),
    /// The master key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Messages cannot leave the hospital with these settings.
    #[error(transparent)]
    Outside(#[from] OutsideError),
    /// The master keys do not open this hospital.
    #[error(
        "{source_of_keys} belongs to another hospital, or to another time of this one: restore the master key {id} of this \
         hospital"
    )]
    OtherKey {
        /// Where the keys come from.
        source_of_keys: KeySource,
        /// The master key that this hospital needs.
        id: Uuid,
    },
    /// The event log cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A command of the set-up failed.
    #[error("the set-up of the hospital failed: {0}")]
    SetUp(#[from] Failure),
    /// The first administrator cannot be created from the settings.
    #[error("no administrator can be created from HIMS_ADMIN_EMAIL and HIMS_ADMIN_PASSWORD: {0}")]
    Administrator(String),
    /// The data directory holds no hospital to inspect.
    #[error("there is no hospital in {0}: name the --data-dir or the DATABASE_URL of a hospital")]
    Nothing(PathBuf),
    /// The database lacks migrations of this program.
    #[error(
        "the database is older than this program: run `hims migrate up` first, with a login that may run migrations \
         (HIMS_MIGRATION_URL)"
    )]
    Older,
    /// `--demo` was given for a database that is not empty.
    #[error("the database is not empty, and --demo fills only an empty database: choose another --data-dir")]
    NotEmpty,
}

/// What the hospital is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve requests. No other process may run the embedded PostgreSQL.
    Serve,
    /// To carry out commands, such as an import, beside a running server or without a server.
    Work,
    /// To look at an existing hospital, beside a running server or without a server. Nothing is created or migrated.
    Inspect,
}

/// An open hospital: the log, the commands and the read tables.
pub struct Hospital {
    /// The event log.
    pub store: Arc<dyn EventStore>,
    /// What the log keeps for processes.
    pub(crate) process_store: Arc<dyn ProcessStore>,
    /// The processes that this node runs; `None` unless the hospital was opened to serve requests.
    processes: Option<Processes>,
    /// Keeps the files of reports.
    pub(crate) files: PgFiles,
    /// Carries out commands.
    pub executor: Arc<Executor>,
    /// Every command by name.
    pub registry: Registry,
    /// Begins and ends sessions, and finds the caller of a session.
    pub login: Arc<Login>,
    /// Connections that read under row-level security.
    pub readers: Arc<Readers>,
    /// What happened to the log itself. A restore needs an empty log, so nothing happens to it while this program runs.
    pub(crate) log: Arc<Log>,
    /// Hands new events to those who follow the log.
    pub(crate) feed: Arc<Feed>,
    /// Remembers answers about catalogues.
    pub(crate) cache: Arc<Cache>,
    /// What was recorded lately of what is read; `None` if reads are not recorded.
    pub(crate) looks: Option<Looks>,
    writers: PgPool,
    history: PgPool,
    projectors: PgPool,
    /// Keeps the read tables up to date; `None` when the hospital was opened to inspect.
    pub runner: Option<RunnerHandle>,
    /// Connections as the server's login, which is a member of the role that owns the read tables, such as for
    /// rebuilds.
    pub owner: PgPool,
    /// What this node does beside answering requests, until the hospital is closed.
    tasks: Vec<JoinHandle<()>>,
    /// Says to `hims migrate down` that this program works with the database.
    presence: Presence,
    database: Database,
    backups: KnownBackup,
    /// The master keys with which the hospital was opened.
    pub(crate) keys: MasterKeys,
    pub(crate) source_of_keys: KeySource,
    /// Whether this node archives by itself.
    archives: bool,
    /// How far the server is on its way to its end.
    pub(crate) stage: watch::Sender<Stage>,
}

/// How far a server is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The server serves.
    Serving,
    /// The server still serves, and says that it is not ready, so that nobody sends it further requests.
    Draining,
    /// The server refuses new requests, and ends the endless answers of event streams.
    Stopping,
}

/// Connections for reading. Only a server answers so many reads that replicas are worth looking at.
fn readers(
    settings: &Settings,
    purpose: Purpose,
    primary: &Primary,
    runner: Option<&RunnerHandle>,
) -> Result<Readers, HospitalError> {
    let newest = runner.map(|it| it.position.clone());
    let replicas = match purpose {
        Purpose::Serve => settings.replicas().map_err(HospitalError::ReadUrl)?,
        Purpose::Work | Purpose::Inspect => Vec::new(),
    };
    let each = settings.read_connections_of_a_worker();
    Ok(Readers::new(primary.clone(), replicas, each, settings.slow(), move || {
        newest.as_ref().map_or(0, |it| *it.borrow())
    }))
}

impl Hospital {
    /// Opens the hospital. Unless the purpose is to inspect, applies missing migrations first, and starts to project
    /// events into the read tables.
    ///
    /// # Errors
    /// When the key, the database or the log cannot be opened; the error says what to do.
    pub async fn open(settings: &Settings, purpose: Purpose) -> Result<Self, HospitalError> {
        Self::open_in(settings, purpose, surroundings()).await
    }

    /// Opens the hospital like [`open`](Self::open), on a node with a certain clock and certain random numbers. The
    /// clock of the node is only compared with the clock of the log, by which commands are decided.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_in(
        settings: &Settings,
        purpose: Purpose,
        Surroundings { clock, entropy }: Surroundings,
    ) -> Result<Self, HospitalError> {
        if settings.database_url.is_none() {
            refuse_foreign(&settings.data_dir)?;
        }
        let post = Post::try_new(settings)?;
        // Only a server answers so much that remembered answers are worth sharing.
        let redis =
            settings.redis_url.as_deref().filter(|_| purpose == Purpose::Serve).map(redis_client).transpose()?;
        let (keys, source_of_keys) = keys_of(settings, purpose).await?;
        let database = Database::open(settings, purpose).await?;
        let owner = database.owner();
        let presence = Presence::announce(owner.clone(), keys.ids()).await?;
        bring_up_to_date(&database, &owner, purpose).await?;
        let primary = database.primary();
        let [writers, history] = [12, 4].map(|connections| primary.pool(connections, Work::Write));
        let projectors = primary.pool(5, Work::Project);
        let clock = NodeClock::new(move || clock());
        let (queue, timelines) = (settings.queue, primary.timelines().clone());
        let options = PgOptions { queue, history: Some(history.clone()), clock, timelines, ..PgOptions::default() };
        let connected = PgEventStore::connect(writers.clone(), keys.clone(), upcasters(), options).await;
        let log = Arc::new(connected.map_err(|error| not_opened(error, &source_of_keys))?);
        let (store, process_store): (Arc<dyn EventStore>, Arc<dyn ProcessStore>) = (log.clone(), log.clone());
        let surroundings = Surroundings { clock: Arc::new(move || log.clock().now()), entropy };
        let runner = match purpose {
            Purpose::Inspect => None,
            // Only a server makes new read tables: a short command would end in the middle of the rebuild.
            purpose => {
                let renewal = (purpose == Purpose::Serve).then(|| Rebuild::new(Arc::clone(&store), owner.clone()));
                Some(Runner::start(Arc::clone(&store), projectors.clone(), owner.clone(), renewal).await?)
            }
        };
        let readers = Arc::new(readers(settings, purpose, primary, runner.as_ref())?);
        let mut executor = Executor::new(Arc::clone(&store), surroundings)
            .in_phone_region(settings.phone_region)
            .in_currency(settings.currency)
            .in_time_zone(settings.time_zone);
        if let Some(RunnerHandle { position, standing, .. }) = &runner {
            let standing = standing.clone();
            executor = executor.until_outdated(Arc::new(move || *standing.borrow() == Standing::Newer));
            let (readers, store) = (Arc::clone(&readers), Arc::clone(&store));
            executor = executor.with_sight(Arc::new(TableSight { readers, store, position: position.clone() }));
        }
        let executor = Arc::new(executor);
        let log = executor.load::<Log>(Log::stream(), true).await?.state.unwrap_or_default();
        let login = Login::new(Arc::clone(&executor), settings.session_limits());
        let login = login.with_second_factors(settings.second_factors()).with_passkeys(settings.passkeys());
        let login = Arc::new(login);
        // Only a server runs processes: a short command would end in the middle of what follows.
        let files = PgFiles::new(writers.clone(), Arc::clone(&store));
        let processes = runner.as_ref().filter(|_| purpose == Purpose::Serve).map(|runner| {
            let (executor, reported) = (Arc::clone(&executor), Arc::clone(&store));
            let store = Arc::clone(&process_store);
            let tables = Arc::new(DueRecords(projectors.clone()));
            let processes = Processes::new(executor, store, runner.position.clone()).with_tables(tables);
            let maker: Arc<dyn ReportMaker> = Arc::new(Reports {
                store: Arc::clone(&reported),
                files: files.clone(),
                primary: primary.clone(),
                owner: owner.clone(),
                rebuild: Rebuild::new(Arc::clone(&reported), owner.clone()),
                time_zone: settings.time_zone,
            });
            start_processes(processes, &settings.of_processes(), &post, &maker)
        });
        let feed = Arc::new(tasks::start_feed(&store, &executor, &login));
        let incarnation = log.incarnation().to_string();
        let cache = Cache::start(&feed, Arc::clone(&readers), Arc::clone(&store), incarnation, redis);
        let years = settings.archive_after_years.filter(|_| purpose == Purpose::Serve);
        let tasks = tasks::start(&executor, years.map(|it| (owner.clone(), it)));
        let stage = watch::channel(Stage::Serving).0;
        Ok(Self {
            store,
            process_store,
            processes,
            files,
            executor,
            registry: Registry::hospital(),
            login,
            readers,
            log,
            feed,
            cache: Arc::new(cache),
            looks: settings.record_reads.then(Looks::new),
            writers,
            history,
            projectors,
            runner,
            owner,
            tasks,
            presence,
            database,
            backups: KnownBackup::new(settings.backup_hours),
            keys,
            source_of_keys,
            archives: years.is_some(),
            stage,
        })
    }

    /// Returns when the embedded PostgreSQL ends unexpectedly. For any other database, never returns.
    pub(crate) fn database_ended(&self) -> impl Future<Output = ()> + use<> {
        self.database.ended()
    }

    /// Whether the living read tables have the columns that this program declares.
    pub(crate) fn shape(&self) -> Shape {
        let standing = self.runner.as_ref().map(|it| *it.standing.borrow());
        if standing.is_none_or(|it| it == Standing::Current) { Shape::Declared } else { Shape::Other }
    }

    /// Connections that write beside the log.
    pub(crate) fn writers(&self) -> &PgPool {
        &self.writers
    }

    /// A rebuild of the read tables.
    pub(crate) fn rebuild(&self) -> Rebuild {
        Rebuild::new(Arc::clone(&self.store), self.owner.clone())
    }

    /// Whether no other program works with the database.
    pub(crate) async fn is_alone(&self) -> Result<bool, HospitalError> {
        let mut db = self.owner.acquire().await?;
        Ok(presence::programs(&mut db).await?.len() == 1)
    }

    /// Returns when the read tables show everything that was recorded so far. Gives up with a warning when the tables
    /// are not of this program's form, or do not move on for 30 seconds; the next start of the server goes on.
    pub async fn settle(&self) {
        let Some(runner) = &self.runner else { return };
        if *runner.standing.borrow() != Standing::Current {
            tracing::warn!("the read tables do not show the new events before a server has made the tables anew");
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

    /// Writes the appends that wait, stops projecting, and stops the embedded PostgreSQL if this process runs one.
    pub async fn close(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        if let Some(processes) = self.processes {
            processes.stop().await;
        }
        self.executor.finish_recording().await;
        self.cache.stop();
        self.feed.stop();
        self.store.shutdown().await;
        if let Some(runner) = self.runner {
            runner.stop().await;
        }
        self.readers.close();
        drop(self.presence);
        for pool in [self.projectors, self.writers, self.history, self.owner] {
            if tokio::time::timeout(LAST_ORDERS, pool.close()).await.is_err() {
                tracing::warn!("a connection is still in use; it ends with the program");
            }
        }
        self.database.close().await;
    }
}
