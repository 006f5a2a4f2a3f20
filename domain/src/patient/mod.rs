//! Patients: persons under care, with their allergies and the identifiers that other systems gave them (FHIR R4
//! `Patient`, `AllergyIntolerance`).

mod demographics;
mod emergency_contacts;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{LongText, Mrn, Name, Reason, Text};
use crate::{
    Aggregate, AllergyId, EmergencyContactId, ErasureId, PatientId, Personal, Subject, UserId, described, terms,
};
pub use demographics::Demographics;
pub use emergency_contacts::{EmergencyContact, EmergencyContacts, contact_of_demographics};

terms! {
    /// Administrative gender (FHIR `administrative-gender`).
    pub enum Gender {
        Male = "male",
        Female = "female",
        Other = "other",
        Unknown = "unknown",
    }

    /// How exactly a date of birth is known.
    pub enum BirthDatePrecision {
        Day = "day",
        Month = "month",
        Year = "year",
        /// The date is estimated, such as that of an unconscious patient.
        Estimated = "estimated",
        /// There is no date of birth.
        Unknown = "unknown",
    }

    /// The blood groups of the systems ABO and Rhesus.
    pub enum BloodType {
        APositive = "A+",
        ANegative = "A-",
        BPositive = "B+",
        BNegative = "B-",
        AbPositive = "AB+",
        AbNegative = "AB-",
        OPositive = "O+",
        ONegative = "O-",
    }

    /// To whom a record is open (HL7 v3 `Confidentiality`).
    pub enum Confidentiality {
        /// To everybody whose roles read such records.
        Normal = "N",
        /// To those who treat the patient, and in an emergency.
        Restricted = "R",
        /// To those who treat the patient, and in an emergency to two people together.
        VeryRestricted = "V",
    }

    /// The kind of substance that causes an allergy.
    pub enum AllergenType {
        Drug = "drug",
        Food = "food",
        Environmental = "environmental",
        Biologic = "biologic",
        Other = "other",
    }

    /// The severity of an allergic reaction.
    pub enum Severity {
        Mild = "mild",
        Moderate = "moderate",
        Severe = "severe",
        LifeThreatening = "life_threatening",
    }
}

described! {
    /// An allergy or intolerance.
    pub struct Allergy {
        /// The kind of substance that causes the allergy.
        pub allergen_type: AllergenType,
        /// The substance that causes the allergy, such as `penicillin`.
        pub allergen_name: Personal<Name<200>>,
        /// The RxNorm concept of the substance (RXCUI), with which the ingredients of products are compared.
        pub rxnorm_code: Option<Personal<Text<20>>>,
        /// The system of the code, as a URI such as `http://snomed.info/sct`.
        pub code_system: Option<Text<100>>,
        /// The code of the substance. A code of RxNorm is compared with the ingredients of products too.
        pub code: Option<Text<20>>,
        /// The severity of the reaction.
        pub severity: Option<Severity>,
        /// The reaction of the patient, such as `rash`.
        pub reaction_description: Option<Personal<LongText>>,
        /// The date on which the allergy began.
        pub onset_date: Option<Personal<NaiveDate>>,
        /// The user who reported the allergy; the caller if left out.
        pub reported_by: Option<UserId>,
    }

    /// The death of a patient.
    pub struct Death {
        /// When the patient died.
        pub deceased_at: Personal<DateTime<Utc>>,
        /// From where the death is known, such as `death_certificate`.
        pub source: Option<Text<50>>,
    }

    /// An identifier that another system gave the patient.
    #[derive(Eq)]
    pub struct Identifier {
        /// The system that issued the identifier, as a URI (FHIR `Identifier.system`).
        pub system: Text<255>,
        /// The identifier (FHIR `Identifier.value`).
        pub value: Personal<Text<100>>,
        /// The kind of identifier (HL7 v2 table 0203), such as `MR`, `DL` or `PPN`.
        pub type_code: Option<Text<20>>,
    }
}

/// A patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Patient {
    /// The medical record number that this hospital issued.
    pub mrn: Personal<Mrn>,
    /// Who the patient is and how to reach them.
    pub demographics: Demographics,
    /// The allergies that are not retired, by id.
    pub allergies: BTreeMap<AllergyId, Allergy>,
    /// The ids of retired allergies.
    pub retired_allergies: BTreeSet<AllergyId>,
    /// The identifiers that other systems gave the patient, by their place among all that the patient has had.
    pub identifiers: BTreeMap<u32, Identifier>,
    /// How many identifiers the patient has had, with those that were removed.
    pub identifiers_so_far: u32,
    /// The record into which this record was merged, as a duplicate of that record.
    pub merged_into: Option<PatientId>,
    /// The records that were merged into this record, and those that had been merged into these.
    pub duplicates: BTreeSet<PatientId>,
    /// The people to call in an emergency. The demographics hold the main fields of the first.
    pub emergency_contacts: EmergencyContacts,
    /// The death of the patient, if the patient has died.
    pub death: Option<Death>,
    /// To whom the record is open.
    pub confidentiality: Confidentiality,
}

