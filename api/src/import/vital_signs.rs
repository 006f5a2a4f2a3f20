//! Observation of a vital sign -> vital signs: one row for each encounter, time and performer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use hims_commands::vital_signs::{RecordVitalSigns, is_possible};
use hims_domain::Personal;
use hims_domain::consultation::Consultation;
use hims_domain::values::LongText;
use hims_domain::vital_signs::{Measurements, VitalSigns};
use uuid::Uuid;

use super::calendar::is_partial;
use super::datatypes::Reference;
use super::gather::{Found, Gathered};
use super::history::is_about_tobacco;
use super::kept::{Element, Kept};
use super::measurement::{Sign, read};
use super::reason::Reason;
use super::references::derived;
use super::resources::Observation;
use super::summary::{Fate, Place, Summary};
use super::writer::{Step, Stop, Writer};

/// The patient, the encounter, the time and the performer of a measurement. Observations of one moment become one
/// record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    patient: Uuid,
    encounter: Option<Uuid>,
    at: DateTime<Utc>,
    performer: Option<Uuid>,
}

/// What was measured at one moment.
#[derive(Default)]
pub(super) struct Row {
    measurements: Measurements,
    notes: Vec<String>,
    observations: Vec<Part>,
}

/// What one observation adds to a row.
struct Part {
    places: Vec<Place>,
    signs: Vec<Sign>,
    left_out: Vec<Element>,
}

/// The observations of vital signs that can be imported, by moment; the others are counted as skipped, but for those of
/// the laboratory.
pub(super) fn by_moment(
    writer: &Writer<'_>,
    gathered: &Gathered,
    of_laboratory: &BTreeSet<Uuid>,
    summary: &mut Summary,
) -> BTreeMap<Moment, Row> {
    let mut rows = BTreeMap::new();
    let others = gathered.observations.iter().filter(|it| !of_laboratory.contains(&it.id));
    for found in others.filter(|it| !is_about_tobacco(&it.resource)) {
        if let Err(reason) = add(writer, gathered, found, &mut rows) {
            summary.count("Observation", found.places.clone(), Fate::Skipped(reason));
        }
    }
    rows
}

fn add(
    writer: &Writer<'_>,
    gathered: &Gathered,
    found: &Found<Observation>,
    rows: &mut BTreeMap<Moment, Row>,
) -> Result<(), Reason> {
    found.check_copies()?;
    let observation = &found.resource;
    let measured = read(observation)?;
    check_status(observation)?;
    let mut alone = Measurements::default();
    for (sign, value) in &measured.values {
        *sign.place(&mut alone) = Some(*value);
    }
    if !is_possible(&alone) {
        return Err(Reason::Impossible);
    }
    let mut kept = found.kept();
    kept.leave_out_all("component", measured.left_out);
    if observation.value_codeable_concept.is_some() {
        kept.leave_out("valueCodeableConcept");
    }
    let patient = gathered.resolve("Patient", &found.origin, &observation.subject);
    let moment = Moment {
        patient: patient.and_then(|it| writer.persons.record(it)).ok_or(Reason::NoPatient)?,
        encounter: gathered.resolve("Encounter", &found.origin, &observation.encounter),
        at: writer.calendar.time(effective(observation, &mut kept)).ok_or(Reason::NoTime)?,
        performer: observation.performer.iter().find_map(|it| gathered.practitioner(&found.origin, it)),
    };
    let row: &mut Row = rows.entry(moment).or_default();
    let mut together = row.measurements.clone();
    if measured.values.iter().any(|(sign, _)| sign.place(&mut together).is_some()) {
        return Err(Reason::MeasuredTwice);
    }
    for (sign, value) in &measured.values {
        *sign.place(&mut row.measurements) = Some(*value);
    }
    row.notes.extend(notes(gathered, found, &mut kept));
    let signs = measured.values.into_iter().map(|(sign, _)| sign).collect();
    row.observations.push(Part { places: found.places.clone(), signs, left_out: kept.left_out });
    Ok(())
}

/// Checks that an observation was made, and that it is about the patient.
pub(super) fn check_status(observation: &Observation) -> Result<(), Reason> {
    match observation.status.as_str() {
        _ if !observation.focus.is_empty() => Err(Reason::OtherFocus),
        "final" | "amended" | "corrected" | "preliminary" => Ok(()),
        "entered-in-error" => Err(Reason::EnteredInError),
        "cancelled" | "registered" => Err(Reason::HasNotHappened),
        _ => Err(Reason::UnknownStatus),
    }
}

