//! What `project` makes of every event that there is: the rows are those that the release says they are.
//!
//! The history is made of the golden files of the events, so it has every event type.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use hims_commands::upcasters;
use hims_event_store::{
    Append, EventStore as _, MasterKey, NewEvent, PgEventStore, PgOptions, Position, StreamAppend, Subject,
};
use hims_projections::{GOLDEN_ROWS, Rebuild, Rebuilt, Target};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::hospital::contents;
use crate::support::{TestDatabase, database};

/// The streams of the history in their order, with the events that others of the same stream follow.
const STREAMS: [(&str, &[&str]); 13] = [
    ("role", &["defined"]),
    ("department", &["opened"]),
    ("user", &["created"]),
    ("room", &["added"]),
    ("patient", &["registered", "allergy_recorded"]),
    ("session", &["started"]),
    ("appointment", &["scheduled"]),
    ("consultation", &["started"]),
    ("vital_signs", &["recorded"]),
    ("medication", &["added"]),
    ("medication_lot", &["received"]),
    ("prescription", &["written"]),
    ("access", &["login_failed"]),
];

/// Fields that name a stream, and which one.
const REFERENCES: [(&str, &str); 16] = [
    ("role_id", "role"),
    ("department_id", "department"),
    ("parent_id", "department"),
    ("user_id", "user"),
    ("provider_id", "user"),
    ("head_user_id", "user"),
    ("reported_by", "user"),
    ("recorded_by", "user"),
    ("room_id", "room"),
    ("location_id", "room"),
    ("patient_id", "patient"),
    ("appointment_id", "appointment"),
    ("consultation_id", "consultation"),
    ("medication_id", "medication"),
    ("lot_id", "medication_lot"),
    ("prescription_id", "prescription"),
];

/// Columns that are sealed with a key of randomness: another text in every history.
const SEALED: [(&str, &str); 1] = [("patients", "ssn")];

/// The role that a user has beside the first.
const OTHER_ROLE: Uuid = Uuid::from_u128(0xFF);

fn stream_id(stream_type: &str) -> Uuid {
    let place = STREAMS.iter().position(|it| it.0 == stream_type).expect("a stream of the history");
    Uuid::from_u128(0x100 + u128::try_from(place).expect("few"))
}

/// A golden file: the event type, the schema version, what happened.
struct Golden {
    event_type: String,
    schema_version: i32,
    data: Value,
}

/// The golden files of a stream type: those that others follow, the first of them once, then the others by their names.
fn golden(stream_type: &str, first: &[&str]) -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/tests/golden");
    let files = std::fs::read_dir(folder).expect("a folder");
    let golden = files.filter_map(|file| {
        let file = file.expect("a file").path();
        let (event_type, version) = file.file_name()?.to_str()?.strip_suffix(".json")?.rsplit_once(".v")?;
        let is_of_stream = event_type.split('.').next() == Some(stream_type);
        is_of_stream.then(|| Golden {
            event_type: event_type.to_owned(),
            schema_version: version.parse().expect("a version"),
            data: serde_json::from_slice(&std::fs::read(&file).expect("a golden file")).expect("JSON"),
        })
    });
    let place = |event_type: &str| first.iter().position(|it| event_type == format!("{stream_type}.{it}"));
    let mut golden: Vec<_> = golden.collect();
    let newest = golden.iter().filter(|it| place(&it.event_type) == Some(0)).map(|it| it.schema_version).max();
    golden.retain(|it| place(&it.event_type) != Some(0) || Some(it.schema_version) == newest);
    golden.sort_by_key(|it| (place(&it.event_type).unwrap_or(usize::MAX), it.event_type.clone(), it.schema_version));
    golden
}

