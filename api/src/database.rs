use hims_projections::{migrations, roles};
use log::LevelFilter;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgPool};

use crate::connections::{DatabaseError, Following, PROGRAM, Primary, Work, servers_of};
use crate::embedded::{EmbeddedError, EmbeddedOptions, EmbeddedPostgres, refuse_foreign};
use crate::keys::keys_of;
use crate::slow::Slow;
use crate::{HospitalError, Purpose, Settings};

/// The PostgreSQL database: the embedded one, or one that an operator runs.
pub(crate) struct Database {
    primary: Primary,
    migrations: Primary,
    embedded: Option<EmbeddedPostgres>,
    /// The superuser of the embedded PostgreSQL.
    superuser: Option<Primary>,
    _following: Following,
}

impl Database {
    /// Opens the database that `DATABASE_URL` names, or else the embedded PostgreSQL. The embedded PostgreSQL is
    /// started, unless a running server has started it already.
    ///
    /// # Errors
    /// When there is no database to open, or PostgreSQL does not start.
    pub(crate) async fn open(settings: &Settings, purpose: Purpose) -> Result<Self, HospitalError> {
        if let Some(url) = &settings.database_url {
            let servers = |url| {
                let servers = servers_of(url)?;
                Ok::<_, DatabaseError>(servers.into_iter().map(|it| as_program(settings, it)).collect())
            };
            let primary = Primary::find(servers(url)?).await?;
            let migrations = match &settings.migration_url {
                Some(url) => Primary::find(servers(url)?).await?,
                None => primary.clone(),
            };
            return Ok(Self { _following: primary.follow(), primary, migrations, superuser: None, embedded: None });
        }
        refuse_foreign(&settings.data_dir)?;
        let mut options = EmbeddedOptions::new(&settings.data_dir);
        options.binaries = settings.pg_bin.clone().or(options.binaries);
        if purpose == Purpose::Inspect && !settings.has_data() {
            return Err(HospitalError::Nothing(settings.data_dir.clone()));
        }
        if !settings.has_data() {
            // The master key is created before the data, so that no data exist without a key.
            keys_of(settings, purpose).await?;
        }
        match EmbeddedPostgres::start(options.clone()).await {
            Ok(embedded) => {
                let logins = [embedded.connect_options(), embedded.migration_options(), embedded.overseer_options()];
                Ok(Self::on_one_server(logins.map(|it| as_program(settings, it)), Some(embedded)))
            }
            Err(EmbeddedError::InUse(_)) if purpose != Purpose::Serve => {
                let reached = EmbeddedPostgres::reach(&options)?;
                let logins = [reached.connect_options(), reached.migration_options(), reached.overseer_options()];
                Ok(Self::on_one_server(logins.map(|it| as_program(settings, it)), None))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A database on one server, which the server's login, the login for migrations and the superuser reach in these ways.
    fn on_one_server(logins: [PgConnectOptions; 3], embedded: Option<EmbeddedPostgres>) -> Self {
        let [primary, migrations, superuser] = logins.map(Primary::only);
        Self { _following: primary.follow(), primary, migrations, superuser: Some(superuser), embedded }
    }

    /// The server to which the server's login connects.
    pub(crate) fn primary(&self) -> &Primary {
        &self.primary
    }

    /// A pool of connections as the server's login itself, which is a member of the role that owns the read tables.
    pub(crate) fn owner(&self) -> PgPool {
        self.primary.pool(4, Work::Own)
    }

    /// A pool of connections as the login for migrations, which is a member of the role that owns the log.
    pub(crate) fn migrator(&self) -> PgPool {
        self.migrations.pool(3, Work::Own)
    }

    /// A pool of connections for what concerns the server as a whole: as the superuser of the embedded PostgreSQL, or else
    /// as the login for migrations, which may or may not be allowed to.
    pub(crate) fn overseer(&self) -> PgPool {
        self.superuser.as_ref().unwrap_or(&self.migrations).pool(1, Work::Own)
    }

    /// Applies pending migrations, if a login is known that may do so.
    pub(crate) async fn migrate(&self) -> Result<(), HospitalError> {
        let migrator = self.migrator();
        if roles::may_migrate(&migrator).await? {
            migrations::up(&migrator).await?;
        } else {
            ensure_fits(&migrator).await?;
        }
        migrator.close().await;
        Ok(())
    }

    /// Returns when the embedded PostgreSQL ends unexpectedly. For any other database, never returns.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let ended = self.embedded.as_ref().map(EmbeddedPostgres::ended);
        async move {
            match ended {
                Some(ended) => ended.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Stops the embedded PostgreSQL, if this process has started one.
    pub(crate) async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// Says to a server which program connects, and to the log which statements are slow.
fn as_program(settings: &Settings, server: PgConnectOptions) -> PgConnectOptions {
    let Slow(slow) = settings.slow();
    server.application_name(PROGRAM).log_slow_statements(LevelFilter::Warn, slow)
}

/// Makes sure that the database has the migrations of this program and no others.
pub(crate) async fn ensure_fits(pool: &PgPool) -> Result<(), HospitalError> {
    migrations::are_known(pool).await?;
    let is_older = migrations::status(pool).await?.iter().any(|it| it.applied_at.is_none());
    if is_older { Err(HospitalError::Older) } else { Ok(()) }
}
