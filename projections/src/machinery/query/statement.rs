//! The SQL of queries and the values of its parameters. The first five parameters always hold the caller's identity.

use hims_domain::permission::Read;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use super::cursor::Cursor;
use super::few::Few;
use super::ways::{Conditions, Places, Way, Ways};
use super::{Comparison, Filter, Identity, Wanted};
use crate::machinery::living::{Shape, absent};
use crate::{Column, Table};

/// A subquery that sets the caller's identity and reads the position of the tables. The identity is in the first five
/// parameters of every statement.
pub(super) const SAID_AT: &str =
    "(select position, set_config('hims.user_id', $1, true) as said, set_config('hims.role', $2, true),
               set_config('hims.patient_id', $3, true), set_config('hims.department_id', $4, true),
               set_config('hims.reads', $5, true)
          from projection_checkpoint) as who";

/// A subquery, after [`SAID_AT`], with the caller's accesses in an emergency, by which the rows may be shown.
pub(super) const UNDER: &str = "cross join lateral
               (select hims_identity.emergencies() as emergencies where who.said is not null offset 0) as under";

/// The same for the rows of a table. No row of a catalogue is shown by such an access.
fn under(table: &Table) -> &'static str {
    if table.is_catalogue { "cross join (select null::json as emergencies) as under" } else { UNDER }
}

/// The ids of the records of the patient who the caller is, as an array in SQL.
pub(super) const OWN_RECORDS: &str = "array(select patient_id from own_patients)";

/// Binds the caller's identity to the first five parameters.
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

/// The visible columns of a table, as a list in SQL. A narrowed column that the caller reads only of the row about
/// themselves is null in other rows.
fn columns(table: &Table, who: &Identity) -> String {
    let column = |column: &Column| {
        let name = column.name;
        match table.narrowed(name) {
            Some(narrowed) if !who.reads_any(narrowed.readers) => {
                format!(
                    "case when id = nullif($1, '')::uuid or id = any ({OWN_RECORDS}) then \"{name}\" end as \"{name}\""
                )
            }
            _ => format!("\"{name}\""),
        }
    };
    table.visible().map(column).collect::<Vec<_>>().join(", ")
}

/// The text of the statement that reads the row with a key, which is the parameter after the caller's identity.
pub(super) fn find_sql(table: &Table, shape: Shape, who: &Identity) -> String {
    let few = Few::of_keys(table, who, "array[$6::text::uuid]", 0);
    let (said, listed, from) = match &few {
        None => ("", String::new(), table.name.to_owned()),
        Some(few) => (few.said(), format!("with {}", few.listed()), few.rows(table)),
    };
    let key = if few.is_none() { "id" } else { Few::key(table) };
    format!(
        "select r.json, r.version, who.position, under.emergencies
           from {SAID_AT} {} {said} {}
           left join lateral (
                {listed}
                select row_to_json(t)::text as json, t.version
                  from (select {} from {from} where {key} = $6::text::uuid and who.said is not null) as t
                offset 0) as r on true",
        under(table),
        absent(table, shape),
        columns(table, who),
    )
}

/// A statement that reads rows, with the values of its parameters.
#[derive(Debug, Clone)]
pub struct Statement {
    text: String,
    values: Vec<String>,
}

impl Statement {
    /// The SQL text of the statement.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Binds the caller's identity, and then the values of the remaining parameters.
    pub fn bind<'q>(
        &'q self,
        query: Query<'q, Postgres, PgArguments>,
        who: &Identity,
    ) -> Query<'q, Postgres, PgArguments> {
        self.values.iter().fold(bind_identity(query, who), Query::bind)
    }
}

/// The statement that reads the row with a key.
pub fn finding(table: &Table, shape: Shape, id: Uuid, who: &Identity) -> Statement {
    Statement { text: find_sql(table, shape, who), values: vec![id.to_string()] }
}

