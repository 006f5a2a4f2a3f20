//! The statements that read and write the rows of a read table.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::Column;
use crate::machinery::stamps::is_stamp;
use crate::machinery::table::{Row, Table};

/// Reads the rows that have one of the keys in a column.
pub(crate) async fn fetch<R: Row>(db: &mut PgConnection, column: &str, keys: &[Uuid]) -> Result<Vec<R>, sqlx::Error> {
    let columns: Vec<_> = R::TABLE.columns.iter().map(|it| format!("\"{}\"", it.name)).collect();
    let sql = format!("select {} from {} where {column} = any($1)", columns.join(", "), R::TABLE.name);
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(keys).fetch_all(db).await?;
    rows.iter().map(R::read).collect()
}

/// Inserts rows, none of which may exist in the table.
pub(crate) async fn insert<R: Row>(db: &mut PgConnection, rows: &[&R]) -> Result<(), sqlx::Error> {
    write(db, R::insert_sql(), rows).await
}

/// Replaces rows and inserts missing rows. No two of the given rows may have the same key.
pub(crate) async fn replace<R: Row>(db: &mut PgConnection, rows: &[&R]) -> Result<(), sqlx::Error> {
    write(db, R::replace_sql(), rows).await
}

async fn write<R: Row>(db: &mut PgConnection, sql: &'static str, rows: &[&R]) -> Result<(), sqlx::Error> {
    /// The greatest number of rows in a statement. With more rows, PostgreSQL allocates new memory for each statement.
    const ROWS: usize = 1_000;
    for rows in rows.chunks(ROWS) {
        R::bind(sqlx::query(sql), rows).execute(&mut *db).await?;
    }
    Ok(())
}

/// Takes over the columns that may hold something personal into rows that the table or its archive has already.
pub(crate) async fn blank<R: Row>(db: &mut PgConnection, rows: &[&R]) -> Result<(), sqlx::Error> {
    match blank_sql(&R::TABLE) {
        Some(sql) if !rows.is_empty() => {
            R::bind(sqlx::query(sqlx::AssertSqlSafe(sql)), rows).execute(db).await.map(drop)
        }
        _ => Ok(()),
    }
}

/// Deletes rows.
pub(crate) async fn delete<R: Row>(db: &mut PgConnection, keys: &[Uuid]) -> Result<(), sqlx::Error> {
    if !keys.is_empty() {
        let sql = format!("delete from {} where id = any($1)", R::TABLE.name);
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(keys).execute(db).await?;
    }
    Ok(())
}

fn each(columns: &[Column], of: impl Fn(&Column) -> String) -> String {
    columns.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// The parameters of a statement that binds one array per column.
fn arrays(table: &Table) -> String {
    let of_column = |(place, column): (usize, &Column)| format!("${place}::{}[]", column.kind.sql());
    (1..).zip(table.columns).map(of_column).collect::<Vec<_>>().join(", ")
}

/// The statement that inserts rows.
pub(crate) fn insert_sql(table: &Table) -> String {
    let names = each(table.columns, |it| format!("\"{}\"", it.name));
    format!("insert into {} ({names}) select * from unnest({})", table.name, arrays(table))
}

/// The statement that replaces rows and inserts missing rows.
pub(crate) fn replace_sql(table: &Table) -> String {
    let updates = each(&table.columns[1..], |it| format!("\"{0}\" = excluded.\"{0}\"", it.name));
    format!("{} on conflict (id) do update set {updates}", insert_sql(table))
}

/// The statement that takes over the columns that may hold something personal, with the stamps, which follow from
/// whether an event changed the row; `None` if the table has no such column.
fn blank_sql(table: &Table) -> Option<String> {
    if !table.may_be_personal() {
        return None;
    }
    let is_taken_over = |it: &&Column| it.may_be_personal() || is_stamp(it.name);
    let taken_over: Vec<_> = table.columns.iter().filter(is_taken_over).collect();
    let list = |of: &dyn Fn(&Column) -> String| taken_over.iter().map(|it| of(it)).collect::<Vec<_>>().join(", ");
    Some(format!(
        "update {0} it set {1} from unnest({2}) blanked ({3}) where it.id = blanked.id and ({4}) is distinct from ({5})",
        table.name,
        list(&|it| format!("\"{0}\" = blanked.\"{0}\"", it.name)),
        arrays(table),
        each(table.columns, |it| format!("\"{}\"", it.name)),
        list(&|it| format!("it.\"{}\"", it.name)),
        list(&|it| format!("blanked.\"{}\"", it.name)),
    ))
}
