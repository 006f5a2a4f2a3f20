use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono_tz::Tz;
use clap::Subcommand;

use super::log::complain;
use super::{Failure, bar, say};
use crate::{Hospital, Purpose, Settings, import};

#[derive(Debug, Subcommand)]
pub(super) enum Format {
    /// Import FHIR R4 resources
    Fhir {
        /// The files to import (JSON or NDJSON, plain or .gz); of a folder, all such files in it and below it
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// The time zone of the departments (an IANA name), which the files do not contain
        #[arg(long, default_value_t = import::Settings::default().time_zone)]
        time_zone: Tz,
        /// The server of resources that name none: the base of its addresses, such as `https://example.org/fhir`
        #[arg(long)]
        server: Option<String>,
    },
    /// Import the CSV files of an export of Synthea
    SyntheaCsv {
        /// The folder with the files, such as patients.csv
        folder: PathBuf,
        /// The time zone of the departments (an IANA name), which the files do not contain
        #[arg(long, default_value_t = import::Settings::default().time_zone)]
        time_zone: Tz,
    },
    /// Import the thesaurus of drug interactions of the French ANSM
    Interactions {
        /// The folder with the files `ansm_YYYY_MM.json`, `ansm_substances.json` and `ansm_rxnorm_mappings.tsv`
        folder: PathBuf,
    },
    /// Import a catalogue of laboratory tests
    LabTests {
        /// The file with the tests (JSON, plain or .gz), such as catalogue/lab-tests.json
        file: PathBuf,
    },
}

pub(super) async fn import_interactions(settings: &Settings, folder: &Path) -> Result<ExitCode, Failure> {
    let hospital = Hospital::open(settings, Purpose::Work).await?;
    let bar = progress();
    let imported = import::import_interactions(&hospital.executor, folder, &bar).await;
    if imported.is_ok() {
        hospital.settle().await;
    }
    hospital.close().await;
    let summary = imported?;
    say(summary.to_string())?;
    if summary.is_complete() {
        return Ok(ExitCode::SUCCESS);
    }
    complain("not everything could be read; the summary names what could not, and why");
    Ok(ExitCode::FAILURE)
}

pub(super) async fn import_fhir(
    settings: &Settings,
    paths: &[PathBuf],
    about: &import::Settings,
) -> Result<ExitCode, Failure> {
    let hospital = begin(settings).await?;
    let imported = import::import_fhir(&hospital.executor, paths, about, &progress()).await;
    end(hospital, imported).await
}

pub(super) async fn import_synthea_csv(
    settings: &Settings,
    folder: &Path,
    about: &import::Settings,
) -> Result<ExitCode, Failure> {
    let hospital = begin(settings).await?;
    let imported = import::import_synthea_csv(&hospital.executor, folder, about, &progress()).await;
    end(hospital, imported).await
}

/// The bar that shows how far an import is.
fn progress() -> indicatif::ProgressBar {
    bar(Some(0), "{bar:40} {pos}/{len} {msg}")
}

/// Opens a hospital that has the roles which every hospital begins with.
async fn begin(settings: &Settings) -> Result<Hospital, Failure> {
    let hospital = Hospital::open(settings, Purpose::Work).await?;
    hospital.define_roles().await?;
    Ok(hospital)
}

/// Waits until the tables have what was imported, and says what became of the import.
async fn end(hospital: Hospital, imported: Result<import::Summary, import::ImportError>) -> Result<ExitCode, Failure> {
    if imported.is_ok() {
        hospital.settle().await;
    }
    hospital.close().await;
    let summary = imported?;
    say(summary.to_string().trim_end())?;
    if summary.is_complete() {
        return Ok(ExitCode::SUCCESS);
    }
    complain("not everything could be read; the summary names each file or row that could not, and why");
    Ok(ExitCode::FAILURE)
}

pub(super) async fn import_lab_tests(settings: &Settings, file: &Path) -> Result<ExitCode, Failure> {
    let hospital = Hospital::open(settings, Purpose::Work).await?;
    let bar = progress();
    let imported = import::import_lab_tests(&hospital.executor, file, &bar).await;
    if imported.is_ok() {
        hospital.settle().await;
    }
    hospital.close().await;
    let result = imported?;
    say(&result)?;
    if result.problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    complain("not every test could be read; see above");
    Ok(ExitCode::FAILURE)
}
