//! Claims with their transactions -> billing records, insurance claims and payments.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use futures::FutureExt;
use hims_commands::billing_record::{Excess, RecordPayment};
use hims_domain::billing_record::{BillingRecord, Item, Method, PaymentKind};
use hims_domain::consultation::Consultation;
use hims_domain::insurance_claim::{
    Adjustment, ClaimStatusCode, ClaimType, Group, InsuranceClaim, LinePayment, adjustment::PRIOR_PAYERS,
};
use hims_domain::values::coding::{CVX, RXNORM, SNOMED_CT, read_code};
use hims_domain::values::{Money, Text};
use hims_domain::{BillingRecordId, InsurancePolicyId};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::super::gather::Gathered;
use super::super::insurance::recorded;
use super::super::kept::Kept;
use super::super::money::{Answered, Asked, Bill, Policies};
use super::super::progress::Progress;
use super::super::reason::Reason;
use super::super::references::derived;
use super::super::run::ImportError;
use super::super::summary::{Counts, Fate, Summary};
use super::super::writer::{Step, Stop, Writer};
use super::claims::{CLAIMS, Claim, Claims, Payer, TRANSACTIONS, Transaction, What};
use super::insurance::Insurance;

/// A line, and what insurers paid for it.
struct Line {
    id: Uuid,
    item: Item,
    charge: Decimal,
    /// What the first and the second payer paid.
    paid: [Decimal; 2],
    is_with_second_payer: bool,
}

/// What a patient paid.
struct Paid {
    id: Uuid,
    kind: PaymentKind,
    method: Method,
    amount: Decimal,
    at: DateTime<Utc>,
}

/// What the transactions of a claim say together.
struct Told {
    lines: Vec<Line>,
    paid: Vec<Paid>,
    /// When the last service began, since which everything was charged.
    at: DateTime<Utc>,
    is_for_drug: bool,
}

/// The code system of a line: drugs have a claim of their own, and the codes of vaccines are shorter than others.
fn code_system(code: &str, is_for_drug: bool) -> &'static str {
    if is_for_drug {
        RXNORM
    } else if read_code(CVX, code).is_ok() {
        CVX
    } else {
        SNOMED_CT
    }
}

impl Line {
    fn try_new(charge: Decimal, told: &Transaction, is_for_drug: bool, zone: Tz) -> Result<Self, Reason> {
        let system = code_system(&told.code, is_for_drug);
        let code: Text<20> = read_code(system, &told.code).map_err(|_| Reason::NoCode)?.as_str().into();
        let words = Kept::default().personal("NOTES", Some(&told.words)).ok_or(Reason::NoName)?;
        let day = told.from.with_timezone(&zone).date_naive();
        let item = Item::one(day, (system.into(), code), words, charge);
        Ok(Self { id: told.id, item, charge, paid: [Decimal::ZERO; 2], is_with_second_payer: false })
    }

    /// What is left after what the first payers paid. A payer who pays more than the charge is not understood.
    fn rest(&self, payers: usize) -> Result<Decimal, Reason> {
        let rest = self.charge - self.paid.iter().take(payers).sum::<Decimal>();
        if rest < Decimal::ZERO { Err(Reason::OutOfBalance) } else { Ok(rest) }
    }
}

impl Told {
    /// Reads the transactions of a claim. A row that is missing shows: the first row of a line is its charge, the
    /// others are for the same service, and what is left at the end is what the claim says is outstanding.
    fn try_new(claim: &Claim, transactions: &[Transaction], visit: &str, zone: Tz) -> Result<Self, Reason> {
        let is_for_drug = transactions.first().is_some_and(|it| it.code != visit);
        let mut told = Self { lines: Vec::new(), paid: Vec::new(), at: claim.service_date, is_for_drug };
        for it in transactions {
            told.at = told.at.max(it.from);
            if let What::Charge(charge) = it.what {
                told.lines.push(Line::try_new(charge, it, is_for_drug, zone)?);
                continue;
            }
            let line = told.lines.last_mut().filter(|line| line.item.code.as_str() == it.code);
            let line = line.ok_or(Reason::OutOfBalance)?;
            match it.what {
                What::Payment(Payer::Insurance, amount) => line.paid[usize::from(line.is_with_second_payer)] += amount,
                What::Payment(Payer::Patient(kind, method), amount) if !amount.is_zero() => {
                    told.paid.push(Paid { id: it.id, kind, method, amount, at: it.to.unwrap_or(it.from) });
                }
                What::Transfer { is_to_second_payer } => line.is_with_second_payer |= is_to_second_payer,
                What::Charge(_) | What::Payment(..) | What::TransferOut => {}
            }
        }
        told.check(claim)?;
        Ok(told)
    }

