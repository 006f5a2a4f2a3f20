//! A durable PostgreSQL in a folder of its own, and the event log in it.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use hims_api::Settings;
use hims_api::embedded::{EmbeddedOptions, EmbeddedPostgres};
use hims_event_store::{MasterKey, PgEventStore, PgOptions, Upcasters};
use hims_projections::{READ_SCHEMA, migrations};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;

use crate::Failure;

/// The file of the key that wraps the keys of the subjects.
const MASTER_KEY: &str = "bench.key";

/// A server with fsync on. Its folder goes with it.
pub(crate) struct Postgres {
    server: EmbeddedPostgres,
    folder: TempDir,
}

impl Postgres {
    /// Makes and starts one in `TMPDIR`, which should be on the disk that is measured.
    pub(crate) async fn start() -> Result<Self, Failure> {
        // PostgreSQL's account passes through it.
        let mode = std::fs::Permissions::from_mode(0o711);
        let folder = tempfile::Builder::new().prefix("hims-bench-").permissions(mode).tempdir()?;
        let server = EmbeddedPostgres::start(EmbeddedOptions::new(folder.path())).await?;
        let key = folder.path().join(MASTER_KEY);
        std::fs::write(&key, "07".repeat(32))?;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { server, folder })
    }

    /// Settings with which a hospital works on this server.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            bind: ([127, 0, 0, 1], 0).into(),
            data_dir: self.folder.path().to_owned(),
            master_key_file: Some(self.folder.path().join(MASTER_KEY)),
            free_wrong_passwords: 1_000,
            ..Settings::default()
        }
    }

    /// Settings of a node that finds this server by its URL.
    pub(crate) fn settings_of_node(&self) -> Settings {
        let options = self.server.connect_options();
        let folder = options.get_socket().map(|it| it.display().to_string()).unwrap_or_default();
        let url = |login| Some(format!("postgres:///hims?host={folder}&user={login}&sslmode=disable"));
        Settings { database_url: url("hims"), migration_url: url("hims_migrator"), ..self.settings() }
    }

    /// Connections of the login for migrations, which is a member of the roles that own the log and the read tables.
    pub(crate) fn owner(&self, connections: u32) -> PgPool {
        PgPoolOptions::new().max_connections(connections).connect_lazy_with(self.server.migration_options())
    }

    /// Connections that row-level security does not hold back.
    pub(crate) fn superuser(&self, connections: u32) -> PgPool {
        let options = self.server.superuser_options().database("hims");
        PgPoolOptions::new().max_connections(connections).connect_lazy_with(options)
    }

    /// Connections that read as the server's own do, under row-level security.
    pub(crate) fn readers(&self, connections: u32) -> PgPool {
        PgPoolOptions::new()
            .max_connections(connections)
            .after_connect(|connection, _| {
                let settings = format!(
                    "set role hims_reader; set search_path = {READ_SCHEMA}, public;
                     set pg_trgm.word_similarity_threshold = 0.4"
                );
                Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await.map(drop) })
            })
            .connect_lazy_with(self.server.connect_options())
    }

    /// The event log, as the server has it.
    pub(crate) async fn store(&self) -> Result<Arc<PgEventStore>, Failure> {
        let owner = self.owner(1);
        migrations::up(&owner).await?;
        owner.close().await;
        let writers = PgPoolOptions::new()
            .max_connections(12)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::query("set role hims_writer").execute(connection).await.map(drop) })
            })
            .connect_lazy_with(self.server.connect_options());
        let store =
            PgEventStore::connect(writers, MasterKey::new(&[7; 32]), Upcasters::default(), PgOptions::default())
                .await?;
        Ok(Arc::new(store))
    }

    /// Stops it and removes the folder.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}
