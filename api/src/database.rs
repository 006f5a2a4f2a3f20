use hims_projections::{migrations, roles};
use log::LevelFilter;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgPool};

use crate::connections::{Work, check, options_of, pool};
use crate::embedded::{EmbeddedError, EmbeddedOptions, EmbeddedPostgres, refuse_foreign};
use crate::hospital::key_of;
use crate::slow::Slow;
use crate::{HospitalError, Purpose, Settings};

/// The PostgreSQL database: the embedded one, or one that an operator runs.
pub(crate) struct Database {
    options: PgConnectOptions,
    migrations: PgConnectOptions,
    embedded: Option<EmbeddedPostgres>,
}

impl Database {
    /// Opens the database that `DATABASE_URL` names, or else the embedded PostgreSQL. The embedded PostgreSQL is
    /// started, unless a running server has started it already.
    ///
    /// # Errors
    /// When there is no database to open, or PostgreSQL does not start.
    pub(crate) async fn open(settings: &Settings, purpose: Purpose) -> Result<Self, HospitalError> {
        if let Some(url) = &settings.database_url {
            let migrations = settings.migration_url.as_ref().unwrap_or(url);
            let (options, migrations) = (options_of(url)?, options_of(migrations)?);
            check(&options).await?;
            return Ok(Self::named(settings, options, migrations, None));
        }
        refuse_foreign(&settings.data_dir)?;
        let mut options = EmbeddedOptions::new(&settings.data_dir);
        options.binaries = settings.pg_bin.clone().or(options.binaries);
        if purpose == Purpose::Inspect && !settings.has_data() {
            return Err(HospitalError::Nothing(settings.data_dir.clone()));
        }
        if !settings.has_data() {
            // The master key is created before the data, so that no data exist without a key.
            key_of(settings, purpose)?;
        }
        match EmbeddedPostgres::start(options.clone()).await {
            Ok(embedded) => {
                let (options, migrations) = (embedded.connect_options(), embedded.migration_options());
                Ok(Self::named(settings, options, migrations, Some(embedded)))
            }
            Err(EmbeddedError::InUse(_)) if purpose != Purpose::Serve => {
                let reached = EmbeddedPostgres::reach(&options)?;
                Ok(Self::named(settings, reached.connect_options(), reached.migration_options(), None))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn named(
        settings: &Settings,
        options: PgConnectOptions,
        migrations: PgConnectOptions,
        embedded: Option<EmbeddedPostgres>,
    ) -> Self {
        let Slow(slow) = settings.slow();
        let [options, migrations] =
            [options, migrations].map(|it| it.application_name("hims").log_slow_statements(LevelFilter::Warn, slow));
        Self { options, migrations, embedded }
    }

    /// The options to connect with the server's login.
    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// A pool of connections as the server's login itself, which is a member of the role that owns the read tables.
    pub(crate) fn owner(&self) -> PgPool {
        pool(self.options.clone(), 4, Work::Own)
    }

    /// A pool of connections as the login for migrations, which is a member of the role that owns the log.
    pub(crate) fn migrator(&self) -> PgPool {
        pool(self.migrations.clone(), 3, Work::Own)
    }

    /// Applies pending migrations, if a login is known that may do so.
    pub(crate) async fn migrate(&self) -> Result<(), HospitalError> {
        let migrator = self.migrator();
        if roles::may_migrate(&migrator).await? {
            migrations::up(&migrator).await?;
        } else if is_older(&migrator).await? {
            return Err(HospitalError::Older);
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

/// Whether the database lacks migrations of this program.
pub(crate) async fn is_older(pool: &PgPool) -> Result<bool, sqlx::Error> {
    Ok(migrations::status(pool).await?.iter().any(|it| it.applied_at.is_none()))
}
