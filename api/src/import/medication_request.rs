//! `MedicationRequest` -> prescription of one item, brought to the status of the request.

use chrono::{DateTime, Utc};
use hims_commands::prescription::{CancelPrescription, RecordExternalDispensing, WritePrescription};
use hims_domain::consultation::Consultation;
use hims_domain::patient::Patient;
use hims_domain::prescription::{Prescription, Priority, Status};
use hims_domain::user::User;
use hims_domain::values::LongText;
use hims_domain::{Personal, PrescriptionId};

use super::bundle::MedicationRequest;
use super::datatypes::time;
use super::dosage::order;
use super::gather::{Found, Gathered};
use super::kept::Kept;
use super::medication::Product;
use super::reason::Reason;
use super::summary::Fate;
use super::writer::{Stop, Writer};

/// Writes a prescription. A prescription that an earlier import wrote is brought to the request's present status, as
/// long as the prescription is still pending.
pub(super) async fn import(
    writer: &Writer<'_>,
    gathered: &Gathered,
    found: &Found<MedicationRequest>,
) -> Result<Fate, Stop> {
    let request = &found.resource;
    check(request)?;
    let at = time(request.authored_on.as_deref()).ok_or(Reason::NoTime)?;
    let id = PrescriptionId(found.id);
    if let Some(there) = writer.existing::<Prescription>(found.id).await? {
        if there.status == Status::Pending {
            close(writer, id, request, at).await?;
        }
        return Ok(Fate::AlreadyThere);
    }
    let resolve = |kind, reference| gathered.references.resolve(kind, reference);
    let patient = writer.referred::<Patient>(resolve("Patient", &request.subject)).await?;
    let (patient_id, _) = patient.ok_or(Reason::NoPatient)?;
    let consultation = writer.referred::<Consultation>(resolve("Encounter", &request.encounter)).await?;
    let seen_by = || consultation.as_ref().map(|(_, it)| it.provider_id.0);
    let provider = resolve("Practitioner", &request.requester).or_else(seen_by);
    let (provider_id, _) = writer.referred::<User>(provider).await?.ok_or(Reason::NoPractitioner)?;
    let product = Product::requested(gathered, request).ok_or(Reason::NoMedication)?;
    let medication = product.in_catalogue(writer).await?.ok_or(Reason::NoMedication)?;
    let mut kept = Kept::default();
    let prescription = WritePrescription {
        id: Some(id),
        consultation_id: consultation.map(|(id, _)| id.into()),
        patient_id: patient_id.into(),
        provider_id: Some(provider_id.into()),
        priority: priority(request.priority.as_deref()),
        notes: None,
        items: vec![order(request, medication.into(), &mut kept)],
        confirm_unit: false,
    };
    writer.execute(prescription, Some(at)).await?;
    close(writer, id, request, at).await?;
    Ok(Fate::Imported(kept.left_out))
}

/// Checks that a request is an order that was really given.
fn check(request: &MedicationRequest) -> Result<(), Reason> {
    match (request.status.as_str(), request.intent.as_str()) {
        ("entered-in-error", _) => Err(Reason::EnteredInError),
        ("draft", _) | (_, "proposal" | "plan" | "option") => Err(Reason::HasNotHappened),
        _ => Ok(()),
    }
}

/// Ends the prescription, if the request was completed, stopped or cancelled. FHIR does not say when that was, so the
/// end has the time at which the prescription was written.
async fn close(
    writer: &Writer<'_>,
    prescription_id: PrescriptionId,
    request: &MedicationRequest,
    at: DateTime<Utc>,
) -> Result<(), Stop> {
    match request.status.as_str() {
        "completed" => writer.execute(RecordExternalDispensing { prescription_id }, Some(at)).await,
        status @ ("stopped" | "cancelled") => {
            let told = request.status_reason.as_ref().and_then(|it| it.words());
            let reason = Kept::default().text("statusReason", told).unwrap_or_else(|| LongText::from(status));
            let reason = Personal::Known(reason);
            writer.execute(CancelPrescription { prescription_id, reason }, Some(at)).await
        }
        _ => Ok(()),
    }
}

fn priority(code: Option<&str>) -> Priority {
    match code {
        Some("urgent" | "asap") => Priority::High,
        Some("stat") => Priority::Urgent,
        _ => Priority::Normal,
    }
}
