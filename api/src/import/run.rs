use std::path::PathBuf;
use std::sync::Arc;

use hims_commands::{Executor, Failure, role_id};
use hims_domain::role::Role;
use thiserror::Error;

use super::first_seen::FirstSeen;
use super::gather::Gathered;
use super::progress::Progress;
use super::providers::Providers;
use super::summary::{Fate, Summary};
use super::writer::{Stop, Writer};
use super::{
    allergy, encounter, files, medication, medication_request, organization, patient, practitioner, vital_signs,
};

/// What the files do not say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The time zone of the departments (IANA).
    pub time_zone: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { time_zone: "America/New_York".to_owned() }
    }
}

/// Why an import ended early. What was imported stays; a second run goes on from there.
#[derive(Debug, Clone, Error)]
pub enum ImportError {
    /// The roles that every hospital begins with are missing.
    #[error("the role of a doctor is not defined; start the server once, which defines it")]
    NotSetUp,
    /// The log did not take what it was given.
    #[error(transparent)]
    Log(Failure),
}

/// Imports the bundles of some files, and of all `.json` files in some folders, with the usual settings.
///
/// A file that cannot be read stops no other: [`Summary::is_complete`] tells.
///
/// # Errors
/// When the hospital is not set up, or the log does not answer.
pub async fn import_fhir(
    executor: &Arc<Executor>,
    paths: &[PathBuf],
    progress: &dyn Progress,
) -> Result<Summary, ImportError> {
    import_fhir_with(executor, paths, &Settings::default(), progress).await
}

/// The same with settings.
///
/// # Errors
/// As [`import_fhir`].
pub async fn import_fhir_with(
    executor: &Arc<Executor>,
    paths: &[PathBuf],
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Summary, ImportError> {
    let doctor = executor.load::<Role>(role_id(practitioner::ROLE).0, true).await.map_err(ImportError::Log)?;
    if doctor.state.is_none() {
        return Err(ImportError::NotSetUp);
    }
    let mut summary = Summary::default();
    let gathered = gather(paths, &mut summary, progress).await;
    let writer = Writer::new(executor, settings);
    write(&writer, &gathered, &mut summary, progress).await?;
    Ok(summary)
}

/// Reads the files one after the other, away from the threads that serve.
async fn gather(paths: &[PathBuf], summary: &mut Summary, progress: &dyn Progress) -> Gathered {
    let mut gathered = Gathered::default();
    let (files, broken) = files::list(paths);
    summary.broken = broken;
    progress.begin("files", u64::try_from(files.len()).unwrap_or(u64::MAX));
    for path in files {
        let read = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || files::read(&path)).await
        };
        match read.unwrap_or_else(|_| Err(files::abandoned(&path))) {
            Ok(entries) => {
                summary.files += 1;
                gathered.add(&entries, summary);
            }
            Err(broken) => summary.broken.push(broken),
        }
        progress.advance();
    }
    gathered
}

/// Writes level by level: what others refer to comes first.
async fn write(
    writer: &Writer<'_>,
    gathered: &Gathered,
    summary: &mut Summary,
    progress: &dyn Progress,
) -> Result<(), ImportError> {
    let seen = &FirstSeen::of(gathered);
    for level in organization::by_depth(gathered) {
        let steps = level.into_iter().map(|it| single(it.copies, organization::import(writer, gathered, seen, it)));
        writer.take("Organization", steps, (summary, progress)).await?;
    }
    let addresses = &practitioner::addresses(gathered);
    let steps = gathered.practitioners.iter();
    let steps = steps.map(|it| single(it.copies, practitioner::import(writer, addresses, seen, it)));
    writer.take("Practitioner", steps, (summary, progress)).await?;
    let steps = gathered.patients.iter().map(|it| single(it.copies, patient::import(writer, seen, it)));
    writer.take("Patient", steps, (summary, progress)).await?;
    let steps = allergy::by_patient(gathered).into_iter();
    let steps = steps.map(|(patient, them)| allergy::import(writer, gathered, patient, them));
    writer.take("AllergyIntolerance", steps, (summary, progress)).await?;
    let providers = &Providers::of(gathered);
    let steps = gathered.encounters.iter();
    let steps = steps.map(|it| single(it.copies, encounter::import(writer, gathered, providers, it)));
    writer.take("Encounter", steps, (summary, progress)).await?;
    let steps = vital_signs::by_moment(gathered, summary).into_iter();
    let steps = steps.map(|(moment, row)| vital_signs::import(writer, moment, row));
    writer.take("Observation", steps, (summary, progress)).await?;
    let steps = medication::products(gathered, summary).into_values();
    let steps = steps.map(|(product, copies)| single(copies, medication::import(writer, product)));
    writer.take("Medication", steps, (summary, progress)).await?;
    let steps = gathered.medication_requests.iter();
    let steps = steps.map(|it| single(it.copies, medication_request::import(writer, gathered, it)));
    writer.take("MedicationRequest", steps, (summary, progress)).await
}

/// A step with a single resource.
async fn single(copies: u64, fate: impl Future<Output = Result<Fate, Stop>>) -> Vec<(u64, Result<Fate, Stop>)> {
    vec![(copies, fate.await)]
}
