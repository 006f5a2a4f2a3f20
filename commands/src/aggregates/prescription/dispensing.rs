//! Dispensing: the append that records a dispensing also takes the quantities from the lots.

use chrono::NaiveDate;
use hims_domain::permission::Create;
use hims_domain::prescription::{Dispensing, Event, Line, Prescription, Reservation, Status};
use hims_domain::values::OverrideReason;
use hims_domain::{MedicationLotId, Personal, PrescriptionId, PrescriptionItemId, described};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::against::Against;
use super::alerts::{self, AtDispensing};
use super::stock::{lots_for, reads_lots, reads_reserved};
use super::{Refusal, ReverseDispensing};
use crate::aggregates::medication_list::{after_dispensing, not_taken, reads_list};
use crate::aggregates::medication_lot::{Movements, check_quantity};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

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

    /// Dispenses a prescription, or a part of it, and takes the quantities from stock, first what is kept for the
    /// prescription. The items are compared once more with what the patient takes and with the patient's allergies. An
    /// item needs an `override_reason` if an alert about it is major or contraindicated and nobody has overridden it yet,
    /// or it has become more severe since then.
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

    /// What is noticed about the lines that are to be dispensed and was not known before.
    fn noticed(&self, prescription: &Prescription, ctx: &Context<'_>) -> Result<AtDispensing, Refused> {
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
        lines().fold(reads_reserved(reads, state, None), reads_lots)
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
        let (mut dispensing, mut against) = (InHand::new(ctx, prescription), Against::default());
        if self.items.is_none() {
            for line in asked_for() {
                dispensing.give_or_say_why(&mut against, (line, None), None, None, ctx);
            }
        }
        for (nth, asked) in self.items.iter().flatten().enumerate() {
            let at = format!("/items/{nth}");
            if let Some(quantity) = asked.quantity {
                check_quantity(quantity, &format!("{at}/quantity"))?;
            }
            match prescription.lines.iter().find(|it| it.item.id == asked.item_id) {
                Some(line) => {
                    dispensing.give_or_say_why(&mut against, (line, Some(&at)), asked.quantity, asked.lot_id, ctx);
                }
                None => against.at(format!("{at}/item_id"), Refusal::NoSuchItem),
            }
        }
        against.nothing()?;
        let decision = dispensing.decide(self.noticed(prescription, ctx)?)?;
        Ok(after_dispensing(decision, ctx, prescription.patient_id, asked_for()))
    }
}

/// A dispensing in preparation: the quantities that are taken from each lot for each line.
struct InHand<'a> {
    prescription_id: PrescriptionId,
    prescription: &'a Prescription,
    today: NaiveDate,
    found: &'a Found,
    movements: Movements<'a>,
    dispensed: Vec<Dispensing>,
}

impl<'a> InHand<'a> {
    fn new(ctx: &Context<'a>, prescription: &'a Prescription) -> Self {
        let (prescription_id, movements) = (ctx.id.into(), Movements::new(ctx.found));
        Self { prescription_id, prescription, today: ctx.today(), found: ctx.found, movements, dispensed: Vec::new() }
    }

    /// The quantity that was taken for a line so far.
    fn taken(&self, line: &Line) -> Decimal {
        self.dispensed.iter().filter(|it| it.item_id == line.item.id).map(|it| it.quantity).sum()
    }

    /// The quantity that may still be dispensed for a line.
    fn outstanding(&self, line: &Line) -> Decimal {
        line.outstanding() - self.taken(line)
    }

    /// Dispenses a quantity of a line, or all that is outstanding, as [`give`](Self::give) does; or says what stands
    /// against the line, which has a place in the request if the request names lines.
    fn give_or_say_why(
        &mut self,
        against: &mut Against,
        (line, at): (&Line, Option<&str>),
        quantity: Option<Decimal>,
        named: Option<MedicationLotId>,
        ctx: &Context<'_>,
    ) {
        if let Some(why) = not_taken(ctx, self.prescription.patient_id, line) {
            against.line(at, line, why);
        } else if let Err(why) = self.give(line, quantity.unwrap_or_else(|| self.outstanding(line)), named) {
            against.dispensed(at, line, why);
        }
    }

