//! Units: rows that refer to each other, directly or through others, which move together.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::rules::ARCHIVED;
use super::tables;

/// A row of a table that has an archive: the name of the table, and the key.
pub(super) type Key = (&'static str, Uuid);

/// A column of a table that refers to the row of another table, where both tables have an archive.
#[derive(Debug)]
pub(super) struct Reference {
    child: &'static str,
    column: String,
    parent: &'static str,
}

/// The references among the tables that have an archive, as the foreign keys of the database say.
pub(super) async fn references(db: &mut PgConnection) -> Result<Vec<Reference>, sqlx::Error> {
    let with_archives: Vec<_> = tables().collect();
    let sql = "select c.relname::text, a.attname::text, p.relname::text
                 from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_class p on p.oid = k.confrelid
                 join pg_attribute a on a.attrelid = c.oid and a.attnum = k.conkey[1]
                where k.contype = 'f' and c.relnamespace = current_schema()::regnamespace
                  and c.relname = any($1) and p.relname = any($1)
                order by c.relname, a.attname";
    let found: Vec<(String, String, String)> = sqlx::query_as(sql).bind(with_archives).fetch_all(db).await?;
    let known = |name: &str| tables().find(|table| *table == name);
    let reference = |(child, column, parent): (String, String, String)| {
        Some(Reference { child: known(&child)?, column, parent: known(&parent)? })
    };
    Ok(found.into_iter().filter_map(reference).collect())
}

/// Rows with the rows to which they refer and that refer to them.
#[derive(Debug, Default)]
pub(super) struct Related(HashMap<Key, Vec<Key>>);

impl Related {
    /// Gathers from the living tables whatever belongs to some rows.
    pub(super) async fn gather(
        db: &mut PgConnection,
        references: &[Reference],
        rows: &[Key],
    ) -> Result<Self, sqlx::Error> {
        let mut related = Self(rows.iter().map(|key| (*key, Vec::new())).collect());
        let mut fresh = rows.to_vec();
        while !fresh.is_empty() {
            let keys = by_table(&fresh);
            let mut found = Vec::new();
            for Reference { child, column, parent } in references {
                for (side, table) in [(column.as_str(), parent), ("id", child)] {
                    let Some(keys) = keys.get(table) else { continue };
                    let sql = format!(
                        "select id, {column} from only {child} where {side} = any($1) and {column} is not null"
                    );
                    let rows: Vec<(Uuid, Uuid)> =
                        sqlx::query_as(AssertSqlSafe(sql)).bind(keys).fetch_all(&mut *db).await?;
                    found.extend(rows.into_iter().map(|(id, to)| ((*child, id), (*parent, to))));
                }
            }
            fresh.clear();
            for (one, other) in found {
                for (from, to) in [(one, other), (other, one)] {
                    let of_row = related.0.entry(from).or_insert_with(|| {
                        fresh.push(from);
                        Vec::new()
                    });
                    of_row.push(to);
                }
            }
        }
        Ok(related)
    }

    /// The rows that are not at rest.
    pub(super) async fn restless(
        &self,
        db: &mut PgConnection,
        before: DateTime<Utc>,
    ) -> Result<HashSet<Key>, sqlx::Error> {
        let keys = by_table(self.0.keys());
        let mut restless = HashSet::new();
        for archived in ARCHIVED {
            let Some(keys) = keys.get(archived.table) else { continue };
            let sql = format!(
                "select id from only {} where id = any($1) and $2::timestamptz is not null and ({}) is not true",
                archived.table, archived.at_rest
            );
            let ids: Vec<Uuid> =
                sqlx::query_scalar(AssertSqlSafe(sql)).bind(keys).bind(before).fetch_all(&mut *db).await?;
            restless.extend(ids.into_iter().map(|id| (archived.table, id)));
        }
        Ok(restless)
    }

    /// The units whose rows all meet the condition, each named after one of its rows.
    pub(super) fn units(&self, meets: impl Fn(&Key) -> bool) -> BTreeMap<Key, Vec<Key>> {
        let (mut units, mut seen) = (BTreeMap::new(), HashSet::new());
        for start in self.0.keys() {
            if !seen.insert(*start) {
                continue;
            }
            let mut unit = vec![*start];
            let mut next = 0;
            while let Some(key) = unit.get(next).copied() {
                next += 1;
                unit.extend(self.0.get(&key).into_iter().flatten().filter(|it| seen.insert(**it)));
            }
            if unit.iter().all(&meets) {
                units.extend(unit.iter().min().copied().map(|name| (name, unit)));
            }
        }
        units
    }
}

/// Keys by their table.
pub(super) fn by_table<'k>(keys: impl IntoIterator<Item = &'k Key>) -> BTreeMap<&'static str, Vec<Uuid>> {
    let mut tables: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (table, id) in keys {
        tables.entry(*table).or_default().push(*id);
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_whatever_refers_to_each_other_and_one_restless_row_keeps_all_of_it() {
        let key = |id| ("consultations", Uuid::from_u128(id));
        let links = [(1, 2), (2, 3), (4, 5), (6, 6)];
        let mut related = Related::default();
        for (one, other) in links.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
            related.0.entry(key(one)).or_default().push(key(other));
        }
        let units = |restless: u128| {
            let units = related.units(|it| *it != key(restless));
            units.into_iter().map(|(name, rows)| (name, rows.len())).collect::<Vec<_>>()
        };
        assert_eq!(units(0), [(key(1), 3), (key(4), 2), (key(6), 1)]);
        assert_eq!(units(3), [(key(4), 2), (key(6), 1)]);
        assert_eq!(units(6), [(key(1), 3), (key(4), 2)]);
    }
}
