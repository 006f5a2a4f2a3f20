//! The lease of the process that projects.
//!
//! One process projects at a time, but a process may be stopped, or its network may fall silent, while its session with
//! the database lives on. The right to project is therefore a lease, kept in the row of the checkpoint and measured by
//! the clock of the database. It lapses unless the process makes progress: unless it moves the checkpoint, or finds
//! that the checkpoint is at the end of the log. The lease ends at once when the session of its holder ends.
//!
//! The lease only saves work. What keeps two processes from projecting the same events is that each batch compares and
//! sets the checkpoint.

use hims_event_store::Position;
use hims_event_store::bounded::end_stalled;
use sqlx::PgConnection;

use crate::machinery::form::FORM;

/// When a lease lapses that is extended now. Another process takes over within five seconds: four until the lease
/// lapses, and the pause until that process asks for the lease.
pub(crate) const EXTENDED: &str = "clock_timestamp() + interval '4 seconds'";

/// Takes the lease for a session; `false` while another session holds it. The session that holds the lease may have the
/// row locked, in the middle of a batch, so nobody waits for the row.
pub(crate) async fn take(db: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = format!(
        "update projection_checkpoint set held_by = pg_backend_pid(), held_until = {EXTENDED}
          where only_row in (
                select only_row from projection_checkpoint
                 where form = $1 and (held_by is null or held_by = pg_backend_pid() or held_until < clock_timestamp()
                                      or not exists (select from pg_stat_get_activity(held_by)))
                   for update skip locked)"
    );
    let taken = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(FORM.as_str()).execute(&mut *db).await?;
    if taken.rows_affected() == 0 {
        end_stalled_holder(db).await?;
    }
    Ok(taken.rows_affected() == 1)
}

/// Renews the lease of a session, unless events wait to be projected. Returns the position of the checkpoint; `None` if
/// the session does not hold the lease any more.
pub(crate) async fn renew(db: &mut PgConnection) -> Result<Option<Position>, sqlx::Error> {
    let sql = format!(
        "update projection_checkpoint c
            set held_until = case when c.position >= h.position then {EXTENDED} else c.held_until end
           from log.head h
          where c.held_by = pg_backend_pid() and c.form = $1
         returning c.position"
    );
    let renewing = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(FORM.as_str());
    let position: Option<Position> = renewing.fetch_optional(db).await?;
    // A rebuild marks the checkpoint of tables that it has replaced by a negative position.
    Ok(position.filter(|it| *it >= 0))
}

/// Ends the session of a holder whose lease lapsed in the middle of a statement. Such a session keeps the row locked,
/// so nobody else could take the lease.
async fn end_stalled_holder(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    let sql = "select held_until < clock_timestamp() from projection_checkpoint";
    let has_lapsed: Option<Option<bool>> = sqlx::query_scalar(sql).fetch_optional(&mut *db).await?;
    if has_lapsed.flatten() == Some(true) {
        let sessions = end_stalled(db, "hims.projection_checkpoint").await?;
        if sessions > 0 {
            tracing::warn!(sessions, "ended sessions that kept the read tables from being brought up to date");
        }
    }
    Ok(())
}
