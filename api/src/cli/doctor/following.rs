//! What follows the log: the read tables and the processes, and what either could not do.

use sqlx::PgConnection;

use super::Findings;
use crate::connections::Work;

/// How many events something may be behind the log before that is worth a word: what a node projects in a few seconds.
const LAG: i64 = 100_000;

/// Looks at what follows the log, if there is a log. Takes up other roles on the connection.
pub(super) async fn following(db: &mut PgConnection, found: &mut Findings) -> Result<(), sqlx::Error> {
    let exists = "select to_regnamespace('log') is not null";
    if !sqlx::query_scalar::<_, bool>(exists).fetch_one(&mut *db).await? {
        return Ok(());
    }
    Work::Write.set_up(db).await?;
    let head: i64 = sqlx::query_scalar("select position from log.head").fetch_one(&mut *db).await?;
    let lagging = "select name, $1 - position from log.processes where $1 - position > $2 order by name";
    let lagging: Vec<(String, i64)> = sqlx::query_as(lagging).bind(head).bind(LAG).fetch_all(&mut *db).await?;
    if lagging.is_empty() {
        found.fine("processes: each is close to the end of the log");
    }
    for (name, lag) in lagging {
        found.advice(format!("processes: {name} is {lag} events behind: see the log of the servers for why"));
    }
    Work::Project.set_up(db).await?;
    let exists =
        "select to_regclass('projection_failures') is not null and to_regclass('process_failures') is not null";
    if !sqlx::query_scalar::<_, bool>(exists).fetch_one(&mut *db).await? {
        // That the tables are missing is told elsewhere.
        return Ok(());
    }
    let sql = "select $1 - (select position from projection_checkpoint), (select count(*) from projection_failures),
                      (select count(*) from process_failures where created_at > now() - interval '7 days')";
    let (lag, parked, failed): (Option<i64>, i64, i64) = sqlx::query_as(sql).bind(head).fetch_one(db).await?;
    match lag {
        Some(lag) if lag > LAG => found.advice(format!(
            "read tables: they are {lag} events behind the log: start a server, or see the log of the servers for why"
        )),
        Some(_) => found.fine("read tables: close to the end of the log"),
        // That the checkpoint is gone is told elsewhere.
        None => {}
    }
    if parked > 0 {
        found.fault(format!(
            "read tables: {parked} streams are parked, and what happened to them since is not shown: see \
             `projection_failures` for the cause, remove the cause, then run `hims rebuild`"
        ));
    }
    if failed > 0 {
        found.advice(format!(
            "processes: {failed} of their commands were refused within seven days: see `process-failures`, and do by hand \
             what is still to be done"
        ));
    }
    Ok(())
}
