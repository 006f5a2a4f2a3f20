//! `Claim` -> a billing record with its invoice, and an insurance claim that was sent to the payer.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::billing_record::Item as Charge;
use hims_domain::consultation::Consultation;
use hims_domain::insurance_claim::ClaimType;
use hims_domain::values::Text;
use hims_domain::values::coding::RXNORM;
use hims_domain::{BillingItemId, ConsultationId};
use rust_decimal::Decimal;
use serde::Deserialize;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::datatypes::{CodeableConcept, Money, Period, Reference};
use super::gather::{Found, Gathered};
use super::history::coded;
use super::insurance;
use super::kept::Kept;
use super::medication::Product;
use super::money::{Asked, Bill, Policies};
use super::reason::Reason;
use super::references::derived;
use super::summary::Fate;
use super::writer::{Step, Stop, Writer};

/// A request of a hospital that a payer pays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Claim {
    pub(super) status: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    #[serde(default, rename = "type")]
    kind: CodeableConcept,
    pub(super) patient: Reference,
    #[serde(default)]
    pub(super) billable_period: Period,
    pub(super) created: Option<String>,
    #[serde(default)]
    prescription: Reference,
    #[serde(default)]
    insurance: Vec<Insurance>,
    #[serde(default)]
    item: Vec<Item>,
    total: Option<Money>,
}

#[derive(Deserialize)]
struct Insurance {
    #[serde(default)]
    focal: bool,
    #[serde(default)]
    coverage: Named,
}

/// A reference that says in words what it refers to.
#[derive(Default, Deserialize)]
struct Named {
    display: Option<String>,
}

/// What is charged for, or a diagnosis that Synthea puts among the charges.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    sequence: i32,
    #[serde(default)]
    diagnosis_sequence: Vec<i32>,
    #[serde(default)]
    product_or_service: CodeableConcept,
    #[serde(default)]
    encounter: Vec<Reference>,
    net: Option<Money>,
}

impl Item {
    /// Whether the item charges for nothing, and only points to a diagnosis of the claim.
    fn is_pointer(&self) -> bool {
        self.net.is_none() && !self.diagnosis_sequence.is_empty()
    }
}

impl Claim {
    /// The name of the payer who is asked; `None` if the claim does not say it in words.
    pub(super) fn payer(&self) -> Option<&str> {
        let asked = self.insurance.iter().find(|it| it.focal).or(self.insurance.first())?;
        asked.coverage.display.as_deref().map(str::trim).filter(|it| !it.is_empty())
    }

    /// Checks that the claim was sent, and is no question about what would be paid.
    pub(super) fn check(&self) -> Result<(), Reason> {
        match (self.status.as_str(), self.purpose.as_deref()) {
            ("active", Some("claim")) => Ok(()),
            ("entered-in-error", _) => Err(Reason::EnteredInError),
            ("draft" | "cancelled", _) | ("active", Some("preauthorization" | "predetermination")) => {
                Err(Reason::HasNotHappened)
            }
            ("active", None) => Err(Reason::Malformed),
            _ => Err(Reason::UnknownStatus),
        }
    }

    fn claim_type(&self) -> Result<ClaimType, Reason> {
        let known = [
            ("institutional", ClaimType::Institutional),
            ("oral", ClaimType::Dental),
            ("pharmacy", ClaimType::Pharmacy),
            ("professional", ClaimType::Professional),
            ("vision", ClaimType::Vision),
        ];
        let kind = known.into_iter().find(|(code, _)| self.kind.has_code(code));
        kind.map(|(_, it)| it).ok_or(Reason::Malformed)
    }

