//! The server that may be written to, among the servers that `DATABASE_URL` names. When the primary is lost and a
//! standby is promoted, everything that the program does with the database goes on there, and a former primary that
//! comes back is refused (docs/adr/0041).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use hims_event_store::bounded::within;
use hims_event_store::{Timeline, Timelines, timeline_of};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::{DatabaseError, IDLE, PATIENCE, PROGRAM, START, TEST, Work, address_of, check, explain};

/// How often the servers are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long a server may take to say what it is.
const ANSWER: Duration = Duration::from_secs(1);

/// The servers of a database, and which of them is the primary.
#[derive(Clone)]
pub(crate) struct Primary(Arc<Servers>);

struct Servers {
    all: Vec<PgConnectOptions>,
    /// The number of the primary among all servers.
    primary: AtomicUsize,
    timelines: Timelines,
    /// The pools that lead to the primary.
    pools: Mutex<Vec<PgPool>>,
}

/// What a server says of itself: the timeline that it continues, or `None` if it is a standby.
type Said = Result<Option<Timeline>, DatabaseError>;

impl Primary {
    /// The only server of a database.
    pub(crate) fn only(server: PgConnectOptions) -> Self {
        Self::among(vec![server], 0)
    }

    fn among(all: Vec<PgConnectOptions>, primary: usize) -> Self {
        let (primary, timelines) = (AtomicUsize::new(primary), Timelines::default());
        Self(Arc::new(Servers { all, primary, timelines, pools: Mutex::default() }))
    }

    /// Finds the primary: of several servers that accept changes the one that was promoted last. Waits a moment for
    /// servers that are just starting.
    ///
    /// # Errors
    /// When no server can be used; the error says why.
    pub(crate) async fn find(servers: Vec<PgConnectOptions>) -> Result<Self, DatabaseError> {
        if let [only] = &servers[..] {
            check(only).await?;
            return Ok(Self::only(only.clone()));
        }
        let until = Instant::now() + START;
        loop {
            let said = look_at_all(&servers).await;
            let accepting = (0..).zip(&said).filter_map(|(at, said)| Some((at, (*said.as_ref().ok()?)?)));
            let mut accepting: Vec<(usize, Timeline)> = accepting.collect();
            accepting.sort_by_key(|(_, timeline)| std::cmp::Reverse(timeline.number));
            if let [(at, timeline), others @ ..] = &accepting[..] {
                // All that accept changes must be former primaries of the first.
                let rival = others.iter().find(|(_, it)| it.system != timeline.system || it.number == timeline.number);
                if let Some((rival, _)) = rival {
                    return Err(DatabaseError::TwoPrimaries(address_of(&servers[*at]), address_of(&servers[*rival])));
                }
                check(&servers[*at]).await?;
                let found = Self::among(servers, *at);
                found.0.timelines.meet(*timeline).map_err(|error| explain(found.address(*at), error))?;
                return Ok(found);
            }
            if Instant::now() > until {
                let reason = |(server, said): (&PgConnectOptions, &Said)| match said {
                    Ok(_) => format!("{} is a standby", address_of(server)),
                    Err(error) => error.to_string(),
                };
                let reasons: Vec<_> = servers.iter().zip(&said).map(reason).collect();
                return Err(DatabaseError::NoPrimary(reasons.join("; ")));
            }
            sleep(TEST / 5).await;
        }
    }

