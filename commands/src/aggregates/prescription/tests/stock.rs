//! Any commands in any order: stock never falls below what is kept for patients, and nothing is lost between lots and
//! patients.

use hims_domain::fold;
use hims_domain::values::Reason;
use proptest::prelude::*;

use super::*;
use crate::medication_lot::{
    AdjustMedicationLot, CountMedicationLot, QuarantineMedicationLot, RecallMedicationLot, ReleaseMedicationLot,
    WasteMedicationLot,
};

const LOTS: [MedicationLotId; 2] = [LOT, LATER_LOT];

/// A command that somebody at the counter or in the store-room gives.
#[derive(Debug, Clone)]
enum Asked {
    Adjust(usize, Decimal),
    Quarantine(usize),
    Release(usize),
    Recall(usize),
    Count(usize, Decimal),
    Waste(usize, Decimal),
    Ready,
    UndoReady,
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
        2 => (lot(), quantity()).prop_map(|(lot, counted)| Asked::Count(lot, counted)),
        2 => (lot(), quantity()).prop_map(|(lot, quantity)| Asked::Waste(lot, quantity)),
        6 => Just(Asked::Ready),
        1 => Just(Asked::UndoReady),
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

    /// A command on a lot. What is kept of the lot may be given back, also in the other lot.
    fn change_lot<C: Command<Aggregate = MedicationLot>>(&mut self, lot: usize, command: C) {
        let other = 1 - lot;
        let then = given(self.lots[lot].clone())
            .and::<Prescription>(PRESCRIPTION, self.prescription.clone())
            .and::<MedicationLot>(LOTS[other], self.lots[other].clone())
            .when(command);
        if !then.is_accepted() {
            return;
        }
        for event in then.events() {
            use medication_lot::Event::{Adjusted, Counted, Wasted};
            if let Adjusted { change, .. } | Counted { change, .. } | Wasted { change, .. } = &event {
                self.adjusted += change;
            }
            self.lots[lot].push(event);
        }
        self.lots[other].extend(then.events_of::<MedicationLot>(LOTS[other]));
        self.prescription.extend(then.events_of::<Prescription>(PRESCRIPTION));
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
            Asked::Count(lot, counted) => {
                self.change_lot(lot, CountMedicationLot { medication_lot_id: LOTS[lot], counted });
            }
            Asked::Waste(lot, quantity) => {
                let body = json!({"medication_lot_id": LOTS[lot], "quantity": quantity, "reason_code": "spilled"});
                self.change_lot(lot, ask::<WasteMedicationLot>(body));
            }
            Asked::Ready => {
                self.next();
                self.at_the_counter(mark_ready());
            }
            Asked::UndoReady => {
                self.at_the_counter(UndoPrescriptionReady { prescription_id: PRESCRIPTION, reason: said("mistaken") });
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

    fn lots(&self) -> [MedicationLot; 2] {
        self.lots.each_ref().map(|it| fold::<MedicationLot>(it).unwrap())
    }

    /// What the prescription says is kept for it, and what the lots say.
    fn kept(&self) -> [Vec<Decimal>; 2] {
        let prescription = fold::<Prescription>(&self.prescription).unwrap();
        let of = |lot_id: MedicationLotId| {
            prescription.reserved.iter().filter(|it| it.lot_id == lot_id).map(|it| it.quantity).sum::<Decimal>()
        };
        [LOTS.map(of).to_vec(), self.lots().map(|it| it.quantity_reserved()).to_vec()]
    }
}

fn new_prescription() -> Vec<Event> {
    vec![written_with([(ITEM, with(order(), json!({"quantity": "25"})))]), Event::SentToPharmacy]
}

proptest! {
    #[test]
    fn stock_never_falls_below_what_is_kept_and_nothing_is_lost(steps in prop::collection::vec(asked(), 1..60)) {
        let mut pharmacy = Pharmacy::new();
        for step in steps {
            pharmacy.carry_out(&step);
            let lots = pharmacy.lots();
            prop_assert!(lots.iter().all(|it| it.free() >= Decimal::ZERO), "{lots:?}");
            let came_in = dec!(40) + pharmacy.adjusted;
            prop_assert_eq!(lots.iter().map(|it| it.quantity_on_hand).sum::<Decimal>() + pharmacy.given_out, came_in);
            let [told, held] = pharmacy.kept();
            prop_assert_eq!(told, held, "both sides of a reservation agree");
        }
    }
}
