//! Recorded events cannot be changed: neither by the login of the server and its roles, which lack the rights, nor by
//! the owner of the log, whom triggers stop.

use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Executor, PgPool};

use super::fixture::{Log, begin, id};

async fn log_of_two() -> Log {
    let log = Log::in_postgres().await;
    for _ in 0..2 {
        log.append(begin(id())).await.expect("appended");
    }
    log
}

/// Asserts that a statement is refused for insufficient privilege (SQLSTATE 42501), and returns the message.
async fn refusal(pool: &PgPool, sql: &'static str) -> String {
    let error = pool.execute(sql).await.expect_err(sql);
    let error = error.as_database_error().expect(sql);
    assert_eq!(error.code().as_deref(), Some("42501"), "{sql}: {error}");
    error.message().to_owned()
}

#[tokio::test]
async fn the_servers_own_login_and_role_have_no_right_to_it() {
    let log = log_of_two().await;
    let statements = [
        "update log.events set data = '{}' where position = 1",
        "delete from log.events where position = 2",
        "truncate log.events",
        "delete from log.head",
        "truncate log.head",
        "alter table log.events disable trigger all",
        "alter table log.head disable trigger head_stays",
        "drop trigger events_append_only on log.events",
        "alter table log.events owner to hims",
        "create or replace function log.refuse_change() returns trigger language plpgsql as 'begin return null; end'",
        "create trigger another before insert on log.events execute function log.refuse_change()",
        "drop table log.events",
        "drop schema log cascade",
        "create table log.another ()",
        "set session_replication_role = replica",
    ];
    let writer = log.database().pool_as("hims_writer");
    for sql in statements {
        refusal(&writer, sql).await;
    }
    let becoming_owner = [
        "set role hims_owner",
        "set role hims_migrator",
        "grant hims_owner to hims",
        "alter role hims createrole",
        "set session authorization hims_migrator",
    ];
    for sql in statements.into_iter().chain(becoming_owner) {
        refusal(&log.database().owner, sql).await;
    }
    assert_eq!(log.proved_length().await, 2);
}

#[tokio::test]
async fn triggers_refuse_it_to_the_owner() {
    let log = log_of_two().await;
    for (sql, verb) in [
        ("update log.events set data = '{}' where position = 1", "UPDATE of events"),
        ("update log.events set data = data where false", "UPDATE of events"),
        ("delete from log.events where position = 2", "DELETE of events"),
        ("truncate log.events", "TRUNCATE of events"),
        ("delete from log.head", "DELETE of head"),
        ("truncate log.head", "TRUNCATE of head"),
    ] {
        let refused = refusal(&log.database().migrator(), sql).await;
        assert_eq!(refused, format!("the event log is append-only: {verb} is refused"));
    }
    assert_eq!(log.proved_length().await, 2);
}

#[tokio::test]
async fn whoever_reads_or_projects_cannot_append() {
    let log = log_of_two().await;
    for role in ["hims_reader", "hims_projector"] {
        let pool = log.database().pool_as(role);
        for table in ["events", "head", "unique_claims", "receipts", "subject_keys", "master_keys"] {
            let sql = AssertSqlSafe(format!("delete from log.{table}"));
            let error = pool.execute(sql).await.expect_err("no right");
            assert_eq!(
                error.as_database_error().and_then(DatabaseError::code).as_deref(),
                Some("42501"),
                "{role} {table}"
            );
        }
        refusal(&pool, "insert into log.events select * from log.events").await;
    }
}
