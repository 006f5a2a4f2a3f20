//! The rows of a report: the SQL of the report, as a reader, in one transaction that sees one state of the tables.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt as _;
use hims_event_store::Position;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgTransaction, Row as _};
use thiserror::Error;
use uuid::Uuid;

use super::statement::{SAID_AT, bind_identity};
use super::{Identity, QueryError, of_live_tables};
use crate::reports::{ColumnKind, Report};

/// The rows of a report, each value as a text. What the values are, the columns of the report say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportRows {
    /// All texts, one after the other.
    texts: String,
    /// Where each value ends in `texts`; `None` for a null.
    ends: Vec<Option<usize>>,
    /// The number of values of a row.
    width: usize,
    /// The patients whom the rows are about.
    patients: BTreeSet<Uuid>,
}

impl ReportRows {
    /// No rows yet, of so many values each.
    pub fn of_width(width: usize) -> Self {
        Self { width: width.max(1), ..Self::default() }
    }

    /// Adds a value to the last row, or to a new row if the last one is complete.
    pub fn push(&mut self, value: Option<&str>) {
        self.texts.push_str(value.unwrap_or_default());
        self.ends.push(value.map(|_| self.texts.len()));
    }

    /// The patients whom the rows are about, in a report about persons.
    pub fn patients(&self) -> &BTreeSet<Uuid> {
        &self.patients
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.ends.len() / self.width.max(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The number of bytes of all values.
    pub fn bytes(&self) -> usize {
        self.texts.len()
    }

    /// The rows, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Vec<Option<&str>>> {
        let mut begin = 0;
        self.ends.chunks(self.width.max(1)).map(move |row| {
            row.iter()
                .map(|end| {
                    let end = (*end)?;
                    let text = self.texts.get(begin..end);
                    begin = end;
                    text
                })
                .collect()
        })
    }
}

/// Why a report could not be read.
#[derive(Debug, Error)]
pub enum ReportError {
    /// There are too many rows, or too much in them.
    #[error("the report has too many rows, or too much in them; ask for less")]
    TooLarge,
    /// The query took too long.
    #[error("the query took too long; ask for less")]
    TooSlow,
    /// The tables could not be read.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// What a report may have at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How many rows.
    pub rows: usize,
    /// How many bytes in all values together.
    pub bytes: usize,
    /// How long the query may take.
    pub time: Duration,
}

/// One state of the tables of a schema, as a reader sees it.
pub struct ReportView<'c> {
    transaction: PgTransaction<'c>,
    /// The position of the state.
    pub position: Position,
}

impl<'c> ReportView<'c> {
    /// Looks at the tables of a schema. `who` is the reader.
    ///
    /// # Errors
    /// When the database does not answer, or the tables were just swapped.
    pub async fn open(
        db: &'c mut PgConnection,
        schema: &str,
        who: &Identity,
        bounds: Bounds,
    ) -> Result<Self, QueryError> {
        let mut transaction = db.begin_with("begin isolation level repeatable read, read only").await?;
        // Columns are written as the texts of a session that is set up so, whatever the settings of the server are.
        let settings = format!(
            "set local search_path = {schema}, public; set local timezone = 'UTC'; set local datestyle = 'ISO, YMD';
             set local statement_timeout = '{}ms'; set local idle_in_transaction_session_timeout = '60s'",
            bounds.time.as_millis()
        );
        sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *transaction).await?;
        let said = bind_identity(sqlx::query(AssertSqlSafe(format!("select position from {SAID_AT}"))), who);
        let position = of_live_tables(said.fetch_one(&mut *transaction).await?.try_get(0)?)?;
        Ok(Self { transaction, position })
    }

    /// The rows of a report with parameters, as the SQL of the report gets them.
    ///
    /// # Errors
    /// See [`ReportError`].
    pub async fn rows(
        &mut self,
        report: &Report,
        parameters: &Value,
        bounds: Bounds,
    ) -> Result<ReportRows, ReportError> {
        let about = report.contains_phi.then(|| "report.patient_id".to_owned());
        let columns: Vec<_> = report.columns.iter().map(|it| text_of(it.name, it.kind)).chain(about).collect();
        let sql = report.sql.trim().trim_end_matches(';');
        // PostgreSQL keeps the order of a subquery that is only read through.
        let sql = format!("select {} from (\n{sql}\n) as report", columns.join(", "));
        let query = sqlx::query(AssertSqlSafe(sql)).bind(parameters).persistent(false);
        let mut stream = query.fetch(&mut *self.transaction);
        let mut rows = ReportRows::of_width(report.columns.len());
        while let Some(row) = stream.try_next().await.map_err(refused)? {
            for place in 0..report.columns.len() {
                rows.push(row.try_get::<Option<&str>, _>(place).map_err(QueryError::from)?);
            }
            if report.contains_phi {
                rows.patients.extend(row.try_get::<Option<Uuid>, _>(report.columns.len()).map_err(QueryError::from)?);
            }
            if rows.len() > bounds.rows || rows.bytes() > bounds.bytes {
                return Err(ReportError::TooLarge);
            }
        }
        Ok(rows)
    }
}

/// The error of a query. SQLSTATE 57014: the statement took too long.
fn refused(error: sqlx::Error) -> ReportError {
    let is_too_slow =
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|it| it == "57014");
    if is_too_slow { ReportError::TooSlow } else { QueryError::from(error).into() }
}

/// The SQL that writes a column as a text.
fn text_of(name: &str, kind: ColumnKind) -> String {
    let column = format!("report.\"{name}\"");
    match kind {
        ColumnKind::Text | ColumnKind::Integer | ColumnKind::Decimal | ColumnKind::Id | ColumnKind::Day => {
            format!("{column}::text")
        }
        ColumnKind::Boolean => format!("{column}::boolean::text"),
        ColumnKind::Instant => format!("to_char({column}, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"),
        ColumnKind::Time => format!("to_char({column}, 'HH24:MI')"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_given_back_as_they_were_added() {
        let mut rows = ReportRows::of_width(2);
        for value in [Some("a"), None, Some(""), Some("bc")] {
            rows.push(value);
        }
        let all: Vec<_> = rows.iter().collect();
        assert_eq!((rows.len(), rows.bytes()), (2, 3));
        assert_eq!(all, [vec![Some("a"), None], vec![Some(""), Some("bc")]]);
        assert!(ReportRows::of_width(3).iter().next().is_none());
    }
}
