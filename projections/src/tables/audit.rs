//! The audit log: one row per event of the event log. The rows are derived from the events, so none can be forgotten.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use hims_domain::access::PurposeOfUse;
use hims_domain::{DomainEvent, access, process_failure};
use hims_event_store::{Actor, Metadata, Position, Recorded};
use serde_json::{Value, json};
use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;

use crate::machinery::changes::Difference;
use crate::machinery::column::{JsonText, MASKED, Members};
use crate::machinery::event::{Decoded, derived_id};
use crate::machinery::stamps::Stamps;
use crate::machinery::table::table;

table! {
    /// One row per event: what was done, or attempted and refused, and by whom.
    AuditRow in "audit_logs", readers [AuditLogs], stamped version,
    indexes [(user_id, position), (patient_id, position), (action, timestamp), (resource_type, resource_id)] {
        /// The id of the row, derived from the position.
        id: Uuid [indexed],
        /// The position of the event in the log.
        position: i64 [indexed],
        /// The user who caused the event; null if the system did.
        user_id: Option<Uuid> [indexed],
        /// The session of the user who caused the event.
        session_id: Option<Uuid>,
        /// The name of the primary role that the user had then; null if the system did.
        role: Option<String>,
        /// The event type.
        action: String [indexed] of DomainEvent::types(),
        /// The kind of record that the event is about, such as `patient`.
        resource_type: String [indexed] of DomainEvent::STREAMS,
        /// The id of the record that the event is about.
        resource_id: Option<Uuid> [indexed],
        /// The patient whose record the event is about, or whom alone the answer to a read showed.
        patient_id: Option<Uuid> [indexed],
        /// The patients whom the answer to a read showed, if there were several: a list of their ids.
        patients_shown: Option<JsonText>,
        /// For what the user worked (HL7 `PurposeOfUse`); null for the system.
        purpose_of_use: Option<String> [] of PurposeOfUse::CODES,
        /// The changed values before the event; personal values are masked.
        old_values: Option<JsonText>,
        /// The changed values after the event; personal values are masked.
        new_values: Option<JsonText>,
        /// The IP address from which the request came.
        ip_address: Option<IpNetwork>,
        /// The program that sent the request (HTTP `User-Agent`).
        user_agent: Option<String>,
        /// When the event was recorded.
        timestamp: DateTime<Utc> [indexed],
        /// Whether the action was done; false if the action was refused.
        success: bool,
        /// Why the action was refused.
        error_message: Option<String>,
    }
}

const NAMESPACE: Uuid = Uuid::from_u128(0x6869_6d73_2d61_8075_a469_742d_6c6f_6773);

/// The audit rows of a batch, from the batch's events and from the differences that they made in the tables.
pub(crate) fn rows(events: &[Decoded], differences: Vec<Difference>) -> Vec<AuditRow> {
    let mut by_position: HashMap<Position, Vec<Difference>> = HashMap::with_capacity(events.len());
    for difference in differences {
        by_position.entry(difference.position).or_default().push(difference);
    }
    let mut differences = |event: &Decoded| by_position.remove(&event.opened.recorded.position).unwrap_or_default();
    events.iter().map(|it| row(&it.opened.recorded, &it.metadata, Some(&it.event), &differences(it))).collect()
}

/// The audit row of an event in a parked stream: the event is audited although it is not projected.
pub(crate) fn parked_row(stored: &Recorded) -> AuditRow {
    row(stored, &stored.circumstances().unwrap_or_default(), None, &[])
}

