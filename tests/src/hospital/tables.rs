//! Whole read tables, for comparisons.

use std::collections::BTreeMap;

use hims_testing::assert_same;
use sqlx::{AssertSqlSafe, PgPool};

/// Every row of every table of a schema as JSON text, in order, whether or not the row is archived; without
/// `failed_at`, which depends on the clock, and without the columns that say which session projects.
pub(crate) async fn contents(pool: &PgPool, schema: &str) -> BTreeMap<String, Vec<String>> {
    let sql = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = $1 and c.relkind in ('r', 'p') and not c.relispartition
                  and c.relname not like '%\\_archive'";
    let tables: Vec<String> = sqlx::query_scalar(sql).bind(schema).fetch_all(pool).await.expect("tables");
    let mut contents = BTreeMap::new();
    for table in tables {
        let sql = format!(
            "select (to_jsonb(t) - array['failed_at', 'held_by', 'held_until'])::text as it from {schema}.{table} t order by it"
        );
        contents.insert(table, sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool).await.expect("rows"));
    }
    assert!(contents.len() > 15, "too few tables for a hospital: {:?}", contents.keys());
    contents
}

/// Fails unless the two schemas have the same tables with the same rows; prints only the rows that differ.
#[track_caller]
pub(crate) fn assert_same_rows(found: &BTreeMap<String, Vec<String>>, expected: &BTreeMap<String, Vec<String>>) {
    fn rows(of: &BTreeMap<String, Vec<String>>) -> impl Iterator<Item = (&String, &String)> {
        of.iter().flat_map(|(table, rows)| rows.iter().map(move |row| (table, row)))
    }
    assert_same(found.keys(), expected.keys());
    assert_same(rows(found), rows(expected));
}

/// How many rows `from` finds: a table, with a condition where one is given.
pub(crate) async fn count(pool: &PgPool, from: &str) -> i64 {
    let sql = format!("select count(*) from {from}");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.expect("a number")
}

/// How many events of a type a process gave rise to.
pub(crate) async fn by_process(pool: &PgPool, process: &str, event_type: &str) -> i64 {
    let events = format!(
        "log.events where event_type = '{event_type}' and metadata -> 'actor' ->> 'name' = 'process:{process}'"
    );
    count(pool, &events).await
}