/// The statement that reads a page, and one more row if another page follows. Each result row holds a row of the table
/// as JSON, the value of the sort column as text, the key, the position of the tables, and the caller's accesses in an
/// emergency. An empty page gives one result row with nulls and the position.
pub fn statement(table: &Table, shape: Shape, wanted: &Wanted, who: &Identity) -> Statement {
    let mut places = Places::default();
    let values: Vec<_> = wanted.filters.iter().map(|it| places.typed(it.column, &it.value)).collect();
    let Ways { with, said, all: ways } = Ways::to(table, wanted, who, &mut places);
    let order = Order::of(table, wanted);
    let by_value = order.ranges(wanted.cursor.as_ref(), &mut places);
    let limit = format!("{}::text::bigint", places.place(&(wanted.limit + 1).to_string()));
    let mut parts = Vec::new();
    for way in &ways {
        let from = &way.from;
        let mut conditions = vec!["who.said is not null".to_owned(), way.is_taken.to_owned()];
        conditions.extend(of_own_records(table, who));
        let mut sources = vec![Source { records: None, conditions: Vec::new() }];
        for (filter, value) in wanted.filters.iter().zip(&values) {
            match Source::of_person(table, filter, value, way) {
                Some(of_person) => sources = of_person.to_vec(),
                None => conditions.push(format!("\"{}\" {} {value}", filter.column.name, filter.comparison.operator())),
            }
        }
        for (value, source) in by_value.iter().flat_map(|value| sources.iter().map(move |source| (value, source))) {
            let conditions = [conditions.as_slice(), &source.conditions, &way.conditions, value].concat().join(" and ");
            let (columns, order) = (columns(table, who), order.sql(""));
            let part = format!("(select {columns} from {from} where {conditions} order by {order} limit {limit})");
            parts.push(match &source.records {
                Some(records) => {
                    format!("(select part.* from ({records}) as record cross join lateral {part} as part)")
                }
                None => part,
            });
        }
    }
    // The order of all parts together. Nulls come last in both directions.
    let order_of_all = order.sql(" nulls last");
    let text = format!(
        "select r.json, r.sort, r.id, who.position, under.emergencies
           from {SAID_AT} {under} {said} {absent}
           left join lateral (
                {with}
                select row_to_json(t)::text as json, to_json(t.\"{sort}\") #>> '{{}}' as sort, t.id
                  from (select * from ({parts}) as parts order by {order_of_all} limit {limit}) as t
                offset 0) as r on true",
        under = under(table),
        absent = absent(table, shape),
        parts = parts.join(" union all "),
        sort = order.column.name,
    );
    Statement { text, values: places.0 }
}

/// For a caller who may read only the records about themselves, repeats row-level security's condition on the patient.
/// Row-level security is checked row by row; the repeated condition lets PostgreSQL find the rows through an index.
fn of_own_records(table: &Table, who: &Identity) -> Option<String> {
    let patient = if table.name == "patients" { "id" } else { table.column("patient_id")?.name };
    (only_word(table, who) == Some(Read::OwnRecords)).then(|| format!("\"{patient}\" = any ({OWN_RECORDS})"))
}

/// The word by which the caller may read the table, if it is the only one.
pub(super) fn only_word(table: &Table, who: &Identity) -> Option<Read> {
    let mut words = table.readers.iter().filter(|word| who.reads_any(&[**word]));
    words.next().filter(|_| words.next().is_none()).copied()
}

/// Where the rows of a part of a page come from. Rows about one person are read record by record, since a person may
/// have several records, and PostgreSQL can read the rows of each record as a range of an index.
#[derive(Clone)]
struct Source {
    /// A query for the records, each as `record.id`; `None` if the conditions name one record.
    records: Option<String>,
    conditions: Conditions,
}

impl Source {
    /// The rows that a filter by a patient or by a medical record number asks for; `None` for any other filter. The
    /// rows about a patient are those of the record, and those of the records that were merged into it. The number of
    /// a merged record finds the record that survives.
    fn of_person(table: &Table, filter: &Filter, value: &str, way: &Way) -> Option<[Self; 2]> {
        if filter.comparison != Comparison::Equal {
            return None;
        }
        match (table.name, filter.column.name) {
            (_, "patient_id") => Some([
                Self { records: None, conditions: vec![format!("patient_id = {value}")] },
                Self {
                    records: Some(format!("select duplicate_id as id from patient_links where patient_id = {value}")),
                    conditions: vec!["patient_id = record.id".to_owned()],
                },
            ]),
            ("patients", "mrn") => Some([
                Self {
                    records: None,
                    conditions: vec![
                        format!("mrn = {value}"),
                        "not exists (select from patient_links as link where link.duplicate_id = patients.id)"
                            .to_owned(),
                    ],
                },
                Self {
                    records: Some(format!(
                        "select link.patient_id as id from patient_links as link
                           join (select id from {} where mrn = {value} and {}) as duplicate
                             on duplicate.id = link.duplicate_id",
                        way.from, way.is_taken
                    )),
                    conditions: vec!["id = record.id".to_owned()],
                },
            ]),
            _ => None,
        }
    }
}

/// The order of a page: by a column, and by key among rows with equal values.
struct Order<'a> {
    column: &'a Column,
    descending: bool,
}

impl<'a> Order<'a> {
    fn of(table: &'a Table, wanted: &Wanted) -> Self {
        Self { column: wanted.sort.unwrap_or(&table.columns[0]), descending: wanted.descending }
    }

    /// The `order by` list in SQL. The text `nulls` follows a nullable column, and says where nulls come; without that
    /// text, nulls come where an index has them, so that PostgreSQL can read the rows in the order of the index.
    fn sql(&self, nulls: &str) -> String {
        let (name, direction) = (self.column.name, if self.descending { "desc" } else { "asc" });
        match (name, self.column.nullable) {
            ("id", _) => format!("id {direction}"),
            (_, true) => format!("\"{name}\" {direction}{nulls}, id {direction}"),
            (_, false) => format!("\"{name}\" {direction}, id {direction}"),
        }
    }

    /// The conditions of each range of the order that follows a cursor. Rows with a null in the column come last in
    /// both directions, and are a range of their own.
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

    /// The condition that a row comes after the cursor's row, within the same range.
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
