//! Two records of one person: merging a duplicate into the record that survives, and reversing the merge.
//!
//! A merge moves nothing. Both records say that they are of one person, and everything that looks a person up looks at
//! all records of the person.

use std::collections::BTreeSet;
use std::iter::successors;

use hims_domain::patient::{Event, Patient};
use hims_domain::permission::Update;
use hims_domain::values::{Mrn, Reason, Text};
use hims_domain::{Invalid, PatientId, Personal, Pointer, described};

use super::{Refusal, not_erased};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Kind, Permission, Reads, Refused, Target, refuse};

described! {
    /// Merges a duplicate into the record that survives. Nothing is moved: lists of the survivor also answer the rows
    /// of the duplicate, and commands that name the duplicate are refused as `merged`, with the survivor among the
    /// candidates.
    pub struct MergePatients {
        /// The record that survives.
        pub patient_id: PatientId,
        /// The record that is a duplicate.
        pub duplicate_id: PatientId,
        /// The medical record number of the survivor, typed again.
        pub mrn: Personal<Text<20>>,
        /// The medical record number of the duplicate, typed again.
        pub duplicate_mrn: Personal<Text<20>>,
        /// Why the two records are of one person.
        pub reason: Personal<Reason>,
    }

    /// Reverses a merge of two records. If the survivor was itself merged into a third record later, that merge is
    /// reversed first.
    pub struct UnmergePatients {
        /// The record that survived.
        pub patient_id: PatientId,
        /// The record that is no duplicate.
        pub duplicate_id: PatientId,
        /// Why the two records are of two persons.
        pub reason: Personal<Reason>,
    }
}

/// The records into which a record was merged, one after the other, as far as the records were looked up. The last one
/// is the survivor.
fn successors_of<'a>(patient: &Patient, found: &'a Found) -> impl Iterator<Item = PatientId> + use<'a> {
    successors(patient.merged_into, |id| found.get::<Patient>(*id)?.merged_into)
}

/// The record that survives of all records of a person, as far as the records were looked up.
pub(crate) fn survivor_of(id: PatientId, found: &Found) -> PatientId {
    let last = found.get::<Patient>(id).and_then(|patient| successors_of(patient, found).last());
    last.unwrap_or(id)
}

/// Also looks up every record of a person, given one of the records.
pub(crate) fn reads_person(reads: Reads, id: PatientId, found: &Found) -> Reads {
    let survivor = survivor_of(id, found);
    let duplicates = found.get::<Patient>(survivor).into_iter().flat_map(|it| it.duplicates.iter().copied());
    duplicates.fold(reads.stream::<Patient>(id).stream::<Patient>(survivor), Reads::stream::<Patient>)
}

/// The record that survives of all records of a person, given one of the records, as far as the records were looked up.
pub(crate) fn survivor(id: PatientId, found: &Found) -> Option<&Patient> {
    found.get::<Patient>(survivor_of(id, found))
}

/// The ids of all records of a person, given one of the records, as far as the records were looked up.
pub(crate) fn records_of(id: PatientId, found: &Found) -> BTreeSet<PatientId> {
    let survivor = survivor_of(id, found);
    let duplicates = found.get::<Patient>(survivor).map(|it| it.duplicates.clone()).unwrap_or_default();
    duplicates.into_iter().chain([id, survivor]).collect()
}

/// The records of a person, given one of the records, as far as the records were looked up.
pub(crate) fn person(id: PatientId, found: &Found) -> Vec<&Patient> {
    records_of(id, found).into_iter().filter_map(|it| found.get::<Patient>(it)).collect()
}

/// Adds an error unless the typed record number is that of the record.
fn compare(typed: &Personal<Text<20>>, known: &Mrn, at: &Pointer<'_>, mismatches: &mut Vec<Invalid>) {
    let is_same = typed.known().is_some_and(|typed| typed.as_str().eq_ignore_ascii_case(&known.0));
    if !is_same {
        mismatches.push(at.invalid("this is not the medical record number of the record; look at both records again"));
    }
}

