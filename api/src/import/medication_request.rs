//! `MedicationRequest` -> prescription of one item, brought to the status of the request. The prescription puts the
//! medication on the patient's medication list.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use hims_commands::prescription::{CancelPrescription, RecordExternalDispensing, WritePrescription};
use hims_domain::consultation::Consultation;
use hims_domain::prescription::{Prescription, Priority, Status};
use hims_domain::values::Text;
use hims_domain::{Personal, PrescriptionId};
use uuid::Uuid;

use super::calendar::is_partial;
use super::dosage::{has_comparator, order};
use super::gather::{Found, Gathered};
use super::kept::Kept;
use super::medication::{Product, contained};
use super::reason::Reason;
use super::resources::MedicationRequest;
use super::summary::Fate;
use super::writer::{Step, Stop, Writer};

/// The requests by patient, each patient's in the order of time. The prescriptions of one patient share the patient's
/// medication list, so they are written one after the other.
pub(super) fn by_patient<'g>(
    writer: &Writer<'_>,
    gathered: &'g Gathered,
) -> BTreeMap<Option<Uuid>, Vec<&'g Found<MedicationRequest>>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for found in gathered.medication_requests.iter() {
        let patient = gathered.resolve("Patient", &found.origin, &found.resource.subject);
        groups.entry(patient.and_then(|it| writer.persons.record(it))).or_default().push(found);
    }
    for requests in groups.values_mut() {
        requests.sort_by_key(|it| (writer.calendar.time(it.resource.authored_on.as_deref()), it.id));
    }
    groups
}

/// Writes the prescriptions of a patient.
pub(super) async fn import(writer: &Writer<'_>, gathered: &Gathered, requests: Vec<&Found<MedicationRequest>>) -> Step {
    let mut step = Step::with_capacity(requests.len());
    for found in requests {
        step.push((found.places.clone(), write(writer, gathered, found).await));
    }
    step
}

/// Writes a prescription. A prescription that an earlier import wrote is brought to the request's present status, as
/// long as the prescription is still pending.
async fn write(writer: &Writer<'_>, gathered: &Gathered, found: &Found<MedicationRequest>) -> Result<Fate, Stop> {
    writer.check_copies(found)?;
    let request = &found.resource;
    check(request)?;
    let at = writer.calendar.time(request.authored_on.as_deref()).ok_or(Reason::NoTime)?;
    let id = PrescriptionId(found.id);
    let there = writer.existing::<Prescription>(found.id).await?;
    let patient = writer.patient(gathered.resolve("Patient", &found.origin, &request.subject)).await;
    let product = Product::requested(gathered, found);
    if let Some(there) = there {
        let is_of = patient.is_ok_and(|(id, _)| id == there.patient_id.0);
        let medication = match &product {
            Ok(product) => product.in_catalogue(writer).await?,
            Err(_) => None,
        };
        let is_for = |medication: Uuid| there.lines.iter().any(|it| it.item.order.medication_id.0 == medication);
        if !is_of || !found.is_global && !medication.is_some_and(is_for) {
            return Err(Reason::OtherRecord.into());
        }
        if there.status == Status::Pending {
            close(writer, id, request, at).await?;
        }
        return Ok(Fate::AlreadyThere);
    }
    let (patient_id, _) = patient?;
    let consultation = gathered.resolve("Encounter", &found.origin, &request.encounter);
    let is_of_encounter = request.encounter.reference.is_some();
    let consultation = writer.referred::<Consultation>(consultation).await?;
    let (provider_id, is_named) = writer.practitioner(gathered.practitioner(&found.origin, &request.requester)).await?;
    let medication = product?.in_catalogue(writer).await?.ok_or(Reason::NoMedication)?;
    let mut kept = found.kept();
    leave_out_the_rest(request, &mut kept);
    if is_of_encounter && consultation.is_none() {
        kept.leave_out("encounter");
    }
    if request.requester.reference.is_some() && !is_named {
        kept.leave_out("requester");
    }
    let prescription = WritePrescription {
        id: Some(id),
        consultation_id: consultation.map(|(id, _)| id.into()),
        patient_id: patient_id.into(),
        provider_id: Some(provider_id.into()),
        priority: priority(request.priority.as_deref()),
        notes: kept.joined("note", request.note.iter().filter_map(|it| it.text.as_deref())),
        items: vec![order(request, medication.into(), &mut kept)],
        confirm_unit: false,
    };
    writer.execute(prescription, Some(at)).await?;
    close(writer, id, request, at).await?;
    Ok(Fate::Imported(kept.left_out))
}

/// Checks that a request is an order that was really given, and whose status the record can hold.
fn check(request: &MedicationRequest) -> Result<(), Reason> {
    if request.do_not_perform == Some(true) {
        return Err(Reason::AsksNotToDo);
    }
    match request.status.as_str() {
        "active" | "completed" | "stopped" | "cancelled" => {}
        "entered-in-error" => return Err(Reason::EnteredInError),
        "draft" => return Err(Reason::HasNotHappened),
        "on-hold" => return Err(Reason::OnHold),
        _ => return Err(Reason::UnknownStatus),
    }
    match request.intent.as_str() {
        "order" | "original-order" | "reflex-order" | "filler-order" | "instance-order" => {}
        "proposal" | "plan" | "option" => return Err(Reason::HasNotHappened),
        _ => return Err(Reason::Malformed),
    }
    if has_comparator(request) { Err(Reason::Comparator) } else { Ok(()) }
}

/// Counts what the record has no place for.
fn leave_out_the_rest(request: &MedicationRequest, kept: &mut Kept) {
    if is_partial(request.authored_on.as_deref()) {
        kept.leave_out("authoredOn");
    }
    if !["completed", "active"].contains(&request.status.as_str()) {
        kept.words("statusReason", request.status_reason.as_ref());
    } else if request.status_reason.is_some() {
        kept.leave_out("statusReason");
    }
    let local = request.medication_reference.reference.as_deref().and_then(|it| it.strip_prefix('#'));
    if let Some((_, unread)) = local.and_then(|it| contained(request, it)) {
        for element in unread {
            kept.leave_out(format!("contained.{element}"));
        }
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
        "completed" => {
            writer.execute(RecordExternalDispensing { prescription_id, override_reason: None }, Some(at)).await
        }
        status @ ("stopped" | "cancelled") => {
            let told = request.status_reason.as_ref().and_then(|it| it.words());
            let reason = Kept::default().text("statusReason", told).unwrap_or_else(|| Text::from(status));
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
