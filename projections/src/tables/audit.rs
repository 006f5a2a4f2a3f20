//! The audit log: one row per event of the log, so it cannot miss one and nobody has to remember to write it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use hims_domain::{DomainEvent, access};
use hims_event_store::{Actor, Metadata, Position, Recorded};
use sqlx::types::ipnetwork::IpNetwork;
use uuid::Uuid;

use crate::machinery::changes::Difference;
use crate::machinery::column::{JsonText, Members};
use crate::machinery::event::{Decoded, derived_id};
use crate::machinery::stamps::Stamps;
use crate::machinery::table::table;

table! {
    /// One row per event: what was done by whom, and what was attempted and refused.
    AuditRow in "audit_logs", readers [AuditLogs], stamped version,
    indexes [(user_id, position), (patient_id, position), (action, timestamp), (resource_type, resource_id)] {
        /// Derived from the position.
        id: Uuid [indexed],
        /// Of the event in the log.
        position: i64 [indexed],
        /// Who did it; null for a part of the system.
        user_id: Option<Uuid> [indexed],
        /// In which session.
        session_id: Option<Uuid>,
        /// The event type.
        action: String [indexed],
        /// What it was done to.
        resource_type: String [indexed],
        /// Which one.
        resource_id: Option<Uuid> [indexed],
        /// Whose record it is about.
        patient_id: Option<Uuid> [indexed],
        /// What changed, as it was; personal values masked.
        old_values: Option<JsonText>,
        /// What changed, as it is; personal values masked.
        new_values: Option<JsonText>,
        /// From which address.
        ip_address: Option<IpNetwork>,
        /// With which program.
        user_agent: Option<String>,
        /// When it was recorded.
        timestamp: DateTime<Utc> [indexed],
        /// Whether it was done.
        success: bool,
        /// Why not.
        error_message: Option<String>,
    }
}

const NAMESPACE: Uuid = Uuid::from_u128(0x6869_6d73_2d61_8075_a469_742d_6c6f_6773);

/// The audit of a batch, from its events and what they did to the tables.
pub(crate) fn rows(events: &[Decoded], differences: Vec<Difference>) -> Vec<AuditRow> {
    let mut by_position: HashMap<Position, Vec<Difference>> = HashMap::with_capacity(events.len());
    for difference in differences {
        by_position.entry(difference.position).or_default().push(difference);
    }
    let mut differences = |it: &Decoded| by_position.remove(&it.opened.recorded.position).unwrap_or_default();
    events.iter().map(|it| row(&it.opened.recorded, &it.metadata, Some(&it.event), &differences(it))).collect()
}

/// The audit of an event whose stream is parked: it was recorded, whatever the tables make of it.
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
        action: stored.event_type.clone(),
        resource_type: stored.stream_type.clone(),
        resource_id: Some(stored.stream_id),
        patient_id: metadata.subject.as_ref().filter(|it| it.kind == "patient").map(|it| it.id),
        old_values: shown(|it| &it.old),
        new_values: shown(|it| &it.new),
        ip_address: metadata.ip.map(IpNetwork::from),
        user_agent: metadata.user_agent.clone(),
        timestamp: stored.recorded_at,
        success: true,
        error_message: None,
        stamps: Stamps::new(stored.version, stored.recorded_at, user_id),
    };
    if let Some(DomainEvent::Access(event)) = event {
        row.success = false;
        match event {
            access::Event::CommandRefused { command, code, stream_type, stream_id } => {
                row.resource_type.clone_from(stream_type);
                row.resource_id = Some(*stream_id).filter(|it| !it.is_nil());
                row.error_message = Some(format!("{command}: {code}"));
            }
            access::Event::LoginFailed { user_id, code } => {
                "user".clone_into(&mut row.resource_type);
                row.resource_id = user_id.map(Uuid::from);
                row.error_message = Some(format!("start-session: {code}"));
            }
        }
    }
    row
}

/// What was, or what is: the columns of the stream's own row by themselves, those of other rows under their table's name.
fn shown(differences: &[Difference], side: fn(&Difference) -> &Members, stream_id: Uuid) -> Option<JsonText> {
    let mut all = Members::default();
    let mut others = BTreeMap::<&str, Vec<u8>>::new();
    for it in differences {
        let Members(members) = side(it);
        if members.is_empty() {
            continue;
        }
        let (list, id) =
            if it.id == stream_id { (&mut all.0, None) } else { (others.entry(it.table).or_default(), Some(it.id)) };
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
