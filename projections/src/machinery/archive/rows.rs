//! Moves rows between a table and its archive.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::rules::archive_of;
use super::units::{Key, by_table};
use super::{ArchiveError, tables};
use crate::TABLES;

/// How many rows of a table were moved, and what was in them before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// The number of rows.
    pub rows: i64,
    /// The sum of the hashes of the rows, before they were moved.
    pub before: i128,
    /// The sum of the hashes of the rows, after they were moved.
    pub after: i128,
}

impl Moved {
    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.before += other.before;
        self.after += other.after;
    }
}

/// What was moved, by table.
pub type MovedTables = BTreeMap<&'static str, Moved>;

/// In which direction rows are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    IntoArchive,
    IntoTable,
}

impl Direction {
    /// From where to where rows of a table are moved.
    pub(super) fn route(self, table: &str) -> (String, String) {
        match self {
            Self::IntoArchive => (table.to_owned(), archive_of(table)),
            Self::IntoTable => (archive_of(table), table.to_owned()),
        }
    }
}

/// The columns of a table that are stored and not computed.
fn columns(table: &str) -> String {
    let columns = TABLES.iter().filter(|it| it.name == table).flat_map(|it| it.columns);
    columns.map(|it| format!("\"{}\"", it.name)).collect::<Vec<_>>().join(", ")
}

/// Moves rows of a table. A row that the target has already is only taken away from the source.
async fn shift(db: &mut PgConnection, table: &str, direction: Direction, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    let ((from, to), columns) = (direction.route(table), columns(table));
    let sql = format!(
        "with gone as (delete from only {from} where id = any($1) returning {columns})
         insert into {to} ({columns}) select {columns} from gone on conflict (id) do nothing"
    );
    sqlx::query(AssertSqlSafe(sql)).bind(ids).execute(db).await.map(drop)
}

/// The number of rows that a condition on `$1` finds in a table, and the sum of their hashes.
pub(super) async fn sum(
    db: &mut PgConnection,
    from: &str,
    condition: &str,
    ids: &[Uuid],
) -> Result<(i64, i128), ArchiveError> {
    let sql = format!(
        "select count(*), coalesce(sum(hashtextextended(it::text, 0)), 0)::text from {from} it
          where $1::uuid[] is not null and {condition}"
    );
    let (rows, sum): (i64, String) = sqlx::query_as(AssertSqlSafe(sql)).bind(ids).fetch_one(db).await?;
    let sum = sum.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok((rows, sum))
}

/// Moves rows, and compares what was moved with what arrived.
pub(super) async fn transfer<'k>(
    db: &mut PgConnection,
    keys: impl IntoIterator<Item = &'k Key>,
    direction: Direction,
    moved: &mut MovedTables,
) -> Result<(), ArchiveError> {
    for (table, ids) in by_table(keys) {
        let (from, to) = direction.route(table);
        let (rows, before) = sum(db, &format!("only {from}"), "id = any($1)", &ids).await?;
        shift(db, table, direction, &ids).await?;
        let (arrived, after) = sum(db, &format!("only {to}"), "id = any($1)", &ids).await?;
        if (rows, before) != (arrived, after) || usize::try_from(rows) != Ok(ids.len()) {
            return Err(ArchiveError::Differs(table));
        }
        moved.entry(table).or_default().add(Moved { rows, before, after });
    }
    Ok(())
}

/// Notes which rows are in the archive.
pub(super) async fn note(db: &mut PgConnection, units: &BTreeMap<Key, Vec<Key>>) -> Result<(), sqlx::Error> {
    let rows = units.iter().flat_map(|(name, rows)| rows.iter().map(move |(table, id)| (*id, *table, name.1)));
    let (mut ids, mut tables, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (id, table, name) in rows {
        ids.push(id);
        tables.push(table);
        names.push(name);
    }
    let sql = "insert into projection_archive (id, relation, unit)
               select * from unnest($1::uuid[], $2::text[]::name[], $3::uuid[])";
    sqlx::query(sql).bind(ids).bind(tables).bind(names).execute(db).await.map(drop)
}

/// The archived rows of units, which are noted as archived no more.
pub(super) async fn forget(db: &mut PgConnection, units: &[Uuid]) -> Result<Vec<Key>, sqlx::Error> {
    let sql = "delete from projection_archive where unit = any($1) returning relation::text, id";
    let rows: Vec<(String, Uuid)> = sqlx::query_as(sql).bind(units).fetch_all(db).await?;
    let table = |name: &str| tables().find(|table| *table == name);
    Ok(rows.iter().filter_map(|(name, id)| Some((table(name)?, *id))).collect())
}

/// Brings back the units of rows that a batch of events names, since the events concern them. A row that the batch has
/// written already stays as the batch wrote it.
pub(crate) async fn bring_back_named(db: &mut PgConnection, named: &[Uuid]) -> Result<(), sqlx::Error> {
    let sql = "select distinct unit from projection_archive where id = any($1)";
    let units: Vec<Uuid> = sqlx::query_scalar(sql).bind(named).fetch_all(&mut *db).await?;
    if units.is_empty() {
        return Ok(());
    }
    tracing::info!(units = units.len(), "new events concern archived rows, which come back");
    let keys = forget(db, &units).await?;
    for (table, ids) in by_table(&keys) {
        shift(db, table, Direction::IntoTable, &ids).await?;
    }
    Ok(())
}
