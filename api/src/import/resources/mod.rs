//! The resources of FHIR R4 that are imported, with the elements that are read and no others: an element that a type
//! does not have here is counted as left out.

mod care;
mod medication;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(super) use care::{ActivityDetail, CarePlan, Condition, DiagnosticReport, Performer, Procedure};
pub(super) use medication::{Dosage, DoseAndRate, Medication, MedicationRequest, Ratio, Repeat, Timing};

use super::datatypes::{
    Address, Annotation, CodeableConcept, Coding, ContactPoint, Extension, HumanName, Identifier, Period, Quantity,
    Reference,
};

/// The type and the id, which every resource may have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    pub(super) resource_type: String,
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) meta: Meta,
}

/// When this version of a resource was made.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) last_updated: Option<DateTime<Utc>>,
}

/// The identifiers that other systems gave a resource, which references may use instead of the id, and the resources
/// that the resource contains.
#[derive(Default, Deserialize)]
pub(super) struct Names {
    #[serde(default)]
    pub(super) identifier: Vec<Identifier>,
    #[serde(default)]
    pub(super) contained: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Organization {
    pub(super) active: Option<bool>,
    #[serde(default, rename = "type")]
    pub(super) kind: Vec<CodeableConcept>,
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) telecom: Vec<ContactPoint>,
    pub(super) part_of: Option<Reference>,
}

#[derive(Deserialize)]
pub(super) struct Practitioner {
    pub(super) active: Option<bool>,
    #[serde(default)]
    pub(super) name: Vec<HumanName>,
    #[serde(default)]
    pub(super) telecom: Vec<ContactPoint>,
}

/// What a practitioner does for an organization. References to a role mean the practitioner.
#[derive(Deserialize)]
pub(super) struct PractitionerRole {
    pub(super) practitioner: Option<Reference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Patient {
    pub(super) active: Option<bool>,
    #[serde(default)]
    pub(super) extension: Vec<Extension>,
    #[serde(default)]
    pub(super) identifier: Vec<Identifier>,
    #[serde(default)]
    pub(super) name: Vec<HumanName>,
    #[serde(default)]
    pub(super) telecom: Vec<ContactPoint>,
    pub(super) gender: Option<String>,
    pub(super) birth_date: Option<String>,
    #[serde(default)]
    pub(super) address: Vec<Address>,
    pub(super) marital_status: Option<CodeableConcept>,
    #[serde(default)]
    pub(super) communication: Vec<Communication>,
    #[serde(default)]
    pub(super) contact: Vec<Contact>,
    #[serde(default)]
    pub(super) link: Vec<Link>,
    pub(super) deceased_boolean: Option<bool>,
    pub(super) deceased_date_time: Option<String>,
}

/// Somebody to turn to for a patient.
#[derive(Deserialize)]
pub(super) struct Contact {
    #[serde(default)]
    pub(super) relationship: Vec<CodeableConcept>,
    pub(super) name: Option<HumanName>,
    #[serde(default)]
    pub(super) telecom: Vec<ContactPoint>,
    #[serde(default)]
    pub(super) period: Period,
}

/// Another record of the same person.
#[derive(Deserialize)]
pub(super) struct Link {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Deserialize)]
pub(super) struct Communication {
    pub(super) language: CodeableConcept,
    #[serde(default)]
    pub(super) preferred: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AllergyIntolerance {
    pub(super) clinical_status: Option<CodeableConcept>,
    pub(super) verification_status: Option<CodeableConcept>,
    #[serde(default)]
    pub(super) category: Vec<String>,
    pub(super) criticality: Option<String>,
    pub(super) code: Option<CodeableConcept>,
    pub(super) patient: Reference,
    pub(super) onset_date_time: Option<String>,
    pub(super) recorded_date: Option<String>,
    pub(super) recorder: Option<Reference>,
    #[serde(default)]
    pub(super) reaction: Vec<Reaction>,
}

#[derive(Deserialize)]
pub(super) struct Reaction {
    #[serde(default)]
    pub(super) manifestation: Vec<CodeableConcept>,
    pub(super) description: Option<String>,
    pub(super) severity: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Encounter {
    pub(super) status: String,
    #[serde(default)]
    pub(super) class: Coding,
    #[serde(default, rename = "type")]
    pub(super) kind: Vec<CodeableConcept>,
    #[serde(default)]
    pub(super) subject: Reference,
    #[serde(default)]
    pub(super) participant: Vec<Participant>,
    #[serde(default)]
    pub(super) period: Period,
    #[serde(default)]
    pub(super) reason_code: Vec<CodeableConcept>,
    pub(super) service_provider: Option<Reference>,
}

#[derive(Deserialize)]
pub(super) struct Participant {
    #[serde(default, rename = "type")]
    pub(super) kind: Vec<CodeableConcept>,
    #[serde(default)]
    pub(super) individual: Reference,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Observation {
    pub(super) status: String,
    #[serde(default)]
    pub(super) category: Vec<CodeableConcept>,
    #[serde(default)]
    pub(super) subject: Reference,
    #[serde(default)]
    pub(super) encounter: Reference,
    pub(super) effective_date_time: Option<String>,
    pub(super) effective_instant: Option<String>,
    #[serde(default)]
    pub(super) effective_period: Period,
    #[serde(default)]
    pub(super) focus: Vec<Reference>,
    pub(super) issued: Option<String>,
    #[serde(default)]
    pub(super) performer: Vec<Reference>,
    pub(super) code: CodeableConcept,
    pub(super) value_quantity: Option<Quantity>,
    pub(super) value_integer: Option<i32>,
    pub(super) value_string: Option<String>,
    pub(super) value_codeable_concept: Option<CodeableConcept>,
    #[serde(default)]
    pub(super) component: Vec<Component>,
    #[serde(default)]
    pub(super) note: Vec<Annotation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Component {
    pub(super) code: CodeableConcept,
    pub(super) value_quantity: Option<Quantity>,
    pub(super) value_integer: Option<i32>,
    pub(super) value_string: Option<String>,
    pub(super) value_codeable_concept: Option<CodeableConcept>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Immunization {
    pub(super) status: String,
    #[serde(default)]
    pub(super) vaccine_code: CodeableConcept,
    #[serde(default)]
    pub(super) patient: Reference,
    pub(super) occurrence_date_time: Option<String>,
    pub(super) occurrence_string: Option<String>,
    pub(super) lot_number: Option<String>,
    pub(super) site: Option<CodeableConcept>,
    pub(super) route: Option<CodeableConcept>,
    #[serde(default)]
    pub(super) performer: Vec<Performer>,
    pub(super) is_subpotent: Option<bool>,
    #[serde(default)]
    pub(super) protocol_applied: Vec<Protocol>,
    #[serde(default)]
    pub(super) note: Vec<Annotation>,
}

/// The series to which an immunization belongs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Protocol {
    pub(super) dose_number_positive_int: Option<i32>,
}
