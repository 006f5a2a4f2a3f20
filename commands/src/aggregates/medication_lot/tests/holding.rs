//! A recall between ready and pick-up.

use hims_domain::prescription::{self, Prescription, Reservation, Withdrawal};
use hims_testing::sample_with;

use super::*;
use crate::testing::samples::{LATER_LOT, PATIENT, PRESCRIPTION};

const ITEM: u128 = 0x14;

fn kept(lot_id: MedicationLotId, quantity: Decimal) -> Reservation {
    Reservation { item_id: id(ITEM), lot_id, quantity }
}

/// A prescription of which something is kept in both lots.
fn ready() -> [prescription::Event; 3] {
    let written = sample_with::<Prescription>("written", json!({"patient_id": PATIENT}));
    let reserved = vec![kept(LOT, dec!(4)), kept(LATER_LOT, dec!(6))];
    let collect_by = now();
    [written, prescription::Event::SentToPharmacy, prescription::Event::MarkedReady { reserved, collect_by }]
}

fn reserved(quantity: Decimal) -> Event {
    let (on_hand_after, reserved_after) = (dec!(20), quantity);
    Event::Reserved { prescription_id: PRESCRIPTION, item_id: id(ITEM), quantity, on_hand_after, reserved_after }
}

fn released(quantity: Decimal) -> Event {
    let (on_hand_after, reserved_after) = (dec!(20), Decimal::ZERO);
    Event::ReservationReleased {
        prescription_id: PRESCRIPTION,
        item_id: id(ITEM),
        quantity,
        on_hand_after,
        reserved_after,
    }
}

fn kept_of_both() -> Given<MedicationLot> {
    given([received(), reserved(dec!(4))])
        .and::<Prescription>(PRESCRIPTION, ready())
        .and::<MedicationLot>(LATER_LOT, [received(), reserved(dec!(6))])
}

#[test]
fn a_recall_takes_back_that_prescriptions_are_ready_and_gives_all_back() {
    let withdrawn = |cause| prescription::Event::ReadyWithdrawn { cause };
    kept_of_both()
        .when(recall())
        .then([recalled(), released(dec!(4))])
        .then_also::<Prescription>(PRESCRIPTION, [withdrawn(Withdrawal::LotRecalled)])
        .then_also::<MedicationLot>(LATER_LOT, [released(dec!(6))])
        .then_claims([]);
    kept_of_both()
        .when(quarantine())
        .then([quarantined(), released(dec!(4))])
        .then_also::<Prescription>(PRESCRIPTION, [withdrawn(Withdrawal::LotQuarantined)])
        .then_also::<MedicationLot>(LATER_LOT, [released(dec!(6))]);
}
