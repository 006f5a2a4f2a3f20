use std::path::PathBuf;
use std::sync::Arc;

use chrono_tz::Tz;
use futures::FutureExt;
use futures::future::BoxFuture;
use hims_commands::{Executor, Failure, role_id};
use hims_domain::role::Role;
use thiserror::Error;

use super::calendar::Calendar;
use super::first_seen::FirstSeen;
use super::gather::{Found, Gathered};
use super::laboratory::{self, Laboratory};
use super::persons::Persons;
use super::progress::Progress;
use super::reason::Reason;
use super::summary::{Fate, Place, Summary};
use super::treatment::Activities;
use super::writer::{Step, Steps, Stop, Writer};
use super::{
    allergy, benefit, claim, condition, encounter, files, history, insurance, medication, medication_request,
    organization, patient, practitioner, treatment, vital_signs,
};

/// What an import needs to know and the files do not contain.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The time zone of the departments (IANA).
    pub time_zone: Tz,
    /// The server of resources that name none, as the base of its addresses, such as `https://example.org/fhir`.
    pub server: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { time_zone: Tz::America__New_York, server: None }
    }
}

/// Why an import ended early. Imported resources stay, and a second run continues from there.
#[derive(Debug, Clone, Error)]
pub enum ImportError {
    /// The roles that every hospital begins with are missing.
    #[error("the role doctor is not defined; start the server once, which defines the roles")]
    NotSetUp,
    /// The log did not answer, or a command failed without a refusal.
    #[error(transparent)]
    Log(Failure),
}

/// Imports the resources of some files, and of all files with JSON in some folders.
///
/// A file that cannot be read does not stop the import; [`Summary::is_complete`] tells whether there was such a file.
///
/// # Errors
/// When the hospital is not set up, or the log does not answer.
pub async fn import_fhir(
    executor: &Arc<Executor>,
    paths: &[PathBuf],
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Summary, ImportError> {
    check_set_up(executor).await?;
    let mut summary = Summary::default();
    let gathered = gather(paths, settings, &mut summary, progress).await;
    let calendar = Calendar { zone: settings.time_zone, now: executor.now() };
    let persons = Persons::of(executor, &gathered, &calendar, progress).await?;
    let writer = Writer::new(executor, settings, calendar, persons);
    write(&writer, &gathered, &mut summary, progress).await?;
    write_deaths(&writer, &gathered, &mut summary, progress).await?;
    Ok(summary)
}

/// Checks that the hospital has the roles that every hospital begins with.
pub(super) async fn check_set_up(executor: &Executor) -> Result<(), ImportError> {
    let doctor = executor.load::<Role>(role_id(practitioner::ROLE).0, true).await.map_err(ImportError::Log)?;
    if doctor.state.is_none() { Err(ImportError::NotSetUp) } else { Ok(()) }
}

/// Reads the files one after the other, on threads that may block.
async fn gather(paths: &[PathBuf], settings: &Settings, summary: &mut Summary, progress: &dyn Progress) -> Gathered {
    let mut gathered = Gathered::of(settings.server.as_deref());
    let listed = files::list(paths);
    summary.broken = listed.broken;
    summary.passed_over = listed.passed_over;
    progress.begin("files", u64::try_from(listed.files.len()).unwrap_or(u64::MAX));
    for path in listed.files {
        let read = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || files::read(&path)).await
        };
        match read.unwrap_or_else(|_| Err(files::abandoned(&path))) {
            Ok(documents) => {
                summary.files += u64::from(documents.problems.is_empty());
                gathered.add(&documents, summary);
                summary.broken.extend(documents.problems.into_iter().map(|problem| files::broken(&path, problem)));
            }
            Err(broken) => summary.broken.push(broken),
        }
        progress.advance();
    }
    gathered.settle();
    gathered
}

