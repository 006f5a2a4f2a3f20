//! What payers pay and do not pay (X12 835), and what they take back.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use hims_domain::billing_record::{self, BillingRecord, PayerMoney};
use hims_domain::insurance_claim::adjustment::{is_reason, is_remark, patients};
use hims_domain::insurance_claim::{
    Adjustment, ClaimStatusCode, Event, Frequency, InsuranceClaim, LinePayment, Payment, PaymentMethod, PaymentSoFar,
    Reversal,
};
use hims_domain::permission::Update;
use hims_domain::values::{Money, Reason, Text};
use hims_domain::{ClaimPaymentId, InsuranceClaimId, Invalid, Personal, described};
use rust_decimal::Decimal;

use super::{Refusal, already_posted, record, wrong_status};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Kind, Permission, Reads, Refused, Target, refuse};

described! {
    /// Records what a payer has decided on a claim, also when nothing is paid. The lines that the payer names are
    /// adjudicated from then on; the billing record follows in the same moment.
    pub struct RecordClaimPayment {
        /// Which claim.
        pub insurance_claim_id: InsuranceClaimId,
        /// The id of the adjudication; issued by the server if left out.
        pub payment_id: Option<ClaimPaymentId>,
        /// The number of the payer's transfer, cheque or advice (X12 TRN02). A number is posted once for a claim.
        pub trace_number: Text<50>,
        /// How the payer pays (X12 BPR04).
        pub payment_method: PaymentMethod,
        /// The day of the payment.
        pub payment_date: NaiveDate,
        /// What the payer says of the claim as a whole (X12 CLP02).
        pub claim_status_code: ClaimStatusCode,
        /// The number of the claim with the payer, if it is not known yet.
        pub payer_claim_number: Option<Text<50>>,
        /// What the payer says of each line, one or more.
        pub lines: Vec<LinePayment>,
    }

    /// Records that a payer takes an adjudication back (X12 CLP02 22). Its lines are open again, and what was paid and
    /// adjusted for them is taken back from the billing record in the same moment.
    pub struct ReverseClaimPayment {
        /// Which claim.
        pub insurance_claim_id: InsuranceClaimId,
        /// The adjudication that is taken back.
        pub payment_id: ClaimPaymentId,
        /// The id of the reversal; issued by the server if left out.
        pub reversal_id: Option<ClaimPaymentId>,
        /// The number of the payer's advice (X12 TRN02). A number is posted once for a claim.
        pub trace_number: Text<50>,
        /// The day of the reversal.
        pub date: NaiveDate,
        /// Why the payer takes the adjudication back.
        pub reason: Personal<Reason>,
    }
}

/// The same adjustment with its codes in upper case.
fn normalised(adjustment: Adjustment) -> Adjustment {
    let reason = adjustment.reason.map(|it| Text(it.0.to_ascii_uppercase()));
    let remarks = adjustment.remarks.into_iter().map(|it| Text(it.0.to_ascii_uppercase())).collect();
    Adjustment { reason, remarks, ..adjustment }
}

/// What stands against the codes of an adjustment. Only an import may lack the reason.
fn check_codes(adjustment: &Adjustment, pointer: &str, ctx: &Context<'_>) -> Result<(), Refused> {
    match &adjustment.reason {
        None if ctx.caller.is_system => {}
        None => {
            let message = "give the reason as a claim adjustment reason code (CARC), such as 45";
            return Err(Refused::field("invalid-fields", &format!("{pointer}/reason"), message));
        }
        Some(reason) if !is_reason(reason.as_str()) => {
            let message = "give a claim adjustment reason code (CARC), such as 45 or B7";
            return Err(Refused::field("malformed-code", &format!("{pointer}/reason"), message));
        }
        Some(_) => {}
    }
    match adjustment.remarks.iter().position(|it| !is_remark(it.as_str())) {
        Some(nth) => {
            let message = "give a remittance advice remark code (RARC), such as N130 or MA130";
            Err(Refused::field("malformed-code", &format!("{pointer}/remarks/{nth}"), message))
        }
        None => Ok(()),
    }
}

/// Checks what a payer says of the lines of a claim: each line once, open, with well-formed codes and in balance.
/// Checks the day on which a payer paid, or took money back: no payer does so before the service or after today. A day
/// more is for payers in time zones ahead. Imports are taken as they are.
fn check_day(day: NaiveDate, field: &str, claim: &InsuranceClaim, ctx: &Context<'_>) -> Result<(), Refused> {
    let tomorrow = ctx.today().succ_opt().unwrap_or(NaiveDate::MAX);
    if ctx.caller.is_system || (claim.service_date..=tomorrow).contains(&day) {
        return Ok(());
    }
    Err(Refused::field("out-of-range", field, "give a day from the service on, and not in the future"))
}

