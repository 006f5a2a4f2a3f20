//! `payers.csv` and `payer_transitions.csv` -> payers and insurance policies.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use futures::FutureExt;
use hims_domain::insurance_policy::Relationship;
use serde::Deserialize;
use uuid::Uuid;

use super::super::insurance::{Described, Holder, Run, import_payer, import_policies};
use super::super::progress::Progress;
use super::super::reason::Reason;
use super::super::run::{ImportError, single};
use super::super::summary::{Place, Summary};
use super::super::writer::Writer;
use super::files::{Folder, Problem, Row};
use super::values::given;

/// The payer of those whom nobody insures.
const NOBODY: &str = "NO_INSURANCE";

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Payer {
    #[serde(rename = "Id")]
    id: Uuid,
    name: String,
    address: String,
    city: String,
    state_headquartered: String,
    zip: String,
    phone: String,
}

impl Row for Payer {
    const FILE: &'static str = "payers";
}

/// That a payer, and perhaps a second one, insures a patient for some time.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Transition {
    patient: Uuid,
    memberid: String,
    start_year: DateTime<Utc>,
    end_year: DateTime<Utc>,
    payer: Uuid,
    secondary_payer: Option<Uuid>,
    ownership: String,
    ownername: String,
}

impl Row for Transition {
    const FILE: &'static str = "payer_transitions";
}

/// A time in which one payer insures a patient under one number.
struct Span {
    payer: Uuid,
    priority: i32,
    member: Option<String>,
    owner: Relationship,
    owner_name: Option<String>,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    /// The rows that say so; none for the second payer of rows that are counted by the first.
    rows: Vec<Place>,
}

impl Span {
    /// Whether another span goes on where this one ends.
    fn goes_on(&self, next: &Self) -> bool {
        let key = |it: &Self| (it.payer, it.priority, it.member.clone(), it.owner);
        key(self) == key(next) && self.end == next.start
    }
}

/// Who insures whom, as the files say.
#[derive(Default)]
pub(super) struct Insurance {
    payers: BTreeMap<Uuid, Payer>,
    /// The rows of the payers.
    places: BTreeMap<Uuid, Place>,
    spans: BTreeMap<Uuid, Vec<Span>>,
}

/// Reads the payers and who insures whom. Times without insurance are counted as skipped.
pub(super) async fn read(folder: &mut Folder<'_>) -> Insurance {
    let mut insurance = Insurance::default();
    folder
        .each(|row: Payer, at| {
            given(&row.name).ok_or("NAME is empty")?;
            insurance.places.insert(row.id, at.clone());
            insurance.payers.insert(row.id, row);
            Ok(())
        })
        .await;
    let (payers, spans) = (&insurance.payers, &mut insurance.spans);
    let mut uninsured = 0;
    folder
        .each(|row: Transition, at| {
            let is_known = |id: &Uuid| payers.contains_key(id);
            if !is_known(&row.payer) || row.secondary_payer.as_ref().is_some_and(|it| !is_known(it)) {
                return Err("PAYER or SECONDARY_PAYER is not in payers.csv");
            }
            if row.end_year < row.start_year {
                return Err("END_YEAR lies before START_YEAR");
            }
            if payers.get(&row.payer).is_some_and(is_nobody) {
                uninsured += 1;
                return Ok(());
            }
            spans.entry(row.patient).or_default().extend(spans_of(&row, at)?);
            Ok(())
        })
        .await;
    folder.summary.skip(Transition::FILE, uninsured, Reason::NoInsurance);
    for spans in insurance.spans.values_mut() {
        *spans = joined(std::mem::take(spans));
    }
    insurance
}

fn is_nobody(payer: &Payer) -> bool {
    payer.name.trim() == NOBODY
}

