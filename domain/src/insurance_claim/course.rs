//! How a claim goes from one adjudication to the next: which lines are open, and which status follows.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::{Adjudicated, ClaimStatusCode, Figures, Frequency, InsuranceClaim, Line, LinePayment, LineSoFar, Status};
use crate::ClaimPaymentId;
use crate::values::Money;

impl InsuranceClaim {
    /// Whether something is still asked of the payer, or will be. A claim that only voids another one asks for nothing
    /// once the payer has accepted it.
    pub fn is_open(&self) -> bool {
        let is_done = self.frequency == Frequency::Void && matches!(self.status, Status::Accepted | Status::Pending);
        self.status.is_open() && !is_done
    }

    /// Whether some lines wait for the payer.
    pub fn has_open_lines(&self) -> bool {
        self.lines.iter().any(LineSoFar::is_open)
    }

    /// What the patient bears of the adjudicated lines.
    pub fn patient_responsibility(&self) -> Decimal {
        self.lines.iter().filter_map(|it| it.adjudicated.as_ref()).map(Adjudicated::patients).sum()
    }

    /// The sums over the lines that are adjudicated.
    pub fn figures(&self) -> Figures {
        let adjudicated = || self.lines.iter().filter_map(|it| Some((&it.line, it.adjudicated.as_ref()?)));
        let denied = self.lines.iter().filter_map(|it| it.adjudicated.as_ref().or(it.appealed.as_ref()));
        let codes: BTreeSet<_> = denied.flat_map(Adjudicated::denial_codes).collect();
        let sum = |of: fn((&Line, &Adjudicated)) -> Decimal| {
            adjudicated().next().map(|_| Money::from(adjudicated().map(of).sum::<Decimal>()))
        };
        Figures {
            allowed: sum(|(line, it)| line.charge.number() - it.lowering()),
            paid: sum(|(_, it)| it.paid.number()),
            patient_responsibility: sum(|(_, it)| it.patients()),
            denial_codes: codes.into_iter().collect(),
        }
    }

    /// The claim after an adjudication of some lines, with the status that follows: in full is paid or denied, in part
    /// is partially paid.
    #[must_use]
    pub fn adjudicated(&self, payment_id: ClaimPaymentId, code: ClaimStatusCode, lines: &[LinePayment]) -> Self {
        let mut after = self.clone();
        after.adjudicate(payment_id, code, lines);
        after.status = match code {
            _ if after.has_open_lines() => Status::PartiallyPaid,
            ClaimStatusCode::Denied => Status::Denied,
            _ => Status::Paid,
        };
        after
    }

    /// The claim after a payer took an adjudication back, with the status that follows. A claim that was cancelled
    /// stays cancelled.
    #[must_use]
    pub fn reversed(&self, payment_id: ClaimPaymentId) -> Self {
        let mut after = self.clone();
        after.reopen(payment_id);
        after.status = match self.status {
            Status::Cancelled => Status::Cancelled,
            _ if after.lines.iter().any(|it| it.adjudicated.is_some()) => Status::PartiallyPaid,
            _ => Status::Accepted,
        };
        after
    }

    /// The claim after an appeal, which opens the lines that the payer refused.
    #[must_use]
    pub fn appealed(&self) -> Self {
        let mut after = self.clone();
        after.appeal();
        Self { status: Status::Appealed, ..after }
    }

    /// The claim after the payer stood by its adjudication in spite of an appeal.
    #[must_use]
    pub fn upheld(&self) -> Self {
        let mut after = self.clone();
        after.uphold();
        Self { status: Status::Denied, ..after }
    }

    pub(super) fn adjudicate(&mut self, payment_id: ClaimPaymentId, code: ClaimStatusCode, lines: &[LinePayment]) {
        let is_of_denied_claim = code == ClaimStatusCode::Denied;
        for said in lines {
            for line in self.lines.iter_mut().filter(|it| it.line.line == said.line) {
                let (paid, adjustments) = (said.paid, said.adjustments.clone());
                line.adjudicated = Some(Adjudicated { payment_id, paid, adjustments, is_of_denied_claim });
                line.appealed = None;
            }
        }
    }

    pub(super) fn reopen(&mut self, payment_id: ClaimPaymentId) {
        for line in &mut self.lines {
            line.adjudicated = line.adjudicated.take().filter(|it| it.payment_id != payment_id);
            line.appealed = None;
        }
    }

    fn appeal(&mut self) {
        for line in self.lines.iter_mut().filter(|it| it.adjudicated.as_ref().is_some_and(Adjudicated::is_denial)) {
            line.appealed = line.adjudicated.take();
        }
    }

    fn uphold(&mut self) {
        for line in self.lines.iter_mut().filter(|it| it.appealed.is_some()) {
            line.adjudicated = line.appealed.take();
        }
    }
}