fn check_lines(claim: &InsuranceClaim, lines: &[LinePayment], ctx: &Context<'_>) -> Result<(), Refused> {
    if lines.is_empty() {
        return Err(Refused::field("invalid-fields", "/lines", "give what the payer says of one line or more"));
    }
    let (mut known, mut unbalanced) = (BTreeSet::new(), Vec::new());
    for (nth, said) in lines.iter().enumerate() {
        let pointer = format!("/lines/{nth}");
        let Some(line) = claim.lines.iter().find(|it| it.line.line == said.line) else {
            let message = format!("the claim has the lines 1 to {}", claim.lines.len());
            return Err(Refused::field("no-such-line", &format!("{pointer}/line"), message));
        };
        if !known.insert(said.line) {
            return Err(Refused::field("invalid-fields", &format!("{pointer}/line"), "give each line once"));
        }
        if line.adjudicated.is_some() {
            let detail = format!("line {} is adjudicated already; reverse that payment first", said.line);
            let errors = vec![Invalid::new(format!("{pointer}/line"), detail.clone())];
            return Err(Refused { errors, ..Refused::new(Kind::Conflict, "already-adjudicated", detail) });
        }
        for (place, adjustment) in said.adjustments.iter().enumerate() {
            check_codes(adjustment, &format!("{pointer}/adjustments/{place}"), ctx)?;
        }
        let difference = line.line.charge.number() - said.total();
        if !difference.is_zero() {
            let (size, way) =
                (Money::from(difference.abs()), if difference > Decimal::ZERO { "missing" } else { "too much" });
            let message = format!("the charge is {}, but {size} is {way}", line.line.charge);
            unbalanced.push(Invalid::coded("out-of-balance", pointer, message));
        }
    }
    let told: Vec<_> = unbalanced.iter().map(|it| it.message.as_str()).collect();
    let detail = format!("the charge of each line must be paid and adjusted together: {}", told.join("; "));
    Refused::unless_none(unbalanced, detail)
}

/// Checks the refusal of a whole claim: nothing is paid, and every open line is named.
fn check_denial(claim: &InsuranceClaim, lines: &[LinePayment]) -> Result<(), Refused> {
    if let Some(nth) = lines.iter().position(|it| !it.paid.number().is_zero()) {
        let message = "the claim is denied (4), so nothing is paid; give 0, or another claim_status_code";
        return Err(Refused::field("invalid-fields", &format!("/lines/{nth}/paid"), message));
    }
    let is_named = |line: i32| lines.iter().any(|it| it.line == line);
    match claim.lines.iter().find(|it| it.is_open() && !is_named(it.line.line)) {
        Some(line) => {
            let message = format!("the claim is denied as a whole (4); give line {} too", line.line.line);
            Err(Refused::field("invalid-fields", "/lines", message))
        }
        None => Ok(()),
    }
}

/// The sums of what is paid and of what the patient bears.
fn sums(lines: &[LinePayment]) -> (Money, Money) {
    let paid: Decimal = lines.iter().map(|it| it.paid.number()).sum();
    let patient: Decimal = lines.iter().map(|it| patients(&it.adjustments)).sum();
    (Money::from(paid), Money::from(patient))
}

impl Command for RecordClaimPayment {
    const NAME: &'static str = "record-claim-payment";
    const PERMISSION: Permission = Permission::Update(Update::Claims);
    const REVERSED_BY: Option<&'static str> = Some(ReverseClaimPayment::NAME);
    type Aggregate = InsuranceClaim;

    fn target(&self) -> Target {
        Target::existing(self.insurance_claim_id)
    }

    fn follows_on(state: &InsuranceClaim) -> bool {
        state.status.is_awaited() && state.frequency != Frequency::Void
    }

    fn reads(&self, state: Option<&InsuranceClaim>, _: &Found) -> Reads {
        record::reads(state)
    }

