//! Observation of category vital-signs -> vital signs: one row for each encounter and time.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use hims_commands::vital_signs::{RecordVitalSigns, is_possible};
use hims_domain::consultation::Consultation;
use hims_domain::patient::Patient;
use hims_domain::user::User;
use hims_domain::vital_signs::{Measurements, VitalSigns};
use uuid::Uuid;

use super::bundle::Observation;
use super::datatypes::time;
use super::gather::{Found, Gathered};
use super::measurement::{Sign, read};
use super::reason::Reason;
use super::references::derived;
use super::summary::{Fate, Summary};
use super::writer::{Step, Stop, Writer};

/// The patient, the encounter and the time of a measurement. Observations of one moment become one record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    patient: Uuid,
    encounter: Option<Uuid>,
    at: DateTime<Utc>,
}

/// What was measured at one moment.
#[derive(Default)]
pub(super) struct Row {
    measurements: Measurements,
    performer: Option<Uuid>,
    /// For each observation, the number of its copies and the vital signs that the observation measured.
    observations: Vec<(u64, Vec<Sign>)>,
}

/// The observations that can be imported, by moment; the others are counted as skipped.
pub(super) fn by_moment(gathered: &Gathered, summary: &mut Summary) -> BTreeMap<Moment, Row> {
    let mut rows = BTreeMap::new();
    for found in gathered.observations.iter() {
        if let Err(reason) = add(gathered, found, &mut rows) {
            summary.count("Observation", found.copies, Fate::Skipped(reason));
        }
    }
    rows
}

fn add(gathered: &Gathered, found: &Found<Observation>, rows: &mut BTreeMap<Moment, Row>) -> Result<(), Reason> {
    let observation = &found.resource;
    if !observation.category.iter().any(|category| category.has_code("vital-signs")) {
        return Err(Reason::NotPartOfTheRecord);
    }
    match observation.status.as_str() {
        "entered-in-error" => return Err(Reason::EnteredInError),
        "cancelled" | "registered" => return Err(Reason::HasNotHappened),
        _ => {}
    }
    let measured = read(observation)?;
    let mut alone = Measurements::default();
    for (sign, value) in &measured {
        *sign.place(&mut alone) = Some(*value);
    }
    if !is_possible(&alone) {
        return Err(Reason::Impossible);
    }
    let period = &observation.effective_period;
    let times = [&observation.effective_date_time, &observation.effective_instant, &period.start, &observation.issued];
    let moment = Moment {
        patient: gathered.references.resolve("Patient", &observation.subject).ok_or(Reason::NoPatient)?,
        encounter: gathered.references.resolve("Encounter", &observation.encounter),
        at: time(times.into_iter().find_map(Option::as_deref)).ok_or(Reason::NoTime)?,
    };
    let row: &mut Row = rows.entry(moment).or_default();
    let mut together = row.measurements.clone();
    if measured.iter().any(|(sign, _): &(Sign, _)| sign.place(&mut together).is_some()) {
        return Err(Reason::MeasuredTwice);
    }
    for (sign, value) in &measured {
        *sign.place(&mut row.measurements) = Some(*value);
    }
    row.performer = row.performer.or_else(|| {
        observation.performer.iter().find_map(|performer| gathered.references.resolve("Practitioner", performer))
    });
    row.observations.push((found.copies, measured.into_iter().map(|(sign, _)| sign).collect()));
    Ok(())
}

/// Records what was measured at one moment.
pub(super) async fn import(writer: &Writer<'_>, moment: Moment, mut row: Row) -> Step {
    let observations = std::mem::take(&mut row.observations);
    let each = |fate: &dyn Fn(&[Sign]) -> Result<Fate, Stop>| {
        observations.iter().map(|(copies, signs)| (*copies, fate(signs))).collect()
    };
    match record(writer, moment, row).await {
        Ok(None) => each(&|_| Ok(Fate::Imported(Vec::new()))),
        Ok(Some(there)) => each(&|signs| {
            let mut there = there.measurements.clone();
            let are_there = signs.iter().all(|it| it.place(&mut there).is_some());
            if are_there { Ok(Fate::AlreadyThere) } else { Err(Reason::RecordedWithout.into()) }
        }),
        Err(Stop::Skip(reason)) => each(&|_| Err(reason.into())),
        Err(everything) => vec![(1, Err(everything))],
    }
}

/// Records the vital signs of a moment. If vital signs of this moment were recorded before, those are answered instead.
async fn record(writer: &Writer<'_>, moment: Moment, row: Row) -> Result<Option<Arc<VitalSigns>>, Stop> {
    let Moment { patient, encounter, at } = moment;
    let where_from = encounter.map(|it| it.to_string()).unwrap_or_default();
    let when = at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let id = derived(&format!("vital-signs|{patient}|{where_from}|{when}"));
    if let Some(there) = writer.existing::<VitalSigns>(id).await? {
        return Ok(Some(there));
    }
    let patient = writer.referred::<Patient>(Some(patient)).await?;
    let (patient_id, _) = patient.ok_or(Reason::NoPatient)?;
    let consultation = writer.referred::<Consultation>(encounter).await?;
    let provider = row.performer.or_else(|| consultation.as_ref().map(|(_, it)| it.provider_id.0));
    let (recorded_by, _) = writer.referred::<User>(provider).await?.ok_or(Reason::NoPractitioner)?;
    let command = RecordVitalSigns {
        id: Some(id.into()),
        patient_id: patient_id.into(),
        consultation_id: consultation.map(|(id, _)| id.into()),
        recorded_by: Some(recorded_by.into()),
        recorded_at: Some(at),
        measurements: row.measurements,
        confirm_extreme: true,
    };
    writer.execute(command, Some(at)).await?;
    Ok(None)
}
