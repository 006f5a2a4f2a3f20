//! Encounter -> consultation, begun and completed at the times of the encounter.

use chrono::{DateTime, Utc};
use hims_commands::consultation::{CompleteConsultation, StartConsultation};
use hims_domain::consultation::{Consultation, Status, WorkflowType};
use hims_domain::patient::Patient;
use hims_domain::user::User;
use hims_domain::values::Text;

use super::bundle::Encounter;
use super::datatypes::time;
use super::gather::{Found, Gathered};
use super::kept::Kept;
use super::providers::{Providers, named};
use super::reason::Reason;
use super::summary::Fate;
use super::writer::{Stop, Writer};

/// Begins the consultation of an encounter, and completes the consultation if the encounter is finished. A consultation
/// that an earlier import began is completed now, if the encounter has been finished since.
pub(super) async fn import(
    writer: &Writer<'_>,
    gathered: &Gathered,
    providers: &Providers,
    found: &Found<Encounter>,
) -> Result<Fate, Stop> {
    let encounter = &found.resource;
    let (start, end) = times(encounter)?;
    if writer.is_future(end.unwrap_or(start)) {
        return Err(Reason::InTheFuture.into());
    }
    let consultation_id = found.id.into();
    let complete = |at| CompleteConsultation { consultation_id, completed_at: Some(at) };
    if let Some(there) = writer.existing::<Consultation>(found.id).await? {
        if let Some(end) = end.filter(|it| there.status == Status::InProgress && *it >= there.started_at) {
            writer.execute(complete(end), Some(end)).await?;
        }
        return Ok(Fate::AlreadyThere);
    }
    let resolve = |kind, reference| gathered.references.resolve(kind, reference);
    let patient = writer.referred::<Patient>(resolve("Patient", &encounter.subject)).await?;
    let (patient_id, _) = patient.ok_or(Reason::NoPatient)?;
    let organization = resolve("Organization", &encounter.service_provider);
    let provider = named(gathered, encounter).or_else(|| providers.usual(patient_id, organization));
    let provider = writer.referred::<User>(provider).await?;
    let (provider_id, _) = provider.ok_or(Reason::NoPractitioner)?;
    let mut kept = Kept::default();
    let start_consultation = StartConsultation {
        id: Some(consultation_id),
        appointment_id: None,
        patient_id: patient_id.into(),
        provider_id: Some(provider_id.into()),
        consultation_type: consultation_type(encounter),
        workflow_type: WorkflowType::Standard,
        chief_complaint: kept.joined("reasonCode", encounter.reason_code.iter().filter_map(|it| it.words())),
        // What the other system recorded has happened, also if encounters overlap.
        confirm_another: true,
    };
    writer.execute(start_consultation, Some(start)).await?;
    if let Some(end) = end {
        writer.execute(complete(end), Some(end)).await?;
    }
    Ok(Fate::Imported(kept.left_out))
}

/// The start of an encounter, and its end if the encounter is finished. Without a given end, a finished encounter ends
/// at its start.
fn times(encounter: &Encounter) -> Result<(DateTime<Utc>, Option<DateTime<Utc>>), Reason> {
    let finished = match encounter.status.as_str() {
        "finished" => true,
        "in-progress" | "onleave" | "unknown" => false,
        "entered-in-error" => return Err(Reason::EnteredInError),
        _ => return Err(Reason::HasNotHappened),
    };
    let start = time(encounter.period.start.as_deref()).ok_or(Reason::NoTime)?;
    let end = finished.then(|| time(encounter.period.end.as_deref()).unwrap_or(start));
    if end.is_some_and(|it| it < start) { Err(Reason::EndsBeforeItStarts) } else { Ok((start, end)) }
}

/// The type of the encounter in words, without SNOMED's `(procedure)`; if there is no type, the class.
fn consultation_type(encounter: &Encounter) -> Text<50> {
    let kind = encounter.kind.iter().find_map(|it| it.words());
    let class = encounter.class.display.as_deref().or(encounter.class.code.as_deref());
    let words = kind.or(class).unwrap_or("standard");
    let printable: String = words.chars().filter(|it| !it.is_control()).collect();
    let bare = printable.strip_suffix("(procedure)").unwrap_or(&printable).trim();
    let beginning: String = bare.chars().take(50).collect();
    if beginning.trim().is_empty() { "standard".into() } else { Text::from(beginning.as_str()) }
}
