//! Which streams of events a caller may read: those whose row in a read table the caller may read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use hims_domain::lab_result::LabResult;
use hims_domain::patient::Patient;
use hims_domain::permission::Read;
use hims_domain::{Aggregate as _, PatientId};
use hims_event_store::Recorded;
use hims_projections::query::{Comparison, Filter, QueryError, Wanted};
use hims_projections::{Entries, Part, TABLES, Table, query, table_of};
use serde_json::Value;
use uuid::Uuid;

use super::caller::LoggedIn;
use crate::problem::Problem;
use crate::{Hospital, sight};

/// The names of fields that are never answered: the hidden columns of the read tables, and what is in no table at all.
static SECRETS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let columns = TABLES.iter().flat_map(|it| it.columns);
    columns.filter(|column| column.hidden).map(|column| column.name).chain(IN_NO_TABLE).collect()
});
/// The fields of users that are in no table: the second factor and the passkeys in states, in events the secret and the
/// hashes of recovery codes of the one and the keys of the other, and the hashes of the secrets of service accounts.
const IN_NO_TABLE: [&str; 8] = [
    "second_factor",
    "second_factor_secret",
    "recovery_code_hashes",
    "recovery_code_hash",
    "passkeys",
    "credential",
    "credential_id",
    "client_secret_hash",
];
/// The fields of an event's metadata that say from where somebody worked. Only auditors see these fields.
const WHEREABOUTS: [&str; 3] = ["ip", "user_agent", "session_id"];

/// The words with which all results of the laboratory are read. Patients read their own when these are final.
const ALL_RESULTS: [Read; 3] = [Read::AllData, Read::ClinicalRecords, Read::LabOrders];
/// Words each of which opens every row of the tables that it is for. Who has one reads a part of a stream also when the
/// table has no row about the stream any more: that of the last contact that was removed.
const EVERY_ROW: [Read; 2] = [Read::AllPatients, Read::ClinicalRecords];
/// Streams whose past, and whose alarms, tell patients more than their rows do: values before these were final.
const WITHOUT_A_PAST: [&str; 1] = [LabResult::STREAM];
/// The field of such a stream's state that holds earlier values.
const ALARM: &str = "alarm";

impl LoggedIn {
    /// Whether the caller reads of the stream of an event only how it is now.
    pub(super) fn reads_no_past(&self, event: &Recorded) -> bool {
        if !WITHOUT_A_PAST.contains(&event.stream_type.as_str()) || self.reads_any(&ALL_RESULTS) {
            return false;
        }
        let is_own = subject_of(&event.metadata).is_none_or(|it| self.caller.is_patient(PatientId(it)));
        is_own || !self.reads(Read::AssignedPatients)
    }

    /// Whether the caller may ask for a table at all. Row-level security decides which rows the caller sees.
    pub(super) fn may_ask(&self, table: &Table) -> bool {
        sight::may_ask(&self.caller, table)
    }

    /// Whether the caller may read the whole log. Personal values stay sealed where the caller may not read the person.
    pub(super) fn is_auditor(&self) -> bool {
        self.reads_any(&[Read::AllData, Read::AuditLogs])
    }
}

