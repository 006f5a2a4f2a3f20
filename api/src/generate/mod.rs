//! `hims generate`: a made-up hospital with the volumes of the schema document's Appendix A, written through the event
//! store.
//!
//! What is there before the first patient is made through commands. The histories of the patients are events of the
//! domain that no command decided; their claims follow from the streams like all others. The same scale, seed and first
//! day give the same hospital, and a second run adds what an interrupted one left out.

mod billing;
mod history;
mod laboratory;
mod notices;
mod people;
mod plan;
mod staff;
mod visits;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hims_commands::Caller;
use hims_domain::{Aggregate as _, department::Department};
use hims_event_store::{EventStore, Recorded};
use hims_projections::{RebuildError, Target};
use thiserror::Error;
use tokio::task::JoinSet;

use self::history::{GENERATOR, History, Hospital as Generated};
use self::plan::{Kind, Plan, ZONE};
use crate::bootstrap::is_of_set_up;
use crate::{Hospital, HospitalError, Purpose, Settings};

/// How many patients' histories are written at the same time. The log writes appends that arrive together in one batch.
const AT_ONCE: usize = 512;

/// The numbers of patients whose histories are looked up together, to see what an earlier run wrote.
const LOOKED_UP: u64 = 20;

/// Why the hospital was not generated.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// The log holds events of another hospital, or of one with another scale or seed.
    #[error(
        "the database holds something else: a hospital is generated only into an empty database, or goes on with the \
         same --scale and --seed before anybody has worked in it; choose another --data-dir or DATABASE_URL"
    )]
    NotEmpty,
    /// A server or another program is at work with the database.
    #[error("another program works with this database: stop the server first, since it would react to what is made up")]
    NotAlone,
    /// The hospital did not open, or a command failed.
    #[error(transparent)]
    Hospital(#[from] HospitalError),
    /// An event was not recorded.
    #[error("a made-up history was not recorded: {0}; run the command again, which goes on where it ended")]
    Append(#[from] hims_event_store::AppendError),
    /// The log did not answer.
    #[error(transparent)]
    Store(#[from] hims_event_store::StoreError),
    /// The read tables were not made.
    #[error("the events are recorded, but the read tables were not made: {0}; run `hims rebuild`")]
    Rebuild(#[from] RebuildError),
}

/// What is told while a hospital is generated.
pub trait Progress: Send + Sync {
    /// A part of the work begins, of so many steps.
    fn begin(&self, what: &'static str, steps: u64);
    /// So many steps are done.
    fn at(&self, steps: u64);
}

/// What was generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The number of patients, those of earlier runs included.
    pub patients: u64,
    /// The number of events that this run recorded.
    pub events: i64,
    /// The last position of the log.
    pub position: i64,
}

/// Generates a hospital. `scale` 1 gives 100,000 patients and everything else in proportion.
///
/// # Errors
/// When the database holds anything else, another program works with it, or does not answer.
pub async fn generate(
    settings: &Settings,
    scale: f64,
    seed: u64,
    progress: &(dyn Progress + 'static),
) -> Result<Summary, GenerateError> {
    let hospital = Hospital::open(settings, Purpose::Work).await?;
    let set_up = begin(&hospital, scale, seed, progress).await;
    hospital.close().await;
    let (generated, before) = set_up?;
    // From here on, nothing projects beside the log: the tables are made from the whole log at the end.
    let hospital = Hospital::open(settings, Purpose::Inspect).await?;
    let written = go_on(&hospital, &Arc::new(generated), before, progress).await;
    hospital.close().await;
    written
}

/// Makes what is there before the first patient. Answers the plan, and where the log ended before.
async fn begin(
    hospital: &Hospital,
    scale: f64,
    seed: u64,
    progress: &dyn Progress,
) -> Result<(Generated, i64), GenerateError> {
    if !hospital.is_alone().await? {
        return Err(GenerateError::NotAlone);
    }
    let now = hospital.executor.now();
    let mut plan = Plan::new(scale, seed, now.with_timezone(&ZONE).date_naive());
    let before = *hospital.store.head().borrow();
    // The hospital of an earlier run keeps the day on which that run began.
    let first = hospital.store.load(plan.id(0, Kind::Department, 0), 0, 1).await?;
    match first.first().filter(|it| it.stream_type == Department::STREAM) {
        Some(first) => plan.today = first.recorded_at.with_timezone(&ZONE).date_naive(),
        None => {
            let all = hospital.store.read(0, 1_000).await?;
            if !all.iter().all(is_of_set_up) {
                return Err(GenerateError::NotEmpty);
            }
        }
    }
    let last = hospital.store.read((before - 1).max(0), 1).await?;
    if !last.iter().all(|it| is_of_set_up(it) || is_generated(it)) {
        return Err(GenerateError::NotEmpty);
    }
    progress.begin("departments, staff and catalogues", 1);
    staff::set_up(hospital, &plan).await?;
    hospital.settle().await;
    progress.at(1);
    Ok((Generated { plan, now, tests: staff::tests()? }, before))
}

fn is_generated(event: &Recorded) -> bool {
    event.circumstances().is_ok_and(|it| it.actor == Caller::system(GENERATOR).actor)
}

/// Writes the histories of the patients and makes the read tables.
async fn go_on(
    hospital: &Hospital,
    generated: &Arc<Generated>,
    before: i64,
    progress: &(dyn Progress + 'static),
) -> Result<Summary, GenerateError> {
    let patients = generated.plan.patients;
    progress.begin("patients", patients);
    let course = Arc::new(Course::default());
    let mut writers = JoinSet::new();
    for _ in 0..AT_ONCE {
        writers.spawn(write(Arc::clone(&hospital.store), Arc::clone(generated), Arc::clone(&course)));
    }
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(200));
    loop {
        tokio::select! {
            ended = writers.join_next() => match ended {
                Some(ended) => ended.map_err(|error| HospitalError::Database(sqlx::Error::Io(error.into())))??,
                None => break,
            },
            _ = ticks.tick() => progress.at(course.written.load(Ordering::Relaxed)),
        }
    }
    let position = *hospital.store.head().borrow();
    progress.begin("events in the read tables", position.unsigned_abs());
    let rebuild = hospital.rebuild();
    rebuild.run(&Target::Swap, |position| progress.at(position.unsigned_abs())).await?;
    Ok(Summary { patients, events: position - before, position })
}

/// How far those who write histories have come together.
#[derive(Default)]
struct Course {
    /// How many patients somebody has begun to look up.
    begun: AtomicU64,
    /// The histories of how many patients are recorded.
    written: AtomicU64,
}

/// Writes histories, some patients at a time, until all are written.
async fn write(
    store: Arc<dyn EventStore>,
    generated: Arc<Generated>,
    course: Arc<Course>,
) -> Result<(), GenerateError> {
    let plan = &generated.plan;
    loop {
        let first = course.begun.fetch_add(LOOKED_UP, Ordering::Relaxed) + 1;
        let some = first..=plan.patients.min(first + LOOKED_UP - 1);
        if some.is_empty() {
            return Ok(());
        }
        let begun = store.versions(&some.clone().flat_map(|nth| plan.moments(nth)).collect::<Vec<_>>()).await?;
        // Patients with one place among those that are looked up together see the same doctors, and no batch of the log
        // books a doctor twice: whoever writes begins at a place of their own.
        let mut some: Vec<_> = some.collect();
        let place = usize::try_from(first / LOOKED_UP).unwrap_or(0) % some.len();
        some.rotate_left(place);
        for nth in some {
            if plan.moments(nth).any(|it| !begun.contains_key(&it)) {
                let missing = History::of(&generated, nth)?.into_iter().zip(plan.moments(nth));
                for (append, _) in missing.filter(|(_, stream)| !begun.contains_key(stream)) {
                    store.append(append).await?;
                }
            }
            course.written.fetch_add(1, Ordering::Relaxed);
        }
    }
}
