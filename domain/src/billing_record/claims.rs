//! What a record knows of the claims that ask payers for its charges.

use std::collections::BTreeSet;

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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    /// The lines that the claim asks the payer for.
    pub lines: Vec<ClaimedLine>,
    /// The open lines on which the payer had decided, and took the decision back.
    pub taken_back: BTreeSet<BillingItemId>,
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

    /// What the payer is asked for again, after a decision was taken back.
    pub fn due_again(&self) -> Decimal {
        self.lines.iter().filter(|it| it.is_open && self.taken_back.contains(&it.item_id)).map(|it| it.due).sum()
    }

    /// The claim as it asks for these lines.
    pub(super) fn opened(mut self, lines: &[ClaimedLine]) -> Self {
        lines.clone_into(&mut self.lines);
        self.forget_decided();
        self
    }

    /// Replaces lines by the same lines as they are afterwards.
    fn replace(&mut self, lines: &[ClaimedLine]) {
        for new in lines {
            match self.lines.iter_mut().find(|it| it.item_id == new.item_id) {
                Some(line) => line.clone_from(new),
                None => self.lines.push(new.clone()),
            }
        }
        self.forget_decided();
    }

    /// Replaces lines as [`replace`](Self::replace) does, of which those that are open now and were not before were
    /// decided on by the decision that the payer took back.
    fn reopen(&mut self, lines: &[ClaimedLine]) {
        let was_open = |id| self.lines.iter().any(|it| it.item_id == id && it.is_open);
        let reopened: Vec<_> = lines.iter().map(|it| it.item_id).filter(|id| !was_open(*id)).collect();
        self.taken_back.extend(reopened);
        self.replace(lines);
    }

    /// Forgets that decisions on lines were taken back, except on lines that the payer has yet to decide on.
    fn forget_decided(&mut self) {
        let Self { lines, taken_back } = self;
        taken_back.retain(|id| lines.iter().any(|it| it.item_id == *id && it.is_open));
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

    /// As [`put_claimed`](Self::put_claimed), for a decision that the payer took back.
    pub(super) fn reopen_claimed(&mut self, moved: &PayerMoney) {
        if let Some(claim) = self.claims.get_mut(&moved.claim_id) {
            claim.reopen(&moved.lines);
        }
    }

    /// What payers are asked for again, after they took decisions back. The patient's money is not applied to it.
    pub fn due_again(&self) -> Decimal {
        self.claims.values().map(Claimed::due_again).sum()
    }

    /// The claims on which a payer still has to decide.
    pub fn open_claims(&self) -> impl Iterator<Item = (Uuid, &Claimed)> {
        self.claims.iter().filter(|(_, claim)| claim.is_open()).map(|(id, claim)| (*id, claim))
    }
}
