//! Reading the living tables, whichever release made them.

use thiserror::Error;

use crate::Table;

/// Whether the living tables are known to have the declared columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The tables have all columns that this program declares.
    Declared,
    /// The tables may be of another release. A declared column that is missing is read as null.
    Other,
}

/// A join that provides a null for each declared column. The subquery that reads the table uses the table's own column
/// where it exists, since inner names take precedence, and the null where the column is missing.
pub(crate) fn absent(table: &Table, shape: Shape) -> String {
    if shape == Shape::Declared {
        return String::new();
    }
    let nulls: Vec<_> = table.visible().map(|it| format!("null::{} as \"{}\"", it.kind.sql(), it.name)).collect();
    format!("cross join (select {}) as absent", nulls.join(", "))
}

/// Why a query failed.
#[derive(Debug, Error)]
pub enum QueryError {
    /// A value in the query is not of its column's type.
    #[error("a value in the query is not of its column's type; correct the value")]
    Value,
    /// The tables were swapped for new ones during the query.
    #[error("the read tables were swapped during the query; read again")]
    Swapped,
    /// The living tables are of another release and lack a table or column of the query, until a rebuild replaces them.
    #[error("the living read tables lack a table or column of the query; read again after the rebuild: {0}")]
    Behind(sqlx::Error),
    /// The database refused the query or did not answer.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for QueryError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            // SQLSTATE class 22: PostgreSQL could not read a text as the column's type.
            sqlx::Error::Database(refusal) if refusal.code().is_some_and(|it| it.starts_with("22")) => Self::Value,
            // The table or column does not exist, or the reader role has no right to it.
            sqlx::Error::Database(refusal)
                if refusal.code().is_some_and(|it| ["42P01", "42703", "42501"].contains(&&*it)) =>
            {
                Self::Behind(error)
            }
            // Every statement returns a row with the checkpoint's position, unless there is no checkpoint.
            sqlx::Error::RowNotFound => Self::Behind(error),
            _ => Self::Database(error),
        }
    }
}
