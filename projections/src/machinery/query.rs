//! Reading the tables: one statement, under row-level security, with the position that it saw.
//!
//! The statement first says who asks, for itself only, while it reads the position, and then reads the rows. That refers
//! to what was said laterally, so PostgreSQL cannot do it in another order.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, NaiveDate, NaiveTime};
use hims_domain::Described;
use hims_domain::permission::Read;
use hims_event_store::Position;
use serde_json::json;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};
use uuid::Uuid;

use crate::machinery::event::derived_id;
use crate::machinery::living::absent;
pub use crate::machinery::living::{QueryError, Shape};
use crate::machinery::runner::checkpoint;
use crate::{Column, Kind, TABLES, Table};

/// Who asks, as row-level security sees it.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The user.
    pub user_id: Option<Uuid>,
    /// The name of the primary role.
    pub role: Option<String>,
    /// The patient who the user is.
    pub patient_id: Option<Uuid>,
    /// Where the user works.
    pub department_id: Option<Uuid>,
    /// What the user's roles may read, separated by commas.
    pub reads: String,
}

/// A row as JSON text, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The row; `None` when there is none, or none for this reader.
    pub row: Option<(String, i32)>,
    /// How far the tables were.
    pub position: Position,
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Rows as JSON text.
    pub items: Vec<String>,
    /// Where the next page begins; `None` when there is none.
    pub next: Option<String>,
    /// How far the tables were.
    pub position: Position,
}

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
    fn digest(&self, table: &Table) -> Uuid {
        let mut asked: Vec<_> =
            self.filters.iter().map(|it| format!("{}{:?}{}", it.column.name, it.comparison, it.value)).collect();
        asked.sort_unstable();
        let sort = format!("{}{}", if self.descending { "-" } else { "" }, self.sort.map_or("id", |it| it.name));
        let search = format!("{:?}", self.search);
        derived_id(Uuid::nil(), &[table.name, &sort, &search, &asked.join("\u{1f}")])
    }
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

/// Where a page begins: after the row with this key and this value of the sort column.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// What its page was asked for.
    of: Uuid,
    value: Option<String>,
    id: Uuid,
}

impl Cursor {
    /// Reads a cursor that a page before came with.
    pub fn parse(text: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (of, value, id): (Uuid, Option<String>, Uuid) = serde_json::from_slice(&json).ok()?;
        Some(Self { of, value, id })
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(json!([self.of, self.value, self.id]).to_string())
    }
}

/// The position of the tables, read while saying who asks. Its values are the first five of every statement.
const SAID_AT: &str =
    "(select position, set_config('hims.user_id', $1, true) as said, set_config('hims.role', $2, true),
               set_config('hims.patient_id', $3, true), set_config('hims.department_id', $4, true),
               set_config('hims.reads', $5, true)
          from projection_checkpoint) as who";

fn bind_identity<'q>(query: Query<'q, Postgres, PgArguments>, who: &Identity) -> Query<'q, Postgres, PgArguments> {
    let text = |id: Option<Uuid>| id.map(|it| it.to_string()).unwrap_or_default();
    query
        .bind(text(who.user_id))
        .bind(who.role.clone().unwrap_or_default())
        .bind(text(who.patient_id))
        .bind(text(who.department_id))
        .bind(who.reads.clone())
}

/// The position, unless it is the mark of tables that were swapped away.
fn of_live_tables(position: Position) -> Result<Position, QueryError> {
    if position < 0 { Err(QueryError::Swapped) } else { Ok(position) }
}

fn columns(table: &Table) -> String {
    table.visible().map(|it| format!("\"{}\"", it.name)).collect::<Vec<_>>().join(", ")
}

/// The statement that reads the row with a key, of each table.
static FIND: LazyLock<HashMap<&str, String>> =
    LazyLock::new(|| TABLES.iter().map(|it| (it.name, find_sql(it, Shape::Declared))).collect());

