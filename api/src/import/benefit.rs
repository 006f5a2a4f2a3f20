//! `ExplanationOfBenefit` -> what a payer answered to an insurance claim: that it took the claim, or what it decided.

use chrono::{DateTime, Utc};
use hims_domain::ClaimPaymentId;
use hims_domain::insurance_claim::{Adjustment, ClaimStatusCode, Group, InsuranceClaim, LinePayment};
use hims_domain::values::{Money as Cents, Text, to_cents};
use rust_decimal::{Decimal, dec};
use serde::Deserialize;
use uuid::Uuid;

use super::claim::item_id;
use super::datatypes::{CodeableConcept, Money, Reference};
use super::gather::{Found, Gathered};
use super::money::{Answered, rounded_together};
use super::reason::Reason;
use super::summary::Fate;
use super::writer::{Stop, Writer};

/// What a payer answered to a claim.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExplanationOfBenefit {
    status: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    outcome: Option<String>,
    pub(super) patient: Reference,
    pub(super) created: Option<String>,
    #[serde(default)]
    pub(super) claim: Reference,
    #[serde(default)]
    item: Vec<Item>,
    #[serde(default)]
    payment: Payment,
}

/// What was decided on an item of the claim; nothing without adjudications.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    sequence: i32,
    /// The numbers of the items of the claim.
    #[serde(default, rename = "itemSequence")]
    of_claim: Vec<i32>,
    #[serde(default)]
    adjudication: Vec<Adjudication>,
}

#[derive(Deserialize)]
struct Adjudication {
    #[serde(default)]
    category: CodeableConcept,
    #[serde(default)]
    amount: Money,
}

#[derive(Default, Deserialize)]
struct Payment {
    #[serde(default)]
    amount: Money,
    date: Option<String>,
}

/// The categories of what the payer pays: of FHIR, and of the Blue Button of CMS.
const PAID: [&str; 2] = ["benefit", "https://bluebutton.cms.gov/resources/variables/line_prvdr_pmt_amt"];
/// The categories of what the patient bears, each with the reason (CARC): deductible, coinsurance and copay.
const PATIENTS: [(&str, &str); 4] = [
    ("deductible", "1"),
    ("https://bluebutton.cms.gov/resources/variables/line_bene_ptb_ddctbl_amt", "1"),
    ("https://bluebutton.cms.gov/resources/variables/line_coinsrnc_amt", "2"),
    ("copay", "3"),
];

impl Item {
    /// The sum of the adjudications of a category; `None` if there are none.
    fn amount(&self, category: &str) -> Option<Decimal> {
        let of_category = self.adjudication.iter().filter(|it| it.category.has_code(category));
        of_category.filter_map(|it| it.amount.value).reduce(|sum, it| sum + it)
    }

    /// What the payer pays for the item, as it was computed; `None` if the payer has not decided.
    fn paid(&self) -> Option<Decimal> {
        PAID.iter().find_map(|it| self.amount(it))
    }

    /// The item of the claim.
    fn claimed(&self) -> i32 {
        self.of_claim.first().copied().unwrap_or(self.sequence)
    }

    /// What the patient bears of a charge of which the payer pays a part. The last reason that the payer gives gets
    /// what is left after rounding.
    ///
    /// # Errors
    /// When what the payer gives does not make up the rest of the charge.
    fn adjustments(&self, charge: Decimal, paid: Decimal) -> Result<Vec<Adjustment>, Reason> {
        let given = PATIENTS.iter().filter_map(|(category, reason)| Some((*reason, self.amount(category)?)));
        let given: Vec<_> = given.filter(|(_, amount)| !amount.is_zero()).collect();
        let rest = charge - paid;
        let sum: Decimal = given.iter().map(|(_, amount)| *amount).sum();
        if rest < Decimal::ZERO || (rest - sum).abs() > dec!(0.01) || given.iter().any(|it| it.1 < Decimal::ZERO) {
            return Err(Reason::OutOfBalance);
        }
        let mut amounts: Vec<_> = given.iter().map(|(_, amount)| to_cents(*amount)).collect();
        let before: Decimal = amounts.iter().rev().skip(1).sum();
        match amounts.last_mut() {
            Some(last) if rest >= before => *last = rest - before,
            None if rest.is_zero() => {}
            _ => return Err(Reason::OutOfBalance),
        }
        let adjustment = |((reason, _), amount): (&(&str, Decimal), Decimal)| Adjustment {
            group: Group::PatientResponsibility,
            reason: Some((*reason).into()),
            amount: Cents::from(amount),
            remarks: Vec::new(),
        };
        let adjustments = given.iter().zip(amounts).map(adjustment);
        Ok(adjustments.filter(|it| !it.amount.number().is_zero()).collect())
    }
}

