//! The rows that `project` makes of every event type are those that this release names in `GOLDEN_ROWS`.
//!
//! The history consists of the golden files of the events, so every event type occurs in the history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hims_commands::upcasters;
use hims_event_store::{
    Append, EventStore as _, MasterKey, NewEvent, PgEventStore, PgOptions, Position, StreamAppend, Subject,
};
use hims_projections::{GOLDEN_ROWS, Rebuild, Rebuilt, Target};
use hims_testing::{Golden, all, assert_same};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::hospital::contents;
use crate::support::{TestDatabase, database};

/// The stream types of the history in their order, each with the events that come first in its stream.
const STREAMS: [(&str, &[&str]); 48] = [
    ("role", &["defined"]),
    ("department", &["opened"]),
    ("user", &["created"]),
    ("room", &["added"]),
    ("patient", &["registered", "allergy_recorded", "duplicate_merged"]),
    ("session", &["started"]),
    ("provider_schedule", &["hours_set", "exception_set", "leave_added"]),
    ("appointment_series", &["scheduled"]),
    ("appointment", &["scheduled"]),
    // The order in which an entry can go through all of these.
    ("waitlist_entry", &["joined", "lapsed", "left", "declined", "expired", "changed", "offered", "accepted"]),
    ("appointment_note", &["added"]),
    ("consultation", &["started", "diagnosis_recorded", "symptom_recorded"]),
    ("care_team_assignment", &["assigned"]),
    ("emergency_access", &["granted"]),
    ("consent", &["recorded"]),
    ("erasure", &["requested"]),
    ("legal_hold", &["placed"]),
    (
        "amendment_request",
        // The order in which a request can go through all of these.
        &["requested", "extended", "withdrawn", "accepted", "denied", "disagreement_stated", "disagreement_rebutted"],
    ),
    ("disclosure", &["recorded"]),
    ("treatment", &["planned"]),
    ("vital_signs", &["recorded"]),
    ("medical_history", &["recorded"]),
    ("lab_test", &["defined"]),
    ("lab_order", &["placed", "item_added", "specimen_collected"]),
    ("lab_result", &["recorded", "critical_raised", "critical_escalated", "critical_acknowledged"]),
    ("medication", &["added"]),
    ("supplier", &["added"]),
    ("inventory_item", &["added"]),
    ("inventory_level", &["received"]),
    ("medication_lot", &["received"]),
    ("prescription", &["written"]),
    ("interaction_profile", &["pair_set", "replaced"]),
    ("interaction_source", &["loaded"]),
    ("payer", &["added"]),
    ("insurance_policy", &["added"]),
    ("medication_list", &["prescribed", "added"]),
    ("price", &["set"]),
    ("billing_record", &["opened", "item_added", "payment_recorded", "credit_moved", "claim_adjudicated"]),
    ("insurance_claim", &["created", "submitted", "accepted", "payment_recorded"]),
    ("notification", &["created"]),
    ("notification_preferences", &["set"]),
    ("report", &["defined"]),
    ("report_schedule", &["scheduled", "changed", "ran", "missed", "paused"]),
    ("password_reset", &["requested"]),
    ("report_execution", &["queued", "started", "progressed", "succeeded"]),
    ("access", &["login_failed"]),
    ("log", &["restored", "master_key_rotated"]),
    ("process_failure", &["occurred"]),
];

/// The fields with the id of a stream, each with the type of the stream.
const REFERENCES: [(&str, &str); 50] = [
    ("role_id", "role"),
    ("department_id", "department"),
    ("parent_id", "department"),
    ("user_id", "user"),
    ("provider_id", "user"),
    ("head_user_id", "user"),
    ("reported_by", "user"),
    ("recorded_by", "user"),
    ("author_id", "user"),
    ("performed_by", "user"),
    ("requested_by", "user"),
    ("rejected_by", "user"),
    ("diagnosed_by", "user"),
    ("signed_by", "user"),
    ("reconciled_by", "user"),
    ("collected_by", "user"),
    ("room_id", "room"),
    ("location_id", "room"),
    ("to_location_id", "room"),
    ("from_location_id", "room"),
    ("supplier_id", "supplier"),
    ("preferred_supplier_id", "supplier"),
    ("inventory_item_id", "inventory_item"),
    ("patient_id", "patient"),
    ("subject_patient_id", "patient"),
    ("appointment_id", "appointment"),
    ("gives_up_appointment_id", "appointment"),
    ("series_id", "appointment_series"),
    ("amends_id", "appointment_note"),
    ("consultation_id", "consultation"),
    ("lab_test_id", "lab_test"),
    ("lab_order_id", "lab_order"),
    ("lab_result_id", "lab_result"),
    ("medication_id", "medication"),
    ("lot_id", "medication_lot"),
    ("to_lot_id", "medication_lot"),
    ("from_lot_id", "medication_lot"),
    ("prescription_id", "prescription"),
    ("payer_id", "payer"),
    ("insurance_policy_id", "insurance_policy"),
    ("other_record_id", "billing_record"),
    ("billing_record_id", "billing_record"),
    ("original_claim_id", "insurance_claim"),
    ("insurance_claim_id", "insurance_claim"),
    ("owner_id", "user"),
    ("report_id", "report"),
    ("report_schedule_id", "report_schedule"),
    ("report_execution_id", "report_execution"),
    ("reviewed_by", "user"),
    ("acknowledged_by", "user"),
];

