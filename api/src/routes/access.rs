//! Who may read which history: whoever may read the row that the history leads to.

use std::collections::{BTreeMap, HashMap, HashSet};

use hims_domain::Aggregate as _;
use hims_domain::patient::Patient;
use hims_domain::permission::Read;
use hims_event_store::Recorded;
use hims_projections::query::{Comparison, Filter, Wanted};
use hims_projections::{TABLES, Table, query, table_of};
use serde_json::Value;
use uuid::Uuid;

use super::caller::LoggedIn;
use crate::Hospital;
use crate::problem::Problem;

/// Fields that nobody is answered, as the tables do not answer them either.
const SECRETS: [&str; 3] = ["password_hash", "token_hash", "ssn"];
/// What else a patient's history holds, in tables with policies of their own: the table, what the events about it are
/// called, and the fields of other events and of the state that hold it.
const CHILDREN: [(&str, &str, &[&str]); 2] = [
    ("patient_allergies", "patient.allergy", &["allergies", "retired_allergies"]),
    ("patient_identifiers", "patient.identifier", &["identifiers"]),
];
/// What says from where somebody worked; for auditors.
const WHEREABOUTS: [&str; 3] = ["ip", "user_agent", "session_id"];

impl LoggedIn {
    /// Whether the caller may ask for a table at all.
    pub(super) fn may_ask(&self, table: &Table) -> bool {
        table.readers.is_empty() || table.readers.iter().any(|it| self.reads(*it))
    }

    /// Whether the caller may read the whole log, sealed where they may not read the person.
    pub(super) fn is_auditor(&self) -> bool {
        self.reads(Read::AllData) || self.reads(Read::AuditLogs)
    }
}

/// Which streams a caller may read, each looked up once.
pub(super) struct Reading<'a> {
    hospital: &'a Hospital,
    logged_in: &'a LoggedIn,
    known: HashMap<Uuid, bool>,
    children: HashMap<(&'static str, Uuid), bool>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(hospital: &'a Hospital, logged_in: &'a LoggedIn) -> Self {
        Self { hospital, logged_in, known: HashMap::new(), children: HashMap::new() }
    }

    /// Whether the caller may read a stream: they read all data, or the stream's row under row-level security.
    pub(super) async fn may_read(&mut self, stream_type: &str, stream_id: Uuid) -> Result<bool, Problem> {
        if self.logged_in.reads(Read::AllData) {
            return Ok(true);
        }
        if !self.known.contains_key(&stream_id) {
            self.learn(stream_type, vec![stream_id]).await?;
        }
        Ok(self.known.get(&stream_id) == Some(&true))
    }

    /// Looks up at once whether the caller may read the streams of some events.
    pub(super) async fn look_up(&mut self, events: &[Recorded]) -> Result<(), Problem> {
        if self.logged_in.reads(Read::AllData) {
            return Ok(());
        }
        let mut streams: BTreeMap<&str, HashSet<Uuid>> = BTreeMap::new();
        for event in events {
            streams.entry(&event.stream_type).or_default().insert(event.stream_id);
        }
        for (stream_type, ids) in streams {
            self.learn(stream_type, ids.into_iter().collect()).await?;
        }
        Ok(())
    }

    async fn learn(&mut self, stream_type: &str, ids: Vec<Uuid>) -> Result<(), Problem> {
        let visible = match table_of(stream_type).filter(|it| self.logged_in.may_ask(it)) {
            Some(table) => {
                let who = self.logged_in.identity();
                self.hospital.readers.read(async |db| query::visible(db, table, &ids, &who).await).await?
            }
            None => HashSet::new(),
        };
        self.known.extend(ids.into_iter().map(|it| (it, visible.contains(&it))));
        Ok(())
    }

    /// Takes out of opened data what the caller may not read in the tables either: null where that is everything.
    pub(super) async fn withhold(
        &mut self,
        event_or_stream: &str,
        stream_id: Uuid,
        data: &mut Value,
    ) -> Result<(), Problem> {
        remove(data, &SECRETS);
        if event_or_stream.split('.').next() != Some(Patient::STREAM) {
            return Ok(());
        }
        for (table, event, fields) in CHILDREN {
            if self.may_read_children(table, stream_id).await? {
                continue;
            }
            if event_or_stream.starts_with(event) {
                *data = Value::Null;
            } else {
                remove(data, fields);
            }
        }
        Ok(())
    }

    /// Whether a table shows the caller any of what it has of a patient. Where it shows nothing, there is nothing, or
    /// nothing for this caller.
    async fn may_read_children(&mut self, table: &'static str, patient_id: Uuid) -> Result<bool, Problem> {
        if self.logged_in.reads(Read::AllData) {
            return Ok(true);
        }
        if let Some(known) = self.children.get(&(table, patient_id)) {
            return Ok(*known);
        }
        let found = TABLES.iter().find(|it| it.name == table).filter(|it| self.logged_in.may_ask(it));
        let may = match found.and_then(|it| Some((it, it.column("patient_id")?))) {
            Some((table, column)) => {
                let of_patient = Filter { column, comparison: Comparison::Equal, value: patient_id.to_string() };
                let wanted = Wanted { filters: vec![of_patient], limit: 1, ..Wanted::default() };
                let who = self.logged_in.identity();
                let shape = self.hospital.shape();
                let reading = async |db: &mut _| query::page(db, table, shape, &wanted, &who).await;
                let page = self.hospital.readers.read(reading).await?;
                !page.items.is_empty()
            }
            None => false,
        };
        self.children.insert((table, patient_id), may);
        Ok(may)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hims_domain::for_each_aggregate;

    use super::*;

    /// The tables whose rows are streams of their own.
    fn tables_of_streams() -> BTreeSet<&'static str> {
        let mut tables = BTreeSet::new();
        macro_rules! add {
            ($aggregate:ty) => {
                tables.extend(table_of(<$aggregate>::STREAM).map(|it| it.name));
            };
        }
        for_each_aggregate!(add);
        tables
    }

    #[test]
    fn every_table_that_holds_a_part_of_a_patients_history_is_withheld_like_it() {
        let streams = tables_of_streams();
        assert!(streams.contains("patients") && streams.contains("vital_signs"), "{streams:?}");
        let parts = TABLES.iter().filter(|it| it.column("patient_id").is_some() && !streams.contains(it.name));
        let parts: BTreeSet<_> = parts.map(|it| it.name).filter(|it| *it != "audit_logs").collect();
        assert_eq!(parts, CHILDREN.iter().map(|it| it.0).collect());
    }

    #[test]
    fn every_column_that_is_never_answered_is_a_secret() {
        let hidden = TABLES.iter().flat_map(|it| it.columns).filter(|it| it.hidden).map(|it| it.name);
        // Made by the projection: no event has it.
        let hidden: BTreeSet<_> = hidden.filter(|it| *it != "ssn_blind_index").collect();
        assert_eq!(hidden, SECRETS.into_iter().collect());
    }
}
