//! The tests of billing records; this file has what they share, and the record from its opening to its end.

mod charges;
mod histories;
mod lines;
mod money;
mod services;

use std::sync::atomic::{AtomicU64, Ordering};

use hims_domain::billing_record::{Line, Standing};
use hims_domain::values::Currency;
use hims_domain::{Aggregate as _, consultation, fold};
use hims_testing::sample;
use serde_json::{Value, json};

use super::*;
use crate::billing_record::{AddBillingItem, RecordPayment};
use crate::testing::samples::{BILL, CONSULTATION, OTHER_PATIENT, PATIENT, ask, registered, said, with};
use crate::testing::{Given, at, given, id, releases, shares, takes, unshares};

/// The event that opens the record of the consultation.
fn opened() -> Event {
    Event::Opened(Opened {
        patient_id: PATIENT,
        consultation_id: Some(CONSULTATION),
        opened_on: at("2026-11-23T10:00:00Z").date_naive(),
        currency: Currency::default(),
    })
}

/// An id that no other call returns: in these tests a command issues the same ids each time.
fn fresh() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(0xf0_0000);
    Uuid::from_u128(NEXT.fetch_add(1, Ordering::Relaxed).into())
}

/// The request that adds a line of some price to the record.
fn add(price: &str, changes: Value) -> AddBillingItem {
    let line = json!({"billing_record_id": BILL, "service_date": "2026-11-20", "code_system": "urn:local",
                      "code": "VISIT", "description": "Visit", "quantity": 1, "unit_price": price, "item_id": fresh()});
    ask(with(line, changes))
}

/// The request that pays some amount.
fn pay(amount: &str, changes: Value) -> RecordPayment {
    let body = json!({"billing_record_id": BILL, "amount": amount, "kind": "payment", "method": "cash",
                      "payment_id": fresh()});
    ask(with(body, changes))
}

fn issue() -> IssueInvoice {
    IssueInvoice { billing_record_id: BILL, due_date: None }
}

fn cancel() -> CancelBillingRecord {
    CancelBillingRecord { billing_record_id: BILL, reason: said("charged to the wrong patient") }
}

/// A history in preparation: each command is decided on what happened before.
#[derive(Clone)]
pub(super) struct History(Vec<Event>);

impl History {
    fn new() -> Self {
        Self(vec![opened()])
    }

    /// A record with lines of these prices and an invoice.
    fn billed(prices: &[&str]) -> Self {
        prices.iter().fold(Self::new(), |history, price| history.then(add(price, json!({})))).then(issue())
    }

    #[track_caller]
    fn then<C: Command<Aggregate = BillingRecord>>(mut self, command: C) -> Self {
        let events = self.given().when(command).events();
        self.0.extend(events);
        self
    }

    /// Appends an event that another stream's command gives.
    fn happened(mut self, event: impl FnOnce(Standing) -> Event) -> Self {
        let event = self.record().follow(event);
        self.0.push(event);
        self
    }

    /// The circumstances in which a further command is decided.
    fn given(&self) -> Given<BillingRecord> {
        given(self.0.clone()).and::<Patient>(PATIENT, [registered()])
    }

    fn record(&self) -> BillingRecord {
        fold::<BillingRecord>(&self.0).unwrap()
    }

    fn lines(&self) -> Vec<Line> {
        self.record().lines
    }

    /// The status, the balance, what is paid, and the credit.
    fn told(&self) -> (&'static str, String, String, String) {
        let standing = self.record().standing;
        let text = |it: Decimal| it.to_string();
        (standing.status.as_str(), text(standing.balance()), text(standing.paid_amount), text(standing.credit_amount))
    }
}

fn told<'a>(status: &'a str, balance: &str, paid: &str, credit: &str) -> (&'a str, String, String, String) {
    (status, balance.to_owned(), paid.to_owned(), credit.to_owned())
}

fn began() -> consultation::Event {
    match sample::<Consultation>("started") {
        consultation::Event::Started(it) => {
            consultation::Event::Started(consultation::Started { patient_id: PATIENT, ..it })
        }
        other => panic!("{other:?} does not begin a consultation"),
    }
}

/// The request that opens a record for the consultation, and the circumstances.
fn given_consultation(then: impl IntoIterator<Item = consultation::Event>) -> Given<BillingRecord> {
    given([])
        .and::<Patient>(PATIENT, [registered()])
        .and::<Patient>(OTHER_PATIENT, [registered()])
        .and::<Consultation>(CONSULTATION, std::iter::once(began()).chain(then))
}

fn open(patient_id: PatientId) -> OpenBillingRecord {
    OpenBillingRecord { id: None, patient_id, consultation_id: Some(CONSULTATION) }
}

#[test]
fn a_record_is_opened_for_a_consultation_once_as_long_as_there_is_no_invoice() {
    given_consultation([])
        .when(open(PATIENT))
        .then([opened()])
        .then_claims([shares(scopes::PENDING_BILLING, CONSULTATION)]);
    given_consultation([]).when(open(OTHER_PATIENT)).then_refused(Refusal::OtherPatient);
    let cancelled = sample::<Consultation>("cancelled");
    given_consultation([cancelled]).when(open(PATIENT)).then_refused(Refusal::CancelledConsultation);
    let pending = given_consultation([]).owner(scopes::PENDING_BILLING, CONSULTATION, BILL).when(open(PATIENT));
    pending.then_refused(Refused { candidates: vec![BILL.into()], ..Refusal::PendingRecord.into() });
    let without = OpenBillingRecord { consultation_id: None, ..open(PATIENT) };
    let key = scopes::key(&[&PATIENT.to_string(), "2026-11-23"]);
    given_consultation([]).when(without).then_claims([shares(scopes::PENDING_BILLING, key)]);
}

