//! All read tables from a log of a million events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hims_api::{Hospital, Purpose};
use hims_commands::medication::AddMedication;
use hims_commands::{Caller, Password, Request};
use hims_projections::{Rebuild, Target, migrations};
use serde_json::json;

use crate::journey::{EVENTS, Journeys};
use crate::postgres::Postgres;
use crate::report::{Better, Figure, Report};
use crate::workload::rate;
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 2] = ["rebuild", "rebuild-memory"];

/// How many journeys are written at the same time.
const WRITERS: usize = 16;

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    let postgres = Postgres::start().await?;
    // Nothing projects beside the rebuild.
    migrations::up(&postgres.owner(1)).await?;
    let hospital = Hospital::open(&postgres.settings(), Purpose::Inspect).await?;
    seed(&hospital, effort.events).await?;
    let rebuild = Rebuild { store: Arc::clone(&hospital.store), pool: postgres.owner(4) };
    forget_peak()?;
    let before = resident("VmRSS:")?;
    let started = Instant::now();
    let position = rebuild.run(&Target::Swap, |_| ()).await?.position;
    let rate = count(position) / started.elapsed().as_secs_f64();
    let peak = resident("VmHWM:")?;
    let parked: i64 =
        sqlx::query_scalar("select count(*) from hims.projection_failures").fetch_one(&rebuild.pool).await?;
    if parked > 0 {
        return Err(format!("{parked} streams were parked").into());
    }
    let figure = |bench, rate, unit, target| Figure { bench, rate, unit, target, ..Figure::default() };
    report.write(figure("rebuild", rate, "events/s", 57_000.0), Better::More)?;
    println!("{:<20} {before:>10.1} MiB before", "rebuild-memory");
    report.write(figure("rebuild-memory", peak, "MiB", 1_024.0), Better::Less)?;
    rebuild.pool.close().await;
    hospital.close().await;
    postgres.stop().await;
    Ok(())
}

/// Fills the log with patients and what happens to them.
async fn seed(hospital: &Hospital, events: usize) -> Result<(), Failure> {
    hospital.fill_with_demo().await?;
    let system = || Request::of(Caller::system("bench"));
    let medication: AddMedication = serde_json::from_value(json!({"name": "Doxycycline 100 mg oral capsule"}))?;
    let medication = hospital.executor.execute(medication, system()).await?.id;
    let doctor = hospital.login.start("doctor@demo.hims", &Password::new("demo-hims-2026"), None, (None, None)).await?;
    let journeys = Arc::new(Journeys {
        provider: doctor.user_id,
        medication: medication.into(),
        demographics: serde_json::from_value(json!({
            "first_name": "Given", "last_name": "Family", "date_of_birth": "1970-01-01", "gender": "female",
            "phone_primary": "+12125550100", "email": "patient@example.org", "address_line_1": "1 Example Street",
            "city": "New York", "state": "NY", "postal_code": "10001", "preferred_language": "en",
        }))?,
        allergy: serde_json::from_value(json!({
            "allergen_type": "drug", "allergen_name": "Penicillin", "severity": "severe",
            "reaction_description": "Hives",
        }))?,
        // Long over: the doctor has other appointments from today on.
        begin: hospital.executor.now() - chrono::TimeDelta::days(1_000),
    });
    let (next, all) = (Arc::new(AtomicU64::new(0)), u64::try_from(events / EVENTS)?);
    let writers = (0..WRITERS).map(|_| (Arc::clone(&hospital.store), Arc::clone(&journeys), Arc::clone(&next)));
    let started = Instant::now();
    let mut writers: Vec<_> = writers.collect();
    while next.load(Ordering::Relaxed) < all {
        let (_, back) = rate(Duration::from_secs(3), writers, move |(store, journeys, next): Writer| async move {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth < all {
                store.append(journeys.journey(nth)?).await?;
            } else {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok((store, journeys, next))
        })
        .await?;
        writers = back;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{:<20} {events} events were recorded in {seconds:.0} s", "rebuild");
    Ok(())
}

type Writer = (Arc<dyn hims_event_store::EventStore>, Arc<Journeys>, Arc<AtomicU64>);

/// Resets the peak of this process's memory that the kernel keeps.
fn forget_peak() -> Result<(), Failure> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

/// Memory of this process in MiB, as the kernel calls it.
fn resident(name: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|it| it.strip_prefix(name)).ok_or("the kernel does not say")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes / 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "positions stay far below 2^52")]
fn count(position: i64) -> f64 {
    position as f64
}
