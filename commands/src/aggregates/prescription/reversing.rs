//! Taking back what was dispensed: the quantities go back into the lots from which they were taken.

use hims_domain::medication_lot::MedicationLot;
use hims_domain::permission::Create;
use hims_domain::prescription::{Dispensing, Event, Prescription, Reversed, Status};
use hims_domain::values::Reason;
use hims_domain::{MedicationLotId, Personal, PrescriptionId, PrescriptionItemId, described};
use rust_decimal::Decimal;

use super::against::Against;
use super::stock::{reads_reserved, release};
use super::{DispensePrescription, Refusal};
use crate::aggregates::medication_list::{after_reversing, reads_list};
use crate::aggregates::medication_lot::{Movements, check_quantity};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

described! {
    /// What to take back of an item.
    pub struct ReverseItem {
        /// Which item.
        pub item_id: PrescriptionItemId,
        /// The quantity to take back; all that was dispensed if left out.
        pub quantity: Option<Decimal>,
        /// The lot to put the quantity back into; the lots that were dispensed from last if left out.
        pub lot_id: Option<MedicationLotId>,
    }

    /// Takes back what was dispensed by mistake, or was not fetched and never left the pharmacy. The quantities go back
    /// into the lots from which they were taken. What another pharmacy dispensed changes no stock.
    pub struct ReverseDispensing {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
        /// The items to take back, one or more; everything that was dispensed if left out.
        pub items: Option<Vec<ReverseItem>>,
        /// Why the dispensing is taken back.
        pub reason: Personal<Reason>,
    }
}

impl Command for ReverseDispensing {
    const NAME: &'static str = "reverse-dispensing";
    const PERMISSION: Permission = Permission::Create(Create::MedicationDispensing);
    const REVERSED_BY: Option<&'static str> = Some(DispensePrescription::NAME);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn reads(&self, state: Option<&Prescription>, _: &Found) -> Reads {
        let given = state.map_or(&[][..], |it| it.given.as_slice());
        let reads = reads_reserved(reads_list(Reads::nothing(), state.map(|it| it.patient_id)), state, None);
        given.iter().filter_map(|it| it.lot_id).fold(reads, Reads::stream::<MedicationLot>)
    }

    fn decide(self, state: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        if self.items.as_ref().is_some_and(Vec::is_empty) {
            let message = "give the items to take back, or leave the field out to take back everything";
            return Err(Refused::field("no-items", "/items", message));
        }
        let mut back = Back { given: prescription.given.clone(), taken: Vec::new() };
        if self.items.is_none() {
            for line in &prescription.lines {
                let dispensed = back.dispensed(line.item.id, None);
                back.take(line.item.id, dispensed, None);
            }
        }
        let mut against = Against::default();
        for (nth, asked) in self.items.iter().flatten().enumerate() {
            let at = format!("/items/{nth}");
            if let Some(quantity) = asked.quantity {
                check_quantity(quantity, &format!("{at}/quantity"))?;
            }
            let dispensed = back.dispensed(asked.item_id, asked.lot_id);
            let quantity = asked.quantity.unwrap_or(dispensed);
            if !prescription.lines.iter().any(|line| line.item.id == asked.item_id) {
                against.at(format!("{at}/item_id"), Refusal::NoSuchItem);
            } else if quantity > dispensed {
                let dispensed = dispensed.normalize();
                against.at(format!("{at}/quantity"), Refusal::NotDispensed { dispensed });
            } else {
                back.take(asked.item_id, quantity, asked.lot_id);
            }
        }
        against.nothing()?;
        back.decide(prescription, self.reason, ctx)
    }
}

/// A reversal in preparation: what is left of the dispensed quantities, and what is taken back.
struct Back {
    given: Vec<Dispensing>,
    taken: Vec<Dispensing>,
}

impl Back {
    /// The quantity of an item that was dispensed and is not taken back, from one lot or from all.
    fn dispensed(&self, item_id: PrescriptionItemId, lot_id: Option<MedicationLotId>) -> Decimal {
        let is_of = |it: &&Dispensing| it.item_id == item_id && (lot_id.is_none() || it.lot_id == lot_id);
        self.given.iter().filter(is_of).map(|it| it.quantity).sum()
    }

    /// Takes a quantity of an item back, beginning with what was dispensed last.
    fn take(&mut self, item_id: PrescriptionItemId, mut quantity: Decimal, lot_id: Option<MedicationLotId>) {
        for part in self.given.iter_mut().rev() {
            let is_of = part.item_id == item_id && (lot_id.is_none() || part.lot_id == lot_id);
            let taken = quantity.min(part.quantity);
            if !is_of || taken <= Decimal::ZERO {
                continue;
            }
            part.quantity -= taken;
            quantity -= taken;
            let from_lot = |it: &&mut Dispensing| (it.item_id, it.lot_id) == (item_id, part.lot_id);
            match self.taken.iter_mut().find(from_lot) {
                Some(earlier) => earlier.quantity += taken,
                None => self.taken.push(Dispensing { quantity: taken, ..part.clone() }),
            }
        }
    }

    fn decide(
        self,
        prescription: &Prescription,
        reason: Personal<Reason>,
        ctx: &Context<'_>,
    ) -> Result<Decision<Prescription>, Refused> {
        if self.taken.is_empty() {
            return refuse(Refusal::NothingDispensed);
        }
        let dispensed = |item_id| self.dispensed(item_id, None);
        let reversed = self.taken.iter().map(|part| Reversed {
            item_id: part.item_id,
            lot_id: part.lot_id,
            quantity: part.quantity,
            quantity_dispensed: dispensed(part.item_id),
        });
        let status = match prescription.status {
            Status::Cancelled => Status::Cancelled,
            _ if prescription.is_sent => Status::SentToPharmacy,
            _ => Status::Pending,
        };
        let event = Event::DispensingReversed { reversed: reversed.collect(), status, reason };
        let mut movements = Movements::new(ctx.found);
        for part in &self.taken {
            let Some(lot_id) = part.lot_id else { continue };
            // What a patient brought back is in the lot again already.
            let came_back = ctx.named::<MedicationLot>(lot_id, "/items")?.returned.get(&ctx.id.into()).copied();
            let left = self.given.iter().filter(|it| it.lot_id == Some(lot_id)).map(|it| it.quantity).sum::<Decimal>();
            if came_back.is_some_and(|it| it > left) {
                return refuse(Refusal::CameBack);
            }
            movements.put_back(lot_id.into(), (ctx.id.into(), part.item_id), part.quantity);
        }
        release(&mut movements, ctx.id.into(), prescription);
        let decision = movements.follow(Decision::event(event));
        let nothing_left = self.taken.iter().map(|it| it.item_id).filter(|it| dispensed(*it).is_zero());
        Ok(after_reversing(decision, ctx, prescription, nothing_left))
    }
}
