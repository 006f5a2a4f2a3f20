//! What is kept ready for a prescription, and the refills of its lines.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{MedicationLotId, PrescriptionItemId, terms};

terms! {
    /// Why a prescription that was ready to be fetched is no longer ready, without a decision of the pharmacy.
    pub enum Withdrawal {
        LotRecalled = "lot_recalled",
        LotQuarantined = "lot_quarantined",
        NotCollected = "not_collected",
    }
}

/// A quantity of a lot that is kept for one line of a prescription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    /// The line of the prescription.
    pub item_id: PrescriptionItemId,
    /// The lot.
    pub lot_id: MedicationLotId,
    /// The quantity; more than zero.
    pub quantity: Decimal,
}

/// The refills of one line of a prescription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refill {
    /// The line of the prescription.
    pub item_id: PrescriptionItemId,
    /// How many refills are used, the opened one included.
    pub refills_used: i32,
}
