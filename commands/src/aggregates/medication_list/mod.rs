//! Medication lists: what a patient takes. Prescriptions write into the list; staff add what others prescribed, and go
//! through the list with the patient.

mod completing;
mod following;
mod reconciling;
mod taken;

use chrono::NaiveDate;
use hims_domain::medication::Medication;
use hims_domain::medication_list::{Entry, Event, MedicationList, Source, Status, Taken, list_of};
use hims_domain::patient::Patient;
use hims_domain::permission::Update;
use hims_domain::values::Reason;
use hims_domain::{MedicationEntryId, PatientId, Personal, described};
use uuid::Uuid;

pub(crate) use completing::CompletePastMedications;
pub(crate) use following::{after_cancelling, after_dispensing, after_reversing, after_writing, not_taken, reads_list};
pub use reconciling::{Decided, ReconcileMedicationList};

use super::patient::{self, check_not_erased};
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Claims, Command, Context, Decision, Found, Held, Patch, Permission, Reads, Refused, Registry, Target, refuse,
    scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<AddPatientMedication>()
        .add::<ChangePatientMedication>()
        .add::<HoldPatientMedication>()
        .add::<ResumePatientMedication>()
        .add::<StopPatientMedication>()
        .add::<MarkPatientMedicationEnteredInError>()
        .add::<ReconcileMedicationList>();
}

refusals! {
    EntryStatus { status: Status } = Conflict, "wrong-status",
        "the entry of the medication list is {status}, which does not allow the command";
    NoSuchEntry = Missing, "not-found", "the patient's medication list has no entry with this id";
    PrescribedHere = Conflict, "prescribed-here",
        "the medication was prescribed here; cancel the prescription and write another";
    NotTaken = Conflict, "medication-stopped",
        "the medication was stopped, put on hold or marked as entered in error on the patient's medication list; \
         ask whoever prescribed it to prescribe it anew, or resume it";
}

described! {
    /// Adds a medication that a patient takes and that was not prescribed here to the patient's medication list.
    pub struct AddPatientMedication {
        /// Which patient.
        pub patient_id: PatientId,
        /// The id of the new entry; issued by the server if left out.
        pub entry_id: Option<MedicationEntryId>,
        /// The medication, and how the patient takes it.
        #[serde(flatten)]
        pub taken: Taken,
        /// Who told of the medication.
        pub source: Source,
    }

    /// Changes what is known of a medication on a patient's list. Which medication it is does not change if it was
    /// prescribed here.
    pub struct ChangePatientMedication {
        /// Which patient.
        pub patient_id: PatientId,
        /// Which entry of the list.
        pub entry_id: MedicationEntryId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Taken>,
    }

    /// Records that a patient does not take a medication for now.
    pub struct HoldPatientMedication {
        /// Which patient.
        pub patient_id: PatientId,
        /// Which entry of the list.
        pub entry_id: MedicationEntryId,
        /// Why the patient does not take the medication.
        pub reason: Personal<Reason>,
    }

    /// Records that a patient takes a medication again that was put on hold.
    pub struct ResumePatientMedication {
        /// Which patient.
        pub patient_id: PatientId,
        /// Which entry of the list.
        pub entry_id: MedicationEntryId,
        /// Why the patient takes the medication again.
        pub reason: Option<Personal<Reason>>,
    }

    /// Records that a patient takes a medication no longer.
    pub struct StopPatientMedication {
        /// Which patient.
        pub patient_id: PatientId,
        /// Which entry of the list.
        pub entry_id: MedicationEntryId,
        /// Why the patient takes the medication no longer.
        pub reason: Personal<Reason>,
        /// The last day on which the patient took the medication; today if left out.
        pub end_date: Option<NaiveDate>,
    }

    /// Marks an entry of a patient's medication list as entered in error. A prescription that began the entry stays.
    pub struct MarkPatientMedicationEnteredInError {
        /// Which patient.
        pub patient_id: PatientId,
        /// Which entry of the list.
        pub entry_id: MedicationEntryId,
        /// Why the entry is wrong.
        pub reason: Personal<Reason>,
    }
}

impl Claims for MedicationList {
    /// The id of an entry is the id of its row, so it is unique among all patients.
    fn claims(&self, _: Uuid, held: &mut Held) {
        for entry in self.entries.keys() {
            held.take(scopes::MEDICATION_ENTRY, entry.to_string());
        }
    }
}

/// An entry of a patient's list; refused if there is no list, or no such entry.
fn entry_of(state: Option<&MedicationList>, entry_id: MedicationEntryId) -> Result<&Entry, Refused> {
    let list = existing(state)?;
    list.entries.get(&entry_id).ok_or_else(|| Refusal::NoSuchEntry.into())
}

/// Moves an entry to another status; an entry that has the status already stays as it is.
fn step(
    entry: &Entry,
    from: impl Fn(Status) -> bool,
    to: Status,
    event: impl FnOnce() -> Event,
) -> Result<Decision<MedicationList>, Refused> {
    if entry.status == to {
        return Ok(Decision::nothing());
    }
    if !from(entry.status) {
        return refuse(Refusal::EntryStatus { status: entry.status });
    }
    Ok(Decision::event(event()))
}

impl Command for AddPatientMedication {
    const NAME: &'static str = "add-patient-medication";
    const PERMISSION: Permission = Permission::Update(Update::MedicationList);
    const REVERSED_BY: Option<&'static str> = Some(MarkPatientMedicationEnteredInError::NAME);
    type Aggregate = MedicationList;

    fn target(&self) -> Target {
        Target::either(list_of(self.patient_id))
    }

