//! `AllergyIntolerance` -> allergy of a patient. An allergy that is no longer active is recorded and then retired.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use hims_commands::patient::{RecordAllergy, RetireAllergy};
use hims_domain::patient::{AllergenType, Allergy, Patient, Severity};
use hims_domain::user::User;
use hims_domain::values::LongText;
use hims_domain::{AllergyId, Personal};
use uuid::Uuid;

use super::bundle::AllergyIntolerance;
use super::datatypes::{date, time};
use super::gather::{Found, Gathered};
use super::kept::Kept;
use super::medication::RXNORM;
use super::reason::Reason;
use super::summary::Fate;
use super::writer::{Step, Stop, Writer};

/// The allergies by patient. The allergies of one patient share a stream, so they are written one after the other.
pub(super) fn by_patient(gathered: &Gathered) -> BTreeMap<Option<Uuid>, Vec<&Found<AllergyIntolerance>>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for found in gathered.allergies.iter() {
        let patient = gathered.references.resolve("Patient", &found.resource.patient);
        groups.entry(patient).or_default().push(found);
    }
    groups
}

/// Records the allergies of a patient.
pub(super) async fn import(
    writer: &Writer<'_>,
    gathered: &Gathered,
    patient: Option<Uuid>,
    allergies: Vec<&Found<AllergyIntolerance>>,
) -> Step {
    let mut step = Step::with_capacity(allergies.len());
    let patient = match writer.referred::<Patient>(patient).await {
        Ok(patient) => patient,
        Err(Stop::Skip(reason)) => {
            return allergies.iter().map(|it| (it.copies, Err(reason.into()))).collect();
        }
        Err(everything) => return vec![(1, Err(everything))],
    };
    for found in allergies {
        let fate = match &patient {
            _ if entered_in_error(&found.resource) => Ok(Fate::Skipped(Reason::EnteredInError)),
            None => Ok(Fate::Skipped(Reason::NoPatient)),
            Some((_, state)) if state.retired_allergies.contains(&found.id.into()) => Ok(Fate::AlreadyThere),
            Some((id, state)) if state.allergies.contains_key(&found.id.into()) => {
                // An earlier import may have been interrupted before this step, or the allergy has ended since.
                retire(writer, *id, found).await.map(|()| Fate::AlreadyThere)
            }
            Some((id, _)) => record(writer, gathered, *id, found).await,
        };
        step.push((found.copies, fate));
    }
    step
}

async fn record(
    writer: &Writer<'_>,
    gathered: &Gathered,
    patient: Uuid,
    found: &Found<AllergyIntolerance>,
) -> Result<Fate, Stop> {
    let resource = &found.resource;
    let mut kept = Kept::default();
    let name = resource.code.as_ref().and_then(|it| it.words());
    let recorder = resource.recorder.as_ref().and_then(|it| gathered.references.resolve("Practitioner", it));
    let reactions = resource.reaction.iter().flat_map(|reaction| {
        reaction.manifestation.iter().filter_map(|it| it.words()).chain(reaction.description.as_deref())
    });
    let allergy = Allergy {
        allergen_type: allergen_type(&resource.category),
        allergen_name: kept.personal("code", name).ok_or(Reason::NoName)?,
        rxnorm_code: kept.personal("code", resource.code.as_ref().and_then(|it| it.codes_in(RXNORM).next())),
        severity: severity(resource),
        reaction_description: kept.joined("reaction", reactions),
        onset_date: onset(resource).map(Personal::Known),
        reported_by: writer.referred::<User>(recorder).await?.map(|(id, _)| id.into()),
    };
    let (patient_id, allergy_id) = (patient.into(), Some(AllergyId(found.id)));
    // Files may hold a substance twice, with different reactions. Nothing of it is lost, and nobody can be asked.
    let record = RecordAllergy { patient_id, allergy_id, allergy, confirm_not_duplicate: true };
    writer.execute(record, recorded_at(resource)).await?;
    retire(writer, patient, found).await?;
    Ok(Fate::Imported(kept.left_out))
}

/// Retires an allergy that is no longer active.
async fn retire(writer: &Writer<'_>, patient: Uuid, found: &Found<AllergyIntolerance>) -> Result<(), Stop> {
    let resource = &found.resource;
    let status = resource.clinical_status.as_ref().and_then(|it| it.coding.first()?.code.as_deref());
    let Some(status @ ("inactive" | "resolved")) = status else { return Ok(()) };
    let (patient_id, allergy_id) = (patient.into(), AllergyId(found.id));
    let reason = Personal::Known(LongText::from(status));
    writer.execute(RetireAllergy { patient_id, allergy_id, reason }, recorded_at(resource)).await
}

fn recorded_at(resource: &AllergyIntolerance) -> Option<DateTime<Utc>> {
    time(resource.recorded_date.as_deref().or(resource.onset_date_time.as_deref()))
}

fn entered_in_error(resource: &AllergyIntolerance) -> bool {
    let status = resource.verification_status.as_ref();
    status.is_some_and(|it| it.has_code("entered-in-error") || it.has_code("refuted"))
}

fn onset(resource: &AllergyIntolerance) -> Option<NaiveDate> {
    let text = resource.onset_date_time.as_deref()?;
    // The day is taken as it is written: converted to UTC, the day could become another one.
    date(text.get(..10))
}

fn allergen_type(categories: &[String]) -> AllergenType {
    match categories.first().map(String::as_str) {
        Some("medication") => AllergenType::Drug,
        Some("food") => AllergenType::Food,
        Some("environment") => AllergenType::Environmental,
        Some("biologic") => AllergenType::Biologic,
        _ => AllergenType::Other,
    }
}

/// The severity of the worst reaction. A high criticality means that the next reaction may threaten the patient's life.
fn severity(resource: &AllergyIntolerance) -> Option<Severity> {
    if resource.criticality.as_deref() == Some("high") {
        return Some(Severity::LifeThreatening);
    }
    let of = |severity: &str| match severity {
        "mild" => Some(Severity::Mild),
        "moderate" => Some(Severity::Moderate),
        "severe" => Some(Severity::Severe),
        _ => None,
    };
    resource.reaction.iter().filter_map(|it| of(it.severity.as_deref()?)).max()
}
