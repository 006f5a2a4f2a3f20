//! Random histories: whatever is asked for in whichever order, the sums of a record agree with what happened to it.

use hims_domain::billing_record::{ClaimedLine, Direction, PayerMoney};
use proptest::prelude::*;
use rust_decimal::dec;

use super::*;
use crate::billing_record::{AdjustBillingRecord, RefundPayment, WriteOffBalance};
use crate::testing::samples::POLICY;

/// Something that is asked for, with an amount in cents.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Add { cents: i64, discount: i64, tax: i64, thousandths: i64 },
    Remove,
    Issue,
    Cancel,
    Pay { cents: i64, excess: bool },
    RefundPayment { cents: i64 },
    RefundCredit { cents: i64 },
    Adjust { cents: i64 },
    WriteOff,
    OfClaim(OfClaim),
    Credit { cents: i64, comes: bool },
}

/// Something that a claim brings about.
#[derive(Debug, Clone, Copy)]
enum OfClaim {
    Open,
    /// The payer pays and lowers so many percent.
    Adjudicate {
        paid: i64,
        lowered: i64,
    },
    TakeBack,
    Close,
}

fn asked() -> impl Strategy<Value = Asked> {
    let cents = || 0_i64..20_000;
    prop_oneof![
        4 => (cents(), 0_i64..=100, 0_i64..=25, 1_i64..5_000).prop_map(|(cents, discount, tax, thousandths)| {
            Asked::Add { cents, discount, tax, thousandths }
        }),
        1 => Just(Asked::Remove),
        3 => Just(Asked::Issue),
        1 => Just(Asked::Cancel),
        6 => (cents(), any::<bool>()).prop_map(|(cents, excess)| Asked::Pay { cents, excess }),
        2 => cents().prop_map(|cents| Asked::RefundPayment { cents }),
        2 => cents().prop_map(|cents| Asked::RefundCredit { cents }),
        2 => (-10_000_i64..10_000).prop_map(|cents| Asked::Adjust { cents }),
        1 => Just(Asked::WriteOff),
        2 => Just(Asked::OfClaim(OfClaim::Open)),
        3 => (0_i64..=100, 0_i64..=100).prop_map(|(paid, lowered)| Asked::OfClaim(OfClaim::Adjudicate { paid, lowered })),
        2 => Just(Asked::OfClaim(OfClaim::TakeBack)),
        1 => Just(Asked::OfClaim(OfClaim::Close)),
        1 => (cents(), any::<bool>()).prop_map(|(cents, comes)| Asked::Credit { cents, comes }),
    ]
}

fn money(cents: i64) -> String {
    Decimal::new(cents, 2).to_string()
}

/// The events that follow from what is asked for; none if it is refused.
fn decided(history: &History, asked: Asked, nth: u128) -> Vec<Event> {
    let record = history.record();
    macro_rules! events {
        ($command:expr) => {{
            let then = history.given().when($command);
            if then.is_accepted() { then.events() } else { Vec::new() }
        }};
    }
    match asked {
        Asked::Add { cents, discount, tax, thousandths } => events!(add(
            &money(cents),
            json!({"item_id": id::<Uuid>(0x1000 + nth), "discount_percent": discount, "tax_rate": tax,
                   "quantity": Decimal::new(thousandths, 3)})
        )),
        Asked::Remove => match record.lines.first() {
            Some(line) => events!(RemoveBillingItem { billing_record_id: BILL, item_id: line.id }),
            None => Vec::new(),
        },
        Asked::Issue => events!(issue()),
        Asked::Cancel => events!(cancel()),
        Asked::Pay { cents, excess } => events!(pay(
            &money(cents),
            json!({"payment_id": id::<Uuid>(0x2000 + nth), "excess": if excess { "credit" } else { "refuse" }})
        )),
        Asked::RefundPayment { cents } => match record.payments.keys().next() {
            Some(paid) => events!(ask::<RefundPayment>(
                json!({"billing_record_id": BILL, "refund_id": id::<Uuid>(0x3000 + nth), "payment_id": paid,
                       "amount": money(cents), "method": "cash", "reason": "by mistake"})
            )),
            None => Vec::new(),
        },
        Asked::RefundCredit { cents } => events!(ask::<RefundPayment>(
            json!({"billing_record_id": BILL, "refund_id": id::<Uuid>(0x3000 + nth), "credit": true,
                   "amount": money(cents), "method": "cash", "reason": "by mistake"})
        )),
        Asked::Adjust { cents } => events!(ask::<AdjustBillingRecord>(
            json!({"billing_record_id": BILL, "amount": money(cents), "kind": "correction", "reason": "by mistake"})
        )),
        Asked::WriteOff => events!(WriteOffBalance { billing_record_id: BILL, reason: said("cannot be reached") }),
        Asked::OfClaim(asked) => of_claim(history, asked, nth),
        Asked::Credit { cents, comes } => {
            let amount = Decimal::new(cents, 2);
            let (direction, most) = match comes {
                true => (Direction::In, record.room()),
                false => (Direction::Out, record.standing.credit_amount),
            };
            if amount.is_zero() || amount > most || record.status() == Status::Cancelled {
                return Vec::new();
            }
            vec![record.follow(|after| {
                Event::CreditMoved(hims_domain::billing_record::CreditMoved {
                    payment_id: id(0x5000 + nth),
                    patient_id: PATIENT,
                    direction,
                    other_record_id: id(0xbb),
                    reverses_id: None,
                    amount,
                    moved_at: at("2026-11-23T10:00:00Z"),
                    after,
                })
            })]
        }
    }
}

