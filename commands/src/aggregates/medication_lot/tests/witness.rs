//! Changes of controlled products.

use chrono::TimeDelta;
use hims_domain::medication_lot::{RequestedChange, Wanted};
use hims_domain::user::User;

use super::*;
use crate::Caller;
use crate::testing::samples::{created, metformin};
use crate::testing::world::{somebody, user};

const CHANGE: u128 = 0x91;

/// The second person.
fn another() -> Caller {
    user(id(4), "nurse")
}

/// A lot after these events, with both persons at work.
fn lot(events: impl IntoIterator<Item = Event>) -> Given<MedicationLot> {
    let at_work = |given: Given<MedicationLot>, who: UserId| given.and::<User>(who, [created()]);
    at_work(at_work(given(events), UserId(ASKING)), id(4))
}

fn narcotic() -> medication::Event {
    medication::Event::Added(ask(with(metformin(), json!({"controlled_substance": true, "dea_schedule": "II"}))))
}

/// The same product, after it was said not to be controlled.
fn no_narcotic_any_more() -> [medication::Event; 2] {
    [narcotic(), medication::Event::Changed(ask(metformin()))]
}

fn requested(change: Decimal) -> RequestedChange {
    let wanted = Wanted::Adjusted { reason: "counted".into() };
    let (requested_by, expires_at) = (Some(UserId(ASKING)), now() + TimeDelta::hours(24));
    RequestedChange { wanted, change, requested_by, expires_at }
}

/// The event that somebody asked for a correction of the twenty tablets of a new lot.
fn asked_for(change: Decimal) -> Event {
    let pending_after = (-change).max(Decimal::ZERO);
    let (change_id, requested) = (id(CHANGE), requested(change));
    Event::ChangeRequested { change_id, requested, on_hand_after: dec!(20), pending_after }
}

fn witness() -> WitnessLotChange {
    WitnessLotChange { medication_lot_id: LOT, change_id: id(CHANGE) }
}

fn reject() -> RejectLotChange {
    RejectLotChange { medication_lot_id: LOT, change_id: id(CHANGE), reason: "nobody saw it".into() }
}

fn rejected(rejected_by: Option<UserId>, reason: &str) -> Event {
    let (on_hand_after, pending_after) = (dec!(20), Decimal::ZERO);
    Event::ChangeRejected { change_id: id(CHANGE), rejected_by, reason: reason.into(), on_hand_after, pending_after }
}

#[test]
fn changes_of_a_controlled_product_wait_for_a_witness() {
    let ask_for = |command: AdjustMedicationLot| {
        let then = given([received()]).and::<Medication>(MEDICATION, [narcotic()]).when(command);
        let Event::ChangeRequested { requested, on_hand_after, pending_after, .. } = then.then_event() else {
            panic!("requested")
        };
        (requested, on_hand_after, pending_after)
    };
    assert_eq!(ask_for(adjust(dec!(-3))), (requested(dec!(-3)), dec!(20), dec!(3)));
    assert_eq!(ask_for(adjust(dec!(3))), (requested(dec!(3)), dec!(20), dec!(0)));
    let waste: WasteMedicationLot =
        ask(json!({"medication_lot_id": LOT, "quantity": 1, "reason_code": "partial_dose"}));
    let count = CountMedicationLot { medication_lot_id: LOT, counted: dec!(19) };
    for kind in [
        given([received()]).and::<Medication>(MEDICATION, [narcotic()]).when(waste).then_event(),
        given([received()]).and::<Medication>(MEDICATION, [narcotic()]).when(count).then_event(),
    ] {
        assert!(matches!(kind, Event::ChangeRequested { pending_after, .. } if pending_after == dec!(1)), "{kind:?}");
    }
}

#[test]
fn what_is_set_aside_is_taken_away_once() {
    let given = || given([received(), asked_for(dec!(-15))]).and::<Medication>(MEDICATION, [narcotic()]);
    given().when(adjust(dec!(-5.001))).then_field("insufficient-stock", "/change");
    assert!(given().when(adjust(dec!(-5))).is_accepted());
}

#[test]
fn a_second_person_confirms_a_change() {
    let (on_hand_after, pending_after) = (dec!(20), Decimal::ZERO);
    let seen = Event::ChangeWitnessed { change_id: id(CHANGE), witnessed_by: id(4), on_hand_after, pending_after };
    let made = Event::Adjusted {
        change: dec!(-3),
        on_hand_after: dec!(17),
        reason: "counted".into(),
        performed_by: Some(UserId(ASKING)),
        witnessed_by: Some(id(4)),
    };
    lot([received(), asked_for(dec!(-3))]).by(another()).when(witness()).then([seen, made]);
}

