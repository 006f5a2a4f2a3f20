//! Queries of the read tables. Each is one statement under row-level security, which also returns the tables' position.
//!
//! The statement first sets the caller's identity for its own transaction while reading the position, and then reads
//! the rows. The part that reads the rows refers laterally to the settings, so PostgreSQL must make the settings first.

mod access_report;
mod contents;
mod cursor;
mod due;
mod emergencies;
mod few;
mod report;
mod slots;
mod statement;
mod statistics;
mod value;
mod wanted;
mod ways;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use hims_domain::permission::Read;
use hims_event_store::Position;
use sqlx::postgres::PgRow;
use sqlx::types::ipnetwork::IpNetwork;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

pub use crate::machinery::living::{QueryError, Shape};
use crate::machinery::runner::checkpoint;
use crate::{TABLES, Table};

pub use access_report::{AccessWanted, access_report};
pub use contents::{Contents, contents};
pub use cursor::Cursor;
pub use due::{articles_with_expired_lots, lots_expiring, patients_past_an_end, time_zones};
pub use emergencies::{Emergencies, emergencies};
pub use few::EVERY_PATIENT;
use few::Few;
pub use report::{Bounds, ReportError, ReportRows, ReportView};
pub use slots::{Moment, SlotsWanted, free_slots};
use statement::{SAID_AT, bind_identity, find_sql};
pub use statement::{Statement, finding, statement};
pub use statistics::{Statistics, statistics};
pub use value::{bound, value};
pub use wanted::{Comparison, Filter, Wanted};

/// The caller, as row-level security sees them.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The user.
    pub user_id: Option<Uuid>,
    /// The name of the primary role.
    pub role: Option<String>,
    /// The patient who the user is.
    pub patient_id: Option<Uuid>,
    /// The department in which the user works.
    pub department_id: Option<Uuid>,
    /// The permission words for what the user's roles may read, separated by commas.
    pub reads: String,
}

impl Identity {
    /// Whether the caller's roles have one of these permission words.
    pub fn reads_any(&self, words: &[Read]) -> bool {
        self.reads.split(',').any(|granted| words.iter().any(|word| granted == word.as_str()))
    }
}

/// The answer to a query for one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The row as JSON text and its version; `None` if no such row exists or the caller may not read the row.
    pub row: Option<(String, i32)>,
    /// The accesses in an emergency that the caller had.
    pub emergencies: Emergencies,
    /// The position of the read tables when the query ran.
    pub position: Position,
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The rows as JSON text.
    pub items: Vec<String>,
    /// The cursor of the next page; `None` on the last page.
    pub next: Option<String>,
    /// The accesses in an emergency that the caller had; `None` if the query does not tell.
    pub emergencies: Option<Emergencies>,
    /// The position of the read tables when the query ran.
    pub position: Position,
}

/// Returns the position, unless the position is negative, which marks tables that a rebuild replaced.
fn of_live_tables(position: Position) -> Result<Position, QueryError> {
    if position < 0 { Err(QueryError::Swapped) } else { Ok(position) }
}

/// For each table, the statement that reads the row with a key for a caller who reads every column.
static FIND: LazyLock<HashMap<&str, String>> = LazyLock::new(|| {
    let everything = Identity { reads: Read::AllData.to_string(), ..Identity::default() };
    TABLES.iter().map(|table| (table.name, find_sql(table, Shape::Declared, &everything))).collect()
});

/// Reads the row with a key.
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
    let reads_every_column = table.narrowed.iter().all(|group| who.reads_any(group.readers));
    let is_usual = shape == Shape::Declared && reads_every_column && Few::of_keys(table, who, "$6", 0).is_none();
    let query = match FIND.get(table.name).filter(|_| is_usual) {
        Some(sql) => sqlx::query(sql.as_str()),
        None => sqlx::query(sqlx::AssertSqlSafe(find_sql(table, shape, who))),
    };
    let row = bind_identity(query, who).bind(id.to_string()).fetch_one(db).await?;
    let json: Option<String> = row.try_get(0)?;
    let version: Option<i32> = row.try_get(1)?;
    let position = of_live_tables(row.try_get(2)?)?;
    Ok(Found { row: json.zip(version), emergencies: Emergencies::of(&row, 3)?, position })
}

