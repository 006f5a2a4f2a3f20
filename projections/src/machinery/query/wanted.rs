use uuid::Uuid;

use super::cursor::Cursor;
use super::value::value;
use crate::machinery::event::derived_id;
use crate::{Column, Table};

/// What to look for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Columns and what they must be.
    pub filters: Vec<Filter>,
    /// A text to search for.
    pub search: Option<String>,
    /// The column to sort by; `id` unless given.
    pub sort: Option<&'static Column>,
    /// From the greatest down.
    pub descending: bool,
    /// At most so many.
    pub limit: usize,
    /// From a page before.
    pub cursor: Option<Cursor>,
}

/// A condition on a column.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The column.
    pub column: &'static Column,
    /// How the values compare.
    pub comparison: Comparison,
    /// The value, as text.
    pub value: String,
}

/// How a column compares with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Equal,
    /// The same or more.
    From,
    /// The same or less.
    To,
}

impl Comparison {
    /// The operator of SQL.
    pub(super) const fn operator(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::From => ">=",
            Self::To => "<=",
        }
    }
}

impl Wanted {
    /// Whether the cursor, if there is one, is of a page of the same: in another it would lead anywhere.
    pub fn goes_on(&self, table: &Table) -> bool {
        let Some(cursor) = &self.cursor else { return true };
        let is_value = match (&cursor.value, self.sort) {
            (Some(text), Some(column)) => value(column.kind, text).is_some(),
            _ => true,
        };
        cursor.of == self.digest(table) && is_value
    }

    /// What is asked for, but for where it begins and how much of it: the same for the same, and short.
    pub(super) fn digest(&self, table: &Table) -> Uuid {
        let mut asked: Vec<_> =
            self.filters.iter().map(|it| format!("{}{:?}{}", it.column.name, it.comparison, it.value)).collect();
        asked.sort_unstable();
        let sort = format!("{}{}", if self.descending { "-" } else { "" }, self.sort.map_or("id", |it| it.name));
        let search = format!("{:?}", self.search);
        derived_id(Uuid::nil(), &[table.name, &sort, &search, &asked.join("\u{1f}")])
    }
}
