//! Medical history: recording entries, changing entries, and marking wrong entries as entered in error.

mod entry;

use hims_domain::medical_history::{Entry, Event, HistoryType, MedicalHistory, Status};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::values::{Reason, coding};
use hims_domain::{MedicalHistoryId, PatientId, Personal, UserId, described};
use uuid::Uuid;

use super::patient::{self, check_not_erased};
use super::user::{acting, reads_named};
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Kind, Patch, Permission, Reads, Refused, Registry, Target,
    refuse, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<RecordMedicalHistory>().add::<ChangeMedicalHistory>().add::<MarkMedicalHistoryEnteredInError>();
}

refusals! {
    InconsistentStatus = Rule, "inconsistent-status",
        "only a condition with the status resolved, remission or inactive has a resolved date; change one of the two";
}

described! {
    /// Records an entry of a patient's medical history: a condition, an operation, an immunization and the like. An
    /// immunization with a vaccine (CVX) that the patient got on the same day is refused with the ids of the
    /// candidates, unless the caller confirms that the entry is none of them.
    pub struct RecordMedicalHistory {
        /// The id of the new entry; issued by the server if left out.
        pub id: Option<MedicalHistoryId>,
        /// The patient whom the entry is about.
        pub patient_id: PatientId,
        /// The user who recorded the entry; the caller if left out.
        pub recorded_by: Option<UserId>,
        /// What the entry says.
        #[serde(flatten)]
        pub entry: Entry,
        /// Confirms that the caller has looked at the candidates and that the entry is none of them.
        #[serde(default)]
        pub confirm_not_duplicate: bool,
    }

    /// Changes what an entry of the medical history says.
    pub struct ChangeMedicalHistory {
        /// Which entry.
        pub medical_history_id: MedicalHistoryId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Entry>,
        /// Confirms that the caller has looked at the candidates and that the entry is none of them.
        #[serde(default)]
        pub confirm_not_duplicate: bool,
    }

    /// Marks an entry of the medical history as entered in error.
    pub struct MarkMedicalHistoryEnteredInError {
        /// Which entry.
        pub medical_history_id: MedicalHistoryId,
        /// Why the entry is wrong.
        pub reason: Personal<Reason>,
    }
}

/// The key of an immunization whose vaccine and day are known: the patient, the CVX code and the day.
fn immunization_key(patient_id: PatientId, entry: &Entry) -> Option<String> {
    let is_cvx = entry.code_system.as_ref().is_some_and(|it| it.as_str() == coding::CVX);
    let code = entry.code.as_ref().filter(|_| is_cvx && entry.history_type == HistoryType::Immunization)?;
    let date = entry.onset_date.as_ref()?.known().filter(|date| date.parts() == 3)?;
    Some(scopes::key(&[&patient_id.to_string(), code.as_str(), date.as_str()]))
}

impl Claims for MedicalHistory {
    /// Immunizations are found by vaccine and day, as long as they are valid.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if self.status == Status::Recorded {
            held.share_if(scopes::HISTORY_IMMUNIZATION, immunization_key(self.patient_id, &self.entry));
        }
    }
}

/// Looks up the other entries about the same immunization.
fn reads_immunization(reads: Reads, key: Option<String>) -> Reads {
    match key {
        Some(key) => reads.holders(scopes::HISTORY_IMMUNIZATION, key),
        None => reads,
    }
}

/// Refuses an immunization that another entry is about already.
fn check_is_new(ctx: &Context<'_>, key: Option<String>) -> Result<(), Refused> {
    let holders = key.into_iter().flat_map(|key| ctx.found.holders(scopes::HISTORY_IMMUNIZATION, key));
    let candidates: Vec<Uuid> = holders.copied().filter(|id| *id != ctx.id).collect();
    if candidates.is_empty() {
        return Ok(());
    }
    let detail = "the patient may have this immunization in the record already; look at the candidates, or repeat with \
                  confirm_not_duplicate if it is none of them";
    Err(Refused { candidates, ..Refused::new(Kind::Conflict, "possible-duplicate", detail) })
}

