//! Reconciling: somebody goes through the list with the patient, and says of every open entry what becomes of it.

use std::collections::BTreeSet;

use hims_domain::medication_list::{Action, Entry, Event, MedicationList, Reconciled, Status, list_of};
use hims_domain::permission::Update;
use hims_domain::values::Reason;
use hims_domain::{Invalid, MedicationEntryId, PatientId, Personal, described};

use super::Refusal;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Kind, Permission, Refused, Target, refuse};

described! {
    /// What becomes of an entry of the list.
    pub struct Decided {
        /// Which entry.
        pub entry_id: MedicationEntryId,
        /// Whether the patient goes on taking the medication, stops, or pauses. A medication on hold is taken again if
        /// it continues.
        pub action: Action,
        /// The reason for stopping or pausing.
        pub reason: Option<Personal<Reason>>,
    }

    /// Records that somebody went through a patient's medication list: every open entry continues, stops or is put on
    /// hold.
    pub struct ReconcileMedicationList {
        /// Which patient.
        pub patient_id: PatientId,
        /// What becomes of each open entry; entries past their end need not be named.
        pub decisions: Vec<Decided>,
    }
}

/// An entry after a decision on it.
fn after(decided: Decided, entry: &Entry, ctx: &Context<'_>) -> Result<Reconciled, Refused> {
    let wrong_status = || refuse(Refusal::EntryStatus { status: entry.status });
    let status = match (decided.action, entry.status) {
        (_, Status::Stopped | Status::Completed | Status::EnteredInError) | (Action::Hold, Status::Intended) => {
            return wrong_status();
        }
        (Action::Continue, Status::Intended) => Status::Intended,
        (Action::Continue, Status::Active | Status::OnHold) => Status::Active,
        (Action::Stop, Status::Intended | Status::Active | Status::OnHold) => Status::Stopped,
        (Action::Hold, Status::Active | Status::OnHold) => Status::OnHold,
    };
    let is_stopped = status == Status::Stopped;
    // What was to begin later ends on the day on which it would have begun.
    let last = entry.taken.start_date.map_or(ctx.today(), |it| it.max(ctx.today()));
    let end_date = if is_stopped { Some(last) } else { entry.taken.end_date };
    Ok(Reconciled { entry_id: decided.entry_id, status, end_date, reason: decided.reason })
}

impl Command for ReconcileMedicationList {
    const NAME: &'static str = "reconcile-medication-list";
    const PERMISSION: Permission = Permission::Update(Update::MedicationList);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = MedicationList;

    fn target(&self) -> Target {
        Target::existing(list_of(self.patient_id))
    }

    fn decide(self, state: Option<&MedicationList>, ctx: &Context<'_>) -> Result<Decision<MedicationList>, Refused> {
        let list = existing(state)?;
        let mut named = BTreeSet::new();
        let twice = self.decisions.iter().enumerate().filter(|(_, it)| !named.insert(it.entry_id));
        let twice: Vec<_> = twice
            .map(|(nth, _)| Invalid::new(format!("/decisions/{nth}/entry_id"), "decide on each entry once".to_owned()))
            .collect();
        if !twice.is_empty() {
            return Err(Refused::invalid(twice));
        }
        let forgotten = list.open_on(ctx.today()).map(|(id, _)| id).filter(|id| !named.contains(id));
        let candidates: Vec<_> = forgotten.map(Into::into).collect();
        if !candidates.is_empty() {
            let detail =
                "some medications that the patient takes are missing (see candidates); decide on every open entry";
            return Err(Refused { candidates, ..Refused::new(Kind::Rule, "unreconciled", detail) });
        }
        let mut entries = Vec::with_capacity(self.decisions.len());
        for decided in self.decisions {
            let Some(entry) = list.entries.get(&decided.entry_id) else { return refuse(Refusal::NoSuchEntry) };
            entries.push(after(decided, entry, ctx)?);
        }
        let (reconciled_by, reconciled_at) = (ctx.caller.user_id(), ctx.now);
        Ok(Decision::event(Event::Reconciled { entries, reconciled_by, reconciled_at }))
    }
}
