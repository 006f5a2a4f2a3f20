use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::care_team_assignment::{Event, Status};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per assignment of a user to the care team of a patient.
    AssignmentRow in "care_team_assignments",
    readers [AllPatients, AssignedPatients, ClinicalRecords, OwnRecords],
    stamped by (created_by, updated_by),
    indexes [(patient_id, starts_at), (user_id, starts_at)] {
        /// The assignment.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The member of the care team.
        user_id: Uuid [indexed],
        /// What the user is in the team.
        participation: String [] of hims_domain::care_team_assignment::Participation::CODES,
        /// Since when the user belongs to the team.
        starts_at: DateTime<Utc> [indexed],
        /// From when on the user does not belong to the team any more; null if nobody said so.
        ends_at: Option<DateTime<Utc>>,
        /// The status of the assignment.
        status: String [] of hims_domain::care_team_assignment::Status::CODES,
        /// Why the user was assigned, or why the assignment ended.
        reason: Option<String> [personal],
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, AssignmentRow>) {
    match event.data {
        Event::Assigned { patient_id, user_id, participation, starts_at, ends_at, reason } => {
            rows.insert(AssignmentRow {
                id: event.stream_id,
                patient_id: (*patient_id).into(),
                user_id: (*user_id).into(),
                participation: participation.to_string(),
                starts_at: *starts_at,
                ends_at: *ends_at,
                status: Status::Active.to_string(),
                reason: text(reason.as_ref().and_then(Personal::known)),
                stamps: event.stamps(),
            });
        }
        Event::Ended { reason } => {
            let at = event.metadata.occurred_at;
            rows.change(event, move |row| {
                row.status = Status::Ended.to_string();
                row.ends_at = Some(row.ends_at.map_or(at, |it| it.min(at)).max(row.starts_at));
                row.reason = text(reason.as_ref().and_then(Personal::known)).or(row.reason.take());
            });
        }
    }
}
