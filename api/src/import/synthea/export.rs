//! The rows of an export as FHIR resources, in the form that `hims import fhir` reads.

use std::collections::HashMap;
use std::fmt::Display;

use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::documents::{Documents, Entry};
use super::super::gather::Gathered;
use super::super::references::derived;
use super::super::summary::{Place, Summary};
use super::files::Folder;
use super::values::When;
use super::{chart, conditions, medications, observations, people, staff, treatments, visits};

/// The resources of an export, and what rows need to know of other rows.
#[derive(Default)]
pub(super) struct Export {
    entries: Vec<Entry>,
    /// How many equal rows were read so far, by the id that is derived from the content of the row.
    alike: HashMap<Uuid, u32>,
    /// Who saw the patient in an encounter.
    pub(super) providers: HashMap<Uuid, Uuid>,
    /// The conditions of a patient with a code, each with its beginning.
    pub(super) conditions: HashMap<(Uuid, String), Vec<(When, Uuid)>>,
}

impl Export {
    /// Reads the files. A file comes after the files that its rows need to know.
    pub(super) async fn read(folder: &mut Folder<'_>) -> Self {
        let mut export = Self::default();
        staff::read(folder, &mut export).await;
        people::read(folder, &mut export).await;
        visits::read(folder, &mut export).await;
        chart::read(folder, &mut export).await;
        conditions::read(folder, &mut export).await;
        treatments::read(folder, &mut export).await;
        observations::read(folder, &mut export).await;
        medications::read(folder, &mut export).await;
        export
    }

    /// Adds a resource that a row means.
    pub(super) fn add(&mut self, row: &Place, resource: &Value) {
        // A JSON value can always be written as text.
        let Ok(resource) = to_raw_value(resource) else { return };
        self.entries.push(Entry { place: row.clone(), full_url: None, bundle: None, resource });
    }

    /// The id of a row that has none, derived from what makes the row different from others of its file. Of rows that
    /// say the same, each has its own.
    pub(super) fn id(&mut self, file: &str, parts: &[&dyn Display]) -> Uuid {
        let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
        let first = derived(&format!("synthea|{file}|{}", parts.join("|")));
        let number = self.alike.entry(first).or_default();
        *number += 1;
        if *number == 1 { first } else { derived(&format!("{first}|{number}")) }
    }

    /// All resources, read in the same way as those of FHIR files.
    pub(super) fn gathered(self, summary: &mut Summary) -> Gathered {
        let mut gathered = Gathered::of(None);
        gathered.add(&Documents { entries: self.entries, ..Documents::default() }, summary);
        gathered.settle();
        gathered
    }
}

/// A reference to a resource.
pub(super) fn reference(kind: &str, id: Uuid) -> Value {
    json!({ "reference": format!("{kind}/{id}") })
}

/// A concept with its code and its words.
pub(super) fn concept(system: &str, code: &str, words: &str) -> Value {
    json!({ "coding": [{ "system": system, "code": code.trim() }], "text": words.trim() })
}
