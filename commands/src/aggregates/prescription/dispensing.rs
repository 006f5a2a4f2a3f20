//! Dispensing: the append that records a dispensing also takes the quantities from the lots.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use hims_domain::medication_lot::{self, MedicationLot};
use hims_domain::permission::Create;
use hims_domain::prescription::{Dispensing, Event, Line, Prescription, Status};
use hims_domain::values::OverrideReason;
use hims_domain::{MedicationLotId, Personal, PrescriptionId, PrescriptionItemId, described};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::alerts::{self, AtDispensing};
use super::{Refusal, ReverseDispensing};
use crate::aggregates::medication_list::{after_dispensing, check_dispensable, reads_list};
use crate::aggregates::medication_lot::check_quantity;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse, scopes};

described! {
    /// What to dispense of an item.
    pub struct DispenseItem {
        /// Which item.
        pub item_id: PrescriptionItemId,
        /// The quantity to dispense; all that is outstanding if left out.
        pub quantity: Option<Decimal>,
        /// The lot to dispense from; the lots that expire first if left out.
        pub lot_id: Option<MedicationLotId>,
        /// Why the item is dispensed in spite of alerts that became known, or more severe, after the prescription was
        /// written: 10 to 500 characters.
        pub override_reason: Option<Personal<OverrideReason>>,
    }

    /// Dispenses a prescription, or a part of it, and takes the quantities from stock. The items are compared once more
    /// with what the patient takes and with the patient's allergies. An item needs an `override_reason` if an alert
    /// about it is major or contraindicated and nobody has overridden it yet, or it has become more severe since then.
    pub struct DispensePrescription {
        /// Which prescription.
        pub prescription_id: PrescriptionId,
        /// The items to dispense, one or more; everything that is outstanding if left out.
        pub items: Option<Vec<DispenseItem>>,
        /// The `override_reason` of every item that gives none itself.
        pub override_reason: Option<Personal<OverrideReason>>,
    }
}

impl DispensePrescription {
    /// Whether a line is to be dispensed.
    fn asks_for(&self, line: &Line) -> bool {
        match &self.items {
            Some(items) => items.iter().any(|item| item.item_id == line.item.id),
            None => line.outstanding() > Decimal::ZERO,
        }
    }

    /// What is noticed about the lines that are to be dispensed and was not known before. A part of the system tells what
    /// was dispensed elsewhere, so there is nobody to be asked.
    fn noticed(&self, prescription: &Prescription, ctx: &Context<'_>) -> Result<AtDispensing, Refused> {
        if ctx.caller.is_system {
            return Ok(AtDispensing::default());
        }
        let lines = prescription.lines.iter().filter(|line| self.asks_for(line));
        let asked = |id| {
            self.items.iter().flatten().enumerate().filter(move |(_, item): &(_, &DispenseItem)| item.item_id == id)
        };
        let reason = |id| {
            let own = asked(id).find_map(|(_, item)| item.override_reason.clone());
            own.or_else(|| self.override_reason.clone())
        };
        let at = |id| {
            let nth = asked(id).next().map(|(nth, _)| format!("/items/{nth}"));
            nth.unwrap_or_else(|| "/override_reason".to_owned())
        };
        alerts::when_dispensed(prescription, lines, ctx, reason, at)
    }
}

impl Command for DispensePrescription {
    const NAME: &'static str = "dispense-prescription";
    const PERMISSION: Permission = Permission::Create(Create::MedicationDispensing);
    const REVERSED_BY: Option<&'static str> = Some(ReverseDispensing::NAME);
    type Aggregate = Prescription;

    fn target(&self) -> Target {
        Target::existing(self.prescription_id)
    }

    fn follows_on(state: &Prescription) -> bool {
        matches!(state.status, Status::SentToPharmacy | Status::Ready)
    }

    fn reads(&self, state: Option<&Prescription>, found: &Found) -> Reads {
        let Some(prescription) = state else { return Reads::nothing() };
        let lines = || prescription.lines.iter().filter(|line| self.asks_for(line));
        let products = lines().map(|it| it.item.order.medication_id);
        let reads = reads_list(Reads::nothing(), Some(prescription.patient_id));
        let reads = alerts::reads(reads, prescription.patient_id, products, found);
        lines().fold(reads, |reads, line| {
            let medication_id = line.item.order.medication_id.to_string();
            reads.owners::<MedicationLot>(scopes::LOTS_OF_MEDICATION, medication_id)
        })
    }

    fn decide(self, state: Option<&Prescription>, ctx: &Context<'_>) -> Result<Decision<Prescription>, Refused> {
        let prescription = existing(state)?;
        if self.items.as_ref().is_some_and(Vec::is_empty) {
            let message =
                "give the items to dispense, or leave the field out to dispense everything that is outstanding";
            return Err(Refused::field("no-items", "/items", message));
        }
        if !matches!(prescription.status, Status::SentToPharmacy | Status::Ready) {
            return Err(Refused::wrong_status::<Prescription>(prescription.status));
        }
        let asked_for = || prescription.lines.iter().filter(|line| self.asks_for(line));
        check_dispensable(ctx, prescription.patient_id, asked_for())?;
        let mut dispensing = InHand::new(ctx);
        if self.items.is_none() {
            for line in asked_for() {
                dispensing.give(line, line.outstanding(), None)?;
            }
        }
        for (nth, asked) in self.items.iter().flatten().enumerate() {
            if let Some(quantity) = asked.quantity {
                check_quantity(quantity, &format!("/items/{nth}/quantity"))?;
            }
            let line = prescription.lines.iter().find(|it| it.item.id == asked.item_id);
            let Some(line) = line else { return refuse(Refusal::NoSuchItem) };
            let outstanding = dispensing.outstanding(line);
            dispensing.give(line, asked.quantity.unwrap_or(outstanding), asked.lot_id)?;
        }
        let decision = dispensing.decide(prescription, self.noticed(prescription, ctx)?)?;
        Ok(after_dispensing(decision, ctx, prescription.patient_id, asked_for()))
    }
}

