//! Billing records: the charges of a patient, from the first line to the last payment (FHIR R4 `ChargeItem`, `Invoice`,
//! `PaymentNotice`). A record is one unit of consistency, so that a balance is always that of one moment.

mod charge;
mod claims;
mod event;
mod standing;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{InvoiceNumber, Money, Percent, ReceiptNumber, Text, UnitPrice, to_cents};
use crate::{
    Aggregate, BillingItemId, BillingPaymentId, ChargeSourceId, ConsultationId, PatientId, Personal, Subject,
    described, terms,
};

pub use charge::Charge;
pub use claims::{Claimed, ClaimedLine, PayerMoney};
pub use event::{CreditMoved, Event, ItemAdded, Opened, PaymentRecorded, PaymentRefunded};
pub use standing::Standing;

terms! {
    /// The status of a record.
    pub enum Status {
        /// Lines are collected; there is no invoice yet.
        Pending = "pending",
        Billed = "billed",
        PartiallyPaid = "partially_paid",
        Paid = "paid",
        Cancelled = "cancelled",
        WrittenOff = "written_off",
    }

    /// The status of a line (FHIR `ChargeItem.status`).
    pub enum LineStatus {
        /// The line has no price yet.
        Planned = "planned",
        Billable = "billable",
        Billed = "billed",
        /// Nothing is charged for the line.
        NotBillable = "not_billable",
        /// The line was removed, or its record was cancelled.
        Aborted = "aborted",
    }

    /// The kind of a payment of a patient.
    pub enum PaymentKind {
        Payment = "payment",
        /// The patient's share of a visit.
        Copay = "copay",
        /// Money that is taken ahead of the charges.
        Deposit = "deposit",
    }

    /// How money changes hands.
    pub enum Method {
        Cash = "cash",
        Check = "check",
        Card = "card",
        BankTransfer = "bank_transfer",
        Other = "other",
    }

    /// Why charges are lowered after billing.
    pub enum AdjustmentKind {
        Discount = "discount",
        Courtesy = "courtesy",
        /// Something was charged wrongly. Only a correction may be negative, which takes earlier adjustments back.
        Correction = "correction",
    }

    /// Whether credit came into a record or left it.
    pub enum Direction {
        In = "in",
        Out = "out",
    }
}

described! {
    /// What is charged for.
    pub struct Item {
        /// The day of the service, which decides on the price.
        pub service_date: NaiveDate,
        /// The code system (URI) of the service.
        pub code_system: Text<100>,
        /// The code of the service.
        pub code: Text<20>,
        /// The service in words.
        pub description: Personal<Text<500>>,
        /// The modifiers of the code, such as `25`; four at most.
        #[serde(default)]
        pub modifiers: Vec<Text<2>>,
        /// The diagnoses of the claim that the service was for, by their numbers from 1 to 12; four at most.
        #[serde(default)]
        pub diagnosis_pointers: Vec<i32>,
        /// The quantity; more than zero, with at most three decimals.
        pub quantity: Decimal,
        /// The price of one unit; that of the price list if left out.
        pub unit_price: Option<UnitPrice>,
        /// What is taken off the price; at most the price. Either this or the percentage is given.
        pub discount_amount: Option<Money>,
        /// What is taken off the price, in percent.
        pub discount_percent: Option<Percent>,
        /// The tax, in percent; that of the price list if left out, else zero.
        pub tax_rate: Option<Percent>,
        /// The kind of thing that is charged for, such as `treatment`; given together with `source_id`.
        pub source_type: Option<Text<50>>,
        /// What is charged for, such as the id of a treatment. Nothing is charged twice.
        pub source_id: Option<ChargeSourceId>,
        /// Which occasion of the source, if one source is charged several times, such as each dispensing of an item.
        pub source_occasion: Option<Text<20>>,
    }
}

impl Item {
    /// One unit of a service at a price.
    pub fn one(
        service_date: NaiveDate,
        (code_system, code): (Text<100>, Text<20>),
        description: Personal<Text<500>>,
        price: Decimal,
    ) -> Self {
        Self {
            service_date,
            code_system,
            code,
            description,
            modifiers: Vec::new(),
            diagnosis_pointers: Vec::new(),
            quantity: Decimal::ONE,
            unit_price: Some(UnitPrice::from(price)),
            discount_amount: None,
            discount_percent: None,
            tax_rate: None,
            source_type: None,
            source_id: None,
            source_occasion: None,
        }
    }
}

