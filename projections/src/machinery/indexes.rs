//! Indexes of the log that a migration builds while commands go on (`create index concurrently`).
//!
//! The file of such a migration begins with `-- no-transaction`, and holds one statement. A build that breaks off
//! leaves an index behind that nobody reads and everybody writes: the next program that migrates drops it, and builds
//! anew.

use std::time::Duration;

use hims_event_store::bounded::{ANSWER, lend, within};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, PgPool};
use tokio::time::sleep;

/// How often the log is told how far a build is.
const LOOK: Duration = Duration::from_secs(10);

/// An index of the log that is not complete.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Unfinished {
    /// The index, with its schema.
    pub index: String,
    /// Whether a session builds it; else its build broke off.
    pub is_being_built: bool,
    /// What is being done, in PostgreSQL's words, if this login may know.
    pub phase: Option<String>,
    /// How far that is.
    pub percent: Option<i64>,
}

/// The indexes of the log that are not complete.
///
/// # Errors
/// When the database does not answer.
pub async fn unfinished(db: &mut PgConnection) -> Result<Vec<Unfinished>, sqlx::Error> {
    // A login that may not know what another one does sees that an index is being built, and not which.
    let sql = "select i.indexrelid::regclass::text as index, p.pid is not null as is_being_built, p.phase,
                      case when p.blocks_total > 0 then p.blocks_done * 100 / p.blocks_total
                           when p.tuples_total > 0 then p.tuples_done * 100 / p.tuples_total
                           when p.lockers_total > 0 then p.lockers_done * 100 / p.lockers_total end as percent
                 from pg_index i
                 join pg_class c on c.oid = i.indexrelid
                 left join pg_stat_progress_create_index p
                   on p.datname = current_database() and coalesce(p.index_relid, i.indexrelid) = i.indexrelid
                where not i.indisvalid and c.relnamespace = to_regnamespace('log')
                order by 1";
    within(ANSWER, sqlx::query_as(sql).fetch_all(db)).await
}

/// Drops what broken builds left behind. The session must be the only one that migrates.
pub(crate) async fn drop_broken(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    // What is being built now is somebody else's: programs take turns at migrating.
    for Unfinished { index, .. } in unfinished(session).await?.into_iter().filter(|it| !it.is_being_built) {
        tracing::warn!(index, "the build of an index broke off; the index is built anew");
        session.execute(AssertSqlSafe(format!("drop index concurrently {index}"))).await?;
    }
    Ok(())
}

/// Tells the log again and again how far builds are.
pub(crate) async fn tell_progress(pool: PgPool) {
    loop {
        sleep(LOOK).await;
        let looked = async {
            let mut db = lend(&pool).await?;
            let unfinished = unfinished(&mut db).await;
            db.back(unfinished)
        };
        // Whether the database answers is asked elsewhere.
        for Unfinished { index, phase, percent, .. } in looked.await.unwrap_or_default() {
            tracing::info!(index, phase, percent, "an index is being built");
        }
    }
}