/// Writes the resources type by type. A type comes after the types that its resources refer to. Only deaths are left to
/// [`write_deaths`].
pub(super) async fn write(
    writer: &Writer<'_>,
    gathered: &Gathered,
    summary: &mut Summary,
    progress: &dyn Progress,
) -> Result<(), ImportError> {
    let seen = &FirstSeen::of(gathered, &writer.calendar);
    for level in organization::by_depth(gathered) {
        let steps = one_each(level, |it| organization::import(writer, gathered, seen, it).boxed());
        writer.take("Organization", steps, (summary, progress)).await?;
    }
    let addresses = &practitioner::addresses(gathered, &writer.calendar);
    let steps = one_each(gathered.practitioners.all(), |it| practitioner::import(writer, addresses, seen, it).boxed());
    writer.take("Practitioner", steps, (summary, progress)).await?;
    for role in gathered.roles.iter() {
        summary.count("PractitionerRole", role.places.clone(), Fate::Skipped(Reason::LeadsToPractitioner));
    }
    let steps = one_each(gathered.patients.all(), |it| patient::import(writer, seen, it).boxed());
    writer.take("Patient", steps, (summary, progress)).await?;
    let groups = allergy::by_patient(writer, gathered).into_iter();
    let steps = groups.map(|(patient, allergies)| allergy::import(writer, gathered, patient, allergies).boxed());
    writer.take("AllergyIntolerance", Box::new(steps), (summary, progress)).await?;
    let steps = one_each(gathered.encounters.all(), |it| encounter::import(writer, gathered, it).boxed());
    writer.take("Encounter", steps, (summary, progress)).await?;
    let groups = condition::by_encounter(writer, gathered).into_iter();
    let steps =
        groups.map(|(encounter, conditions)| condition::import(writer, gathered, encounter, conditions).boxed());
    writer.take("Condition", Box::new(steps), (summary, progress)).await?;
    let steps = one_each(gathered.procedures.all(), |it| treatment::procedure(writer, gathered, it).boxed());
    writer.take("Procedure", steps, (summary, progress)).await?;
    let activities = Activities::default();
    let steps =
        one_each(gathered.care_plans.all(), |it| treatment::care_plan(writer, gathered, it, &activities).boxed());
    writer.take("CarePlan", steps, (summary, progress)).await?;
    for (places, reason) in activities.into_skipped() {
        summary.count("CarePlan.activity", places, Fate::Skipped(reason));
    }
    let laboratory = Laboratory::of(writer, gathered, summary);
    let rows = vital_signs::by_moment(writer, gathered, &laboratory.observations, summary).into_iter();
    let steps = rows.map(|(moment, row)| vital_signs::import(writer, moment, row).boxed());
    writer.take("Observation", Box::new(steps), (summary, progress)).await?;
    laboratory::write(writer, laboratory, (&mut *summary, progress)).await?;
    let tobacco = gathered.observations.iter().filter(|it| history::is_about_tobacco(&it.resource)).collect();
    let steps = one_each(tobacco, |it| history::tobacco(writer, gathered, it).boxed());
    writer.take("Observation", steps, (summary, progress)).await?;
    let steps = one_each(gathered.immunizations.all(), |it| history::immunization(writer, gathered, it).boxed());
    writer.take("Immunization", steps, (summary, progress)).await?;
    let products = medication::products(gathered, summary).into_values();
    let steps = products.map(|product| medication::import(writer, product).boxed());
    writer.take("Medication", Box::new(steps), (summary, progress)).await?;
    let groups = medication_request::by_patient(writer, gathered).into_values();
    let steps = groups.map(|requests| medication_request::import(writer, gathered, requests).boxed());
    writer.take("MedicationRequest", Box::new(steps), (summary, progress)).await?;
    let runs = insurance::runs(gathered, &writer.calendar);
    let payers: Vec<_> = insurance::payers(&runs).into_values().collect();
    let steps = payers.iter().map(|(name, since)| {
        let payer = insurance::Described { id: None, name, phone: None, address: None, since: Some(*since) };
        single(Vec::new(), insurance::import_payer(writer, payer).boxed())
    });
    writer.take("Payer", Box::new(steps), (summary, progress)).await?;
    let steps = runs.into_iter().map(|(patient, runs)| insurance::import_policies(writer, patient, runs).boxed());
    writer.take("Coverage", Box::new(steps), (summary, progress)).await?;
    let groups = claim::by_patient(writer, gathered).into_values();
    let steps = groups.map(|claims| claim::import(writer, gathered, claims).boxed());
    writer.take("Claim", Box::new(steps), (summary, progress)).await?;
    let steps = one_each(gathered.benefits.all(), |it| benefit::import(writer, gathered, it).boxed());
    writer.take("ExplanationOfBenefit", steps, (summary, progress)).await
}

/// Records who died. This comes last: nothing is prescribed or ordered for a patient who died.
pub(super) async fn write_deaths(
    writer: &Writer<'_>,
    gathered: &Gathered,
    summary: &mut Summary,
    progress: &dyn Progress,
) -> Result<(), ImportError> {
    let died = gathered.patients.iter().filter(|it| it.resource.deceased_date_time.is_some());
    let died: Vec<_> = died.collect();
    // The patients were counted when they were registered.
    let steps = died.into_iter().map(|it| single(Vec::new(), patient::import_death(writer, it).boxed()));
    writer.take("Patient", Box::new(steps), (summary, progress)).await
}

/// One step for each resource.
fn one_each<'s, R: Sync>(
    resources: Vec<&'s Found<R>>,
    import: impl Fn(&'s Found<R>) -> BoxFuture<'s, Result<Fate, Stop>> + Send + 's,
) -> Steps<'s> {
    Box::new(resources.into_iter().map(move |it| single(it.places.clone(), import(it))))
}

/// A step that imports a single resource, whose copies stand in these places.
pub(super) fn single(places: Vec<Place>, fate: BoxFuture<'_, Result<Fate, Stop>>) -> BoxFuture<'_, Step> {
    fate.map(move |fate| vec![(places, fate)]).boxed()
}
