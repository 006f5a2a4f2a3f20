//! Any commands in any order: stock never falls below zero, and nothing is lost between lots and patients.

use hims_domain::fold;
use hims_domain::values::Reason;
use proptest::prelude::*;

use super::*;
use crate::medication_lot::{AdjustMedicationLot, QuarantineMedicationLot, RecallMedicationLot, ReleaseMedicationLot};

const LOTS: [MedicationLotId; 2] = [LOT, LATER_LOT];

/// A command that somebody at the counter or in the store-room gives.
#[derive(Debug, Clone)]
enum Asked {
    Adjust(usize, Decimal),
    Quarantine(usize),
    Release(usize),
    Recall(usize),
    DispenseAll,
    Dispense { quantity: Option<Decimal>, lot: Option<usize> },
    Reverse { quantity: Option<Decimal>, lot: Option<usize> },
}

fn asked() -> impl Strategy<Value = Asked> {
    let quantity = || (-30_000_i64..30_000).prop_map(|it| Decimal::new(it, 3));
    let lot = || 0..LOTS.len();
    prop_oneof![
        3 => (lot(), quantity()).prop_map(|(lot, change)| Asked::Adjust(lot, change)),
        1 => lot().prop_map(Asked::Quarantine),
        2 => lot().prop_map(Asked::Release),
        1 => lot().prop_map(Asked::Recall),
        3 => Just(Asked::DispenseAll),
        6 => (prop::option::of(quantity()), prop::option::of(lot()))
            .prop_map(|(quantity, lot)| Asked::Dispense { quantity, lot }),
        3 => (prop::option::of(quantity()), prop::option::of(lot()))
            .prop_map(|(quantity, lot)| Asked::Reverse { quantity, lot }),
    ]
}

/// A pharmacy with two lots, which dispenses one prescription of twenty-five tablets after the other.
struct Pharmacy {
    lots: [Vec<medication_lot::Event>; 2],
    prescription: Vec<Event>,
    adjusted: Decimal,
    given_out: Decimal,
}

impl Pharmacy {
    fn new() -> Self {
        let lots = [vec![received()], vec![received_with(json!({"expiry_date": "2027-06-30"}))]];
        Self { lots, prescription: new_prescription(), adjusted: Decimal::ZERO, given_out: Decimal::ZERO }
    }

    fn change_lot<C: Command<Aggregate = MedicationLot>>(&mut self, lot: usize, command: C) {
        let then = given(self.lots[lot].clone()).when(command);
        if then.is_accepted() {
            for event in then.events() {
                if let medication_lot::Event::Adjusted { change, .. } = &event {
                    self.adjusted += change;
                }
                self.lots[lot].push(event);
            }
        }
    }

    /// Begins the next prescription if everything of this one is dispensed.
    fn next(&mut self) {
        if fold::<Prescription>(&self.prescription).is_some_and(|it| it.status == Status::Dispensed) {
            self.prescription = new_prescription();
        }
    }

    fn at_the_counter<C: Command<Aggregate = Prescription>>(&mut self, command: C) {
        let [first, second] = self.lots.clone();
        let then =
            with_lots(at_the_counter(self.prescription.clone()), [(LOT, first), (LATER_LOT, second)]).when(command);
        if !then.is_accepted() {
            return;
        }
        for (lot, id) in self.lots.iter_mut().zip(LOTS) {
            lot.extend(then.events_of::<MedicationLot>(id));
        }
        for event in then.events() {
            if let Event::Dispensed { dispensed, .. } = &event {
                self.given_out += dispensed.iter().map(|it| it.quantity).sum::<Decimal>();
            }
            if let Event::DispensingReversed { reversed, .. } = &event {
                self.given_out -= reversed.iter().map(|it| it.quantity).sum::<Decimal>();
            }
            self.prescription.push(event);
        }
    }

    fn carry_out(&mut self, asked: &Asked) {
        let reason = || Reason::from("because");
        match *asked {
            Asked::Adjust(lot, change) => {
                let medication_lot_id = LOTS[lot];
                self.change_lot(lot, AdjustMedicationLot { medication_lot_id, change, reason: reason() });
            }
            Asked::Quarantine(lot) => {
                self.change_lot(lot, QuarantineMedicationLot { medication_lot_id: LOTS[lot], reason: reason() });
            }
            Asked::Release(lot) => self.change_lot(lot, ReleaseMedicationLot { medication_lot_id: LOTS[lot] }),
            Asked::Recall(lot) => {
                self.change_lot(lot, RecallMedicationLot { medication_lot_id: LOTS[lot], reason: reason() });
            }
            Asked::DispenseAll => {
                self.next();
                self.at_the_counter(dispense_all());
            }
            Asked::Dispense { quantity, lot } => {
                self.next();
                let lot_id = lot.map(|it| LOTS[it]);
                self.at_the_counter(dispense_item(json!({"quantity": quantity, "lot_id": lot_id})));
            }
            Asked::Reverse { quantity, lot } => {
                let item = json!({"item_id": ITEM, "quantity": quantity, "lot_id": lot.map(|it| LOTS[it])});
                let body = json!({"prescription_id": PRESCRIPTION, "items": [item], "reason": "not fetched"});
                self.at_the_counter(ask::<ReverseDispensing>(body));
            }
        }
    }

    fn on_hand(&self) -> [Decimal; 2] {
        self.lots.each_ref().map(|it| fold::<MedicationLot>(it).unwrap().quantity_on_hand)
    }
}

fn new_prescription() -> Vec<Event> {
    ready(json!({"quantity": "25"})).to_vec()
}

proptest! {
    #[test]
    fn stock_never_falls_below_zero_and_nothing_is_lost(steps in prop::collection::vec(asked(), 1..60)) {
        let mut pharmacy = Pharmacy::new();
        for step in steps {
            pharmacy.carry_out(&step);
            let on_hand = pharmacy.on_hand();
            prop_assert!(on_hand.iter().all(|it| *it >= Decimal::ZERO), "{on_hand:?}");
            let came_in = dec!(40) + pharmacy.adjusted;
            prop_assert_eq!(on_hand.iter().sum::<Decimal>() + pharmacy.given_out, came_in);
        }
    }
}
