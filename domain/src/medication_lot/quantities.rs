//! The parts of the quantity of a lot: what is reserved, what is set aside, and what is free.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{MedicationLot, RequestedChange};
use crate::{PrescriptionId, PrescriptionItemId};

/// What is reserved for one line of a prescription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reserved {
    /// The prescription.
    pub prescription_id: PrescriptionId,
    /// The quantity; more than zero.
    pub quantity: Decimal,
}

impl MedicationLot {
    /// Takes a quantity away from what is reserved for a line of a prescription.
    pub(super) fn unreserve(&mut self, item_id: PrescriptionItemId, quantity: Decimal) {
        if let Some(reserved) = self.reserved.get_mut(&item_id) {
            reserved.quantity -= quantity;
        }
        self.reserved.retain(|_, it| it.quantity > Decimal::ZERO);
    }

    /// The quantity that is reserved for prescriptions.
    pub fn quantity_reserved(&self) -> Decimal {
        self.reserved.values().map(|it| it.quantity).sum()
    }

    /// The prescriptions for which something is reserved.
    pub fn reserved_prescriptions(&self) -> BTreeSet<PrescriptionId> {
        self.reserved.values().map(|it| it.prescription_id).collect()
    }

    /// The quantity that is reserved for one line of a prescription.
    pub fn reserved_for(&self, item_id: PrescriptionItemId) -> Decimal {
        self.reserved.get(&item_id).map_or(Decimal::ZERO, |it| it.quantity)
    }

    /// The quantity that is set aside for changes that wait for a witness.
    pub fn quantity_pending(&self) -> Decimal {
        self.pending.values().map(RequestedChange::set_aside).sum()
    }

    /// The quantity that is neither reserved nor set aside.
    pub fn free(&self) -> Decimal {
        self.quantity_on_hand - self.quantity_reserved() - self.quantity_pending()
    }

    /// The quantity that can be used on a day: what is neither reserved nor set aside, and nothing of a lot that may not
    /// be dispensed then.
    pub fn usable(&self, on: NaiveDate) -> Decimal {
        if self.is_dispensable(on) { self.free().max(Decimal::ZERO) } else { Decimal::ZERO }
    }
}
