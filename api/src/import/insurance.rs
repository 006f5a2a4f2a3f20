//! The payers that claims name -> payers, and runs of claims to one payer -> insurance policies. The import of
//! Synthea's CSV files takes the same way with what its rows say.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use hims_commands::insurance_policy::{AddInsurancePolicy, VerifyInsurancePolicy};
use hims_commands::payer::AddPayer;
use hims_commands::scopes;
use hims_domain::insurance_policy::{Coverage, InsurancePolicy, Relationship, VerificationMethod};
use hims_domain::payer::Details;
use hims_domain::values::{Text, folded};
use uuid::Uuid;

use super::calendar::Calendar;
use super::gather::Gathered;
use super::kept::Kept;
use super::reason::Reason;
use super::references::derived;
use super::summary::{Fate, Place};
use super::writer::{Step, Stop, Writer};

/// The time in which one payer insures a patient: all claims of the patient went to that payer.
pub(super) struct Run {
    pub(super) payer: String,
    pub(super) since: DateTime<Utc>,
    pub(super) from: NaiveDate,
    /// The last day, such as the day before the next run; `None` for the last run.
    pub(super) to: Option<NaiveDate>,
    pub(super) holder: Holder,
    /// The rows of the files that say so; none where the summary counts them elsewhere.
    pub(super) rows: Vec<Place>,
}

/// Who holds a policy, under which number, and whether the payer is the first to pay.
pub(super) struct Holder {
    pub(super) priority: i32,
    pub(super) member: Option<String>,
    pub(super) relationship: Relationship,
    /// The name of the subscriber, unless that is the patient.
    pub(super) name: Option<String>,
}

impl Default for Holder {
    /// The patient, of whom the files say nothing more.
    fn default() -> Self {
        Self { priority: 1, member: None, relationship: Relationship::Own, name: None }
    }
}

/// The runs of claims of each patient, in the order of time. A run that begins on the day of the next is left out,
/// since a policy holds for whole days.
pub(super) fn runs(gathered: &Gathered, calendar: &Calendar) -> BTreeMap<Uuid, Vec<Run>> {
    let mut of_patients: BTreeMap<Uuid, Vec<(DateTime<Utc>, &str)>> = BTreeMap::new();
    for found in gathered.claims.iter().filter(|it| it.resource.check().is_ok()) {
        let claim = &found.resource;
        let patient = gathered.resolve("Patient", &found.origin, &claim.patient);
        let start = calendar.time(claim.billable_period.start.as_deref());
        if let (Some(patient), Some(start), Some(payer)) = (patient, start, claim.payer()) {
            of_patients.entry(patient).or_default().push((start, payer));
        }
    }
    let in_order = |mut payments: Vec<(DateTime<Utc>, &str)>| {
        payments.sort_unstable();
        payments.dedup_by(|later, earlier| folded(later.1) == folded(earlier.1));
        let day = |at: DateTime<Utc>| at.with_timezone(&calendar.zone).date_naive();
        let mut runs: Vec<Run> = Vec::new();
        for (since, payer) in payments {
            let from = day(since);
            if runs.last().is_some_and(|run| run.from == from) {
                runs.pop();
            }
            if let Some(before) = runs.last_mut() {
                before.to = from.pred_opt();
            }
            runs.push(Run {
                payer: payer.to_owned(),
                since,
                from,
                to: None,
                holder: Holder::default(),
                rows: Vec::new(),
            });
        }
        runs
    };
    of_patients.into_iter().map(|(patient, payments)| (patient, in_order(payments))).collect()
}

/// Every payer of the runs once, under its folded name, with the name as it is written first and the time of the first
/// run.
pub(super) fn payers(runs: &BTreeMap<Uuid, Vec<Run>>) -> BTreeMap<String, (String, DateTime<Utc>)> {
    let mut payers: BTreeMap<String, (String, DateTime<Utc>)> = BTreeMap::new();
    for run in runs.values().flatten() {
        let (name, since) = payers.entry(folded(&run.payer)).or_insert_with(|| (run.payer.clone(), run.since));
        *since = run.since.min(*since);
        if run.payer < *name {
            name.clone_from(&run.payer);
        }
    }
    payers
}

