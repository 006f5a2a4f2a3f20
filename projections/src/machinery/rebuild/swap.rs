//! Replaces the old read tables by the new ones.

use std::time::Duration;

use hims_event_store::Position;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{Rebuild, RebuildError, execute};
use crate::READ_SCHEMA;

/// The schema of the old tables, which stay until no query reads them any more.
fn old() -> String {
    format!("{READ_SCHEMA}_old")
}

impl Rebuild {
    /// Replaces the old tables, if there are any, by the new ones, in one transaction, while no process projects. The
    /// new tables bring their own checkpoint with their form.
    pub(super) async fn swap(
        &self,
        db: &mut PgConnection,
        schema: &str,
        position: &mut Position,
        progress: &mut (impl FnMut(Position) + Send),
    ) -> Result<(), RebuildError> {
        let old = old();
        execute(db, &format!("drop schema if exists {old} cascade")).await?;
        let mut holder = self.pool.acquire().await?;
        let mut held = holder.begin().await?;
        let has_checkpoint = exists(&mut held, &format!("to_regclass('{READ_SCHEMA}.projection_checkpoint')")).await?;
        if has_checkpoint {
            // A process that projects waits for the lock on this row, and then finds that the checkpoint has moved.
            execute(&mut held, &format!("select from {READ_SCHEMA}.projection_checkpoint for update")).await?;
        }
        let head = self.store.current_head().await?;
        self.project(db, None, position, head, progress).await?;
        // The session that holds the lock of rebuilds must still be there. Otherwise another rebuild has begun, and the
        // new schema is that of the other rebuild.
        db.ping().await?;
        if exists(&mut held, &format!("to_regnamespace('{READ_SCHEMA}')")).await? {
            execute(&mut held, &format!("alter schema {READ_SCHEMA} rename to {old}")).await?;
        }
        execute(&mut held, &format!("alter schema {schema} rename to {READ_SCHEMA}")).await?;
        if has_checkpoint {
            // A process that waits for the old checkpoint must not find the position unchanged: the process would write
            // its rows to the new tables.
            execute(&mut held, &format!("update {old}.projection_checkpoint set position = -1")).await?;
        }
        Ok(held.commit().await?)
    }
}

/// Drops the old tables once the queries that still read them are done. If those queries take too long, the next
/// rebuild drops the tables.
pub(super) async fn drop_old(db: &mut PgConnection) {
    for _ in 0..10 {
        let sql = format!("set lock_timeout = '5s'; drop schema if exists {} cascade", old());
        match execute(db, &sql).await {
            Ok(()) => return,
            Err(error) if error.as_database_error().is_some() => {
                tracing::warn!(%error, "the old read tables are still being read; trying again to drop them");
            }
            Err(error) => {
                return tracing::warn!(%error, "the old read tables could not be dropped; the next rebuild drops them");
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn exists(db: &mut PgConnection, what: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(AssertSqlSafe(format!("select {what} is not null"))).fetch_one(db).await
}
