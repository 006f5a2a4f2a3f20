//! Completing what a patient has taken to its end.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use hims_domain::medication_list::{Event, MedicationList, list_of};
use hims_domain::{PatientId, described};

use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Permission, Refused, Target};

described! {
    /// Completes the open entries of a patient's medication list that ended before a day. Does nothing if there is no
    /// such entry. The process `medication-list` gives the command.
    pub struct CompletePastMedications {
        /// Which patient.
        pub patient_id: PatientId,
        /// The day before which the entries ended.
        pub before: NaiveDate,
    }
}

impl Command for CompletePastMedications {
    const NAME: &'static str = "complete-past-medications";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = MedicationList;

    fn target(&self) -> Target {
        Target::existing(list_of(self.patient_id))
    }

    fn decide(self, state: Option<&MedicationList>, _: &Context<'_>) -> Result<Decision<MedicationList>, Refused> {
        let open = existing(state)?.entries.iter().filter(|(_, it)| it.status.is_open());
        let past = open.filter(|(_, it)| it.taken.end_date.is_some_and(|end| end < self.before));
        let entries: BTreeSet<_> = past.map(|(id, _)| *id).collect();
        Ok(if entries.is_empty() { Decision::nothing() } else { Decision::event(Event::Completed { entries }) })
    }
}
