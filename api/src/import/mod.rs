//! `hims import fhir`: brings FHIR R4 bundles (<https://hl7.org/fhir/R4/bundle.html>) into the record. The folder
//! `interactions` imports drug interactions, apart from the rest.
//!
//! - `files` lists the files, `documents` reads what they hold. `resources` and `datatypes` are the elements of FHIR
//!   that are read; `unread` lists all others, and `kept` those that the record cannot keep. `meaning` refuses what may
//!   mean something else than the record would say.
//! - `gather` holds each resource once, with the `references` between the resources. `identity` and `persons` tell who
//!   is the same; `choice` takes what is current, `calendar` reads times.
//! - One file for each resource: `organization`, `practitioner`, `patient`, `allergy` (with `negation`), `encounter`,
//!   `condition`, `treatment` (procedures and care plans), `vital_signs` (with `measurement` and `units`), the folder
//!   `laboratory` (reports and observations), `history` (immunizations and tobacco), `medication`, `medication_request`
//!   (with `dosage` and `regimen`), `claim` and `benefit`; `insurance` reads from claims which payer paid for whom.
//!   `money` enters bills and claims, whatever files they come from.
//! - `writer` executes the commands, many at once; `summary` says what became of every resource, and `reason` why a
//!   resource was skipped.
//! - `synthea` is `hims import synthea-csv`, which brings the CSV files of Synthea the same way.
//! - `lab_tests` is `hims import lab-tests`, which brings a catalogue of laboratory tests.
//!
//! A stream has the id of its resource, or an id that is derived from the resource. A resource whose stream is in the
//! log already is compared with the record and not written again, so a second run adds nothing. Deliberately absent:
//! changing the values of a record to those of a newer file, and guessing who saw a patient.

mod allergy;
mod benefit;
mod calendar;
mod choice;
mod claim;
mod condition;
mod datatypes;
mod documents;
mod dosage;
mod encounter;
mod files;
mod first_seen;
mod gather;
mod history;
mod identity;
mod insurance;
mod interactions;
mod kept;
mod lab_tests;
mod laboratory;
mod meaning;
mod measurement;
mod medication;
mod medication_request;
mod money;
mod negation;
mod organization;
mod patient;
mod persons;
mod practitioner;
mod progress;
mod reason;
mod references;
mod regimen;
mod resources;
mod run;
mod summary;
mod synthea;
mod treatment;
mod units;
mod unread;
mod vital_signs;
mod writer;

#[cfg(test)]
mod tests;

pub use interactions::{InteractionSummary, import_interactions};
pub use lab_tests::{LabTests, import_lab_tests};
pub use progress::{Progress, Silent};
pub use reason::Reason;
pub use run::{ImportError, Settings, import_fhir};
pub use summary::{Broken, Counts, Place, Summary};
pub use synthea::import_synthea_csv;
