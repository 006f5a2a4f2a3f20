use chrono::{DateTime, Utc};
use hims_domain::disclosure::{Event, Purpose, Status};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::known_text;

table! {
    /// One row per disclosure of what is recorded about a patient, of which the patient may ask for an account.
    DisclosureRow in "disclosures",
    readers [ClinicalRecords, Disclosures, OwnRecords],
    stamped by (created_by, updated_by),
    indexes [(patient_id, disclosed_at), (purpose, disclosed_at)] {
        /// The disclosure.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// When the disclosure happened.
        disclosed_at: DateTime<Utc> [indexed],
        /// Who got the information.
        recipient_name: Option<String> [personal],
        /// The address of the recipient.
        recipient_address: Option<String> [personal],
        /// What was disclosed.
        description: Option<String> [personal],
        /// For what it was disclosed.
        purpose: String [indexed] of Purpose::CODES,
        /// The purpose in words.
        statement: Option<String> [personal],
        /// Whether the record counts.
        status: String [] of Status::CODES,
        /// What was mistaken in a record that does not count.
        error_reason: Option<String> [personal],
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, DisclosureRow>) {
    match event.data {
        Event::Recorded(it) => rows.insert(DisclosureRow {
            id: event.stream_id,
            patient_id: it.patient_id.into(),
            disclosed_at: it.account.disclosed_at,
            recipient_name: known_text(Some(&it.account.recipient_name)),
            recipient_address: known_text(it.account.recipient_address.as_ref()),
            description: known_text(Some(&it.account.description)),
            purpose: it.account.purpose.to_string(),
            statement: known_text(it.account.statement.as_ref()),
            status: Status::Recorded.to_string(),
            error_reason: None,
            stamps: event.stamps(),
        }),
        Event::MarkedEnteredInError { reason } => rows.change(event, move |row| {
            row.status = Status::EnteredInError.to_string();
            row.error_reason = known_text(Some(reason));
        }),
    }
}