impl MergePatients {
    /// Checks that the two record numbers are those of the two records, so that no other record is merged by mistake.
    fn check_numbers(&self, patient: &Patient, duplicate: &Patient) -> Result<(), Refused> {
        let (Some(mrn), Some(duplicate_mrn)) = (patient.mrn.known(), duplicate.mrn.known()) else {
            return refuse(Refusal::Erased);
        };
        let mut mismatches = Vec::new();
        let at = |field| Pointer::Field(&Pointer::Root, field);
        compare(&self.mrn, mrn, &at("mrn"), &mut mismatches);
        compare(&self.duplicate_mrn, duplicate_mrn, &at("duplicate_mrn"), &mut mismatches);
        if mismatches.is_empty() {
            return Ok(());
        }
        let detail = "a medical record number is not that of its record; see errors";
        Err(Refused { errors: mismatches, ..Refused::new(Kind::Rule, "mrn-mismatch", detail) })
    }
}

impl Command for MergePatients {
    const NAME: &'static str = "merge-patients";
    const PERMISSION: Permission = Permission::Update(Update::PatientMerges);
    const NEEDS_IDENTITY: bool = true;
    const REVERSED_BY: Option<&'static str> = Some(UnmergePatients::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn reads(&self, state: Option<&Patient>, found: &Found) -> Reads {
        let into = state.into_iter().flat_map(|patient| successors_of(patient, found));
        into.fold(Reads::nothing().stream::<Patient>(self.duplicate_id), Reads::stream::<Patient>)
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let mut into = successors_of(existing(state)?, ctx.found);
        if self.duplicate_id == self.patient_id || into.any(|id| id == self.duplicate_id) {
            return refuse(Refusal::InACircle);
        }
        let patient = not_erased(state)?;
        let merged_already = ctx.found.get::<Patient>(self.duplicate_id);
        if let Some(duplicate) = merged_already.filter(|it| it.merged_into == Some(self.patient_id)) {
            return self.check_numbers(patient, duplicate).map(|()| Decision::nothing());
        }
        let duplicate = ctx.named::<Patient>(self.duplicate_id, "/duplicate_id")?;
        self.check_numbers(patient, duplicate)?;
        if patient.confidentiality != duplicate.confidentiality {
            return refuse(Refusal::OpenToOthers);
        }
        let Self { patient_id, duplicate_id, reason, .. } = self;
        let brought = duplicate.duplicates.clone();
        Ok(Decision::event(Event::DuplicateMerged { duplicate_id, brought, reason: reason.clone() })
            .also::<Patient>(duplicate_id, Event::MergedInto { patient_id, reason }))
    }
}

impl Command for UnmergePatients {
    const NAME: &'static str = "unmerge-patients";
    const PERMISSION: Permission = Permission::Update(Update::PatientMerges);
    const NEEDS_IDENTITY: bool = true;
    const REVERSED_BY: Option<&'static str> = Some(MergePatients::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn reads(&self, _: Option<&Patient>, _: &Found) -> Reads {
        Reads::nothing().stream::<Patient>(self.duplicate_id)
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        not_erased(state)?;
        let Self { patient_id, duplicate_id, reason } = self;
        let duplicate = match ctx.found.get::<Patient>(duplicate_id) {
            Some(duplicate) => duplicate,
            None => ctx.named::<Patient>(duplicate_id, "/duplicate_id")?,
        };
        match duplicate.merged_into {
            Some(survivor) if survivor == patient_id => {
                let taken_along = duplicate.duplicates.clone();
                Ok(Decision::event(Event::DuplicateUnmerged { duplicate_id, taken_along, reason: reason.clone() })
                    .also::<Patient>(duplicate_id, Event::Unmerged { patient_id, reason }))
            }
            Some(survivor) => {
                let refused: Refused = Refusal::MergedIntoAnother.into();
                Err(Refused { candidates: vec![survivor.0], ..refused })
            }
            None => Ok(Decision::nothing()),
        }
    }
}

#[cfg(test)]
mod tests;
