//! Recorded events cannot be changed: neither by the role of the server, which lacks the rights, nor by the owner of
//! the tables, whom triggers stop.

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
async fn the_servers_own_role_has_no_right_to_it() {
    let log = log_of_two().await;
    let writer = log.database().pool_as("hims_writer");
    for sql in [
        "update log.events set data = '{}' where position = 1",
        "delete from log.events where position = 2",
        "truncate log.events",
        "delete from log.head",
        "alter table log.events disable trigger all",
        "drop table log.events",
    ] {
        refusal(&writer, sql).await;
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
        let refused = refusal(&log.database().owner, sql).await;
        assert_eq!(refused, format!("the event log is append-only: {verb} is refused"));
    }
    assert_eq!(log.proved_length().await, 2);
}

#[tokio::test]
async fn whoever_reads_or_projects_cannot_append() {
    let log = log_of_two().await;
    for role in ["hims_reader", "hims_projector"] {
        let pool = log.database().pool_as(role);
        for table in ["events", "head", "unique_claims", "receipts", "subject_keys"] {
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
