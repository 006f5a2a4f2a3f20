use chrono::{DateTime, Utc};
use hims_domain::erasure::{Event, Status};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per erasure of a person that was asked for.
    ErasureRow in "erasures",
    readers [AuditLogs],
    stamped by (created_by, updated_by),
    indexes [(status, requested_at), (patient_id, requested_at), (user_id, requested_at)] {
        /// The erasure.
        id: Uuid [indexed],
        /// The patient who is erased; null if it is a user.
        patient_id: Option<Uuid> [indexed],
        /// The user who is erased; null if it is a patient.
        user_id: Option<Uuid> [indexed],
        /// On which ground.
        ground: String [] of hims_domain::erasure::Ground::CODES,
        /// What was said about it; null once the person was erased.
        reason: Option<String> [personal],
        /// How far the erasure is.
        status: String [indexed] of Status::CODES,
        /// Who asked for it.
        requested_by: Uuid [indexed],
        /// When it was asked for.
        requested_at: DateTime<Utc> [indexed],
        /// Who confirmed or declined it.
        decided_by: Option<Uuid> [indexed],
        /// When it was confirmed or declined.
        decided_at: Option<DateTime<Utc>>,
        /// Why it was declined; null once the person was erased.
        declined_reason: Option<String> [personal],
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, ErasureRow>) {
    let (decided_by, decided_at) = (event.user_id(), Some(event.recorded_at));
    match event.data {
        Event::Requested { person, requested_by, ground, reason } => rows.insert(ErasureRow {
            id: event.stream_id,
            patient_id: person.patient_id().map(Uuid::from),
            user_id: person.user_id().map(Uuid::from),
            ground: ground.to_string(),
            reason: text(reason.known()),
            status: Status::Requested.to_string(),
            requested_by: (*requested_by).into(),
            requested_at: event.recorded_at,
            decided_by: None,
            decided_at: None,
            declined_reason: None,
            stamps: event.stamps(),
        }),
        Event::Confirmed => rows.change(event, move |row| {
            row.status = Status::Confirmed.to_string();
            (row.decided_by, row.decided_at) = (decided_by, decided_at);
        }),
        Event::Declined { reason } => rows.change(event, move |row| {
            row.status = Status::Declined.to_string();
            (row.decided_by, row.decided_at) = (decided_by, decided_at);
            row.declined_reason = text(reason.known());
        }),
    }
}
