//! Database schemas that hold read tables.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{RebuildError, execute};
use crate::machinery::archive::make_ahead;
use crate::machinery::form::FORM;
use crate::machinery::migrations::READ_MIGRATIONS;
use crate::machinery::roles::TABLES_OWNER;

/// Makes the read tables in a new schema, by the read migrations and with this program's form, in the transaction of
/// `db`, which works as the owner of the read tables from then on. The checkpoint of the new tables is at the beginning
/// of the log.
pub(crate) async fn make(db: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    execute(db, &format!("set local role {TABLES_OWNER}")).await?;
    execute(db, &format!("create schema {schema}")).await?;
    execute(db, &format!("grant usage on schema {schema} to hims_projector, hims_reader")).await?;
    execute(db, &format!("set local hims.read_schema = '{schema}'")).await?;
    for migration in READ_MIGRATIONS.iter() {
        execute(db, migration).await?;
    }
    let today = sqlx::query_scalar("select (now() at time zone 'UTC')::date").fetch_one(&mut *db).await?;
    make_ahead(db, today).await?;
    let sql = format!("update {schema}.projection_checkpoint set form = $1");
    sqlx::query(AssertSqlSafe(sql)).bind(FORM.as_str()).execute(db).await.map(drop)
}

/// Checks that a name is valid for a new schema and not taken.
pub(super) async fn check_name(db: &mut PgConnection, schema: &str) -> Result<(), RebuildError> {
    let is_name = schema.starts_with(|first: char| first.is_ascii_lowercase())
        && !schema.starts_with("pg_")
        && schema.len() <= 50
        && schema.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    // A name that `quote_ident` changes, such as an SQL keyword, would have to be quoted in every statement.
    let sql = "select exists (select from pg_namespace where nspname = $1) or quote_ident($1) <> $1";
    let is_taken: bool = sqlx::query_scalar(sql).bind(schema).fetch_one(&mut *db).await?;
    if is_name && !is_taken { Ok(()) } else { Err(RebuildError::Schema(schema.to_owned())) }
}
