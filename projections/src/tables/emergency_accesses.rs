use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::emergency_access::{Event, Finding, Review};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per access of a user to the records of a patient in an emergency.
    EmergencyRow in "emergency_accesses",
    stamped by (created_by, updated_by),
    indexes [(patient_id, granted_at), (user_id, granted_at), (review, granted_at)] {
        /// The access.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// Who took the access.
        user_id: Uuid [indexed],
        /// Why the records were needed.
        reason: Option<String> [personal],
        /// Since when the access lasts.
        granted_at: DateTime<Utc> [indexed],
        /// When the access ends, or ended.
        ends_at: DateTime<Utc>,
        /// How far the review is, and what it found.
        review: String [indexed] of hims_domain::emergency_access::Review::CODES,
        /// Who reviewed the access.
        reviewed_by: Option<Uuid> [indexed],
        /// When the access was reviewed.
        reviewed_at: Option<DateTime<Utc>>,
        /// What the reviewer noted.
        review_note: Option<String> [personal],
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, EmergencyRow>) {
    match event.data {
        Event::Granted { patient_id, user_id, reason, granted_at, ends_at } => rows.insert(EmergencyRow {
            id: event.stream_id,
            patient_id: (*patient_id).into(),
            user_id: (*user_id).into(),
            reason: text(reason.known()),
            granted_at: *granted_at,
            ends_at: *ends_at,
            review: Review::Open.to_string(),
            reviewed_by: None,
            reviewed_at: None,
            review_note: None,
            stamps: event.stamps(),
        }),
        Event::Ended { ended_at } => rows.change(event, move |row| row.ends_at = *ended_at),
        Event::Reviewed { finding, note, reviewed_at } => {
            let reviewed_by = event.user_id();
            rows.change(event, move |row| {
                row.review = Review::from(*finding).to_string();
                if *finding == Finding::NotJustified {
                    row.ends_at = row.ends_at.min(*reviewed_at).max(row.granted_at);
                }
                row.reviewed_by = reviewed_by;
                row.reviewed_at = Some(*reviewed_at);
                row.review_note = text(note.as_ref().and_then(Personal::known));
            });
        }
    }
}
