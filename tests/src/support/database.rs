//! One database for each test, copied from a template database that is migrated once per run.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use hims_projections::migrations;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, PgPool};
use tokio::runtime::Builder;
use tokio::sync::OnceCell;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::cluster;

const TEMPLATE: &str = "template_hims";

/// The database of one test. It is removed when this value is dropped, since all of them together need more memory than
/// a machine has to spare.
pub(crate) struct TestDatabase {
    /// The options to connect with the server's login.
    pub(crate) options: PgConnectOptions,
    /// The options to connect with the login for migrations, which is a member of the role that owns the log.
    pub(crate) migrations: PgConnectOptions,
    /// A pool of connections of the server's login, which is a member of the role that owns the read tables.
    pub(crate) owner: PgPool,
    superuser: PgConnectOptions,
    _removal: Removal,
}

/// Makes a database with all migrations applied.
pub(crate) async fn database() -> TestDatabase {
    static MIGRATED: OnceCell<()> = OnceCell::const_new();
    let migrate = async || {
        create(TEMPLATE, "template1").await;
        let migrations = cluster().await.migration_options().database(TEMPLATE);
        let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(migrations);
        migrations::up(&pool).await.expect("the template is migrated");
        // PostgreSQL does not copy a template database while somebody is connected to it.
        pool.close().await;
    };
    MIGRATED.get_or_init(migrate).await;
    make(TEMPLATE).await
}

/// Makes an empty database, without migrations.
pub(crate) async fn empty_database() -> TestDatabase {
    make("template1").await
}

/// Makes a copy of a database to which nobody is connected any more.
pub(crate) async fn copy_of(template: &TestDatabase) -> TestDatabase {
    make(template.options.get_database().expect("a database")).await
}

async fn make(template: &str) -> TestDatabase {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", MADE.fetch_add(1, Ordering::Relaxed));
    create(&name, template).await;
    TestDatabase::named(&name).await
}

async fn create(name: &str, template: &str) {
    let mut superuser = cluster().await.superuser_options().connect().await.expect("a superuser's connection");
    let sql = format!("create database {name} owner hims_owner template {template} strategy file_copy");
    superuser.execute(AssertSqlSafe(sql)).await.expect("a database of its own");
    // PostgreSQL does not copy the settings and privileges of a template database, so they are given here.
    for sql in [
        format!("alter database {name} set search_path = hims, log, public"),
        format!("grant create on database {name} to hims_tables"),
    ] {
        superuser.execute(AssertSqlSafe(sql)).await.expect("settings and privileges");
    }
}

/// A pool whose connections act as a database role.
pub(crate) fn pool_as(role: &'static str, options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(10)
        .after_connect(move |connection, _| {
            let sql = AssertSqlSafe(format!("set role {role}"));
            Box::pin(async move { connection.execute(sql).await.map(drop) })
        })
        .connect_lazy_with(options.clone())
}

/// Has the database removed when it is dropped.
struct Removal {
    database: String,
}

impl Drop for Removal {
    fn drop(&mut self) {
        static REMOVER: OnceLock<UnboundedSender<String>> = OnceLock::new();
        // The remover ends with the process, before the cluster, which is removed with all that is left.
        let _ = REMOVER.get_or_init(start_remover).send(std::mem::take(&mut self.database));
    }
}

/// Starts a thread that removes the databases whose names it receives, since a test's own runtime ends with the test.
fn start_remover() -> UnboundedSender<String> {
    let (sender, mut names) = unbounded_channel::<String>();
    let remove = async move {
        while let Some(name) = names.recv().await {
            let mut superuser = cluster().await.superuser_options().connect().await.expect("a superuser's connection");
            let sql = format!("drop database {name} with (force)");
            if let Err(error) = superuser.execute(AssertSqlSafe(sql)).await {
                // Somebody who does not end, as a process that a test has stopped.
                eprintln!("the database {name} stays until the end of the run: {error}");
            }
        }
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    std::thread::spawn(move || runtime.block_on(remove));
    sender
}

impl TestDatabase {
    async fn named(name: &str) -> Self {
        let cluster = cluster().await;
        let options = cluster.connect_options().database(name);
        Self {
            owner: PgPoolOptions::new().max_connections(5).connect_lazy_with(options.clone()),
            options,
            migrations: cluster.migration_options().database(name),
            superuser: cluster.superuser_options().database(name),
            _removal: Removal { database: name.to_owned() },
        }
    }

    /// A new pool of connections of the login for migrations. Settings that a migration makes for the database take
    /// effect in new sessions only.
    pub(crate) fn migrator(&self) -> PgPool {
        PgPoolOptions::new().max_connections(2).connect_lazy_with(self.migrations.clone())
    }

    /// A pool of connections to the database that act as a database role, as those of the server do.
    pub(crate) fn pool_as(&self, role: &'static str) -> PgPool {
        pool_as(role, &self.options)
    }

    /// A connection of a superuser to the database.
    pub(crate) async fn superuser(&self) -> PgConnection {
        self.superuser.connect().await.expect("a superuser's connection")
    }
}
