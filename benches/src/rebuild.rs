//! All read tables from a log of a million events, alone and beside a server that answers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hims_api::{Hospital, Purpose};
use hims_commands::medication::AddMedication;
use hims_commands::{Caller, Password, Request};
use hims_projections::{Rebuild, Target, migrations};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::http::{Caller as Visitor, callers, head, posts};
use crate::journey::{EVENTS, Journeys};
use crate::postgres::Postgres;
use crate::report::{Better, Figure, Report};
use crate::server::Server;
use crate::workload::{Compared, open_loop, percentile, rate};
use crate::{Effort, Failure};

pub(crate) const NAMES: [&str; 4] = ["rebuild", "rebuild-memory", "rebuild-commands", "rebuild-reads"];

/// How many journeys are written at the same time.
const WRITERS: usize = 16;
/// How many commands, and how many reads, are due per second beside the rebuild.
const PER_SECOND: u32 = 100;

pub(crate) async fn run(effort: Effort, report: &Report) -> Result<(), Failure> {
    let postgres = Postgres::start().await?;
    // Nothing projects beside the rebuild.
    migrations::up(&postgres.owner(1)).await?;
    let hospital = Hospital::open(&postgres.settings(), Purpose::Inspect).await?;
    seed(&hospital, effort.events).await?;
    let owner = postgres.owner(4);
    let rebuild = Rebuild::new(Arc::clone(&hospital.store), owner.clone());
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
    if report.wants(&NAMES[2..]) {
        beside(effort, report, &postgres).await?;
    }
    owner.close().await;
    hospital.close().await;
    postgres.stop().await;
    Ok(())
}

/// How long commands and reads take while the tables are rebuilt, against the same before.
async fn beside(effort: Effort, report: &Report, postgres: &Postgres) -> Result<(), Failure> {
    let server = Server::start(postgres.settings()).await?;
    let reads = server.patients.iter().map(|it| head("GET", &format!("/api/v1/patients/{it}"), &server.token) + "\r\n");
    let reads = callers(&server, reads.map(String::into_bytes).collect(), 200).await?;
    let both = [Free::new(callers(&server, posts(&server), 201).await?), Free::new(reads)];
    // The first turn is to warm up.
    answered(&both, effort.time * 4).await?;
    let before = answered(&both, effort.time * 16).await?;
    let mut beside = [Vec::new(), Vec::new()];
    let rebuilding = rebuild_apart(postgres);
    while !rebuilding.is_finished() {
        for (all, more) in beside.iter_mut().zip(answered(&both, Duration::from_secs(1)).await?) {
            all.extend(more);
        }
    }
    rebuilding.join().map_err(|_| "the rebuild panicked")??;
    for (bench, (mut before, mut beside)) in NAMES[2..].iter().zip(before.into_iter().zip(beside)) {
        let compared = Compared { rate: percentile(&mut beside, 99), floor: percentile(&mut before, 99) };
        let median = Some(percentile(&mut beside, 50));
        report.write(Figure { median, ..compared.figure(bench, "ms", 1.5) }, Better::Less)?;
    }
    server.stop().await;
    Ok(())
}

/// Rebuilds the tables on threads of its own, as the program `hims rebuild` does.
fn rebuild_apart(postgres: &Postgres) -> JoinHandle<Result<(), Failure>> {
    let settings = postgres.settings();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async move {
            let hospital = Hospital::open(&settings, Purpose::Inspect).await?;
            let rebuild = Rebuild::new(Arc::clone(&hospital.store), hospital.owner.clone());
            rebuild.run(&Target::Swap, |_| ()).await?;
            hospital.close().await;
            Ok(())
        })
    })
}

/// Connections, used in turns, since the server closes those that are not used. A request that finds none waits for one,
/// which counts.
struct Free {
    places: Semaphore,
    callers: Mutex<VecDeque<Visitor>>,
}

impl Free {
    fn new(callers: Vec<Visitor>) -> Arc<Self> {
        Arc::new(Self { places: Semaphore::new(callers.len()), callers: Mutex::new(callers.into()) })
    }

    async fn send(&self) -> Result<(), Failure> {
        let _place = self.places.acquire().await?;
        let caller = self.callers.lock().map_err(|_| LOST)?.pop_front().ok_or(LOST)?;
        let caller = caller.send().await?;
        self.callers.lock().map_err(|_| LOST)?.push_back(caller);
        Ok(())
    }
}

const LOST: &str = "a connection was lost";

/// How long the commands and the reads take that are due meanwhile.
async fn answered([commands, reads]: &[Arc<Free>; 2], time: Duration) -> Result<[Vec<Duration>; 2], Failure> {
    let due = |free: &Arc<Free>| {
        let free = Arc::clone(free);
        open_loop(PER_SECOND, time, move || {
            let free = Arc::clone(&free);
            async move { free.send().await }
        })
    };
    let (commands, reads) = tokio::try_join!(due(commands), due(reads))?;
    Ok([commands, reads])
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
pub(crate) fn forget_peak() -> Result<(), Failure> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

/// Memory of this process in MiB, as the kernel calls it.
pub(crate) fn resident(name: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|it| it.strip_prefix(name)).ok_or("the kernel does not say")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes / 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "positions stay far below 2^52")]
fn count(position: i64) -> f64 {
    position as f64
}
