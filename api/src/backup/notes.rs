//! What the database remembers of the last backup and the last check of one, for `hims status` and the metrics. A
//! restored database remembers none, since none was made of it.

use std::path::Path;

use chrono::{DateTime, Utc};
use hims_event_store::Position;
use hims_event_store::archive::End;
use hims_event_store::bounded::{ANSWER, lend, within};
use sqlx::{PgConnection, PgPool};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoteOf {
    /// A backup of any kind.
    Backup,
    /// A backup that does not need others, while increments alone keep `Backup` fresh.
    Whole,
    /// A check by which a backup held.
    Verification,
    /// A check by which a backup did not hold.
    FailedVerification,
}

impl NoteOf {
    pub(crate) const ALL: [Self; 4] = [Self::Backup, Self::Whole, Self::Verification, Self::FailedVerification];

    /// The word for it in the database, the metrics and the output.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Whole => "whole",
            Self::FailedVerification => "failed-verification",
            Self::Verification => "verification",
        }
    }
}

/// The last backup, or the last check of one.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Note {
    pub(crate) done_at: DateTime<Utc>,
    /// How many seconds ago that was, by the clock of the database.
    pub(crate) age: i64,
    /// The last position of the log in the backup.
    pub(crate) position: Position,
    pub(crate) folder: String,
}

impl Note {
    /// Whether more than twice the time has passed that may lie between two backups.
    pub(crate) fn is_overdue(&self, hours: u32) -> bool {
        self.age > 2 * 3_600 * i64::from(hours)
    }
}

/// Notes what was done, in place of the last time.
pub(crate) async fn note(pool: &PgPool, of: NoteOf, end: &End, folder: &Path) -> Result<(), sqlx::Error> {
    let mut db = lend(pool).await?;
    let sql =
        "insert into log.backups (kind, done_at, position, hash, folder) values ($1, clock_timestamp(), $2, $3, $4)
               on conflict (kind) do update
                  set done_at = excluded.done_at, position = excluded.position, hash = excluded.hash,
                      folder = excluded.folder";
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let noted = sqlx::query(sql)
        .bind(of.word())
        .bind(end.position)
        .bind(end.hash)
        .bind(folder.to_string_lossy().into_owned())
        .execute(&mut *db);
    let noted = within(ANSWER, noted).await;
    db.back(noted).map(drop)
}

/// The last backup or the last check of one, if there was any.
pub(crate) async fn last(db: &mut PgConnection, of: NoteOf) -> Result<Option<Note>, sqlx::Error> {
    let sql = "select done_at, extract(epoch from clock_timestamp() - done_at)::bigint as age, position, folder
                 from log.backups where kind = $1";
    within(ANSWER, sqlx::query_as(sql).bind(of.word()).fetch_optional(db)).await
}

/// The last check by which a backup did not hold, unless a backup has held since then.
pub(crate) async fn failed_verification(db: &mut PgConnection) -> Result<Option<Note>, sqlx::Error> {
    let failed = last(db, NoteOf::FailedVerification).await?;
    let held = last(db, NoteOf::Verification).await?;
    Ok(failed.filter(|it| held.is_none_or(|held| held.done_at < it.done_at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_overdue_after_twice_its_time() {
        let aged = |age| Note { done_at: DateTime::UNIX_EPOCH, age, position: 1, folder: "/backup".to_owned() };
        assert_eq!([7_200, 7_201].map(|age| aged(age).is_overdue(1)), [false, true]);
    }
}
