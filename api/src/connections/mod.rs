//! Connections to PostgreSQL: what a connection is for, the settings of its session, and the pools.
//!
//! A process may be stopped, and a network may fall silent, in the middle of anything. Every session therefore has
//! bounds of its own, whatever the settings of the role, the database or the server are: PostgreSQL gives up a
//! statement that takes too long or waits too long for a lock, ends a session that idles in the middle of a
//! transaction, and notices soon when the other host is gone. No stopped process keeps a lock that others need.

mod primary;

use std::time::Duration;

use hims_event_store::bounded::{too_late, within};
use hims_projections::READ_SCHEMA;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use thiserror::Error;
use tokio::time::{Instant, sleep};

pub(crate) use self::primary::{Following, Primary};

/// The name by which PostgreSQL knows the connections of this program.
pub(crate) const PROGRAM: &str = "hims";
/// A connection that was idle for longer than this is tested before use.
pub(crate) const IDLE: Duration = Duration::from_secs(1);
/// How long to wait for a free connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
/// How long the test of a connection may take.
const TEST: Duration = Duration::from_millis(500);
/// The parameter of a URL that says which of several servers is wanted.
const ATTRIBUTES: &str = "target_session_attrs=";
/// How long to wait at the start for a database that is not there yet.
const START: Duration = Duration::from_secs(5);

/// Makes commits wait for the standbys that must confirm them.
const WAIT_FOR_STANDBYS: &str =
    "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'local';";

/// What a connection is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// To migrate and rebuild, as the login itself, which is a member of the role that owns the tables.
    Own,
    /// To append to the log and read it.
    Write,
    /// To bring the read tables up to date.
    Project,
    /// To read the read tables under row-level security.
    Read,
}

impl Work {
    /// The role to take up; `None` to work as the login itself.
    fn role(self) -> Option<&'static str> {
        match self {
            Self::Own => None,
            Self::Write => Some("hims_writer"),
            Self::Project => Some("hims_projector"),
            Self::Read => Some("hims_reader"),
        }
    }

    /// How many seconds a statement, the wait for a lock, and idleness in a transaction may last; 0 for no bound. A
    /// rebuild makes indexes, which may take hours.
    fn bounds(self) -> [u32; 3] {
        match self {
            Self::Own => [0, 30, 10],
            Self::Write => [10, 3, 3],
            Self::Project => [10, 5, 4],
            Self::Read => [5, 3, 5],
        }
    }

    /// Sets up a connection: its role, its bounds, and the search path to the read tables.
    pub(crate) async fn set_up(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let role = self.role().map(|it| format!("set role {it};")).unwrap_or_default();
        let wait = if self == Self::Write { WAIT_FOR_STANDBYS } else { "" };
        let [statement, lock, idle] = self.bounds();
        // PostgreSQL warns when a wait for a standby was cut short, so warnings must be sent.
        // At this threshold a search finds names in spite of one or two typing errors.
        let settings = format!(
            "{role} {wait}
             set client_min_messages = warning; set statement_timeout = '{statement}s'; set lock_timeout = '{lock}s';
             set idle_in_transaction_session_timeout = '{idle}s';
             set tcp_user_timeout = '10s'; set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 2;
             set tcp_keepalives_count = 3;
             set search_path = {READ_SCHEMA}, public; set pg_trgm.word_similarity_threshold = 0.4"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(settings)).execute(&mut *connection).await?;
        if self == Self::Write && !commits_are_durable(connection).await? {
            return Err(sqlx::Error::Configuration("synchronous_commit is off, so nothing can be appended".into()));
        }
        Ok(())
    }
}

/// Whether PostgreSQL answers a commit only when the commit is durable.
async fn commits_are_durable(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select current_setting('synchronous_commit') <> 'off'").fetch_one(connection).await
}