/// The events that a claim brings about; none where the record or the claim does not allow it.
fn of_claim(history: &History, asked: OfClaim, nth: u128) -> Vec<Event> {
    let record = history.record();
    let claim = record.claims.iter().next().map(|(id, claim)| (*id, claim.clone()));
    let share = |amount: Decimal, percent: i64| (amount * Decimal::from(percent) / dec!(100)).round_dp(2);
    match (asked, claim) {
        (_, _) if !record.is_billed() => Vec::new(),
        (OfClaim::Open, None) => {
            let line = |it: &Line| ClaimedLine {
                item_id: it.id,
                due: it.charge.amount(),
                adjusted: dec!(0),
                patient: dec!(0),
                is_open: true,
            };
            let lines = record.lines.iter().map(line).collect();
            let opened = |after| Event::ClaimOpened { claim_id: id(0xc1), insurance_policy_id: POLICY, lines, after };
            vec![record.follow(opened)]
        }
        (OfClaim::Adjudicate { paid, lowered }, Some((claim_id, claim))) if claim.is_open() => {
            let total: Decimal = claim.lines.iter().map(|it| it.due).sum();
            let decided = |it: &ClaimedLine| {
                let adjusted = share(it.due, lowered);
                ClaimedLine { adjusted, is_open: false, ..it.clone() }
            };
            let lines = claim.lines.iter().map(decided).collect();
            vec![of_payer(&record, claim_id, share(total, paid), lines, id(0x4000 + nth), None)]
        }
        (OfClaim::TakeBack, Some((claim_id, claim))) if !claim.is_open() => {
            let opened = |it: &ClaimedLine| ClaimedLine { adjusted: dec!(0), is_open: true, ..it.clone() };
            let lines = claim.lines.iter().map(opened).collect();
            vec![of_payer(&record, claim_id, from_payer(history), lines, id(0x4000 + nth), Some(id(0x4000)))]
        }
        (OfClaim::Close, Some((claim_id, claim))) if claim.is_open() => {
            vec![record.follow(|after| Event::ClaimClosed { claim_id, after })]
        }
        _ => Vec::new(),
    }
}

fn of_payer(
    record: &BillingRecord,
    claim_id: Uuid,
    paid: Decimal,
    lines: Vec<ClaimedLine>,
    claim_payment_id: Uuid,
    reverses_id: Option<Uuid>,
) -> Event {
    let payment_date = at("2026-12-01T00:00:00Z").date_naive();
    record.follow(|after| {
        let moved = PayerMoney {
            patient_id: PATIENT,
            claim_id,
            claim_payment_id,
            reverses_id,
            paid,
            payment_date,
            reference: None,
            lines,
            after,
        };
        let moved = Box::new(moved);
        if reverses_id.is_some() { Event::ClaimReversed(moved) } else { Event::ClaimAdjudicated(moved) }
    })
}

/// The money of payers that was not taken back.
fn from_payer(history: &History) -> Decimal {
    let moved = history.0.iter().map(|event| match event {
        Event::ClaimAdjudicated(it) => it.paid,
        Event::ClaimReversed(it) => -it.paid,
        _ => dec!(0),
    });
    moved.sum()
}

/// All money that came, less all that went, counted from the events alone.
fn counted(history: &History) -> Decimal {
    let moved = history.0.iter().map(|event| match event {
        Event::PaymentRecorded(it) => it.amount,
        Event::PaymentRefunded(it) => -it.amount,
        Event::CreditMoved(it) if it.direction == Direction::In => it.amount,
        Event::CreditMoved(it) => -it.amount,
        _ => dec!(0),
    });
    moved.sum::<Decimal>() + from_payer(history)
}

proptest! {
    #[test]
    fn the_sums_of_a_record_agree_with_its_history(wanted in prop::collection::vec(asked(), 1..60)) {
        let mut history = History::new();
        for (nth, asked) in (0_u128..).zip(wanted) {
            let before = history.record();
            let events = decided(&history, asked, nth);
            history.0.extend(events);
            let record = history.record();
            let it = record.standing;
            let charges: Decimal = record.charged_lines().map(|line| line.charge.amount()).sum();
            prop_assert_eq!(it.total_amount + it.tax_amount - it.discount_amount, charges, "sums of lines");
            prop_assert_eq!(it.paid_amount + it.credit_amount, counted(&history), "money by {:?}", asked);
            let owed = charges - it.adjustment_amount - it.written_off_amount;
            prop_assert_eq!(it.balance(), owed - it.paid_amount);
            prop_assert!(it.balance() >= dec!(0) && it.credit_amount >= dec!(0) && it.written_off_amount >= dec!(0));
            prop_assert!(it.insurance_due >= dec!(0) && it.patient_due() >= dec!(0), "{:?}", it);
            let is_asked_again = !record.due_again().is_zero();
            prop_assert!(
                it.credit_amount.is_zero() || it.balance().is_zero() || is_asked_again,
                "credit is only beyond what is owed, or what a payer is asked for again"
            );
            let expected = match it.status {
                Status::Paid => it.balance().is_zero() && record.is_billed(),
                Status::PartiallyPaid => it.balance() > dec!(0) && it.paid_amount > dec!(0),
                Status::Billed => it.balance() > dec!(0) && it.paid_amount <= dec!(0),
                Status::WrittenOff => it.balance().is_zero(),
                Status::Cancelled => charges.is_zero() && counted(&history).is_zero(),
                Status::Pending => !record.is_billed(),
            };
            prop_assert!(expected, "{:?} by {:?}", it, asked);
            if matches!(before.status(), Status::Cancelled) {
                prop_assert_eq!(record.status(), Status::Cancelled, "nothing is reopened");
            }
            if before.is_billed() {
                prop_assert_eq!(&record.lines, &before.lines, "lines freeze with the invoice");
            }
        }
    }
}
