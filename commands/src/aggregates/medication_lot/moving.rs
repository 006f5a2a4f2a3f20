//! Lots on the move: to another place, back to the supplier, and back into stock.

use hims_domain::medication_lot::{Event, MedicationLot, Receipt, ReturnTo, Status};
use hims_domain::permission::Update;
use hims_domain::prescription::Prescription;
use hims_domain::room::Room;
use hims_domain::{MedicationLotId, PrescriptionId, RoomId, described};
use rust_decimal::Decimal;

use super::changes::{check_free, check_most, needs_witness, reads_product};
use super::{AdjustMedicationLot, Refusal, check_quantity, number_key};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse, scopes};

described! {
    /// Brings a part of a lot to another place. If the place has some of the same lot already, the quantity is added to
    /// it; otherwise the lot begins there.
    pub struct TransferMedicationLot {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
        /// The other place.
        pub to_location_id: RoomId,
        /// The quantity; more than zero.
        pub quantity: Decimal,
    }

    /// Returns a quantity of a lot to the supplier, or takes back into stock what comes from a ward or, unopened, from
    /// a patient. Of a controlled product, only what was dispensed for a prescription comes back into stock; a surplus is
    /// an adjustment with a witness.
    pub struct ReturnMedicationLot {
        /// Which lot.
        pub medication_lot_id: MedicationLotId,
        /// The quantity; more than zero.
        pub quantity: Decimal,
        /// To whom the quantity goes back.
        pub to: ReturnTo,
        /// The prescription for which the quantity had been dispensed, if it comes back into stock from a patient.
        pub prescription_id: Option<PrescriptionId>,
    }
}

/// Refuses a lot that may only be wasted or returned to the supplier. An empty lot is none of these.
fn check_usable(lot: &MedicationLot, ctx: &Context<'_>) -> Result<(), Refused> {
    let is_usable = matches!(lot.status, Status::Available | Status::Depleted) && ctx.today() <= lot.expiry_date;
    if is_usable { Ok(()) } else { refuse(Refusal::NotDispensable) }
}

impl Command for TransferMedicationLot {
    const NAME: &'static str = "transfer-medication-lot";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn reads(&self, state: Option<&MedicationLot>, _: &Found) -> Reads {
        let reads = Reads::nothing().stream::<Room>(self.to_location_id);
        match state.filter(|lot| lot.location_id != self.to_location_id) {
            Some(lot) => reads.owners::<MedicationLot>(scopes::LOT_NUMBER, number_key(lot, self.to_location_id)),
            None => reads,
        }
    }

    fn decide(self, state: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let (lot, to_location_id) = (existing(state)?, self.to_location_id);
        check_quantity(self.quantity, "/quantity")?;
        ctx.named::<Room>(to_location_id, "/to_location_id")?;
        if to_location_id == lot.location_id {
            return Err(Refused::field(
                "same-place",
                "/to_location_id",
                "the lot is there already; name another place",
            ));
        }
        check_usable(lot, ctx)?;
        check_free(lot, self.quantity, "/quantity")?;
        let there = ctx.found.owners::<MedicationLot>(scopes::LOT_NUMBER, number_key(lot, to_location_id)).next();
        let (to_lot_id, on_hand_there) = match there {
            Some((id, other)) => {
                if (other.expiry_date, &other.unit) != (lot.expiry_date, &lot.unit) {
                    return refuse(Refusal::OtherLot);
                }
                check_usable(other, ctx)?;
                check_most(other, self.quantity, "/quantity")?;
                (id, other.quantity_on_hand)
            }
            None => (ctx.new_id(1), Decimal::ZERO),
        };
        let performed_by = ctx.caller.user_id();
        let receipt = Receipt {
            medication_id: lot.medication_id,
            location_id: to_location_id,
            lot_number: lot.lot_number.clone(),
            expiry_date: lot.expiry_date,
            quantity: self.quantity,
            unit: lot.unit.clone(),
            unit_cost: lot.unit_cost,
            reorder_level: lot.reorder_level,
            supplier_id: lot.supplier_id,
            delivery_note: None,
        };
        let (from_lot_id, on_hand_after) = (ctx.id.into(), on_hand_there + self.quantity);
        let from_location_id = lot.location_id;
        let in_there = Event::TransferredIn { receipt, on_hand_after, from_lot_id, from_location_id, performed_by };
        let (change, to_lot) = (-self.quantity, to_lot_id.into());
        let on_hand_after = lot.quantity_on_hand - self.quantity;
        let out = Event::TransferredOut { change, on_hand_after, to_lot_id: to_lot, to_location_id, performed_by };
        Ok(Decision::event(out).begin_or_also::<MedicationLot>(to_lot_id, in_there, ctx.found))
    }
}

impl Command for ReturnMedicationLot {
    const NAME: &'static str = "return-medication-lot";
    const PERMISSION: Permission = Permission::Update(Update::InventoryLevels);
    const REVERSED_BY: Option<&'static str> = Some(AdjustMedicationLot::NAME);
    type Aggregate = MedicationLot;

    fn target(&self) -> Target {
        Target::existing(self.medication_lot_id)
    }

    fn reads(&self, state: Option<&MedicationLot>, _: &Found) -> Reads {
        reads_product(state).maybe::<Prescription>(self.prescription_id)
    }

    fn decide(self, state: Option<&MedicationLot>, ctx: &Context<'_>) -> Result<Decision<MedicationLot>, Refused> {
        let (lot, prescription_id) = (existing(state)?, self.prescription_id);
        check_quantity(self.quantity, "/quantity")?;
        let change = match self.to {
            ReturnTo::Supplier if prescription_id.is_some() => {
                let message = "what comes back from a patient comes back into stock; leave the field out";
                return Err(Refused::field("not-to-supplier", "/prescription_id", message));
            }
            ReturnTo::Supplier => {
                check_free(lot, self.quantity, "/quantity")?;
                -self.quantity
            }
            ReturnTo::Stock if prescription_id.is_none() && needs_witness(lot, ctx) => {
                return Err(Refused::from(Refusal::NamePrescription).at("/prescription_id"));
            }
            ReturnTo::Stock => {
                check_usable(lot, ctx)?;
                check_most(lot, self.quantity, "/quantity")?;
                self.quantity
            }
        };
        if let Some(id) = prescription_id {
            let prescription = ctx.named::<Prescription>(id, "/prescription_id")?;
            let from_here = prescription.given.iter().filter(|it| it.lot_id.map(Into::into) == Some(ctx.id));
            let back = lot.returned.get(&id).copied().unwrap_or_default();
            let given = from_here.map(|it| it.quantity).sum::<Decimal>() - back;
            if self.quantity > given {
                return refuse(Refusal::NotGiven { given: given.normalize(), unit: lot.unit.clone() });
            }
        }
        let (performed_by, on_hand_after) = (ctx.caller.user_id(), lot.quantity_on_hand + change);
        let (to, supplier_id) = (self.to, lot.supplier_id.filter(|_| self.to == ReturnTo::Supplier));
        let returned = Event::Returned { to, change, on_hand_after, supplier_id, prescription_id, performed_by };
        Ok(Decision::event(returned))
    }
}