#[test]
fn what_was_counted_changes_by_what_was_missing_then() {
    let wanted = Wanted::Counted { counted: dec!(19) };
    let requested = RequestedChange { wanted, ..requested(dec!(-1)) };
    let (on_hand_after, pending_after) = (dec!(20), dec!(1));
    let asked = Event::ChangeRequested { change_id: id(CHANGE), requested, on_hand_after, pending_after };
    // Five tablets were dispensed meanwhile.
    let then = lot([received(), asked, dispensed(dec!(5))]).by(another()).when(witness());
    let Event::Counted { counted, change, on_hand_after, .. } = then.events().remove(1) else { panic!("counted") };
    assert_eq!((counted, change, on_hand_after), (dec!(19), dec!(-1), dec!(14)));
}

#[test]
fn who_asks_is_no_witness_and_neither_is_a_patient() {
    let asked = || lot([received(), asked_for(dec!(-3))]);
    asked().by(somebody("pharmacist")).when(witness()).then_refused(Refusal::OwnWitness);
    asked().by(user(id(4), "patient")).when(witness()).then_refused(Refusal::NotAWitness);
    asked().by(Caller::system("test")).when(witness()).then_field("who-did-it", "/change_id");
    // Somebody whose login was deactivated in this moment.
    let gone = || {
        let events = [created(), hims_domain::user::Event::Deactivated];
        given([received(), asked_for(dec!(-3))]).and::<User>(id::<UserId>(4), events).by(another())
    };
    gone().when(witness()).then_refused(Refusal::NotAWitness);
    gone().when(reject()).then_refused(Refusal::NotAWitness);
}

#[test]
fn what_does_not_wait_is_not_witnessed() {
    lot([received()]).by(another()).when(witness()).then_refused(Refusal::NoSuchChange);
    lot([received()]).by(another()).when(reject()).then_refused(Refusal::NoSuchChange);
    let over = [received(), asked_for(dec!(-3)), rejected(None, "too late")];
    lot(over).by(another()).when(witness()).then_refused(Refusal::NoSuchChange);
}

#[test]
fn a_change_is_rejected_by_somebody_or_taken_back() {
    let asked = || lot([received(), asked_for(dec!(-3))]);
    asked().by(another()).when(reject()).then([rejected(Some(id(4)), "nobody saw it")]);
    asked().by(somebody("pharmacist")).when(reject()).then([rejected(Some(UserId(ASKING)), "nobody saw it")]);
}

#[test]
fn after_a_day_nobody_witnesses_a_change_and_it_is_rejected() {
    let asked = || lot([received(), asked_for(dec!(-3))]);
    let (late, expire) =
        (now() + TimeDelta::hours(24), || ExpireLotChange { medication_lot_id: LOT, change_id: id(CHANGE) });
    let early = late - TimeDelta::seconds(1);
    assert!(asked().by(another()).at(early).when(witness()).is_accepted());
    asked().by(another()).at(late).when(witness()).then_refused(Refusal::ChangeExpired);
    asked().at(early).when(expire()).then_nothing();
    asked().at(late).when(expire()).then([rejected(None, "nobody witnessed the change within 24 hours")]);
    given([received()]).at(late).when(expire()).then_nothing();
}

#[test]
fn every_kind_of_change_has_a_word() {
    let change: LotChangeId = id(CHANGE);
    let folded = hims_domain::fold::<MedicationLot>(&[received(), asked_for(dec!(-3))]).unwrap();
    assert_eq!(folded.pending[&change].wanted.kind(), "adjusted");
    assert_eq!((folded.quantity_pending(), folded.free()), (dec!(3), dec!(17)));
}

#[test]
fn nobody_goes_round_the_witness() {
    let corrected = || given([received()]).and::<Medication>(MEDICATION, no_narcotic_any_more());
    assert!(matches!(corrected().when(adjust(dec!(-3))).then_event(), Event::ChangeRequested { .. }));
    let from_nowhere: ReturnMedicationLot = ask(json!({"medication_lot_id": LOT, "to": "stock", "quantity": 1}));
    corrected().when(from_nowhere).then_field("prescription-missing", "/prescription_id");
}
