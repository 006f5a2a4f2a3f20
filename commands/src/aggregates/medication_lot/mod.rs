//! Medication lots: what comes in, what a count finds, what must not be dispensed.

use hims_domain::medication::Medication;
use hims_domain::medication_lot::{Event, MedicationLot, Receipt, Status};
use hims_domain::permission::{Create, Update};
use hims_domain::room::Room;
use hims_domain::values::LongText;
use hims_domain::{MedicationLotId, described};
use rust_decimal::{Decimal, dec};
use uuid::Uuid;

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{
    Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<ReceiveMedicationLot>()
        .add::<AdjustMedicationLot>()
        .add::<QuarantineMedicationLot>()
        .add::<ReleaseMedicationLot>()
        .add::<RecallMedicationLot>();
}

refusals! {
    Expired = Rule, "expired", "the lot is past its expiry date";
    BelowZero { on_hand: Decimal } = Conflict, "insufficient-stock", "there are only {on_hand} on hand";
}

described! {
    /// Takes a delivery into stock.
    pub struct ReceiveMedicationLot {
        /// Issued unless given.
        pub id: Option<MedicationLotId>,
        /// The delivery.
        #[serde(flatten)]
        pub receipt: Receipt,
    }

    /// Corrects the quantity of a lot after a count or a loss.
    pub struct AdjustMedicationLot {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
        /// How much more there is; negative for less. Never zero.
        pub change: Decimal,
        /// Why.
        pub reason: LongText,
    }

}

steps! {
    MedicationLot by medication_lot_id: MedicationLotId, "Which lot.";

    /// Sets a lot aside: it is not dispensed until it is released.
    QuarantineMedicationLot = "quarantine-medication-lot" needs Update::InventoryLevels
        with {
            /// Why.
            reason: LongText,
        }
        moves status from [Status::Available | Status::Depleted] to [Status::Quarantined] by Event::Quarantined { reason },
        undone by ReleaseMedicationLot;

    /// Releases a lot from quarantine.
    ReleaseMedicationLot = "release-medication-lot" needs Update::InventoryLevels
        moves status from [Status::Quarantined] to [Status::Available | Status::Depleted] by Event::Released,
        undone by QuarantineMedicationLot;

    /// Recalls a lot: it is never dispensed again.
    RecallMedicationLot = "recall-medication-lot" needs Update::InventoryLevels
        with {
            /// Why.
            reason: LongText,
        }
        moves status from [Status::Available | Status::Depleted | Status::Quarantined] to [Status::Recalled]
        by Event::Recalled { reason };
}

impl Claims for MedicationLot {
    /// A lot lies once at a place, and is found by its medication.
    fn claims(&self, _: Uuid, held: &mut Held) {
        let (medication, place) = (self.medication_id.to_string(), self.location_id.to_string());
        held.take(scopes::LOT_NUMBER, scopes::key(&[&medication, &place, self.lot_number.as_str()]))
            .share(scopes::LOTS_OF_MEDICATION, medication);
    }
}

/// The largest quantity that is kept.
const MOST: Decimal = dec!(999_999_999.999);

/// A quantity with at most three decimals, within what is kept.
pub(crate) fn check_quantity(value: Decimal, pointer: &str) -> Result<(), Refused> {
    if value > Decimal::ZERO && value <= MOST && value.normalize().scale() <= 3 {
        return Ok(());
    }
    Err(Refused::field("out-of-range", pointer, "give more than zero, with at most three decimals"))
}

fn check_amount(value: Option<Decimal>, decimals: u32, pointer: &str) -> Result<(), Refused> {
    match value {
        Some(value) if value < Decimal::ZERO || value > dec!(999_999) || value.normalize().scale() > decimals => {
            let message = format!("give zero or more, with at most {decimals} decimals");
            Err(Refused::field("out-of-range", pointer, message))
        }
        _ => Ok(()),
    }
}

impl Command for ReceiveMedicationLot {
    const NAME: &'static str = "receive-medication-lot";
    const PERMISSION: Permission = Permission::Create(Create::Inventory);
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&MedicationLot>, _: &Found) -> Reads {
        Reads::nothing().stream::<Medication>(self.receipt.medication_id).stream::<Room>(self.receipt.location_id)
    }

    fn decide(self, _: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let receipt = self.receipt;
        ctx.named::<Medication>(receipt.medication_id, "/medication_id")?;
        ctx.named::<Room>(receipt.location_id, "/location_id")?;
        check_quantity(receipt.quantity, "/quantity")?;
        check_amount(receipt.unit_cost, 4, "/unit_cost")?;
        check_amount(receipt.reorder_level, 3, "/reorder_level")?;
        if receipt.expiry_date < ctx.today() {
            return refuse(Refusal::Expired);
        }
        Ok(Decision::event(Event::Received(receipt)))
    }
}

impl Command for AdjustMedicationLot {
    const NAME: &'static str = "adjust-medication-lot";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn decide(self, state: Option<&MedicationLot>, _: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let on_hand = existing(state)?.quantity_on_hand;
        check_quantity(self.change.abs(), "/change")?;
        if on_hand + self.change < Decimal::ZERO {
            return refuse(Refusal::BelowZero { on_hand });
        }
        if on_hand + self.change > MOST {
            return Err(Refused::field("out-of-range", "/change", "no lot holds so much"));
        }
        Ok(Decision::event(Event::Adjusted { change: self.change, reason: self.reason }))
    }
}

#[cfg(test)]
mod tests;
