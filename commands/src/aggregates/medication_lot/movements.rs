//! What one decision does to lots: reserving, releasing, dispensing and putting back.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hims_domain::medication_lot::{Event, MedicationLot};
use hims_domain::{Aggregate, PrescriptionId, PrescriptionItemId};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{Claims, Decision, Found};

/// Events of lots in one decision. Each event counts on what the events before it leave in the lot.
pub(crate) struct Movements<'a> {
    found: &'a Found,
    lots: BTreeMap<Uuid, MedicationLot>,
    events: Vec<(Uuid, Event)>,
}

/// A line of a prescription.
type Line = (PrescriptionId, PrescriptionItemId);

impl<'a> Movements<'a> {
    /// Nothing yet, of the lots that were looked up.
    pub(crate) fn new(found: &'a Found) -> Self {
        Self { found, lots: BTreeMap::new(), events: Vec::new() }
    }

    /// Nothing yet, of the lot to which the command applies and of the lots that were looked up.
    pub(crate) fn of(id: Uuid, lot: &MedicationLot, found: &'a Found) -> Self {
        Self { lots: BTreeMap::from([(id, lot.clone())]), ..Self::new(found) }
    }

    /// A lot as the movements so far leave it; `None` if the lot was not looked up.
    pub(crate) fn lot(&mut self, id: Uuid) -> Option<&MedicationLot> {
        match self.lots.entry(id) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(unknown) => Some(unknown.insert(self.found.get::<MedicationLot>(id)?.clone())),
        }
    }

    /// Keeps a quantity of a lot for a line.
    pub(crate) fn reserve(&mut self, id: Uuid, (prescription_id, item_id): Line, quantity: Decimal) {
        self.record(id, |lot| {
            let (on_hand_after, reserved_after) = (lot.quantity_on_hand, lot.quantity_reserved() + quantity);
            Event::Reserved { prescription_id, item_id, quantity, on_hand_after, reserved_after }
        });
    }

    /// No longer keeps a quantity of a lot for a line; at most what is kept for the line is released.
    pub(crate) fn release(&mut self, id: Uuid, (prescription_id, item_id): Line, quantity: Decimal) {
        let quantity = quantity.min(self.lot(id).map_or(Decimal::ZERO, |lot| lot.reserved_for(item_id)));
        if quantity <= Decimal::ZERO {
            return;
        }
        self.record(id, |lot| {
            let (on_hand_after, reserved_after) = (lot.quantity_on_hand, lot.quantity_reserved() - quantity);
            Event::ReservationReleased { prescription_id, item_id, quantity, on_hand_after, reserved_after }
        });
    }

    /// Dispenses a quantity of a lot for a line, first of what is kept for the line.
    pub(crate) fn dispense(&mut self, id: Uuid, (prescription_id, item_id): Line, quantity: Decimal) {
        self.record(id, |lot| {
            let reserved_after = lot.quantity_reserved() - quantity.min(lot.reserved_for(item_id));
            let on_hand_after = lot.quantity_on_hand - quantity;
            Event::Dispensed { prescription_id, item_id, quantity, on_hand_after, reserved_after }
        });
    }

    /// Puts a quantity that was dispensed for a line back into its lot.
    pub(crate) fn put_back(&mut self, id: Uuid, (prescription_id, item_id): Line, quantity: Decimal) {
        self.record(id, |lot| {
            let on_hand_after = lot.quantity_on_hand + quantity;
            Event::DispensingReversed { prescription_id, item_id, quantity, on_hand_after }
        });
    }

    fn record(&mut self, id: Uuid, event: impl FnOnce(&MedicationLot) -> Event) {
        let Some(lot) = self.lot(id) else { return };
        let (event, before) = (event(lot), lot.clone());
        self.lots.extend(MedicationLot::evolve(Some(before), &event).map(|lot| (id, lot)));
        self.events.push((id, event));
    }

    /// Adds the movements to the decision of a command on another stream.
    pub(crate) fn follow<A: Claims>(self, decision: Decision<A>) -> Decision<A> {
        self.events.into_iter().fold(decision, |decision, (id, event)| decision.also::<MedicationLot>(id, event))
    }

    /// Adds the movements to the decision of a command on the lot `own`.
    pub(crate) fn follow_own(self, own: Uuid, decision: Decision<MedicationLot>) -> Decision<MedicationLot> {
        self.events.into_iter().fold(decision, |decision, (id, event)| {
            if id == own { decision.followed_by(event) } else { decision.also::<MedicationLot>(id, event) }
        })
    }
}
