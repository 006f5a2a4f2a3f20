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
    Backup,
    Verification,
}

impl NoteOf {
    fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Verification => "verification",
        }
    }
}

/// The last backup, or the last check of one.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Note {
    pub(crate) kind: String,
    pub(crate) done_at: DateTime<Utc>,
    /// The last position of the log in the backup.
    pub(crate) position: Position,
    pub(crate) folder: String,
}

/// Notes what was done, in place of the last time.
pub(crate) async fn note(pool: &PgPool, of: NoteOf, end: &End, folder: &Path) -> Result<(), sqlx::Error> {
    let mut db = lend(pool).await?;
    let sql = "insert into log.backups (kind, done_at, position, hash, folder) values ($1, clock_timestamp(), $2, $3, $4)
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

/// The last backup and the last check of one, as far as there were any.
pub(crate) async fn notes(db: &mut PgConnection) -> Result<Vec<Note>, sqlx::Error> {
    let sql = "select kind, done_at, position, folder from log.backups order by kind";
    within(ANSWER, sqlx::query_as(sql).fetch_all(db)).await
}
