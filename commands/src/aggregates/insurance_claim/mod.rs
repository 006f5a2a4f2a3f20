//! Insurance claims: making and sending claims, and recording what payers answer.

mod adjudicating;
mod appealing;
mod creating;
mod record;
mod secondary;
mod sending;
mod telling;

use chrono::NaiveDate;
use hims_domain::InsuranceClaimId;
use hims_domain::insurance_claim::{Event, InsuranceClaim, Status};
use uuid::Uuid;

pub use adjudicating::{RecordClaimPayment, ReverseClaimPayment};
pub use appealing::{AppealInsuranceClaim, UpholdDenial};
pub use creating::CreateInsuranceClaim;
pub use secondary::DraftSecondaryClaim;
pub use sending::{AcceptInsuranceClaim, CancelInsuranceClaim, RejectInsuranceClaim, SubmitInsuranceClaim};
pub(crate) use telling::TellOfDeniedClaim;

use crate::machinery::refusal::refusals;
use crate::machinery::step::steps;
use crate::{Claims, Held, Kind, Refused, Registry, scopes};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<CreateInsuranceClaim>()
        .add::<SubmitInsuranceClaim>()
        .add::<AcceptInsuranceClaim>()
        .add::<RejectInsuranceClaim>()
        .add::<PendInsuranceClaim>()
        .add::<CancelInsuranceClaim>()
        .add::<RecordClaimPayment>()
        .add::<ReverseClaimPayment>()
        .add::<AppealInsuranceClaim>()
        .add::<UpholdDenial>();
}

refusals! {
    NotBilled = Conflict, "not-billed", "the billing record has no invoice, or was cancelled; issue the invoice first";
    NotCovered { day: NaiveDate } = Conflict, "not-covered",
        "no policy of the patient pays for a service on {day}; verify the policy, or name another";
    OfAnotherPatient = Rule, "other-patient", "the policy belongs to another patient than the billing record";
    PastTimelyFiling { last_day: NaiveDate } = Conflict, "past-timely-filing",
        "the payer takes claims for this service until {last_day}; give late_reason if the claim is sent all the same";
    NothingToReverse = Conflict, "nothing-to-reverse",
        "the claim has no such payment, or it was reversed already; name a payment of the claim that stands";
    VoidsAnother = Conflict, "voids-another",
        "the claim only voids another claim, and nothing is paid for it; reverse the payments of the other claim";
}

steps! {
    InsuranceClaim by insurance_claim_id: InsuranceClaimId, "Which claim.";

    /// Records that the payer has taken a claim and waits for something, such as records, before it decides.
    PendInsuranceClaim = "pend-insurance-claim" needs Update::Claims
        moves status from [Status::Accepted] to [Status::Pending] by Event::Pended;
}

impl Claims for InsuranceClaim {
    /// The number of a claim, the ids of its adjudications and their trace numbers are unique. The claims for a billing
    /// record are found by the record.
    fn claims(&self, id: Uuid, held: &mut Held) {
        held.take(scopes::CLAIM_NUMBER, self.number.0.as_str());
        held.share(scopes::CLAIMS_OF_RECORD, self.billing_record_id.to_string());
        let mut post = |payment: Uuid, trace: &str, kind: &str| {
            held.take(scopes::CLAIM_PAYMENT, payment.to_string());
            held.take(scopes::CLAIM_TRACE, scopes::key(&[&id.to_string(), trace, kind]));
        };
        for payment in &self.payments {
            post(payment.id.into(), payment.trace_number.as_str(), "payment");
            if let Some((reversal, trace)) = &payment.reversed {
                post((*reversal).into(), trace.as_str(), "reversal");
            }
        }
    }
}

/// Refuses an advice of the payer that was posted before: the file with it was loaded twice.
fn already_posted(trace: &str) -> Refused {
    let detail = format!("the advice {trace} was posted for this claim already; nothing is left to do");
    Refused::new(Kind::Conflict, "already-posted", detail)
}

/// Refuses a claim beside another open claim by the same policy for the same record.
fn other_is_open(other: Uuid) -> Refused {
    let detail = "a claim by this policy for the billing record is open (see candidates); finish or cancel it, or \
                  replace it with a claim of frequency 7";
    Refused { candidates: vec![other], ..Refused::new(Kind::Conflict, "claim-open", detail) }
}

/// Refuses a claim whose status does not allow the command.
fn wrong_status(claim: &InsuranceClaim) -> Refused {
    Refused::wrong_status::<InsuranceClaim>(claim.status)
}

#[cfg(test)]
mod tests;
