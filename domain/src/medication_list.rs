//! Medication lists: what a patient takes, whoever prescribed it (FHIR R4 `MedicationStatement`). One list for each
//! patient, so that whoever prescribes sees what others prescribe at the same moment.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Reason, Text};
use crate::{
    Aggregate, MedicationEntryId, MedicationId, MedicationListId, PatientId, Personal, PrescriptionId,
    PrescriptionItemId, Subject, UserId, derived, described, terms,
};

terms! {
    /// The status of an entry. An entry with one of the first three is open.
    pub enum Status {
        /// Prescribed, and not dispensed yet.
        Intended = "intended",
        Active = "active",
        OnHold = "on_hold",
        Stopped = "stopped",
        Completed = "completed",
        EnteredInError = "entered_in_error",
    }

    /// Who told of a medication that was not prescribed here: another hospital or practice, the patient, or whoever
    /// sold it over the counter.
    pub enum Source {
        External = "external",
        PatientReported = "patient_reported",
        Otc = "otc",
    }

    /// What becomes of an entry when the list is reconciled.
    pub enum Action {
        Continue = "continue",
        Stop = "stop",
        Hold = "hold",
    }
}

impl Status {
    /// Whether the patient takes the medication, or will, or may again.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Intended | Self::Active | Self::OnHold)
    }
}

described! {
    /// A medication that a patient takes, and how.
    pub struct Taken {
        /// The product of the catalogue; either this or the name is given.
        pub medication_id: Option<MedicationId>,
        /// The name of the medication, if the catalogue does not have it.
        pub medication_name: Option<Personal<Text<200>>>,
        /// The RxNorm concept of the product (RXCUI); that of the catalogue if left out.
        pub rxnorm_code: Option<Text<20>>,
        /// The RxNorm concepts of the ingredients (RXCUI), 20 at most; those of the catalogue if left out.
        pub ingredients: Option<BTreeSet<Text<20>>>,
        /// The dose, such as `500 mg`.
        pub dose: Option<Personal<Text<50>>>,
        /// The route by which the medication is taken, such as `oral`.
        pub route: Option<Text<50>>,
        /// How often the medication is taken.
        pub frequency: Option<Text<50>>,
        /// The first day on which the medication is taken.
        pub start_date: Option<NaiveDate>,
        /// The last day on which the medication is taken.
        pub end_date: Option<NaiveDate>,
    }
}

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A prescription of this hospital.
    PrescribedHere {
        /// The prescription.
        prescription_id: PrescriptionId,
        /// The line of the prescription.
        item_id: PrescriptionItemId,
    },
    /// Somebody told of it.
    Told(Source),
}

impl Origin {
    /// The code that says where an entry comes from.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PrescribedHere { .. } => "prescribed_here",
            Self::Told(source) => source.as_str(),
        }
    }

    /// The line of the prescription, if the medication was prescribed here.
    pub fn item_id(self) -> Option<PrescriptionItemId> {
        match self {
            Self::PrescribedHere { item_id, .. } => Some(item_id),
            Self::Told(_) => None,
        }
    }
}

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The medication, and how the patient takes it.
    pub taken: Taken,
    /// Where the entry comes from.
    pub origin: Origin,
    /// The status of the entry.
    pub status: Status,
}

impl Entry {
    /// Whether the entry counts on a day: it is open, and not past its end. An entry that is past its end is over, also
    /// where nobody has completed it yet.
    pub fn is_open_on(&self, day: NaiveDate) -> bool {
        self.status.is_open() && self.taken.end_date.is_none_or(|end| day <= end)
    }
}

/// An entry that begins with a prescription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prescribed {
    /// The id of the entry.
    pub entry_id: MedicationEntryId,
    /// The line of the prescription.
    pub item_id: PrescriptionItemId,
    /// The medication, and how the patient is to take it.
    pub taken: Taken,
    /// The status of the entry.
    pub status: Status,
}

