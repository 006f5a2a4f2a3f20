//! Making claims: which policy pays, which lines and diagnoses are sent, and what earlier payers have said.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use hims_domain::billing_record::{BillingRecord, Item};
use hims_domain::consultation::{Consultation, DiagnosisType, RankedDiagnosis, VerificationStatus};
use hims_domain::insurance_claim::{
    ClaimType, Created, Diagnosed, Event, Frequency, InsuranceClaim, Line, Prior, Status,
};
use hims_domain::insurance_policy::InsurancePolicy;
use hims_domain::payer::Payer;
use hims_domain::permission::Create;
use hims_domain::values::{ClaimNumber, Money, Reason};
use hims_domain::{BillingItemId, BillingRecordId, InsuranceClaimId, InsurancePolicyId, Invalid, Personal, described};
use rust_decimal::Decimal;

use super::sending::{check_in_time, has_a_deadline};
use super::{CancelInsuranceClaim, Refusal, other_is_open, record};
use crate::aggregates::billing_record::{CONSULTATION, is_charged_by_itself};
use crate::aggregates::insurance_policy::in_force;
use crate::aggregates::patient::{reads_person, records_of};
use crate::{Command, Context, Decision, Found, Kind, Permission, Reads, Refused, Target, refuse, scopes};

/// The greatest number of diagnoses in a claim.
const MOST_DIAGNOSES: usize = 12;

described! {
    /// Makes a claim on a payer for a billing record that has an invoice, as a draft. The claim has the lines of the
    /// invoice and the diagnoses of its consultation, and what earlier payers have said of the lines.
    pub struct CreateInsuranceClaim {
        /// The id of the new claim; issued by the server if left out.
        pub id: Option<InsuranceClaimId>,
        /// Which billing record.
        pub billing_record_id: BillingRecordId,
        /// The policy by which the payer is to pay; if left out, that of the original claim, or else the first of the
        /// patient's policies that are in force on the first day of the services.
        pub insurance_policy_id: Option<InsurancePolicyId>,
        /// The kind of the claim. Each line of a professional claim points to one to four diagnoses.
        pub claim_type: ClaimType,
        /// Whether the claim is the first for its services (`1`), or replaces (`7`) or voids (`8`) another; `1` if left
        /// out.
        #[serde(default = "original")]
        pub frequency_code: Frequency,
        /// The claim that this claim replaces or voids.
        pub original_claim_id: Option<InsuranceClaimId>,
        /// Why the claim is later than the payer takes claims.
        pub late_reason: Option<Personal<Reason>>,
    }
}

fn original() -> Frequency {
    Frequency::Original
}

/// Looks up the policies of a person, in whichever record of the person they are.
pub(super) fn reads_policies(reads: Reads, record: &BillingRecord, found: &Found) -> Reads {
    let reads = reads_person(reads, record.patient_id, found);
    let records = records_of(record.patient_id, found).into_iter();
    records.fold(reads, |reads, id| reads.owners::<InsurancePolicy>(scopes::POLICY_PATIENT, id.to_string()))
}

/// Looks up the claims that were made for a billing record.
pub(super) fn reads_claims(reads: Reads, id: BillingRecordId) -> Reads {
    reads.owners::<InsuranceClaim>(scopes::CLAIMS_OF_RECORD, id.to_string())
}

/// The claims that were made for a billing record, which the command looks up with [`reads_claims`].
pub(super) fn claims_of(
    id: BillingRecordId,
    found: &Found,
) -> impl Iterator<Item = (InsuranceClaimId, &InsuranceClaim)> {
    found.owners::<InsuranceClaim>(scopes::CLAIMS_OF_RECORD, id.to_string()).map(|(id, it)| (InsuranceClaimId(id), it))
}

/// What the payers before said of each line of a billing record: those whose policies pay before the given priority, in
/// their order.
fn priors(id: BillingRecordId, priority: i32, found: &Found) -> BTreeMap<BillingItemId, Vec<Prior>> {
    let is_earlier = |it: &InsuranceClaim| it.priority < priority && it.status != Status::Cancelled;
    let mut earlier: Vec<_> = claims_of(id, found).filter(|(_, it)| is_earlier(it)).collect();
    earlier.sort_by_key(|(id, it)| (it.priority, *id));
    let mut priors: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (insurance_claim_id, claim) in earlier {
        for line in &claim.lines {
            let prior = line.adjudicated.as_ref().map(|said| Prior {
                insurance_claim_id,
                paid: said.paid,
                adjustments: said.adjustments.clone(),
            });
            priors.entry(line.line.item_id).or_default().extend(prior);
        }
    }
    priors
}

/// To how many diagnoses a line points at most.
const MOST_POINTERS: usize = 4;

