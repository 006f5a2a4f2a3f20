//! Why the database refused a row, in words that name the table, the constraint and the columns, and no value.

use sqlx::PgConnection;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

/// The SQLSTATE of a text that is too long. PostgreSQL does not say for which column.
const TOO_LONG: &str = "22001";

/// Describes an error of SQLSTATE class 22 or 23. `written` is the table that was written, for errors that name none,
/// and the length of each text in the rows.
pub(crate) async fn describe(
    db: &mut PgConnection,
    written: Option<(&'static str, &[(&'static str, usize)])>,
    error: &dyn DatabaseError,
) -> Result<String, sqlx::Error> {
    let code = error.code().unwrap_or_default();
    let table = error.table().or(written.map(|it| it.0)).unwrap_or("a read table");
    let mut reason = format!("{table}: {}", words(&code));
    if let Some(column) = error.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::column) {
        reason = format!("{reason}, column {column}");
    }
    if let Some((_, lengths)) = written.filter(|_| code == TOO_LONG) {
        let columns = too_narrow(db, table, lengths).await?;
        reason = format!("{reason}, column {}", columns.join(" or "));
    }
    if let Some(constraint) = error.constraint() {
        let columns = columns_of(db, table, constraint).await?;
        reason = format!("{reason}, constraint {constraint}");
        if !columns.is_empty() {
            reason = format!("{reason} on {}", columns.join(", "));
        }
    }
    Ok(format!("{reason} (SQLSTATE {code})"))
}

fn words(code: &str) -> &'static str {
    match code {
        TOO_LONG => "a text is too long for its column",
        "22003" => "a number is too great for its column",
        "22007" | "22008" => "a date or time is outside the range of its column",
        "23502" => "a value is missing",
        "23503" => "a row that the row refers to does not exist",
        "23505" => "another row has the same key",
        "23514" => "a value is not among those that the column allows",
        "23P01" => "the row overlaps another row",
        code if code.starts_with("22") => "a value does not fit its column",
        _ => "the row breaks a constraint",
    }
}

/// The columns that a constraint is about.
async fn columns_of(db: &mut PgConnection, table: &str, constraint: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select a.attname::text
           from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any(c.conkey)
          where c.conrelid = to_regclass($1) and c.conname = $2
          order by a.attnum",
    )
    .bind(table)
    .bind(constraint)
    .fetch_all(db)
    .await
}

/// The columns that are too narrow for at least one of the texts.
async fn too_narrow(
    db: &mut PgConnection,
    table: &str,
    lengths: &[(&'static str, usize)],
) -> Result<Vec<String>, sqlx::Error> {
    let (columns, lengths): (Vec<_>, Vec<_>) =
        lengths.iter().map(|(column, length)| (*column, i32::try_from(*length).unwrap_or(i32::MAX))).unzip();
    // The modifier of the type is the greatest length and four.
    sqlx::query_scalar(
        "select distinct a.attname::text
           from pg_attribute a join unnest($2::text[], $3::integer[]) as it (name, length) on it.name = a.attname
          where a.attrelid = to_regclass($1) and a.atttypid = 'varchar'::regtype and a.atttypmod > 0
            and it.length > a.atttypmod - 4",
    )
    .bind(table)
    .bind(columns)
    .bind(lengths)
    .fetch_all(db)
    .await
}