/// The code of a payer: the beginning of its name, in upper case.
fn code(name: &str) -> Text<20> {
    Text::from(name.chars().take(20).collect::<String>().to_uppercase().as_str())
}

/// The payer with a name: imported earlier, or added by a user with the same code.
pub(super) async fn recorded(writer: &Writer<'_>, name: &str) -> Result<Option<Uuid>, Stop> {
    Ok(writer.owners(scopes::PAYER_CODE, code(name).as_str()).await?.first().copied())
}

/// A payer as the files describe it.
pub(super) struct Described<'a> {
    /// `None` for a payer of whom only the name is known.
    pub(super) id: Option<Uuid>,
    pub(super) name: &'a str,
    pub(super) phone: Option<&'a str>,
    pub(super) address: Option<&'a str>,
    /// When the payer is first mentioned.
    pub(super) since: Option<DateTime<Utc>>,
}

/// Adds a payer that the record does not have.
pub(super) async fn import_payer(writer: &Writer<'_>, payer: Described<'_>) -> Result<Fate, Stop> {
    let Described { id, name, phone, address, since } = payer;
    if recorded(writer, name).await?.is_some() {
        return Ok(Fate::AlreadyThere);
    }
    let mut kept = Kept::default();
    let details = Details {
        code: code(name),
        name: Text::from(name.chars().take(200).collect::<String>().as_str()),
        electronic_payer_id: None,
        claim_filing_indicator: None,
        price_list: None,
        timely_filing_days: None,
        phone: kept.phone("phone", phone, writer.executor.phone_region()),
        address: kept.text("address", address),
    };
    let id = id.unwrap_or_else(|| derived(&format!("payer|{}", folded(name))));
    writer.execute(AddPayer { id: Some(id.into()), details }, since).await?;
    Ok(Fate::Imported(kept.left_out))
}

/// Adds the policies of a patient. Each run is a policy that the payer has honoured, so it counts as verified.
pub(super) async fn import_policies(writer: &Writer<'_>, patient: Uuid, runs: Vec<Run>) -> Step {
    let patient = match writer.patient(Some(patient)).await {
        Ok((id, _)) => id,
        Err(Stop::Skip(reason)) => return runs.into_iter().map(|it| (it.rows, Err(reason.into()))).collect(),
        Err(everything) => return vec![(Vec::new(), Err(everything))],
    };
    let mut step = Step::with_capacity(runs.len());
    for mut run in runs {
        let rows = std::mem::take(&mut run.rows);
        step.push((rows, add(writer, patient, run).await));
    }
    step
}

async fn add(writer: &Writer<'_>, patient_id: Uuid, run: Run) -> Result<Fate, Stop> {
    let second = if run.holder.priority == 1 { String::new() } else { format!("|{}", run.holder.priority) };
    let id = derived(&format!("policy|{patient_id}|{}|{}{second}", folded(&run.payer), run.from));
    let Some(payer_id) = recorded(writer, &run.payer).await? else { return Ok(Fate::Skipped(Reason::NoPayer)) };
    let mut kept = Kept::default();
    let is_new = writer.existing::<InsurancePolicy>(id).await?.is_none();
    if is_new {
        let coverage = Coverage {
            payer_id: payer_id.into(),
            member_id: kept.personal("member", run.holder.member.as_deref()),
            group_number: None,
            plan_name: None,
            plan_type: None,
            relationship_to_subscriber: run.holder.relationship,
            subscriber_name: kept.personal("subscriber", run.holder.name.as_deref()),
            subscriber_birth_date: None,
            priority: run.holder.priority,
            effective_from: run.from,
            effective_to: run.to,
            copay_amount: None,
            deductible_amount: None,
            coinsurance_percent: None,
        };
        let adding = AddInsurancePolicy { id: Some(id.into()), patient_id: patient_id.into(), coverage };
        writer.execute(adding, Some(run.since)).await?;
    }
    if is_new || writer.has_only_begun::<InsurancePolicy>(id).await? {
        let reference = Some("claims of another system".into());
        let verifying =
            VerifyInsurancePolicy { insurance_policy_id: id.into(), method: VerificationMethod::Portal, reference };
        writer.execute(verifying, Some(run.since)).await?;
    }
    Ok(if is_new { Fate::Imported(kept.left_out) } else { Fate::AlreadyThere })
}
