//! What a record knows of the claims that ask payers for its charges.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{BillingRecord, Standing};
use crate::values::Text;
use crate::{BillingItemId, PatientId};

/// What a claim says of one line of the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimedLine {
    /// The line of the record.
    pub item_id: BillingItemId,
    /// What the payer is asked for: the charge of the line, or what the payer before left to the patient.
    pub due: Decimal,
    /// By how much the payer lowered the charge (X12 groups CO, PI, and OA but for reason 23); negative if the payer
    /// pays more than was charged.
    pub adjusted: Decimal,
    /// What the payer left to the patient (X12 group PR).
    pub patient: Decimal,
    /// Whether the payer still has to decide on the line.
    pub is_open: bool,
}

/// A claim, as far as the record knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    /// The lines that the claim asks the payer for.
    pub lines: Vec<ClaimedLine>,
}

impl Claimed {
    /// Whether the payer still has to decide on a line.
    pub fn is_open(&self) -> bool {
        self.lines.iter().any(|it| it.is_open)
    }

    /// What the payer is asked for and has not decided on.
    pub fn due(&self) -> Decimal {
        self.lines.iter().filter(|it| it.is_open).map(|it| it.due).sum()
    }

    /// Replaces lines by the same lines as they are afterwards.
    fn replace(&mut self, lines: &[ClaimedLine]) {
        for new in lines {
            match self.lines.iter_mut().find(|it| it.item_id == new.item_id) {
                Some(line) => line.clone_from(new),
                None => self.lines.push(new.clone()),
            }
        }
    }
}

/// What moved when a payer decided on a claim, or took a decision back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PayerMoney {
    /// The patient of the record.
    pub patient_id: PatientId,
    /// The claim.
    pub claim_id: Uuid,
    /// The payment of the claim, or the reversal of such a payment.
    pub claim_payment_id: Uuid,
    /// The payment of the claim that a reversal takes back.
    pub reverses_id: Option<Uuid>,
    /// The money that came, or went back; zero if none moved.
    pub paid: Decimal,
    /// The day on which the payer paid or took back.
    pub payment_date: NaiveDate,
    /// The number of the payer's transfer (X12 TRN02).
    pub reference: Option<Text<50>>,
    /// The lines that were decided on, as they are afterwards.
    pub lines: Vec<ClaimedLine>,
    /// How the record stands afterwards.
    pub after: Standing,
}

impl BillingRecord {
    /// Replaces the lines of a claim on which a payer decided; does nothing if the claim was closed.
    pub(super) fn put_claimed(&mut self, moved: &PayerMoney) {
        if let Some(claim) = self.claims.get_mut(&moved.claim_id) {
            claim.replace(&moved.lines);
        }
    }

    /// The claims on which a payer still has to decide.
    pub fn open_claims(&self) -> impl Iterator<Item = (Uuid, &Claimed)> {
        self.claims.iter().filter(|(_, claim)| claim.is_open()).map(|(id, claim)| (*id, claim))
    }
}
