//! Money that leaves a record: refunds, and credit that is applied to another record of the same person.

use hims_domain::billing_record::{BillingRecord, CreditMoved, Direction, Event, Method, PaymentRefunded, Status};
use hims_domain::permission::Update;
use hims_domain::values::{Money, Reason, ReceiptNumber};
use hims_domain::{BillingPaymentId, BillingRecordId, Personal, described};
use rust_decimal::Decimal;

use super::{Refusal, check_more_than_zero, check_sums, not_cancelled};
use crate::aggregates::patient::{reads_person, records_of};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Kind, Permission, Reads, Refused, Target, refuse};

described! {
    /// Gives money back: of a payment that was made by mistake, or credit. Giving the command twice gives money back
    /// twice.
    pub struct RefundPayment {
        /// Which record.
        pub billing_record_id: BillingRecordId,
        /// The id of the new refund; issued by the server if left out.
        pub refund_id: Option<BillingPaymentId>,
        /// The payment that is given back, or a part of it. Either this or `credit` is given.
        pub payment_id: Option<BillingPaymentId>,
        /// Whether credit of the record is given back.
        #[serde(default)]
        pub credit: bool,
        /// The amount; more than zero.
        pub amount: Money,
        /// How the money goes.
        pub method: Method,
        /// Why the money is given back.
        pub reason: Personal<Reason>,
    }

    /// Applies credit of a record to what is owed in another record of the same person, or takes that back. Giving the
    /// command twice moves credit twice.
    pub struct ApplyCredit {
        /// The record that has the credit.
        pub from: BillingRecordId,
        /// The record in which something is owed.
        pub to: BillingRecordId,
        /// The amount; more than zero.
        pub amount: Money,
        /// The movement of credit into the record `from` that is taken back, or a part of it: the money goes back to
        /// `to`, also if nothing is owed there.
        pub reverses_id: Option<BillingPaymentId>,
    }
}

/// How much of money that came into a record can be given back.
fn refundable(record: &BillingRecord, id: BillingPaymentId, pointer: &str) -> Result<Decimal, Refused> {
    let message = "no money came into the record under this id";
    record.refundable(id).ok_or_else(|| Refused::field("unknown-reference", pointer, message))
}

impl Command for RefundPayment {
    const NAME: &'static str = "refund-payment";
    const PERMISSION: Permission = Permission::Update(Update::BillingAdjustments);
    const REVERSED_BY: Option<&'static str> = Some(super::RecordPayment::NAME);
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
        let refund_id = ctx.part_id(self.refund_id, |id| record.parts.contains(&id.into()))?;
        let most = match self.payment_id {
            Some(_) if self.credit => {
                return Err(Refused::field("invalid-fields", "/credit", "give either a payment or the credit back"));
            }
            Some(id) => refundable(record, id, "/payment_id")?,
            None if self.credit => record.standing.credit_amount,
            None => {
                let message = "name the payment that is given back, or say \"credit\": true";
                return Err(Refused::field("invalid-fields", "/payment_id", message));
            }
        };
        if amount > most {
            return refuse(Refusal::RefundTooLarge { most });
        }
        Ok(Decision::event(record.follow(|after| {
            Event::PaymentRefunded(PaymentRefunded {
                refund_id,
                patient_id: record.patient_id,
                payment_id: self.payment_id,
                method: self.method,
                amount,
                reason: self.reason,
                receipt_number: ReceiptNumber::issue(ctx.draw()),
                refunded_at: ctx.now,
                after,
            })
        })))
    }
}

impl Command for ApplyCredit {
    const NAME: &'static str = "apply-credit";
    const PERMISSION: Permission = Permission::Update(Update::BillingAdjustments);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = BillingRecord;

    fn target(&self) -> Target {
        Target::existing(self.from)
    }

    fn reads(&self, state: Option<&BillingRecord>, found: &Found) -> Reads {
        let reads = Reads::nothing().stream::<BillingRecord>(self.to);
        match state {
            Some(record) => reads_person(reads, record.patient_id, found),
            None => reads,
        }
    }

    fn decide(self, state: Option<&BillingRecord>, ctx: &Context<'_>) -> Result<Decision<BillingRecord>, Refused> {
        let from = existing(state)?;
        if self.from == self.to {
            return Err(Refused::field("invalid-fields", "/to", "name another record than the one with the credit"));
        }
        let to = ctx.named::<BillingRecord>(self.to, "/to")?;
        let amount = self.amount.number();
        check_more_than_zero(amount)?;
        if !records_of(from.patient_id, ctx.found).contains(&to.patient_id) {
            return refuse(Refusal::AnotherPerson);
        }
        if to.status() == Status::Cancelled {
            let detail = "the record to which the credit is to go was cancelled; name another one";
            return Err(Refused::new(Kind::Conflict, "wrong-status", detail));
        }
        match self.reverses_id {
            Some(id) => {
                let most = refundable(from, id, "/reverses_id")?;
                if amount > most {
                    return refuse(Refusal::RefundTooLarge { most });
                }
            }
            None if amount > from.standing.credit_amount => {
                return refuse(Refusal::NotEnoughCredit { credit: from.standing.credit_amount });
            }
            None if amount > to.room() => return refuse(Refusal::OverpaidByCredit { room: to.room() }),
            None => {}
        }
        let moved = |record: &BillingRecord, direction, other_record_id, nth| {
            record.follow(|after| {
                Event::CreditMoved(CreditMoved {
                    payment_id: ctx.new_id(nth).into(),
                    patient_id: record.patient_id,
                    direction,
                    other_record_id,
                    reverses_id: self.reverses_id.filter(|_| direction == Direction::Out),
                    amount,
                    moved_at: ctx.now,
                    after,
                })
            })
        };
        let arrived = moved(to, Direction::In, self.from, 2);
        check_sums(&arrived)?;
        let left = moved(from, Direction::Out, self.to, 1);
        Ok(Decision::event(left).also::<BillingRecord>(self.to, arrived))
    }
}
