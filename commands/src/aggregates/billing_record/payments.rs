//! Payments of patients, and of others for patients.

use chrono::{DateTime, Utc};
use hims_domain::billing_record::{BillingRecord, Event, Method, PaymentKind, PaymentRecorded, Status};
use hims_domain::permission::Create;
use hims_domain::values::{Money, ReceiptNumber, Text, holds_card_number};
use hims_domain::{BillingPaymentId, BillingRecordId, Personal, described, terms};

use super::{RefundPayment, Refusal, check_more_than_zero, check_sums, not_cancelled};
use crate::{Command, Context, Decision, Permission, Refused, Target, refuse};

terms! {
    /// What becomes of money beyond what is owed.
    pub enum Excess {
        /// The payment is refused.
        Refuse = "refuse",
        /// The money beyond what is owed is kept as credit of the record.
        Credit = "credit",
    }
}

described! {
    /// Records a payment. Nobody pays more than is owed by mistake: the whole payment is refused then, unless what is
    /// beyond it is to be kept as credit. Giving the command twice records two payments.
    pub struct RecordPayment {
        /// Which record.
        pub billing_record_id: BillingRecordId,
        /// The id of the new payment; issued by the server if left out.
        pub payment_id: Option<BillingPaymentId>,
        /// The amount; more than zero.
        pub amount: Money,
        /// The kind of the payment. A deposit is taken ahead of the charges: it is kept as credit until there are some.
        pub kind: PaymentKind,
        /// How the money came.
        pub method: Method,
        /// The number of a check or a transfer; never that of a card.
        pub reference: Option<Personal<Text<50>>>,
        /// When the money came; now if left out.
        pub received_at: Option<DateTime<Utc>>,
        /// What becomes of money beyond what is owed; `refuse` if left out, but `credit` for a deposit.
        pub excess: Option<Excess>,
    }
}

impl Command for RecordPayment {
    const NAME: &'static str = "record-payment";
    const PERMISSION: Permission = Permission::Create(Create::Payments);
    const REVERSED_BY: Option<&'static str> = Some(RefundPayment::NAME);
    type Aggregate = BillingRecord;

    fn target(&self) -> Target {
        Target::existing(self.billing_record_id)
    }

    fn follows_on(state: &BillingRecord) -> bool {
        state.status() != Status::Cancelled
    }

    fn decide(self, state: Option<&BillingRecord>, ctx: &Context<'_>) -> Result<Decision<BillingRecord>, Refused> {
        let record = not_cancelled(state)?;
        let amount = self.amount.number();
        check_more_than_zero(amount)?;
        if self.reference.as_ref().and_then(Personal::known).is_some_and(|it| holds_card_number(it.as_str())) {
            let message = "this is the number of a card, which must not be stored; give its last four digits at most";
            return Err(Refused::field("card-number", "/reference", message));
        }
        let received_at = self.received_at.unwrap_or(ctx.now);
        if received_at > ctx.now {
            return Err(Refused::field("in-the-future", "/received_at", "give a time that is not in the future"));
        }
        let payment_id = ctx.part_id(self.payment_id, |id| record.parts.contains(&id.into()))?;
        let room = record.room();
        let otherwise = if self.kind == PaymentKind::Deposit { Excess::Credit } else { Excess::Refuse };
        if amount > room && self.excess.unwrap_or(otherwise) == Excess::Refuse {
            return refuse(Refusal::Overpayment { room });
        }
        let event = record.follow(|after| {
            Event::PaymentRecorded(PaymentRecorded {
                payment_id,
                patient_id: record.patient_id,
                kind: self.kind,
                method: self.method,
                amount,
                reference: self.reference,
                receipt_number: ReceiptNumber::issue(ctx.draw()),
                received_at,
                after,
            })
        });
        check_sums(&event)?;
        Ok(Decision::event(event))
    }
}