/// An entry whose medication was dispensed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dispensed {
    /// The id of the entry.
    pub entry_id: MedicationEntryId,
    /// The first day on which the patient takes the medication.
    pub start_date: NaiveDate,
    /// The last day on which what was dispensed is taken; `None` if the prescription says nothing of it.
    pub end_date: Option<NaiveDate>,
}

/// What became of an entry when the list was reconciled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reconciled {
    /// The id of the entry.
    pub entry_id: MedicationEntryId,
    /// The status of the entry afterwards.
    pub status: Status,
    /// The last day on which the medication is taken, afterwards.
    pub end_date: Option<NaiveDate>,
    /// The reason for a change.
    pub reason: Option<Personal<Reason>>,
}

/// What a patient takes and took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MedicationList {
    /// The patient.
    pub patient_id: PatientId,
    /// The entries, those that are over included.
    pub entries: BTreeMap<MedicationEntryId, Entry>,
}

/// What can happen to a medication list. It begins with `prescribed` or `added`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Medications were prescribed here.
    Prescribed {
        /// The patient.
        patient_id: PatientId,
        /// The prescription.
        prescription_id: PrescriptionId,
        /// The new entries, one for each line of the prescription.
        entries: Vec<Prescribed>,
    },
    /// Medications of a prescription were dispensed, so the patient takes them.
    Dispensed {
        /// The entries.
        entries: Vec<Dispensed>,
    },
    /// What was dispensed went back to the pharmacy, so the patient does not take it.
    DispensingReversed {
        /// The entries of which nothing is dispensed any more. They have neither a first nor a last day.
        entries: BTreeSet<MedicationEntryId>,
        /// The status of the entries: intended, or stopped if the prescription was cancelled.
        status: Status,
    },
    /// A prescription was cancelled. The patient does not take those medications of which nothing was dispensed.
    PrescriptionCancelled {
        /// The entries that end.
        entries: BTreeSet<MedicationEntryId>,
        /// The reason for the cancellation.
        reason: Personal<Reason>,
    },
    /// A medication that was not prescribed here became known.
    Added {
        /// The patient.
        patient_id: PatientId,
        /// The id of the entry.
        entry_id: MedicationEntryId,
        /// The medication, and how the patient takes it.
        taken: Box<Taken>,
        /// Who told of it.
        source: Source,
    },
    /// What is known of an entry changed. The event holds all that is known.
    Changed {
        /// The id of the entry.
        entry_id: MedicationEntryId,
        /// The medication, and how the patient takes it.
        taken: Box<Taken>,
    },
    /// The patient does not take a medication for now.
    Held {
        /// The id of the entry.
        entry_id: MedicationEntryId,
        /// The reason.
        reason: Personal<Reason>,
    },
    /// The patient takes a medication again.
    Resumed {
        /// The id of the entry.
        entry_id: MedicationEntryId,
        /// The reason.
        reason: Option<Personal<Reason>>,
    },
    /// The patient takes a medication no longer.
    Stopped {
        /// The id of the entry.
        entry_id: MedicationEntryId,
        /// The last day on which the medication was taken.
        end_date: NaiveDate,
        /// The reason.
        reason: Personal<Reason>,
    },
    /// The patient has taken medications to their end.
    Completed {
        /// The entries.
        entries: BTreeSet<MedicationEntryId>,
    },
    /// Somebody went through the list with the patient.
    Reconciled {
        /// What became of each entry that was open.
        entries: Vec<Reconciled>,
        /// Who went through the list; `None` if nobody is known to have.
        reconciled_by: Option<UserId>,
        /// When that was.
        reconciled_at: DateTime<Utc>,
    },
    /// An entry turned out to be wrong.
    MarkedEnteredInError {
        /// The id of the entry.
        entry_id: MedicationEntryId,
        /// What was wrong.
        reason: Personal<Reason>,
    },
}

/// The id of a patient's medication list.
pub fn list_of(patient: PatientId) -> MedicationListId {
    derived("medication_list", &[&patient.to_string()]).into()
}

