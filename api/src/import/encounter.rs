//! Encounter -> consultation, begun and completed at the times of the encounter.

use chrono::{DateTime, Utc};
use hims_commands::consultation::{CompleteConsultation, StartConsultation};
use hims_domain::consultation::{Consultation, Status, WorkflowType};
use hims_domain::values::Text;
use uuid::Uuid;

use super::calendar::{Calendar, is_partial};
use super::gather::{Found, Gathered};
use super::kept::Kept;
use super::reason::Reason;
use super::resources::{Encounter, Participant};
use super::summary::Fate;
use super::writer::{Stop, Writer};

/// Begins the consultation of an encounter, and completes the consultation if the encounter is finished. A consultation
/// that an earlier import began is completed now, if the encounter has been finished since.
pub(super) async fn import(writer: &Writer<'_>, gathered: &Gathered, found: &Found<Encounter>) -> Result<Fate, Stop> {
    writer.check_copies(found)?;
    let encounter = &found.resource;
    let (start, end) = times(encounter, &writer.calendar)?;
    if writer.is_future(end.unwrap_or(start)) {
        return Err(Reason::InTheFuture.into());
    }
    let consultation_id = found.id.into();
    let complete = |at| CompleteConsultation { consultation_id, completed_at: Some(at) };
    let there = writer.existing::<Consultation>(found.id).await?;
    let patient = writer.patient(gathered.resolve("Patient", &found.origin, &encounter.subject)).await;
    if let Some(there) = there {
        let is_same = patient.is_ok_and(|(id, _)| id == there.patient_id.0);
        if !is_same || !found.is_global && start != there.started_at {
            return Err(writer.refuse(found.id, Reason::OtherRecord));
        }
        if let Some(end) = end.filter(|it| there.status == Status::InProgress && *it >= there.started_at) {
            writer.execute(complete(end), Some(end)).await?;
        }
        return Ok(Fate::AlreadyThere);
    }
    let (patient_id, _) = patient?;
    let (provider_id, is_named) = writer.practitioner(provider(gathered, found)).await?;
    let mut kept = found.kept();
    kept.leave_out_all("participant", encounter.participant.len() - usize::from(is_named));
    if encounter.service_provider.is_some() {
        kept.leave_out("serviceProvider");
    }
    if is_partial(encounter.period.start.as_deref()) {
        kept.leave_out("period.start");
    }
    if end.is_none() && encounter.period.end.is_some() {
        kept.leave_out("period.end");
    }
    if encounter.status == "onleave" {
        kept.leave_out("status");
    }
    let reasons = kept.all_words("reasonCode", &encounter.reason_code);
    let start_consultation = StartConsultation {
        id: Some(consultation_id),
        appointment_id: None,
        patient_id: patient_id.into(),
        provider_id: Some(provider_id.into()),
        consultation_type: consultation_type(encounter, &mut kept),
        workflow_type: WorkflowType::Standard,
        chief_complaint: kept.joined("reasonCode", reasons),
        // What the other system recorded has happened, also if encounters overlap.
        confirm_another: true,
        steps: Vec::new(),
    };
    writer.execute(start_consultation, Some(start)).await?;
    if let Some(end) = end {
        writer.execute(complete(end), Some(end)).await?;
    }
    Ok(Fate::Imported(kept.left_out))
}

/// The practitioner who saw the patient: the primary performer, or else the attender, or else the first practitioner
/// whom the encounter names (<http://terminology.hl7.org/CodeSystem/v3-ParticipationType>).
fn provider(gathered: &Gathered, found: &Found<Encounter>) -> Option<Uuid> {
    let has = |participant: &Participant, code: &str| participant.kind.iter().any(|it| it.has_code(code));
    let rank = |participant: &Participant| (!has(participant, "PPRF"), !has(participant, "ATND"));
    let practitioners = found.resource.participant.iter().filter_map(|participant| {
        Some((rank(participant), gathered.practitioner(&found.origin, &participant.individual)?))
    });
    practitioners.min_by_key(|(rank, _)| *rank).map(|(_, id)| id)
}

/// The start of an encounter, and its end if the encounter is finished. Without a given end, a finished encounter ends
/// at its start.
fn times(encounter: &Encounter, calendar: &Calendar) -> Result<(DateTime<Utc>, Option<DateTime<Utc>>), Reason> {
    let finished = match encounter.status.as_str() {
        "finished" => true,
        "in-progress" | "onleave" => false,
        "entered-in-error" => return Err(Reason::EnteredInError),
        "planned" | "arrived" | "triaged" | "cancelled" => return Err(Reason::HasNotHappened),
        _ => return Err(Reason::UnknownStatus),
    };
    let start = calendar.time(encounter.period.start.as_deref()).ok_or(Reason::NoTime)?;
    let end = finished.then(|| calendar.end(encounter.period.end.as_deref(), start).unwrap_or(start));
    if end.is_some_and(|it| it < start) { Err(Reason::EndsBeforeItStarts) } else { Ok((start, end)) }
}

/// The type of the encounter in words, without SNOMED's `(procedure)`; if there is no type, the class.
fn consultation_type(encounter: &Encounter, kept: &mut Kept) -> Text<50> {
    let kind = encounter.kind.iter().find(|it| it.words().is_some());
    let kind = kept.words("type", kind);
    let class = encounter.class.display.as_deref().or(encounter.class.code.as_deref());
    kept.leave_out_all("type", encounter.kind.len().saturating_sub(1));
    if kind.is_some() && class.is_some() {
        kept.leave_out("class");
    }
    let words = kind.or(class).unwrap_or("standard");
    let printable: String = words.chars().filter(|it| !it.is_control()).collect();
    let bare = printable.strip_suffix("(procedure)").unwrap_or(&printable).trim();
    let beginning: String = bare.chars().take(50).collect();
    if beginning.len() < bare.len() {
        kept.leave_out("type");
    }
    if beginning.trim().is_empty() { "standard".into() } else { Text::from(beginning.as_str()) }
}
