//! Bundles and the resources of FHIR R4 that are imported, with the elements that the record can hold.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::datatypes::{
    Address, CodeableConcept, Coding, ContactPoint, Extension, HumanName, Identifier, Period, Quantity, Reference,
};

/// A bundle of any type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundle {
    pub(super) resource_type: String,
    #[serde(default)]
    pub(super) entry: Vec<Entry>,
}

/// An entry of a bundle: a resource and its address in the bundle.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) full_url: Option<String>,
    pub(super) resource: Option<Box<RawValue>>,
}

/// The type and the id, which every resource may have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    pub(super) resource_type: String,
    pub(super) id: Option<String>,
}

/// The identifiers that other systems gave a resource; references may use an identifier instead of the id.
#[derive(Default, Deserialize)]
pub(super) struct Identified {
    #[serde(default)]
    pub(super) identifier: Vec<Identifier>,
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Patient {
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
    #[serde(default)]
    pub(super) service_provider: Reference,
}

#[derive(Deserialize)]
pub(super) struct Participant {
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
    pub(super) issued: Option<String>,
    #[serde(default)]
    pub(super) performer: Vec<Reference>,
    pub(super) code: CodeableConcept,
    pub(super) value_quantity: Option<Quantity>,
    #[serde(default)]
    pub(super) component: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Component {
    pub(super) code: CodeableConcept,
    pub(super) value_quantity: Option<Quantity>,
}

/// A medication: a resource of its own, or contained in a `MedicationRequest`.
#[derive(Deserialize)]
pub(super) struct Medication {
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) code: CodeableConcept,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MedicationRequest {
    pub(super) status: String,
    pub(super) intent: String,
    pub(super) status_reason: Option<CodeableConcept>,
    pub(super) priority: Option<String>,
    pub(super) medication_codeable_concept: Option<CodeableConcept>,
    #[serde(default)]
    pub(super) medication_reference: Reference,
    #[serde(default)]
    pub(super) contained: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(super) subject: Reference,
    #[serde(default)]
    pub(super) encounter: Reference,
    pub(super) authored_on: Option<String>,
    #[serde(default)]
    pub(super) requester: Reference,
    #[serde(default)]
    pub(super) dosage_instruction: Vec<Dosage>,
    #[serde(default)]
    pub(super) dispense_request: DispenseRequest,
    #[serde(default)]
    pub(super) substitution: Substitution,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DispenseRequest {
    pub(super) quantity: Option<Quantity>,
    pub(super) expected_supply_duration: Option<Quantity>,
    #[serde(default)]
    pub(super) validity_period: Period,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Substitution {
    pub(super) allowed_boolean: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dosage {
    pub(super) text: Option<String>,
    pub(super) patient_instruction: Option<String>,
    #[serde(default)]
    pub(super) additional_instruction: Vec<CodeableConcept>,
    #[serde(default)]
    pub(super) timing: Timing,
    pub(super) as_needed_boolean: Option<bool>,
    pub(super) as_needed_codeable_concept: Option<CodeableConcept>,
    pub(super) route: Option<CodeableConcept>,
    #[serde(default)]
    pub(super) dose_and_rate: Vec<DoseAndRate>,
}

#[derive(Default, Deserialize)]
pub(super) struct Timing {
    #[serde(default)]
    pub(super) repeat: Repeat,
    pub(super) code: Option<CodeableConcept>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Repeat {
    pub(super) frequency: Option<u32>,
    pub(super) period: Option<serde_json::Number>,
    pub(super) period_unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DoseAndRate {
    pub(super) dose_quantity: Option<Quantity>,
}
