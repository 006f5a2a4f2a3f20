use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::amendment_request::{Basis, Event, RecordTable, Status};
use hims_domain::values::LongText;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::known_text;

table! {
    /// One row per request of a patient to amend a row of their record, and what was decided. The row itself has what
    /// is recorded; `table_name` and `row_id` lead from the one to the other.
    AmendmentRequestRow in "amendment_requests",
    readers [AllAppointments, AllPatients, AssignedPatients, ClinicalRecords, LabOrders, OwnRecords, Prescriptions],
    stamped by (created_by, updated_by),
    indexes [(patient_id, received_at), (row_id, received_at), (table_name, received_at), (status, due_at)] {
        /// The request.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The table of the row that is to be amended.
        table_name: String [indexed] of RecordTable::CODES,
        /// The record that the row is, or of which it is a part.
        record_id: Uuid [indexed],
        /// The row that is to be amended.
        row_id: Uuid [indexed],
        /// What is wrong or missing.
        wrong: Option<String> [personal],
        /// What should stand instead.
        wanted: Option<String> [personal],
        /// When the request came in.
        received_at: DateTime<Utc> [indexed],
        /// Until when the request is to be answered: 60 days, or 90 if the time was extended.
        due_at: DateTime<Utc> [indexed],
        /// Why the answer takes longer; null if the time was not extended.
        extension_reason: Option<String> [personal],
        /// How far the request is.
        status: String [indexed] of Status::CODES,
        /// On which grounds the request was denied.
        basis: Option<String> [] of Basis::CODES,
        /// What was done, or why the request was denied.
        decision: Option<String> [personal],
        /// Who was told of the amendment.
        told: Option<String> [personal],
        /// Who decided.
        decided_by: Option<Uuid> [indexed],
        /// When it was decided.
        decided_at: Option<DateTime<Utc>>,
        /// What the patient said to the denial.
        disagreement: Option<String> [personal],
        /// When the patient said so.
        disagreed_at: Option<DateTime<Utc>>,
        /// What was answered.
        rebuttal: Option<String> [personal],
        /// Who answered.
        rebutted_by: Option<Uuid> [indexed],
        /// When it was answered.
        rebutted_at: Option<DateTime<Utc>>,
        /// Why the request was taken back.
        withdrawn_reason: Option<String> [personal],
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, AmendmentRequestRow>) {
    match event.data {
        Event::Requested(it) => rows.insert(AmendmentRequestRow {
            id: event.stream_id,
            patient_id: it.patient_id.into(),
            table_name: it.table_name.to_string(),
            record_id: it.record_id.into(),
            row_id: it.row_id.into(),
            wrong: known_text(Some(&it.wrong)),
            wanted: known_text(Some(&it.wanted)),
            received_at: it.received_at,
            due_at: it.due_at,
            extension_reason: None,
            status: Status::Requested.to_string(),
            basis: None,
            decision: None,
            told: None,
            decided_by: None,
            decided_at: None,
            disagreement: None,
            disagreed_at: None,
            rebuttal: None,
            rebutted_by: None,
            rebutted_at: None,
            withdrawn_reason: None,
            stamps: event.stamps(),
        }),
        Event::Extended { due_at, reason } => rows.change(event, move |row| {
            row.due_at = *due_at;
            row.extension_reason = known_text(Some(reason));
        }),
        Event::Accepted { done, told } => {
            decide(event, rows, Status::Accepted, None, done);
            rows.change(event, move |row| row.told = known_text(told.as_ref()));
        }
        Event::Denied { basis, reason } => decide(event, rows, Status::Denied, Some(*basis), reason),
        Event::DisagreementStated { statement } => {
            let at = event.metadata.occurred_at;
            rows.change(event, move |row| {
                row.status = Status::Disagreed.to_string();
                row.disagreement = known_text(Some(statement));
                row.disagreed_at = Some(at);
            });
        }
        Event::DisagreementRebutted { rebuttal } => {
            let (by, at) = (event.user_id(), event.metadata.occurred_at);
            rows.change(event, move |row| {
                row.status = Status::Rebutted.to_string();
                row.rebuttal = known_text(Some(rebuttal));
                row.rebutted_by = by;
                row.rebutted_at = Some(at);
            });
        }
        Event::Withdrawn { reason } => rows.change(event, move |row| {
            row.status = Status::Withdrawn.to_string();
            row.withdrawn_reason = known_text(reason.as_ref());
        }),
    }
}

/// Writes a decision into the row of the request.
fn decide<'e>(
    event: &Projected<'e, Event>,
    rows: &mut Changes<'e, AmendmentRequestRow>,
    status: Status,
    basis: Option<Basis>,
    decision: &'e Personal<LongText>,
) {
    let (by, at) = (event.user_id(), event.metadata.occurred_at);
    rows.change(event, move |row| {
        row.status = status.to_string();
        row.basis = basis.map(|it| it.to_string());
        row.decision = known_text(Some(decision));
        row.decided_by = by;
        row.decided_at = Some(at);
    });
}
