//! Patients: persons under care, with their allergies and their identifiers elsewhere (FHIR R4 `Patient`,
//! `AllergyIntolerance`).

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::values::{Email, LongText, Mrn, Phone, Ssn, Text};
use crate::{Aggregate, AllergyId, Personal, Subject, UserId, described, terms};

terms! {
    /// Administrative gender (FHIR `administrative-gender`).
    pub enum Gender {
        Male = "male",
        Female = "female",
        Other = "other",
        Unknown = "unknown",
    }

    /// What kind of thing an allergy is to.
    pub enum AllergenType {
        Drug = "drug",
        Food = "food",
        Environmental = "environmental",
        Biologic = "biologic",
        Other = "other",
    }

    /// How bad a reaction is.
    pub enum Severity {
        Mild = "mild",
        Moderate = "moderate",
        Severe = "severe",
        LifeThreatening = "life_threatening",
    }
}

described! {
    /// Who a patient is and how to reach them.
    pub struct Demographics {
        /// Given name.
        pub first_name: Personal<Text<100>>,
        /// Family name.
        pub last_name: Personal<Text<100>>,
        /// Middle name.
        pub middle_name: Option<Personal<Text<100>>>,
        /// Date of birth; not in the future, at most 150 years ago.
        pub date_of_birth: Personal<NaiveDate>,
        /// Administrative gender.
        pub gender: Gender,
        /// Social security number; encrypted at rest, never answered in full.
        pub ssn: Option<Personal<Ssn>>,
        /// E-mail address.
        pub email: Option<Personal<Email>>,
        /// First phone number; stored in E.164.
        pub phone_primary: Option<Personal<Phone>>,
        /// Second phone number; stored in E.164.
        pub phone_secondary: Option<Personal<Phone>>,
        /// Street and number.
        pub address_line_1: Option<Personal<Text<255>>>,
        /// More of the address.
        pub address_line_2: Option<Personal<Text<255>>>,
        /// Town.
        pub city: Option<Personal<Text<100>>>,
        /// State or province.
        pub state: Option<Personal<Text<50>>>,
        /// Postal code.
        pub postal_code: Option<Personal<Text<20>>>,
        /// Country (ISO 3166-1 alpha-2); `US` unless told.
        pub country: Option<Personal<Text<50>>>,
        /// Marital status.
        pub marital_status: Option<Personal<Text<20>>>,
        /// Occupation.
        pub occupation: Option<Personal<Text<100>>>,
        /// Whom to call.
        pub emergency_contact_name: Option<Personal<Text<200>>>,
        /// What they are to the patient.
        pub emergency_contact_relationship: Option<Personal<Text<50>>>,
        /// Their phone number; stored in E.164.
        pub emergency_contact_phone: Option<Personal<Phone>>,
        /// Language (BCP 47); `en` unless told.
        pub preferred_language: Option<Personal<Text<50>>>,
        /// Ethnicity.
        pub ethnicity: Option<Personal<Text<50>>>,
        /// Race.
        pub race: Option<Personal<Text<50>>>,
        /// Blood group, such as `0+`.
        pub blood_type: Option<Personal<Text<10>>>,
        /// Whether organs may be taken.
        #[serde(default)]
        pub organ_donor: bool,
        /// Whether there is an advance directive.
        #[serde(default)]
        pub advance_directive: bool,
    }

    /// An allergy or intolerance.
    pub struct Allergy {
        /// What kind of thing it is to.
        pub allergen_type: AllergenType,
        /// What it is to.
        pub allergen_name: Personal<Text<200>>,
        /// How bad it is.
        pub severity: Option<Severity>,
        /// What happens.
        pub reaction_description: Option<Personal<LongText>>,
        /// Since when.
        pub onset_date: Option<Personal<NaiveDate>>,
        /// Who reported it; the caller unless told.
        pub reported_by: Option<UserId>,
    }

    /// What another system calls the patient.
    #[derive(Eq)]
    pub struct Identifier {
        /// Who issued it, as a URI (FHIR `Identifier.system`).
        pub system: Text<255>,
        /// The identifier (FHIR `Identifier.value`).
        pub value: Personal<Text<100>>,
        /// Its kind (HL7 v2 table 0203), such as `MR`, `DL`, `PPN`.
        pub type_code: Option<Text<20>>,
    }
}

/// A patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Patient {
    /// The record number that this hospital issued.
    pub mrn: Personal<Mrn>,
    /// Who it is.
    pub demographics: Demographics,
    /// Allergies that are not retired.
    pub allergies: BTreeMap<AllergyId, Allergy>,
    /// Allergies that are retired.
    pub retired_allergies: BTreeSet<AllergyId>,
    /// What other systems call the patient.
    pub identifiers: Vec<Identifier>,
}

/// What can happen to a patient's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It was begun.
    Registered {
        /// The record number that this hospital issued.
        mrn: Personal<Mrn>,
        /// Who it is.
        demographics: Box<Demographics>,
        /// What other systems call the patient.
        identifiers: Vec<Identifier>,
    },
    /// The patient is called, described or reached otherwise; holds everything as it is now.
    DemographicsChanged(Box<Demographics>),
    /// Another system's identifier became known.
    IdentifierAdded(Identifier),
    /// An allergy became known.
    AllergyRecorded {
        /// Its id.
        allergy_id: AllergyId,
        /// What it is.
        allergy: Allergy,
    },
    /// More, or something else, is known of an allergy; holds everything as it is now.
    AllergyChanged {
        /// Its id.
        allergy_id: AllergyId,
        /// What it is.
        allergy: Allergy,
    },
    /// It is no allergy after all, or no longer.
    AllergyRetired {
        /// Its id.
        allergy_id: AllergyId,
        /// Why.
        reason: Personal<LongText>,
    },
}

impl Aggregate for Patient {
    const STREAM: &'static str = "patient";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Registered { mrn, demographics, identifiers } => Some(Self {
                mrn: mrn.clone(),
                demographics: (**demographics).clone(),
                allergies: BTreeMap::new(),
                retired_allergies: BTreeSet::new(),
                identifiers: identifiers.clone(),
            }),
            Event::DemographicsChanged(demographics) => {
                state.map(|it| Self { demographics: (**demographics).clone(), ..it })
            }
            Event::IdentifierAdded(identifier) => state.map(|mut it| {
                it.identifiers.push(identifier.clone());
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
        }
    }

    fn subject(&self, id: Uuid) -> Option<Subject> {
        Some(Subject::Patient(id))
    }
}