    fn reads(&self, _: Option<&MedicationList>, _: &Found) -> Reads {
        Reads::nothing().stream::<Patient>(self.patient_id).maybe::<Medication>(self.taken.medication_id)
    }

    fn decide(self, state: Option<&MedicationList>, ctx: &Context<'_>) -> Result<Decision<MedicationList>, Refused> {
        check_not_erased(ctx.named::<Patient>(self.patient_id, "/patient_id")?)?;
        let is_known = |id| state.is_some_and(|list| list.entries.contains_key(&id));
        let entry_id = ctx.part_id(self.entry_id, is_known)?;
        let taken = Box::new(taken::completed(taken::checked(self.taken)?, ctx)?);
        Ok(Decision::event(Event::Added { patient_id: self.patient_id, entry_id, taken, source: self.source }))
    }
}

impl Command for ChangePatientMedication {
    const NAME: &'static str = "change-patient-medication";
    const PERMISSION: Permission = Permission::Update(Update::MedicationList);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = MedicationList;

    fn target(&self) -> Target {
        Target::existing(list_of(self.patient_id))
    }

    fn reads(&self, state: Option<&MedicationList>, _: &Found) -> Reads {
        let entry = state.and_then(|list| list.entries.get(&self.entry_id));
        let after = entry.and_then(|entry| taken::changed(&entry.taken, self.changes.clone()).ok());
        Reads::nothing().maybe::<Medication>(after.and_then(|it| it.medication_id))
    }

    fn decide(self, state: Option<&MedicationList>, ctx: &Context<'_>) -> Result<Decision<MedicationList>, Refused> {
        let entry = entry_of(state, self.entry_id)?;
        if entry.status == Status::EnteredInError {
            return refuse(Refusal::EntryStatus { status: entry.status });
        }
        if taken::is_erased(&entry.taken) {
            return refuse(patient::Refusal::Erased);
        }
        let after = taken::checked(taken::changed(&entry.taken, self.changes)?)?;
        if entry.origin.item_id().is_some() && !taken::is_the_same(&entry.taken, &after) {
            return refuse(Refusal::PrescribedHere);
        }
        let taken = taken::completed(after, ctx)?;
        if taken == entry.taken {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::Changed { entry_id: self.entry_id, taken: Box::new(taken) }))
    }
}

impl Command for HoldPatientMedication {
    const NAME: &'static str = "hold-patient-medication";
    const PERMISSION: Permission = Permission::Update(Update::MedicationList);
    const REVERSED_BY: Option<&'static str> = Some(ResumePatientMedication::NAME);
    type Aggregate = MedicationList;

    fn target(&self) -> Target {
        Target::existing(list_of(self.patient_id))
    }

    fn decide(self, state: Option<&MedicationList>, _: &Context<'_>) -> Result<Decision<MedicationList>, Refused> {
        let Self { patient_id: _, entry_id, reason } = self;
        let entry = entry_of(state, entry_id)?;
        step(entry, |it| it == Status::Active, Status::OnHold, || Event::Held { entry_id, reason })
    }
}

impl Command for ResumePatientMedication {
    const NAME: &'static str = "resume-patient-medication";
    const PERMISSION: Permission = Permission::Update(Update::MedicationList);
    const REVERSED_BY: Option<&'static str> = Some(HoldPatientMedication::NAME);
    type Aggregate = MedicationList;

    fn target(&self) -> Target {
        Target::existing(list_of(self.patient_id))
    }

    fn decide(self, state: Option<&MedicationList>, _: &Context<'_>) -> Result<Decision<MedicationList>, Refused> {
        let Self { patient_id: _, entry_id, reason } = self;
        let entry = entry_of(state, entry_id)?;
        step(entry, |it| it == Status::OnHold, Status::Active, || Event::Resumed { entry_id, reason })
    }
}

impl Command for StopPatientMedication {
    const NAME: &'static str = "stop-patient-medication";
    const PERMISSION: Permission = Permission::Update(Update::MedicationList);
    type Aggregate = MedicationList;

    fn target(&self) -> Target {
        Target::existing(list_of(self.patient_id))
    }

    fn decide(self, state: Option<&MedicationList>, ctx: &Context<'_>) -> Result<Decision<MedicationList>, Refused> {
        let Self { patient_id: _, entry_id, reason, end_date } = self;
        let entry = entry_of(state, entry_id)?;
        // What was to begin later ends on the day on which it would have begun.
        let start_date = entry.taken.start_date.filter(|_| entry.status != Status::Intended);
        let earliest = start_date.map_or(ctx.today(), |it| it.max(ctx.today()));
        let end_date = end_date.unwrap_or(earliest);
        if end_date > earliest {
            return Err(Refused::field("in-the-future", "/end_date", "give a day that is not in the future"));
        }
        taken::check_days(start_date, Some(end_date))?;
        step(entry, Status::is_open, Status::Stopped, || Event::Stopped { entry_id, end_date, reason })
    }
}

impl Command for MarkPatientMedicationEnteredInError {
    const NAME: &'static str = "mark-patient-medication-entered-in-error";
    const PERMISSION: Permission = Permission::Update(Update::MedicationList);
    type Aggregate = MedicationList;

    fn target(&self) -> Target {
        Target::existing(list_of(self.patient_id))
    }

    fn decide(self, state: Option<&MedicationList>, _: &Context<'_>) -> Result<Decision<MedicationList>, Refused> {
        let Self { patient_id: _, entry_id, reason } = self;
        let entry = entry_of(state, entry_id)?;
        step(entry, Status::is_open, Status::EnteredInError, || Event::MarkedEnteredInError { entry_id, reason })
    }
}

#[cfg(test)]
mod tests;
