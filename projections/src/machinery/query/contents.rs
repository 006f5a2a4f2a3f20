//! What a table contains, in short.

use hims_event_store::Position;
use sqlx::PgConnection;

use super::of_live_tables;
use crate::Table;
use crate::machinery::living::QueryError;

/// The contents of a catalogue at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Differs wherever the rows differ: their number, and two sums of their hashes.
    pub digest: String,
    /// The position of the read tables when the query ran.
    pub position: Position,
}

/// Reads all rows of a catalogue, to tell whether they are the same as at another time.
///
/// # Errors
/// When the database does not answer.
pub async fn contents(db: &mut PgConnection, catalogue: &Table) -> Result<Contents, QueryError> {
    let sql = format!(
        "select (select position from projection_checkpoint),
                concat_ws(' ', count(*), sum(hashtextextended(it::text, 0)), sum(hashtextextended(it::text, 1)))
           from {} it",
        catalogue.name
    );
    let (position, digest): (Option<Position>, String) = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_one(db).await?;
    let position = position.ok_or(sqlx::Error::RowNotFound)?;
    Ok(Contents { digest, position: of_live_tables(position)? })
}
