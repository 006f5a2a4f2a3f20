//! Medications and the requests for them.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::datatypes::{Annotation, CodeableConcept, Period, Quantity, Range, Reference};

/// A medication: a resource of its own, or contained in a `MedicationRequest`.
#[derive(Deserialize)]
pub(in crate::import) struct Medication {
    pub(in crate::import) id: Option<String>,
    pub(in crate::import) status: Option<String>,
    #[serde(default)]
    pub(in crate::import) code: CodeableConcept,
    pub(in crate::import) form: Option<CodeableConcept>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::import) struct MedicationRequest {
    pub(in crate::import) status: String,
    pub(in crate::import) intent: String,
    pub(in crate::import) do_not_perform: Option<bool>,
    pub(in crate::import) status_reason: Option<CodeableConcept>,
    pub(in crate::import) priority: Option<String>,
    pub(in crate::import) medication_codeable_concept: Option<CodeableConcept>,
    #[serde(default)]
    pub(in crate::import) medication_reference: Reference,
    #[serde(default)]
    pub(in crate::import) contained: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(in crate::import) subject: Reference,
    #[serde(default)]
    pub(in crate::import) encounter: Reference,
    pub(in crate::import) authored_on: Option<String>,
    #[serde(default)]
    pub(in crate::import) requester: Reference,
    #[serde(default)]
    pub(in crate::import) dosage_instruction: Vec<Dosage>,
    #[serde(default)]
    pub(in crate::import) dispense_request: DispenseRequest,
    #[serde(default)]
    pub(in crate::import) substitution: Substitution,
    #[serde(default)]
    pub(in crate::import) note: Vec<Annotation>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::import) struct DispenseRequest {
    pub(in crate::import) quantity: Option<Quantity>,
    pub(in crate::import) expected_supply_duration: Option<Quantity>,
    #[serde(default)]
    pub(in crate::import) validity_period: Validity,
}

/// Until when a medication may be dispensed.
#[derive(Default, Deserialize)]
pub(in crate::import) struct Validity {
    pub(in crate::import) end: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::import) struct Substitution {
    pub(in crate::import) allowed_boolean: Option<bool>,
    pub(in crate::import) allowed_codeable_concept: Option<CodeableConcept>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::import) struct Dosage {
    pub(in crate::import) sequence: Option<i32>,
    pub(in crate::import) text: Option<String>,
    pub(in crate::import) patient_instruction: Option<String>,
    #[serde(default)]
    pub(in crate::import) additional_instruction: Vec<CodeableConcept>,
    #[serde(default)]
    pub(in crate::import) timing: Timing,
    pub(in crate::import) as_needed_boolean: Option<bool>,
    pub(in crate::import) as_needed_codeable_concept: Option<CodeableConcept>,
    pub(in crate::import) site: Option<CodeableConcept>,
    pub(in crate::import) route: Option<CodeableConcept>,
    pub(in crate::import) method: Option<CodeableConcept>,
    #[serde(default)]
    pub(in crate::import) dose_and_rate: Vec<DoseAndRate>,
    pub(in crate::import) max_dose_per_period: Option<Ratio>,
    pub(in crate::import) max_dose_per_administration: Option<Quantity>,
}

#[derive(Default, Deserialize)]
pub(in crate::import) struct Timing {
    #[serde(default)]
    pub(in crate::import) event: Vec<String>,
    #[serde(default)]
    pub(in crate::import) repeat: Repeat,
    pub(in crate::import) code: Option<CodeableConcept>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::import) struct Repeat {
    pub(in crate::import) bounds_duration: Option<Quantity>,
    pub(in crate::import) bounds_range: Option<Range>,
    pub(in crate::import) bounds_period: Option<Period>,
    pub(in crate::import) count: Option<u32>,
    pub(in crate::import) count_max: Option<u32>,
    pub(in crate::import) frequency: Option<u32>,
    pub(in crate::import) frequency_max: Option<u32>,
    pub(in crate::import) period: Option<serde_json::Number>,
    pub(in crate::import) period_max: Option<serde_json::Number>,
    pub(in crate::import) period_unit: Option<String>,
    #[serde(default)]
    pub(in crate::import) day_of_week: Vec<String>,
    #[serde(default)]
    pub(in crate::import) time_of_day: Vec<String>,
    #[serde(default)]
    pub(in crate::import) when: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::import) struct DoseAndRate {
    pub(in crate::import) dose_quantity: Option<Quantity>,
    pub(in crate::import) dose_range: Option<Range>,
    pub(in crate::import) rate_quantity: Option<Quantity>,
    pub(in crate::import) rate_range: Option<Range>,
    pub(in crate::import) rate_ratio: Option<Ratio>,
}

/// An amount for each amount of something else, such as milligrams a day.
#[derive(Default, Deserialize)]
pub(in crate::import) struct Ratio {
    pub(in crate::import) numerator: Option<Quantity>,
    pub(in crate::import) denominator: Option<Quantity>,
}