fn find_sql(table: &Table, shape: Shape) -> String {
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

/// The row with a key.
///
/// # Errors
/// When the database does not answer.
pub async fn find(
    db: &mut PgConnection,
    table: &Table,
    shape: Shape,
    id: Uuid,
    who: &Identity,
) -> Result<Found, QueryError> {
    let query = match shape {
        Shape::Declared => sqlx::query(FIND[table.name].as_str()),
        Shape::Other => sqlx::query(sqlx::AssertSqlSafe(find_sql(table, shape))),
    };
    let row = bind_identity(query, who).bind(id).fetch_one(db).await?;
    let json: Option<String> = row.try_get(0)?;
    let version: Option<i32> = row.try_get(1)?;
    Ok(Found { row: json.zip(version), position: of_live_tables(row.try_get(2)?)? })
}

/// Which of the rows with these keys a caller may read.
///
/// # Errors
/// When the database does not answer.
pub async fn visible(
    db: &mut PgConnection,
    table: &Table,
    ids: &[Uuid],
    who: &Identity,
) -> Result<HashSet<Uuid>, QueryError> {
    let sql = format!(
        "select r.id, who.position
           from {SAID_AT}
           left join lateral (
                select id from {} where id = any($6) and who.said is not null offset 0) as r on true",
        table.name,
    );
    let rows = bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), who).bind(ids).fetch_all(db).await?;
    let mut visible = HashSet::new();
    for row in rows {
        of_live_tables(row.try_get(1)?)?;
        visible.extend(row.try_get::<Option<Uuid>, _>(0)?);
    }
    Ok(visible)
}

/// A page of rows.
///
/// # Errors
/// When a value is not of its column's type, or the database does not answer.
pub async fn page(
    db: &mut PgConnection,
    table: &Table,
    shape: Shape,
    wanted: &Wanted,
    who: &Identity,
) -> Result<Page, QueryError> {
    let id_column = &table.columns[0];
    let sort = wanted.sort.unwrap_or(id_column);
    let mut conditions = vec!["who.said is not null".to_owned()];
    let mut values: Vec<Option<String>> = Vec::new();
    let mut place = |value: Option<String>| {
        values.push(value);
        format!("${}", values.len() + 5)
    };
    for filter in &wanted.filters {
        let operator = match filter.comparison {
            Comparison::Equal => "=",
            Comparison::From => ">=",
            Comparison::To => "<=",
        };
        let value = place(Some(filter.value.clone()));
        conditions.push(format!("\"{}\" {operator} {value}::text::{}", filter.column.name, filter.column.kind.sql()));
    }
    if let (Some(search), Some(text)) = (table.search, &wanted.search) {
        let value = place(Some(text.clone()));
        conditions.push(search.replace("{q}", &format!("{value}::text")));
    }
    if let Some(cursor) = &wanted.cursor {
        conditions.push(after(sort, wanted.descending, cursor, &mut place));
    }
    let direction = if wanted.descending { "desc" } else { "asc" };
    let limit = place(Some((wanted.limit + 1).to_string()));
    let sql = format!(
        "select r.json, r.sort, r.id, who.position
           from {SAID_AT} {absent}
           left join lateral (
                select row_to_json(t)::text as json, to_json(t.\"{sort}\") #>> '{{}}' as sort, t.id
                  from (select {columns} from {table} where {conditions}
                         order by \"{sort}\" {direction} nulls last, id {direction} limit {limit}::text::bigint) as t
                offset 0) as r on true",
        absent = absent(table, shape),
        sort = sort.name,
        columns = columns(table),
        table = table.name,
        conditions = conditions.join(" and "),
    );
    let query = bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), who);
    let rows = values.into_iter().fold(query, Query::bind).fetch_all(db).await?;
    read_page(&rows, table, wanted)
}

/// The condition that a row comes after a cursor. Nulls come last, whatever the direction.
fn after(sort: &Column, descending: bool, cursor: &Cursor, place: &mut dyn FnMut(Option<String>) -> String) -> String {
    let operator = if descending { "<" } else { ">" };
    let id = format!("{}::text::uuid", place(Some(cursor.id.to_string())));
    if sort.name == "id" {
        return format!("id {operator} {id}");
    }
    let name = sort.name;
    match &cursor.value {
        None => format!("(\"{name}\" is null and id {operator} {id})"),
        Some(value) => {
            let value = format!("{}::text::{}", place(Some(value.clone())), sort.kind.sql());
            let nulls = if sort.nullable { format!(" or \"{name}\" is null") } else { String::new() };
            format!("((\"{name}\", id) {operator} ({value}, {id}){nulls})")
        }
    }
}