    /// The items that charge, each with its price. One item may lack a net amount: the visit or the drug, which costs
    /// what is left of the total.
    fn charges(&self, currency: &str) -> Result<Vec<(&Item, Decimal)>, Reason> {
        let amounts = self.item.iter().filter_map(|it| it.net.as_ref()).chain(&self.total);
        if amounts.filter_map(|it| it.currency.as_deref()).any(|it| it != currency) {
            return Err(Reason::OtherCurrency);
        }
        let charged = || self.item.iter().filter(|it| !it.is_pointer());
        let net = |item: &Item| item.net.as_ref().and_then(|it| it.value);
        let sum: Decimal = charged().filter_map(net).sum();
        let rest = self.total.as_ref().and_then(|it| it.value).map(|total| total - sum);
        match (charged().filter(|it| net(it).is_none()).count(), rest) {
            (0, None) => {}
            (0, Some(rest)) if rest.is_zero() => {}
            (1, Some(rest)) if rest >= Decimal::ZERO => {}
            (0 | 1, Some(_)) => return Err(Reason::OutOfBalance),
            _ => return Err(Reason::NoAmount),
        }
        Ok(charged().map(|it| (it, net(it).or(rest).unwrap_or_default())).collect())
    }

    /// The places of the diagnoses to which the claim points, for which the visit was; four at most.
    fn pointers(&self, kept: &mut Kept) -> Vec<i32> {
        let mut pointers: Vec<i32> = self.item.iter().flat_map(|it| it.diagnosis_sequence.iter().copied()).collect();
        pointers.sort_unstable();
        pointers.dedup();
        let given = pointers.len();
        pointers.retain(|it| (1..=12).contains(it));
        pointers.truncate(4);
        kept.leave_out_all("item.diagnosisSequence", given - pointers.len());
        pointers
    }
}

/// The id of the line of a claim's bill that charges for an item.
pub(super) fn item_id(claim: Uuid, sequence: i32) -> BillingItemId {
    derived(&format!("billing item|{claim}|{sequence}")).into()
}

/// The claims by patient, each patient's in the order of time. A consultation has one record without an invoice at a
/// time, so the bills of one patient are entered one after the other.
pub(super) fn by_patient<'g>(
    writer: &Writer<'_>,
    gathered: &'g Gathered,
) -> BTreeMap<Option<Uuid>, Vec<&'g Found<Claim>>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for found in gathered.claims.iter() {
        let patient = gathered.resolve("Patient", &found.origin, &found.resource.patient);
        groups.entry(patient.and_then(|it| writer.persons.record(it))).or_default().push(found);
    }
    for claims in groups.values_mut() {
        claims.sort_by_key(|it| (writer.calendar.time(it.resource.billable_period.start.as_deref()), it.id));
    }
    groups
}

/// Enters the claims of a patient.
pub(super) async fn import(writer: &Writer<'_>, gathered: &Gathered, claims: Vec<&Found<Claim>>) -> Step {
    let mut step = Step::with_capacity(claims.len());
    let policies = OnceCell::new();
    for found in claims {
        step.push((found.places.clone(), enter(writer, gathered, found, &policies).await));
    }
    step
}

/// When the services of a claim began, and when the claim was made.
fn times(writer: &Writer<'_>, claim: &Claim) -> Result<(DateTime<Utc>, DateTime<Utc>), Reason> {
    let period = &claim.billable_period;
    let start = writer.calendar.time(period.start.as_deref()).ok_or(Reason::NoTime)?;
    let end = || writer.calendar.end(period.end.as_deref(), start);
    let made = writer.calendar.time(claim.created.as_deref()).or_else(end).unwrap_or(start);
    if made < start { Err(Reason::EndsBeforeItStarts) } else { Ok((start, made)) }
}

