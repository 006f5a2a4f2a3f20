use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::consent::Event;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per thing that a patient allows or forbids others to see.
    ConsentRow in "consents",
    readers [AllPatients, AssignedPatients, AuditLogs, ClinicalRecords, OwnRecords],
    stamped by (created_by, updated_by),
    indexes [(patient_id, recorded_at), (user_id, recorded_at)] {
        /// The consent.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// What the consent is about.
        scope: String [] of hims_domain::consent::Scope::CODES,
        /// Whether it is allowed.
        provision: String [] of hims_domain::consent::Provision::CODES,
        /// The user who may not see the records; null for what concerns nobody in particular.
        user_id: Option<Uuid> [indexed],
        /// Where the patient said so, such as the number of a signed form.
        source: Option<String> [personal],
        /// When it was recorded.
        recorded_at: DateTime<Utc> [indexed],
        /// When the patient withdrew it; null while it holds.
        withdrawn_at: Option<DateTime<Utc>>,
        /// Why the patient withdrew it.
        withdrawn_reason: Option<String> [personal],
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, ConsentRow>) {
    match event.data {
        Event::Recorded { patient_id, scope, provision, user_id, source } => rows.insert(ConsentRow {
            id: event.stream_id,
            patient_id: (*patient_id).into(),
            scope: scope.to_string(),
            provision: provision.to_string(),
            user_id: user_id.map(Uuid::from),
            source: text(source.as_ref().and_then(Personal::known)),
            recorded_at: event.recorded_at,
            withdrawn_at: None,
            withdrawn_reason: None,
            stamps: event.stamps(),
        }),
        Event::Withdrawn { reason } => {
            let withdrawn_at = Some(event.recorded_at);
            rows.change(event, move |row| {
                row.withdrawn_at = withdrawn_at;
                row.withdrawn_reason = text(reason.as_ref().and_then(Personal::known));
            });
        }
    }
}
