//! `hims import synthea-csv`: brings the CSV files of an export of Synthea into the record
//! (<https://github.com/synthetichealth/synthea/wiki/CSV-File-Data-Dictionary>).
//!
//! `files` and `record` read the files row by row. `export` holds the rows as FHIR resources, so that they go the way
//! of `hims import fhir` from there: one file for the rows of each kind makes the resources (`people`, `staff`, `visits`,
//! `chart`, `conditions`, `treatments`, `observations`, `medications`). What FHIR has no place for goes its own way:
//! `insurance`, `claims` (which `billing` enters), `devices` and `supplies`.
//!
//! A row without an id has one that is derived from what the row says, so a second run adds nothing. Deliberately
//! absent: stock, which the export uses but never receives.

mod billing;
mod chart;
mod claims;
mod conditions;
mod devices;
mod export;
mod files;
mod insurance;
mod medications;
mod observations;
mod people;
mod record;
mod staff;
mod supplies;
mod treatments;
mod values;
mod visits;

use std::path::Path;
use std::sync::Arc;

use hims_commands::Executor;

use self::export::Export;
use self::files::Folder;
use super::calendar::Calendar;
use super::persons::Persons;
use super::progress::Progress;
use super::run::{self, ImportError, Settings};
use super::summary::Summary;
use super::writer::Writer;

/// How many files of an export are read.
const FILES: u64 = 18;

/// The file in which the rows stand that become resources of a type.
const NAMES: [(&str, &str); 11] = [
    ("Organization", "organizations"),
    ("Practitioner", "providers"),
    ("Patient", "patients"),
    ("Encounter", "encounters"),
    ("AllergyIntolerance", "allergies"),
    ("Condition", "conditions"),
    ("Procedure", "procedures"),
    ("CarePlan", "careplans"),
    ("Observation", "observations"),
    ("Immunization", "immunizations"),
    ("MedicationRequest", "medications"),
];

/// Imports the CSV files of an export of Synthea in a folder.
///
/// A row that cannot be read is left out and named in the summary, and the rest goes on.
///
/// # Errors
/// When the hospital is not set up, or the log does not answer. Imported rows stay, and a second run continues from
/// there.
pub async fn import_synthea_csv(
    executor: &Arc<Executor>,
    folder: &Path,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Summary, ImportError> {
    run::check_set_up(executor).await?;
    let mut summary = Summary::default();
    progress.begin("files", FILES);
    let mut folder = Folder { path: folder, summary: &mut summary, progress };
    let mut export = Export::read(&mut folder).await;
    let devices = devices::read(&mut folder, &mut export).await;
    let articles = supplies::read(&mut folder).await;
    let payers = insurance::read(&mut folder).await;
    let claims = claims::read(&mut folder).await;
    let gathered = export.gathered(&mut summary);
    let calendar = Calendar { zone: settings.time_zone, now: executor.now() };
    let persons = Persons::of(executor, &gathered, &calendar, progress).await?;
    let writer = Writer::new(executor, settings, calendar, persons);
    run::write(&writer, &gathered, &mut summary, progress).await?;
    devices::write(&writer, &devices, (&mut summary, progress)).await?;
    supplies::write(&writer, &articles, (&mut summary, progress)).await?;
    insurance::write(&writer, &payers, &mut summary, progress).await?;
    billing::write(&writer, &gathered, (&payers, &claims), &mut summary, progress).await?;
    run::write_deaths(&writer, &gathered, &mut summary, progress).await?;
    summary.renamed(&NAMES);
    Ok(summary)
}