/// Has every reference lead to the stream that is there, and nobody have the same role twice.
fn refer(data: &mut Value) {
    match data {
        Value::Object(fields) => {
            for (name, value) in fields {
                match REFERENCES.iter().find(|it| it.0 == name) {
                    Some((_, stream_type)) if value.is_string() => *value = json!(stream_id(stream_type)),
                    _ if name == "additional_role_ids" => *value = json!([OTHER_ROLE]),
                    _ if name == "corrects" || name == "corrected_by" => *value = json!(stream_id("vital_signs")),
                    _ => refer(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refer),
        _ => {}
    }
}

/// Records the history, each event a second after the one before.
async fn record(database: &TestDatabase, store: &PgEventStore) {
    let mut versions: Vec<(Position, i32)> = Vec::new();
    let append = async |stream_type: &'static str, stream_id, version, event_type: &str, data: Value| {
        let kind = if stream_type == "user" { "user" } else { "patient" };
        let subject = Subject { kind: kind.to_owned(), id: self::stream_id(kind) };
        let event = NewEvent { event_type: event_type.to_owned(), data };
        let personal = event.data.to_string().contains("$personal");
        let stream = StreamAppend::at(stream_type, stream_id, version, [event]);
        let stream = StreamAppend { subject: personal.then_some(subject), ..stream };
        store.append(Append::stream(stream)).await.expect("recorded").last
    };
    for (stream_type, first) in STREAMS {
        for (version, mut golden) in (0..).zip(golden(stream_type, first)) {
            refer(&mut golden.data);
            if golden.event_type == "patient.identifier_added" {
                // Nobody has an identifier twice.
                golden.data["value"] = json!("another");
            }
            if golden.event_type == "role.defined" {
                let mut other = golden.data.clone();
                other["definition"]["name"] = json!("porter");
                append(stream_type, OTHER_ROLE, 0, &golden.event_type, other).await;
            }
            let position = append(stream_type, stream_id(stream_type), version, &golden.event_type, golden.data).await;
            versions.push((position, golden.schema_version));
        }
    }
    let mut db = database.superuser().await;
    let sql = "set session_replication_role = replica;
               update log.events set recorded_at = timestamptz '2026-11-23T10:00:00Z' + position * interval '1 second'";
    sqlx::raw_sql(sql).execute(&mut db).await.expect("a clock of its own");
    for (position, schema_version) in versions {
        let sql = "update log.events set schema_version = $2 where position = $1";
        sqlx::query(sql).bind(position).bind(schema_version).execute(&mut db).await.expect("as it was written then");
    }
}

/// A digest of the rows, in an order that no database's collation changes.
fn digest(rows: &BTreeMap<String, Vec<String>>) -> String {
    let mut lines = BTreeSet::new();
    for (table, rows) in rows {
        for row in rows {
            let mut row: Value = serde_json::from_str(row).expect("a row");
            for (_, column) in SEALED.iter().filter(|it| it.0 == table) {
                row[column] = json!(!row[column].is_null());
            }
            lines.insert(format!("{table} {row}\n"));
        }
    }
    let digest: [u8; 32] = Sha256::digest(lines.into_iter().collect::<String>()).into();
    hims_event_store::chain::hex(&digest)
}

#[tokio::test]
async fn the_rows_of_the_golden_history_are_those_of_this_release() {
    let types = hims_testing::event_types();
    let of_history = STREAMS.iter().flat_map(|(stream, first)| golden(stream, first));
    let of_history = of_history.map(|it| it.event_type).collect();
    assert_eq!(types, of_history, "every event type is in the history: add its stream to STREAMS");
    let database = database().await;
    let writers = database.pool_as("hims_writer");
    let key = MasterKey::new(&[7; 32]).expect("a key");
    let store = PgEventStore::connect(writers, key, upcasters(), PgOptions::default()).await.expect("a log");
    record(&database, &store).await;
    let rebuild = Rebuild { store: Arc::new(store), pool: database.owner.clone() };
    let Rebuilt { position, parked } = rebuild.run(&Target::Swap, |_| {}).await.expect("a rebuild");
    let mut rows = contents(&database.owner, "hims").await;
    assert_eq!(parked, 0, "a reference leads nowhere, see REFERENCES: {:?}", rows["projection_failures"]);
    assert_eq!(usize::try_from(position), Ok(rows["audit_logs"].len()));
    rows.remove("projection_checkpoint");
    let empty: Vec<_> = rows.iter().filter(|it| it.1.is_empty()).map(|it| it.0).collect();
    assert_eq!(empty, ["projection_failures"], "every table has a row");
    assert_eq!(
        GOLDEN_ROWS.last(),
        Some(&digest(&rows).as_str()),
        "`project` gives other rows: add this digest to GOLDEN_ROWS, or replace the last one if no release had it yet"
    );
}
