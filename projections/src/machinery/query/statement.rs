//! The statements that read: text, and values for its places. The first five places of each say who asks.

use hims_domain::permission::Read;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use super::cursor::Cursor;
use super::{Identity, Wanted};
use crate::machinery::living::{Shape, absent};
use crate::{Column, Table};

/// The position of the tables, read while saying who asks. Its values are the first five of every statement.
pub(super) const SAID_AT: &str =
    "(select position, set_config('hims.user_id', $1, true) as said, set_config('hims.role', $2, true),
               set_config('hims.patient_id', $3, true), set_config('hims.department_id', $4, true),
               set_config('hims.reads', $5, true)
          from projection_checkpoint) as who";

/// How many values say who asks.
const OF_IDENTITY: usize = 5;

/// Binds the values that say who asks.
pub(super) fn bind_identity<'q>(
    query: Query<'q, Postgres, PgArguments>,
    who: &Identity,
) -> Query<'q, Postgres, PgArguments> {
    let text = |id: Option<Uuid>| id.map(|it| it.to_string()).unwrap_or_default();
    query
        .bind(text(who.user_id))
        .bind(who.role.clone().unwrap_or_default())
        .bind(text(who.patient_id))
        .bind(text(who.department_id))
        .bind(who.reads.clone())
}

/// The columns of a table that are answered, as a list in SQL.
pub(super) fn columns(table: &Table) -> String {
    table.visible().map(|it| format!("\"{}\"", it.name)).collect::<Vec<_>>().join(", ")
}

/// The text of the statement that reads the row with a key.
pub(super) fn find_sql(table: &Table, shape: Shape) -> String {
    format!(
        "select r.json, r.version, who.position
           from {SAID_AT} {}
           left join lateral (
                select row_to_json(t)::text as json, t.version
                  from (select {} from {} where id = $6 and who.said is not null) as t offset 0) as r on true",
        absent(table, shape),
        columns(table),
        table.name,
    )
}

/// A statement that reads a page, with the values for its places.
#[derive(Debug, Clone)]
pub struct Statement {
    text: String,
    values: Vec<String>,
}

impl Statement {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Binds who asks, and then the values that the text has places for.
    pub fn bind<'q>(
        &'q self,
        query: Query<'q, Postgres, PgArguments>,
        who: &Identity,
    ) -> Query<'q, Postgres, PgArguments> {
        self.values.iter().fold(bind_identity(query, who), Query::bind)
    }
}

