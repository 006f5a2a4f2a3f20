//! `Immunization`, and the `Observation` of a tobacco status -> entries of the medical history.

use chrono::{DateTime, Utc};
use hims_commands::medical_history::RecordMedicalHistory;
use hims_domain::Personal;
use hims_domain::medical_history::{Entry, HistoryType, MedicalHistory, Source};
use hims_domain::values::coding::{CVX, LOINC, read_code};
use hims_domain::values::{PartialDate, Text};
use uuid::Uuid;

use super::calendar::partial_date;
use super::datatypes::{CodeableConcept, Coding};
use super::gather::{Found, Gathered};
use super::kept::Kept;
use super::negation::says_absence;
use super::reason::Reason;
use super::resources::{Immunization, Observation};
use super::summary::Fate;
use super::vital_signs::{check_status, effective, notes};
use super::writer::{Stop, Writer};

/// The code of LOINC for whether, and how much, somebody smokes.
const TOBACCO: &str = "72166-2";

/// Whether an observation is about tobacco.
pub(super) fn is_about_tobacco(observation: &Observation) -> bool {
    observation.code.codes_in(LOINC).any(|it| it == TOBACCO)
}

/// An entry as a resource tells of it, and when it was made.
struct Told {
    entry: Entry,
    at: Option<DateTime<Utc>>,
    /// The user who is named as having recorded it.
    by: Option<Uuid>,
}

/// Records an immunization.
pub(super) async fn immunization(
    writer: &Writer<'_>,
    gathered: &Gathered,
    found: &Found<Immunization>,
) -> Result<Fate, Stop> {
    writer.check_copies(found)?;
    let immunization = &found.resource;
    match immunization.status.as_str() {
        "completed" => {}
        "entered-in-error" => return Err(Reason::EnteredInError.into()),
        "not-done" => return Err(Reason::HasNotHappened.into()),
        _ => return Err(Reason::UnknownStatus.into()),
    }
    let vaccine = &immunization.vaccine_code;
    if says_absence(vaccine) {
        return Err(Reason::NothingKnown.into());
    }
    let mut kept = found.kept();
    let (code_system, code) = coded(vaccine, CVX, "vaccineCode.coding", &mut kept);
    let occurred = immunization.occurrence_date_time.as_deref();
    if occurred.is_none() && immunization.occurrence_string.is_none() {
        return Err(Reason::NoTime.into());
    }
    let subpotent = immunization.is_subpotent.filter(|it| *it).map(|_| "the dose was subpotent");
    let told = immunization.note.iter().filter_map(|it| it.text.as_deref());
    let said = told.chain(immunization.occurrence_string.as_deref()).chain(subpotent);
    let site = kept.words("site", immunization.site.as_ref());
    let route = kept.words("route", immunization.route.as_ref());
    let mut doses = immunization.protocol_applied.iter().filter_map(|it| it.dose_number_positive_int);
    let dose_number = doses.next().filter(|it| (1..=99).contains(it));
    kept.leave_out_all("protocolApplied", immunization.protocol_applied.len() - usize::from(dose_number.is_some()));
    let by = immunization.performer.iter().find_map(|it| gathered.practitioner(&found.origin, &it.actor));
    kept.leave_out_all("performer", immunization.performer.len() - usize::from(by.is_some()));
    let entry = Entry {
        history_type: HistoryType::Immunization,
        code_system,
        code,
        description: kept.personal("vaccineCode", vaccine.words()).ok_or(Reason::NoName)?,
        family_relationship: None,
        clinical_status: None,
        onset_date: day("occurrenceDateTime", occurred, &mut kept),
        onset_precision: None,
        resolved_date: None,
        lot_number: kept.text("lotNumber", immunization.lot_number.as_deref()),
        dose_number,
        site: kept.text("site", site),
        route: kept.text("route", route),
        source: Source::Import,
        notes: kept.joined("note", said),
    };
    let told = Told { entry, at: writer.calendar.time(occurred), by };
    let patient = gathered.resolve("Patient", &found.origin, &immunization.patient);
    record(writer, (found.id, found.is_global), patient, told, kept).await
}

