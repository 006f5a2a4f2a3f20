use uuid::Uuid;

use super::cursor::Cursor;
use super::value::value;
use crate::machinery::event::derived_id;
use crate::{Column, Table};

/// A query for a page of rows.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The conditions on columns, all of which a row must meet.
    pub filters: Vec<Filter>,
    /// A text to search for.
    pub search: Option<String>,
    /// The column to sort by; `id` unless given.
    pub sort: Option<&'static Column>,
    /// Whether the greatest value comes first.
    pub descending: bool,
    /// The greatest number of rows in the page.
    pub limit: usize,
    /// The cursor that came with the page before; `None` for the first page.
    pub cursor: Option<Cursor>,
}

/// A condition on a column.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The column.
    pub column: &'static Column,
    /// How the column compares with the value.
    pub comparison: Comparison,
    /// The value, as text.
    pub value: String,
}

/// How a column compares with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The column is equal to the value.
    Equal,
    /// The column is equal to the value or greater.
    From,
    /// The column is equal to the value or less.
    To,
}

impl Comparison {
    /// The operator in SQL.
    pub(super) const fn operator(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::From => ">=",
            Self::To => "<=",
        }
    }
}

impl Wanted {
    /// Whether the cursor, if there is one, comes from a page of the same query. In another query, the cursor would
    /// lead to an arbitrary row.
    pub fn goes_on(&self, table: &Table) -> bool {
        let Some(cursor) = &self.cursor else { return true };
        let is_value = match (&cursor.value, self.sort) {
            (Some(text), Some(column)) => value(column.kind, text).is_some(),
            _ => true,
        };
        cursor.of == self.digest(table) && is_value
    }

    /// A short digest of the query without its cursor and limit, which is the same for the same query.
    pub(super) fn digest(&self, table: &Table) -> Uuid {
        let mut asked: Vec<_> =
            self.filters.iter().map(|it| format!("{}{:?}{}", it.column.name, it.comparison, it.value)).collect();
        asked.sort_unstable();
        let sort = format!("{}{}", if self.descending { "-" } else { "" }, self.sort.map_or("id", |it| it.name));
        let search = format!("{:?}", self.search);
        derived_id(Uuid::nil(), &[table.name, &sort, &search, &asked.join("\u{1f}")])
    }
}
