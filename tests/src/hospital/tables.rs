//! The read tables as a whole.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgPool};

/// Every row of every table of a schema, in an order of its own.
pub(crate) async fn contents(pool: &PgPool, schema: &str) -> BTreeMap<String, Vec<String>> {
    let sql = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = $1 and c.relkind in ('r', 'p') and not c.relispartition";
    let tables: Vec<String> = sqlx::query_scalar(sql).bind(schema).fetch_all(pool).await.expect("tables");
    let mut contents = BTreeMap::new();
    for table in tables {
        let sql = format!("select (to_jsonb(t) - 'failed_at')::text as it from {schema}.{table} t order by it");
        contents.insert(table, sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool).await.expect("rows"));
    }
    assert!(contents.len() > 15, "these are the tables of a hospital: {:?}", contents.keys());
    contents
}

/// Fails with the first rows that differ, since all of them are too many to read.
pub(crate) fn assert_same(one: &BTreeMap<String, Vec<String>>, other: &BTreeMap<String, Vec<String>>) {
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (table, rows) in one {
        let others = &other[table];
        for (row, another) in rows.iter().zip(others) {
            assert_eq!(row, another, "a row of {table}");
        }
        assert_eq!(rows.len(), others.len(), "rows of {table}");
    }
}

/// How many rows a condition finds.
pub(crate) async fn count(pool: &PgPool, from: &str) -> i64 {
    let sql = format!("select count(*) from {from}");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.expect("a number")
}