impl Command for RecordMedicalHistory {
    const NAME: &'static str = "record-medical-history";
    const PERMISSION: Permission = Permission::Create(Create::MedicalHistory);
    const REVERSED_BY: Option<&'static str> = Some(MarkMedicalHistoryEnteredInError::NAME);
    type Aggregate = MedicalHistory;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn probes_a_secret(&self, caller: &Caller) -> bool {
        !self.confirm_not_duplicate && !caller.reads_all_charts()
    }

    fn reads(&self, _: Option<&MedicalHistory>, found: &Found) -> Reads {
        let reads = reads_named(Reads::nothing().stream::<Patient>(self.patient_id), self.recorded_by, found);
        let key = immunization_key(self.patient_id, &self.entry).filter(|_| !self.confirm_not_duplicate);
        reads_immunization(reads, key)
    }

    fn decide(self, _: Option<&MedicalHistory>, ctx: &Context<'_>) -> Result<Decision<MedicalHistory>, Refused> {
        check_not_erased(ctx.named::<Patient>(self.patient_id, "/patient_id")?)?;
        let recorded_by = acting(ctx, self.recorded_by, "/recorded_by", self.patient_id, Self::PERMISSION)?;
        let entry = entry::checked(self.entry, ctx.now)?;
        if !self.confirm_not_duplicate {
            check_is_new(ctx, immunization_key(self.patient_id, &entry))?;
        }
        let (patient_id, entry) = (self.patient_id, Box::new(entry));
        Ok(Decision::event(Event::Recorded { patient_id, recorded_by, entry }))
    }
}

impl ChangeMedicalHistory {
    /// The entry after the changes. A new date without a precision is as exact as it is written.
    fn after(&self, before: &Entry) -> Result<Entry, Refused> {
        let is_new_date = self.changes.mentions("onset_date") && !self.changes.mentions("onset_precision");
        let onset_precision = before.onset_precision.filter(|_| !is_new_date);
        self.changes.clone().apply(&Entry { onset_precision, ..before.clone() })
    }

    /// The key of the immunization that the changes make of an entry, if it was another or none before.
    fn new_key(&self, state: &MedicalHistory, after: &Entry) -> Option<String> {
        let [before, after] = [&state.entry, after].map(|it| immunization_key(state.patient_id, it));
        if before == after || self.confirm_not_duplicate { None } else { after }
    }
}

impl Command for ChangeMedicalHistory {
    const NAME: &'static str = "change-medical-history";
    const PERMISSION: Permission = Permission::Update(Update::MedicalHistory);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = MedicalHistory;

    fn target(&self) -> Target {
        Target::existing(self.medical_history_id)
    }

    fn probes_a_secret(&self, caller: &Caller) -> bool {
        !self.confirm_not_duplicate && !caller.reads_all_charts()
    }

    fn reads(&self, state: Option<&MedicalHistory>, _: &Found) -> Reads {
        let key = state.and_then(|state| self.new_key(state, &self.after(&state.entry).ok()?));
        reads_immunization(Reads::nothing(), key)
    }

    fn decide(self, state: Option<&MedicalHistory>, ctx: &Context<'_>) -> Result<Decision<MedicalHistory>, Refused> {
        let history = existing(state)?;
        if history.status != Status::Recorded {
            return Err(Refused::wrong_status::<MedicalHistory>(history.status));
        }
        if history.entry.description.known().is_none() {
            return refuse(patient::Refusal::Erased);
        }
        let entry = entry::checked(self.after(&history.entry)?, ctx.now)?;
        if entry == history.entry {
            return Ok(Decision::nothing());
        }
        check_is_new(ctx, self.new_key(history, &entry))?;
        Ok(Decision::event(Event::Changed(Box::new(entry))))
    }
}

impl Command for MarkMedicalHistoryEnteredInError {
    const NAME: &'static str = "mark-medical-history-entered-in-error";
    const PERMISSION: Permission = Permission::Update(Update::MedicalHistory);
    type Aggregate = MedicalHistory;

    fn target(&self) -> Target {
        Target::existing(self.medical_history_id)
    }

    fn decide(self, state: Option<&MedicalHistory>, _: &Context<'_>) -> Result<Decision<MedicalHistory>, Refused> {
        let history = existing(state)?;
        match history.status {
            Status::Recorded => Ok(Decision::event(Event::MarkedEnteredInError { reason: self.reason })),
            Status::EnteredInError => Ok(Decision::nothing()),
        }
    }
}

#[cfg(test)]
mod tests;