    fn check(&self, claim: &Claim) -> Result<(), Reason> {
        let is_paid = |place: usize| self.lines.iter().any(|it| !it.paid[place].is_zero());
        if (0..2).any(|place| is_paid(place) && (claim.payers[place].is_none() || !claim.is_decided)) {
            return Err(Reason::OutOfBalance);
        }
        let left: Decimal = self.lines.iter().map(|it| it.rest(2)).sum::<Result<Decimal, _>>()?;
        let paid: Decimal = self.paid.iter().map(|it| it.amount).sum();
        if (left - paid).max(Decimal::ZERO) == claim.outstanding { Ok(()) } else { Err(Reason::OutOfBalance) }
    }

    /// What the payer at a place says of each line. The files give no reason for what is left to the patient.
    fn decided(&self, place: usize) -> Result<Vec<LinePayment>, Reason> {
        let adjustment = |group, reason: Option<&str>, amount: Decimal| {
            let reason = reason.map(Text::from);
            (!amount.is_zero()).then(|| Adjustment { group, reason, amount: Money::from(amount), remarks: Vec::new() })
        };
        let payment = |(number, line): (i32, &Line)| {
            let earlier: Decimal = line.paid.iter().take(place).sum();
            let of_others = adjustment(Group::Other, Some(PRIOR_PAYERS), earlier);
            let of_patient = adjustment(Group::PatientResponsibility, None, line.rest(place + 1)?);
            let adjustments = of_others.into_iter().chain(of_patient).collect();
            Ok(LinePayment { line: number, paid: Money::from(line.paid[place]), adjustments })
        };
        (1..).zip(&self.lines).map(payment).collect()
    }
}

/// What is needed to enter claims besides the claims themselves.
struct Desk<'a> {
    writer: &'a Writer<'a>,
    gathered: &'a Gathered,
    insurance: &'a Insurance,
    claims: &'a Claims,
    /// What became of the transactions.
    counts: Mutex<Counts>,
}

/// A claim that is about to be entered.
struct Entry<'a> {
    claim: &'a Claim,
    told: Told,
    record: BillingRecordId,
    claim_type: ClaimType,
}

