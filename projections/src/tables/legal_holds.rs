use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::legal_hold::Event;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per hold that keeps the records of a person from being erased.
    LegalHoldRow in "legal_holds",
    readers [AuditLogs],
    stamped by (created_by, updated_by),
    indexes [(patient_id, placed_at), (user_id, placed_at)] {
        /// The hold.
        id: Uuid [indexed],
        /// The patient whose records are held; null if they are those of a user.
        patient_id: Option<Uuid> [indexed],
        /// The user whose records are held; null if they are those of a patient.
        user_id: Option<Uuid> [indexed],
        /// The number of the case.
        case_number: Option<String> [personal],
        /// Why the records are held.
        reason: Option<String> [personal],
        /// When the hold was placed.
        placed_at: DateTime<Utc> [indexed],
        /// When the hold was released; null while it lasts.
        released_at: Option<DateTime<Utc>>,
        /// Why the hold was released.
        released_reason: Option<String> [personal],
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, LegalHoldRow>) {
    match event.data {
        Event::Placed { person, case_number, reason } => rows.insert(LegalHoldRow {
            id: event.stream_id,
            patient_id: person.patient_id().map(Uuid::from),
            user_id: person.user_id().map(Uuid::from),
            case_number: text(case_number.as_ref().and_then(Personal::known)),
            reason: text(reason.known()),
            placed_at: event.recorded_at,
            released_at: None,
            released_reason: None,
            stamps: event.stamps(),
        }),
        Event::Released { reason } => {
            let released_at = Some(event.recorded_at);
            rows.change(event, move |row| {
                row.released_at = released_at;
                row.released_reason = text(reason.known());
            });
        }
    }
}
