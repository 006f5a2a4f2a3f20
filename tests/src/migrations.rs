//! Migrations: up, down, by several nodes at once, and after a break.

use std::process::Stdio;

use futures::future::{join, join_all};
use hims_projections::Standing;
use hims_projections::indexes::unfinished;
use hims_projections::migrations::{Loss, MigrationError, down, standing, status, up};
use hims_projections::roles::may_migrate;
use hims_testing::assert_same;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor as _, PgPool};

use crate::hospital::{on, until};
use crate::support::{Proxy, TestDatabase, database, empty_database, scratch};

/// Whether each migration is applied.
async fn applied(pool: &PgPool) -> Vec<bool> {
    status(pool).await.expect("a status").iter().map(|it| it.applied_at.is_some()).collect()
}

/// The relations, extensions, schemas and functions of the database, without those that every database has.
async fn things(pool: &PgPool) -> Vec<String> {
    let sql = "select format('%s.%s', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = relnamespace
                where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' union all
               select format('%s in %s', e.extname, n.nspname) from pg_extension e join pg_namespace n on n.oid = extnamespace
                where e.extname <> 'plpgsql' union all
               select nspname from pg_namespace where nspname !~ '^pg_' union all
               select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = pronamespace
                where n.nspname not in ('pg_catalog', 'information_schema') order by 1";
    sqlx::query_scalar(sql).fetch_all(pool).await.expect("a catalogue")
}

#[tokio::test]
async fn several_nodes_that_start_at_once_migrate_once() {
    let database = empty_database().await;
    assert!(applied(&database.owner).await.iter().all(|it| !it), "nothing is applied to an empty database");
    let nodes: Vec<_> = (0..6).map(|_| database.migrator()).collect();
    for migrated in join_all(nodes.iter().map(up)).await {
        migrated.expect("every node comes up");
    }
    assert!(applied(&database.owner).await.iter().all(|it| *it));
}

#[tokio::test]
async fn down_to_nothing_and_up_again_is_the_same() {
    let database = empty_database().await;
    up(&database.migrator()).await.expect("up");
    let first = things(&database.migrator()).await;
    assert!(first.contains(&"btree_gist in public".to_owned()) && first.contains(&"pg_trgm in public".to_owned()));
    down(&database.migrator(), None, Loss::NoEvent).await.expect("down");
    let left = ["information_schema", "public", "public._sqlx_migrations", "public._sqlx_migrations_pkey"];
    assert_same(things(&database.migrator()).await, left.map(str::to_owned));
    up(&database.migrator()).await.expect("up again");
    assert_same(things(&database.migrator()).await, first);
}

#[tokio::test]
async fn one_step_down_reverts_the_last_migration() {
    let database = database().await;
    let all = applied(&database.owner).await.len();
    down(&database.migrator(), Some(1), Loss::NoEvent).await.expect("down");
    let left = applied(&database.owner).await;
    assert_eq!((left.len(), left.iter().filter(|it| **it).count()), (all, all - 1));
    up(&database.migrator()).await.expect("up");
    up(&database.migrator()).await.expect("up when there is nothing to do");
    assert!(applied(&database.owner).await.iter().all(|it| *it));
}

#[tokio::test]
async fn the_applied_migrations_stay_readable_under_the_documents_name() {
    let database = database().await;
    let sql = "select count(*) from schema_migrations where success and applied_at is not null";
    let all = status(&database.owner).await.expect("a status").len();
    // Operators read it, with the server's login and with that for migrations; who only reads tables does not.
    for pool in [&database.owner, &database.migrator()] {
        let count: i64 = sqlx::query_scalar(sql).fetch_one(pool).await.expect("the view");
        assert_eq!(usize::try_from(count), Ok(all));
    }
    let refused = sqlx::query_scalar::<_, i64>(sql).fetch_one(&database.pool_as("hims_reader")).await;
    assert!(refused.expect_err("no right").to_string().contains("permission denied"));
}

/// The form in the checkpoint of the living tables.
async fn form(pool: &PgPool) -> String {
    sqlx::query_scalar("select form from hims.projection_checkpoint").fetch_one(pool).await.expect("a checkpoint")
}

