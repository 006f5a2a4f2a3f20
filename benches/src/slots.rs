//! The free slots of providers over a year of bookings, as the server reads them.

use std::time::Instant;

use chrono::{DateTime, Days, NaiveDate, Utc};
use hims_projections::migrations;
use hims_projections::query::{self, Identity, Moment, SlotsWanted};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgPool};
use uuid::Uuid;

use crate::postgres::Postgres;
use crate::report::{Better, Figure, Report};
use crate::workload::percentile;
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 1] = ["slots"];

/// How long a search may take, in milliseconds.
const TARGET: f64 = 20.0;
/// How often each search is done, by effort. Fewer samples have no 99th percentile.
const SAMPLES: usize = 100;
/// Searches that are done before, and not counted.
const WARMING_UP: usize = 10;
/// How many providers there are, in one department.
const PROVIDERS: u32 = 20;

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    let postgres = Postgres::start().await?;
    let owner = postgres.owner(1);
    migrations::up(&owner).await?;
    owner.close().await;
    let superuser = postgres.superuser(1);
    let mut db = superuser.acquire().await?;
    let sql = include_str!("slots.sql").replace("{providers}", &PROVIDERS.to_string());
    let mut transaction = db.begin().await?;
    transaction.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    transaction.commit().await?;
    db.execute("vacuum (analyze)").await?;
    drop(db);
    superuser.close().await;
    let readers = postgres.readers(1);
    search(report, &readers, SAMPLES * effort.rounds).await?;
    readers.close().await;
    postgres.stop().await;
    Ok(())
}

/// The key of a row, as `slots.sql` makes it.
fn key(kind: u128, nth: u32) -> Uuid {
    Uuid::from_u128((kind << 96) | (0x7000_8000 << 48) | u128::from(nth))
}

/// Searches slots of a provider and of the department, each time from another day of the year on.
async fn search(report: &Report, readers: &PgPool, samples: usize) -> Result<(), Failure> {
    let mut db = readers.acquire().await?;
    let today: NaiveDate = sqlx::query_scalar("select current_date").fetch_one(&mut *db).await?;
    let now: DateTime<Utc> = sqlx::query_scalar("select now()").fetch_one(&mut *db).await?;
    let who = Identity { user_id: Some(key(3, 0)), ..Identity::default() };
    for (part, days, duration, is_of_one) in [
        ("a provider, two weeks", 14, None, true),
        ("a provider, two months, an hour", 62, Some(60), true),
        ("a department, two weeks", 14, None, false),
        ("a department, a month, half an hour", 31, Some(30), false),
    ] {
        let mut latencies = Vec::with_capacity(samples);
        for nth in 0..u32::try_from(samples + WARMING_UP)? {
            let from = today + Days::new(u64::from(nth * 37 % 300));
            let wanted = SlotsWanted {
                provider_id: is_of_one.then(|| key(3, nth % PROVIDERS)),
                department_id: Some(key(2, 0)),
                from: Moment::Day(from),
                to: Moment::Day(from + Days::new(days)),
                duration,
                appointment_type: None,
                patient_id: None,
                now,
                limit: 100,
            };
            let asked = Instant::now();
            query::free_slots(&mut db, &wanted, &who).await?;
            if usize::try_from(nth)? >= WARMING_UP {
                latencies.push(asked.elapsed());
            }
        }
        let (rate, median) = (percentile(&mut latencies, 99), Some(percentile(&mut latencies, 50)));
        let figure = Figure { bench: NAMES[0], part: Some(part), rate, unit: "ms", median, ..Figure::default() };
        report.write(Figure { target: TARGET, ..figure }, Better::Less)?;
    }
    Ok(())
}
