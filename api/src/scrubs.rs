//! What the database remembers of the last `hims scrub`, and of whom something may be on the disk since then.

use chrono::{DateTime, Utc};
use hims_event_store::Position;
use hims_event_store::bounded::{LONG_ANSWER, within};
use sqlx::PgConnection;

/// People who were erased and of whom PostgreSQL may keep something on the disk, until `hims scrub` takes it away.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Unscrubbed {
    /// How many people.
    pub(crate) people: i64,
    /// When the first of them was erased.
    pub(crate) since: Option<DateTime<Utc>>,
    /// When the last scrub ended, if there was any.
    pub(crate) last: Option<DateTime<Utc>>,
}

/// The position that the read tables have reached; `None` if there are none. A scrub takes away what was said about people
/// whom earlier events erased.
pub(crate) async fn reached(db: &mut PgConnection) -> Result<Option<Position>, sqlx::Error> {
    let is_there = "select to_regclass('projection_checkpoint') is not null";
    if !sqlx::query_scalar::<_, bool>(is_there).fetch_one(&mut *db).await? {
        return Ok(None);
    }
    sqlx::query_scalar("select position from projection_checkpoint").fetch_optional(db).await
}

/// Notes that a scrub has ended before which the read tables had reached a position.
pub(crate) async fn note(db: &mut PgConnection, position: Position) -> Result<(), sqlx::Error> {
    let sql = "insert into log.scrubs (position, done_at) values ($1, clock_timestamp())
                   on conflict (is_last) do update
                  set position = greatest(scrubs.position, excluded.position), done_at = excluded.done_at";
    sqlx::query(sql).bind(position).execute(db).await.map(drop)
}

/// Who was erased since the last scrub. That a person is erased is recorded in the person's own stream.
pub(crate) async fn unscrubbed(db: &mut PgConnection) -> Result<Unscrubbed, sqlx::Error> {
    let sql = "select count(distinct k.subject_id) as people, min(k.destroyed_at) as since,
                      (select done_at from log.scrubs) as last
                 from log.subject_keys k
                 join log.events e on e.stream_id = k.subject_id
                  and e.position > coalesce((select position from log.scrubs), 0)
                where k.destroyed_at is not null";
    within(LONG_ANSWER, sqlx::query_as(sql).fetch_one(db)).await
}