/// What an item charges. An item without a net amount in a claim for a prescription is the drug, though Synthea writes
/// the visit there.
fn charge(
    gathered: &Gathered,
    found: &Found<Claim>,
    day: NaiveDate,
    (item, price): (&Item, Decimal),
    kept: &mut Kept,
) -> Result<Charge, Reason> {
    const WHAT: &str = "item.productOrService";
    let prescription = gathered.resolve("MedicationRequest", &found.origin, &found.resource.prescription);
    let request = prescription.filter(|_| item.net.is_none()).and_then(|id| gathered.medication_requests.get(id));
    let product = request.and_then(|it| Product::requested(gathered, it).ok());
    if let Some((name, Some(rxnorm))) = product.as_ref().map(Product::named) {
        let name = kept.personal("prescription", Some(name)).ok_or(Reason::NoName)?;
        return Ok(Charge::one(day, (RXNORM.into(), rxnorm.into()), name, price));
    }
    let (system, code) = coded(&item.product_or_service, "", "item.productOrService.coding", kept);
    let coding: (Text<100>, Text<20>) = system.zip(code).ok_or(Reason::NoCode)?;
    let words = kept.personal(WHAT, item.product_or_service.words()).ok_or(Reason::NoName)?;
    Ok(Charge::one(day, coding, words, price))
}

/// The consultation that a claim charges for, if it is in the record.
async fn consultation(
    writer: &Writer<'_>,
    gathered: &Gathered,
    found: &Found<Claim>,
    patient: Uuid,
    kept: &mut Kept,
) -> Result<Option<ConsultationId>, Stop> {
    let mut named = found.resource.item.iter().flat_map(|it| &it.encounter);
    let Some(encounter) = named.next() else { return Ok(None) };
    let encounter = gathered.resolve("Encounter", &found.origin, encounter);
    let consultation = writer.referred::<Consultation>(encounter).await?;
    let consultation = consultation.filter(|(_, it)| it.patient_id.0 == patient).map(|(id, _)| id.into());
    if consultation.is_none() {
        kept.leave_out("item.encounter");
    }
    Ok(consultation)
}

/// Enters a claim: the bill first, since a payer is only asked for what was invoiced. The policies of the patient are
/// looked up for the first claim that comes so far.
async fn enter(
    writer: &Writer<'_>,
    gathered: &Gathered,
    found: &Found<Claim>,
    policies: &OnceCell<Policies>,
) -> Result<Fate, Stop> {
    writer.check_copies(found)?;
    let claim = &found.resource;
    claim.check()?;
    let claim_type = claim.claim_type()?;
    let (start, at) = times(writer, claim)?;
    let day = start.with_timezone(&writer.calendar.zone).date_naive();
    let (patient, _) = writer.patient(gathered.resolve("Patient", &found.origin, &claim.patient)).await?;
    let mut kept = found.kept();
    let charges = claim.charges(&writer.executor.currency().to_string())?;
    let mut lines: Vec<(BillingItemId, Charge)> = Vec::with_capacity(charges.len());
    for (item, price) in charges {
        lines.push((item_id(found.id, item.sequence), charge(gathered, found, day, (item, price), &mut kept)?));
    }
    if let Some((_, first)) = lines.first_mut() {
        first.diagnosis_pointers = claim.pointers(&mut kept);
    }
    let consultation_id = consultation(writer, gathered, found, patient, &mut kept).await?;
    let id = derived(&format!("billing record|{}", found.id)).into();
    let bill = Bill { id, patient_id: patient.into(), consultation_id, lines, at };
    bill.check(writer)?;
    let payer = match claim.payer() {
        Some(name) => insurance::recorded(writer, name).await?,
        None => None,
    };
    let policies = policies.get_or_try_init(|| Policies::of(writer, patient)).await?;
    let policy = payer.and_then(|payer| policies.of_payer(payer, day));
    let insurance_policy_id = policy.ok_or(Reason::NoPolicy)?;
    let asked = Asked { id: found.id.into(), billing_record_id: id, insurance_policy_id, claim_type, at };
    let is_bill_new = bill.enter(writer).await?;
    let is_claim_new = asked.enter(writer).await?;
    Ok(if is_bill_new || is_claim_new { Fate::Imported(kept.left_out) } else { Fate::AlreadyThere })
}