fn row(stored: &Recorded, metadata: &Metadata, event: Option<&DomainEvent>, differences: &[Difference]) -> AuditRow {
    let shown = |side| shown(differences, side, stored.stream_id);
    let user_id = match metadata.actor {
        Actor::User { id } => Some(id),
        Actor::System { .. } => None,
    };
    let mut row = AuditRow {
        id: derived_id(NAMESPACE, &[&stored.position.to_string()]),
        position: stored.position,
        user_id,
        session_id: metadata.session_id,
        role: metadata.role.clone(),
        action: stored.event_type.clone(),
        resource_type: stored.stream_type.clone(),
        resource_id: Some(stored.stream_id),
        patient_id: metadata.subject.as_ref().filter(|subject| subject.kind == "patient").map(|subject| subject.id),
        patients_shown: None,
        purpose_of_use: user_id.map(|_| purpose_of(metadata)),
        old_values: shown(|difference| &difference.old),
        new_values: shown(|difference| &difference.new),
        ip_address: metadata.ip.map(IpNetwork::from),
        user_agent: metadata.user_agent.clone(),
        timestamp: stored.recorded_at,
        success: true,
        error_message: None,
        stamps: Stamps::new(stored.version, stored.recorded_at, user_id),
    };
    if let Some(DomainEvent::ProcessFailure(process_failure::Event::Occurred(failed))) = event {
        row.success = false;
        row.resource_type.clone_from(&failed.resource_type);
        row.resource_id = failed.resource_id;
        row.error_message = Some(format!("{}: {}", failed.command.as_deref().unwrap_or(&failed.process), failed.code));
    }
    if let Some(DomainEvent::Access(event)) = event {
        row.success = matches!(
            event,
            access::Event::Read(_) | access::Event::ReadRecordingChanged { .. } | access::Event::ClaimsRebuilt
        );
        match event {
            access::Event::Read(read) => tell_of(read, &mut row),
            access::Event::ReadRefused { source, code } => row.error_message = Some(format!("read {source}: {code}")),
            access::Event::ReadRecordingChanged { is_on } => {
                row.new_values = Some(json(&json!({ "is_on": is_on })));
            }
            access::Event::CommandRefused { command, code, stream_type, stream_id } => {
                row.resource_type.clone_from(stream_type);
                row.resource_id = Some(*stream_id).filter(|it| !it.is_nil());
                row.error_message = Some(format!("{command}: {code}"));
            }
            access::Event::LoginFailed { command, user_id, code } => {
                "user".clone_into(&mut row.resource_type);
                row.resource_id = user_id.map(Uuid::from);
                row.error_message = Some(format!("{command}: {code}"));
            }
            access::Event::ClaimsRebuilt => {}
            access::Event::RefusalsLost { count } => {
                row.error_message = Some(format!("{count} refused attempts were not recorded one by one"));
            }
            access::Event::Repeated { command, code, stream_type, stream_id, count } => {
                row.resource_type.clone_from(stream_type);
                row.resource_id = Some(*stream_id).filter(|it| !it.is_nil());
                row.error_message = Some(format!("{command}: {code} ({count} more times)"));
            }
        }
    }
    row
}

/// For what a user worked, as a code.
fn purpose_of(metadata: &Metadata) -> String {
    metadata.purpose_of_use.clone().unwrap_or_else(|| PurposeOfUse::Treatment.as_str().to_owned())
}

/// What somebody asked for, and whom the answer showed. What may identify a person is masked, as everywhere in the audit.
fn tell_of(read: &access::Read, row: &mut AuditRow) {
    row.resource_id = read.record_id.or(row.resource_id);
    let patients: Vec<_> = read.patients.iter().map(|it| it.0).collect();
    match patients[..] {
        [] => {}
        [patient_id] => row.patient_id = Some(patient_id),
        _ => row.patients_shown = Some(json(&json!(patients))),
    }
    let mut parameters = json!(read.parameters);
    for name in read.personal_parameters.keys() {
        parameters[name] = json!(MASKED);
    }
    let mut told = json!({ "source": read.source, "parameters": parameters, "rows": read.rows });
    if !read.emergency_access_ids.is_empty() {
        told["emergency_access_ids"] = json!(read.emergency_access_ids);
    }
    row.new_values = Some(json(&told));
}

fn json(value: &Value) -> JsonText {
    JsonText(value.to_string().into_bytes())
}

/// The values before or after an event, as `side` chooses: the changed columns of the stream's own row, and other
/// changed rows in a list under their table's name.
fn shown(differences: &[Difference], side: fn(&Difference) -> &Members, stream_id: Uuid) -> Option<JsonText> {
    let mut all = Members::default();
    let mut others = BTreeMap::<&str, Vec<u8>>::new();
    for difference in differences {
        let Members(members) = side(difference);
        if members.is_empty() {
            continue;
        }
        let (list, id) = if difference.id == stream_id {
            (&mut all.0, None)
        } else {
            (others.entry(difference.table).or_default(), Some(difference.id))
        };
        if !list.is_empty() {
            list.push(b',');
        }
        match id {
            None => list.extend_from_slice(members),
            Some(id) => {
                list.extend_from_slice(format!("{{\"id\":\"{id}\",").as_bytes());
                list.extend_from_slice(members);
                list.push(b'}');
            }
        }
    }
    for (table, rows) in others {
        all.begin(table);
        all.0.push(b'[');
        all.0.extend(rows);
        all.0.push(b']');
    }
    (!all.0.is_empty()).then(|| JsonText([b"{", &*all.0, b"}"].concat()))
}