/// The statement that reads a page, and one row more where there is one. Each of its rows is a row of the table as JSON,
/// the value of the sort column as text, the key, and the position; where the page is empty, nulls and the position.
pub fn statement(table: &Table, shape: Shape, wanted: &Wanted, who: &Identity) -> Statement {
    let mut places = Places::default();
    let mut conditions = vec!["who.said is not null".to_owned()];
    conditions.extend(own_records(table, who));
    for filter in &wanted.filters {
        let value = places.typed(filter.column, &filter.value);
        conditions.push(format!("\"{}\" {} {value}", filter.column.name, filter.comparison.operator()));
    }
    let order = Order::of(table, wanted);
    let (found, by_text) = searched(table, wanted, &mut places);
    let by_value = order.ranges(wanted.cursor.as_ref(), &mut places);
    let limit = format!("{}::text::bigint", places.place(&(wanted.limit + 1).to_string()));
    let mut parts = Vec::new();
    for (text, value) in by_text.iter().flat_map(|text| by_value.iter().map(move |value| (text, value))) {
        let conditions = [conditions.as_slice(), text, value].concat().join(" and ");
        let (columns, table, order) = (columns(table), table.name, order.sql(""));
        parts.push(format!("(select {columns} from {table} where {conditions} order by {order} limit {limit})"));
    }
    // The order of the parts together, of which one may be the whole.
    let order_of_all = order.sql(" nulls last");
    let text = format!(
        "select r.json, r.sort, r.id, who.position
           from {SAID_AT} {absent}
           left join lateral (
                {found}
                select row_to_json(t)::text as json, to_json(t.\"{sort}\") #>> '{{}}' as sort, t.id
                  from (select * from ({parts}) as parts order by {order_of_all} limit {limit}) as t
                offset 0) as r on true",
        absent = absent(table, shape),
        parts = parts.join(" union all "),
        sort = order.column.name,
    );
    Statement { text, values: places.0 }
}

/// The condition that says once more what row-level security will say, of a reader who sees nothing of a table but the
/// records of the patient who they are. Row-level security is asked row by row; this condition finds the rows.
fn own_records(table: &Table, who: &Identity) -> Option<String> {
    let mut words = table.readers.iter().filter(|word| who.reads.split(',').any(|it| it == word.as_str()));
    let (word, another) = (words.next(), words.next());
    if (word, another) != (Some(&Read::OwnRecords), None) {
        return None;
    }
    let patient = if table.name == "patients" { "id" } else { table.column("patient_id")?.name };
    Some(format!("\"{patient}\" = nullif($3, '')::uuid"))
}

/// The values of a statement after those that say who asks.
#[derive(Default)]
struct Places(Vec<String>);

impl Places {
    /// The place of a text.
    fn place(&mut self, value: &str) -> String {
        self.0.push(value.to_owned());
        format!("${}", self.0.len() + OF_IDENTITY)
    }

    /// The place of a value of a column.
    fn typed(&mut self, column: &Column, value: &str) -> String {
        format!("{}::text::{}", self.place(value), column.kind.sql())
    }
}

/// Conditions that are kept together. A page is put together from parts, of which each has other conditions, and the
/// parts from the same order: a part is a range of an index where the whole page is not.
type Conditions = Vec<String>;

/// The conditions of a text search, and what has to be looked up before them.
///
/// Row-level security asks its own conditions before any that could tell of a row what it looks at, as those of a text
/// search could: their index would be of no use. So a function finds the keys first. Where a text finds many, their keys
/// are not waited for, since a page of them is soon found in whatever order. Only one of the two parts is carried out.
fn searched(table: &Table, wanted: &Wanted, places: &mut Places) -> (String, Vec<Conditions>) {
    /// More keys than these are many.
    const FEW: usize = 1_000;
    let (Some(search), Some(text)) = (table.search, &wanted.search) else { return (String::new(), vec![vec![]]) };
    let text = format!("{}::text", places.place(text));
    let search = search.replace("{q}", &text);
    let Some(finder) = table.finder else { return (String::new(), vec![vec![search]]) };
    let found = format!(
        "with found as materialized (select coalesce(array_agg(id), '{{}}') as ids, count(*) <= {FEW} as are_few
                                       from (select {finder}({text}) as id limit {FEW} + 1) as f)",
    );
    let are_few = "(select are_few from found)";
    let few = vec![are_few.to_owned(), "id = any((select ids from found)::uuid[])".to_owned()];
    (found, vec![few, vec![format!("not {are_few}"), search]])
}

/// The order of a page: by a column, rows of equal values by their keys.
struct Order<'a> {
    column: &'a Column,
    descending: bool,
}

impl<'a> Order<'a> {
    fn of(table: &'a Table, wanted: &Wanted) -> Self {
        Self { column: wanted.sort.unwrap_or(&table.columns[0]), descending: wanted.descending }
    }

    /// As SQL, with something to be said of nulls, or nothing: an index of the column is read from one of its ends to
    /// the other only where the order has nulls at the end where the index has them.
    fn sql(&self, nulls: &str) -> String {
        let (name, direction) = (self.column.name, if self.descending { "desc" } else { "asc" });
        match (name, self.column.nullable) {
            ("id", _) => format!("id {direction}"),
            (_, true) => format!("\"{name}\" {direction}{nulls}, id {direction}"),
            (_, false) => format!("\"{name}\" {direction}, id {direction}"),
        }
    }

    /// The conditions of each range of the order that follows a cursor. Rows with no value in the column come last,
    /// whatever the direction, and are a range of their own.
    fn ranges(&self, cursor: Option<&Cursor>, places: &mut Places) -> Vec<Conditions> {
        let name = self.column.name;
        let after = cursor.map(|it| self.after(it, places));
        let null = format!("\"{name}\" is null");
        match (cursor, self.column.nullable) {
            (None, false) => vec![vec![]],
            (Some(Cursor { value: Some(_), .. }), false) => vec![after.into_iter().collect()],
            (None, true) => vec![vec![format!("\"{name}\" is not null")], vec![null]],
            (Some(Cursor { value: Some(_), .. }), true) => vec![after.into_iter().collect(), vec![null]],
            (Some(Cursor { value: None, .. }), _) => vec![after.into_iter().chain([null]).collect()],
        }
    }

    /// The condition that a row comes after the row of a cursor, in the same range.
    fn after(&self, cursor: &Cursor, places: &mut Places) -> String {
        let operator = if self.descending { "<" } else { ">" };
        let id = format!("{}::text::uuid", places.place(&cursor.id.to_string()));
        match &cursor.value {
            Some(value) if self.column.name != "id" => {
                let value = places.typed(self.column, value);
                format!("(\"{}\", id) {operator} ({value}, {id})", self.column.name)
            }
            _ => format!("id {operator} {id}"),
        }
    }
}