impl Patient {
    /// Whether the patient was erased, so that nobody knows any more who the patient is.
    pub fn is_erased(&self) -> bool {
        self.mrn.known().is_none()
    }

    /// Whether the patient was dead at a time. Of a patient who was erased, only that they have died is known.
    pub fn is_deceased(&self, at: DateTime<Utc>) -> bool {
        self.death.as_ref().is_some_and(|death| death.deceased_at.known().is_none_or(|it| *it <= at))
    }
}

/// What can happen to a patient's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The patient was registered.
    Registered {
        /// The medical record number that this hospital issued.
        mrn: Personal<Mrn>,
        /// Who the patient is and how to reach them.
        demographics: Box<Demographics>,
        /// The identifiers that other systems gave the patient.
        identifiers: Vec<Identifier>,
    },
    /// The demographics of the patient changed. The event holds all of the new demographics.
    DemographicsChanged(Box<Demographics>),
    /// An identifier that another system gave the patient became known.
    IdentifierAdded {
        /// The place of the identifier among all that the patient has had, from 0.
        place: u32,
        /// The identifier.
        #[serde(flatten)]
        identifier: Identifier,
    },
    /// An identifier had been recorded by mistake: it is not the patient's.
    IdentifierRemoved {
        /// The place of the identifier among all that the patient has had, from 0.
        place: u32,
        /// The reason for removing the identifier.
        reason: Personal<Reason>,
    },
    /// An allergy became known.
    AllergyRecorded {
        /// The id of the allergy.
        allergy_id: AllergyId,
        /// The allergy.
        allergy: Allergy,
    },
    /// The description of an allergy changed. The event holds the whole new description.
    AllergyChanged {
        /// The id of the allergy.
        allergy_id: AllergyId,
        /// The allergy.
        allergy: Allergy,
    },
    /// An allergy was retired, because the patient does not have the allergy or no longer has it.
    AllergyRetired {
        /// The id of the allergy.
        allergy_id: AllergyId,
        /// The reason for retiring the allergy.
        reason: Personal<Reason>,
    },
    /// Another record of the same person was merged into this record.
    DuplicateMerged {
        /// The other record, which is the duplicate.
        duplicate_id: PatientId,
        /// The records that had been merged into the duplicate.
        brought: BTreeSet<PatientId>,
        /// The reason for the merge.
        reason: Personal<Reason>,
    },
    /// This record was merged into another record of the same person, as a duplicate.
    MergedInto {
        /// The other record, which survives.
        patient_id: PatientId,
        /// The reason for the merge.
        reason: Personal<Reason>,
    },
    /// The merge of another record into this record was reversed.
    DuplicateUnmerged {
        /// The other record.
        duplicate_id: PatientId,
        /// The records that are merged into the other record.
        taken_along: BTreeSet<PatientId>,
        /// The reason for the reversal.
        reason: Personal<Reason>,
    },
    /// The merge of this record into another record was reversed.
    Unmerged {
        /// The other record.
        patient_id: PatientId,
        /// The reason for the reversal.
        reason: Personal<Reason>,
    },
    /// It became known that the patient has died, or when.
    DeathRecorded(Death),
    /// The death of the patient had been recorded by mistake.
    DeathRevoked {
        /// The reason for revoking the death.
        reason: Personal<Reason>,
    },
    /// It was decided to whom the record is open.
    ConfidentialityMarked {
        /// To whom the record is open.
        confidentiality: Confidentiality,
        /// Why.
        reason: Personal<Reason>,
    },
    /// The patient was erased: the key that opens what is said about them was destroyed together with this event.
    Erased {
        /// The erasure that was confirmed.
        erasure_id: ErasureId,
    },
    /// A person to call in an emergency became known.
    EmergencyContactAdded {
        /// The id of the contact.
        contact_id: EmergencyContactId,
        /// The contact.
        contact: EmergencyContact,
        /// The ids of all contacts, in the order in which they are called.
        order: Vec<EmergencyContactId>,
        /// Who is called first now.
        first: Option<EmergencyContact>,
    },
    /// What is known of an emergency contact changed, or the order of the contacts. The event holds all that is known.
    EmergencyContactChanged {
        /// The id of the contact.
        contact_id: EmergencyContactId,
        /// The contact.
        contact: EmergencyContact,
        /// The ids of all contacts, in the order in which they are called.
        order: Vec<EmergencyContactId>,
        /// Who is called first now.
        first: Option<EmergencyContact>,
    },
    /// An emergency contact is no longer to be called.
    EmergencyContactRemoved {
        /// The id of the contact.
        contact_id: EmergencyContactId,
        /// The ids of the other contacts, in the order in which they are called.
        order: Vec<EmergencyContactId>,
        /// Who is called first now.
        first: Option<EmergencyContact>,
    },
}

