mod components;

use chrono::{DateTime, Utc};
use hims_domain::lab_result::{
    ComponentResult, Event, Flag, Limits, Recorded, ResultStatus, WithdrawalCode, status_of, worst,
};
use uuid::Uuid;

pub(crate) use components::ComponentRow;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{known_text, text, text_or_erased};

table! {
    /// One row per result of an item of a laboratory order, with its latest values.
    LabResultRow in "lab_results",
    readers [ClinicalRecords, AssignedPatients, LabOrders, OwnRecords],
    stamped,
    indexes [(lab_order_id, test_code), (patient_id, test_code, performed_at), (patient_id, performed_at),
        (status, critical_raised_at)] {
        /// The result.
        id: Uuid [indexed],
        /// The order.
        lab_order_id: Uuid [indexed],
        /// The item of the order.
        lab_order_item_id: Uuid [indexed],
        /// The specimen that was examined, if one was named.
        specimen_id: Option<Uuid> [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The LOINC code of the test.
        test_code: String [indexed],
        /// The name of the test when it was performed.
        test_name: String,
        /// What is to be done with the result.
        status: String [indexed] of hims_domain::lab_result::Status::CODES,
        /// How far the result is (HL7 table 0085).
        result_status: String [indexed] of ResultStatus::CODES,
        /// The number of the latest revision of the values, from 1.
        revision: i32,
        /// The value of a test with one component; null for a panel, whose values are in `lab_result_components`.
        result_value: Option<String> [personal],
        /// The unit of the value.
        result_unit: Option<String>,
        /// The normal numbers with which the value was compared.
        reference_range: Option<String>,
        /// The worst flag of the components; normal only if every component is.
        flag: Option<String> [indexed] of Flag::CODES,
        /// Whether some component is known not to be normal.
        is_abnormal: bool,
        /// Whether some value differs so much from the patient's last one that somebody had to confirm it.
        delta_flag: bool,
        /// The user who performed the test, if this is known.
        performed_by: Option<Uuid> [indexed],
        /// When the test was performed.
        performed_at: DateTime<Utc> [indexed],
        /// How the test was performed.
        method: Option<String>,
        /// The user who looked at the latest values.
        reviewed_by: Option<Uuid> [indexed],
        /// When the user looked at the latest values.
        reviewed_at: Option<DateTime<Utc>>,
        /// What this user says of the values.
        review_comment: Option<String> [personal],
        /// Notes on the result.
        notes: Option<String> [personal],
        /// When critical values last raised an alarm; null if none did.
        critical_raised_at: Option<DateTime<Utc>> [indexed],
        /// How far the alarm has gone: 0 when the first people are to be told, and one more each time.
        critical_level: Option<i32>,
        /// When the first people were told of the critical values.
        critical_told_at: Option<DateTime<Utc>>,
        /// When somebody acknowledged the critical values.
        critical_acknowledged_at: Option<DateTime<Utc>>,
        /// When the alarm ended because no value is critical any more, or because the values no longer count.
        critical_withdrawn_at: Option<DateTime<Utc>>,
        /// The user who acknowledged the critical values.
        critical_acknowledged_by: Option<Uuid> [indexed],
        /// What this user says of the critical values.
        critical_note: Option<String> [personal],
        /// When the values were last corrected.
        corrected_at: Option<DateTime<Utc>>,
        /// What was wrong with the values before.
        correction_reason: Option<String> [personal],
        /// Why the result was withdrawn, as a code.
        withdrawal_code: Option<String> [] of WithdrawalCode::CODES,
        /// Why the result was withdrawn, in words.
        withdrawal_reason: Option<String> [personal],
    }
}

/// The value of a component in words, such as `<0.01`.
fn written(component: &ComponentResult) -> Option<String> {
    let comparator = component.comparator.map_or("", hims_domain::lab_result::Comparator::as_str);
    let number = component.value.map(|it| format!("{comparator}{it}"));
    let said = component.text.as_ref().map(text_or_erased);
    number.or(said).or_else(|| text(component.value_code.as_ref()))
}

/// The normal numbers in words, such as `3.5-5.1`, `<=5.1` or `>=3.5`.
fn range(limits: &Limits) -> Option<String> {
    match (limits.low, limits.high) {
        (Some(low), Some(high)) => Some(format!("{low}-{high}")),
        (Some(low), None) => Some(format!(">={low}")),
        (None, Some(high)) => Some(format!("<={high}")),
        (None, None) => None,
    }
}

/// Shows the latest values.
fn show(row: &mut LabResultRow, revision: i32, components: &[ComponentResult]) {
    let single = if let [it] = components { Some(it) } else { None };
    row.revision = revision;
    row.result_value = single.and_then(written);
    row.result_unit = single.and_then(|it| it.unit.as_ref()).map(|it| it.as_str().to_owned());
    row.reference_range = single.and_then(|it| it.limits.as_ref()).and_then(range);
    row.flag = worst(components.iter().map(|it| it.flag)).map(|it| it.to_string());
    row.is_abnormal = components.iter().any(|component| component.flag.is_some_and(|it| it != Flag::Normal));
    row.delta_flag = components.iter().any(|it| it.delta_percent.is_some());
}

/// Sets the status to what follows from the rest of the row.
fn settle(row: &mut LabResultRow) {
    let is_over = row.critical_acknowledged_at.is_some() || row.critical_withdrawn_at.is_some();
    let is_alarming = row.critical_raised_at.is_some() && !is_over;
    if let Some(result_status) = ResultStatus::parse(&row.result_status) {
        row.status = status_of(result_status, is_alarming, row.reviewed_at.is_some()).to_string();
    }
}

/// Shows that nobody has looked at the latest values.
fn unreview(row: &mut LabResultRow) {
    row.reviewed_by = None;
    row.reviewed_at = None;
    row.review_comment = None;
}

/// Shows an alarm that nobody has acknowledged, in place of an earlier one.
fn alarm(row: &mut LabResultRow, raised_at: DateTime<Utc>) {
    row.critical_raised_at = Some(raised_at);
    row.critical_level = None;
    row.critical_told_at = None;
    row.critical_acknowledged_at = None;
    row.critical_withdrawn_at = None;
    row.critical_acknowledged_by = None;
    row.critical_note = None;
}

fn row(event: &Projected<'_, Event>, it: &Recorded) -> LabResultRow {
    let mut row = LabResultRow {
        id: event.stream_id,
        lab_order_id: it.lab_order_id.into(),
        lab_order_item_id: it.item_id.into(),
        specimen_id: it.specimen_id.map(Uuid::from),
        patient_id: it.patient_id.into(),
        test_code: it.test_code.0.clone(),
        test_name: it.test_name.0.clone(),
        status: String::new(),
        result_status: it.result_status.to_string(),
        revision: 1,
        result_value: None,
        result_unit: None,
        reference_range: None,
        flag: None,
        is_abnormal: false,
        delta_flag: false,
        performed_by: it.performed_by.map(Uuid::from),
        performed_at: it.performed_at,
        method: text(it.method.as_ref()),
        reviewed_by: None,
        reviewed_at: None,
        review_comment: None,
        notes: known_text(it.notes.as_ref()),
        critical_raised_at: None,
        critical_level: None,
        critical_told_at: None,
        critical_acknowledged_at: None,
        critical_withdrawn_at: None,
        critical_acknowledged_by: None,
        critical_note: None,
        corrected_at: None,
        correction_reason: None,
        withdrawal_code: None,
        withdrawal_reason: None,
        stamps: event.stamps(),
    };
    show(&mut row, 1, &it.components);
    settle(&mut row);
    row
}

/// Changes the row of the event's result, and its status with it.
fn change<'e>(
    event: &Projected<'_, Event>,
    results: &mut Changes<'e, LabResultRow>,
    change: impl FnOnce(&mut LabResultRow) + Send + 'e,
) {
    results.change(event, move |row| {
        change(row);
        settle(row);
    });
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    results: &mut Changes<'e, LabResultRow>,
    components: &mut Changes<'e, ComponentRow>,
) {
    let at = event.metadata.occurred_at;
    match event.data {
        Event::Recorded(it) => {
            results.insert(row(event, it));
            components::insert(event, it.patient_id, 1, &it.components, components);
        }
        Event::Finalised { patient_id, revision } => {
            change(event, results, move |row| {
                row.result_status = ResultStatus::Final.to_string();
                if let Some(it) = revision {
                    show(row, it.number, &it.components);
                }
            });
            if let Some(it) = revision {
                components::insert(event, *patient_id, it.number, &it.components, components);
            }
        }
        Event::Corrected { patient_id, revision, reason } => {
            change(event, results, move |row| {
                row.result_status = ResultStatus::Corrected.to_string();
                row.corrected_at = Some(at);
                row.correction_reason = known_text(Some(reason));
                show(row, revision.number, &revision.components);
                unreview(row);
            });
            components::insert(event, *patient_id, revision.number, &revision.components, components);
        }
        Event::Withdrawn { result_status, reason_code, reason } => change(event, results, move |row| {
            row.result_status = result_status.to_string();
            row.withdrawal_code = Some(reason_code.to_string());
            row.withdrawal_reason = known_text(reason.as_ref());
            unreview(row);
        }),
        Event::Reviewed { reviewed_by, comment } => change(event, results, move |row| {
            row.reviewed_by = Some((*reviewed_by).into());
            row.reviewed_at = Some(at);
            row.review_comment = known_text(comment.as_ref());
        }),
        Event::CriticalRaised { revision: _, codes: _, raised_at } => {
            change(event, results, move |row| alarm(row, *raised_at));
        }
        Event::CriticalEscalated { revision: _, raised_at: _, level, recipients: _ } => {
            change(event, results, move |row| {
                row.critical_level = Some(*level);
                row.critical_told_at.get_or_insert(at);
            });
        }
        Event::CriticalAcknowledged { acknowledged_by, note } => change(event, results, move |row| {
            row.critical_acknowledged_at = Some(at);
            row.critical_acknowledged_by = Some((*acknowledged_by).into());
            row.critical_note = known_text(note.as_ref());
        }),
        Event::CriticalWithdrawn { told: _ } => change(event, results, move |row| {
            row.critical_withdrawn_at = Some(at);
        }),
    }
}