fn read_page(rows: &[PgRow], table: &Table, wanted: &Wanted) -> Result<Page, QueryError> {
    let limit = wanted.limit;
    let Some(first) = rows.first() else { return Err(sqlx::Error::RowNotFound.into()) };
    let position = of_live_tables(first.try_get(3)?)?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows.iter().take(limit) {
        items.extend(row.try_get::<Option<String>, _>(0)?);
    }
    let next = match rows.get(limit).and_then(|_| rows.get(limit - 1)) {
        Some(last) => Some(Cursor { of: wanted.digest(table), value: last.try_get(1)?, id: last.try_get(2)? }.encode()),
        None => None,
    };
    Ok(Page { items, next, position })
}

/// A text as what a column is compared with. Up to a day is up to its end.
pub fn bound(kind: Kind, comparison: Comparison, text: &str) -> Option<String> {
    match (kind, comparison, text.parse::<NaiveDate>()) {
        (Kind::Timestamp, Comparison::To, Ok(_)) => value(kind, &format!("{text}T23:59:59.999999Z")),
        _ => value(kind, text),
    }
}

/// A text as the value of a column, as PostgreSQL writes it: what it cannot read, it would note in its log.
pub fn value(kind: Kind, text: &str) -> Option<String> {
    let date = |text: &str| text.parse::<NaiveDate>().ok().filter(Described::is_valid);
    Some(match kind {
        Kind::Uuid => Uuid::try_parse(text).ok()?.to_string(),
        Kind::Boolean => text.parse::<bool>().ok()?.to_string(),
        Kind::Integer => text.parse::<i32>().ok()?.to_string(),
        Kind::Long => text.parse::<i64>().ok()?.to_string(),
        Kind::Timestamp => match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Some(time.to_utc()).filter(|it| it.date_naive().is_valid())?.to_rfc3339(),
            Err(_) => date(text)?.to_string(),
        },
        Kind::Date => date(text)?.to_string(),
        Kind::Time => text.parse::<NaiveTime>().ok()?.to_string(),
        Kind::Decimal => text.parse::<rust_decimal::Decimal>().ok()?.to_string(),
        Kind::Address => text.parse::<std::net::IpAddr>().ok()?.to_string(),
        Kind::Text => Some(text).filter(|it| !it.contains('\0'))?.to_owned(),
        Kind::Json | Kind::Bytes => return None,
    })
}

/// How far the tables are.
///
/// # Errors
/// When the database does not answer, or there are no tables.
pub async fn position(db: &mut PgConnection) -> Result<Position, QueryError> {
    of_live_tables(checkpoint(db).await?)
}

/// How many streams are parked.
///
/// # Errors
/// When the database does not answer.
pub async fn parked(db: &mut PgConnection) -> Result<i64, QueryError> {
    Ok(sqlx::query_scalar("select count(*) from projection_failures").fetch_one(db).await?)
}

/// Positions of events of a patient or an actor after a position, from the audit log's indexes. The server asks on its
/// own behalf: whether the caller may know was decided before.
///
/// # Errors
/// When the database does not answer.
pub async fn audited_positions(
    db: &mut PgConnection,
    patient_id: Option<Uuid>,
    user_id: Option<Uuid>,
    after: Position,
    limit: i64,
) -> Result<Vec<Position>, QueryError> {
    let server = Identity { reads: Read::AuditLogs.to_string(), ..Identity::default() };
    let sql = format!(
        "select a.position
           from {SAID_AT}
          cross join lateral (
                select position from audit_logs
                 where ($6::uuid is null or patient_id = $6) and ($7::uuid is null or user_id = $7)
                   and position > $8 and who.said is not null
                 order by position limit $9 offset 0) as a
          order by a.position",
    );
    let query = bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), &server);
    let rows = query.bind(patient_id).bind(user_id).bind(after).bind(limit).fetch_all(db).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