    fn decide(self, state: Option<&InsuranceClaim>, ctx: &Context<'_>) -> Result<Decision<InsuranceClaim>, Refused> {
        let claim = existing(state)?;
        let said = |said: LinePayment| LinePayment {
            adjustments: said.adjustments.into_iter().map(normalised).collect(),
            ..said
        };
        let lines: Vec<_> = self.lines.into_iter().map(said).collect();
        if claim.payments.iter().any(|it| it.trace_number == self.trace_number) {
            return Err(already_posted(self.trace_number.as_str()));
        }
        if claim.frequency == Frequency::Void {
            return refuse(Refusal::VoidsAnother);
        }
        if !claim.status.is_awaited() {
            return Err(wrong_status(claim));
        }
        check_lines(claim, &lines, ctx)?;
        if self.claim_status_code == ClaimStatusCode::Denied {
            check_denial(claim, &lines)?;
        }
        check_day(self.payment_date, "/payment_date", claim, ctx)?;
        let billed = record::record_of(claim, ctx)?;
        let payment_id = self.payment_id.unwrap_or_else(|| ctx.new_id(0).into());
        let after = claim.adjudicated(payment_id, self.claim_status_code, &lines);
        let (paid_amount, patient_responsibility) = sums(&lines);
        let told = billed.follow(|standing| {
            billing_record::Event::ClaimAdjudicated(Box::new(PayerMoney {
                patient_id: claim.patient_id,
                claim_id: ctx.id,
                claim_payment_id: payment_id.into(),
                reverses_id: None,
                paid: paid_amount.number(),
                payment_date: self.payment_date,
                reference: Some(self.trace_number.clone()),
                lines: record::claimed(&after),
                after: standing,
            }))
        });
        let event = Event::PaymentRecorded(Box::new(Payment {
            payment_id,
            patient_id: claim.patient_id,
            trace_number: self.trace_number,
            payment_method: self.payment_method,
            payment_date: self.payment_date,
            claim_status_code: self.claim_status_code,
            payer_claim_number: self.payer_claim_number.or(claim.payer_claim_number.clone()),
            paid_amount,
            patient_responsibility,
            status: after.status,
            figures: after.figures(),
            lines,
        }));
        Ok(Decision::event(event).also::<BillingRecord>(claim.billing_record_id, told))
    }
}

impl ReverseClaimPayment {
    /// The adjudication that is taken back, if it stands.
    fn payment<'a>(&self, claim: &'a InsuranceClaim) -> Result<&'a PaymentSoFar, Refused> {
        let standing = claim.payments.iter().find(|it| it.id == self.payment_id && it.reversed.is_none());
        standing.ok_or_else(|| Refusal::NothingToReverse.into())
    }
}

impl Command for ReverseClaimPayment {
    const NAME: &'static str = "reverse-claim-payment";
    const PERMISSION: Permission = Permission::Update(Update::Claims);
    const REVERSED_BY: Option<&'static str> = Some(RecordClaimPayment::NAME);
    type Aggregate = InsuranceClaim;

    fn target(&self) -> Target {
        Target::existing(self.insurance_claim_id)
    }

    fn reads(&self, state: Option<&InsuranceClaim>, _: &Found) -> Reads {
        record::reads(state)
    }

    fn decide(self, state: Option<&InsuranceClaim>, ctx: &Context<'_>) -> Result<Decision<InsuranceClaim>, Refused> {
        let claim = existing(state)?;
        let is_posted = |it: &PaymentSoFar| it.reversed.as_ref().is_some_and(|(_, trace)| *trace == self.trace_number);
        if claim.payments.iter().any(is_posted) {
            return Err(already_posted(self.trace_number.as_str()));
        }
        let payment = self.payment(claim)?;
        check_day(self.date, "/date", claim, ctx)?;
        let billed = record::record_of(claim, ctx)?;
        let reversal_id = self.reversal_id.unwrap_or_else(|| ctx.new_id(0).into());
        let after = claim.reversed(payment.id);
        let told = billed.follow(|standing| {
            billing_record::Event::ClaimReversed(Box::new(PayerMoney {
                patient_id: claim.patient_id,
                claim_id: ctx.id,
                claim_payment_id: reversal_id.into(),
                reverses_id: Some(payment.id.into()),
                paid: payment.paid.number(),
                payment_date: self.date,
                reference: Some(self.trace_number.clone()),
                lines: record::claimed(&after),
                after: standing,
            }))
        });
        let (_, patient_responsibility) = sums(&payment.lines);
        let event = Event::PaymentReversed(Box::new(Reversal {
            payment_id: reversal_id,
            reverses_id: payment.id,
            patient_id: claim.patient_id,
            trace_number: self.trace_number,
            payment_date: self.date,
            payment_method: payment.payment_method,
            lines: payment.lines.clone(),
            paid_amount: payment.paid,
            patient_responsibility,
            reason: self.reason,
            status: after.status,
            figures: after.figures(),
        }));
        Ok(Decision::event(event).also::<BillingRecord>(claim.billing_record_id, told))
    }
}