/// The spans of a row: that of the payer, and that of the second payer. The number in the row is the payer's.
fn spans_of(row: &Transition, at: &Place) -> Result<Vec<Span>, Problem> {
    let owner = match row.ownership.trim() {
        "Self" => Relationship::Own,
        "Spouse" => Relationship::Spouse,
        "Guardian" => Relationship::Child,
        _ => return Err("OWNERSHIP is none of Self, Spouse and Guardian"),
    };
    let owner_name = given(&row.ownername).filter(|_| owner != Relationship::Own).map(str::to_owned);
    let span = |payer, priority, member: Option<&str>, rows| Span {
        payer,
        priority,
        member: member.map(str::to_owned),
        owner,
        owner_name: owner_name.clone(),
        start: row.start_year,
        end: row.end_year,
        rows,
    };
    let first = span(row.payer, 1, given(&row.memberid), vec![at.clone()]);
    let second = row.secondary_payer.map(|payer| span(payer, 2, None, Vec::new()));
    Ok(std::iter::once(first).chain(second).collect())
}

/// The spans in the order of time, those that touch as one.
fn joined(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|it| (it.priority, it.start, it.end));
    let mut joined: Vec<Span> = Vec::new();
    for mut span in spans {
        match joined.last_mut().filter(|last| last.goes_on(&span)) {
            Some(last) => {
                last.end = span.end;
                last.rows.append(&mut span.rows);
            }
            None => joined.push(span),
        }
    }
    joined
}

impl Insurance {
    /// The name of a payer.
    pub(super) fn name(&self, payer: Uuid) -> Option<&str> {
        self.payers.get(&payer).map(|it| it.name.trim())
    }

    /// When a payer is first mentioned.
    fn since(&self, payer: Uuid) -> Option<DateTime<Utc>> {
        self.spans.values().flatten().filter(|it| it.payer == payer).map(|it| it.start).min()
    }

    /// The spans of a patient as policies. A policy holds for whole days: the day on which a span ends is not part of
    /// it, unless the span begins on that day. A span of no day at all gives way to the next one of that day.
    fn runs(&self, spans: &[Span], zone: Tz) -> Vec<Run> {
        let day = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
        let run = |span: &Span| {
            let from = day(span.start);
            let to = day(span.end).pred_opt().map(|it| it.max(from));
            let holder = Holder {
                priority: span.priority,
                member: span.member.clone(),
                relationship: span.owner,
                name: span.owner_name.clone(),
            };
            let payer = self.payers.get(&span.payer).map(|it| it.name.trim().to_owned()).unwrap_or_default();
            Run { payer, since: span.start, from, to, holder, rows: span.rows.clone() }
        };
        let mut runs: Vec<Run> = Vec::with_capacity(spans.len());
        for mut next in spans.iter().map(run) {
            let before = runs.pop_if(|it| it.holder.priority == next.holder.priority && it.from == next.from);
            next.rows.extend(before.into_iter().flat_map(|it| it.rows));
            runs.push(next);
        }
        runs
    }
}

/// Adds the payers, and the policies of each patient.
pub(super) async fn write(
    writer: &Writer<'_>,
    insurance: &Insurance,
    summary: &mut Summary,
    progress: &dyn Progress,
) -> Result<(), ImportError> {
    let address = |payer: &Payer| {
        let parts = [&payer.address, &payer.city, &payer.state_headquartered, &payer.zip];
        parts.into_iter().filter_map(|it| given(it)).collect::<Vec<_>>().join(", ")
    };
    let (payers, nobody): (Vec<_>, Vec<_>) = insurance.payers.values().partition(|it| !is_nobody(it));
    summary.skip(Payer::FILE, nobody.len().try_into().unwrap_or(u64::MAX), Reason::NoInsurance);
    let payers: Vec<_> = payers.into_iter().map(|it| (it, address(it))).collect();
    let steps = payers.iter().map(|(payer, address)| {
        let described = Described {
            id: Some(payer.id),
            name: payer.name.trim(),
            phone: given(&payer.phone),
            address: given(address),
            since: insurance.since(payer.id),
        };
        let place = insurance.places.get(&payer.id).cloned();
        single(place.into_iter().collect(), import_payer(writer, described).boxed())
    });
    writer.take(Payer::FILE, Box::new(steps), (summary, progress)).await?;
    let of_patients = insurance.spans.iter();
    let steps = of_patients
        .map(|(patient, spans)| import_policies(writer, *patient, insurance.runs(spans, writer.calendar.zone)).boxed());
    writer.take(Transition::FILE, Box::new(steps), (summary, progress)).await
}