/// The columns that are sealed or blinded. The keys for it are drawn at random, so their values differ in every history.
const SEALED: [(&str, &str); 2] = [("patients", "ssn"), ("patients", "ssn_blind_index")];

/// The additional role of a user.
const OTHER_ROLE: Uuid = Uuid::from_u128(0xFF);
/// The user who witnesses what the user does.
const WITNESS: Uuid = Uuid::from_u128(0xFC);
/// The access in an emergency that waits for a second person.
const ASKED: Uuid = Uuid::from_u128(0xFB);
/// A duplicate of the patient, and a record that was merged into the duplicate before.
const DUPLICATES: [Uuid; 2] = [Uuid::from_u128(0xFD), Uuid::from_u128(0xFE)];

fn stream_id(stream_type: &str) -> Uuid {
    let place = STREAMS.iter().position(|it| it.0 == stream_type).expect("a stream of the history");
    Uuid::from_u128(0x100 + u128::try_from(place).expect("few"))
}

/// The golden files of a stream type in the order of the history: first the events in `first`, then the others by name.
/// A stream begins only once, so only the newest version of its first event is taken.
fn golden(stream_type: &str, first: &[&str]) -> Vec<Golden> {
    let place = |event_type: &str| first.iter().position(|it| event_type == format!("{stream_type}.{it}"));
    let mut golden: Vec<_> = all().iter().filter(|file| file.stream_type() == stream_type).cloned().collect();
    let newest = golden.iter().filter(|file| place(&file.event_type) == Some(0)).map(|file| file.schema_version).max();
    golden.retain(|file| place(&file.event_type) != Some(0) || Some(file.schema_version) == newest);
    golden.sort_by_key(|file| {
        (place(&file.event_type).unwrap_or(usize::MAX), file.event_type.clone(), file.schema_version)
    });
    golden
}

