//! Migrations: up, down, by several nodes at once, and after a break.

use futures::future::{join, join_all};
use hims_projections::Standing;
use hims_projections::migrations::{down, standing, status, up};
use hims_testing::assert_same;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::support::{Proxy, TestDatabase, database, empty_database};

/// A new pool, as each node has one. Settings that a migration makes for the database take effect in new sessions only.
fn node(database: &TestDatabase) -> PgPool {
    PgPoolOptions::new().max_connections(2).connect_lazy_with(database.options.clone())
}

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
    let nodes: Vec<_> = (0..6).map(|_| node(&database)).collect();
    for migrated in join_all(nodes.iter().map(up)).await {
        migrated.expect("every node comes up");
    }
    assert!(applied(&database.owner).await.iter().all(|it| *it));
}

#[tokio::test]
async fn down_to_nothing_and_up_again_is_the_same() {
    let database = empty_database().await;
    up(&node(&database)).await.expect("up");
    let first = things(&node(&database)).await;
    assert!(first.contains(&"btree_gist in public".to_owned()) && first.contains(&"pg_trgm in public".to_owned()));
    down(&node(&database), None).await.expect("down");
    let left = ["information_schema", "public", "public._sqlx_migrations", "public._sqlx_migrations_pkey"];
    assert_same(things(&node(&database)).await, left.map(str::to_owned));
    up(&node(&database)).await.expect("up again");
    assert_same(things(&node(&database)).await, first);
}

#[tokio::test]
async fn one_step_down_reverts_the_last_migration() {
    let database = database().await;
    let all = applied(&database.owner).await.len();
    down(&database.owner, Some(1)).await.expect("down");
    let left = applied(&database.owner).await;
    assert_eq!((left.len(), left.iter().filter(|it| **it).count()), (all, all - 1));
    up(&database.owner).await.expect("up");
    up(&database.owner).await.expect("up when there is nothing to do");
    assert!(applied(&database.owner).await.iter().all(|it| *it));
}

#[tokio::test]
async fn the_applied_migrations_stay_readable_under_the_documents_name() {
    let database = database().await;
    let sql = "select count(*) from schema_migrations where success and applied_at is not null";
    let count: i64 = sqlx::query_scalar(sql).fetch_one(&database.owner).await.expect("the view");
    assert_eq!(usize::try_from(count), Ok(status(&database.owner).await.expect("a status").len()));
}

/// The form in the checkpoint of the living tables.
async fn form(pool: &PgPool) -> String {
    sqlx::query_scalar("select form from hims.projection_checkpoint").fetch_one(pool).await.expect("a checkpoint")
}

#[tokio::test]
async fn what_broke_off_anywhere_is_done_by_the_next() {
    let whole = empty_database().await;
    up(&node(&whole)).await.expect("up");
    let things_of_whole = things(&node(&whole)).await;
    let form_of_whole = form(&node(&whole)).await;
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
        let broken = PgPoolOptions::new().connect_lazy_with(proxy.options(&database.options));
        let (broken, ()) = join(up(&broken), async { drop(captured.await.expect("the statement is sent")) }).await;
        broken.expect_err(&String::from_utf8_lossy(statement));
        up(&node(&database)).await.expect("the next start migrates");
        assert_eq!(things(&node(&database)).await, things_of_whole);
        assert_eq!(form(&node(&database)).await, form_of_whole);
    }
}

#[tokio::test]
async fn tables_that_a_migration_is_taken_from_are_of_no_form() {
    for (before, after) in [(None, ""), (Some("8.1.older"), "8.1.older")] {
        let database = database().await;
        if let Some(older) = before {
            let sql = sqlx::query("update hims.projection_checkpoint set form = $1").bind(older);
            sql.execute(&database.owner).await.expect("an older release");
        }
        down(&database.owner, Some(1)).await.expect("down");
        assert_eq!(form(&database.owner).await, after);
        assert_eq!(standing(&database.owner).await.expect("a standing"), Standing::TakenBack);
    }
}

#[tokio::test]
async fn where_nothing_is_recorded_tables_of_another_form_are_replaced_at_once() {
    let database = database().await;
    let whole = things(&node(&database)).await;
    let older = "update hims.projection_checkpoint set form = '1.1.older'; drop table hims.medication_inventory;
                 alter table hims.patients drop column created_by";
    sqlx::raw_sql(older).execute(&database.owner).await.expect("an older release");
    assert_eq!(standing(&database.owner).await.expect("a standing"), Standing::Due);
    up(&node(&database)).await.expect("up");
    assert_eq!(standing(&database.owner).await.expect("a standing"), Standing::Current);
    assert_eq!(things(&node(&database)).await, whole);
}