#[tokio::test]
async fn what_broke_off_anywhere_is_done_by_the_next() {
    let whole = empty_database().await;
    up(&whole.migrator()).await.expect("up");
    let things_of_whole = things(&whole.migrator()).await;
    let form_of_whole = form(&whole.migrator()).await;
    let statements: [&[u8]; 6] = [
        b"create schema log",
        b"INSERT INTO public._sqlx_migrations",
        b"lock table log.head",
        b"create schema hims",
        b"create table audit_logs",
        b"projection_checkpoint set form",
    ];
    for statement in statements {
        let (database, proxy) = (empty_database().await, Proxy::start().await);
        let captured = proxy.capture(statement);
        let broken = PgPoolOptions::new().connect_lazy_with(proxy.options(&database.migrations));
        let (broken, ()) = join(up(&broken), async { drop(captured.await.expect("the statement is sent")) }).await;
        broken.expect_err(&String::from_utf8_lossy(statement));
        up(&database.migrator()).await.expect("the next start migrates");
        assert_eq!(things(&database.migrator()).await, things_of_whole);
        assert_eq!(form(&database.migrator()).await, form_of_whole);
    }
}

/// The indexes of the log that are not complete: whether each is being built, and PostgreSQL's words for what it does.
async fn unfinished_indexes(pool: &PgPool) -> Vec<(bool, Option<String>)> {
    let mut db = pool.acquire().await.expect("a connection");
    let unfinished = unfinished(&mut db).await.expect("indexes");
    unfinished.into_iter().map(|it| (it.is_being_built, it.phase)).collect()
}

#[tokio::test]
async fn an_index_whose_build_is_killed_is_built_anew_and_the_log_is_written_meanwhile() {
    let (database, folder) = (database().await, scratch("index"));
    let migrator = database.migrator();
    down(&migrator, Some(1), Loss::NoEvent).await.expect("down");
    // Whoever builds an index beside appends waits for those that have begun.
    let mut append = database.owner.begin().await.expect("a transaction");
    append.execute("lock table log.events in row exclusive mode").await.expect("an append has begun");
    let hims = |arguments: &[&str]| {
        let mut command = on(&database, &folder);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let mut migrating = hims(&["migrate", "up"]).spawn().expect("the program runs");
    let waits = (true, Some("waiting for writers before build".to_owned()));
    until(async || unfinished_indexes(&migrator).await == [waits.clone()]).await;
    record(&database).await;
    let told = hims(&["status"]).output().expect("the program runs");
    let told = String::from_utf8(told.stdout).expect("UTF-8");
    assert!(told.contains("log.events_recorded_at is being built: waiting for writers before build, 0 %"), "{told}");

    migrating.kill().expect("killed");
    migrating.wait().expect("the program has ended");
    // PostgreSQL notices by itself that nobody waits for the index any more.
    until(async || unfinished_indexes(&migrator).await == [(false, None)]).await;
    append.rollback().await.expect("the append ends");
    let told = hims(&["status"]).output().expect("the program runs");
    let told = String::from_utf8(told.stdout).expect("UTF-8");
    assert!(told.contains("log.events_recorded_at is not complete, since its build broke off"), "{told}");
    let nodes: Vec<_> = (0..4).map(|_| database.migrator()).collect();
    for migrated in join_all(nodes.iter().map(up)).await {
        migrated.expect("every node comes up");
    }
    assert_eq!(unfinished_indexes(&migrator).await, []);
    let sql = "select count(*) from pg_indexes where schemaname = 'log' and indexname = 'events_recorded_at'";
    assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(&migrator).await.expect("a number"), 1);
    assert!(applied(&migrator).await.iter().all(|it| *it));
}

#[tokio::test]
async fn tables_that_a_migration_is_taken_from_are_of_no_form() {
    for (before, after) in [(None, ""), (Some("8.1.older"), "8.1.older")] {
        let database = database().await;
        if let Some(older) = before {
            let sql = sqlx::query("update hims.projection_checkpoint set form = $1").bind(older);
            sql.execute(&database.owner).await.expect("an older release");
        }
        // The last migration builds an index of the log, the one before makes read tables.
        down(&database.migrator(), Some(2), Loss::NoEvent).await.expect("down");
        assert_eq!(form(&database.owner).await, after);
        assert_eq!(standing(&database.owner).await.expect("a standing"), Standing::TakenBack);
    }
}

