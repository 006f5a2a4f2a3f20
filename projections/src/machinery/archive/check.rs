//! Compares the archives with their tables, and with the note of what is archived.

use sqlx::{AssertSqlSafe, PgConnection};

use super::rules::archive_of;
use super::tables;

/// How the archives of the living read tables were found, without that of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// The number of archived rows.
    pub rows: i64,
    /// The number of rows that are not archived properly: rows that are in a table and in its archive, rows of an
    /// archive that is no child of its table, and rows that are noted as archived and are not, or the other way round.
    pub faults: i64,
}

/// Compares the archives with their tables and with the note of what is archived.
///
/// # Errors
/// When the database does not answer.
pub async fn compare(db: &mut PgConnection) -> Result<Compared, sqlx::Error> {
    let mut compared = Compared { rows: 0, faults: 0 };
    for table in tables() {
        let archive = archive_of(table);
        let sql = format!(
            "with noted as (select id from projection_archive where relation = '{table}')
             select (select count(*) from {archive}),
                    (select count(*) from {archive} a join only {table} t using (id))
                    + (select count(*) from {archive} a full join noted n using (id) where a.id is null or n.id is null)
                    + (select count(*) from {archive}
                        where not exists (select from pg_inherits where inhrelid = '{archive}'::regclass))"
        );
        let (rows, faults): (i64, i64) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut *db).await?;
        compared.rows += rows;
        compared.faults += faults;
    }
    Ok(compared)
}
