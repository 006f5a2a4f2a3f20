//! Indexes, constraints and statistics, which are faster to make when the rows are already loaded.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use sqlx::{PgConnection, Row as _};

use super::execute;
use crate::tables::audit::AuditRow;
use crate::{Row as _, TABLES};

/// The statements that make indexes, constraints and statistics after the rows are loaded.
pub(super) struct Scaffold {
    indexes: VecDeque<String>,
    /// Executed after the indexes, since a foreign key needs the unique key to which it refers.
    foreign_keys: Vec<String>,
}

impl Scaffold {
    /// Drops the indexes and constraints that slow the loading. Primary keys stay, since loading finds rows by primary
    /// key; only that of the audit log is dropped, since loading never looks for audit rows. Archives are empty while
    /// the rows are loaded, so their indexes and constraints stay.
    pub(super) async fn take_down(db: &mut PgConnection, schema: &str) -> Result<Self, sqlx::Error> {
        let constraints = sqlx::query(
            "select t.relname::text, format('alter table %s drop constraint %I', t.oid::regclass, c.conname),
                    format('alter table %s add constraint %I %s', t.oid::regclass, c.conname, pg_get_constraintdef(c.oid))
               from pg_constraint c join pg_class t on t.oid = c.conrelid
              where t.relnamespace = $1::text::regnamespace and c.conparentid = 0 and t.relname not like '%\\_archive'
                and (c.contype in ('u', 'x', 'f') or c.contype = 'p' and t.relname = $2)
              order by c.contype = 'f' desc, c.conname",
        )
        .bind(schema)
        .bind(AuditRow::TABLE.name)
        .fetch_all(&mut *db)
        .await?;
        let made = sqlx::query(
            "select t.relname::text, format('drop index %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
               from pg_index i join pg_class t on t.oid = i.indrelid
              where t.relnamespace = $1::text::regnamespace and not t.relispartition and not i.indisprimary
                and t.relname not like '%\\_archive'
                and not exists (select from pg_constraint k where k.conindid = i.indexrelid)",
        )
        .bind(schema)
        .fetch_all(&mut *db)
        .await?;
        let (mut indexes, mut foreign_keys) = (Vec::new(), Vec::new());
        for row in constraints.iter().chain(&made) {
            execute(db, row.try_get(1)?).await?;
            // The definition for a partitioned table says ON ONLY; without ONLY, its partitions get the index as well.
            let make = row.try_get::<String, _>(2)?.replacen(" ON ONLY ", " ON ", 1);
            if make.contains(" FOREIGN KEY ") {
                foreign_keys.push(make);
            } else {
                indexes.push((row.try_get::<&str, _>(0)? != AuditRow::TABLE.name, make));
            }
        }
        // The slowest statements come first: exclusion constraints, then the audit log, which is the largest table.
        indexes.sort_by_key(|(is_small, make)| (!make.contains(" EXCLUDE USING gist "), *is_small));
        let analyze = TABLES.iter().map(|it| format!("analyze {}", it.name));
        Ok(Self { indexes: indexes.into_iter().map(|(_, make)| make).chain(analyze).collect(), foreign_keys })
    }

    /// Executes the statements on two connections, the slowest first: an idle connection takes the next statement.
    pub(super) async fn put_up(self, db: &mut PgConnection, aside: &mut PgConnection) -> Result<(), sqlx::Error> {
        let indexes = Mutex::new(self.indexes);
        tokio::try_join!(execute_all(db, &indexes), execute_all(aside, &indexes))?;
        execute_all(db, &Mutex::new(self.foreign_keys.into())).await
    }
}

async fn execute_all(db: &mut PgConnection, statements: &Mutex<VecDeque<String>>) -> Result<(), sqlx::Error> {
    let next = || statements.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while let Some(statement) = next() {
        // Nobody but the two connections knows the new tables. One may wait for the other for as long as an index takes.
        execute(db, &format!("set local lock_timeout = 0; {statement}")).await?;
    }
    Ok(())
}