impl Desk<'_> {
    /// The policies of the payers of a claim on the first day of the services. Payers who are named must have one.
    async fn policies(
        &self,
        claim: &Claim,
        bill: &Bill,
        policies: &Policies,
    ) -> Result<[Option<InsurancePolicyId>; 2], Stop> {
        let mut found = [None; 2];
        for (place, payer) in claim.payers.into_iter().enumerate() {
            let Some(payer) = payer else { continue };
            let name = self.insurance.name(payer).ok_or(Reason::NoPayer)?;
            let payer = recorded(self.writer, name).await?.ok_or(Reason::NoPayer)?;
            let policy = bill.first_day().and_then(|day| policies.of_payer(payer, day));
            found[place] = Some(policy.ok_or(Reason::NoPolicy)?);
        }
        Ok(found)
    }

    /// Enters a claim: the bill, the claim on the first payer, what the patient paid, the claim on the second payer.
    async fn enter(&self, claim: &Claim, patient: Uuid, policies: &Policies) -> Result<Fate, Stop> {
        if self.claims.spoilt.contains(&claim.id) {
            return Err(Reason::BadTransaction.into());
        }
        let transactions = self.claims.transactions.get(&claim.id).map_or(&[][..], Vec::as_slice);
        let visit = self.gathered.encounters.get(claim.encounter).ok_or(Reason::NoVisit)?;
        let visit_code = visit.resource.kind.iter().flat_map(|it| &it.coding).find_map(|it| it.code.as_deref());
        let zone = self.writer.calendar.zone;
        let told = Told::try_new(claim, transactions, visit_code.unwrap_or_default(), zone)?;
        let consultation = self.writer.referred::<Consultation>(Some(claim.encounter)).await?;
        let consultation = consultation.filter(|(_, it)| it.patient_id.0 == patient).map(|(id, _)| id.into());
        let bill = Bill {
            id: derived(&format!("billing record|{}", claim.id)).into(),
            patient_id: patient.into(),
            consultation_id: consultation,
            lines: told.lines.iter().map(|it| (it.id.into(), it.item.clone())).collect(),
            at: told.at,
        };
        bill.check(self.writer)?;
        let policies = self.policies(claim, &bill, policies).await?;
        let claim_type = match claim.is_institutional {
            _ if told.is_for_drug => ClaimType::Pharmacy,
            true => ClaimType::Institutional,
            false => ClaimType::Professional,
        };
        let entry = Entry { claim, told, record: bill.id, claim_type };
        let mut is_new = bill.enter(self.writer).await?;
        is_new |= self.ask(&entry, 0, policies[0]).await?;
        is_new |= self.pay(&entry).await?;
        is_new |= self.ask(&entry, 1, policies[1]).await?;
        Ok(if is_new { Fate::Imported(Vec::new()) } else { Fate::AlreadyThere })
    }

    /// Enters the claim on the payer at a place, and what the payer decided.
    async fn ask(&self, entry: &Entry<'_>, place: usize, policy: Option<InsurancePolicyId>) -> Result<bool, Stop> {
        let (claim, at) = (entry.claim, entry.told.at);
        let Some(insurance_policy_id) = policy else { return Ok(false) };
        let (id, code) = match place {
            0 => (claim.id, ClaimStatusCode::Primary),
            _ => (derived(&format!("secondary claim|{}", claim.id)), ClaimStatusCode::Secondary),
        };
        let asked = Asked {
            id: id.into(),
            billing_record_id: entry.record,
            insurance_policy_id,
            claim_type: entry.claim_type,
            at,
        };
        let is_new = asked.enter(self.writer).await?;
        if !claim.is_decided {
            return Ok(is_new);
        }
        let answered = Answered {
            insurance_claim_id: id.into(),
            payment_id: derived(&format!("claim payment|{id}")).into(),
            trace_number: Text(claim.id.to_string()),
            claim_status_code: code,
            lines: entry.told.decided(place)?,
            at,
        };
        let recorded = self.writer.existing::<InsuranceClaim>(id).await?.ok_or(Reason::NoClaim)?;
        Ok(answered.enter(self.writer, &recorded).await? || is_new)
    }

    /// Records what the patient paid. What is beyond the charges is kept as credit.
    async fn pay(&self, entry: &Entry<'_>) -> Result<bool, Stop> {
        let record = self.writer.existing::<BillingRecord>(entry.record.into()).await?.ok_or(Reason::OtherRecord)?;
        let mut is_new = false;
        for it in entry.told.paid.iter().filter(|it| !record.parts.contains(&it.id)) {
            let paying = RecordPayment {
                billing_record_id: entry.record,
                payment_id: Some(it.id.into()),
                amount: Money::from(it.amount),
                kind: it.kind,
                method: it.method,
                reference: None,
                received_at: None,
                excess: Some(Excess::Credit),
            };
            self.writer.execute(paying, Some(it.at)).await?;
            is_new = true;
        }
        Ok(is_new)
    }

    /// Counts the transactions of a claim as what the claim became.
    fn count(&self, claim: &Claim, fate: &Result<Fate, Stop>) {
        let rows = self.claims.transactions.get(&claim.id).map_or(0, Vec::len);
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match fate {
            Ok(Fate::Imported(_)) => counts.imported += rows,
            Ok(Fate::AlreadyThere) => counts.already_there += rows,
            Ok(Fate::Skipped(reason)) | Err(Stop::Skip(reason)) if rows > 0 => {
                *counts.skipped.entry(*reason).or_default() += rows;
            }
            Ok(Fate::Skipped(_)) | Err(_) => {}
        }
    }

    /// Enters the claims of a patient one after the other, since they share consultations.
    async fn enter_all(&self, patient: Uuid, claims: &[Claim]) -> Step {
        let recorded = match self.writer.patient(Some(patient)).await {
            Ok((id, _)) => Policies::of(self.writer, id).await.map(|policies| (id, policies)),
            Err(stop) => Err(stop),
        };
        let mut step = Step::with_capacity(claims.len());
        for claim in claims {
            let fate = match &recorded {
                Ok((patient, policies)) => self.enter(claim, *patient, policies).await,
                Err(Stop::Skip(reason)) => Err(Stop::Skip(*reason)),
                Err(Stop::Everything(error)) => Err(Stop::Everything(error.clone())),
            };
            self.count(claim, &fate);
            step.push((vec![claim.place.clone()], fate));
        }
        step
    }
}

/// Enters all claims, each patient's one after the other.
pub(super) async fn write(
    writer: &Writer<'_>,
    gathered: &Gathered,
    (insurance, claims): (&Insurance, &Claims),
    summary: &mut Summary,
    progress: &dyn Progress,
) -> Result<(), ImportError> {
    let desk = Desk { writer, gathered, insurance, claims, counts: Mutex::default() };
    let steps = claims.of_patients.iter().map(|(patient, of_patient)| desk.enter_all(*patient, of_patient).boxed());
    writer.take(CLAIMS, Box::new(steps), (summary, progress)).await?;
    let counts = desk.counts.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.add(TRANSACTIONS, counts);
    Ok(())
}
