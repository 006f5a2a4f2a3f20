use chrono::{DateTime, Utc};
use hims_domain::emergency_access::{Event, Finding, Review};
use hims_domain::values::Reason;
use hims_domain::{PatientId, Personal, UserId};
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
        /// Who allowed the access, where it needed a second person.
        seconded_by: Option<Uuid> [indexed],
        /// Whether the access waits for a second person, and is none yet.
        awaits_second: bool,
        /// Why the records were needed.
        reason: Option<String> [personal],
        /// Since when the access lasts, or when it was asked for if a second person must allow it.
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

fn row(
    event: &Projected<'_, Event>,
    (patient_id, user_id): (PatientId, UserId),
    reason: &Personal<Reason>,
    (granted_at, ends_at): (DateTime<Utc>, DateTime<Utc>),
) -> EmergencyRow {
    EmergencyRow {
        id: event.stream_id,
        patient_id: patient_id.into(),
        user_id: user_id.into(),
        seconded_by: None,
        awaits_second: false,
        reason: text(reason.known()),
        granted_at,
        ends_at,
        review: Review::Open.to_string(),
        reviewed_by: None,
        reviewed_at: None,
        review_note: None,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, EmergencyRow>) {
    match event.data {
        Event::Granted { patient_id, user_id, reason, granted_at, ends_at } => {
            rows.insert(row(event, (*patient_id, *user_id), reason, (*granted_at, *ends_at)));
        }
        Event::Asked { patient_id, user_id, reason, asked_at, minutes: _ } => {
            let asked = row(event, (*patient_id, *user_id), reason, (*asked_at, *asked_at));
            rows.insert(EmergencyRow { awaits_second: true, ..asked });
        }
        Event::Seconded { seconded_by, granted_at, ends_at } => rows.change(event, move |row| {
            row.awaits_second = false;
            row.seconded_by = Some((*seconded_by).into());
            (row.granted_at, row.ends_at) = (*granted_at, *ends_at);
        }),
        Event::Ended { ended_at } => rows.change(event, move |row| {
            row.awaits_second = false;
            row.ends_at = *ended_at;
        }),
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
