//! A schema with the read tables in it.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{RebuildError, execute};
use crate::machinery::form::FORM;
use crate::machinery::migrations::READ_MIGRATIONS;

/// Makes the read tables in a new schema, by their migrations and of this program's form, in the transaction that `db`
/// is in. They are at the beginning of the log.
pub(crate) async fn make(db: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    execute(db, &format!("create schema {schema}")).await?;
    execute(db, &format!("grant usage on schema {schema} to hims_projector, hims_reader")).await?;
    execute(db, &format!("set local hims.read_schema = '{schema}'")).await?;
    for migration in READ_MIGRATIONS.iter() {
        execute(db, migration).await?;
    }
    let sql = format!("update {schema}.projection_checkpoint set form = $1");
    sqlx::query(AssertSqlSafe(sql)).bind(FORM.as_str()).execute(db).await.map(drop)
}

/// Whether a schema can be made under a name.
pub(super) async fn check_name(db: &mut PgConnection, schema: &str) -> Result<(), RebuildError> {
    let is_name = schema.starts_with(|it: char| it.is_ascii_lowercase())
        && !schema.starts_with("pg_")
        && schema.len() <= 50
        && schema.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_');
    // A word of SQL would have to be quoted everywhere.
    let sql = "select exists (select from pg_namespace where nspname = $1) or quote_ident($1) <> $1";
    let is_taken: bool = sqlx::query_scalar(sql).bind(schema).fetch_one(&mut *db).await?;
    if is_name && !is_taken { Ok(()) } else { Err(RebuildError::Schema(schema.to_owned())) }
}