impl ExplanationOfBenefit {
    fn check(&self) -> Result<(), Reason> {
        match (self.status.as_str(), self.purpose.as_deref(), self.outcome.as_deref()) {
            ("active", Some("claim"), Some("complete" | "partial")) => Ok(()),
            ("entered-in-error", ..) => Err(Reason::EnteredInError),
            ("draft" | "cancelled", ..)
            | ("active", Some("claim"), Some("queued"))
            | ("active", Some("preauthorization" | "predetermination"), _) => Err(Reason::HasNotHappened),
            ("active", None, _) | ("active", _, None) => Err(Reason::Malformed),
            _ => Err(Reason::UnknownStatus),
        }
    }

    /// What was decided on each line of the claim. The payment is rounded, and the lines so that they add up to it.
    fn decided(&self, claim: &InsuranceClaim, claim_id: Uuid, currency: &str) -> Result<Vec<LinePayment>, Reason> {
        let adjudications = self.item.iter().flat_map(|it| &it.adjudication).map(|it| &it.amount);
        let mut currencies = adjudications.chain([&self.payment.amount]).filter_map(|it| it.currency.as_deref());
        if currencies.any(|it| it != currency) {
            return Err(Reason::OtherCurrency);
        }
        let decided: Vec<_> = self.item.iter().filter_map(|it| Some((it, it.paid()?))).collect();
        let computed: Vec<Decimal> = decided.iter().map(|(_, paid)| *paid).collect();
        let sum = to_cents(computed.iter().sum());
        if self.payment.amount.value.is_some_and(|it| to_cents(it) != sum) {
            return Err(Reason::OutOfBalance);
        }
        let mut lines = Vec::with_capacity(decided.len());
        for ((item, _), paid) in decided.into_iter().zip(rounded_together(&computed)) {
            let item_id = item_id(claim_id, item.claimed());
            let line = claim.lines.iter().find(|it| it.line.item_id == item_id).ok_or(Reason::OutOfBalance)?;
            let adjustments = item.adjustments(line.line.charge.number(), paid)?;
            lines.push(LinePayment { line: line.line.line, paid: Cents::from(paid), adjustments });
        }
        Ok(lines)
    }

    /// When the payer answered.
    fn answered_at(&self, writer: &Writer<'_>) -> Option<DateTime<Utc>> {
        let paid = writer.calendar.time(self.payment.date.as_deref());
        paid.or_else(|| writer.calendar.time(self.created.as_deref()))
    }
}

/// Records what a payer answered.
pub(super) async fn import(
    writer: &Writer<'_>,
    gathered: &Gathered,
    found: &Found<ExplanationOfBenefit>,
) -> Result<Fate, Stop> {
    writer.check_copies(found)?;
    let benefit = &found.resource;
    benefit.check()?;
    let at = benefit.answered_at(writer).ok_or(Reason::NoTime)?;
    let claim_id = gathered.resolve("Claim", &found.origin, &benefit.claim);
    let (claim_id, claim) = writer.referred::<InsuranceClaim>(claim_id).await?.ok_or(Reason::NoClaim)?;
    let (patient, _) = writer.patient(gathered.resolve("Patient", &found.origin, &benefit.patient)).await?;
    if claim.patient_id.0 != patient {
        return Err(Reason::OtherRecord.into());
    }
    let lines = benefit.decided(&claim, claim_id, &writer.executor.currency().to_string())?;
    let answered = Answered {
        insurance_claim_id: claim_id.into(),
        payment_id: ClaimPaymentId(found.id),
        trace_number: Text(found.id.to_string()),
        claim_status_code: ClaimStatusCode::Primary,
        lines,
        at,
    };
    let is_new = answered.enter(writer, &claim).await?;
    Ok(if is_new { Fate::Imported(found.kept().left_out) } else { Fate::AlreadyThere })
}
