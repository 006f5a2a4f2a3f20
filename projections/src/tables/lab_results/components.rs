use hims_domain::PatientId;
use hims_domain::lab_result::{Comparator, ComponentResult, Event, Flag, component_row};
use hims_domain::values::Measured;
use hims_domain::values::coding::LOINC;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{text, text_or_erased};

table! {
    /// One row per value of a component of a result, for each revision of the result.
    ComponentRow in "lab_result_components",
    children of lab_result_id,
    readers [ClinicalRecords, AssignedPatients, LabOrders, OwnRecords],
    stamped,
    indexes [(patient_id, component_code)] {
        /// The value of the component in the revision.
        id: Uuid [indexed],
        /// The result.
        lab_result_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The revision of the result, from 1.
        revision: i32,
        /// Whether the revision is the latest.
        is_current: bool,
        /// The place of the component in the revision, from 1.
        sequence: i32,
        /// The code of the component in the code system.
        component_code: String [indexed],
        /// The code system (URI) of the code.
        code_system: String,
        /// The name of the component.
        component_name: String,
        /// The number, in `unit`.
        value_numeric: Option<Decimal>,
        /// What is known of a number that was not measured exactly.
        value_comparator: Option<String> [] of Comparator::CODES,
        /// The text; `[erased]` once the patient is erased.
        value_text: Option<String> [personal],
        /// The code of a coded value.
        value_code: Option<String>,
        /// The unit of the number (UCUM).
        unit: Option<String>,
        /// The least normal number with which the value was compared.
        reference_low: Option<Decimal>,
        /// The greatest normal number.
        reference_high: Option<Decimal>,
        /// The greatest number that is critically low.
        critical_low: Option<Decimal>,
        /// The least number that is critically high.
        critical_high: Option<Decimal>,
        /// How the value compares with what is normal; null if this is not known.
        flag: Option<String> [indexed] of Flag::CODES,
        /// By how many percent the number differs from the patient's last one, if somebody had to confirm it.
        delta_percent: Option<Decimal>,
    }
}

/// Adds the values of a revision, which is the latest from now on.
pub(super) fn insert<'e>(
    event: &Projected<'e, Event>,
    patient_id: PatientId,
    revision: i32,
    components: &[ComponentResult],
    rows: &mut Changes<'e, ComponentRow>,
) {
    if revision > 1 {
        rows.change_children(event, event.stream_id, |row| row.is_current = false);
    }
    for (sequence, it) in (1..).zip(components) {
        let code = it.code.as_str();
        rows.insert(ComponentRow {
            id: component_row(event.stream_id, revision, code),
            lab_result_id: event.stream_id,
            patient_id: patient_id.into(),
            revision,
            is_current: true,
            sequence,
            component_code: code.to_owned(),
            code_system: LOINC.to_owned(),
            component_name: it.name.0.clone(),
            value_numeric: it.value.map(Measured::number),
            value_comparator: it.comparator.map(|it| it.to_string()),
            value_text: it.text.as_ref().map(text_or_erased),
            value_code: text(it.value_code.as_ref()),
            unit: it.unit.as_ref().map(|it| it.as_str().to_owned()),
            reference_low: it.limits.and_then(|it| it.low).map(Measured::number),
            reference_high: it.limits.and_then(|it| it.high).map(Measured::number),
            critical_low: it.limits.and_then(|it| it.critical_low).map(Measured::number),
            critical_high: it.limits.and_then(|it| it.critical_high).map(Measured::number),
            flag: it.flag.map(|it| it.to_string()),
            delta_percent: it.delta_percent.map(Measured::number),
            stamps: event.stamps(),
        });
    }
}
