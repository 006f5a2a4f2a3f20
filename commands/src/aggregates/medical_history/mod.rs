//! Medical history: recording entries, changing entries, and marking wrong entries as entered in error.

mod entry;

use hims_domain::medical_history::{Entry, Event, HistoryType, MedicalHistory, Status};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::values::{PartialDate, Reason, Text, coding};
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

/// The vaccine of an immunization (CVX).
fn vaccine(entry: &Entry) -> Option<&str> {
    let is_cvx = entry.code_system.as_ref().is_some_and(|it| it.as_str() == coding::CVX);
    entry.code.as_ref().filter(|_| is_cvx && entry.history_type == HistoryType::Immunization).map(Text::as_str)
}

/// The vaccine and the day of an immunization, if both are known.
fn immunization(entry: &Entry) -> Option<(&str, &PartialDate)> {
    let day = entry.onset_date.as_ref()?.known().filter(|date| date.parts() == 3)?;
    Some((vaccine(entry)?, day))
}

fn key(patient_id: PatientId, vaccine: &str) -> String {
    scopes::key(&[&patient_id.to_string(), vaccine])
}

impl Claims for MedicalHistory {
    /// Immunizations are found by the vaccine, as long as they are valid. The day is personal: a claim on it would have to
    /// be given back when the patient is erased.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if self.status == Status::Recorded {
            held.share_if(scopes::HISTORY_IMMUNIZATION, vaccine(&self.entry).map(|it| key(self.patient_id, it)));
        }
    }
}

/// Looks up the other entries of a patient about the vaccine of an immunization.
fn reads_vaccine(reads: Reads, patient_id: PatientId, entry: &Entry) -> Reads {
    match immunization(entry) {
        Some((vaccine, _)) => {
            reads.candidates::<MedicalHistory>(scopes::HISTORY_IMMUNIZATION, key(patient_id, vaccine))
        }
        None => reads,
    }
}

/// Refuses an immunization that another entry is about already.
fn check_is_new(ctx: &Context<'_>, patient_id: PatientId, entry: &Entry) -> Result<(), Refused> {
    let Some(wanted) = immunization(entry) else { return Ok(()) };
    let others = ctx.found.owners::<MedicalHistory>(scopes::HISTORY_IMMUNIZATION, key(patient_id, wanted.0));
    let same = others.filter(|(id, it)| *id != ctx.id && immunization(&it.entry) == Some(wanted));
    let candidates: Vec<Uuid> = same.map(|(id, _)| id).collect();
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
        if self.confirm_not_duplicate { reads } else { reads_vaccine(reads, self.patient_id, &self.entry) }
    }

    fn decide(self, _: Option<&MedicalHistory>, ctx: &Context<'_>) -> Result<Decision<MedicalHistory>, Refused> {
        check_not_erased(ctx.named::<Patient>(self.patient_id, "/patient_id")?)?;
        let recorded_by = acting(ctx, self.recorded_by, "/recorded_by", self.patient_id, Self::PERMISSION)?;
        let entry = entry::checked(self.entry, ctx.now)?;
        if !self.confirm_not_duplicate {
            check_is_new(ctx, self.patient_id, &entry)?;
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

    /// Whether the entry may be about an immunization that another entry is about, and was not before.
    fn may_repeat(&self, before: &Entry, after: &Entry) -> bool {
        !self.confirm_not_duplicate && immunization(before) != immunization(after)
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
        let Some(history) = state else { return Reads::nothing() };
        match self.after(&history.entry) {
            Ok(after) if self.may_repeat(&history.entry, &after) => {
                reads_vaccine(Reads::nothing(), history.patient_id, &after)
            }
            _ => Reads::nothing(),
        }
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
        if self.may_repeat(&history.entry, &entry) {
            check_is_new(ctx, history.patient_id, &entry)?;
        }
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