/// Decides which streams a caller may read, and looks up each stream only once.
pub(super) struct Reading<'a> {
    hospital: &'a Hospital,
    logged_in: &'a LoggedIn,
    /// Whether the caller sees a row, by its id: that of a stream, or of an entry of a stream.
    known: HashMap<Uuid, bool>,
    /// Whether a table shows the caller its part of a stream, by table name and stream id.
    parts: HashMap<(&'static str, Uuid), bool>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(hospital: &'a Hospital, logged_in: &'a LoggedIn) -> Self {
        Self { hospital, logged_in, known: HashMap::new(), parts: HashMap::new() }
    }

    /// Whether the caller may read a stream: the caller sees the stream's row under row-level security, or reads all data
    /// and the record of the patient is not closed to the caller.
    pub(super) async fn may_read(&mut self, stream_type: &str, stream_id: Uuid) -> Result<bool, Problem> {
        if !self.known.contains_key(&stream_id) {
            self.learn(stream_type, vec![stream_id]).await?;
        }
        Ok(self.known.get(&stream_id) == Some(&true))
    }

    /// Looks up, with one query for each stream type, whether the caller may read the streams of some events.
    pub(super) async fn look_up(&mut self, events: &[Recorded]) -> Result<(), Problem> {
        let mut streams: BTreeMap<&str, HashSet<Uuid>> = BTreeMap::new();
        for event in events {
            streams.entry(&event.stream_type).or_default().insert(event.stream_id);
        }
        for (stream_type, ids) in streams {
            self.learn(stream_type, ids.into_iter().collect()).await?;
        }
        Ok(())
    }

    /// Looks up which of these streams the caller sees in the table of the stream type, and remembers the answers.
    async fn learn(&mut self, stream_type: &str, ids: Vec<Uuid>) -> Result<(), Problem> {
        if self.logged_in.reads(Read::AllData) {
            return self.learn_all_but_closed(table_of(stream_type), ids).await;
        }
        match table_of(stream_type).filter(|it| self.logged_in.may_ask(it)) {
            Some(table) => self.look_for(table, ids).await,
            None => {
                self.known.extend(ids.into_iter().map(|it| (it, false)));
                Ok(())
            }
        }
    }

    /// Which of these rows of a table are about patients whose records are closed to the caller.
    pub(super) async fn closed(&self, table: &Table, ids: &[Uuid]) -> Result<HashSet<Uuid>, QueryError> {
        let who = self.logged_in.identity();
        let asked = async |db: &mut _| query::closed_among(db, &[table], ids, &who).await;
        self.hospital.readers.read(table.name, asked).await
    }

    /// Remembers for a caller who reads all data that these streams are open, but for those about patients whose records
    /// are closed to the caller.
    async fn learn_all_but_closed(&mut self, table: Option<&Table>, ids: Vec<Uuid>) -> Result<(), Problem> {
        let closed = match table {
            None => HashSet::new(),
            Some(table) => match self.closed(table, &ids).await {
                // Of a table that is being made, nobody knows what is closed.
                Err(QueryError::Behind(_)) => ids.iter().copied().collect(),
                closed => closed?,
            },
        };
        self.known.extend(ids.into_iter().map(|it| (it, !closed.contains(&it))));
        Ok(())
    }

    /// Looks up which of these rows of a table the caller sees, and remembers the answers. Of a table that is new in this
    /// release the caller sees nothing until a rebuild has made it.
    async fn look_for(&mut self, table: &Table, ids: Vec<Uuid>) -> Result<(), Problem> {
        let who = self.logged_in.identity();
        let visible = match self
            .hospital
            .readers
            .read(table.name, async |db| query::visible(db, &[table], &ids, &who).await)
            .await
        {
            Err(QueryError::Behind(_)) => HashSet::new(),
            visible => visible?,
        };
        self.known.extend(ids.into_iter().map(|it| (it, visible.contains(&it))));
        Ok(())
    }

    /// Removes from opened data what the caller may not read in the read tables either. The data become null if they
    /// consist of nothing else.
    pub(super) async fn withhold(
        &mut self,
        event_or_stream: &str,
        stream_id: Uuid,
        data: &mut Value,
    ) -> Result<(), Problem> {
        remove(data, &SECRETS);
        let stream_type = event_or_stream.split('.').next().unwrap_or_default();
        if !self.logged_in.caller.is_about(stream_id) {
            for narrowed in table_of(stream_type).map_or(&[][..], |table| table.narrowed) {
                if !self.logged_in.reads_any(narrowed.readers) {
                    remove(data, narrowed.columns);
                }
            }
        }
        let parts =
            TABLES.iter().filter_map(|table| Some((table, table.part.filter(|part| part.stream_type == stream_type)?)));
        for (table, part) in parts {
            let is_history = event_or_stream.starts_with(part.events);
            let reads_history = part.history.is_empty() || self.logged_in.reads_any(part.history);
            if self.may_read_part(table, &part, stream_id).await? && (reads_history || !is_history) {
                continue;
            }
            if is_history {
                *data = Value::Null;
            } else {
                remove(data, part.fields);
            }
        }
        if !self.logged_in.reads_any(&[Read::AllData, Read::ClinicalRecords]) {
            for table in TABLES {
                if let Some(entries) = table.entries.filter(|it| it.stream_type == stream_type) {
                    self.withhold_entries(table, &entries, data).await?;
                }
            }
        }
        Ok(())
    }

    /// Removes from a state, or from the data of an event, the entries whose rows the caller does not see.
    async fn withhold_entries(&mut self, table: &Table, entries: &Entries, data: &mut Value) -> Result<(), Problem> {
        let parsed = |id: &str| id.parse::<Uuid>().ok();
        let named = data[entries.id].as_str().and_then(parsed);
        let held = data[entries.field].as_object().into_iter().flatten().filter_map(|(id, _)| parsed(id));
        let ids: Vec<_> = named.into_iter().chain(held).collect();
        let unknown: Vec<_> = ids.into_iter().filter(|it| !self.known.contains_key(it)).collect();
        if !unknown.is_empty() {
            self.look_for(table, unknown).await?;
        }
        let is_shown = |id: Uuid| self.known.get(&id) == Some(&true);
        if let Some(held) = data[entries.field].as_object_mut() {
            held.retain(|id, _| parsed(id).is_some_and(is_shown));
        }
        if named.is_some_and(|id| !is_shown(id)) {
            *data = Value::Null;
        }
        Ok(())
    }

    /// Whether the caller sees every row of a table, or the table shows the caller at least one row about a stream. If
    /// not, the table has no row about the stream, or none that this caller may see.
    async fn may_read_part(&mut self, table: &'static Table, part: &Part, stream_id: Uuid) -> Result<bool, Problem> {
        let opens_every_row = |word: &&Read| EVERY_ROW.contains(word) && self.logged_in.reads(**word);
        if self.logged_in.reads(Read::AllData) || table.readers.iter().any(|word| opens_every_row(&word)) {
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
                match self.hospital.readers.read(table.name, reading).await {
                    Err(QueryError::Behind(_)) => false,
                    page => !page?.items.is_empty(),
                }
            }
            None => false,
        };
        self.parts.insert((table.name, stream_id), may);
        Ok(may)
    }

    /// Without the events that are about patients whose records are closed to the caller, or name such patients, as reads
    /// do: values that were measured, codes and ids are not sealed. Auditors read every event.
    pub(super) async fn open_events(&self, mut events: Vec<Recorded>) -> Result<Vec<Recorded>, Problem> {
        if !self.logged_in.reads(Read::AllData) || self.logged_in.reads(Read::AuditLogs) {
            return Ok(events);
        }
        let Some(patients) = table_of(Patient::STREAM) else { return Ok(events) };
        let named: HashSet<_> = events.iter().flat_map(named_in).collect();
        let closed = self.closed(patients, &Vec::from_iter(named)).await?;
        if !closed.is_empty() {
            events.retain(|it| named_in(it).all(|id| !closed.contains(&id)));
        }
        Ok(events)
    }

    /// The metadata of an event, without the fields that only auditors see.
    pub(super) fn circumstances(&self, mut metadata: Value) -> Value {
        if !self.logged_in.is_auditor() {
            remove(&mut metadata, &WHEREABOUTS);
        }
        metadata
    }
}

