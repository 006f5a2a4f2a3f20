//! Condition -> diagnosis of a consultation. A condition that is over is recorded as it was in the consultation, and
//! ended at the time of its end.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use hims_commands::consultation::{ChangeDiagnosis, RecordDiagnosis};
use hims_domain::consultation::{
    ClinicalStatus, Consultation, Diagnosis, DiagnosisType, RankedDiagnosis, VerificationStatus,
};
use hims_domain::user::User;
use hims_domain::values::Text;
use hims_domain::values::coding::{ICD_10_CM, SNOMED_CT};
use hims_domain::{DiagnosisId, Personal};
use serde_json::json;
use uuid::Uuid;

use super::calendar::date;
use super::datatypes::CodeableConcept;
use super::gather::{Found, Gathered};
use super::kept::Kept;
use super::negation::says_absence;
use super::reason::Reason;
use super::resources::Condition;
use super::summary::Fate;
use super::writer::{Step, Stop, Writer};

/// The conditions by encounter. The diagnoses of one encounter share a stream, so they are written one after the other,
/// in the order of time.
pub(super) fn by_encounter<'g>(
    writer: &Writer<'_>,
    gathered: &'g Gathered,
) -> BTreeMap<Option<Uuid>, Vec<&'g Found<Condition>>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for found in gathered.conditions.iter() {
        let encounter = gathered.resolve("Encounter", &found.origin, &found.resource.encounter);
        groups.entry(encounter).or_default().push(found);
    }
    for conditions in groups.values_mut() {
        conditions.sort_by_key(|it| (began(writer, &it.resource), it.id));
    }
    groups
}

/// When a condition was recorded, or else when it began.
fn began(writer: &Writer<'_>, condition: &Condition) -> Option<DateTime<Utc>> {
    let times = [&condition.recorded_date, &condition.onset_date_time];
    times.into_iter().find_map(|it| writer.calendar.time(it.as_deref()))
}

/// Records the diagnoses of an encounter.
pub(super) async fn import(
    writer: &Writer<'_>,
    gathered: &Gathered,
    encounter: Option<Uuid>,
    conditions: Vec<&Found<Condition>>,
) -> Step {
    let mut step = Step::with_capacity(conditions.len());
    for found in conditions {
        step.push((found.places.clone(), write(writer, gathered, encounter, found).await));
    }
    step
}

async fn write(
    writer: &Writer<'_>,
    gathered: &Gathered,
    encounter: Option<Uuid>,
    found: &Found<Condition>,
) -> Result<Fate, Stop> {
    found.check_copies()?;
    let condition = &found.resource;
    if says_absence(&condition.code) {
        return Err(Reason::NothingKnown.into());
    }
    let (verification_status, clinical_status) = statuses(condition)?;
    let patient = gathered.resolve("Patient", &found.origin, &condition.subject);
    let (patient_id, _) = writer.patient(patient).await?;
    let consultation = writer.referred::<Consultation>(encounter).await?;
    let (consultation_id, consultation) = consultation.ok_or(Reason::NoEncounter)?;
    if consultation.patient_id.0 != patient_id {
        return Err(Reason::OtherRecord.into());
    }
    let mut kept = found.kept();
    let (code_system, code) = coded(&condition.code, &mut kept).ok_or(Reason::NoCode)?;
    let day = |text: Option<&str>| date(text.and_then(|it| it.get(..10)));
    let ended = day(condition.abatement_date_time.as_deref());
    let ended_at = writer.calendar.time(condition.abatement_date_time.as_deref());
    let over = Some(clinical_status).filter(|it| is_over(*it));
    let id = DiagnosisId(found.id);
    if let Some(there) = consultation.diagnoses.get(&id) {
        if !found.is_global && there.diagnosis.code != code {
            return Err(Reason::OtherRecord.into());
        }
        if let Some(status) = over.filter(|_| is_open(there)) {
            end(writer, (consultation_id, id), (status, ended), ended_at).await?;
        }
        return Ok(Fate::AlreadyThere);
    }
    let recorder = [&condition.asserter, &condition.recorder];
    let recorder = recorder.into_iter().flatten().find_map(|it| gathered.practitioner(&found.origin, it));
    let diagnosed_by = writer.referred::<User>(recorder).await?.map_or(consultation.provider_id, |(id, _)| id.into());
    let at = began(writer, condition).unwrap_or(consultation.started_at);
    let onset = condition.onset_date_time.as_deref();
    if onset.is_some() && day(onset).is_none() {
        kept.leave_out("onsetDateTime");
    }
    let diagnosis = Diagnosis {
        code_system,
        code,
        description: kept.personal("code", condition.code.words()).ok_or(Reason::NoName)?,
        diagnosis_type: match verification_status {
            VerificationStatus::Confirmed | VerificationStatus::Refuted => DiagnosisType::Final,
            VerificationStatus::Differential => DiagnosisType::Differential,
            _ => DiagnosisType::Working,
        },
        verification_status,
        clinical_status: Some(clinical_status).filter(|_| over.is_none()),
        onset_date: day(onset).map(Personal::Known),
        abatement_date: None,
        notes: kept.joined("note", condition.note.iter().filter_map(|it| it.text.as_deref())),
    };
    let command = RecordDiagnosis {
        consultation_id: consultation_id.into(),
        diagnosis_id: Some(id),
        diagnosis,
        rank: None,
        diagnosed_by: Some(diagnosed_by),
    };
    writer.execute(command, Some(at)).await?;
    if let Some(status) = over {
        end(writer, (consultation_id, id), (status, ended), Some(ended_at.map_or(at, |it| it.max(at)))).await?;
    }
    Ok(Fate::Imported(kept.left_out))
}

