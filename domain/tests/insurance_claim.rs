//! How a claim goes from one adjudication to the next.
#![expect(clippy::unwrap_used, reason = "a value that cannot be read fails the test")]

use hims_domain::insurance_claim::{ClaimStatusCode, Event, Figures, InsuranceClaim, LinePayment, Status};
use hims_domain::values::Money;
use hims_domain::{Aggregate as _, ClaimPaymentId, fold};
use hims_testing::{patched, sample};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

const FIRST: ClaimPaymentId = ClaimPaymentId(Uuid::from_u128(1));
const SECOND: ClaimPaymentId = ClaimPaymentId(Uuid::from_u128(2));

/// A claim of two lines with the charges 77.49 and 22.51. For the second line an earlier payer has paid 10.00 and given
/// up 2.51.
fn claim() -> InsuranceClaim {
    fold(&[sample::<InsuranceClaim>("created"), sample::<InsuranceClaim>("submitted")]).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the value where they call")]
fn said(line: i32, paid: &str, adjustments: Value) -> LinePayment {
    serde_json::from_value(json!({"line": line, "paid": paid, "adjustments": adjustments})).unwrap()
}

fn adjustment(group: &str, reason: &str, amount: &str) -> Value {
    json!({"group": group, "reason": reason, "amount": amount})
}

fn first() -> LinePayment {
    said(1, "40", json!([adjustment("CO", "45", "17.49"), adjustment("PR", "2", "20")]))
}

fn second() -> LinePayment {
    said(2, "0", json!([adjustment("CO", "50", "12.51"), adjustment("OA", "23", "10")]))
}

#[expect(clippy::unnecessary_wraps, reason = "the fields of figures that may be missing")]
fn money(text: &str) -> Option<Money> {
    Some(text.parse::<Decimal>().unwrap().into())
}

fn figures(allowed: &str, paid: &str, patient: &str, codes: &[&str]) -> Figures {
    let denial_codes = codes.iter().map(|it| (*it).into()).collect();
    Figures { allowed: money(allowed), paid: money(paid), patient_responsibility: money(patient), denial_codes }
}

#[test]
fn a_claim_is_paid_once_no_line_is_open_even_if_nothing_is_paid() {
    let part = claim().adjudicated(FIRST, ClaimStatusCode::Primary, &[first()]);
    assert_eq!((part.status, part.figures()), (Status::PartiallyPaid, figures("60", "40", "20", &[])));
    let whole = part.adjudicated(SECOND, ClaimStatusCode::Secondary, &[second()]);
    assert_eq!((whole.status, whole.figures()), (Status::Paid, figures("70", "40", "20", &["CO-50"])));
    let nothing = said(1, "0", json!([adjustment("PR", "1", "77.49")]));
    let unpaid = claim().adjudicated(FIRST, ClaimStatusCode::Primary, &[nothing, second()]);
    assert_eq!((unpaid.status, unpaid.figures()), (Status::Paid, figures("87.49", "0", "77.49", &["CO-50"])));
}

#[test]
fn what_is_asked_is_the_charge_less_what_the_payers_before_settled() {
    let asked: Vec<_> = claim().lines.iter().map(|it| it.line.asked().to_string()).collect();
    assert_eq!(asked, ["77.49", "10.00"]);
}

#[test]
fn a_line_for_which_nothing_is_charged_is_never_open() {
    let created = serde_json::to_value(sample::<InsuranceClaim>("created")).unwrap();
    let mut lines = created["created"]["lines"].clone();
    lines[1]["charge"] = json!("0.00");
    let event: Event = serde_json::from_value(patched(created, json!({"created": {"lines": lines}}))).unwrap();
    let claim = InsuranceClaim::evolve(None, &event).unwrap();
    assert_eq!(claim.adjudicated(FIRST, ClaimStatusCode::Primary, &[first()]).status, Status::Paid);
}

#[test]
fn a_reversal_leads_back_to_where_the_other_adjudications_leave_the_claim() {
    let part = claim().adjudicated(FIRST, ClaimStatusCode::Primary, &[first()]);
    assert_eq!(part.reversed(FIRST).status, Status::Accepted);
    let whole = part.adjudicated(SECOND, ClaimStatusCode::Primary, &[second()]);
    let back = whole.reversed(FIRST);
    assert_eq!((back.status, back.figures()), (Status::PartiallyPaid, figures("10", "0", "0", &["CO-50"])));
    let cancelled = InsuranceClaim { status: Status::Cancelled, ..whole };
    assert_eq!(cancelled.reversed(FIRST).status, Status::Cancelled);
}

#[test]
fn an_appeal_opens_what_was_refused_and_upholding_closes_it_again() {
    let whole = claim().adjudicated(FIRST, ClaimStatusCode::Primary, &[first(), second()]);
    let appealed = whole.appealed();
    let open: Vec<_> = appealed.lines.iter().map(hims_domain::insurance_claim::LineSoFar::is_open).collect();
    assert_eq!((appealed.status, open), (Status::Appealed, vec![false, true]));
    assert_eq!(appealed.figures(), figures("60", "40", "20", &["CO-50"]));
    let upheld = appealed.upheld();
    assert_eq!((upheld.status, upheld.figures()), (Status::Denied, whole.figures()));
    assert_eq!(upheld.lines, whole.lines);
    let won = said(2, "12.51", json!([adjustment("OA", "23", "10")]));
    let paid = appealed.adjudicated(SECOND, ClaimStatusCode::Primary, &[won]);
    assert_eq!((paid.status, paid.figures()), (Status::Paid, figures("82.51", "52.51", "20", &[])));
}

#[test]
fn the_state_follows_the_events_as_the_commands_foresaw() {
    let payment = sample::<InsuranceClaim>("payment_recorded");
    let Event::PaymentRecorded(recorded) = &payment else { panic!("a payment") };
    let foreseen = claim().adjudicated(recorded.payment_id, recorded.claim_status_code, &recorded.lines);
    let paid = InsuranceClaim::evolve(Some(claim()), &payment).unwrap();
    assert_eq!((&foreseen.lines, foreseen.status, foreseen.figures()), (&paid.lines, paid.status, paid.figures()));
    assert_eq!((paid.status, paid.figures()), (recorded.status, recorded.figures.clone()));
    let reversal = sample::<InsuranceClaim>("payment_reversed");
    let Event::PaymentReversed(reversed) = &reversal else { panic!("a reversal") };
    let back = InsuranceClaim::evolve(Some(paid.clone()), &reversal).unwrap();
    assert_eq!((back.lines.clone(), back.status), (claim().lines, reversed.status));
    assert_eq!(back.figures(), reversed.figures);
    assert_eq!(back.payments[0].reversed.as_ref().map(|it| it.0), Some(reversed.payment_id));
    let appealed = InsuranceClaim::evolve(Some(paid.clone()), &sample::<InsuranceClaim>("appealed")).unwrap();
    assert_eq!(appealed.lines, paid.appealed().lines);
    let upheld = InsuranceClaim::evolve(Some(appealed), &sample::<InsuranceClaim>("denial_upheld")).unwrap();
    assert_eq!((upheld.status, upheld.lines), (Status::Denied, paid.lines));
}
