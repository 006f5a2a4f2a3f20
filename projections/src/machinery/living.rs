//! Reading tables that live, whichever release made them.

use thiserror::Error;

use crate::Table;

/// What is known of the tables that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// They are as they are declared.
    Declared,
    /// They may be of another release: a column that they do not have is read as null.
    Other,
}

/// What a statement finds columns in that the table itself does not have. A name means the table's own column wherever
/// there is one, since that is nearer.
pub(crate) fn absent(table: &Table, shape: Shape) -> String {
    if shape == Shape::Declared {
        return String::new();
    }
    let nulls: Vec<_> = table.visible().map(|it| format!("null::{} as \"{}\"", it.kind.sql(), it.name)).collect();
    format!("cross join (select {}) as absent", nulls.join(", "))
}

/// Why nothing was read.
#[derive(Debug, Error)]
pub enum QueryError {
    /// A value is not of its column's type.
    #[error("a value is not of the column's type")]
    Value,
    /// The tables were swapped for newer ones in the same moment; read again.
    #[error("the tables were swapped; read again")]
    Swapped,
    /// What is asked for is not there until the tables of this release have taken the place of those that live.
    #[error("the living tables do not have it: {0}")]
    Behind(sqlx::Error),
    /// The database did not answer.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for QueryError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            // Class 22: a text that could not be read as the column's type.
            sqlx::Error::Database(refusal) if refusal.code().is_some_and(|it| it.starts_with("22")) => Self::Value,
            // No such table or column, or none that may be read.
            sqlx::Error::Database(refusal)
                if refusal.code().is_some_and(|it| ["42P01", "42703", "42501"].contains(&&*it)) =>
            {
                Self::Behind(error)
            }
            // Every statement answers a row, if only that of the checkpoint.
            sqlx::Error::RowNotFound => Self::Behind(error),
            _ => Self::Database(error),
        }
    }
}