/// What is taken from a lot for a line.
struct Taken {
    item_id: PrescriptionItemId,
    lot_id: Uuid,
    quantity: Decimal,
    /// The quantity dispensed for the line so far, this one included.
    dispensed_after: Decimal,
    /// The quantity that is left in the lot.
    on_hand_after: Decimal,
}

/// A dispensing in preparation: the quantities that are taken from each lot for each line.
struct InHand<'a> {
    prescription_id: PrescriptionId,
    today: NaiveDate,
    found: &'a Found,
    /// The quantities that are left in the lots from which something was taken.
    left: BTreeMap<Uuid, Decimal>,
    taken: Vec<Taken>,
}

impl<'a> InHand<'a> {
    fn new(ctx: &'a Context<'_>) -> Self {
        let (left, taken) = (BTreeMap::new(), Vec::new());
        Self { prescription_id: ctx.id.into(), today: ctx.today(), found: ctx.found, left, taken }
    }

    /// The quantity dispensed for a line so far, what is taken for it now included.
    fn dispensed(&self, line: &Line) -> Decimal {
        let taken = self.taken.iter().filter(|part| part.item_id == line.item.id).map(|part| part.quantity);
        line.quantity_dispensed + taken.sum::<Decimal>()
    }

    fn outstanding(&self, line: &Line) -> Decimal {
        line.item.order.quantity - self.dispensed(line)
    }

    /// Dispenses a quantity of a line: from the named lot, or else from the lots that expire first.
    fn give(&mut self, line: &Line, quantity: Decimal, named: Option<MedicationLotId>) -> Result<(), Refused> {
        let order = &line.item.order;
        let outstanding = self.outstanding(line);
        if outstanding <= Decimal::ZERO {
            return refuse(Refusal::NothingOutstanding);
        }
        if quantity > outstanding {
            return refuse(Refusal::TooMuch { outstanding });
        }
        if order.valid_until.is_some_and(|it| it < self.today) {
            return refuse(Refusal::Expired);
        }
        let key = order.medication_id.to_string();
        let mut lots: Vec<(Uuid, &MedicationLot)> =
            self.found.owners::<MedicationLot>(scopes::LOTS_OF_MEDICATION, key).collect();
        if let Some(named) = named {
            lots.retain(|(id, _)| *id == named.0);
            let Some((_, lot)) = lots.first() else { return refuse(Refusal::NoSuchLot) };
            if !lot.is_dispensable(self.today) {
                return refuse(Refusal::NotDispensable);
            }
        }
        lots.retain(|(_, lot)| lot.is_dispensable(self.today));
        let stocked: BTreeSet<_> = lots.iter().map(|(_, lot)| lot.unit.as_str()).collect();
        if !lots.is_empty() && !stocked.contains(order.quantity_unit.as_str()) {
            let stocked = stocked.into_iter().collect::<Vec<_>>().join(", ");
            return refuse(Refusal::OtherUnit { stocked, ordered: order.quantity_unit.clone() });
        }
        lots.retain(|(_, lot)| lot.unit == order.quantity_unit);
        lots.sort_by_key(|(id, lot)| (lot.expiry_date, *id));
        let (mut missing, mut dispensed_after) = (quantity, self.dispensed(line));
        for (lot_id, lot) in lots {
            let left = self.left.entry(lot_id).or_insert(lot.quantity_on_hand);
            let quantity = missing.min(*left);
            if quantity > Decimal::ZERO {
                *left -= quantity;
                missing -= quantity;
                dispensed_after += quantity;
                let (item_id, on_hand_after) = (line.item.id, *left);
                self.taken.push(Taken { item_id, lot_id, quantity, dispensed_after, on_hand_after });
            }
        }
        if missing > Decimal::ZERO { refuse(Refusal::InsufficientStock) } else { Ok(()) }
    }

    fn decide(self, prescription: &Prescription, noticed: AtDispensing) -> Result<Decision<Prescription>, Refused> {
        if self.taken.is_empty() {
            return refuse(Refusal::NothingOutstanding);
        }
        let completes = prescription.lines.iter().all(|it| self.outstanding(it) <= Decimal::ZERO);
        let part = |it: &Taken| Dispensing {
            item_id: it.item_id,
            lot_id: Some(it.lot_id.into()),
            quantity: it.quantity,
            dispensed_after: it.dispensed_after,
        };
        let dispensed = self.taken.iter().map(part).collect();
        let AtDispensing { alerts, overrides } = noticed;
        let patient_id = prescription.patient_id;
        let decision = Decision::event(Event::Dispensed { patient_id, dispensed, alerts, overrides, completes });
        Ok(self.taken.into_iter().fold(decision, |decision, it| {
            let Taken { item_id, lot_id, quantity, on_hand_after, .. } = it;
            let prescription_id = self.prescription_id;
            let taken = medication_lot::Event::Dispensed { prescription_id, item_id, quantity, on_hand_after };
            decision.also::<MedicationLot>(lot_id, taken)
        }))
    }
}