/// All ids that an event names, of whatever kind.
fn named_in(event: &Recorded) -> impl Iterator<Item = Uuid> {
    let words = |text| str::split(text, |it: char| !it.is_ascii_hexdigit() && it != '-');
    let texts = words(&event.data).chain(words(&event.metadata));
    texts.filter_map(|it| Uuid::try_parse(it).ok()).chain([event.stream_id])
}

/// The patient whom an event is about, as its metadata say.
fn subject_of(metadata: &str) -> Option<Uuid> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    metadata["subject"]["id"].as_str()?.parse().ok()
}

/// Removes from the state of a stream what only its past tells.
pub(super) fn remove_the_past(state: &mut Value) {
    remove(state, &[ALARM]);
}

/// Removes the fields with these names at any depth.
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

    /// Whether the table refers to a stream whose readers may all ask for this table too.
    fn is_read_like_a_stream(table: &Table) -> bool {
        let columns = table.columns.iter().filter_map(|it| it.name.strip_suffix("_id"));
        let mut streams = columns.filter_map(table_of);
        streams
            .any(|stream| !stream.readers.is_empty() && stream.readers.iter().all(|word| table.readers.contains(word)))
    }

    #[test]
    fn every_table_that_holds_a_part_of_a_patients_history_is_withheld_like_it() {
        let streams: BTreeSet<_> =
            DomainEvent::STREAMS.iter().filter_map(|stream| table_of(stream)).map(|table| table.name).collect();
        assert!(streams.contains("patients") && streams.contains("vital_signs"), "{streams:?}");
        let parts = TABLES.iter().filter(|it| {
            let is_about_patients = it.column("patient_id").is_some() && it.name != "audit_logs";
            // Each recipient of a notification reads the notification and their own row; the addresses of others are
            // narrowed in the notification.
            let is_of_recipients = it.name == "notification_recipients";
            is_about_patients && !streams.contains(it.name) && !is_read_like_a_stream(it) && !is_of_recipients
        });
        let parts: Vec<_> =
            parts.map(|table| (table.name, table.part.and_then(|part| table.column(part.column)))).collect();
        assert!(parts.len() >= 2, "{parts:?}");
        assert!(
            parts.iter().all(|(_, column)| column.is_some_and(|it| it.indexed)),
            "a table declares no `part of`, or its column is not indexed: {parts:?}"
        );
    }

    /// The tables of which patients see only some of the rows about themselves, as the migrations say.
    fn tables_that_show_patients_some_rows_only() -> BTreeSet<&'static str> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let files = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
        let migrations: String = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        let protected = migrations.split("hims_identity.readable('").skip(1);
        let some_only = protected.filter(|it| it.split(';').next().is_some_and(|said| said.contains("'own where ")));
        let names: BTreeSet<_> = some_only.filter_map(|said| said.split('\'').next()).collect();
        TABLES.iter().map(|table| table.name).filter(|name| names.contains(name)).collect()
    }

    #[test]
    fn what_patients_do_not_see_of_their_rows_is_withheld_from_histories_too() {
        let tables = tables_that_show_patients_some_rows_only();
        assert!(tables.contains("diagnoses") && tables.contains("lab_results"), "{tables:?}");
        let own_of = |stream: &str| table_of(stream).map(|table| table.name);
        let entry_ids: Vec<_> = TABLES.iter().filter_map(|table| Some(table.entries?.id)).collect();
        let is_withheld = |table: &Table| {
            let names = |column: &str| table.column(column).is_some();
            let is_a_stream = DomainEvent::STREAMS.iter().any(|stream| own_of(stream) == Some(table.name));
            let is_of_a_stream_without_a_past = WITHOUT_A_PAST.iter().any(|it| names(&format!("{it}_id")));
            // An event that names an entry which the patient does not see is withheld as a whole.
            let is_about_an_entry = entry_ids.iter().any(|it| names(it));
            is_a_stream || table.entries.is_some() || is_of_a_stream_without_a_past || is_about_an_entry
        };
        let shown: Vec<_> = TABLES.iter().filter(|it| tables.contains(it.name) && !is_withheld(it)).collect();
        assert!(shown.is_empty(), "say `entries of …` in the declaration of these tables: {shown:?}");
    }

    #[test]
    fn every_column_that_is_never_answered_is_a_secret() {
        let secrets: BTreeSet<_> = SECRETS.iter().copied().collect();
        assert!(
            secrets.is_superset(&BTreeSet::from(["password_hash", "second_factor_secret", "ssn", "token_hash"])),
            "{secrets:?}"
        );
        let columns: Vec<_> =
            TABLES.iter().flat_map(Table::visible).filter(|column| secrets.contains(column.name)).collect();
        assert!(columns.is_empty(), "another table answers these columns: {columns:?}");
    }
}
