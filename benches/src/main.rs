//! What the product does per second, each figure beside a floor that was measured in the same run, so that a slow or a
//! busy machine slows both.
//!
//! `hims-benches [--quick] [NAME…]` runs all, or those that are named:
//!
//! | Name | What is measured | To reach |
//! |---|---|---|
//! | `append-1` | appends to new streams, one caller | once the floor of one connection |
//! | `append-32`, `append-256` | the same, so many callers | 2.35 and 6 times the floor |
//! | `append-open-500`, `-1000`, `-5000` | so many appends due per second, 99th percentile | that of INSERTs due alike |
//! | `append-long` | appends of 256 callers to a log of 20 million events | 0.95 of one of a million |
//! | `append-refused` | the same with half of the requests refused | 0.7 of none refused |
//! | `load-decide-append` | commands on 5,000 streams of 10 events | 2.1 times the floor |
//! | `hot-lot` | commands of 64 callers on one stream, none refused | 0.5 of the floor of one connection |
//! | `vital-signs-http` | `record-vital-signs` over HTTP, 64 connections, everything on | 0.5 of the floor |
//! | `vital-signs-lag` | meanwhile: from the answer until the read tables have it, 99th percentile | under 250 ms |
//! | `row-by-id` | a row over HTTP under row-level security | 0.5 of the same statement without HTTP |
//! | `catalogue` | lists of catalogues over HTTP that are remembered | 2 times the same read from the tables |
//! | `catalogue-redis` | such lists that another node has put into Redis | those read from the tables |
//! | `recorded-row`, `recorded-list` | rows and lists of 50 whose reads are recorded | 0.5 of those that are not |
//! | `recorded-size`, `-wal` | bytes of the database and of the WAL for each of these reads | 3,000 |
//! | `consultation-journey` | consultations of 12 commands over HTTP, 32 doctors, everything on | 0.2 of the floor's twelfth |
//! | `followers-1000`, `-5000` | `record-vital-signs` beside so many event streams | 0.9 and 0.75 of none |
//! | `read-beside-500` | a patient beside 500 event streams of the patient, 99th percentile | under 50 ms |
//! | `daily-lists` | each list of the day with 100,000 and 10,000 patients (`fill.sql`), 99th percentile | under 50 ms |
//! | `generate` | events per second of `hims generate`, at several scales | 40,000 |
//! | `generate-rebuild` | the read tables from these events | 57,000 events/s |
//! | `generate-size` | bytes of the database for each event | |
//! | `generate-memory` | meanwhile: the memory of the program | under 2 GiB |
//! | `generate-append` | appends of 256 callers to the log of such a hospital | 0.9 of the smallest scale |
//! | `generate-commands` | commands of 32 callers there, each on a stream of 10 events | 0.9 of the smallest scale |
//! | `generate-search` | each search and list of Appendix B in such a hospital, 99th percentile | under 50 ms |
//! | `slots` | free slots over a year of bookings, 99th percentile | under 20 ms |
//! | `import-interactions` | a thesaurus of 33,172 pairs of ingredients, until the read tables have it | under 10 s |
//! | `write-prescription` | 10 items against a list of 30 entries, 99th percentile | under 20 ms |
//! | `rebuild`, `rebuild-memory` | all tables from 1,000,000 events | 57,000 events/s, under 1 GiB |
//! | `rebuild-commands`, `-reads` | 100 of each per second beside a rebuild, 99th percentile | 1.5 times those before |
//!
//! The floor: 32 connections, each inserting one event per transaction, prepared, fsync on. In a bench with arrivals
//! (`append-open-…`), requests are due at equal distances, and the time of a request counts from the moment when the
//! request was due, also if the request was sent late.

mod append;
mod catalogue;
mod client;
mod commands;
mod consultation;
mod floor;
mod followers;
mod http;
mod interactions;
mod journey;
mod lists;
mod long_log;
mod postgres;
mod rebuild;
mod redis;
mod report;
mod server;
mod slots;
mod volumes;
mod workload;

use std::process::ExitCode;
use std::time::Duration;

use report::Report;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever went wrong; a bench does not go on.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Rounds, each with the floor beside it; the best of each counts.
    rounds: usize,
    /// How long each measurement of a round lasts.
    time: Duration,
    /// Events of the log that the tables are rebuilt from.
    events: usize,
    /// How long each list is read, in a hospital of so many patients.
    lists: &'static [(u32, Duration)],
    /// The lengths of the log to which is appended.
    lengths: [i64; 2],
    /// The scales of the hospitals that are generated, the smallest first.
    scales: &'static [f64],
}

const FULL: Effort = Effort {
    rounds: 8,
    time: Duration::from_secs(1),
    events: 1_000_000,
    lists: &[(10_000, Duration::from_millis(500)), (100_000, Duration::from_secs(1))],
    lengths: [1_000_000, 20_000_000],
    scales: &[0.01, 0.1, 1.0],
};
const QUICK: Effort = Effort {
    rounds: 4,
    time: Duration::from_millis(400),
    events: 100_000,
    lists: &[(10_000, Duration::from_millis(200))],
    lengths: [10_000, 200_000],
    scales: &[0.01, 0.03],
};

#[tokio::main]
async fn main() -> ExitCode {
    let (options, names): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|it| it.starts_with("--"));
    let effort = if options.iter().any(|it| it == "--quick") { QUICK } else { FULL };
    if let Err(error) = run(effort, Report::of(names)).await {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn run(effort: Effort, report: Report) -> Result<(), Failure> {
    // Spans are made, as in the server, since making them takes time; what they say is thrown away.
    tracing_subscriber::fmt().with_env_filter("info,sqlx=warn").with_writer(std::io::sink).init();
    if report.wants(&append::NAMES) {
        append::run(effort, &report).await?;
    }
    if report.wants(&long_log::NAMES) {
        long_log::run(effort, &report).await?;
    }
    if report.wants(&commands::NAMES) {
        commands::run(effort, &report).await?;
    }
    if report.wants(&http::NAMES) {
        http::run(effort, &report).await?;
    }
    if report.wants(&consultation::NAMES) {
        consultation::run(effort, &report).await?;
    }
    if report.wants(&followers::NAMES) {
        followers::run(effort, &report).await?;
    }
    if report.wants(&lists::NAMES) {
        lists::run(effort, &report).await?;
    }
    if report.wants(&volumes::NAMES) {
        volumes::run(effort, &report).await?;
    }
    if report.wants(&slots::NAMES) {
        slots::run(effort, &report).await?;
    }
    if report.wants(&interactions::NAMES) {
        interactions::run(effort, &report).await?;
    }
    if report.wants(&rebuild::NAMES) {
        rebuild::run(effort, &report).await?;
    }
    Ok(())
}
