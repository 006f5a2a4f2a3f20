//! Procedure, and each activity of a `CarePlan` -> treatment, brought to the status of the file.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use hims_commands::scopes;
use hims_commands::treatment::{
    CompleteTreatment, HoldTreatment, MarkTreatmentNotDone, PlanTreatment, StartTreatment, StopTreatment,
};
use hims_domain::consultation::Consultation;
use hims_domain::treatment::{Order, Status, Treatment, TreatmentType};
use hims_domain::user::User;
use hims_domain::values::{LongText, Reason as Why, Text};
use hims_domain::{DiagnosisId, Personal, TreatmentId};
use uuid::Uuid;

use super::condition::coded;
use super::datatypes::{CodeableConcept, Reference};
use super::gather::{Found, Gathered};
use super::kept::Kept;
use super::negation::says_absence;
use super::reason::Reason;
use super::references::{Origin, derived};
use super::resources::{ActivityDetail, CarePlan, Procedure};
use super::summary::{Fate, Place};
use super::writer::{Stop, Writer};

/// The code of SNOMED CT for the category of counselling.
const COUNSELLING: &str = "409063005";

/// A treatment as a file tells of it.
pub(super) struct Told {
    pub(super) id: Uuid,
    /// The patient and the encounter, under their ids in the files.
    pub(super) patient: Option<Uuid>,
    pub(super) encounter: Option<Uuid>,
    pub(super) what: What,
    pub(super) performer: Option<Uuid>,
    pub(super) diagnosis: Option<Uuid>,
    pub(super) status: Status,
    /// Why the treatment was broken off or never begun.
    pub(super) why: Option<Text<500>>,
    pub(super) outcome: Option<Personal<LongText>>,
    /// When the treatment began; when the encounter began, if that is not known.
    pub(super) start: Option<DateTime<Utc>>,
    pub(super) end: Option<DateTime<Utc>>,
}

/// What is done in a treatment.
pub(super) struct What {
    pub(super) treatment_type: TreatmentType,
    pub(super) coding: Option<(Text<100>, Text<20>)>,
    pub(super) description: Personal<Text<500>>,
    pub(super) body_site: Option<Text<100>>,
    pub(super) device_udi: Option<Text<200>>,
    /// The care plan to which the treatment belongs, and its title.
    pub(super) care_plan: Option<(Uuid, Option<Personal<Text<200>>>)>,
}

/// Imports a procedure.
pub(super) async fn procedure(
    writer: &Writer<'_>,
    gathered: &Gathered,
    found: &Found<Procedure>,
) -> Result<Fate, Stop> {
    found.check_copies()?;
    let procedure = &found.resource;
    let status = match procedure.status.as_str() {
        "preparation" => Status::Planned,
        "in-progress" => Status::InProgress,
        "on-hold" => Status::OnHold,
        "completed" => Status::Completed,
        "stopped" => Status::Stopped,
        "not-done" => Status::NotDone,
        "entered-in-error" => return Err(Reason::EnteredInError.into()),
        _ => return Err(Reason::UnknownStatus.into()),
    };
    if says_absence(&procedure.code) {
        return Err(Reason::NothingKnown.into());
    }
    let mut kept = found.kept();
    let is_counselling = procedure.category.as_ref().is_some_and(|it| it.has_code(COUNSELLING));
    let mut sites = procedure.body_site.iter();
    let site = kept.words("bodySite", sites.next());
    kept.leave_out_all("bodySite", sites.len());
    let outcome = kept.words("outcome", procedure.outcome.as_ref());
    let performer = procedure.performer.iter().find_map(|it| gathered.practitioner(&found.origin, &it.actor));
    kept.leave_out_all("performer", procedure.performer.len() - usize::from(performer.is_some()));
    let period = &procedure.performed_period;
    let start = period.start.as_deref().or(procedure.performed_date_time.as_deref());
    let told = Told {
        id: found.id,
        patient: gathered.resolve("Patient", &found.origin, &procedure.subject),
        encounter: gathered.resolve("Encounter", &found.origin, &procedure.encounter),
        what: What {
            treatment_type: if is_counselling { TreatmentType::Counselling } else { TreatmentType::Procedure },
            coding: coded(&procedure.code, &mut kept),
            description: kept.personal("code", procedure.code.words()).ok_or(Reason::NoName)?,
            body_site: kept.text("bodySite", site),
            device_udi: None,
            care_plan: None,
        },
        performer,
        diagnosis: reason(writer, gathered, (&found.origin, &procedure.reason_reference), &mut kept).await?,
        status,
        why: why(procedure.status_reason.as_ref(), &mut kept),
        outcome: kept.personal("outcome", outcome),
        start: writer.calendar.time(start),
        end: writer.calendar.time(period.end.as_deref()),
    };
    record(writer, told, found.is_global, kept).await
}