/// The price of a line, and where the price comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Priced {
    /// The price of one unit.
    pub unit_price: UnitPrice,
    /// The tax, in percent.
    pub tax_rate: Percent,
    /// The price list; `None` for a price that was given with the line.
    pub price_list: Option<Text<20>>,
    /// The first day of the version of the price.
    pub price_effective_from: Option<NaiveDate>,
}

/// A line of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The id of the line.
    pub id: BillingItemId,
    /// The number of the line in the record, from 1. The number of a removed line is not used again.
    pub number: i32,
    /// What is charged for.
    pub item: Item,
    /// The price; `None` while there is none.
    pub priced: Option<Priced>,
    /// What is charged.
    pub charge: Charge,
}

/// Money that the patient paid or that came as credit of another record, and how much of it was given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    /// The amount that came.
    pub amount: Decimal,
    /// How much was given back.
    pub refunded: Decimal,
}

impl Payment {
    /// What was not given back.
    pub fn kept(&self) -> Decimal {
        self.amount - self.refunded
    }
}

/// A billing record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BillingRecord {
    /// The patient.
    pub patient_id: PatientId,
    /// The consultation that is charged for; `None` for charges without one.
    pub consultation_id: Option<ConsultationId>,
    /// The day on which the record was opened, where the patient was.
    pub opened_on: NaiveDate,
    /// How the record stands.
    pub standing: Standing,
    /// The lines that were not removed.
    pub lines: Vec<Line>,
    /// The number of the last line, a removed one included.
    pub last_number: i32,
    /// The ids of all lines and payments that there ever were, and what identifies the returns that lowered the charges.
    pub parts: BTreeSet<Uuid>,
    /// By how much the hospital lowered the charges after billing.
    pub adjusted: Decimal,
    /// All money that came in, less all that went out: of patients, of payers and of other records.
    pub money: Decimal,
    /// What patients paid and took along to other records, less what was given back to them.
    pub from_patient: Decimal,
    /// The payments of the patient, and the credit that came from other records.
    pub payments: BTreeMap<BillingPaymentId, Payment>,
    /// What the record knows of the claims that were made for it.
    pub claims: BTreeMap<Uuid, Claimed>,
    /// The number of the invoice, once there is one.
    pub invoice_number: Option<InvoiceNumber>,
    /// The numbers of all receipts.
    pub receipts: BTreeSet<ReceiptNumber>,
    /// The part of the status that does not follow from the sums: pending, billed, written off or cancelled.
    phase: Status,
}

impl BillingRecord {
    /// A record that was just opened.
    pub fn new(opened: &Opened) -> Self {
        Self {
            patient_id: opened.patient_id,
            consultation_id: opened.consultation_id,
            opened_on: opened.opened_on,
            standing: Standing::default(),
            lines: Vec::new(),
            last_number: 0,
            parts: BTreeSet::new(),
            adjusted: Decimal::ZERO,
            money: Decimal::ZERO,
            from_patient: Decimal::ZERO,
            payments: BTreeMap::new(),
            claims: BTreeMap::new(),
            invoice_number: None,
            receipts: BTreeSet::new(),
            phase: Status::Pending,
        }
    }

    /// The status of the record.
    pub fn status(&self) -> Status {
        self.standing.status
    }

    /// Whether there is an invoice that was not cancelled.
    pub fn is_billed(&self) -> bool {
        matches!(self.phase, Status::Billed | Status::WrittenOff)
    }

    /// The line with an id.
    pub fn line(&self, id: BillingItemId) -> Option<&Line> {
        self.lines.iter().find(|it| it.id == id)
    }

    /// The lines that are charged: all but those of a cancelled record.
    pub fn charged_lines(&self) -> impl DoubleEndedIterator<Item = &Line> {
        let is_cancelled = self.phase == Status::Cancelled;
        self.lines.iter().filter(move |_| !is_cancelled)
    }

    /// The first day of a service.
    pub fn first_service_day(&self) -> Option<NaiveDate> {
        self.lines.iter().map(|it| it.item.service_date).min()
    }

    /// An event of the record, with how the record stands after it. `event` makes the event with any standing, and is
    /// given that of the record as it is.
    pub fn follow(&self, event: impl FnOnce(Standing) -> Event) -> Event {
        self.followed(event).0
    }