impl Patient {
    /// The patient, with the main fields of the first emergency contact in the demographics.
    fn showing_first_contact(self) -> Self {
        let Self { mut demographics, .. } = self;
        demographics.show_contact(self.emergency_contacts.first());
        Self { demographics, ..self }
    }
}

impl Aggregate for Patient {
    const STREAM: &'static str = "patient";
    const STATE_VERSION: i32 = 4;
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Registered { mrn, demographics, identifiers } => Some(Self {
                mrn: mrn.clone(),
                demographics: (**demographics).clone(),
                allergies: BTreeMap::new(),
                retired_allergies: BTreeSet::new(),
                identifiers: (0..).zip(identifiers.iter().cloned()).collect(),
                identifiers_so_far: u32::try_from(identifiers.len()).unwrap_or(u32::MAX),
                death: None,
                confidentiality: Confidentiality::Normal,
                merged_into: None,
                duplicates: BTreeSet::new(),
                emergency_contacts: EmergencyContacts::of_demographics(demographics),
            }),
            Event::DemographicsChanged(demographics) => state.map(|mut it| {
                it.emergency_contacts.follow(demographics);
                Self { demographics: (**demographics).clone(), ..it }.showing_first_contact()
            }),
            Event::IdentifierAdded { place, identifier } => state.map(|mut it| {
                it.identifiers.insert(*place, identifier.clone());
                it.identifiers_so_far = place.saturating_add(1);
                it
            }),
            Event::IdentifierRemoved { place, reason: _ } => state.map(|mut it| {
                it.identifiers.remove(place);
                it
            }),
            Event::AllergyRecorded { allergy_id, allergy } | Event::AllergyChanged { allergy_id, allergy } => state
                .map(|mut it| {
                    it.allergies.insert(*allergy_id, allergy.clone());
                    it
                }),
            Event::AllergyRetired { allergy_id, reason: _ } => state.map(|mut it| {
                it.allergies.remove(allergy_id);
                it.retired_allergies.insert(*allergy_id);
                it
            }),
            Event::DeathRecorded(death) => state.map(|it| Self { death: Some(death.clone()), ..it }),
            Event::DeathRevoked { reason: _ } => state.map(|it| Self { death: None, ..it }),
            Event::DuplicateMerged { duplicate_id, brought, reason: _ } => state.map(|mut it| {
                it.duplicates.insert(*duplicate_id);
                it.duplicates.extend(brought);
                it
            }),
            Event::MergedInto { patient_id, reason: _ } => {
                state.map(|it| Self { merged_into: Some(*patient_id), ..it })
            }
            Event::DuplicateUnmerged { duplicate_id, taken_along, reason: _ } => state.map(|mut it| {
                it.duplicates.remove(duplicate_id);
                it.duplicates.retain(|id| !taken_along.contains(id));
                it
            }),
            Event::Unmerged { patient_id: _, reason: _ } => state.map(|it| Self { merged_into: None, ..it }),
            Event::ConfidentialityMarked { confidentiality, reason: _ } => {
                state.map(|it| Self { confidentiality: *confidentiality, ..it })
            }
            Event::Erased { erasure_id: _ } => state.map(|it| Self { mrn: Personal::Erased, ..it }),
            Event::EmergencyContactAdded { contact_id, contact, order, first: _ }
            | Event::EmergencyContactChanged { contact_id, contact, order, first: _ } => state.map(|mut it| {
                it.emergency_contacts.put(*contact_id, contact.clone(), order);
                it.showing_first_contact()
            }),
            Event::EmergencyContactRemoved { contact_id: _, order, first: _ } => state.map(|mut it| {
                it.emergency_contacts.arrange(order);
                it.showing_first_contact()
            }),
        }
    }

    fn subject(&self, id: Uuid) -> Option<Subject> {
        Some(Subject::Patient(id))
    }
}