/// Changes each reference to lead to a stream of the history, the additional role of a user to one that the user does
/// not have yet, and a witness to somebody else than the user.
fn refer(data: &mut Value) {
    match data {
        Value::Object(fields) => {
            for (name, value) in fields {
                match REFERENCES.iter().find(|it| it.0 == name) {
                    _ if ["witnessed_by", "seconded_by"].contains(&name.as_str()) && value.is_string() => {
                        *value = json!(WITNESS);
                    }
                    Some((_, stream_type)) if value.is_string() => *value = json!(stream_id(stream_type)),
                    _ if name == "additional_role_ids" => *value = json!([OTHER_ROLE]),
                    _ if name == "duplicate_id" => *value = json!(DUPLICATES[0]),
                    _ if name == "brought" || name == "taken_along" => *value = json!([DUPLICATES[1]]),
                    _ if name == "corrects" || name == "corrected_by" => *value = json!(stream_id("vital_signs")),
                    _ => refer(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refer),
        _ => {}
    }
}

/// Records the history, each event one second after the previous event.
async fn record(database: &TestDatabase, store: &PgEventStore) {
    let mut versions: Vec<(Position, i32)> = Vec::new();
    let append = async |stream_type: &'static str, stream_id, version, event_type: &str, data: Value| {
        let kind = if stream_type == "user" { "user" } else { "patient" };
        let subject_id = if stream_type == "patient" { stream_id } else { self::stream_id(kind) };
        let subject = Subject { kind: kind.to_owned(), id: subject_id };
        let event = NewEvent { event_type: event_type.to_owned(), data };
        let personal = event.data.to_string().contains("$personal");
        let stream = StreamAppend::at(stream_type, stream_id, version, [event]);
        let stream = StreamAppend { subject: personal.then_some(subject), ..stream };
        store.append(Append::stream(stream)).await.expect("recorded").last
    };
    for (stream_type, first) in STREAMS {
        let mut version = 0;
        for mut golden in golden(stream_type, first) {
            refer(&mut golden.data);
            if golden.event_type == "patient.identifier_added" {
                // A patient cannot have the same identifier twice.
                golden.data["value"] = json!("another");
            }
            if golden.event_type == "patient.registered" {
                for (nth, duplicate) in DUPLICATES.into_iter().enumerate() {
                    let other = json!({"mrn": {"$personal": format!("MRN-{nth}")}, "identifiers": []});
                    let other = hims_testing::patched(golden.data.clone(), other);
                    append(stream_type, duplicate, 0, &golden.event_type, other).await;
                }
                let merged = json!({"duplicate_id": DUPLICATES[1], "brought": [], "reason": {"$personal": "twice"}});
                append(stream_type, DUPLICATES[0], 1, "patient.duplicate_merged", merged).await;
            }
            if golden.event_type == "role.defined" {
                let mut other = golden.data.clone();
                other["definition"]["name"] = json!("porter");
                append(stream_type, OTHER_ROLE, 0, &golden.event_type, other).await;
            }
            if golden.event_type == "user.created" {
                let mut other = golden.data.clone();
                other["email"]["$personal"] = json!("witness@example.org");
                append(stream_type, WITNESS, 0, &golden.event_type, other).await;
            }
            // Of whoever is erased the rows say little, so others are.
            let (stream, at) = match golden.event_type.as_str() {
                "patient.erased" => (DUPLICATES[1], 1),
                // An access is granted at once, or asked for.
                "emergency_access.asked" => (ASKED, 0),
                "user.erased" => (WITNESS, 1),
                _ => (stream_id(stream_type), version),
            };
            version += i32::from(stream == stream_id(stream_type));
            let position = append(stream_type, stream, at, &golden.event_type, golden.data).await;
            versions.push((position, golden.schema_version));
        }
    }
    let mut db = database.superuser().await;
    let sql = "set session_replication_role = replica;
               update log.events set recorded_at = timestamptz '2026-11-23T10:00:00Z' + position * interval '1 second'";
    sqlx::raw_sql(sql).execute(&mut db).await.expect("the events get fixed times");
    for (position, schema_version) in versions {
        let sql = "update log.events set schema_version = $2 where position = $1";
        sqlx::query(sql)
            .bind(position)
            .bind(schema_version)
            .execute(&mut db)
            .await
            .expect("the event gets the schema version of its file");
    }
}

/// A digest of all rows, which are sorted here, since collations of databases differ.
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
    // Every event type is in the history: add its stream to STREAMS.
    let of_history = STREAMS.iter().flat_map(|(stream, first)| golden(stream, first));
    let of_history: BTreeSet<_> = of_history.map(|it| it.event_type).collect();
    assert_same(of_history, hims_testing::event_types());
    let database = database().await;
    let writers = database.pool_as("hims_writer");
    let key = MasterKey::new(&[7; 32]);
    let store = PgEventStore::connect(writers, key, upcasters(), PgOptions::default()).await.expect("a log");
    record(&database, &store).await;
    let rebuild = Rebuild::new(Arc::new(store), database.owner.clone());
    let Rebuilt { position, parked } = rebuild.run(&Target::Swap, |_| {}).await.expect("a rebuild");
    let mut rows = contents(&database.owner, "hims").await;
    assert_eq!(parked, 0, "a reference leads nowhere, see REFERENCES: {:?}", rows["projection_failures"]);
    assert_eq!(usize::try_from(position), Ok(rows["audit_logs"].len()));
    rows.remove("projection_checkpoint");
    let empty: Vec<_> = rows.iter().filter(|(_, rows)| rows.is_empty()).map(|(table, _)| table).collect();
    assert_eq!(empty, ["projection_failures"], "every table has a row");
    assert_eq!(
        GOLDEN_ROWS.last(),
        Some(&digest(&rows).as_str()),
        "`project` gives other rows: add this digest to GOLDEN_ROWS, or replace the last one if no release had it yet"
    );
}
