//! Archives old rows on a schedule: once a day, on one node at a time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hims_event_store::bounded::lend;
use hims_projections::archive::{Archive, ArchiveError, Archiving};
use sqlx::PgPool;
use tokio::time::sleep;

/// After how many years rows are archived, unless a setting or a flag says otherwise.
pub(crate) const YEARS: u32 = 7;

/// How often to ask whether a run is due. Several nodes ask; the first that finds a run due archives.
const ASK: Duration = Duration::from_mins(10);

/// How many hours after a run the next one is due.
const BETWEEN: i64 = 24;

/// Archives once a day, until the program ends.
pub(crate) async fn keep_archiving(pool: PgPool, years: u32) {
    let archive = Archive { pool };
    loop {
        match archive_if_due(&archive, years).await {
            Ok(Some(rows)) => tracing::info!(rows, years, "old rows of the read tables were archived"),
            // No run is due, or the tables are being made.
            Ok(None) | Err(ArchiveError::Busy | ArchiveError::Form) => {}
            Err(error) => tracing::error!(%error, "old rows of the read tables could not be archived; trying again"),
        }
        sleep(ASK).await;
    }
}

/// Archives if the last run was a day ago. Tells how many rows were archived.
async fn archive_if_due(archive: &Archive, years: u32) -> Result<Option<i64>, ArchiveError> {
    let mut db = lend(&archive.pool).await?;
    let looked = async {
        let now: DateTime<Utc> = sqlx::query_scalar("select now()").fetch_one(&mut *db).await?;
        Ok(Archiving::noted(&mut db).await?.run_at.is_none_or(|it| (now - it).num_hours() >= BETWEEN))
    };
    let is_due = looked.await;
    if !db.back(is_due)? {
        return Ok(None);
    }
    let moved = archive.run(years, |_| {}).await?;
    Ok(Some(moved.values().map(|it| it.rows).sum()))
}