/// The activities that were skipped, of plans of which something else is in the record, for the summary.
#[derive(Default)]
pub(super) struct Activities(Mutex<Vec<(Vec<Place>, Reason)>>);

impl Activities {
    /// The activities, each with the places of its plan and the reason why it was skipped.
    pub(super) fn into_skipped(self) -> Vec<(Vec<Place>, Reason)> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Imports the activities of a care plan. A plan of which no activity is in the record is skipped with the reason of
/// its first activity.
pub(super) async fn care_plan(
    writer: &Writer<'_>,
    gathered: &Gathered,
    found: &Found<CarePlan>,
    activities: &Activities,
) -> Result<Fate, Stop> {
    found.check_copies()?;
    let plan = &found.resource;
    match (plan.status.as_str(), plan.intent.as_str()) {
        ("entered-in-error", _) => return Err(Reason::EnteredInError.into()),
        ("draft", _) | (_, "proposal" | "option") => return Err(Reason::HasNotHappened.into()),
        ("active" | "on-hold" | "revoked" | "completed", "plan" | "order") => {}
        _ => return Err(Reason::UnknownStatus.into()),
    }
    let mut kept = found.kept();
    let category = plan.category.first().and_then(CodeableConcept::words);
    let title: Option<Personal<Text<200>>> = kept.personal("title", plan.title.as_deref().or(category));
    let (mut fate, mut skipped) = (None, Vec::new());
    for (index, activity) in plan.activity.iter().enumerate() {
        let Some(detail) = &activity.detail else {
            kept.leave_out("activity");
            continue;
        };
        let care_plan = (found.id, title.clone());
        let told = match planned(writer, gathered, found, (index, detail), care_plan, &mut kept).await {
            Ok(told) => told,
            Err(Stop::Skip(reason)) => {
                skipped.push(reason);
                continue;
            }
            Err(everything) => return Err(everything),
        };
        match record(writer, told, found.is_global, Kept::default()).await? {
            Fate::Imported(left_out) => {
                kept.left_out.extend(left_out);
                fate = Some(Fate::Imported(Vec::new()));
            }
            other => fate = fate.or(Some(other)),
        }
    }
    let Some(fate) = fate else {
        return Err(skipped.first().copied().unwrap_or(Reason::NotPartOfTheRecord).into());
    };
    let skipped = skipped.into_iter().map(|reason| (found.places.clone(), reason));
    activities.0.lock().unwrap_or_else(PoisonError::into_inner).extend(skipped);
    Ok(match fate {
        Fate::Imported(_) => Fate::Imported(kept.left_out),
        other => other,
    })
}

/// An activity of a care plan.
async fn planned(
    writer: &Writer<'_>,
    gathered: &Gathered,
    found: &Found<CarePlan>,
    (index, detail): (usize, &ActivityDetail),
    care_plan: (Uuid, Option<Personal<Text<200>>>),
    kept: &mut Kept,
) -> Result<Told, Stop> {
    if detail.do_not_perform == Some(true) || detail.prohibited == Some(true) {
        return Err(Reason::AsksNotToDo.into());
    }
    if says_absence(&detail.code) {
        return Err(Reason::NothingKnown.into());
    }
    let plan = &found.resource;
    let status = match detail.status.as_str() {
        "not-started" | "scheduled" => Status::Planned,
        "in-progress" => Status::InProgress,
        "on-hold" => Status::OnHold,
        "completed" => Status::Completed,
        "stopped" => Status::Stopped,
        "cancelled" => Status::NotDone,
        "entered-in-error" => return Err(Reason::EnteredInError.into()),
        _ => return Err(Reason::UnknownStatus.into()),
    };
    let performer = detail.performer.iter().find_map(|it| gathered.practitioner(&found.origin, it));
    let words = detail.code.words().or(detail.description.as_deref());
    Ok(Told {
        id: derived(&format!("care-plan|{}|{index}", found.id)),
        patient: gathered.resolve("Patient", &found.origin, &plan.subject),
        encounter: gathered.resolve("Encounter", &found.origin, &plan.encounter),
        what: What {
            treatment_type: match detail.kind.as_deref() {
                Some("NutritionOrder") => TreatmentType::Diet,
                _ => TreatmentType::Other,
            },
            coding: coded(&detail.code, kept),
            description: kept.personal("activity.detail.code", words).ok_or(Reason::NoName)?,
            body_site: None,
            device_udi: None,
            care_plan: Some(care_plan),
        },
        performer,
        diagnosis: reason(writer, gathered, (&found.origin, &detail.reason_reference), kept).await?,
        status,
        why: why(detail.status_reason.as_ref(), kept),
        outcome: None,
        start: writer.calendar.time(plan.period.start.as_deref()),
        end: writer.calendar.time(plan.period.end.as_deref()),
    })
}

/// Why a treatment was broken off or never begun, in words.
fn why(concept: Option<&CodeableConcept>, kept: &mut Kept) -> Option<Text<500>> {
    let words = kept.words("statusReason", concept);
    kept.text("statusReason", words)
}

/// The diagnosis of the record for which a treatment is done. Further reasons are left out.
async fn reason(
    writer: &Writer<'_>,
    gathered: &Gathered,
    (origin, reasons): (&Origin, &[Reference]),
    kept: &mut Kept,
) -> Result<Option<Uuid>, Stop> {
    let condition = reasons.iter().find_map(|it| gathered.resolve("Condition", origin, it));
    let mut diagnosis = None;
    if let Some(id) = condition {
        diagnosis = writer.owners(scopes::DIAGNOSIS, &id.to_string()).await?.first().map(|_| id);
    }
    kept.leave_out_all("reasonReference", reasons.len() - usize::from(diagnosis.is_some()));
    Ok(diagnosis)
}

/// Plans a treatment and brings it to its status. A treatment that an earlier import began is ended now, if it has
/// ended since.
pub(super) async fn record(writer: &Writer<'_>, told: Told, is_global: bool, mut kept: Kept) -> Result<Fate, Stop> {
    let id = TreatmentId(told.id);
    let there = writer.existing::<Treatment>(told.id).await?;
    let patient = writer.patient(told.patient).await;
    if let Some(there) = there {
        let is_same = patient.is_ok_and(|(id, _)| id == there.patient_id.0);
        let code = told.what.coding.as_ref().map(|it| &it.1);
        if !is_same || !is_global && there.code.as_ref() != code {
            return Err(Reason::OtherRecord.into());
        }
        let is_ended = matches!(told.status, Status::Completed | Status::Stopped | Status::NotDone);
        if is_ended || writer.has_only_begun::<Treatment>(told.id).await? {
            bring(writer, id, there.status, &told).await?;
        }
        return Ok(Fate::AlreadyThere);
    }
    let (patient_id, _) = patient?;
    let consultation = writer.referred::<Consultation>(told.encounter).await?;
    let (consultation_id, consultation) = consultation.ok_or(Reason::NoEncounter)?;
    if consultation.patient_id.0 != patient_id {
        return Err(Reason::OtherRecord.into());
    }
    let performed_by = writer.referred::<User>(told.performer).await?.map(|(id, _)| id.into());
    if told.performer.is_some() && performed_by.is_none() {
        kept.leave_out("performer");
    }
    let start = told.start.unwrap_or(consultation.started_at);
    let told = Told { start: Some(start), end: Some(told.end.map_or(start, |it| it.max(start))), ..told };
    if told.end.is_some_and(|it| writer.is_future(it)) && told.status == Status::Completed {
        return Err(Reason::InTheFuture.into());
    }
    let (code_system, code) = told.what.coding.clone().unzip();
    let (care_plan_id, care_plan_title) = told.what.care_plan.clone().unzip();
    let order = Order {
        consultation_id: consultation_id.into(),
        diagnosis_id: told.diagnosis.map(DiagnosisId),
        treatment_type: told.what.treatment_type,
        code_system,
        code,
        description: told.what.description.clone(),
        body_site: told.what.body_site.clone(),
        device_udi: told.what.device_udi.clone(),
        care_plan_id: care_plan_id.map(Into::into),
        care_plan_title: care_plan_title.flatten(),
        performed_by,
    };
    writer.execute(PlanTreatment { id: Some(id), order }, Some(start)).await?;
    bring(writer, id, Status::Planned, &told).await?;
    Ok(Fate::Imported(kept.left_out))
}

/// Brings a treatment from one status to that of the file, if there is a way. A status that the file does not lead to
/// was given by somebody since, and stays.
async fn bring(writer: &Writer<'_>, treatment_id: TreatmentId, from: Status, told: &Told) -> Result<(), Stop> {
    let reason =
        || Personal::Known(told.why.clone().map_or_else(|| Why::from("not said"), |it| Why::from(it.as_str())));
    let (start, end) = (told.start, told.end.or(told.start));
    let must_begin = matches!(told.status, Status::InProgress | Status::OnHold | Status::Stopped);
    if from == Status::Planned && must_begin {
        writer.execute(StartTreatment { treatment_id }, start).await?;
    }
    match (from, told.status) {
        (Status::Planned | Status::InProgress, Status::Completed) => {
            writer.execute(CompleteTreatment { treatment_id, outcome: told.outcome.clone() }, end).await
        }
        (Status::Planned, Status::OnHold) => writer.execute(HoldTreatment { treatment_id }, start).await,
        (Status::Planned | Status::InProgress | Status::OnHold, Status::Stopped) => {
            writer.execute(StopTreatment { treatment_id, reason: reason() }, end).await
        }
        (Status::Planned, Status::NotDone) => {
            writer.execute(MarkTreatmentNotDone { treatment_id, reason: reason() }, end).await
        }
        _ => Ok(()),
    }
}
