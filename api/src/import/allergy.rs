//! `AllergyIntolerance` -> allergy of a patient. An allergy that is no longer active is recorded and then retired.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use hims_commands::patient::{RecordAllergy, RetireAllergy};
use hims_domain::patient::{AllergenType, Allergy, Severity};
use hims_domain::user::User;
use hims_domain::values::Text;
use hims_domain::values::coding::RXNORM;
use hims_domain::{AllergyId, Personal};
use uuid::Uuid;

use super::calendar::date;
use super::datatypes::CodeableConcept;
use super::gather::{Found, Gathered};
use super::negation::is_absence;
use super::reason::Reason;
use super::resources::AllergyIntolerance;
use super::summary::Fate;
use super::writer::{Step, Stop, Writer};

/// The allergies by patient. The allergies of one patient share a stream, so they are written one after the other.
pub(super) fn by_patient<'g>(
    writer: &Writer<'_>,
    gathered: &'g Gathered,
) -> BTreeMap<Option<Uuid>, Vec<&'g Found<AllergyIntolerance>>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for found in gathered.allergies.iter() {
        let patient = gathered.resolve("Patient", &found.origin, &found.resource.patient);
        groups.entry(patient.and_then(|it| writer.persons.record(it))).or_default().push(found);
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
    let patient = match writer.recorded_patient(patient).await {
        Ok(patient) => patient,
        Err(Stop::Skip(reason)) => {
            return allergies.iter().map(|it| (it.places.clone(), Err(reason.into()))).collect();
        }
        Err(everything) => return vec![(Vec::new(), Err(everything))],
    };
    for found in allergies {
        if let Err(reason) = check(found) {
            step.push((found.places.clone(), Err(reason.into())));
            continue;
        }
        let fate = match &patient {
            None => Ok(Fate::Skipped(Reason::NoPatient)),
            Some((_, state)) if state.retired_allergies.contains(&found.id.into()) => Ok(Fate::AlreadyThere),
            Some((id, state)) => match state.allergies.get(&found.id.into()) {
                Some(there) if !is_same(there, found) => Ok(Fate::Skipped(Reason::OtherRecord)),
                // An earlier import may have been interrupted before this step, or the allergy has ended since.
                Some(_) => retire(writer, *id, found).await.map(|()| Fate::AlreadyThere),
                None => record(writer, gathered, *id, found).await,
            },
        };
        step.push((found.places.clone(), fate));
    }
    step
}

/// Checks that a resource says that the patient has, or had, an allergy.
fn check(found: &Found<AllergyIntolerance>) -> Result<(), Reason> {
    found.check_copies()?;
    let resource = &found.resource;
    let is_one_of = |status: &Option<CodeableConcept>, codes: &[&str]| {
        status.as_ref().is_none_or(|it| codes.iter().any(|code| has_status(it, code)))
    };
    let verified = &resource.verification_status;
    if verified.is_some() && is_one_of(verified, &["entered-in-error", "refuted"]) {
        return Err(Reason::EnteredInError);
    }
    if resource.code.as_ref().is_some_and(is_absence) {
        return Err(Reason::NoKnownAllergy);
    }
    let is_known = is_one_of(&resource.clinical_status, &["active", "inactive", "resolved"])
        && is_one_of(verified, &["unconfirmed", "presumed", "confirmed"]);
    if is_known { Ok(()) } else { Err(Reason::UnknownStatus) }
}

/// Whether a status is given as a code, or in a single word without a code.
fn has_status(status: &CodeableConcept, code: &str) -> bool {
    status.has_code(code) || status.coding.is_empty() && status.words().is_some_and(|it| it.eq_ignore_ascii_case(code))
}

/// Whether an allergy of the record is that of a resource. A global id names one allergy in the whole world.
fn is_same(there: &Allergy, found: &Found<AllergyIntolerance>) -> bool {
    let words = found.resource.code.as_ref().and_then(|it| it.words());
    found.is_global || there.allergen_name.known().map(Text::as_str) == words
}

async fn record(
    writer: &Writer<'_>,
    gathered: &Gathered,
    patient: Uuid,
    found: &Found<AllergyIntolerance>,
) -> Result<Fate, Stop> {
    let resource = &found.resource;
    let mut kept = found.kept();
    let name = kept.words("code", resource.code.as_ref());
    let recorder = resource.recorder.as_ref().and_then(|it| gathered.practitioner(&found.origin, it));
    let reported_by = writer.referred::<User>(recorder).await?.map(|(id, _)| id.into());
    if resource.recorder.is_some() && reported_by.is_none() {
        kept.leave_out("recorder");
    }
    let mut reactions =
        kept.all_words("reaction.manifestation", resource.reaction.iter().flat_map(|it| &it.manifestation));
    reactions.extend(resource.reaction.iter().filter_map(|it| it.description.as_deref()));
    kept.leave_out_all("category", resource.category.len().saturating_sub(1));
    if resource.criticality.as_deref().is_some_and(|it| it != "high") {
        kept.leave_out("criticality");
    }
    if resource.verification_status.as_ref().is_some_and(|it| !has_status(it, "confirmed")) {
        kept.leave_out("verificationStatus");
    }
    let onset = onset(resource);
    if resource.onset_date_time.is_some() && onset.is_none() {
        kept.leave_out("onsetDateTime");
    }
    let allergy = Allergy {
        allergen_type: allergen_type(&resource.category),
        allergen_name: kept.personal("code", name).ok_or(Reason::NoName)?,
        rxnorm_code: kept.personal("code", resource.code.as_ref().and_then(|it| it.codes_in(RXNORM).next())),
        code_system: None,
        code: None,
        severity: severity(resource),
        reaction_description: kept.joined("reaction", reactions),
        onset_date: onset.map(Personal::Known),
        reported_by,
    };
    let (patient_id, allergy_id) = (patient.into(), Some(AllergyId(found.id)));
    // Files may hold a substance twice, with different reactions. Nothing of it is lost, and nobody can be asked.
    let record = RecordAllergy { patient_id, allergy_id, allergy, confirm_not_duplicate: true };
    writer.execute(record, recorded_at(writer, resource)).await?;
    retire(writer, patient, found).await?;
    Ok(Fate::Imported(kept.left_out))
}

/// Retires an allergy that is no longer active.
async fn retire(writer: &Writer<'_>, patient: Uuid, found: &Found<AllergyIntolerance>) -> Result<(), Stop> {
    let resource = &found.resource;
    let has = |code: &&str| resource.clinical_status.as_ref().is_some_and(|it| has_status(it, code));
    let Some(status) = ["inactive", "resolved"].into_iter().find(has) else { return Ok(()) };
    let (patient_id, allergy_id) = (patient.into(), AllergyId(found.id));
    let reason = Personal::Known(Text::from(status));
    let command = RetireAllergy { patient_id, allergy_id, reason };
    writer.execute(command, recorded_at(writer, resource)).await
}

fn recorded_at(writer: &Writer<'_>, resource: &AllergyIntolerance) -> Option<DateTime<Utc>> {
    writer.calendar.time(resource.recorded_date.as_deref().or(resource.onset_date_time.as_deref()))
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
