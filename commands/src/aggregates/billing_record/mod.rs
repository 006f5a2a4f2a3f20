//! Billing records: opening and cancelling records, lines, invoices, payments, adjustments and credit.

mod adjustments;
mod charges;
mod items;
mod laboratory;
mod payments;
mod refunds;
mod revoking;
mod supplies;

use chrono::{Days, NaiveDate};
use hims_domain::billing_record::{BillingRecord, Event, Opened, Status};
use hims_domain::consultation::{Consultation, Status as ConsultationStatus};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::values::{InvoiceNumber, Reason};
use hims_domain::{BillingItemId, BillingRecordId, ConsultationId, PatientId, Personal, described};
use rust_decimal::{Decimal, dec};
use uuid::Uuid;

use super::patient::{reads_person, records_of};
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse, scopes,
};

pub use adjustments::{AdjustBillingRecord, WriteOffBalance};
pub(crate) use charges::{CONSULTATION, is_charged_by_itself};
pub use charges::{ChargeConsultation, ChargeDispensing, ChargeTreatment, ChargedQuantity};
pub use items::{AddBillingItem, ChangeBillingItem, RemoveBillingItem};
pub use laboratory::{ChargeLabResult, RevokeLabCharge};
pub use payments::{Excess, RecordPayment};
pub use refunds::{ApplyCredit, RefundPayment};
pub use revoking::RevokeDispensingCharges;
pub use supplies::{ChargeSupply, Moved, RevokeSupplyCharge};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<OpenBillingRecord>()
        .add::<AddBillingItem>()
        .add::<ChangeBillingItem>()
        .add::<RemoveBillingItem>()
        .add::<IssueInvoice>()
        .add::<CancelBillingRecord>()
        .add::<RecordPayment>()
        .add::<RefundPayment>()
        .add::<ApplyCredit>()
        .add::<AdjustBillingRecord>()
        .add::<WriteOffBalance>();
}

/// The greatest amount of money that a record can hold.
const MOST: Decimal = dec!(99_999_999.99);
/// The largest number of lines of a record.
const LINES: usize = 999;
/// How many days after the invoice is issued it is to be paid, unless another day is given.
const DAYS_TO_PAY: Days = Days::new(30);

refusals! {
    OtherPatient = Rule, "other-patient", "the consultation is of another patient";
    CancelledConsultation = Conflict, "cancelled-consultation",
        "the consultation was cancelled, so nothing is charged for it; leave consultation_id out to charge without it";
    PendingRecord = Conflict, "pending-record",
        "a billing record of this consultation has no invoice yet (see candidates); add the lines to that record";
    NoItems = Conflict, "no-items", "the record has no lines; add what is charged, or cancel the record";
    UnpricedItems = Conflict, "unpriced-items",
        "lines have no price (see candidates); set prices in the price list or in the lines, or remove the lines";
    HasPayments = Conflict, "has-payments",
        "money was paid for the record; give the payments back with refund-payment, or move the credit, before";
    ClaimOpen = Conflict, "claim-open", "a payer still has to decide on a claim; wait for the payer, or cancel the claim";
    TooManyItems = Conflict, "too-many-items", "a record has at most 999 lines; open another record";
    AlreadyCharged = Conflict, "already-charged",
        "another line of the record charges for the same source; change that line, or name another source_occasion";
    ChargedAlready = Conflict, "charged-already",
        "what was taken back or withdrawn is in an invoice already; adjust the invoice with adjust-billing-record";
    BeyondTheMost = Rule, "out-of-range", "the amounts of a record are at most 99999999.99 together";
    Overpayment { room: Decimal } = Conflict, "overpayment",
        "only {room} is owed; give that amount, or keep what is beyond it as credit with \"excess\": \"credit\"";
    OverpaidByCredit { room: Decimal } = Conflict, "overpayment", "only {room} is owed in the other record";
    NotEnoughCredit { credit: Decimal } = Conflict, "not-enough-credit", "the record has a credit of {credit} only";
    RefundTooLarge { most: Decimal } = Conflict, "refund-too-large", "at most {most} can be given back";
    BelowZero { most: Decimal } = Rule, "below-zero", "at most {most} is left of the charges; they never fall below zero";
    NothingToTakeBack { most: Decimal } = Rule, "below-zero",
        "the hospital adjusted {most} so far; a negative correction takes back no more than that";
    AnotherPerson = Conflict, "another-patient", "credit moves only between records of the same person";
}

