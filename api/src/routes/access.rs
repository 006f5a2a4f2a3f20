//! Who may read which history: whoever may read the row that the history leads to.

use std::collections::HashMap;

use hims_projections::{TABLES, Table, query, table_of};
use serde_json::Value;
use uuid::Uuid;

use super::caller::LoggedIn;
use crate::Hospital;
use crate::problem::Problem;

/// Fields that nobody is answered, as the tables do not answer them either.
const SECRETS: [&str; 3] = ["password_hash", "token_hash", "ssn"];
/// What says from where somebody worked; for auditors.
const WHEREABOUTS: [&str; 3] = ["ip", "user_agent", "session_id"];

impl LoggedIn {
    /// Whether the caller may ask for a table at all.
    pub(super) fn may_ask(&self, table: &Table) -> bool {
        table.readers.is_empty() || table.readers.iter().any(|it| self.reads(it))
    }

    /// Whether the caller may read the whole log, sealed where they may not read the person.
    pub(super) fn is_auditor(&self) -> bool {
        self.reads("all_data") || self.reads("audit_logs")
    }
}

/// Which streams a caller may read, each looked up once.
pub(super) struct Reading<'a> {
    hospital: &'a Hospital,
    logged_in: &'a LoggedIn,
    known: HashMap<Uuid, bool>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(hospital: &'a Hospital, logged_in: &'a LoggedIn) -> Self {
        Self { hospital, logged_in, known: HashMap::new() }
    }

    /// Whether the caller may read a stream: they read all data, or the stream's row under row-level security.
    pub(super) async fn may_read(&mut self, stream_type: &str, stream_id: Uuid) -> Result<bool, Problem> {
        if self.logged_in.reads("all_data") {
            return Ok(true);
        }
        if let Some(known) = self.known.get(&stream_id) {
            return Ok(*known);
        }
        let may = match table_of(stream_type).filter(|it| self.logged_in.may_ask(it)) {
            Some(table) => {
                let who = self.logged_in.identity();
                let found =
                    self.hospital.readers.read(async |db| query::find(db, table, stream_id, &who).await).await?;
                found.row.is_some()
            }
            None => false,
        };
        self.known.insert(stream_id, may);
        Ok(may)
    }

    /// Takes out of opened data what the caller may not read in the tables either.
    pub(super) fn withhold(&self, event_or_stream: &str, data: &mut Value) {
        remove(data, &SECRETS);
        let allergies = TABLES.iter().find(|it| it.name == "patient_allergies");
        if allergies.is_some_and(|it| self.logged_in.may_ask(it)) {
            return;
        }
        if event_or_stream.starts_with("patient.allergy") {
            *data = Value::Null;
        } else if event_or_stream == "patient" {
            remove(data, &["allergies", "retired_allergies"]);
        }
    }

    /// The circumstances as the caller may know them.
    pub(super) fn circumstances(&self, mut metadata: Value) -> Value {
        if !self.logged_in.is_auditor() {
            remove(&mut metadata, &WHEREABOUTS);
        }
        metadata
    }
}

/// Removes fields wherever they stand.
fn remove(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !names.contains(&name.as_str()));
            fields.values_mut().for_each(|it| remove(it, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|it| remove(it, names)),
        _ => {}
    }
}