/// The id of the entry that begins with a line of a prescription.
pub fn entry_of(item: PrescriptionItemId) -> MedicationEntryId {
    derived("medication_entry", &[&item.to_string()]).into()
}

impl MedicationList {
    /// The entries that count on a day, as [`Entry::is_open_on`] says.
    pub fn open_on(&self, day: NaiveDate) -> impl Iterator<Item = (MedicationEntryId, &Entry)> {
        self.entries.iter().filter(move |(_, it)| it.is_open_on(day)).map(|(id, it)| (*id, it))
    }

    /// Changes an entry, if the list has it.
    fn with(mut self, id: MedicationEntryId, change: impl FnOnce(&mut Entry)) -> Self {
        if let Some(entry) = self.entries.get_mut(&id) {
            change(entry);
        }
        self
    }

    fn moved(self, id: MedicationEntryId, status: Status) -> Self {
        self.with(id, |entry| entry.status = status)
    }
}

impl Aggregate for MedicationList {
    const STREAM: &'static str = "medication_list";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let begun = |patient_id: &PatientId| Self { patient_id: *patient_id, entries: BTreeMap::new() };
        match event {
            Event::Prescribed { patient_id, prescription_id, entries } => {
                let mut list = state.unwrap_or_else(|| begun(patient_id));
                list.entries.extend(entries.iter().map(|it| {
                    let origin = Origin::PrescribedHere { prescription_id: *prescription_id, item_id: it.item_id };
                    (it.entry_id, Entry { taken: it.taken.clone(), origin, status: it.status })
                }));
                Some(list)
            }
            Event::Added { patient_id, entry_id, taken, source } => {
                let mut list = state.unwrap_or_else(|| begun(patient_id));
                let (taken, origin) = ((**taken).clone(), Origin::Told(*source));
                list.entries.insert(*entry_id, Entry { taken, origin, status: Status::Active });
                Some(list)
            }
            Event::Dispensed { entries } => state.map(|list| {
                entries.iter().fold(list, |list, it| {
                    list.with(it.entry_id, |entry| {
                        entry.status = Status::Active;
                        entry.taken.start_date = Some(it.start_date);
                        entry.taken.end_date = it.end_date;
                    })
                })
            }),
            Event::DispensingReversed { entries, status } => state.map(|list| {
                entries.iter().fold(list, |list, id| {
                    list.with(*id, |entry| {
                        entry.status = *status;
                        (entry.taken.start_date, entry.taken.end_date) = (None, None);
                    })
                })
            }),
            Event::PrescriptionCancelled { entries, reason: _ } => {
                state.map(|list| entries.iter().fold(list, |list, id| list.moved(*id, Status::Stopped)))
            }
            Event::Changed { entry_id, taken } => {
                state.map(|list| list.with(*entry_id, |entry| entry.taken = (**taken).clone()))
            }
            Event::Held { entry_id, reason: _ } => state.map(|list| list.moved(*entry_id, Status::OnHold)),
            Event::Resumed { entry_id, reason: _ } => state.map(|list| list.moved(*entry_id, Status::Active)),
            Event::Stopped { entry_id, end_date, reason: _ } => state.map(|list| {
                list.with(*entry_id, |entry| {
                    entry.status = Status::Stopped;
                    entry.taken.end_date = Some(*end_date);
                })
            }),
            Event::Completed { entries } => {
                state.map(|list| entries.iter().fold(list, |list, id| list.moved(*id, Status::Completed)))
            }
            Event::Reconciled { entries, reconciled_by: _, reconciled_at: _ } => state.map(|list| {
                entries.iter().fold(list, |list, it| {
                    list.with(it.entry_id, |entry| {
                        entry.status = it.status;
                        entry.taken.end_date = it.end_date;
                    })
                })
            }),
            Event::MarkedEnteredInError { entry_id, reason: _ } => {
                state.map(|list| list.moved(*entry_id, Status::EnteredInError))
            }
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}
