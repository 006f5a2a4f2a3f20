//! `hims scrub`: what PostgreSQL keeps of values that were taken out of its tables goes from the disk.
//!
//! A row that was changed or deleted stays in the file of its table, and in the write-ahead log, until something is
//! written over it. After the erasure of a person nothing may stay: tables that hold something personal are written anew,
//! with the statistics about their columns, and the segments of the write-ahead log are written over.

use std::process::ExitCode;
use std::time::Duration;

use hims_projections::{READ_SCHEMA, TABLES};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use tokio::time::sleep;

use super::{Failure, say};
use crate::database::{Database, ensure_fits};
use crate::{Purpose, Settings, scrubs};

/// The tables beside the log from which something is deleted when a person is erased, or wrapped anew when a master key
/// takes the place of another.
const BESIDE_THE_LOG: [&str; 4] = ["log.subject_keys", "log.master_keys", "log.snapshots", "log.report_files"];
/// How long to wait for a table that others use, before they are let in and the wait begins anew.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to wait for a table.
const TRIES: u32 = 30;

/// What a run did, and what its logins may not do.
#[derive(Debug, Default)]
struct Scrubbed {
    rewritten: usize,
    left: Vec<String>,
}

/// Scrubs, and prints what was done.
pub(super) async fn scrub(settings: &Settings) -> Result<ExitCode, Failure> {
    let database = Database::open(settings, Purpose::Inspect).await?;
    let (tables, server) = (database.owner(), database.overseer());
    let done = go(&tables, &server).await;
    tables.close().await;
    server.close().await;
    database.close().await;
    let Scrubbed { rewritten, left } = done?;
    say(format_args!("{rewritten} tables were written anew"))?;
    if left.is_empty() {
        say(format_args!("the write-ahead log was written over"))?;
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("the login for migrations may not do this; have a superuser run it: {}", left.join("; ")).into())
}

async fn go(tables: &PgPool, server: &PgPool) -> Result<Scrubbed, Failure> {
    ensure_fits(tables).await?;
    let mut done = Scrubbed::default();
    let reached = scrubs::reached(&mut *tables.acquire().await?).await?;
    // Both have statements that cannot run in a transaction, and settings that must not go back to the pool.
    let (mut tables, mut server) = (tables.acquire().await?.detach(), server.acquire().await?.detach());
    for table in personal_tables(&mut tables).await? {
        done.rewrite(&mut tables, &table).await?;
    }
    for table in BESIDE_THE_LOG.iter().chain(&["pg_catalog.pg_statistic"]) {
        done.rewrite(&mut server, table).await?;
    }
    done.write_over_the_wal(&mut server).await?;
    if let Some(position) = reached.filter(|_| done.left.is_empty()) {
        scrubs::note(&mut tables, position).await?;
    }
    tables.close().await?;
    server.close().await?;
    Ok(done)
}

/// The read tables with columns that may hold something personal, and their archives.
async fn personal_tables(db: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let names: Vec<_> = TABLES.iter().filter(|it| it.may_be_personal()).map(|it| it.name).collect();
    let sql = "select format('%I.%I', n.nspname, c.relname)
                 from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = $1 and c.relkind = 'r'
                  and (c.relname = any($2) or exists (
                       select from pg_inherits i join pg_class p on p.oid = i.inhparent
                        where i.inhrelid = c.oid and p.relname = any($2)))
                order by 1";
    sqlx::query_scalar(sql).bind(READ_SCHEMA).bind(names).fetch_all(db).await
}

impl Scrubbed {
    /// Writes a table anew, once nobody uses it for a moment.
    async fn rewrite(&mut self, db: &mut PgConnection, table: &str) -> Result<(), Failure> {
        run(db, &format!("set lock_timeout = {}", PATIENCE.as_millis())).await?;
        let sql = format!("vacuum (full, analyze) {table}");
        for _ in 0..TRIES {
            match run(db, &sql).await {
                Ok(()) => {
                    self.rewritten += 1;
                    return Ok(());
                }
                Err(error) if is(&error, "42501") => {
                    self.left.push(sql);
                    return Ok(());
                }
                // Others use the table: they go first.
                Err(error) if is(&error, "55P03") => sleep(PATIENCE).await,
                Err(error) => return Err(error.into()),
            }
        }
        Err(format!("{table} was in use all the time: run `hims scrub` again at a quieter hour").into())
    }

    /// Goes through all segments of the write-ahead log, so that each is written over. That takes two rounds: after the
    /// first one, the server takes the segments of before for those to come.
    async fn write_over_the_wal(&mut self, db: &mut PgConnection) -> Result<(), Failure> {
        for _ in 0..2 {
            match go_through_the_wal(db).await {
                Err(error) if is(&error, "42501") => {
                    self.left.push("checkpoint, and select pg_switch_wal() until all segments have changed".to_owned());
                    return Ok(());
                }
                gone => gone?,
            }
        }
        Ok(())
    }
}

/// Begins as many segments of the write-ahead log as there are, and lets go of those that were full before.
async fn go_through_the_wal(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    run(db, "checkpoint").await?;
    let segments: i64 = sqlx::query_scalar("select count(*) from pg_ls_waldir()").fetch_one(&mut *db).await?;
    for _ in 0..=segments {
        // A segment in which nothing was written is not left; the rest of one that is left is filled with zeros.
        run(db, "select pg_logical_emit_message(false, 'hims', 'scrub'), pg_switch_wal()").await?;
    }
    run(db, "checkpoint").await
}

async fn run(db: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(db).await.map(drop)
}

/// Whether an error has an SQLSTATE.
fn is(error: &sqlx::Error, state: &str) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some(state))
}
