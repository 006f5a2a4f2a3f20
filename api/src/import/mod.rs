//! `hims import fhir`: brings FHIR R4 bundles (<https://hl7.org/fhir/R4/bundle.html>) into the record.
//!
//! - `files` lists and reads the files, `bundle` and `datatypes` are the parts of FHIR that are read, `gather` holds
//!   each resource once, with the `references` between the resources.
//! - One file for each resource: `organization`, `practitioner`, `patient`, `allergy`, `encounter` (with `providers`),
//!   `vital_signs` (with `measurement`), `medication`, `medication_request` (with `dosage`).
//! - `writer` executes the commands, many at once; `summary` says what became of every resource, and `reason` why a
//!   resource was skipped.
//!
//! A stream has the id of its resource, or an id that is derived from the resource. A resource whose stream is in the
//! log already is not written again, so a second run adds nothing. Deliberately absent: changing the values of a record
//! to those of a newer file.

mod allergy;
mod bundle;
mod datatypes;
mod dosage;
mod encounter;
mod files;
mod first_seen;
mod gather;
mod kept;
mod measurement;
mod medication;
mod medication_request;
mod organization;
mod patient;
mod practitioner;
mod progress;
mod providers;
mod reason;
mod references;
mod run;
mod summary;
mod vital_signs;
mod writer;

#[cfg(test)]
mod tests;

pub use progress::{Progress, Silent};
pub use reason::Reason;
pub use run::{ImportError, Settings, import_fhir};
pub use summary::{Broken, Counts, Summary};
