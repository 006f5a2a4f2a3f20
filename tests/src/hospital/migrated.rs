//! Migrations of a hospital that holds data, and of one that several nodes begin at once.

use std::collections::BTreeMap;

use futures::future::join_all;
use hims_projections::migrations::{self, Loss};
use reqwest::Method;
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgPool};

use super::command_line::on;
use super::fixture::key_file;
use super::tables::{assert_same_rows, contents, count};
use super::{Hospital, Process};
use crate::support::{empty_database, scratch};

/// Every row of every table of the log as text, in order. What is archived is noted there by a migration of its own.
async fn log_of(pool: &PgPool) -> BTreeMap<String, Vec<String>> {
    let sql = "select tablename::text from pg_tables where schemaname = 'log' and tablename <> 'archiving'";
    let tables: Vec<String> = sqlx::query_scalar(sql).fetch_all(pool).await.expect("tables");
    let mut contents = BTreeMap::new();
    for table in tables {
        let sql = format!("select t::text as it from log.{table} t order by it");
        contents.insert(table, sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool).await.expect("rows"));
    }
    contents
}

/// What `down` and `up` promise: the log and what lies beside it stay as they are, and the read tables, which `down`
/// takes away from the migration on, are made anew from the log with the same rows.
#[tokio::test]
async fn each_migration_goes_down_and_up_on_a_filled_hospital_and_all_rows_are_the_same() {
    let mut hospital = Hospital::start().await;
    hospital.settle().await;
    hospital.node.end();
    let (database, folder) = (&hospital.database, scratch("migrated"));
    let (log, tables) = (log_of(&database.owner).await, contents(&database.owner, "hims").await);
    assert!(log["events"].len() > 300 && tables["patients"].len() > 5, "the demo hospital is filled");
    let all = migrations::status(&database.owner).await.expect("a status");
    for (steps, migration) in (1..).zip(all.iter().skip(1).rev()) {
        let what = format!("{:04} {}", migration.version, migration.description);
        migrations::down(&database.migrator(), Some(steps), Loss::NoEvent).await.expect(&what);
        assert_same_rows(&log_of(&database.migrator()).await, &log);
        migrations::up(&database.migrator()).await.expect(&what);
        let rebuilt = on(database, &folder).arg("rebuild").output().expect("the program runs");
        assert_eq!(rebuilt.status.code(), Some(0), "{what}: {rebuilt:?}");
        assert_same_rows(&log_of(&database.owner).await, &log);
        assert_same_rows(&contents(&database.owner, "hims").await, &tables);
    }
}

#[tokio::test]
async fn four_nodes_that_start_at_once_on_an_empty_database_migrate_it_once_and_make_one_administrator() {
    let (database, folder) = (empty_database().await, scratch("nodes"));
    let key = key_file(&folder);
    let (url, migrations_url) = (database.options.to_url_lossy(), database.migrations.to_url_lossy());
    let start = || {
        let (folder, key) = (folder.path().to_owned(), key.clone());
        let (url, migrations_url) = (url.to_string(), migrations_url.to_string());
        tokio::task::spawn_blocking(move || {
            Process::start_with(&folder, &[], |command| {
                command.env("DATABASE_URL", url).env("HIMS_MIGRATION_URL", migrations_url);
                command.env("HIMS_MASTER_KEY_FILE", key).env("HIMS_READ_CONNECTIONS", "2");
                command
                    .env("HIMS_ADMIN_EMAIL", "first@example.org")
                    .env("HIMS_ADMIN_PASSWORD", "lantern-quartz-meadow");
            })
        })
    };
    let nodes = join_all((0..4).map(|_| start())).await;
    for node in nodes {
        let node = node.expect("the node starts");
        let admin = node.nobody.login_as("first@example.org", "lantern-quartz-meadow").await;
        let current = admin.send(admin.request(Method::GET, "/api/v1/sessions/current")).await;
        assert_eq!(current.status, 200, "{}", current.text);
        node.signal("TERM");
        assert_eq!(node.ended().code(), Some(0));
    }
    let pool = &database.owner;
    let known = migrations::status(pool).await.expect("a status");
    assert!(known.iter().all(|it| it.applied_at.is_some()), "{known:?}");
    // The document's name for the migrations that were applied.
    let applied = count(pool, "schema_migrations where success").await;
    assert_eq!((applied, usize::try_from(applied)), (count(pool, "schema_migrations").await, Ok(known.len())));
    assert_eq!(count(pool, "log.events where event_type = 'user.created'").await, 1);
}