/// Records whether, and how much, somebody smokes.
pub(super) async fn tobacco(
    writer: &Writer<'_>,
    gathered: &Gathered,
    found: &Found<Observation>,
) -> Result<Fate, Stop> {
    writer.check_copies(found)?;
    let observation = &found.resource;
    check_status(observation)?;
    let mut kept = found.kept();
    let value = kept.words("valueCodeableConcept", observation.value_codeable_concept.as_ref());
    let value = value.ok_or(Reason::NoValue)?;
    let question = observation.code.words().unwrap_or("Tobacco smoking status");
    let (code_system, code) = coded(&observation.code, LOINC, "code.coding", &mut kept);
    let measured = [observation.value_quantity.is_some(), observation.value_integer.is_some()];
    kept.leave_out_all("value", measured.into_iter().filter(|it| *it).count());
    kept.leave_out_all("component", observation.component.len());
    if observation.encounter.reference.is_some() {
        kept.leave_out("encounter");
    }
    let occurred = effective(observation, &mut kept).ok_or(Reason::NoTime)?;
    let notes = notes(gathered, found, &mut kept);
    let by = observation.performer.iter().find_map(|it| gathered.practitioner(&found.origin, it));
    let entry = Entry {
        history_type: HistoryType::Social,
        code_system,
        code,
        description: kept.personal("code", Some(&format!("{question}: {value}"))).ok_or(Reason::NoName)?,
        family_relationship: None,
        clinical_status: None,
        onset_date: day("effectiveDateTime", Some(occurred), &mut kept),
        onset_precision: None,
        resolved_date: None,
        lot_number: None,
        dose_number: None,
        site: None,
        route: None,
        source: Source::Import,
        notes: kept.joined("note", notes.iter().map(String::as_str)),
    };
    let told = Told { entry, at: Some(writer.calendar.time(Some(occurred)).ok_or(Reason::NoTime)?), by };
    let patient = gathered.resolve("Patient", &found.origin, &observation.subject);
    record(writer, (found.id, found.is_global), patient, told, kept).await
}

/// The day of a time, as it is written: converted to UTC, the day could become another one.
fn day(element: &'static str, text: Option<&str>, kept: &mut Kept) -> Option<Personal<PartialDate>> {
    kept.parsed(element, text, partial_date).map(Personal::Known)
}

/// The code of a concept, in a code system if it has such a code, or else the first code; the others are left out.
pub(super) fn coded(
    concept: &CodeableConcept,
    system: &str,
    element: &'static str,
    kept: &mut Kept,
) -> (Option<Text<100>>, Option<Text<20>>) {
    let is_of_system = |it: &&Coding| it.system.as_deref() == Some(system);
    let coding = concept.coding.iter().find(is_of_system).or(concept.coding.first());
    let read = coding.and_then(|it| {
        let system: Text<100> = Kept::default().text(element, it.system.as_deref())?;
        let code = read_code(system.as_str(), it.code.as_deref()?).ok()?;
        Some((system, Kept::default().text(element, Some(&code))?))
    });
    kept.leave_out_all(element, concept.coding.len() - usize::from(read.is_some()));
    read.unzip()
}

/// Records an entry, unless an earlier import has recorded it.
async fn record(
    writer: &Writer<'_>,
    (id, is_global): (Uuid, bool),
    patient: Option<Uuid>,
    told: Told,
    mut kept: Kept,
) -> Result<Fate, Stop> {
    let there = writer.existing::<MedicalHistory>(id).await?;
    let patient = writer.patient(patient).await;
    if let Some(there) = there {
        let is_same = patient.is_ok_and(|(id, _)| id == there.patient_id.0);
        if !is_same || !is_global && there.entry.description != told.entry.description {
            return Err(Reason::OtherRecord.into());
        }
        return Ok(Fate::AlreadyThere);
    }
    let (patient_id, _) = patient?;
    let (recorded_by, is_named) = writer.practitioner(told.by).await?;
    if told.by.is_some() && !is_named {
        kept.leave_out("performer");
    }
    let command = RecordMedicalHistory {
        id: Some(id.into()),
        patient_id: patient_id.into(),
        recorded_by: Some(recorded_by.into()),
        entry: told.entry,
        // Files may hold an immunization twice, and nobody can be asked.
        confirm_not_duplicate: true,
    };
    writer.execute(command, told.at).await?;
    Ok(Fate::Imported(kept.left_out))
}