#[tokio::test]
async fn where_nothing_is_recorded_tables_of_another_form_are_replaced_at_once() {
    let database = database().await;
    let whole = things(&database.migrator()).await;
    let older = "update hims.projection_checkpoint set form = '1.1.older'; drop table hims.medication_ingredients;
                 alter table hims.patients drop column created_by";
    sqlx::raw_sql(older).execute(&database.owner).await.expect("an older release");
    assert_eq!(standing(&database.owner).await.expect("a standing"), Standing::Due);
    up(&database.migrator()).await.expect("up");
    assert_eq!(standing(&database.owner).await.expect("a standing"), Standing::Current);
    assert_eq!(things(&database.migrator()).await, whole);
}

/// Records an event in a database that is only migrated.
async fn record(database: &TestDatabase) {
    let sql = "insert into log.events values (1, 'role', gen_random_uuid(), 1, 'role.defined', 1, now(), '{}', '{}',
                   sha256('x'));
               update log.head set position = 1";
    sqlx::raw_sql(sql).execute(&database.owner).await.expect("an event");
}

#[tokio::test]
async fn what_keeps_the_log_is_taken_back_only_if_all_events_may_be_lost() {
    let database = database().await;
    record(&database).await;
    let all = applied(&database.owner).await.len();
    for steps in [None, Some(all), Some(all + 1)] {
        let refused = down(&database.migrator(), steps, Loss::NoEvent).await.expect_err("the log holds an event");
        assert!(matches!(refused, MigrationError::HoldsEvents(1)), "{refused}");
        assert!(applied(&database.owner).await.iter().all(|it| *it), "nothing is taken back");
    }
    // The migration refuses by itself as well, whatever program takes it back.
    let file = include_str!("../../migrations/0001_log.down.sql");
    let refused = sqlx::raw_sql(file).execute(&database.migrator()).await.expect_err("the log holds an event");
    assert!(refused.to_string().contains("keeps the log"), "{refused}");
    // Everything above the log may be taken back, and the event stays.
    down(&database.migrator(), Some(all - 1), Loss::NoEvent).await.expect("down to the log");
    let count = "select count(*) from log.events";
    let count: i64 = sqlx::query_scalar(count).fetch_one(&database.migrator()).await.expect("a number");
    assert_eq!(count, 1);
    up(&database.migrator()).await.expect("up");
    down(&database.migrator(), None, Loss::AllEvents).await.expect("down");
    assert!(applied(&database.migrator()).await.iter().all(|it| !it));
}

#[tokio::test]
async fn the_servers_login_runs_no_migration() {
    let database = database().await;
    for refused in [up(&database.owner).await, down(&database.owner, Some(1), Loss::NoEvent).await] {
        let refused = refused.expect_err("the server's login does not own the log");
        assert!(matches!(refused, MigrationError::NotTheOwner), "{refused}");
        assert!(refused.to_string().contains("HIMS_MIGRATION_URL"), "{refused}");
    }
    assert!(!may_migrate(&database.owner).await.expect("an answer"));
    assert!(may_migrate(&database.migrator()).await.expect("an answer"));
}

#[tokio::test]
async fn everything_belongs_to_the_roles_that_nobody_logs_in_with() {
    let database = database().await;
    let sql = "select distinct nspname || ' ' || owner::regrole from (
                   select relnamespace, relowner from pg_class where relkind in ('r', 'p', 'v', 'S') union
                   select pronamespace, proowner from pg_proc where prosecdef union select oid, nspowner from pg_namespace
               ) as it (home, owner) join pg_namespace n on n.oid = home
                where nspname in ('log', 'hims', 'hims_identity') order by 1";
    let owners: Vec<String> = sqlx::query_scalar(sql).fetch_all(&database.owner).await.expect("owners");
    let expected = [
        "hims hims_projector",
        "hims hims_tables",
        "hims_identity hims_owner",
        "hims_identity hims_tables",
        "log hims_owner",
    ];
    assert_same(owners, expected.map(str::to_owned));
}