    /// An event of the record as by [`follow`](Self::follow), and the record after the event.
    pub fn followed(&self, event: impl FnOnce(Standing) -> Event) -> (Event, Self) {
        let mut event = event(self.standing);
        let Some(mut after) = Self::evolve(Some(self.clone()), &event) else { return (event, self.clone()) };
        if let Some(standing) = event.standing_mut() {
            *standing = after.settled();
            after.standing = *standing;
        }
        (event, after)
    }

    /// Keeps money that came in, so that it can be given back.
    fn keep(&mut self, id: BillingPaymentId, amount: Decimal) {
        self.payments.insert(id, Payment { amount, refunded: Decimal::ZERO });
    }

    /// Gives back money that came in, if it is known which.
    fn give_back(&mut self, id: Option<BillingPaymentId>, amount: Decimal) {
        if let Some(payment) = id.and_then(|id| self.payments.get_mut(&id)) {
            payment.refunded += amount;
        }
    }

    /// How much of money that came in can be given back. What was given back or moved as credit is not there any more.
    pub fn refundable(&self, id: BillingPaymentId) -> Option<Decimal> {
        let kept = self.payments.get(&id)?.kept();
        Some(to_cents(kept.min(self.from_patient).min(self.money).max(Decimal::ZERO)))
    }

    /// The line as it is now, in place of the line with the same id or as the last line.
    fn put(&mut self, line: Line) {
        self.parts.insert(line.id.into());
        self.last_number = self.last_number.max(line.number);
        match self.lines.iter_mut().find(|it| it.id == line.id) {
            Some(known) => *known = line,
            None => self.lines.push(line),
        }
    }
}

impl Aggregate for BillingRecord {
    const STREAM: &'static str = "billing_record";
    const STATE_VERSION: i32 = 3;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let mut record = match (state, event) {
            (_, Event::Opened(opened)) => return Some(Self::new(opened)),
            (state, _) => state?,
        };
        record.standing = event.standing().unwrap_or(record.standing);
        match event {
            Event::Opened(_) => {}
            Event::ItemAdded(it) | Event::ItemChanged(it) => record.put(it.line()),
            Event::ItemRemoved { item_id, taken_back_by, after: _ } => {
                record.lines.retain(|it| it.id != *item_id);
                record.parts.extend(taken_back_by);
            }
            Event::InvoiceIssued { invoice_number, due_date: _, after: _ } => {
                record.phase = Status::Billed;
                record.invoice_number = Some(invoice_number.clone());
            }
            Event::PaymentRecorded(it) => {
                record.parts.insert(it.payment_id.into());
                record.receipts.insert(it.receipt_number.clone());
                record.keep(it.payment_id, it.amount);
                record.money += it.amount;
                record.from_patient += it.amount;
            }
            Event::PaymentRefunded(it) => {
                record.parts.insert(it.refund_id.into());
                record.receipts.insert(it.receipt_number.clone());
                record.give_back(it.payment_id, it.amount);
                record.money -= it.amount;
                record.from_patient -= it.amount;
            }
            Event::Adjusted { patient_id: _, kind: _, amount, reason: _, after: _ } => record.adjusted += amount,
            Event::WrittenOff { .. } => record.phase = Status::WrittenOff,
            Event::CreditMoved(it) => {
                let amount = match it.direction {
                    Direction::In => it.amount,
                    Direction::Out => -it.amount,
                };
                record.parts.insert(it.payment_id.into());
                match it.direction {
                    Direction::In => record.keep(it.payment_id, amount),
                    Direction::Out => record.give_back(it.reverses_id, it.amount),
                }
                record.money += amount;
                record.from_patient += amount;
            }
            Event::ClaimOpened { claim_id, insurance_policy_id: _, lines, after: _ } => {
                let before = record.claims.remove(claim_id).unwrap_or_default();
                record.claims.insert(*claim_id, before.opened(lines));
            }
            Event::ClaimAdjudicated(it) => {
                record.money += it.paid;
                record.put_claimed(it);
            }
            Event::ClaimReversed(it) => {
                record.money -= it.paid;
                record.reopen_claimed(it);
            }
            Event::ClaimClosed { claim_id, after: _ } => drop(record.claims.remove(claim_id)),
            Event::Cancelled { reason: _, after: _ } => record.phase = Status::Cancelled,
        }
        Some(record)
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
