//! What can happen to a billing record. Each event that moves money says how the record stands afterwards.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    AdjustmentKind, Charge, ClaimedLine, Direction, Item, Line, Method, PayerMoney, PaymentKind, Priced, Standing,
};
use crate::values::{Currency, InvoiceNumber, Reason, ReceiptNumber, Text};
use crate::{BillingItemId, BillingPaymentId, BillingRecordId, ConsultationId, InsurancePolicyId, PatientId, Personal};

/// What can happen to a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The record was opened.
    Opened(Opened),
    /// A line was added.
    ItemAdded(Box<ItemAdded>),
    /// A line was changed, or got its price. The event holds the whole line.
    ItemChanged(Box<ItemAdded>),
    /// A line was removed.
    ItemRemoved {
        /// The line.
        item_id: BillingItemId,
        /// What identifies the return because of which lines were removed, so that it lowers the charges once; `None`
        /// for all but the first of these lines, and if a line was removed for another reason.
        taken_back_by: Option<Uuid>,
        /// How the record stands afterwards.
        after: Standing,
    },
    /// The invoice was issued. The lines never change again.
    InvoiceIssued {
        /// The number of the invoice.
        invoice_number: InvoiceNumber,
        /// The day until which the invoice is to be paid.
        due_date: NaiveDate,
        /// How the record stands afterwards.
        after: Standing,
    },
    /// The patient, or somebody for the patient, paid.
    PaymentRecorded(PaymentRecorded),
    /// Money was given back.
    PaymentRefunded(PaymentRefunded),
    /// The hospital lowered the charges after billing.
    Adjusted {
        /// The patient of the record.
        patient_id: PatientId,
        /// Why in general.
        kind: AdjustmentKind,
        /// By how much; a negative amount takes earlier adjustments back.
        amount: Decimal,
        /// Why in particular.
        reason: Personal<Reason>,
        /// How the record stands afterwards.
        after: Standing,
    },
    /// What is owed and not paid was given up. Money that comes later lowers what was given up.
    WrittenOff {
        /// The patient of the record.
        patient_id: PatientId,
        /// What was given up.
        amount: Decimal,
        /// Why it was given up.
        reason: Personal<Reason>,
        /// How the record stands afterwards.
        after: Standing,
    },
    /// Credit went to another record of the same person, or came from one.
    CreditMoved(CreditMoved),
    /// A claim asks a payer for charges. Replaces what the record knew of the claim.
    ClaimOpened {
        /// The claim.
        claim_id: Uuid,
        /// The policy under which the claim is made.
        insurance_policy_id: InsurancePolicyId,
        /// What the payer is asked for.
        lines: Vec<ClaimedLine>,
        /// How the record stands afterwards.
        after: Standing,
    },
    /// A payer decided on a claim.
    ClaimAdjudicated(Box<PayerMoney>),
    /// A payer took a decision on a claim back.
    ClaimReversed(Box<PayerMoney>),
    /// A claim asks for nothing any more, and nothing of it counts: it was rejected, cancelled or replaced.
    ClaimClosed {
        /// The claim.
        claim_id: Uuid,
        /// How the record stands afterwards.
        after: Standing,
    },
    /// The record was cancelled, with all its lines.
    Cancelled {
        /// Why the record was cancelled.
        reason: Personal<Reason>,
        /// How the record stands afterwards.
        after: Standing,
    },
}

/// A record as it was opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// The patient.
    pub patient_id: PatientId,
    /// The consultation that is charged for.
    pub consultation_id: Option<ConsultationId>,
    /// The day on which the record was opened, where the patient was.
    pub opened_on: NaiveDate,
    /// The currency of all amounts (ISO 4217).
    pub currency: Currency,
}

/// A line that was added or changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemAdded {
    /// The line.
    pub item_id: BillingItemId,
    /// The number of the line in the record, from 1.
    pub line_number: i32,
    /// The patient of the record.
    pub patient_id: PatientId,
    /// What is charged for.
    pub item: Item,
    /// The price; `None` while there is none.
    pub priced: Option<Priced>,
    /// What is charged.
    pub charge: Charge,
    /// How the record stands afterwards.
    pub after: Standing,
}

