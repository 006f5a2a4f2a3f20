//! `hims archive`: old rows of the read tables move into their archives, and come back.

use std::process::ExitCode;

use clap::Args;
use hims_projections::archive::{Archive, Back, Compared, Moved, MovedTables, compare};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Failure, bar, say};
use crate::archiver::YEARS;
use crate::database::{Database, ensure_fits};
use crate::{Purpose, Settings};

#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "the text of --help")]
pub(super) struct ArchiveWork {
    /// Archive what was closed more than so many years ago [env: HIMS_ARCHIVE_AFTER_YEARS] [default: 7]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=200), conflicts_with = "bring_back")]
    years: Option<u32>,
    /// Bring everything back; or the record with an id, and what belongs to it
    #[arg(long, value_name = "ID", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "the flag may be left out, and its value too")]
    bring_back: Option<Option<Uuid>>,
}

/// Archives or brings back, and prints what was moved.
pub(super) async fn archive(settings: &Settings, work: ArchiveWork) -> Result<ExitCode, Failure> {
    let database = Database::open(settings, Purpose::Inspect).await?;
    let pool = database.owner();
    let years = work.years.or(settings.archive_after_years).unwrap_or(YEARS);
    let done = go(&pool, work.bring_back, years).await;
    pool.close().await;
    database.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

#[expect(clippy::option_option, reason = "the flag may be left out, and its value too")]
async fn go(pool: &PgPool, bring_back: Option<Option<Uuid>>, years: u32) -> Result<(), Failure> {
    ensure_fits(pool).await?;
    let archive = Archive { pool: pool.clone() };
    let bar = bar(None, "{spinner} {pos} rows moved, {per_sec}");
    let progress = |rows: i64| bar.set_position(rows.unsigned_abs());
    let moved = match bring_back {
        None => archive.run(years, progress).await,
        Some(None) => archive.bring_back(Back::All, progress).await,
        Some(Some(id)) => archive.bring_back(Back::UnitOf(id), progress).await,
    };
    bar.finish_and_clear();
    tell(&moved?, if bring_back.is_some() { "brought back" } else { "archived" })?;
    let Compared { rows, faults } = compare(&mut *pool.acquire().await?).await?;
    say(format_args!("the archives hold {rows} rows now, and the months of audit_logs that were archived"))?;
    if faults > 0 {
        return Err(format!("{faults} archived rows are not where they should be: run `hims rebuild`").into());
    }
    Ok(())
}

/// Prints what was moved: for each table the number of rows, and the checksum of the rows before and after.
fn tell(moved: &MovedTables, done: &str) -> std::io::Result<()> {
    let mut sum = Moved::default();
    if !moved.is_empty() {
        say(format_args!("{:24} {:>12}  {:16}  {:16}", "table", "rows", "before", "after"))?;
    }
    for (table, of) in moved {
        say(format_args!("{table:24} {:>12}  {}  {}", of.rows, checksum(of.before), checksum(of.after)))?;
        sum.rows += of.rows;
    }
    say(format_args!("{} rows were {done}", sum.rows))
}

/// A sum of hashes as sixteen hexadecimal digits.
fn checksum(sum: i128) -> String {
    format!("{:016x}", sum.rem_euclid(1 << 64))
}
