//! The content of the log's tables, byte for byte.

use hims_event_store::{Append, Claim, Receipt, Snapshot};
use serde_json::json;

use super::fixture::{Log, at, claiming, id, opened};

/// A log with events, claims, a receipt, a subject key and a snapshot, all of them about a person named Ann.
async fn log() -> Log {
    let log = Log::in_postgres().await;
    let (stream, ann) = (id(), id());
    let take = Claim::Take { scope: "email", key: "Ann@example.org".to_owned(), owner: ann };
    let share = Claim::Share { scope: "name", key: "Ann".to_owned(), owner: ann };
    let receipt = Some(Receipt::new(id(), vec![1]));
    let append = Append { claims: vec![take, share], receipt, ..opened(stream, ann, "Ann \"€\" Example") };
    log.append(append).await.expect("appended");
    for version in 1..10 {
        log.append(at(stream, version)).await.expect("appended");
    }
    log.append(claiming(id(), [])).await.expect("appended");
    let snapshot = Snapshot { version: 10, state_version: 1, state: json!({"owner": {"$personal": "Ann"}}) };
    log.store().save_snapshot("account", stream, Some(ann), snapshot).await.expect("kept");
    log
}

#[tokio::test]
async fn the_chain_is_what_sql_makes_of_the_written_rule() {
    let log = log().await;
    let sql = r#"
        with chain as (
            select position, hash, sha256(lag(hash, 1, decode(repeat('00', 32), 'hex')) over (order by position) ||
                   convert_to(position || E'\n' || stream_type || E'\n' || stream_id || E'\n' || version || E'\n' ||
                       event_type || E'\n' || schema_version || E'\n' ||
                       to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || E'\n' ||
                       data::text || E'\n' || metadata::text, 'UTF8')) as expected
              from log.events)
        select count(*) filter (where hash = expected), count(*), max(position),
               (select position from log.head h where h.hash = (select hash from chain order by position desc limit 1))
          from chain"#;
    let found: (i64, i64, i64, Option<i64>) =
        sqlx::query_as(sql).fetch_one(&log.database().owner).await.expect("an answer");
    assert_eq!(found, (11, 11, 11, Some(11)));
    assert_eq!(log.proved_length().await, 11);
}

#[tokio::test]
async fn nothing_personal_is_in_plain_text_anywhere() {
    let log = log().await;
    let tables = ["events", "head", "unique_claims", "shared_claims", "booking_claims", "receipts", "subject_keys"];
    for table in tables.into_iter().chain(["snapshots", "master_keys"]) {
        let sql = sqlx::AssertSqlSafe(format!(
            "select count(*), count(*) filter (where t::text ~* 'ann' or encode(convert_to(t::text, 'UTF8'), 'hex') ~ '416e6e'
                or t::text ~* encode('Ann', 'hex') or t::text like '%' || encode('Ann', 'base64') || '%')
               from log.{table} t"
        ));
        let (rows, plain): (i64, i64) = sqlx::query_as(sql).fetch_one(&log.database().owner).await.expect("an answer");
        assert!(rows > 0 || table == "booking_claims", "{table} is empty");
        assert_eq!(plain, 0, "{table}");
    }
}