/// The time of a measurement, or else the time at which the observation was issued.
pub(super) fn effective<'a>(observation: &'a Observation, kept: &mut Kept) -> Option<&'a str> {
    let period = &observation.effective_period;
    let times = [&observation.effective_date_time, &observation.effective_instant, &period.start];
    let time = times.into_iter().find_map(Option::as_deref);
    if time.is_some() && observation.issued.is_some() {
        kept.leave_out("issued");
    }
    if period.end.is_some() {
        kept.leave_out("effectivePeriod.end");
    }
    if is_partial(time) {
        kept.leave_out("effectiveDateTime");
    }
    time.or(observation.issued.as_deref())
}

/// What the record says about a measurement in words: the notes, that the measurement is preliminary, and who measured
/// if not a practitioner. Performers who have no place are left out.
pub(super) fn notes(gathered: &Gathered, found: &Found<Observation>, kept: &mut Kept) -> Vec<String> {
    let observation = &found.resource;
    let mut notes: Vec<String> = observation.note.iter().filter_map(|it| it.text.clone()).collect();
    if observation.status == "preliminary" {
        notes.push("preliminary".to_owned());
    }
    let is_named = observation.performer.iter().any(|it| gathered.practitioner(&found.origin, it).is_some());
    let is_patient = |it: &Reference| gathered.resolve("Patient", &found.origin, it).is_some();
    let is_relative =
        |performer: &Reference| performer.reference.as_deref().is_some_and(|it| it.contains("RelatedPerson/"));
    let in_words = match is_named {
        false if observation.performer.iter().any(is_patient) => Some("measured by the patient"),
        false if observation.performer.iter().any(is_relative) => Some("measured by a relative"),
        _ => None,
    };
    let has_place = is_named || in_words.is_some();
    kept.leave_out_all("performer", observation.performer.len().saturating_sub(usize::from(has_place)));
    notes.extend(in_words.map(str::to_owned));
    notes
}

/// Records what was measured at one moment.
pub(super) async fn import(writer: &Writer<'_>, moment: Moment, mut row: Row) -> Step {
    let parts = std::mem::take(&mut row.observations);
    match record(writer, moment, row).await {
        Ok(Recorded::Now { without }) => {
            let fate = |left_out| Ok(Fate::Imported(left_out));
            parts.into_iter().map(|it| (it.places, fate([it.left_out, without.clone()].concat()))).collect()
        }
        Ok(Recorded::Before(there)) => parts
            .into_iter()
            .map(|part| {
                let mut there = there.measurements.clone();
                let are_there = part.signs.iter().all(|it| it.place(&mut there).is_some());
                (part.places, if are_there { Ok(Fate::AlreadyThere) } else { Err(Reason::RecordedWithout.into()) })
            })
            .collect(),
        Err(Stop::Skip(reason)) => parts.into_iter().map(|it| (it.places, Err(reason.into()))).collect(),
        Err(everything) => vec![(Vec::new(), Err(everything))],
    }
}

/// Where the vital signs of a moment are.
enum Recorded {
    /// In the record since now, without these elements of each observation.
    Now { without: Vec<Element> },
    /// In the record since an earlier import.
    Before(Arc<VitalSigns>),
}

/// Records the vital signs of a moment, unless vital signs of this moment were recorded before.
async fn record(writer: &Writer<'_>, moment: Moment, row: Row) -> Result<Recorded, Stop> {
    let Moment { patient, encounter, at, performer } = moment;
    let text = |id: Option<Uuid>| id.map(|it| it.to_string()).unwrap_or_default();
    let when = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let id = derived(&format!("vital-signs|{patient}|{}|{when}|{}", text(encounter), text(performer)));
    if let Some(there) = writer.existing::<VitalSigns>(id).await? {
        return Ok(Recorded::Before(there));
    }
    let (patient_id, _) = writer.recorded_patient(Some(patient)).await?.ok_or(Reason::NoPatient)?;
    let consultation = writer.referred::<Consultation>(encounter).await?;
    let (recorded_by, is_named) = writer.practitioner(performer).await?;
    let mut kept = Kept::default();
    if encounter.is_some() && consultation.is_none() {
        kept.leave_out("encounter");
    }
    if performer.is_some() && !is_named {
        kept.leave_out("performer");
    }
    let is_on_oxygen = row.measurements.oxygen_flow_rate.is_some_and(|it| !it.is_zero());
    let notes: Option<Personal<LongText>> = kept.joined("note", row.notes.iter().map(String::as_str));
    let command = RecordVitalSigns {
        id: Some(id.into()),
        patient_id: patient_id.into(),
        consultation_id: consultation.map(|(id, _)| id.into()),
        recorded_by: Some(recorded_by.into()),
        recorded_at: Some(at),
        measurements: Measurements { notes, oxygen_supplement: is_on_oxygen, ..row.measurements },
        confirm_extreme: true,
    };
    writer.execute(command, Some(at)).await?;
    Ok(Recorded::Now { without: kept.left_out })
}
