use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::consultation::{Amended, DiagnosisChanged, Event, amendment_row};
use hims_domain::values::Reason;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::known_text;

table! {
    /// One row per amendment of a completed consultation.
    AmendmentRow in "consultation_amendments",
    readers [ClinicalRecords, AssignedPatients, OwnRecords],
    stamped once {
        /// The amendment.
        id: Uuid [indexed],
        /// The consultation.
        consultation_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The number of the amendment in the consultation, from 1.
        number: i32,
        /// The diagnosis that was amended; null if the findings were.
        diagnosis_id: Option<Uuid> [indexed],
        /// Why the consultation was amended.
        reason: Option<String> [personal],
        /// Each changed field with its value before (`old`) and after (`new`).
        changes: Option<Value> [personal],
        /// The user who amended the consultation.
        amended_by: Option<Uuid> [indexed],
        /// When the consultation was amended.
        amended_at: DateTime<Utc>,
    }
}

/// The fields in which two values differ, each with its value before and after; `None` if a value was erased.
fn changes(before: &impl Serialize, after: &impl Serialize) -> Option<Value> {
    let (before, after) = (fields(before)?, fields(after)?);
    let differ = |(field, new): (String, Value)| {
        let old = before.get(&field).cloned().unwrap_or(Value::Null);
        (old != new).then(|| (field, json!({ "old": old, "new": new })))
    };
    Some(Value::Object(after.into_iter().filter_map(differ).collect()))
}

/// The fields of a value as plain JSON: a personal value without its mark. `None` if a value was erased.
fn fields(value: &impl Serialize) -> Option<Map<String, Value>> {
    let Ok(Value::Object(fields)) = serde_json::to_value(value) else { return None };
    let plain = |(field, mut value): (String, Value)| match &mut value {
        Value::Object(marked) if marked.contains_key(hims_domain::ERASED_MARK) => None,
        Value::Object(marked) => match marked.remove(hims_domain::PERSONAL_MARK) {
            Some(known) => Some((field, known)),
            None => Some((field, value)),
        },
        _ => Some((field, value)),
    };
    fields.into_iter().map(plain).collect()
}

fn row(
    event: &Projected<'_, Event>,
    patient_id: impl Into<Uuid>,
    number: i32,
    reason: Option<&Personal<Reason>>,
    changes: Option<Value>,
) -> AmendmentRow {
    AmendmentRow {
        id: amendment_row(event.stream_id, number),
        consultation_id: event.stream_id,
        patient_id: patient_id.into(),
        number,
        diagnosis_id: None,
        reason: known_text(reason),
        changes,
        amended_by: event.user_id(),
        amended_at: event.metadata.occurred_at,
        stamps: event.stamps(),
    }
}

/// The row of amended findings.
pub(super) fn of_findings(event: &Projected<'_, Event>, it: &Amended) -> AmendmentRow {
    row(event, it.patient_id, it.number, Some(&it.reason), changes(&it.before, &it.findings))
}

/// The row of an amended diagnosis; `None` if the change was no amendment.
pub(super) fn of_diagnosis(event: &Projected<'_, Event>, it: &DiagnosisChanged) -> Option<AmendmentRow> {
    let amended = it.amends.as_ref()?;
    let mut changes = changes(&amended.before.diagnosis, &it.diagnosis);
    if let Some(Value::Object(changes)) = &mut changes
        && amended.before.rank != it.rank
    {
        changes.insert("rank".to_owned(), json!({ "old": amended.before.rank, "new": it.rank }));
    }
    let row = row(event, amended.patient_id, amended.number, it.reason.as_ref(), changes);
    Some(AmendmentRow { diagnosis_id: Some(it.diagnosis_id.into()), ..row })
}