/// Why a database of one's own cannot be used. No message holds a value of the URL but the host and the port.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The URL is none of PostgreSQL.
    #[error(
        "the URL of a database must begin with postgres:// or postgresql://: write \
         postgres://user:password@host:5432/database"
    )]
    Scheme,
    /// The URL cannot be read.
    #[error("the URL of a database cannot be read ({0}): write postgres://user:password@host:5432/database")]
    Url(String),
    /// Nobody listens at the address, or the address is unknown.
    #[error("PostgreSQL cannot be reached at {0} ({1}): see that it runs, and check host and port in DATABASE_URL")]
    Unreachable(String, std::io::Error),
    /// Somebody accepts connections at the address and does not answer.
    #[error("what listens at {0} does not answer: check host and port in DATABASE_URL")]
    Silent(String),
    /// Another kind of server answers.
    #[error("what listens at {0} does not speak PostgreSQL's protocol: check host and port in DATABASE_URL")]
    Foreign(String),
    /// PostgreSQL refuses the login, or does not have the database.
    #[error("PostgreSQL at {0} refuses the connection: {1}")]
    Refused(String, String),
    /// None of several servers is a primary.
    #[error(
        "none of the servers in DATABASE_URL accepts changes ({0}): promote one of them, or add the one that is the \
         primary"
    )]
    NoPrimary(String),
    /// Two servers accept changes, and neither was promoted after the other.
    #[error(
        "both {0} and {1} accept changes, and neither was promoted after the other: stop the one that is not to be \
         used, or take it out of DATABASE_URL"
    )]
    TwoPrimaries(String, String),
    /// Commits are not durable.
    #[error(
        "synchronous_commit is off in PostgreSQL, so an answered command could be lost: set it to on, for the server, \
         the database and the role"
    )]
    NotDurable,
}

/// Reads the URL of a database.
///
/// # Errors
/// When the URL is none of PostgreSQL.
pub(crate) fn options_of(url: &str) -> Result<PgConnectOptions, DatabaseError> {
    if !["postgres://", "postgresql://"].iter().any(|it| url.starts_with(it)) {
        return Err(DatabaseError::Scheme);
    }
    url.parse().map_err(|error| match error {
        sqlx::Error::Configuration(reason) => DatabaseError::Url(reason.to_string()),
        error => DatabaseError::Url(error.to_string()),
    })
}

/// Reads the URL of a database that may be on any of several servers, as in
/// `postgres://user:password@db1:5432,db2:5432/database?target_session_attrs=read-write`. The primary is always looked
/// for among them, so that the last parameter may be left out.
///
/// # Errors
/// When the URL is none of PostgreSQL, or asks for another server than the primary.
pub(crate) fn servers_of(url: &str) -> Result<Vec<PgConnectOptions>, DatabaseError> {
    let (scheme, rest) = url.split_once("://").ok_or(DatabaseError::Scheme)?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (wanted, parameters): (Vec<_>, Vec<_>) = query.split('&').partition(|it| it.starts_with(ATTRIBUTES));
    if wanted.iter().any(|it| !["read-write", "primary"].contains(&&it[ATTRIBUTES.len()..])) {
        return Err(DatabaseError::Url("target_session_attrs may only be read-write or primary".to_owned()));
    }
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let at = if authority.contains('@') { "@" } else { "" };
    let parameters = parameters.join("&");
    let of = |host: &str| options_of(&format!("{scheme}://{user}{at}{host}{path}?{parameters}"));
    hosts.split(',').map(of).collect()
}

/// Opens a connection as a test, so that a wrong setting is named as what it is. Waits a moment for a database that is
/// just starting.
///
/// # Errors
/// When the database cannot be used; the error says why.
pub(crate) async fn check(options: &PgConnectOptions) -> Result<(), DatabaseError> {
    let address = address_of(options);
    let until = Instant::now() + START;
    let mut starting = None;
    let mut connection = loop {
        match tokio::time::timeout_at(until, PgConnection::connect_with(options)).await {
            Ok(Ok(connection)) => break connection,
            Ok(Err(error)) if is_starting(&error) => starting = Some(error),
            Ok(Err(error)) => return Err(explain(address, error)),
            Err(_) => return Err(explain(address, starting.unwrap_or_else(too_late))),
        }
        sleep(TEST / 5).await;
    };
    let is_durable = within(START, commits_are_durable(&mut connection)).await;
    let _ = within(TEST, connection.close()).await;
    if is_durable.map_err(|error| explain(address, error))? { Ok(()) } else { Err(DatabaseError::NotDurable) }
}

/// Where a server listens: host and port, or the folder of the socket.
pub(crate) fn address_of(server: &PgConnectOptions) -> String {
    match server.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => format!("{}:{}", server.get_host(), server.get_port()),
    }
}

/// Whether an error may be over in a moment. SQLSTATE 57P03: PostgreSQL is starting up.
fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|it| it == "57P03"),
        _ => false,
    }
}

