use hims_domain::alert::{Alert, Other};
use hims_domain::prescription::{Event, Written};
use hims_domain::values::OverrideReason;
use hims_domain::{PatientId, Personal, PrescriptionItemId};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{ERASED, text};

table! {
    /// One row per alert about a prescription: what speaks against an item, or could not be compared.
    AlertRow in "prescription_alerts",
    readers [ClinicalRecords, AssignedPatients, Prescriptions, OwnRecords],
    stamped once,
    indexes [(severity, created_at)] {
        /// The alert.
        id: Uuid [indexed],
        /// The prescription.
        prescription_id: Uuid [indexed],
        /// The item of the prescription; null for an alert about all items.
        item_id: Option<Uuid> [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// What the alert is about.
        kind: String [] of hims_domain::alert::Kind::CODES,
        /// How much the alert matters. Major and contraindicated need a reason.
        severity: String [indexed] of hims_domain::alert::Severity::CODES,
        /// What the item does not go together with, or what could not be compared: `prescription_item`,
        /// `medication_entry` or `allergy`.
        other_type: Option<String>,
        /// The id of the other item, entry of the medication list, or allergy.
        other_id: Option<Uuid>,
        /// The RxNorm concept of the item's ingredient (RXCUI), by which the row of `drug_interactions` is found.
        ingredient: Option<String>,
        /// The RxNorm concept of the other's ingredient (RXCUI).
        other_ingredient: Option<String>,
        /// The source that says so, such as `ANSM`.
        source: Option<String>,
        /// The version of the source.
        source_version: Option<String>,
        /// Whether somebody prescribed or dispensed the item for a reason in spite of the alert.
        is_overridden: bool,
        /// The reason.
        override_reason: Option<String> [personal],
        /// The user who gave the reason: the prescriber, or who dispensed the item.
        overridden_by: Option<Uuid> [indexed],
    }
}

fn row(
    event: &Projected<'_, Event>,
    patient_id: PatientId,
    alert: &Alert,
    reason: Option<&Personal<OverrideReason>>,
) -> AlertRow {
    let reason = reason.filter(|_| alert.is_overridden);
    AlertRow {
        id: alert.row(event.stream_id),
        prescription_id: event.stream_id,
        item_id: alert.item_id.map(Uuid::from),
        patient_id: patient_id.into(),
        kind: alert.kind.to_string(),
        severity: alert.severity.to_string(),
        other_type: alert.other.map(|it| it.type_code().to_owned()),
        other_id: alert.other.map(Other::id),
        ingredient: text(alert.ingredient.as_ref()),
        other_ingredient: text(alert.other_ingredient.as_ref()),
        source: text(alert.source.as_ref()),
        source_version: text(alert.source_version.as_ref()),
        is_overridden: alert.is_overridden,
        override_reason: reason.map(|reason| reason.known().map_or(ERASED, |it| it.0.as_str()).to_owned()),
        overridden_by: event.user_id().filter(|_| alert.is_overridden),
        stamps: event.stamps(),
    }
}

/// The alerts of a prescription that was written.
pub(super) fn written<'e>(event: &Projected<'e, Event>, it: &Written, rows: &mut Changes<'e, AlertRow>) {
    let of_item = |id: PrescriptionItemId| it.items.iter().find(|item| item.id == id);
    for alert in &it.alerts {
        let reason = alert.item_id.and_then(of_item).and_then(|item| item.order.override_reason.as_ref());
        rows.insert(row(event, it.patient_id, alert, reason));
    }
}

/// The alerts that were noticed when a prescription was dispensed, each with the reason for its item.
pub(super) fn dispensed<'e, 'r>(
    event: &Projected<'e, Event>,
    patient_id: PatientId,
    alerts: &[Alert],
    reason: impl Fn(PrescriptionItemId) -> Option<&'r Personal<OverrideReason>>,
    rows: &mut Changes<'e, AlertRow>,
) {
    for alert in alerts {
        rows.insert(row(event, patient_id, alert, alert.item_id.and_then(&reason)));
    }
}