/// Which of the given keys belong to rows of these tables, one table or more, that the caller may read. Living tables of
/// another release may lack some of the tables, whose rows are not seen until a rebuild makes them.
///
/// # Errors
/// When the database does not answer; when the living tables lack a table, and the others have none of the keys.
pub async fn visible(
    db: &mut PgConnection,
    tables: &[&Table],
    ids: &[Uuid],
    who: &Identity,
) -> Result<HashSet<Uuid>, QueryError> {
    let seen = visible_in(db, tables, ids, who).await;
    let Err(QueryError::Behind(_)) = &seen else { return seen };
    let left = there(db, tables).await?;
    if left.is_empty() || left.len() == tables.len() {
        return seen;
    }
    let elsewhere = visible_in(db, &left, ids, who).await?;
    if elsewhere.is_empty() { seen } else { Ok(elsewhere) }
}

/// Those of some tables that there are.
async fn there<'t>(db: &mut PgConnection, tables: &[&'t Table]) -> Result<Vec<&'t Table>, QueryError> {
    let names: Vec<_> = tables.iter().map(|it| it.name).collect();
    let there = "select name from unnest($1::text[]) as name where to_regclass(name) is not null";
    let there: HashSet<String> = sqlx::query_scalar(there).bind(names).fetch_all(db).await?.into_iter().collect();
    Ok(tables.iter().copied().filter(|it| there.contains(it.name)).collect())
}

/// As [`visible`], in tables that are all there.
async fn visible_in(
    db: &mut PgConnection,
    tables: &[&Table],
    ids: &[Uuid],
    who: &Identity,
) -> Result<HashSet<Uuid>, QueryError> {
    let few: Vec<_> = tables.iter().map(|table| Few::of_keys(table, who, "$6::uuid[]", 0)).collect();
    // Each table has patients of its own to begin with.
    let rows_of = |(table, few): (&&Table, &Option<Few>)| {
        let (listed, from, id) = match few {
            None => (String::new(), table.name.to_owned(), "id"),
            Some(few) => (format!("with {}", few.listed()), few.keys(table), Few::key(table)),
        };
        format!("({listed} select id from {from} where {id} = any($6) and who.said is not null offset 0)")
    };
    let rows = tables.iter().zip(&few).map(rows_of).collect::<Vec<_>>().join(" union all ");
    let said = few.iter().flatten().map(Few::said).find(|it| !it.is_empty()).unwrap_or_default();
    let sql = format!("select r.id, who.position from {SAID_AT} {said} left join lateral ({rows}) as r on true");
    let rows = bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), who).bind(ids).fetch_all(db).await?;
    let mut visible = HashSet::new();
    for row in rows {
        of_live_tables(row.try_get(1)?)?;
        visible.extend(row.try_get::<Option<Uuid>, _>(0)?);
    }
    Ok(visible)
}

/// Which of the given keys a caller may learn of: those that are [`visible`]; to a caller who reads all data also those of
/// rows that these tables do not have yet, but for what is about a patient whose record is closed to the caller.
///
/// # Errors
/// When the database does not answer, or there are no living tables.
pub async fn known(
    db: &mut PgConnection,
    tables: &[&Table],
    ids: &[Uuid],
    who: &Identity,
) -> Result<HashSet<Uuid>, QueryError> {
    if !who.reads_any(&[Read::AllData]) {
        return visible(db, tables, ids, who).await;
    }
    let closed = match closed_among(db, tables, ids, who).await {
        Err(QueryError::Behind(_)) => {
            let left = there(db, tables).await?;
            closed_among(db, &left, ids, who).await?
        }
        closed => closed?,
    };
    Ok(ids.iter().copied().filter(|it| !closed.contains(it)).collect())
}

