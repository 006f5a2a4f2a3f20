//! Who may read which history: whoever may read the row that the history leads to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use hims_domain::permission::Read;
use hims_event_store::Recorded;
use hims_projections::query::{Comparison, Filter, Wanted};
use hims_projections::{Part, TABLES, Table, query, table_of};
use serde_json::Value;
use uuid::Uuid;

use super::caller::LoggedIn;
use crate::Hospital;
use crate::problem::Problem;

/// Fields that nobody is answered: the columns that the tables do not answer either.
static SECRETS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let columns = TABLES.iter().flat_map(|it| it.columns);
    columns.filter(|it| it.hidden).map(|it| it.name).collect()
});
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
    parts: HashMap<(&'static str, Uuid), bool>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(hospital: &'a Hospital, logged_in: &'a LoggedIn) -> Self {
        Self { hospital, logged_in, known: HashMap::new(), parts: HashMap::new() }
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
        let stream_type = event_or_stream.split('.').next().unwrap_or_default();
        let parts = TABLES.iter().filter_map(|it| Some((it, it.part.filter(|it| it.stream_type == stream_type)?)));
        for (table, part) in parts {
            if self.may_read_part(table, &part, stream_id).await? {
                continue;
            }
            if event_or_stream.starts_with(part.events) {
                *data = Value::Null;
            } else {
                remove(data, part.fields);
            }
        }
        Ok(())
    }

    /// Whether a table shows the caller any of what it has of a stream. Where it shows nothing, there is nothing, or
    /// nothing for this caller.
    async fn may_read_part(&mut self, table: &'static Table, part: &Part, stream_id: Uuid) -> Result<bool, Problem> {
        if self.logged_in.reads(Read::AllData) {
            return Ok(true);
        }
        if let Some(known) = self.parts.get(&(table.name, stream_id)) {
            return Ok(*known);
        }
        let may = match table.column(part.column).filter(|_| self.logged_in.may_ask(table)) {
            Some(column) => {
                let of_stream = Filter { column, comparison: Comparison::Equal, value: stream_id.to_string() };
                let wanted = Wanted { filters: vec![of_stream], limit: 1, ..Wanted::default() };
                let who = self.logged_in.identity();
                let shape = self.hospital.shape();
                let reading = async |db: &mut _| query::page(db, table, shape, &wanted, &who).await;
                let page = self.hospital.readers.read(reading).await?;
                !page.items.is_empty()
            }
            None => false,
        };
        self.parts.insert((table.name, stream_id), may);
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

    use hims_domain::DomainEvent;

    use super::*;

    /// Whether everybody who may ask for the row of a stream that a table refers to may ask for the table, too.
    fn is_read_like_a_stream(table: &Table) -> bool {
        let columns = table.columns.iter().filter_map(|it| it.name.strip_suffix("_id"));
        let mut streams = columns.filter_map(table_of);
        streams.any(|it| !it.readers.is_empty() && it.readers.iter().all(|it| table.readers.contains(it)))
    }

    #[test]
    fn every_table_that_holds_a_part_of_a_patients_history_is_withheld_like_it() {
        let streams: BTreeSet<_> =
            DomainEvent::STREAMS.iter().filter_map(|it| table_of(it)).map(|it| it.name).collect();
        assert!(streams.contains("patients") && streams.contains("vital_signs"), "{streams:?}");
        let parts = TABLES.iter().filter(|it| {
            let is_about_patients = it.column("patient_id").is_some() && it.name != "audit_logs";
            is_about_patients && !streams.contains(it.name) && !is_read_like_a_stream(it)
        });
        let parts: Vec<_> = parts.map(|it| (it.name, it.part.and_then(|part| it.column(part.column)))).collect();
        assert!(parts.len() >= 2, "{parts:?}");
        assert!(parts.iter().all(|(_, column)| column.is_some_and(|it| it.indexed)), "no part of a history: {parts:?}");
    }

    #[test]
    fn every_column_that_is_never_answered_is_a_secret() {
        let secrets: BTreeSet<_> = SECRETS.iter().copied().collect();
        assert!(secrets.is_superset(&BTreeSet::from(["password_hash", "token_hash", "ssn"])), "{secrets:?}");
        let columns: Vec<_> = TABLES.iter().flat_map(Table::visible).filter(|it| secrets.contains(it.name)).collect();
        assert!(columns.is_empty(), "answered by another table: {columns:?}");
    }
}