/// The lines of a billing record as the lines of a claim by a policy of the given priority, with so many diagnoses. The
/// line of the consultation itself, unless it was pointed to some diagnoses, is for the first of them: a visit is for
/// whatever was diagnosed. What was charged by itself in the visit is for its only diagnosis; of several, somebody has to
/// say which.
pub(super) fn lines(
    id: BillingRecordId,
    record: &BillingRecord,
    priority: i32,
    diagnoses: usize,
    found: &Found,
) -> Vec<Line> {
    let mut priors = priors(id, priority, found);
    let pointers = |id, item: &Item| match item.source_type.as_ref() {
        Some(_) if !item.diagnosis_pointers.is_empty() => item.diagnosis_pointers.clone(),
        Some(source) if source.as_str() == CONSULTATION => (1..).take(diagnoses.min(MOST_POINTERS)).collect(),
        Some(_) if diagnoses == 1 && is_charged_by_itself(id, item) => vec![1],
        _ => item.diagnosis_pointers.clone(),
    };
    let lines = (1..).zip(record.charged_lines());
    let lines = lines.map(|(number, billed)| Line {
        line: number,
        item_id: billed.id,
        service_date: billed.item.service_date,
        code_system: billed.item.code_system.clone(),
        code: billed.item.code.clone(),
        charge: Money::from(billed.charge.amount()),
        diagnosis_pointers: pointers(billed.id, &billed.item),
        prior: priors.remove(&billed.id).unwrap_or_default(),
    });
    lines.collect()
}

/// The diagnoses that a consultation sends to payers: those made for billing first, then final ones and the others, by
/// rank. Differential and refuted ones are not sent.
fn diagnoses(consultation: &Consultation) -> Vec<Diagnosed> {
    let place = |kind: DiagnosisType| match kind {
        DiagnosisType::Billing => Some(0),
        DiagnosisType::Final => Some(1),
        DiagnosisType::Discharge => Some(2),
        DiagnosisType::Working => Some(3),
        DiagnosisType::Admission => Some(4),
        DiagnosisType::Differential => None,
    };
    let is_held = |it: &&RankedDiagnosis| {
        let status = it.diagnosis.verification_status;
        it.counts() && !matches!(status, VerificationStatus::Refuted | VerificationStatus::Differential)
    };
    let held = consultation.diagnoses.values().filter(is_held);
    let mut ranked: Vec<_> =
        held.filter_map(|it| Some((place(it.diagnosis.diagnosis_type)?, it.rank, &it.diagnosis))).collect();
    ranked.sort_by_key(|(place, rank, _)| (*place, *rank));
    let mut known = BTreeSet::new();
    let distinct = ranked.into_iter().filter(|(_, _, it)| known.insert((&it.code_system, &it.code)));
    distinct
        .map(|(_, _, it)| Diagnosed { code_system: it.code_system.clone(), code: it.code.clone() })
        .take(MOST_DIAGNOSES)
        .collect()
}

/// Refuses lines that point to diagnoses which the claim does not have, and lines of a professional claim that point to
/// none. Imports are taken as they are.
fn check_pointers(kind: ClaimType, lines: &[Line], diagnoses: usize, ctx: &Context<'_>) -> Result<(), Refused> {
    if ctx.caller.is_system {
        return Ok(());
    }
    let is_known = |pointer: &i32| usize::try_from(*pointer).is_ok_and(|it| (1..=diagnoses).contains(&it));
    let fault = |line: &Line| {
        let few = kind != ClaimType::Professional || (1..=4).contains(&line.diagnosis_pointers.len());
        (!few || !line.diagnosis_pointers.iter().all(is_known)).then(|| {
            let message = format!(
                "line {} must point to one to four of the {diagnoses} diagnoses of the consultation, by their places",
                line.line
            );
            Invalid::coded("pointers", "/billing_record_id", message)
        })
    };
    let detail = "some lines of the billing record do not point to diagnoses of its consultation (see errors); record \
                  1 to 12 diagnoses, and point each line to 1 to 4 of them before the invoice";
    Refused::unless_none(lines.iter().filter_map(fault).collect(), detail)
}

/// What the lines bill together.
pub(super) fn billed(lines: &[Line]) -> Money {
    lines.iter().map(|it| it.charge.number()).sum::<Decimal>().into()
}

impl CreateInsuranceClaim {
    /// The claim that the new claim replaces or voids, if it is one that does.
    fn original<'a>(&self, ctx: &'a Context<'_>) -> Result<Option<&'a InsuranceClaim>, Refused> {
        const FIELD: &str = "/original_claim_id";
        if self.frequency_code == Frequency::Original {
            let message = "leave the field out, or give the frequency 7 or 8";
            return match self.original_claim_id {
                Some(_) => Err(Refused::field("invalid-fields", FIELD, message)),
                None => Ok(None),
            };
        }
        let missing = |message: &str| Err(Refused::field("original-number-missing", FIELD, message));
        let Some(id) = self.original_claim_id else {
            return missing("name the claim that is replaced or voided");
        };
        let original = ctx.named::<InsuranceClaim>(id, FIELD)?;
        if original.billing_record_id != self.billing_record_id
            || self.insurance_policy_id.is_some_and(|it| it != original.insurance_policy_id)
        {
            let message = "name a claim for the same billing record and by the same policy";
            return Err(Refused::field("invalid-fields", FIELD, message));
        }
        if !original.status.is_with_payer() {
            let detail = format!(
                "the original claim is {}, and the payer does not have it; make a claim of frequency 1",
                original.status
            );
            return Err(Refused::new(Kind::Conflict, "wrong-status", detail));
        }
        if original.payer_claim_number.is_none() {
            return missing("the number of the original claim with the payer is not known; record it first");
        }
        Ok(Some(original))
    }

