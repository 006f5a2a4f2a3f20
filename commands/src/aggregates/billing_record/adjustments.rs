//! What is lowered or given up after billing.

use hims_domain::billing_record::{AdjustmentKind, BillingRecord, Event, Status};
use hims_domain::permission::Update;
use hims_domain::values::{Money, Reason, to_cents};
use hims_domain::{BillingRecordId, Described as _, Personal, described};
use rust_decimal::Decimal;

use super::Refusal;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Permission, Refused, Target, refuse};

described! {
    /// Lowers the charges of a record after billing. What was paid beyond what is owed then becomes credit. A negative
    /// correction takes earlier adjustments back. Giving the command twice lowers the charges twice.
    pub struct AdjustBillingRecord {
        /// Which record.
        pub billing_record_id: BillingRecordId,
        /// By how much, with at most two decimals; only a correction may be negative.
        pub amount: Decimal,
        /// Why in general.
        pub kind: AdjustmentKind,
        /// Why in particular.
        pub reason: Personal<Reason>,
    }

    /// Gives up what is owed and not paid. Money that comes later lowers what was given up.
    pub struct WriteOffBalance {
        /// Which record.
        pub billing_record_id: BillingRecordId,
        /// Why the balance is given up.
        pub reason: Personal<Reason>,
    }
}

impl Command for AdjustBillingRecord {
    const NAME: &'static str = "adjust-billing-record";
    const PERMISSION: Permission = Permission::Update(Update::BillingAdjustments);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = BillingRecord;

    fn target(&self) -> Target {
        Target::existing(self.billing_record_id)
    }

    fn follows_on(state: &BillingRecord) -> bool {
        state.is_billed()
    }

    fn decide(self, state: Option<&BillingRecord>, _: &Context<'_>) -> Result<Decision<BillingRecord>, Refused> {
        let record = existing(state)?;
        if !record.is_billed() {
            return Err(Refused::wrong_status::<BillingRecord>(record.status()));
        }
        let (amount, kind, reason) = (self.amount, self.kind, self.reason);
        let is_amount = Money::from(amount.abs()).is_valid() && !amount.is_zero();
        if !is_amount || (amount < Decimal::ZERO && kind != AdjustmentKind::Correction) {
            let message = "give more than zero and at most 99999999.99, with at most two decimals; only a correction \
                           may be negative";
            return Err(Refused::field("out-of-range", "/amount", message));
        }
        let most = record.charges().amount() - record.standing.adjustment_amount;
        if amount > most {
            return refuse(Refusal::BelowZero { most });
        }
        if record.adjusted + amount < Decimal::ZERO {
            return refuse(Refusal::NothingToTakeBack { most: to_cents(record.adjusted) });
        }
        let patient_id = record.patient_id;
        Ok(Decision::event(record.follow(|after| Event::Adjusted { patient_id, kind, amount, reason, after })))
    }
}

impl Command for WriteOffBalance {
    const NAME: &'static str = "write-off-balance";
    const PERMISSION: Permission = Permission::Update(Update::BillingAdjustments);
    type Aggregate = BillingRecord;

    fn target(&self) -> Target {
        Target::existing(self.billing_record_id)
    }

    fn follows_on(state: &BillingRecord) -> bool {
        matches!(state.status(), Status::Billed | Status::PartiallyPaid)
    }

    fn decide(self, state: Option<&BillingRecord>, _: &Context<'_>) -> Result<Decision<BillingRecord>, Refused> {
        let record = existing(state)?;
        match record.status() {
            Status::WrittenOff => return Ok(Decision::nothing()),
            Status::Billed | Status::PartiallyPaid => {}
            status => return Err(Refused::wrong_status::<BillingRecord>(status)),
        }
        if record.open_claims().next().is_some() {
            return refuse(Refusal::ClaimOpen);
        }
        let (patient_id, amount, reason) = (record.patient_id, record.standing.balance(), self.reason);
        Ok(Decision::event(record.follow(|after| Event::WrittenOff { patient_id, amount, reason, after })))
    }
}
