//! Medication lots: receiving and moving lots, counting and correcting quantities, and keeping lots from being dispensed.

mod changes;
mod holding;
mod movements;
mod moving;
mod telling;
mod witness;

use hims_domain::medication::Medication;
use hims_domain::medication_lot::{Event, MedicationLot, Receipt, Status};
use hims_domain::permission::Create;
use hims_domain::room::Room;
use hims_domain::supplier::Supplier;
use hims_domain::values::{Reason, Unit};
use hims_domain::{MedicationLotId, RoomId, described};
use rust_decimal::{Decimal, dec};
use uuid::Uuid;

pub use changes::{AdjustMedicationLot, CountMedicationLot, WasteMedicationLot};
pub use holding::{QuarantineMedicationLot, RecallMedicationLot};
pub(crate) use movements::Movements;
pub use moving::{ReturnMedicationLot, TransferMedicationLot};
pub(crate) use telling::{TellOfExpiringLot, TellOfUnwitnessedChange};
pub use witness::{ExpireLotChange, RejectLotChange, WitnessLotChange};

use super::medication::NewUnits;
use super::supplier::check_supplier;
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
        .add::<RecallMedicationLot>()
        .add::<RevokeMedicationLotRecall>()
        .add::<WasteMedicationLot>()
        .add::<CountMedicationLot>()
        .add::<TransferMedicationLot>()
        .add::<ReturnMedicationLot>()
        .add::<WitnessLotChange>()
        .add::<RejectLotChange>();
}

refusals! {
    Expired = Rule, "expired", "the lot is past its expiry date and cannot be taken into stock";
    BelowZero { on_hand: Decimal, unit: Unit } = Conflict, "insufficient-stock",
        "the lot holds {on_hand} {unit}, and the change would leave less than nothing; take away {on_hand} at most";
    NotFree { free: Decimal, unit: Unit } = Conflict, "insufficient-stock",
        "only {free} {unit} of the lot are neither reserved for prescriptions nor set aside for a witness; take away \
         {free} at most, or undo first that prescriptions are ready";
    NotDispensable = Conflict, "lot-not-dispensable",
        "the lot is expired, recalled or in quarantine; waste it, or return it to the supplier";
    OtherLot = Conflict, "other-lot",
        "the place has a lot of the same number with another expiry date or unit; correct one of them first";
    NotGiven { given: Decimal, unit: Unit } = Conflict, "too-much",
        "only {given} {unit} of the lot were dispensed for the prescription and have not come back";
    NamePrescription = Rule, "prescription-missing",
        "a controlled product comes back into stock only from the prescription for which it was dispensed; name the \
         prescription, or correct the quantity with adjust-medication-lot, which needs a witness";
    NoSuchChange = Conflict, "no-such-change",
        "no change with this id waits for a witness; it was witnessed or rejected already, or never requested";
    ChangeExpired = Conflict, "change-expired",
        "nobody witnessed the change within 24 hours; request it again and have it witnessed in time";
    OwnWitness = Forbidden, "own-witness", "nobody witnesses their own change; a second person must do this";
    NotAWitness = Conflict, "not-a-witness",
        "only a member of staff whose login is active is a witness; somebody else must do this";
}

described! {
    /// Takes a delivery into stock. A unit that no lot and no order of the medication had before needs `confirm_unit`,
    /// so that all lots are counted in one unit; the first lot or order of a medication decides which.
    pub struct ReceiveMedicationLot {
        /// The id of the new lot; issued by the server if left out.
        pub id: Option<MedicationLotId>,
        /// What was delivered.
        #[serde(flatten)]
        pub receipt: Receipt,
        /// Confirms that the lot is counted in another unit than the lots and orders of the medication so far.
        #[serde(default)]
        pub confirm_unit: bool,
    }
}

steps! {
    MedicationLot by medication_lot_id: MedicationLotId, "Which lot.";

    /// Releases a lot from quarantine.
    ReleaseMedicationLot = "release-medication-lot" needs Update::InventoryLevels
        moves status from [Status::Quarantined] to [Status::Available | Status::Depleted] by Event::Released,
        undone by QuarantineMedicationLot;

    /// Revokes a recall that was a mistake, such as of another lot than the one named by the maker. The lot is in
    /// quarantine until it is released.
    RevokeMedicationLotRecall = "revoke-medication-lot-recall" needs Update::InventoryLevels
        with {
            /// Why the recall is revoked.
            reason: Reason,
        }
        moves status from [Status::Recalled] to [Status::Quarantined] by Event::RecallRevoked { reason },
        undone by RecallMedicationLot;
}

/// The key of the number of a lot at a place of storage.
fn number_key(lot: &MedicationLot, place: RoomId) -> String {
    scopes::key(&[&lot.medication_id.to_string(), &place.to_string(), lot.lot_number.as_str()])
}

impl Claims for MedicationLot {
    /// The lot number is unique for a medication at a place of storage. Lots are found by their medication.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take(scopes::LOT_NUMBER, number_key(self, self.location_id))
            .share(scopes::LOTS_OF_MEDICATION, self.medication_id.to_string());
    }
}

/// The largest quantity that a lot, or a room, can hold.
pub(crate) const MOST: Decimal = dec!(999_999_999.999);

/// Checks that a quantity is more than zero, at most [`MOST`], and has at most three decimals.
pub(crate) fn check_quantity(value: Decimal, pointer: &str) -> Result<(), Refused> {
    if value > Decimal::ZERO && value <= MOST && value.normalize().scale() <= 3 {
        return Ok(());
    }
    let message = "give more than zero and at most 999999999.999, with at most three decimals";
    Err(Refused::field("out-of-range", pointer, message))
}

/// Checks that an amount, if there is one, is from 0 to 999,999 with so many decimals at most.
pub(crate) fn check_amount(value: Option<Decimal>, decimals: u32, pointer: &str) -> Result<(), Refused> {
    match value {
        Some(value) if value < Decimal::ZERO || value > dec!(999_999) || value.normalize().scale() > decimals => {
            let message = format!("give 0 to 999999, with at most {decimals} decimals");
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
        Reads::nothing()
            .stream::<Medication>(self.receipt.medication_id)
            .stream::<Room>(self.receipt.location_id)
            .maybe::<Supplier>(self.receipt.supplier_id)
    }

    fn decide(self, _: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let receipt = self.receipt;
        let medication = ctx.named::<Medication>(receipt.medication_id, "/medication_id")?;
        ctx.named::<Room>(receipt.location_id, "/location_id")?;
        check_supplier(ctx, receipt.supplier_id, "/supplier_id")?;
        check_quantity(receipt.quantity, "/quantity")?;
        check_amount(receipt.unit_cost, 4, "/unit_cost")?;
        check_amount(receipt.reorder_level, 3, "/reorder_level")?;
        if receipt.expiry_date < ctx.today() {
            return refuse(Refusal::Expired);
        }
        let mut new_units = NewUnits::default();
        new_units.compare("/unit".to_owned(), receipt.medication_id, medication, &receipt.unit);
        if !self.confirm_unit && !medication.units.is_empty() {
            new_units.none()?;
        }
        Ok(new_units.introduce(Decision::event(Event::Received(receipt))))
    }
}

#[cfg(test)]
mod tests;
