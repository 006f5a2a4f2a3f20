use std::collections::BTreeSet;

use hims_domain::lab_result::{self, ResultStatus};
use hims_domain::report_schedule::PauseReason;
use hims_domain::{
    DomainEvent, UserId, insurance_claim, inventory_item, lab_order, medication_lot, prescription, report_execution,
    report_schedule,
};

use crate::aggregates::inventory_item::TellOfLowStock;
use crate::aggregates::medication_lot::TellOfUnwitnessedChange;
use crate::aggregates::report_execution::TellOfReport;
use crate::aggregates::report_schedule::TellOfPausedSchedule;
use crate::insurance_claim::TellOfDeniedClaim;
use crate::lab_order::TellOfRejectedSpecimen;
use crate::lab_result::{Reader, TellOfCriticalValues, TellOfResult, TellOfWithdrawnValues, in_parts};
use crate::notification::{Tell, Telling};
use crate::prescription::{TellOfReadyPrescription, TellOfWithdrawnPrescription};
use crate::{Failure, Happened, Process, Reaction};

/// Tells patients and staff what happened. A notice that needs nothing but its event is given by
/// `Reaction::command(Notice::of(…))`. One that needs to look something up is a `Telling` beside the aggregate of which
/// it tells, and is given by `Reaction::command(Tell(…))`.
pub(super) struct Notices;

/// The reaction that tells something.
fn tell<T: Telling>(telling: T) -> Reaction {
    Reaction::command(Tell(telling))
}

/// The reactions that tell something to people, as many at a time as a notice may go to.
fn tell_all<T: Telling>(
    people: &BTreeSet<UserId>,
    telling: impl Fn(usize, BTreeSet<UserId>) -> T,
) -> Vec<Reaction> {
    in_parts(people).map(|(part, people)| tell(telling(part, people))).collect()
}

/// What is told of a result: that it is final or was corrected, to the provider and the patient, and of critical values
/// to those whom the alarm names.
fn of_result(happened: &Happened, event: &lab_result::Event) -> Vec<Reaction> {
    let (lab_result_id, position) = (happened.stream_id.into(), happened.position);
    let readable = || {
        let readers = [Reader::Provider, Reader::Patient];
        readers.map(|reader| tell(TellOfResult { lab_result_id, position, reader })).into()
    };
    match event {
        lab_result::Event::Recorded(it) if it.result_status == ResultStatus::Final => readable(),
        lab_result::Event::Finalised { .. } | lab_result::Event::Corrected { .. } => readable(),
        lab_result::Event::CriticalEscalated { revision, raised_at: _, level, recipients } => {
            let (revision, level) = (*revision, *level);
            tell_all(recipients, |part, people| TellOfCriticalValues { lab_result_id, revision, level, people, part })
        }
        lab_result::Event::CriticalWithdrawn { told } => {
            tell_all(told, |part, people| TellOfWithdrawnValues { lab_result_id, position, people, part })
        }
        lab_result::Event::Recorded(_)
        | lab_result::Event::Withdrawn { .. }
        | lab_result::Event::Reviewed { .. }
        | lab_result::Event::CriticalRaised { .. }
        | lab_result::Event::CriticalAcknowledged { .. } => Vec::new(),
    }
}

/// What is told of a claim: that the payer has denied it, or stands by the denial.
fn of_claim(happened: &Happened, event: &insurance_claim::Event) -> Vec<Reaction> {
    let (insurance_claim_id, position) = (happened.stream_id.into(), happened.position);
    let is_denied = match event {
        insurance_claim::Event::PaymentRecorded(it) => it.status == insurance_claim::Status::Denied,
        insurance_claim::Event::DenialUpheld { .. } => true,
        _ => false,
    };
    if is_denied { vec![tell(TellOfDeniedClaim { insurance_claim_id, position })] } else { Vec::new() }
}

impl Process for Notices {
    const NAME: &'static str = "notices";
    const ON: &'static [&'static str] = &[
        "prescription.marked_ready",
        "prescription.ready_withdrawn",
        "lab_result.recorded",
        "lab_result.finalised",
        "lab_result.corrected",
        "lab_result.critical_escalated",
        "lab_result.critical_withdrawn",
        "lab_order.specimen_rejected",
        "inventory_item.reorder_flagged",
        "medication_lot.change_rejected",
        "insurance_claim.payment_recorded",
        "insurance_claim.denial_upheld",
        "report_execution.succeeded",
        "report_execution.failed",
        "report_schedule.paused",
    ];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let (id, position) = (happened.stream_id, happened.position);
        Ok(match &happened.event {
            DomainEvent::Prescription(prescription::Event::MarkedReady { reserved: _, collect_by }) => {
                let (prescription_id, collect_by) = (id.into(), *collect_by);
                vec![tell(TellOfReadyPrescription { prescription_id, position, collect_by })]
            }
            DomainEvent::Prescription(prescription::Event::ReadyWithdrawn { cause }) => {
                vec![tell(TellOfWithdrawnPrescription { prescription_id: id.into(), position, cause: *cause })]
            }
            DomainEvent::LabResult(event) => of_result(happened, event),
            DomainEvent::LabOrder(lab_order::Event::SpecimenRejected { specimen_id, reason_code, .. }) => {
                let (specimen_id, reason_code) = (*specimen_id, *reason_code);
                vec![tell(TellOfRejectedSpecimen { lab_order_id: id.into(), specimen_id, reason_code })]
            }
            DomainEvent::InventoryItem(inventory_item::Event::ReorderFlagged { usable, .. }) => {
                vec![tell(TellOfLowStock { inventory_item_id: id.into(), position, usable: *usable })]
            }
            DomainEvent::MedicationLot(medication_lot::Event::ChangeRejected { change_id, rejected_by: None, .. }) => {
                let (medication_lot_id, change_id) = (id.into(), *change_id);
                vec![tell(TellOfUnwitnessedChange { medication_lot_id, change_id })]
            }
            DomainEvent::InsuranceClaim(event) => of_claim(happened, event),
            DomainEvent::ReportExecution(
                report_execution::Event::Succeeded(_) | report_execution::Event::Failed { .. },
            ) => vec![tell(TellOfReport { report_execution_id: id.into() })],
            DomainEvent::ReportSchedule(report_schedule::Event::Paused { reason: PauseReason::Failing }) => {
                vec![tell(TellOfPausedSchedule { report_schedule_id: id.into(), position })]
            }
            _ => Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests;
