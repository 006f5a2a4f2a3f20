//! What the files tell of the laboratory: which tests were done for whom and when, with which values.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use hims_domain::Personal;
use hims_domain::values::LongText;
use hims_domain::values::coding::LOINC;
use uuid::Uuid;

use super::super::calendar::is_partial;
use super::super::datatypes::{CodeableConcept, Reference};
use super::super::gather::{Found, Gathered};
use super::super::kept::Element;
use super::super::measurement::{is_laboratory, is_vital};
use super::super::reason::Reason;
use super::super::references::Origin;
use super::super::resources::{DiagnosticReport, Observation};
use super::super::summary::{Fate, Place, Summary};
use super::super::vital_signs::{check_status, effective, notes};
use super::super::writer::Writer;
use super::values::{Value, values};
use super::{Occasion, Occasions};

/// The code of LOINC for a certificate of death.
const DEATH_CERTIFICATE: &str = "69409-1";

/// A test with its values, as a report or an observation tells of it.
pub(super) struct Told<'g> {
    /// The id of the report or the observation, which becomes that of the result.
    pub(super) id: Uuid,
    pub(super) is_global: bool,
    /// The code of LOINC, and the name.
    pub(super) code: &'g str,
    pub(super) name: &'g str,
    pub(super) is_final: bool,
    pub(super) values: Vec<Value<'g>>,
    pub(super) notes: Option<Personal<LongText>>,
    pub(super) performer: Option<Uuid>,
    /// Where the copies of the report stand, and what the record cannot keep of it; `None` for an observation that
    /// stands alone.
    pub(super) report: Option<(Vec<Place>, Vec<Element>)>,
    /// For each observation, where its copies stand, and what the record cannot keep of it.
    pub(super) observations: Vec<(Vec<Place>, Vec<Element>)>,
}

/// What the files tell of the laboratory.
#[derive(Default)]
pub(in super::super) struct Laboratory<'g> {
    pub(super) occasions: Occasions<'g>,
    /// The observations that are in the occasions, or were counted as skipped. They are no vital signs.
    pub(in super::super) observations: BTreeSet<Uuid>,
}

impl<'g> Laboratory<'g> {
    /// Reads reports first, and then the observations of laboratories that are in no report. What cannot be imported is
    /// counted as skipped.
    pub(in super::super) fn of(writer: &Writer<'_>, gathered: &'g Gathered, summary: &mut Summary) -> Self {
        let mut laboratory = Self::default();
        for found in gathered.reports.iter() {
            let members = laboratory.members(gathered, found);
            let read = report(writer, gathered, found, &members);
            let is_of_laboratory = !matches!(read, Err(Reason::NotPartOfTheRecord | Reason::DeathCertificate));
            if is_of_laboratory {
                laboratory.observations.extend(members.iter().map(|it| it.id));
            }
            match read {
                Ok((occasion, told)) => laboratory.occasions.entry(occasion).or_default().push(told),
                Err(reason) => {
                    summary.count("DiagnosticReport", found.places.clone(), Fate::Skipped(reason));
                    for member in members.iter().filter(|_| is_of_laboratory) {
                        summary.count("Observation", member.places.clone(), Fate::Skipped(reason));
                    }
                }
            }
        }
        for found in gathered.observations.iter().filter(|it| is_laboratory(&it.resource)) {
            if !laboratory.observations.insert(found.id) {
                continue;
            }
            match observation(writer, gathered, found) {
                Ok((occasion, told)) => laboratory.occasions.entry(occasion).or_default().push(told),
                Err(reason) => summary.count("Observation", found.places.clone(), Fate::Skipped(reason)),
            }
        }
        laboratory
    }