    /// The policy by which the payer is to pay.
    fn policy<'a>(
        &self,
        record: &BillingRecord,
        original: Option<&InsuranceClaim>,
        day: NaiveDate,
        ctx: &'a Context<'_>,
    ) -> Result<(InsurancePolicyId, &'a InsurancePolicy), Refused> {
        let named = self.insurance_policy_id.or(original.map(|it| it.insurance_policy_id));
        let Some(id) = named else {
            let policies = in_force(record.patient_id, day, ctx.found);
            return policies.first().copied().ok_or_else(|| Refusal::NotCovered { day }.into());
        };
        let policy = ctx.named::<InsurancePolicy>(id, "/insurance_policy_id")?;
        if !records_of(record.patient_id, ctx.found).contains(&policy.patient_id) {
            return refuse(Refusal::OfAnotherPatient);
        }
        // What a payer has once taken can be corrected though the policy was ended since then.
        if original.is_none() && !policy.is_in_force_on(day) {
            return refuse(Refusal::NotCovered { day });
        }
        Ok((id, policy))
    }
}

impl Command for CreateInsuranceClaim {
    const NAME: &'static str = "create-insurance-claim";
    const PERMISSION: Permission = Permission::Create(Create::Claims);
    const REVERSED_BY: Option<&'static str> = Some(CancelInsuranceClaim::NAME);
    type Aggregate = InsuranceClaim;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&InsuranceClaim>, found: &Found) -> Reads {
        let reads = Reads::nothing().stream::<BillingRecord>(self.billing_record_id);
        let reads = reads_claims(reads, self.billing_record_id).maybe::<InsuranceClaim>(self.original_claim_id);
        let reads = reads.maybe::<InsurancePolicy>(self.insurance_policy_id);
        let Some(record) = found.get::<BillingRecord>(self.billing_record_id) else { return reads };
        let reads = reads_policies(reads, record, found).maybe::<Consultation>(record.consultation_id);
        let original = self.original_claim_id.and_then(|id| found.get::<InsuranceClaim>(id));
        let first = record.first_service_day().and_then(|day| Some(in_force(record.patient_id, day, found).first()?.0));
        let policy_id = self.insurance_policy_id.or(original.map(|it| it.insurance_policy_id)).or(first);
        let policy = policy_id.and_then(|id| found.get::<InsurancePolicy>(id));
        reads.maybe::<InsurancePolicy>(policy_id).maybe::<Payer>(policy.map(|it| it.coverage.payer_id))
    }

    fn decide(self, _: Option<&InsuranceClaim>, ctx: &Context<'_>) -> Result<Decision<InsuranceClaim>, Refused> {
        let record = ctx.named::<BillingRecord>(self.billing_record_id, "/billing_record_id")?;
        let Some(service_date) = record.first_service_day().filter(|_| record.is_billed()) else {
            return refuse(Refusal::NotBilled);
        };
        let original = self.original(ctx)?;
        let (insurance_policy_id, policy) = self.policy(record, original, service_date, ctx)?;
        let payer = ctx.named::<Payer>(policy.coverage.payer_id, "/insurance_policy_id")?;
        let open = claims_of(self.billing_record_id, ctx.found).find(|(id, it)| {
            it.is_open() && it.insurance_policy_id == insurance_policy_id && Some(*id) != self.original_claim_id
        });
        if let Some((id, _)) = open {
            return Err(other_is_open(id.into()));
        }
        let priority = policy.coverage.priority;
        let consultation = record.consultation_id.and_then(|id| ctx.found.get::<Consultation>(id));
        let diagnoses = consultation.map(diagnoses).unwrap_or_default();
        let lines = lines(self.billing_record_id, record, priority, diagnoses.len(), ctx.found);
        if self.late_reason.is_none() && has_a_deadline(self.frequency_code, lines.iter()) {
            check_in_time(payer, service_date, ctx)?;
        }
        check_pointers(self.claim_type, &lines, diagnoses.len(), ctx)?;
        let created = Created {
            number: ClaimNumber::issue(ctx.draw()),
            patient_id: record.patient_id,
            billing_record_id: self.billing_record_id,
            insurance_policy_id,
            priority,
            claim_type: self.claim_type,
            frequency: self.frequency_code,
            original_claim_id: self.original_claim_id,
            service_date,
            diagnoses,
            billed_amount: billed(&lines),
            lines,
            late_reason: self.late_reason,
        };
        let told = record::begun(record, ctx.id, &created);
        let decision = Decision::event(Event::Created(Box::new(created)));
        Ok(decision.also::<BillingRecord>(self.billing_record_id, told))
    }
}
