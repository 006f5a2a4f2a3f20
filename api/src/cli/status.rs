//! `hims status`: how the hospital is doing, at a glance. Nothing is changed.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use hims_event_store::bounded::within;
use hims_event_store::chain::hex;
use hims_projections::archive::Archiving;
use hims_projections::indexes::{Unfinished, unfinished};
use hims_projections::presence::{self, Program};
use hims_projections::{Rebuild, Standing, migrations};
use sqlx::{PgConnection, PgPool};

use super::{Failure, say};
use crate::backup::{NoteOf, failed_verification, last};
use crate::connections::{Primary, Work};
use crate::database::Database;
use crate::readers::positions_of_replicas;
use crate::scrubs::unscrubbed;
use crate::{Purpose, Settings};

/// How long looking at the database may take: a few rows of small tables.
const LOOK: Duration = Duration::from_secs(30);

/// Prints how the hospital is doing.
pub(super) async fn status(settings: &Settings) -> Result<ExitCode, Failure> {
    let database = Database::open(settings, Purpose::Inspect).await?;
    let pool = database.owner();
    let told = async {
        let mut told = unfinished_indexes(&database.migrator()).await?;
        let pending = migrations::status(&pool).await?.into_iter().filter(|it| it.applied_at.is_none()).count();
        if pending > 0 {
            // The log may not even exist, so nothing can be read of it.
            let text = format!("{pending} are not applied; run `hims migrate up`, or start a server");
            told.push(("migrations".to_owned(), text));
            return Ok(told);
        }
        let standing = migrations::standing(&pool).await?;
        let mut db = pool.acquire().await?;
        told.extend(look(&mut db, standing, settings.backup_hours).await?);
        Ok(told)
    };
    let mut told = within(LOOK, told).await;
    if let Ok(told) = &mut told {
        told.extend(replicas(settings, database.primary()).await);
    }
    pool.close().await;
    database.close().await;
    let told = told.map_err(|error| format!("{error}; give the database and the login of the server"))?;
    let width = told.iter().map(|(subject, _)| subject.len()).max().unwrap_or_default();
    for (subject, text) in told {
        say(format_args!("{subject:width$}  {text}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that is told, as subjects and texts, in the order of the output.
async fn look(
    db: &mut PgConnection,
    standing: Standing,
    backup_hours: u32,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let now: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *db).await?;
    let mut told = vec![programs(db, now).await?];
    let addresses = addresses(db).await?;
    Work::Write.set_up(db).await?;
    let head = log(db, now, &mut told).await?;
    backups(db, head, backup_hours, &mut told).await?;
    erasures(db, &mut told).await?;
    processes(db, head, now, &mut told).await?;
    timers(db, now, &mut told).await?;
    Work::Project.set_up(db).await?;
    read_tables(db, (standing, &addresses), head, now, &mut told).await?;
    if let Some(position) = Rebuild::underway(db).await? {
        told.push(("rebuild".to_owned(), format!("has come to position {position}")));
    }
    failures(db, &mut told).await?;
    partitions(db, &mut told).await?;
    archives(db, &mut told).await?;
    Ok(told)
}

/// Tells of the programs that work with the database: nodes, and commands such as an import.
async fn programs(db: &mut PgConnection, now: DateTime<Utc>) -> Result<(String, String), sqlx::Error> {
    let each = |it: &Program| {
        let place = place(it.address.as_deref());
        it.since.map_or_else(|| "not known to this login".to_owned(), |at| format!("{place} for {}", ago(at, now)))
    };
    let programs = presence::programs(db).await?;
    let all = programs.iter().map(each).collect::<Vec<_>>().join(", ");
    let text = format!("{} at work with the database{}{all}", programs.len(), if all.is_empty() { "" } else { ": " });
    Ok(("programs".to_owned(), text))
}

/// Where the programs are that have sessions with the database, as far as this login may know.
async fn addresses(db: &mut PgConnection) -> Result<HashMap<i32, String>, sqlx::Error> {
    let sql = "select pid, host(client_addr) from pg_stat_activity where backend_start is not null";
    let sessions: Vec<(i32, Option<String>)> = sqlx::query_as(sql).fetch_all(db).await?;
    Ok(sessions.into_iter().map(|(session, address)| (session, place(address.as_deref()))).collect())
}

fn place(address: Option<&str>) -> String {
    address.map_or_else(|| "at the database".to_owned(), |it| format!("at {it}"))
}

/// Tells of the replicas that answer reads.
async fn replicas(settings: &Settings, primary: &Primary) -> Vec<(String, String)> {
    let replicas = settings.replicas().unwrap_or_default();
    let positions = positions_of_replicas(&replicas, primary, LOOK).await;
    let tell = |(number, position): (i32, Result<i64, String>)| {
        let text = position.map_or_else(|wrong| wrong, |it| format!("position {it} of the read tables"));
        (format!("replica {number}"), text)
    };
    (1..).zip(positions).map(tell).collect()
}

/// Tells of indexes of the log that are being built, or whose build broke off, with the login that builds them.
async fn unfinished_indexes(migrator: &PgPool) -> Result<Vec<(String, String)>, sqlx::Error> {
    let mut db = migrator.acquire().await?;
    let told = |unfinished: Unfinished| {
        let text = match unfinished {
            Unfinished { index, is_being_built: false, .. } => {
                format!("{index} is not complete, since its build broke off; run `hims migrate up`")
            }
            Unfinished { index, phase, percent, .. } => {
                let percent = percent.map_or_else(String::new, |it| format!(", {it} %"));
                format!("{index} is being built: {}{percent}", phase.as_deref().unwrap_or("no more is known"))
            }
        };
        ("index".to_owned(), text)
    };
    Ok(unfinished(&mut db).await?.into_iter().map(told).collect())
}

/// Tells how long the log is. Answers the position of its end.
async fn log(db: &mut PgConnection, now: DateTime<Utc>, told: &mut Vec<(String, String)>) -> Result<i64, sqlx::Error> {
    let sql = "select position, hash, recorded_at from log.head";
    let (head, hash, recorded_at): (i64, Vec<u8>, DateTime<Utc>) = sqlx::query_as(sql).fetch_one(db).await?;
    let text = match head {
        0 => "empty".to_owned(),
        _ => format!("position {head}, recorded {} ago; hash {}", ago(recorded_at, now), hex(&hash)),
    };
    told.push(("log".to_owned(), text));
    Ok(head)
}

/// Tells of the last backup, the last whole one, and the last check of one.
async fn backups(
    db: &mut PgConnection,
    head: i64,
    hours: u32,
    told: &mut Vec<(String, String)>,
) -> Result<(), sqlx::Error> {
    for (of, subject) in
        [(NoteOf::Backup, "backup"), (NoteOf::Whole, "whole backup"), (NoteOf::Verification, "verification")]
    {
        let text = match last(db, of).await? {
            None => "none so far; see docs/operations.md".to_owned(),
            Some(it) => {
                let late = if of != NoteOf::Verification && it.is_overdue(hours) { "; OVERDUE" } else { "" };
                let (position, missing, folder) = (it.position, (head - it.position).max(0), it.folder);
                let at = instant(it.done_at);
                format!("position {position}, {missing} events fewer than now; at {at} in {folder}{late}")
            }
        };
        told.push((subject.to_owned(), text));
    }
    if let Some(it) = failed_verification(db).await? {
        let text = format!("the last one FAILED at {} in {}; see docs/operations.md", instant(it.done_at), it.folder);
        told.push(("verification".to_owned(), text));
    }
    Ok(())
}

/// Tells of whom something may be on the disk after an erasure.
async fn erasures(db: &mut PgConnection, told: &mut Vec<(String, String)>) -> Result<(), sqlx::Error> {
    let found = unscrubbed(db).await?;
    let last = found.last.map_or_else(|| "it has not run so far".to_owned(), |at| format!("it ran at {}", instant(at)));
    told.push(("erasures".to_owned(), format!("{} people wait for `hims scrub`; {last}", found.people)));
    Ok(())
}

async fn has_checkpoint(db: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select to_regclass('projection_checkpoint') is not null").fetch_one(db).await
}

async fn read_tables(
    db: &mut PgConnection,
    (standing, addresses): (Standing, &HashMap<i32, String>),
    head: i64,
    now: DateTime<Utc>,
    told: &mut Vec<(String, String)>,
) -> Result<(), sqlx::Error> {
    let text = match standing {
        Standing::Current | Standing::Newer if has_checkpoint(db).await? => {
            let sql = "select position, held_until, held_by, (select count(*) from projection_failures)
                         from projection_checkpoint";
            let (position, held_until, session, parked): (i64, Option<DateTime<Utc>>, Option<i32>, i64) =
                sqlx::query_as(sql).fetch_one(db).await?;
            let address = session.and_then(|it| addresses.get(&it));
            let holder = address.map_or_else(|| "a node".to_owned(), |it| format!("a node {it}"));
            let mut text = format!("{}; {}", behind(position, head), lease(held_until, now, &holder));
            if parked > 0 {
                text = format!("{text}; parked streams: {parked}, see `projection_failures` and the log of the server");
            }
            text
        }
        Standing::Current | Standing::Newer | Standing::Due | Standing::TakenBack => {
            "missing or of another form; a server makes new ones".to_owned()
        }
        Standing::Beyond => "they show events that the log does not hold; see `hims doctor`".to_owned(),
    };
    told.push(("read tables".to_owned(), text));
    Ok(())
}

async fn processes(
    db: &mut PgConnection,
    head: i64,
    now: DateTime<Utc>,
    told: &mut Vec<(String, String)>,
) -> Result<(), sqlx::Error> {
    // A node draws its id when it starts: processes with one id are with one node.
    let sql = "select name, position, held_until, coalesce('node ' || right(held_by::text, 6), '')
                 from log.processes order by name";
    let all: Vec<(String, i64, Option<DateTime<Utc>>, String)> = sqlx::query_as(sql).fetch_all(db).await?;
    for (name, position, held_until, holder) in all {
        let text = format!("{}; {}", behind(position, head), lease(held_until, now, &holder));
        told.push((format!("process {name}"), text));
    }
    Ok(())
}

async fn timers(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    told: &mut Vec<(String, String)>,
) -> Result<(), sqlx::Error> {
    let sql = "select count(*), count(*) filter (where due_at <= $1), min(due_at) from log.timers";
    let (all, due, next): (i64, i64, Option<DateTime<Utc>>) = sqlx::query_as(sql).bind(now).fetch_one(db).await?;
    let next = next.map_or_else(String::new, |at| format!(", the next at {}", instant(at)));
    told.push(("timers".to_owned(), format!("{all}, of which {due} are due{next}")));
    Ok(())
}

/// Tells what processes could not do, if the read tables are there.
async fn failures(db: &mut PgConnection, told: &mut Vec<(String, String)>) -> Result<(), sqlx::Error> {
    let exists = "select to_regclass('process_failures') is not null";
    if !sqlx::query_scalar::<_, bool>(exists).fetch_one(&mut *db).await? {
        return Ok(());
    }
    let sql = "select count(*), max(created_at) from process_failures";
    let (count, last): (i64, Option<DateTime<Utc>>) = sqlx::query_as(sql).fetch_one(db).await?;
    let last = last.map_or_else(String::new, |at| format!(", the last at {}; see `process-failures`", instant(at)));
    told.push(("failures".to_owned(), format!("{count} of processes{last}")));
    Ok(())
}

/// Tells for which months the audit log has a partition.
async fn partitions(db: &mut PgConnection, told: &mut Vec<(String, String)>) -> Result<(), sqlx::Error> {
    let sql = "select count(*), max(c.relname) from pg_inherits i join pg_class c on c.oid = i.inhrelid
                where i.inhparent in (to_regclass('audit_logs'), to_regclass('audit_logs_archive')) and c.relkind = 'r'";
    let (count, last): (i64, Option<String>) = sqlx::query_as(sql).fetch_one(db).await?;
    let last = last.map_or_else(String::new, |name| format!(", the last is {name}"));
    told.push(("partitions".to_owned(), format!("{count} months of audit_logs{last}")));
    Ok(())
}

/// Tells what is archived.
async fn archives(db: &mut PgConnection, told: &mut Vec<(String, String)>) -> Result<(), sqlx::Error> {
    let text = match Archiving::noted(db).await? {
        Archiving { before: Some(before), run_at: Some(run_at) } => {
            format!("what was closed before {}; the last run ended at {}", instant(before), instant(run_at))
        }
        Archiving { before: Some(before), run_at: None } => {
            format!("what was closed before {}; no run has ended so far", instant(before))
        }
        Archiving { before: None, .. } => "nothing is archived; see `hims archive`".to_owned(),
    };
    told.push(("archives".to_owned(), text));
    Ok(())
}

/// How far something is that follows the log.
fn behind(position: i64, head: i64) -> String {
    match head - position {
        ..=0 => format!("position {position}, up to date"),
        lag => format!("position {position}, {lag} events behind"),
    }
}

/// Which node does the work, if one does.
fn lease(held_until: Option<DateTime<Utc>>, now: DateTime<Utc>, holder: &str) -> String {
    let holder = if held_until.is_some_and(|it| it > now) { holder } else { "no node" };
    format!("{holder} works on it")
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The time since an instant, in its largest unit.
fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).num_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn what_follows_the_log_is_up_to_date_or_behind() {
        assert_eq!(behind(7, 7), "position 7, up to date");
        assert_eq!(behind(7, 9), "position 7, 2 events behind");
        // Recorded between the two looks.
        assert_eq!(behind(9, 7), "position 9, up to date");
    }

    #[test]
    fn a_lease_that_has_lapsed_is_nobodys() {
        let now = DateTime::UNIX_EPOCH;
        let told = |until| lease(until, now, "node 7");
        assert_eq!(told(Some(now + TimeDelta::seconds(1))), "node 7 works on it");
        assert_eq!([told(Some(now)), told(None)], ["no node works on it"; 2]);
    }

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        let told = |seconds| ago(DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds));
        assert_eq!([-5, 119, 120, 7_200, 172_800].map(told), ["0 s", "119 s", "2 min", "2 h", "2 days"]);
    }
}