    /// The observations of a report that are in no report before it. Vital signs that a report mentions are recorded as
    /// vital signs.
    fn members(&self, gathered: &'g Gathered, report: &Found<DiagnosticReport>) -> Vec<&'g Found<Observation>> {
        let mut seen = BTreeSet::new();
        let resolved = report.resource.result.iter().filter_map(|it| {
            let id = gathered.resolve("Observation", &report.origin, it)?;
            gathered.observations.get(id).filter(|_| seen.insert(id))
        });
        resolved.filter(|it| !self.observations.contains(&it.id) && !is_vital(&it.resource)).collect()
    }
}

/// The code of LOINC of a test, and its name.
fn test(concept: &CodeableConcept) -> Result<(&str, &str), Reason> {
    let code = concept.codes_in(LOINC).next().ok_or(Reason::NoCode)?;
    Ok((code, concept.words().unwrap_or(code)))
}

/// Who was tested, in which encounter and when.
fn occasion(
    writer: &Writer<'_>,
    gathered: &Gathered,
    origin: &Origin,
    (subject, encounter): (&Reference, &Reference),
    at: Option<DateTime<Utc>>,
) -> Result<Occasion, Reason> {
    let patient = gathered.resolve("Patient", origin, subject);
    let at = at.ok_or(Reason::NoTime)?;
    if writer.is_future(at) {
        return Err(Reason::InTheFuture);
    }
    Ok(Occasion {
        patient: patient.and_then(|it| writer.persons.record(it)).ok_or(Reason::NoPatient)?,
        encounter: gathered.resolve("Encounter", origin, encounter),
        at,
    })
}

/// Reads a report.
fn report<'g>(
    writer: &Writer<'_>,
    gathered: &'g Gathered,
    found: &'g Found<DiagnosticReport>,
    members: &[&'g Found<Observation>],
) -> Result<(Occasion, Told<'g>), Reason> {
    let report = &found.resource;
    if report.code.codes_in(LOINC).any(|it| it == DEATH_CERTIFICATE) {
        return Err(Reason::DeathCertificate);
    }
    let is_of_laboratory = report.category.iter().any(|it| it.has_code("LAB"))
        || !members.is_empty() && members.iter().all(|it| is_laboratory(&it.resource));
    if !is_of_laboratory {
        return Err(Reason::NotPartOfTheRecord);
    }
    found.check_copies()?;
    let is_final = match report.status.as_str() {
        "final" | "amended" | "corrected" | "appended" => true,
        "preliminary" | "partial" => false,
        "entered-in-error" => return Err(Reason::EnteredInError),
        "registered" | "cancelled" => return Err(Reason::HasNotHappened),
        _ => return Err(Reason::UnknownStatus),
    };
    let (code, name) = test(&report.code)?;
    let mut kept = found.kept();
    kept.leave_out_all("code.coding", report.code.coding.len() - 1);
    let effective = report.effective_date_time.as_deref().or(report.effective_period.start.as_deref());
    if effective.is_some() && report.issued.is_some() {
        kept.leave_out("issued");
    }
    let at = effective.or(report.issued.as_deref());
    if is_partial(at) {
        kept.leave_out("effectiveDateTime");
    }
    let occasion =
        occasion(writer, gathered, &found.origin, (&report.subject, &report.encounter), writer.calendar.time(at))?;
    kept.leave_out_all("result", report.result.len() - members.len());
    let (mut of_all, mut said, mut observations) = (Vec::new(), Vec::new(), Vec::new());
    for member in members {
        member.check_copies()?;
        check_status(&member.resource)?;
        let mut kept = member.kept();
        of_all.extend(values(&member.resource, &mut kept)?);
        said.extend(notes(gathered, member, &mut kept));
        if member.resource.issued.is_some() {
            kept.leave_out("issued");
        }
        observations.push((member.places.clone(), kept.left_out));
    }
    if of_all.is_empty() {
        return Err(Reason::NoValue);
    }
    let performer = report.performer.iter().find_map(|it| gathered.practitioner(&found.origin, it));
    kept.leave_out_all("performer", report.performer.len() - usize::from(performer.is_some()));
    let said = report.conclusion.as_deref().into_iter().chain(said.iter().map(String::as_str));
    let notes = kept.joined("conclusion", said);
    Ok((
        occasion,
        Told {
            id: found.id,
            is_global: found.is_global,
            code,
            name,
            is_final,
            values: of_all,
            notes,
            performer,
            report: Some((found.places.clone(), kept.left_out)),
            observations,
        },
    ))
}

/// Reads an observation that stands alone.
fn observation<'g>(
    writer: &Writer<'_>,
    gathered: &'g Gathered,
    found: &'g Found<Observation>,
) -> Result<(Occasion, Told<'g>), Reason> {
    let observation = &found.resource;
    found.check_copies()?;
    check_status(observation)?;
    let (code, name) = test(&observation.code)?;
    let mut kept = found.kept();
    let values = values(observation, &mut kept)?;
    let at = writer.calendar.time(effective(observation, &mut kept));
    let of = (&observation.subject, &observation.encounter);
    let occasion = occasion(writer, gathered, &found.origin, of, at)?;
    let notes = notes(gathered, found, &mut kept);
    let notes = kept.joined("note", notes.iter().map(String::as_str));
    let performer = observation.performer.iter().find_map(|it| gathered.practitioner(&found.origin, it));
    Ok((
        occasion,
        Told {
            id: found.id,
            is_global: found.is_global,
            code,
            name,
            is_final: observation.status != "preliminary",
            values,
            notes,
            performer,
            report: None,
            observations: vec![(found.places.clone(), kept.left_out)],
        },
    ))
}