fn explain(address: String, error: sqlx::Error) -> DatabaseError {
    match error {
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => DatabaseError::Silent(address),
        // A server of another kind may close the connection instead of answering.
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => DatabaseError::Foreign(address),
        sqlx::Error::Io(error) => DatabaseError::Unreachable(address, error),
        sqlx::Error::Protocol(_) => DatabaseError::Foreign(address),
        sqlx::Error::Database(refusal) => DatabaseError::Refused(address, refusal.message().to_owned()),
        error => DatabaseError::Refused(address, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::embedded::{EmbeddedOptions, EmbeddedPostgres};

    #[test]
    fn a_url_that_is_none_of_postgresql_is_named_as_what_it_is() {
        for url in ["mysql://hims@localhost/hims", "hims:secret@localhost/hims", "localhost", "http://localhost:5432"] {
            let said = options_of(url).map(drop).expect_err(url).to_string();
            assert!(said.contains("must begin with postgres://") && !said.contains("secret"), "{said}");
        }
        for url in ["postgres://hims:secret@localhost:99999/hims", "postgres://hims:secret@localhost:port/hims"] {
            let said = options_of(url).map(drop).expect_err(url).to_string();
            assert!(said.contains("invalid port number") && !said.contains("secret"), "{said}");
        }
        assert_eq!(options_of("postgresql://hims@localhost:5433/hims").expect("options").get_port(), 5433);
    }

    #[test]
    fn a_url_may_name_several_servers() {
        let addresses =
            |url: &str| -> Vec<String> { servers_of(url).expect("servers").iter().map(address_of).collect() };
        let two = "postgres://hims:se%40cret@db1,db2:5433/hims?target_session_attrs=read-write&sslmode=disable";
        assert_eq!(addresses(two), ["db1:5432", "db2:5433"]);
        let second = servers_of(two).expect("servers").pop().expect("the second");
        assert_eq!((second.get_username(), second.get_database()), ("hims", Some("hims")));
        assert_eq!(addresses("postgres://hims@%2Frun%2Fone,%2Frun%2Ftwo/hims"), ["/run/one", "/run/two"]);
        assert_eq!(addresses("postgres://db1,db2/hims?target_session_attrs=primary"), ["db1:5432", "db2:5432"]);
        assert_eq!(addresses("postgres://hims@db1/hims"), ["db1:5432"]);
        let standby = servers_of("postgres://hims:secret@db1,db2/hims?target_session_attrs=standby");
        let said = standby.map(drop).expect_err("no standby").to_string();
        assert!(said.contains("read-write or primary") && !said.contains("secret"), "{said}");
        for url in ["mysql://hims@db1,db2/hims", "db1,db2", "postgres://hims@db1,db2:port/hims"] {
            assert!(servers_of(url).is_err(), "{url}");
        }
    }

    /// PostgreSQL says 0 for the settings of TCP on a connection through a socket; it says where they come from.
    #[tokio::test]
    async fn each_kind_of_work_bounds_its_sessions() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).expect("the folder is ours");
        let options = EmbeddedOptions { durable: false, ..EmbeddedOptions::new(folder.path().join("data")) };
        let cluster = EmbeddedPostgres::start(options).await.expect("PostgreSQL");
        let connect = async || PgConnection::connect_with(&cluster.superuser_options()).await;
        let bounds = [
            (Work::Own, ["0", "30s", "10s"]),
            (Work::Write, ["10s", "3s", "3s"]),
            (Work::Project, ["10s", "5s", "4s"]),
            (Work::Read, ["5s", "3s", "5s"]),
        ];
        // Whatever the server says, commits of the log wait for standbys, and warnings are heard.
        let mut server = connect().await.expect("a connection");
        for setting in ["synchronous_commit = local", "client_min_messages = error"] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(format!("alter role postgres set {setting}")))
                .execute(&mut server)
                .await
                .expect("a setting of the role");
        }
        for (work, expected) in bounds {
            let mut session = connect().await.expect("a connection");
            work.set_up(&mut session).await.expect("the session is set up");
            let sql = "select current_setting('statement_timeout'), current_setting('lock_timeout'),
                              current_setting('idle_in_transaction_session_timeout'),
                              current_setting('synchronous_commit'), current_setting('client_min_messages'),
                              (select array_agg(distinct source) from pg_settings
                                where name in ('tcp_user_timeout', 'tcp_keepalives_idle', 'tcp_keepalives_interval',
                                               'tcp_keepalives_count'))";
            let found: (String, String, String, String, String, Vec<String>) =
                sqlx::query_as(sql).fetch_one(&mut session).await.expect("settings");
            assert_eq!([&found.0, &found.1, &found.2], expected, "{work:?}");
            let commits = if work == Work::Write { "on" } else { "local" };
            assert_eq!((found.3.as_str(), found.4.as_str()), (commits, "warning"), "{work:?}");
            assert_eq!(found.5, ["session"], "{work:?}");
        }
        cluster.stop().await;
    }
}