    /// Dispenses a quantity of a line: from the named lot, or else what is kept for the line before what is free, and
    /// from the lots that expire first. Takes nothing from any lot if there is too little.
    fn give(&mut self, line: &Line, quantity: Decimal, named: Option<MedicationLotId>) -> Result<(), Refusal> {
        let outstanding = self.outstanding(line);
        if outstanding <= Decimal::ZERO {
            return Err(Refusal::NothingOutstanding);
        }
        if quantity > outstanding {
            return Err(Refusal::TooMuch { outstanding: outstanding.normalize() });
        }
        let lots = lots_for(line, named, self.today, self.found)?;
        if lots.iter().map(|lot_id| self.usable(line, *lot_id, true)).sum::<Decimal>() < quantity {
            return Err(Refusal::InsufficientStock);
        }
        let mut missing = quantity;
        if named.is_none() {
            for lot_id in &lots {
                missing -= self.take(line, *lot_id, missing, false);
            }
        }
        for lot_id in lots {
            missing -= self.take(line, lot_id, missing, true);
        }
        Ok(())
    }

    /// What a lot has for a line: what is kept for the line, and what is free too if `free`.
    fn usable(&mut self, line: &Line, lot_id: Uuid, free: bool) -> Decimal {
        let lot = self.movements.lot(lot_id);
        lot.map_or(Decimal::ZERO, |lot| lot.reserved_for(line.item.id) + if free { lot.free() } else { Decimal::ZERO })
    }

    /// Takes at most a quantity for a line from a lot: of what is kept for the line, and of what is free too if `free`.
    /// Returns what was taken.
    fn take(&mut self, line: &Line, lot_id: Uuid, most: Decimal, free: bool) -> Decimal {
        let item_id = line.item.id;
        let quantity = most.min(self.usable(line, lot_id, free));
        if quantity <= Decimal::ZERO {
            return Decimal::ZERO;
        }
        self.movements.dispense(lot_id, (self.prescription_id, item_id), quantity);
        let dispensed_after = line.quantity_dispensed + self.taken(line) + quantity;
        self.dispensed.push(Dispensing {
            item_id,
            lot_id: Some(lot_id.into()),
            quantity,
            dispensed_after,
            dispensed_on: self.today,
        });
        quantity
    }

    /// Gives back what is kept beyond what is outstanding, since other lots were used. Returns what is still kept.
    fn give_back(&mut self) -> Vec<Reservation> {
        let mut kept = Vec::new();
        for line in &self.prescription.lines {
            let mut outstanding = self.outstanding(line);
            for reserved in self.prescription.reserved.iter().filter(|it| it.item_id == line.item.id) {
                let (item_id, lot_id) = (reserved.item_id, reserved.lot_id);
                let left = self.movements.lot(lot_id.into()).map_or(Decimal::ZERO, |lot| lot.reserved_for(item_id));
                let quantity = left.min(outstanding);
                outstanding -= quantity;
                self.movements.release(lot_id.into(), (self.prescription_id, item_id), left - quantity);
                if quantity > Decimal::ZERO {
                    kept.push(Reservation { item_id, lot_id, quantity });
                }
            }
        }
        kept
    }

    fn decide(mut self, noticed: AtDispensing) -> Result<Decision<Prescription>, Refused> {
        if self.dispensed.is_empty() {
            return refuse(Refusal::NothingOutstanding);
        }
        let completes = self.prescription.lines.iter().all(|it| self.outstanding(it) <= Decimal::ZERO);
        let reserved = self.give_back();
        let AtDispensing { alerts, overrides } = noticed;
        let (patient_id, dispensed) = (self.prescription.patient_id, self.dispensed);
        let dispensed = Event::Dispensed { patient_id, dispensed, alerts, overrides, completes, reserved };
        Ok(self.movements.follow(Decision::event(dispensed)))
    }
}
