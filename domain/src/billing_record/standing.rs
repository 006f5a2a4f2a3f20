//! How a record stands: its status and its sums, all of which follow from lines, adjustments, money and claims.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{BillingRecord, Charge, Status};
use crate::values::to_cents;

/// The status and the sums of a record. What is owed is `total + tax - discount - adjustment - written off`, and the
/// balance is what is owed and not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The status of the record.
    pub status: Status,
    /// The sum of the prices of the lines.
    pub total_amount: Decimal,
    /// The sum of the taxes of the lines.
    pub tax_amount: Decimal,
    /// The sum of the discounts of the lines.
    pub discount_amount: Decimal,
    /// By how much the charges were lowered after billing, by the hospital or by payers. Negative if payers pay more
    /// than was charged, such as interest.
    pub adjustment_amount: Decimal,
    /// What is owed and was given up.
    pub written_off_amount: Decimal,
    /// The money that is applied to what is owed.
    pub paid_amount: Decimal,
    /// The money that is beyond what is owed, or beyond what the patient owes while a payer is asked again.
    pub credit_amount: Decimal,
    /// The part of the balance that open claims ask payers for.
    pub insurance_due: Decimal,
}

impl Default for Standing {
    /// How a record stands that has just been opened.
    fn default() -> Self {
        const NOTHING: Decimal = Decimal::from_parts(0, 0, 0, false, 2);
        Self {
            status: Status::Pending,
            total_amount: NOTHING,
            tax_amount: NOTHING,
            discount_amount: NOTHING,
            adjustment_amount: NOTHING,
            written_off_amount: NOTHING,
            paid_amount: NOTHING,
            credit_amount: NOTHING,
            insurance_due: NOTHING,
        }
    }
}

impl Standing {
    /// What is owed and not paid.
    pub fn balance(&self) -> Decimal {
        self.total_amount + self.tax_amount
            - self.discount_amount
            - self.adjustment_amount
            - self.written_off_amount
            - self.paid_amount
    }

    /// The part of the balance that no open claim asks a payer for.
    pub fn patient_due(&self) -> Decimal {
        self.balance() - self.insurance_due
    }
}

impl BillingRecord {
    /// The charges of all lines.
    pub fn charges(&self) -> Charge {
        self.charged_lines().map(|it| it.charge).sum()
    }

    /// How much money can be applied to what is owed: the balance but for what payers are asked for again after they
    /// took a decision back, and what was written off.
    pub fn room(&self) -> Decimal {
        let balance = self.standing.balance() - to_cents(self.due_again());
        balance.max(Decimal::ZERO) + self.standing.written_off_amount
    }

    /// The patient's money that is not applied to what is owed, since a payer is asked for it again: what was left to
    /// the patient by a decision that the payer took back is not the patient's any more.
    fn set_aside(&self, owed: Decimal) -> Decimal {
        let due_again = self.due_again();
        if due_again.is_zero() || self.phase == Status::WrittenOff {
            return Decimal::ZERO;
        }
        let of_payers = self.money - self.from_patient;
        let of_patient = (owed - due_again - of_payers).max(Decimal::ZERO);
        (self.from_patient - of_patient).max(Decimal::ZERO)
    }

    /// How the record stands, computed from its lines, adjustments, money and claims.
    pub(super) fn settled(&self) -> Standing {
        let charges = self.charges();
        let claimed: Decimal = self.claims.values().flat_map(|claim| &claim.lines).map(|it| it.adjusted).sum();
        let adjusted = (self.adjusted + claimed).min(charges.amount());
        let owed = charges.amount() - adjusted;
        let paid = (self.money - self.set_aside(owed)).min(owed);
        let is_written_off = self.phase == Status::WrittenOff;
        let written_off = if is_written_off { owed - paid } else { Decimal::ZERO };
        let balance = owed - written_off - paid;
        let asked: Decimal = self.open_claims().map(|(_, claim)| claim.due()).sum();
        let status = match self.phase {
            Status::Billed if balance.is_zero() => Status::Paid,
            Status::Billed if paid > Decimal::ZERO => Status::PartiallyPaid,
            phase => phase,
        };
        Standing {
            status,
            total_amount: to_cents(charges.gross),
            tax_amount: to_cents(charges.tax),
            discount_amount: to_cents(charges.discount),
            adjustment_amount: to_cents(adjusted),
            written_off_amount: to_cents(written_off),
            paid_amount: to_cents(paid),
            credit_amount: to_cents(self.money - paid),
            insurance_due: to_cents(asked.min(balance)),
        }
    }
}