described! {
    /// Opens a billing record of a patient, for a consultation or without one. Completed consultations and treatments,
    /// dispensings, final results of the laboratory and articles that are issued for patients open records by themselves.
    pub struct OpenBillingRecord {
        /// The id of the new record; issued by the server if left out.
        pub id: Option<BillingRecordId>,
        /// Which patient.
        pub patient_id: PatientId,
        /// The consultation that is charged for.
        pub consultation_id: Option<ConsultationId>,
    }

    /// Issues the invoice: the lines never change again. What is charged later is charged with another record. An
    /// invoice of zero is paid at once.
    pub struct IssueInvoice {
        /// Which record.
        pub billing_record_id: BillingRecordId,
        /// The day until which the invoice is to be paid; 30 days from today if left out.
        pub due_date: Option<NaiveDate>,
    }

    /// Cancels a record with all its lines, as long as nothing was paid and no payer has to decide. What the lines
    /// charged for can be charged again.
    pub struct CancelBillingRecord {
        /// Which record.
        pub billing_record_id: BillingRecordId,
        /// Why the record is cancelled.
        pub reason: Personal<Reason>,
    }
}

/// The key by which a record without an invoice is found: by its consultation, or else by patient and day.
fn pending_key(patient_id: PatientId, consultation_id: Option<ConsultationId>, day: NaiveDate) -> String {
    match consultation_id {
        Some(id) => id.to_string(),
        None => scopes::key(&[&patient_id.to_string(), &day.to_string()]),
    }
}

impl Claims for BillingRecord {
    /// The ids of lines and payments are never given back. A source is charged by one line at a time, until the line is
    /// removed or the record is cancelled.
    fn claims(&self, _: Uuid, held: &mut Held) {
        for part in &self.parts {
            held.take(scopes::BILLING_PART, part.to_string());
        }
        for line in self.charged_lines() {
            held.take_if(scopes::BILLING_SOURCE, items::source_key(&line.item));
            held.share_if(scopes::CHARGED_SOURCE, items::charged_key(&line.item));
        }
        for receipt in &self.receipts {
            held.take(scopes::RECEIPT_NUMBER, receipt.to_string());
        }
        held.take_if(scopes::INVOICE_NUMBER, self.invoice_number.as_ref().map(ToString::to_string));
        if self.status() == Status::Pending {
            let key = pending_key(self.patient_id, self.consultation_id, self.opened_on);
            held.share(scopes::PENDING_BILLING, key);
        }
    }
}

/// The state of a record whose lines can still be changed.
fn pending(state: Option<&BillingRecord>) -> Result<&BillingRecord, Refused> {
    let record = existing(state)?;
    match record.status() {
        Status::Pending => Ok(record),
        status => Err(Refused::wrong_status::<BillingRecord>(status)),
    }
}

/// The state of a record that was not cancelled.
fn not_cancelled(state: Option<&BillingRecord>) -> Result<&BillingRecord, Refused> {
    let record = existing(state)?;
    if record.status() == Status::Cancelled {
        return Err(Refused::wrong_status::<BillingRecord>(Status::Cancelled));
    }
    Ok(record)
}

/// Checks the amounts of a record after an event, each of which must fit into its column.
fn check_sums(event: &Event) -> Result<(), Refused> {
    let Some(after) = event.standing() else { return Ok(()) };
    let sums = [
        after.total_amount,
        after.tax_amount,
        after.total_amount + after.tax_amount - after.discount_amount,
        after.paid_amount + after.credit_amount,
    ];
    if sums.iter().any(|it| it.abs() > MOST) { refuse(Refusal::BeyondTheMost) } else { Ok(()) }
}

/// Checks an amount of money that changes hands: more than zero.
fn check_more_than_zero(amount: Decimal) -> Result<(), Refused> {
    if amount > Decimal::ZERO {
        return Ok(());
    }
    Err(Refused::field("out-of-range", "/amount", "give an amount of more than zero"))
}

