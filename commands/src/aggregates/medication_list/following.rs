//! What follows for the list from writing, dispensing and cancelling a prescription, in the same append.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use hims_domain::medication::Medication;
use hims_domain::medication_list::{Dispensed, Event, MedicationList, Prescribed, Status, Taken, entry_of, list_of};
use hims_domain::prescription::{self, Item, Line, Order, Prescription};
use hims_domain::values::{Reason, Text};
use hims_domain::{PatientId, Personal, PrescriptionId, PrescriptionItemId};

use super::Refusal;
use crate::{Context, Decision, Reads, Refused};

/// Also looks up the list of a patient.
pub(crate) fn reads_list(reads: Reads, patient_id: Option<PatientId>) -> Reads {
    reads.maybe::<MedicationList>(patient_id.map(list_of))
}

/// The dose of an order in words, such as `1 tablet`.
fn dose(order: &Order) -> Option<Personal<Text<50>>> {
    let quantity = order.dose_quantity?.normalize();
    let dose = match &order.dose_unit {
        Some(unit) => format!("{quantity} {unit}"),
        None => quantity.to_string(),
    };
    Some(Personal::Known(Text(dose)))
}

/// Adds the entries of a new prescription to the patient's list.
///
/// What a part of the system writes was prescribed elsewhere long ago: the patient takes it since then.
pub(crate) fn after_writing(
    decision: Decision<Prescription>,
    ctx: &Context<'_>,
    (prescription_id, patient_id): (PrescriptionId, PatientId),
    items: &[Item],
) -> Result<Decision<Prescription>, Refused> {
    let (status, start_date) =
        if ctx.caller.is_system { (Status::Active, Some(ctx.today())) } else { (Status::Intended, None) };
    let mut entries = Vec::with_capacity(items.len());
    for item in items {
        let order = &item.order;
        let details = &ctx.named::<Medication>(order.medication_id, "/items")?.details;
        let taken = Taken {
            medication_id: Some(order.medication_id),
            medication_name: None,
            rxnorm_code: details.rxnorm_code.clone(),
            ingredients: Some(&details.ingredients).filter(|it| !it.is_empty()).cloned(),
            dose: dose(order),
            route: order.route.clone(),
            frequency: order.frequency.clone(),
            start_date,
            end_date: None,
        };
        entries.push(Prescribed { entry_id: entry_of(item.id), item_id: item.id, taken, status });
    }
    let event = Event::Prescribed { patient_id, prescription_id, entries };
    Ok(decision.begin_or_also::<MedicationList>(list_of(patient_id), event, ctx.found))
}

/// The last day on which what is dispensed today is taken, if the order says for how long one filling is: that of all
/// fillings one after the other since the first day, or that of today's filling, whichever is later.
fn end_of(line: &Line, first_day: NaiveDate, today: NaiveDate) -> Option<NaiveDate> {
    let order = &line.item.order;
    let days = u64::try_from(order.duration_days.or(order.days_supply)?).ok()?;
    let fillings = u64::try_from(1 + line.refills_used).ok()?;
    let after = |day: NaiveDate, days| day.checked_add_days(Days::new(days));
    after(first_day, days * fillings).max(after(today, days))
}

/// Why a line is not dispensed: somebody has stopped its medication, put it on hold or marked it as entered in error.
pub(crate) fn not_taken(ctx: &Context<'_>, patient_id: PatientId, line: &Line) -> Option<Refused> {
    let list = ctx.found.get::<MedicationList>(list_of(patient_id))?;
    let status = list.entries.get(&entry_of(line.item.id))?.status;
    let is_not_taken = matches!(status, Status::Stopped | Status::OnHold | Status::EnteredInError);
    is_not_taken.then(|| Refusal::NotTaken.into())
}

/// The patient takes what is dispensed, from today. What an import says was dispensed elsewhere is no longer taken.
pub(crate) fn after_dispensing<'l>(
    decision: Decision<Prescription>,
    ctx: &Context<'_>,
    patient_id: PatientId,
    lines: impl Iterator<Item = &'l Line>,
) -> Decision<Prescription> {
    let id = list_of(patient_id);
    let Some(list) = ctx.found.get::<MedicationList>(id) else { return decision };
    let today = ctx.today();
    let entries: Vec<_> = lines
        .filter_map(|line| {
            let entry_id = entry_of(line.item.id);
            let entry = list.entries.get(&entry_id).filter(|it| it.status != Status::EnteredInError)?;
            let start_date = entry.taken.start_date.unwrap_or(today);
            Some(Dispensed { entry_id, start_date, end_date: end_of(line, start_date, today) })
        })
        .collect();
    if entries.is_empty() {
        return decision;
    }
    let over: BTreeSet<_> = entries.iter().map(|it| it.entry_id).filter(|_| ctx.caller.is_system).collect();
    let decision = decision.also::<MedicationList>(id, Event::Dispensed { entries });
    if over.is_empty() { decision } else { decision.also::<MedicationList>(id, Event::Completed { entries: over }) }
}

/// The patient does not take what went back to the pharmacy. `lines` are those of which nothing is dispensed any more.
pub(crate) fn after_reversing(
    decision: Decision<Prescription>,
    ctx: &Context<'_>,
    prescription: &Prescription,
    lines: impl Iterator<Item = PrescriptionItemId>,
) -> Decision<Prescription> {
    let id = list_of(prescription.patient_id);
    let Some(list) = ctx.found.get::<MedicationList>(id) else { return decision };
    let was_taken = |id: &_| {
        let entry = list.entries.get(id);
        entry.is_some_and(|it| matches!(it.status, Status::Active | Status::OnHold | Status::Completed))
    };
    let entries: BTreeSet<_> = lines.map(entry_of).filter(was_taken).collect();
    if entries.is_empty() {
        return decision;
    }
    let is_over = prescription.status == prescription::Status::Cancelled;
    let status = if is_over { Status::Stopped } else { Status::Intended };
    decision.also::<MedicationList>(id, Event::DispensingReversed { entries, status })
}

/// The patient does not take the medications of a cancelled prescription of which nothing was dispensed.
pub(crate) fn after_cancelling(
    decision: Decision<Prescription>,
    ctx: &Context<'_>,
    prescription: &Prescription,
    reason: Personal<Reason>,
) -> Decision<Prescription> {
    let id = list_of(prescription.patient_id);
    let Some(list) = ctx.found.get::<MedicationList>(id) else { return decision };
    let untouched = prescription.lines.iter().filter(|it| it.quantity_dispensed.is_zero());
    let is_open = |it: &_| list.entries.get(it).is_some_and(|entry| entry.status.is_open());
    let entries: BTreeSet<_> = untouched.map(|it| entry_of(it.item.id)).filter(is_open).collect();
    if entries.is_empty() {
        return decision;
    }
    decision.also::<MedicationList>(id, Event::PrescriptionCancelled { entries, reason })
}