#[test]
fn an_invoice_needs_lines_with_prices() {
    History::new().given().when(issue()).then_refused(Refusal::NoItems);
    let waiting = History::new().then(add("10", json!({}))).then(add("0", json!({"unit_price": null})));
    waiting.given().when(issue()).then_candidates([waiting.lines()[1].id]);
    let priced = ask::<ChangeBillingItem>(
        json!({"billing_record_id": BILL, "item_id": waiting.lines()[1].id, "unit_price": "2.50"}),
    );
    assert_eq!(waiting.then(priced).then(issue()).told(), told("billed", "12.50", "0.00", "0.00"));
}

#[test]
fn an_invoice_is_due_in_30_days_or_on_a_given_day_that_is_not_in_the_past() {
    let record = History::new().then(add("10", json!({})));
    let due = |given: Given<BillingRecord>, day: Option<&str>| {
        let due_date = day.map(|it| it.parse().unwrap());
        match given.when(IssueInvoice { billing_record_id: BILL, due_date }).then_event() {
            Event::InvoiceIssued { due_date, .. } => due_date.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(due(record.given(), None), "2026-12-23");
    assert_eq!(due(record.given(), Some("2026-11-23")), "2026-11-23");
    assert_eq!(due(record.given().by(crate::Caller::system("import")), Some("2020-01-01")), "2020-01-01");
    let past = IssueInvoice { billing_record_id: BILL, due_date: "2026-11-22".parse().ok() };
    record
        .given()
        .by(crate::testing::world::somebody("receptionist"))
        .when(past)
        .then_field("in-the-past", "/due_date");
}

#[test]
fn the_lines_freeze_with_the_invoice_which_is_issued_once() {
    let billed = History::billed(&["100"]);
    billed.given().when(issue()).then_nothing();
    let item_id = billed.lines()[0].id;
    billed.given().when(add("1", json!({}))).then_code("wrong-status");
    let change = json!({"billing_record_id": BILL, "item_id": item_id, "quantity": 2});
    billed.given().when(ask::<ChangeBillingItem>(change)).then_code("wrong-status");
    billed.given().when(RemoveBillingItem { billing_record_id: BILL, item_id }).then_code("wrong-status");
    let says = "the billing record is billed, which does not allow the command";
    billed.given().when(add("1", json!({}))).then_says(says);
}

#[test]
fn an_invoice_takes_its_number_and_is_found_as_pending_no_more() {
    let record = History::new().then(add("10", json!({})));
    let number = InvoiceNumber::issue(42);
    record
        .given()
        .when(issue())
        .then_claims([takes(scopes::INVOICE_NUMBER, number), unshares(scopes::PENDING_BILLING, CONSULTATION)]);
}

#[test]
fn a_zero_invoice_is_paid_at_once() {
    assert_eq!(History::billed(&["0"]).told(), told("paid", "0.00", "0.00", "0.00"));
    let free = History::new().then(add("80", json!({"discount_percent": 100}))).then(issue());
    assert_eq!(free.told(), told("paid", "0.00", "0.00", "0.00"));
}

#[test]
fn a_record_is_cancelled_as_long_as_nothing_was_paid() {
    let source = json!({"source_type": "treatment", "source_id": id::<Uuid>(5)});
    for record in [History::new().then(add("10", source.clone())), History::new().then(add("10", source)).then(issue())]
    {
        let cancelled = record.clone().then(cancel());
        assert_eq!(cancelled.told(), told("cancelled", "0.00", "0.00", "0.00"));
        assert_eq!(cancelled.record().standing.total_amount, Decimal::ZERO, "a cancelled record charges nothing");
        cancelled.given().when(cancel()).then_nothing();
        cancelled.given().when(pay("1", json!({}))).then_code("wrong-status");
        cancelled.given().when(issue()).then_code("wrong-status");
    }
    let deposit = json!({"kind": "deposit"});
    History::new().then(pay("5", deposit)).given().when(cancel()).then_refused(Refusal::HasPayments);
    History::billed(&["10"]).then(pay("10", json!({}))).given().when(cancel()).then_code("wrong-status");
}

#[test]
fn what_a_cancelled_record_charged_for_can_be_charged_again_but_its_ids_are_gone() {
    let source = json!({"source_type": "treatment", "source_id": id::<Uuid>(5)});
    let record = History::new().then(add("10", source));
    let source = scopes::key(&["treatment", &id::<Uuid>(5).to_string(), ""]);
    let charged = scopes::key(&["treatment", &id::<Uuid>(5).to_string()]);
    record.given().when(cancel()).then_claims([
        releases(scopes::BILLING_SOURCE, source),
        unshares(scopes::CHARGED_SOURCE, charged),
        unshares(scopes::PENDING_BILLING, CONSULTATION),
    ]);
}

#[test]
fn nothing_comes_of_events_without_a_beginning() {
    for name in ["item_added", "payment_recorded", "claim_opened", "cancelled"] {
        assert_eq!(BillingRecord::evolve(None, &sample::<BillingRecord>(name)), None, "{name}");
    }
}

#[test]
fn the_record_after_an_event_is_the_one_that_follows_from_the_log() {
    let record = History::billed(&["10"]).record();
    let (event, after) = record.followed(|after| Event::Cancelled { reason: said("by mistake"), after });
    assert_eq!(event.standing().map(|it| it.status), Some(Status::Cancelled));
    assert_eq!(BillingRecord::evolve(Some(record), &event), Some(after));
}
