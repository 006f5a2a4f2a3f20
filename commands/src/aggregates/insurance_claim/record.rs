//! What claims mean for their billing record: each step of a claim is appended to both in one transaction, so that
//! money is never on the way between the two.

use hims_domain::billing_record::{self, BillingRecord, ClaimedLine};
use hims_domain::insurance_claim::{Adjudicated, Created, Frequency, InsuranceClaim};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{Context, Decision, Reads, Refused};

/// What the record is told of the lines of a claim.
pub(super) fn claimed(claim: &InsuranceClaim) -> Vec<ClaimedLine> {
    let asks = claim.frequency != Frequency::Void && claim.is_open();
    let lines = claim.lines.iter().map(|line| {
        let of = |sum: fn(&Adjudicated) -> Decimal| line.adjudicated.as_ref().map(sum).unwrap_or_default();
        ClaimedLine {
            item_id: line.line.item_id,
            due: line.line.asked(),
            adjusted: of(Adjudicated::lowering),
            patient: of(Adjudicated::patients),
            is_open: asks && line.is_open(),
        }
    });
    lines.collect()
}

/// Looks up the billing record of a claim.
pub(super) fn reads(state: Option<&InsuranceClaim>) -> Reads {
    Reads::nothing().maybe::<BillingRecord>(state.map(|it| it.billing_record_id))
}

/// The billing record of a claim, which the command looks up with [`reads`] or by its id.
pub(super) fn record_of<'a>(claim: &InsuranceClaim, ctx: &'a Context<'_>) -> Result<&'a BillingRecord, Refused> {
    ctx.named::<BillingRecord>(claim.billing_record_id, "/insurance_claim_id")
}

/// The event that tells the record what a claim asks the payer for, and what the payer has answered so far.
fn opened(record: &BillingRecord, claim_id: Uuid, claim: &InsuranceClaim) -> billing_record::Event {
    record.follow(|after| billing_record::Event::ClaimOpened {
        claim_id,
        insurance_policy_id: claim.insurance_policy_id,
        lines: claimed(claim),
        after,
    })
}

/// The event that tells the record of a claim that was just made.
pub(super) fn begun(record: &BillingRecord, claim_id: Uuid, created: &Created) -> billing_record::Event {
    opened(record, claim_id, &InsuranceClaim::new(created))
}

/// Tells the record of the lines of a claim, unless they mean the same to the record as before.
pub(super) fn tell_if_changed(
    decision: Decision<InsuranceClaim>,
    ctx: &Context<'_>,
    before: &InsuranceClaim,
    after: &InsuranceClaim,
) -> Result<Decision<InsuranceClaim>, Refused> {
    if claimed(before) == claimed(after) {
        return Ok(decision);
    }
    let event = opened(record_of(after, ctx)?, ctx.id, after);
    Ok(decision.also::<BillingRecord>(after.billing_record_id, event))
}

/// Tells the record of a claim that nothing is asked for by some claims any more.
pub(super) fn close(
    mut decision: Decision<InsuranceClaim>,
    claim: &InsuranceClaim,
    ctx: &Context<'_>,
    claims: impl IntoIterator<Item = Uuid>,
) -> Result<Decision<InsuranceClaim>, Refused> {
    let mut record = record_of(claim, ctx)?.clone();
    for claim_id in claims {
        let (event, after) = record.followed(|after| billing_record::Event::ClaimClosed { claim_id, after });
        record = after;
        decision = decision.also::<BillingRecord>(claim.billing_record_id, event);
    }
    Ok(decision)
}