    /// How to connect to the primary.
    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.0.all[self.0.primary.load(Ordering::Acquire)]
    }

    /// The newest timeline that this program knows of.
    pub(crate) fn timelines(&self) -> &Timelines {
        &self.0.timelines
    }

    fn address(&self, at: usize) -> String {
        address_of(&self.0.all[at])
    }

    /// Opens a connection to the primary.
    ///
    /// # Errors
    /// When the server does not answer, or is not the primary any more.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut db = PgConnection::connect_with(self.options()).await?;
        self.gate().admit(&mut db).await?;
        Ok(db)
    }

    /// Opens a connection to the primary for a kind of work, with options of one's own.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub(crate) async fn connect_for(
        &self,
        work: Work,
        options: &PgConnectOptions,
    ) -> Result<PgConnection, sqlx::Error> {
        let mut db = PgConnection::connect_with(options).await?;
        work.set_up(&mut db).await?;
        self.gate().admit(&mut db).await?;
        Ok(db)
    }

    fn gate(&self) -> Gate {
        Gate { timelines: self.0.timelines.clone(), has_choice: self.has_choice() }
    }

    /// Whether the primary is looked for among several servers.
    pub(crate) fn has_choice(&self) -> bool {
        self.0.all.len() > 1
    }

    /// Whether a connection that was opened some time ago leads to the primary, as far as this program knows.
    pub(crate) fn has(&self, age: Duration) -> bool {
        self.0.timelines.is_known_for(age)
    }

    /// A pool of connections to the primary for a kind of work, which opens connections when they are needed.
    pub(crate) fn pool(&self, connections: u32, work: Work) -> PgPool {
        let (gate, timelines) = (self.gate(), self.0.timelines.clone());
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(PATIENCE)
            // The pool tests each connection that is given back. A second test is needed only after a time of idleness.
            .test_before_acquire(false)
            .before_acquire(move |connection, metadata| {
                let leads_there = timelines.is_known_for(metadata.age);
                Box::pin(async move {
                    if leads_there && metadata.idle_for > IDLE {
                        within(TEST, connection.ping()).await?;
                    }
                    Ok(leads_there)
                })
            })
            .after_connect(move |connection, _| {
                let gate = gate.clone();
                Box::pin(async move {
                    work.set_up(connection).await?;
                    gate.admit(connection).await
                })
            })
            .connect_lazy_with(self.options().clone());
        self.pools().push(pool.clone());
        pool
    }

    fn pools(&self) -> MutexGuard<'_, Vec<PgPool>> {
        self.0.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each server says of itself, with its host and port.
    pub(crate) async fn say(&self) -> Vec<(String, Said)> {
        let said = look_at_all(&self.0.all).await;
        self.0.all.iter().map(address_of).zip(said).collect()
    }

    /// Looks at the servers from time to time, and goes over to a standby that was promoted. Has nothing to do where
    /// there is only one server.
    pub(crate) fn follow(&self) -> Following {
        let primary = self.clone();
        let following = self.has_choice().then(|| {
            // An alert sees a number grow, and not how it begins.
            metrics::counter!("hims_failovers_total").increment(0);
            tokio::spawn(async move {
                let mut lookouts: Vec<_> = primary.0.all.iter().cloned().map(Lookout::at).collect();
                loop {
                    sleep(LOOK).await;
                    primary.look(&mut lookouts).await;
                }
            })
        });
        Following(following)
    }

    async fn look(&self, lookouts: &mut [Lookout]) {
        let found = join_all(lookouts.iter_mut().map(Lookout::look)).await;
        let system = self.0.timelines.newest().map(|it| it.system);
        let is_ours = |found: &Timeline| system.is_none_or(|system| found.system == system);
        let primary = self.0.primary.load(Ordering::Acquire);
        let candidates = (0..).zip(&found).filter_map(|(at, found)| Some((at, found.filter(is_ours)?)));
        let Some((newest, timeline)) = candidates.max_by_key(|(at, found)| (found.number, *at == primary)) else {
            return;
        };
        if timeline.number < self.0.timelines.number() {
            return;
        }
        if newest != primary {
            self.0.primary.store(newest, Ordering::Release);
            for pool in self.pools().iter() {
                pool.set_connect_options(self.options().clone());
            }
            metrics::counter!("hims_failovers_total").increment(1);
            let (from, to) = (self.address(primary), self.address(newest));
            tracing::warn!(from, to, timeline = timeline.number, "another server is the primary now; going on there");
        }
        if let Err(error) = self.0.timelines.meet(timeline) {
            tracing::error!(%error, server = self.address(newest), "a server that accepts changes is not used");
        }
        for (at, lookout) in lookouts.iter_mut().enumerate() {
            if found[at].is_some_and(|it| is_ours(&it) && it.number < timeline.number) {
                lookout.end_sessions(&self.address(at)).await;
            }
        }
    }
}

/// What decides whether a new connection may be used.
#[derive(Clone)]
struct Gate {
    timelines: Timelines,
    has_choice: bool,
}

impl Gate {
    /// Makes sure that a connection does not lead to a former primary, nor to a standby where there is a choice. Comes
    /// last before a connection is used: its age, by which it may be used later, is counted from then on.
    async fn admit(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        match timeline_of(db).await? {
            Some(found) if self.has_choice && found == Timeline::UNTOLD => Err(untold()),
            Some(found) => self.timelines.meet(found),
            None if self.has_choice => {
                Err(sqlx::Error::Configuration("the server is a standby; waiting for a primary".into()))
            }
            None => Ok(()),
        }
    }
}

/// The error of a server among several that does not tell its timeline.
fn untold() -> sqlx::Error {
    let reason = "the server does not tell its timeline, without which a former primary cannot be told from the \
                  present one: allow the login to call pg_control_system(), or name one server only";
    sqlx::Error::Configuration(reason.into())
}

/// What all of these servers say of themselves.
async fn look_at_all(servers: &[PgConnectOptions]) -> Vec<Said> {
    let look = |server: &PgConnectOptions| {
        let server = server.clone();
        async move {
            let asking = async {
                match timeline_of(&mut PgConnection::connect_with(&server).await?).await? {
                    Some(Timeline::UNTOLD) => Err(untold()),
                    said => Ok(said),
                }
            };
            within(ANSWER, asking).await.map_err(|error| explain(address_of(&server), error))
        }
    };
    join_all(servers.iter().map(look)).await
}

/// The task that looks at the servers. It ends when this value is dropped.
pub(crate) struct Following(Option<JoinHandle<()>>);

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Looks at one server, again and again on one connection.
struct Lookout {
    server: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Lookout {
    fn at(server: PgConnectOptions) -> Self {
        Self { server, connection: None }
    }

    /// The timeline that the server continues; `None` if it is a standby or does not answer.
    async fn look(&mut self) -> Option<Timeline> {
        let looking = async {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                none => none.insert(PgConnection::connect_with(&self.server).await?),
            };
            timeline_of(connection).await
        };
        let looked = within(ANSWER, looking).await;
        if looked.is_err() {
            self.connection = None;
        }
        looked.ok().flatten()
    }

    /// Ends the sessions of this login on a former primary, so that nobody goes on there.
    async fn end_sessions(&mut self, address: &str) {
        let Some(connection) = &mut self.connection else { return };
        let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                    where usename = session_user and datname = current_database() and pid <> pg_backend_pid()
                      and application_name = $1
                      and backend_start < clock_timestamp() - interval '2 seconds'";
        let ended: Result<i64, _> = within(ANSWER, sqlx::query_scalar(sql).bind(PROGRAM).fetch_one(connection)).await;
        match ended {
            Ok(0) => {}
            Ok(sessions) => {
                tracing::warn!(server = address, sessions, "ended sessions on a former primary, which accepts changes");
            }
            Err(_) => self.connection = None,
        }
    }
}
