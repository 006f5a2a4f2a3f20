use hims_domain::billing_record::{self, BillingRecord, Charge, ItemAdded, Standing};
use hims_domain::consultation::{self, Consultation};
use hims_domain::insurance_claim::{Event, InsuranceClaim, Status};
use hims_domain::insurance_policy::{self, InsurancePolicy};
use hims_domain::patient::Patient;
use hims_domain::payer::{self, Payer};
use hims_domain::values::Money;
use hims_domain::{BillingItemId, BillingRecordId, InsuranceClaimId, InsurancePolicyId, fold};
use hims_testing::{patched, sample, sample_with};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::testing::samples::{
    CLAIM, CONSULTATION, OTHER_PAYER, OTHER_POLICY, PATIENT, PAYER, POLICY, ask, registered, said,
};
use crate::testing::world::somebody;
use crate::testing::{Given, Then, given};
use crate::{Caller, Command};

mod adjudicating;
mod creating;
mod secondary;
mod sending;

const RECORD: BillingRecordId = BillingRecordId(Uuid::from_u128(0x60));
const OTHER_CLAIM: InsuranceClaimId = InsuranceClaimId(Uuid::from_u128(0x62));
const TRACE: &str = "TRN-1";

fn item(number: i32) -> BillingItemId {
    BillingItemId(Uuid::from_u128(0x70 + u128::try_from(number).unwrap()))
}

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// An amount in words for people.
fn spoken(amount: Decimal) -> String {
    Money::from(amount).to_string()
}

/// The events of a billing record with the invoice for these charges. Each line points to the first diagnosis.
fn invoiced(charges: &[&str]) -> Vec<billing_record::Event> {
    let mut events = draft_of_invoice(charges);
    let issued = sample::<BillingRecord>("invoice_issued");
    let billing_record::Event::InvoiceIssued { invoice_number, due_date, .. } = issued else { panic!("an invoice") };
    add(&mut events, |after| billing_record::Event::InvoiceIssued { invoice_number, due_date, after });
    events
}

/// The events of a billing record with these charges and without an invoice.
fn draft_of_invoice(charges: &[&str]) -> Vec<billing_record::Event> {
    let changes = json!({"patient_id": PATIENT, "consultation_id": CONSULTATION});
    let mut events = vec![sample_with::<BillingRecord>("opened", changes)];
    for (line_number, charge) in (1..).zip(charges) {
        let added = sample::<BillingRecord>("item_added");
        let billing_record::Event::ItemAdded(mut added) = added else { panic!("a line") };
        added.item.service_date = "2026-11-20".parse().unwrap();
        added.item.diagnosis_pointers = vec![1];
        let (gross, none) = (number(charge), Decimal::ZERO);
        let (item_id, charge) = (item(line_number), Charge { gross, discount: none, tax: none });
        add(&mut events, |after| {
            billing_record::Event::ItemAdded(Box::new(ItemAdded { item_id, line_number, charge, after, ..*added }))
        });
    }
    events
}

/// Adds an event with the standing that follows.
fn add(events: &mut Vec<billing_record::Event>, event: impl FnOnce(Standing) -> billing_record::Event) {
    let record = fold::<BillingRecord>(&*events).unwrap();
    events.push(record.follow(event));
}

/// The events of an active policy for the year 2026.
#[expect(clippy::needless_pass_by_value, reason = "callers write the value where they call")]
fn policy(priority: i32, changes: Value) -> Vec<insurance_policy::Event> {
    let coverage = json!({"patient_id": PATIENT, "coverage": {"priority": priority, "payer_id": PAYER}});
    let added =
        patched(serde_json::to_value(sample::<InsurancePolicy>("added")).unwrap(), json!({ "added": coverage }));
    vec![ask(patched(added, json!({"added": {"coverage": changes}}))), sample::<InsurancePolicy>("verified")]
}

