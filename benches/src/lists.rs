//! The lists that people read every day, in hospitals of several sizes, as the server reads them.

use std::time::{Duration, Instant};

use hims_benches::daily::{List, Subject, fill, lists};
use hims_projections::migrations;
use hims_projections::query::{self, Shape};
use sqlx::{PgConnection, PgPool};

use crate::postgres::Postgres;
use crate::report::{Better, Figure, Report};
use crate::workload::percentile;
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 1] = ["daily-lists"];

/// How long a page may take, in milliseconds.
const TARGET: f64 = 50.0;

/// Fewer samples have no 99th percentile.
const SAMPLES: usize = 100;

/// Pages that are read before, and not counted.
const WARMING_UP: usize = 10;

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    for &(patients, time) in effort.lists {
        let postgres = Postgres::start().await?;
        let owner = postgres.owner(1);
        migrations::up(&owner).await?;
        owner.close().await;
        let superuser = postgres.superuser(1);
        fill(&mut *superuser.acquire().await?, patients).await?;
        superuser.close().await;
        let readers = postgres.readers(1);
        read_all(report, &readers, patients, time).await?;
        readers.close().await;
        postgres.stop().await;
    }
    Ok(())
}

/// Reads every list for a while, each time about something else.
async fn read_all(report: &Report, readers: &PgPool, patients: u32, time: Duration) -> Result<(), Failure> {
    let mut db = readers.acquire().await?;
    let today = sqlx::query_scalar("select current_date").fetch_one(&mut *db).await?;
    // A step that has no divisor in common with the numbers of rows, so that in time every row is read.
    let about =
        |nth: usize| u32::try_from(nth).map(|nth| Subject { patients, nth: nth.wrapping_mul(7_919) % (1 << 24) });
    for place in 0..lists(about(0)?, today)?.len() {
        let list = |nth| Ok(lists(about(nth)?, today)?.swap_remove(place));
        measure(report, &mut db, (NAMES[0], &format!("of {patients}")), time, list).await?;
    }
    Ok(())
}

/// Reads a list for a while, each time another one of its kind, and reports how long the slowest of a hundred take.
pub(crate) async fn measure(
    report: &Report,
    db: &mut PgConnection,
    (bench, of): (&str, &str),
    time: Duration,
    list: impl Fn(usize) -> Result<List, Failure>,
) -> Result<(), Failure> {
    let (mut latencies, mut name, mut nth) = (Vec::new(), String::new(), 0);
    let started = Instant::now();
    while started.elapsed() < time || latencies.len() < SAMPLES {
        let list = list(nth)?;
        let asked = Instant::now();
        query::page(db, list.table, Shape::Declared, &list.wanted, &list.who).await?;
        // The first pages are to warm up.
        if nth >= WARMING_UP {
            latencies.push(asked.elapsed());
        }
        (name, nth) = (list.name, nth + 1);
    }
    let part = format!("{name}, {of}");
    let (rate, median) = (percentile(&mut latencies, 99), Some(percentile(&mut latencies, 50)));
    let figure = Figure { bench, part: Some(&part), rate, unit: "ms", median, ..Figure::default() };
    Ok(report.write(Figure { target: TARGET, ..figure }, Better::Less)?)
}