impl Command for OpenBillingRecord {
    const NAME: &'static str = "open-billing-record";
    const PERMISSION: Permission = Permission::Create(Create::Billing);
    const REVERSED_BY: Option<&'static str> = Some(CancelBillingRecord::NAME);
    type Aggregate = BillingRecord;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&BillingRecord>, found: &Found) -> Reads {
        let reads = reads_person(Reads::nothing(), self.patient_id, found);
        match self.consultation_id {
            Some(id) => reads.stream::<Consultation>(id).holders(scopes::PENDING_BILLING, id.to_string()),
            None => reads,
        }
    }

    fn decide(self, _: Option<&BillingRecord>, ctx: &Context<'_>) -> Result<Decision<BillingRecord>, Refused> {
        ctx.named::<Patient>(self.patient_id, "/patient_id")?;
        if let Some(id) = self.consultation_id {
            let consultation = ctx.named::<Consultation>(id, "/consultation_id")?;
            if !records_of(self.patient_id, ctx.found).contains(&consultation.patient_id) {
                return refuse(Refusal::OtherPatient);
            }
            if consultation.status == ConsultationStatus::Cancelled {
                return refuse(Refusal::CancelledConsultation);
            }
            let candidates = ctx.found.holders(scopes::PENDING_BILLING, id.to_string()).to_vec();
            if !candidates.is_empty() {
                return Err(Refused { candidates, ..Refusal::PendingRecord.into() });
            }
        }
        let (patient_id, consultation_id) = (self.patient_id, self.consultation_id);
        let opened = Opened { patient_id, consultation_id, opened_on: ctx.today(), currency: ctx.currency };
        Ok(Decision::event(Event::Opened(opened)))
    }
}

impl Command for IssueInvoice {
    const NAME: &'static str = "issue-invoice";
    const PERMISSION: Permission = Permission::Update(Update::Billing);
    const REVERSED_BY: Option<&'static str> = Some(CancelBillingRecord::NAME);
    type Aggregate = BillingRecord;

    fn target(&self) -> Target {
        Target::existing(self.billing_record_id)
    }

    fn follows_on(state: &BillingRecord) -> bool {
        state.status() == Status::Pending
    }

    fn decide(self, state: Option<&BillingRecord>, ctx: &Context<'_>) -> Result<Decision<BillingRecord>, Refused> {
        let record = existing(state)?;
        match record.status() {
            Status::Pending => {}
            Status::Billed | Status::PartiallyPaid | Status::Paid => return Ok(Decision::nothing()),
            status @ (Status::Cancelled | Status::WrittenOff) => {
                return Err(Refused::wrong_status::<BillingRecord>(status));
            }
        }
        if record.lines.is_empty() {
            return refuse(Refusal::NoItems);
        }
        let unpriced = record.lines.iter().filter(|it| it.priced.is_none()).map(|it| it.id);
        let candidates: Vec<Uuid> = unpriced.map(BillingItemId::into).collect();
        if !candidates.is_empty() {
            return Err(Refused { candidates, ..Refusal::UnpricedItems.into() });
        }
        let today = ctx.today();
        let due_date = self.due_date.or_else(|| today.checked_add_days(DAYS_TO_PAY)).unwrap_or(today);
        // An import tells of invoices that were due long ago.
        if due_date < today && !ctx.caller.is_system {
            return Err(Refused::field("in-the-past", "/due_date", "give a day that is not in the past"));
        }
        let invoice_number = InvoiceNumber::issue(ctx.draw());
        Ok(Decision::event(record.follow(|after| Event::InvoiceIssued { invoice_number, due_date, after })))
    }
}

impl Command for CancelBillingRecord {
    const NAME: &'static str = "cancel-billing-record";
    const PERMISSION: Permission = Permission::Update(Update::Billing);
    type Aggregate = BillingRecord;

    fn target(&self) -> Target {
        Target::existing(self.billing_record_id)
    }

    fn follows_on(state: &BillingRecord) -> bool {
        matches!(state.status(), Status::Pending | Status::Billed)
    }

    fn decide(self, state: Option<&BillingRecord>, _: &Context<'_>) -> Result<Decision<BillingRecord>, Refused> {
        let record = existing(state)?;
        match record.status() {
            Status::Cancelled => return Ok(Decision::nothing()),
            Status::Pending | Status::Billed => {}
            status => return Err(Refused::wrong_status::<BillingRecord>(status)),
        }
        if !record.money.is_zero() {
            return refuse(Refusal::HasPayments);
        }
        if record.open_claims().next().is_some() {
            return refuse(Refusal::ClaimOpen);
        }
        let reason = self.reason;
        Ok(Decision::event(record.follow(|after| Event::Cancelled { reason, after })))
    }
}

#[cfg(test)]
mod tests;