/// The events of a consultation with a diagnosis.
fn diagnosed() -> Vec<consultation::Event> {
    ["started", "diagnosis_recorded"].map(sample::<Consultation>).to_vec()
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the value where they call")]
fn payer(timely_filing_days: Value) -> payer::Event {
    let added = serde_json::to_value(sample::<Payer>("added")).unwrap();
    ask(patched(added, json!({"added": {"timely_filing_days": timely_filing_days}})))
}

/// A patient with a policy of the first priority, the payer, the consultation and the billing record beside a claim.
fn beside(claim: impl IntoIterator<Item = Event>, record: Vec<billing_record::Event>) -> Given<InsuranceClaim> {
    given(claim)
        .by(somebody("administrator"))
        .and::<Patient>(PATIENT, [registered()])
        .and::<BillingRecord>(RECORD, record)
        .and::<Consultation>(CONSULTATION, diagnosed())
        .and::<Payer>(PAYER, [payer(json!(90))])
        .and::<InsurancePolicy>(POLICY, policy(1, json!({})))
        .owner(scopes::POLICY_PATIENT, PATIENT, POLICY)
}

fn create(changes: Value) -> CreateInsuranceClaim {
    let command = json!({"id": CLAIM, "billing_record_id": RECORD, "claim_type": "professional"});
    ask(patched(command, changes))
}

/// A claim and its billing record, both after the same steps.
#[derive(Clone)]
struct Story {
    claim: Vec<Event>,
    record: Vec<billing_record::Event>,
}

impl Story {
    /// A draft of a claim for these charges.
    fn draft(charges: &[&str]) -> Self {
        let story = Self { claim: Vec::new(), record: invoiced(charges) };
        story.after(create(json!({})))
    }

    /// A claim for these charges that the payer has accepted.
    fn accepted(charges: &[&str]) -> Self {
        let of_claim = json!({"insurance_claim_id": CLAIM});
        let submitted = Self::draft(charges).after(ask::<SubmitInsuranceClaim>(of_claim));
        submitted.after(accept())
    }

    fn given(&self) -> Given<InsuranceClaim> {
        // The claim is among those that are looked up for its record.
        beside(self.claim.clone(), self.record.clone()).and::<InsuranceClaim>(CLAIM, self.claim.clone()).owner(
            scopes::CLAIMS_OF_RECORD,
            RECORD,
            CLAIM,
        )
    }

    #[track_caller]
    fn when<C: Command<Aggregate = InsuranceClaim>>(&self, command: C) -> Then<InsuranceClaim> {
        self.given().when(command)
    }

    /// The story after one more command, which must succeed.
    #[track_caller]
    fn after<C: Command<Aggregate = InsuranceClaim>>(&self, command: C) -> Self {
        let then = self.when(command);
        let claim = [self.claim.clone(), then.events()].concat();
        Self { claim, record: [self.record.clone(), then.events_of::<BillingRecord>(RECORD)].concat() }
    }

    fn status(&self) -> Status {
        fold::<InsuranceClaim>(&self.claim).unwrap().status
    }

    /// What the record is owed and by whom: status, adjustments, payments, credit, balance, and the payer's part of it.
    fn money(&self) -> [String; 6] {
        let it = fold::<BillingRecord>(&self.record).unwrap().standing;
        let sums = [it.adjustment_amount, it.paid_amount, it.credit_amount, it.balance(), it.insurance_due];
        let [adjusted, paid, credit, balance, due] = sums.map(spoken);
        [it.status.to_string(), adjusted, paid, credit, balance, due]
    }

    /// The story after the patient paid at the front desk.
    fn patient_pays(&self, amount: &str) -> Self {
        let paid = sample::<BillingRecord>("payment_recorded");
        let billing_record::Event::PaymentRecorded(paid) = paid else { panic!("a payment") };
        let mut record = self.record.clone();
        let amount = number(amount);
        add(&mut record, |after| {
            billing_record::Event::PaymentRecorded(billing_record::PaymentRecorded { amount, after, ..paid })
        });
        Self { record, ..self.clone() }
    }
}

fn accept() -> AcceptInsuranceClaim {
    ask(json!({"insurance_claim_id": CLAIM, "payer_claim_number": "ICN-1"}))
}

fn adjustment(group: &str, reason: &str, amount: &str) -> Value {
    json!({"group": group, "reason": reason, "amount": amount})
}

/// What a payer says of a line: what is paid, given up (CO-45) and left to the patient (PR-2).
fn line(line: i32, paid: &str, given_up: &str, patients: &str) -> Value {
    let adjustments = [adjustment("CO", "45", given_up), adjustment("PR", "2", patients)];
    json!({"line": line, "paid": paid, "adjustments": adjustments})
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the value where they call")]
fn pay(trace: &str, lines: Value) -> RecordClaimPayment {
    ask(json!({"insurance_claim_id": CLAIM, "trace_number": trace, "payment_method": "ACH",
               "payment_date": "2026-11-22", "claim_status_code": "1", "lines": lines}))
}

fn deny(trace: &str, lines: Value) -> RecordClaimPayment {
    let paid = pay(trace, lines);
    let claim_status_code = hims_domain::insurance_claim::ClaimStatusCode::Denied;
    RecordClaimPayment { claim_status_code, ..paid }
}

/// A line of which nothing is paid, with one adjustment.
fn refused(number: i32, group: &str, amount: &str) -> Value {
    json!({"line": number, "paid": "0", "adjustments": [adjustment(group, "50", amount)]})
}

fn reverse(story: &Story, trace: &str) -> ReverseClaimPayment {
    let claim = fold::<InsuranceClaim>(&story.claim).unwrap();
    let payment = claim.payments.iter().rev().find(|it| it.reversed.is_none()).expect("a payment that stands");
    let of_it = json!({"insurance_claim_id": CLAIM, "payment_id": payment.id, "trace_number": trace,
                       "date": "2026-11-23", "reason": "paid for another patient"});
    ask(of_it)
}

fn appeal() -> AppealInsuranceClaim {
    ask(json!({"insurance_claim_id": CLAIM, "reason": "the test was necessary", "deadline": "2027-01-31"}))
}

fn uphold() -> UpholdDenial {
    UpholdDenial { insurance_claim_id: CLAIM }
}