impl ItemAdded {
    /// The line.
    pub(super) fn line(&self) -> Line {
        let (item, priced) = (self.item.clone(), self.priced.clone());
        Line { id: self.item_id, number: self.line_number, item, priced, charge: self.charge }
    }
}

/// A payment of the patient, or of somebody for the patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaymentRecorded {
    /// The payment.
    pub payment_id: BillingPaymentId,
    /// The patient of the record.
    pub patient_id: PatientId,
    /// The kind of the payment.
    pub kind: PaymentKind,
    /// How the money came.
    pub method: Method,
    /// The amount.
    pub amount: Decimal,
    /// The number of a check or a transfer.
    pub reference: Option<Personal<Text<50>>>,
    /// The number of the receipt.
    pub receipt_number: ReceiptNumber,
    /// When the money came.
    pub received_at: DateTime<Utc>,
    /// How the record stands afterwards.
    pub after: Standing,
}

/// Money that was given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaymentRefunded {
    /// The refund.
    pub refund_id: BillingPaymentId,
    /// The patient of the record.
    pub patient_id: PatientId,
    /// The payment that was given back; `None` if credit was given back.
    pub payment_id: Option<BillingPaymentId>,
    /// How the money went.
    pub method: Method,
    /// The amount.
    pub amount: Decimal,
    /// Why the money was given back.
    pub reason: Personal<Reason>,
    /// The number of the receipt.
    pub receipt_number: ReceiptNumber,
    /// When the money went.
    pub refunded_at: DateTime<Utc>,
    /// How the record stands afterwards.
    pub after: Standing,
}

/// Credit that went to another record, or came from one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreditMoved {
    /// The movement, as one of the payments of this record.
    pub payment_id: BillingPaymentId,
    /// The patient of this record.
    pub patient_id: PatientId,
    /// Whether the credit came or went.
    pub direction: Direction,
    /// The other record.
    pub other_record_id: BillingRecordId,
    /// The earlier movement into this record that credit which goes takes back.
    pub reverses_id: Option<BillingPaymentId>,
    /// The amount.
    pub amount: Decimal,
    /// When the credit moved.
    pub moved_at: DateTime<Utc>,
    /// How this record stands afterwards.
    pub after: Standing,
}

impl Event {
    /// How the record stands after the event, unless the event opens the record.
    pub fn standing(&self) -> Option<Standing> {
        match self {
            Self::Opened(_) => None,
            Self::ItemAdded(it) | Self::ItemChanged(it) => Some(it.after),
            Self::PaymentRecorded(it) => Some(it.after),
            Self::PaymentRefunded(it) => Some(it.after),
            Self::CreditMoved(it) => Some(it.after),
            Self::ClaimAdjudicated(it) | Self::ClaimReversed(it) => Some(it.after),
            Self::ItemRemoved { after, .. }
            | Self::InvoiceIssued { after, .. }
            | Self::Adjusted { after, .. }
            | Self::WrittenOff { after, .. }
            | Self::ClaimOpened { after, .. }
            | Self::ClaimClosed { after, .. }
            | Self::Cancelled { after, .. } => Some(*after),
        }
    }

    /// The place of the standing in the event, unless the event opens the record.
    pub(super) fn standing_mut(&mut self) -> Option<&mut Standing> {
        match self {
            Self::Opened(_) => None,
            Self::ItemAdded(it) | Self::ItemChanged(it) => Some(&mut it.after),
            Self::PaymentRecorded(it) => Some(&mut it.after),
            Self::PaymentRefunded(it) => Some(&mut it.after),
            Self::CreditMoved(it) => Some(&mut it.after),
            Self::ClaimAdjudicated(it) | Self::ClaimReversed(it) => Some(&mut it.after),
            Self::ItemRemoved { after, .. }
            | Self::InvoiceIssued { after, .. }
            | Self::Adjusted { after, .. }
            | Self::WrittenOff { after, .. }
            | Self::ClaimOpened { after, .. }
            | Self::ClaimClosed { after, .. }
            | Self::Cancelled { after, .. } => Some(after),
        }
    }
}