/// Which of these rows of some tables are about a patient whose record is closed to the caller, whatever else the caller
/// reads.
///
/// # Errors
/// When the database does not answer, or the living tables lack a table.
pub async fn closed_among(
    db: &mut PgConnection,
    tables: &[&Table],
    ids: &[Uuid],
    who: &Identity,
) -> Result<HashSet<Uuid>, QueryError> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = format!(
        "select closed from {SAID_AT}
          cross join lateral (select hims_identity.closed_among($7::text[]::regclass[], $6) as closed
                               where who.said is not null offset 0) as it"
    );
    let query = bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), who);
    let names: Vec<_> = tables.iter().map(|it| it.name).collect();
    keys(&query.bind(ids).bind(names).fetch_all(db).await?)
}

/// Which of these patients forbade the caller to see their records.
///
/// # Errors
/// When the database does not answer.
pub async fn forbidden_among(
    db: &mut PgConnection,
    patients: &[Uuid],
    who: &Identity,
) -> Result<HashSet<Uuid>, QueryError> {
    if patients.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = format!(
        "select it.id from {SAID_AT}
          cross join lateral (select id from unnest($6::uuid[]) as id
                               where who.said is not null and hims_identity.is_forbidden(id) offset 0) as it"
    );
    keys(&bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), who).bind(patients).fetch_all(db).await?)
}

/// The keys in the first column of some rows.
fn keys(rows: &[PgRow]) -> Result<HashSet<Uuid>, QueryError> {
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Reads a page of rows.
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
    let statement = statement(table, shape, wanted, who);
    let query = sqlx::query(sqlx::AssertSqlSafe(statement.text().to_owned()));
    read_page(&statement.bind(query, who).fetch_all(db).await?, table, wanted)
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
        Some(last) => {
            let (of, value, id) = (wanted.digest(table), last.try_get(1)?, last.try_get(2)?);
            Some(Cursor { of, value, id, position }.encode())
        }
        None => None,
    };
    Ok(Page { items, next, emergencies: Some(Emergencies::of(first, 4)?), position })
}

/// The position of the read tables.
///
/// # Errors
/// When the database does not answer, or there are no read tables.
pub async fn position(db: &mut PgConnection) -> Result<Position, QueryError> {
    of_live_tables(checkpoint(db).await?)
}

/// The number of parked streams.
///
/// # Errors
/// When the database does not answer.
pub async fn parked(db: &mut PgConnection) -> Result<i64, QueryError> {
    Ok(sqlx::query_scalar("select count(*) from projection_failures").fetch_one(db).await?)
}

/// Whether a user has begun a session from a network since an instant.
///
/// # Errors
/// When the database does not answer.
pub async fn has_begun_session(
    db: &mut PgConnection,
    user_id: Uuid,
    network: IpNetwork,
    since: DateTime<Utc>,
) -> Result<bool, QueryError> {
    let user = Identity { user_id: Some(user_id), ..Identity::default() };
    let sql = format!(
        "select s.id is not null, who.position
           from {SAID_AT}
           left join lateral (
                select id from user_sessions
                 where user_id = $6 and ip_address <<= $7 and created_at >= $8 and who.said is not null
                 limit 1 offset 0) as s on true",
    );
    let query = bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), &user);
    let row = query.bind(user_id).bind(network).bind(since).fetch_one(db).await?;
    of_live_tables(row.try_get(1)?)?;
    Ok(row.try_get(0)?)
}

/// The positions, after a position, of events about a patient or by a user, found through the audit log's indexes. The
/// query runs with the server's own identity: whether the caller may see the events must be decided before.
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
                 where ($6::uuid is null or patient_id = $6 and action <> 'access.read') and ($7::uuid is null or user_id = $7)
                   and position > $8 and who.said is not null
                 order by position limit $9 offset 0) as a
          order by a.position",
    );
    let query = bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), &server);
    let rows = query.bind(patient_id).bind(user_id).bind(after).bind(limit).fetch_all(db).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
