use chrono::{DateTime, Utc};
use hims_domain::billing_record::Event;
use hims_domain::values::Reason;
use hims_domain::{PatientId, Personal};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::machinery::event::{Projected, derived_id};
use crate::machinery::table::table;
use crate::machinery::text::known_text;

/// The kind of the row of a balance that was given up.
pub(super) const WRITE_OFF: &str = "write_off";
/// The kinds of rows: those of an adjustment, and that of a balance that was given up.
const KINDS: &[&str] = &["discount", "courtesy", "correction", WRITE_OFF];

table! {
    /// One row for each time that the hospital lowered the charges of a billing record after billing, or gave up what
    /// was owed. What payers lower stands in `claim_payments`.
    BillingAdjustmentRow in "billing_adjustments",
    children of billing_record_id,
    readers [Billing, OwnRecords],
    stamped once,
    indexes [(billing_record_id, adjusted_at), (patient_id, adjusted_at), (kind, adjusted_at)] {
        /// The adjustment.
        id: Uuid [indexed],
        /// The billing record.
        billing_record_id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// Why in general; `write_off` for what was owed and was given up.
        kind: String [indexed] of KINDS,
        /// By how much the charges were lowered, or how much was given up. A correction that takes earlier adjustments
        /// back is negative. Money that comes for a balance that was given up does not change the row.
        amount: Decimal,
        /// Why in particular.
        reason: Option<String> [personal],
        /// When the charges were lowered, or the balance was given up.
        adjusted_at: DateTime<Utc> [indexed],
        /// The user who did so.
        adjusted_by: Option<Uuid> [indexed],
    }
}

/// The row of charges that were lowered, or of a balance that was given up.
pub(super) fn row(
    event: &Projected<'_, Event>,
    patient_id: PatientId,
    kind: &str,
    amount: Decimal,
    reason: &Personal<Reason>,
) -> BillingAdjustmentRow {
    BillingAdjustmentRow {
        id: derived_id(event.stream_id, &["adjustment", &event.version.to_string()]),
        billing_record_id: event.stream_id,
        patient_id: patient_id.into(),
        kind: kind.to_owned(),
        amount,
        reason: known_text(Some(reason)),
        adjusted_at: event.metadata.occurred_at,
        adjusted_by: event.user_id(),
        stamps: event.stamps(),
    }
}