/// Records that a condition is over, and since when.
async fn end(
    writer: &Writer<'_>,
    (consultation_id, diagnosis_id): (Uuid, DiagnosisId),
    (status, ended): (ClinicalStatus, Option<NaiveDate>),
    at: Option<DateTime<Utc>>,
) -> Result<(), Stop> {
    let changes = json!({ "clinical_status": status, "abatement_date": ended });
    let changes = serde_json::from_value(changes).map_err(|_| Reason::Malformed)?;
    let consultation_id = consultation_id.into();
    writer.execute(ChangeDiagnosis { consultation_id, diagnosis_id, changes, rank: None, reason: None }, at).await
}

fn is_over(status: ClinicalStatus) -> bool {
    matches!(status, ClinicalStatus::Inactive | ClinicalStatus::Remission | ClinicalStatus::Resolved)
}

/// Whether a diagnosis of the record is of a condition that goes on.
fn is_open(there: &RankedDiagnosis) -> bool {
    there.diagnosis.clinical_status.is_some_and(|it| !is_over(it))
}

/// How certain a condition is, and how it is at present. A condition without a status is confirmed and active, unless
/// it has ended.
fn statuses(condition: &Condition) -> Result<(VerificationStatus, ClinicalStatus), Reason> {
    let verification = match &condition.verification_status {
        None => VerificationStatus::Confirmed,
        Some(it) if it.has_code("entered-in-error") => return Err(Reason::EnteredInError),
        Some(it) => {
            let known = [
                ("unconfirmed", VerificationStatus::Unconfirmed),
                ("provisional", VerificationStatus::Provisional),
                ("differential", VerificationStatus::Differential),
                ("confirmed", VerificationStatus::Confirmed),
                ("refuted", VerificationStatus::Refuted),
            ];
            known.into_iter().find(|(code, _)| it.has_code(code)).ok_or(Reason::UnknownStatus)?.1
        }
    };
    let clinical = match &condition.clinical_status {
        None if condition.abatement_date_time.is_some() => ClinicalStatus::Resolved,
        None => ClinicalStatus::Active,
        Some(it) => {
            let known = [
                ("active", ClinicalStatus::Active),
                ("recurrence", ClinicalStatus::Recurrence),
                ("relapse", ClinicalStatus::Relapse),
                ("inactive", ClinicalStatus::Inactive),
                ("remission", ClinicalStatus::Remission),
                ("resolved", ClinicalStatus::Resolved),
            ];
            known.into_iter().find(|(code, _)| it.has_code(code)).ok_or(Reason::UnknownStatus)?.1
        }
    };
    Ok((verification, clinical))
}

/// The code of a concept: that of ICD-10-CM or of SNOMED CT, or else the first one of a system. Others are left out.
pub(super) fn coded(concept: &CodeableConcept, kept: &mut Kept) -> Option<(Text<100>, Text<20>)> {
    let rank = |system: &str| [ICD_10_CM, SNOMED_CT].iter().position(|it| *it == system).unwrap_or(2);
    let read = concept.coding.iter().filter_map(|it| {
        let (system, code) = (it.system.as_deref()?, it.code.as_deref()?);
        let texts = Kept::default().text("system", Some(system)).zip(Kept::default().text("code", Some(code)))?;
        Some((rank(system), texts))
    });
    let best = read.min_by_key(|it| it.0).map(|it| it.1);
    kept.leave_out_all("code.coding", concept.coding.len() - usize::from(best.is_some()));
    best
}
