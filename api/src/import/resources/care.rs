//! What was found in a patient and done for a patient: reports, conditions, procedures and care plans.

use serde::Deserialize;

use super::super::datatypes::{Annotation, CodeableConcept, Period, Reference};

/// What a laboratory, or another service, found: a list of observations.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::import) struct DiagnosticReport {
    pub(in crate::import) status: String,
    #[serde(default)]
    pub(in crate::import) category: Vec<CodeableConcept>,
    #[serde(default)]
    pub(in crate::import) code: CodeableConcept,
    #[serde(default)]
    pub(in crate::import) subject: Reference,
    #[serde(default)]
    pub(in crate::import) encounter: Reference,
    pub(in crate::import) effective_date_time: Option<String>,
    #[serde(default)]
    pub(in crate::import) effective_period: Period,
    pub(in crate::import) issued: Option<String>,
    #[serde(default)]
    pub(in crate::import) performer: Vec<Reference>,
    #[serde(default)]
    pub(in crate::import) result: Vec<Reference>,
    pub(in crate::import) conclusion: Option<String>,
}

/// A condition of the patient, as a diagnosis of an encounter.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::import) struct Condition {
    pub(in crate::import) clinical_status: Option<CodeableConcept>,
    pub(in crate::import) verification_status: Option<CodeableConcept>,
    #[serde(default)]
    pub(in crate::import) code: CodeableConcept,
    #[serde(default)]
    pub(in crate::import) subject: Reference,
    #[serde(default)]
    pub(in crate::import) encounter: Reference,
    pub(in crate::import) onset_date_time: Option<String>,
    pub(in crate::import) abatement_date_time: Option<String>,
    pub(in crate::import) recorded_date: Option<String>,
    pub(in crate::import) recorder: Option<Reference>,
    pub(in crate::import) asserter: Option<Reference>,
    #[serde(default)]
    pub(in crate::import) note: Vec<Annotation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::import) struct Procedure {
    pub(in crate::import) status: String,
    pub(in crate::import) status_reason: Option<CodeableConcept>,
    pub(in crate::import) category: Option<CodeableConcept>,
    #[serde(default)]
    pub(in crate::import) code: CodeableConcept,
    #[serde(default)]
    pub(in crate::import) subject: Reference,
    #[serde(default)]
    pub(in crate::import) encounter: Reference,
    pub(in crate::import) performed_date_time: Option<String>,
    #[serde(default)]
    pub(in crate::import) performed_period: Period,
    #[serde(default)]
    pub(in crate::import) performer: Vec<Performer>,
    #[serde(default)]
    pub(in crate::import) reason_reference: Vec<Reference>,
    #[serde(default)]
    pub(in crate::import) body_site: Vec<CodeableConcept>,
    pub(in crate::import) outcome: Option<CodeableConcept>,
}

/// Somebody who did something.
#[derive(Deserialize)]
pub(in crate::import) struct Performer {
    #[serde(default)]
    pub(in crate::import) actor: Reference,
}

/// What is to be done for a patient over some time.
#[derive(Deserialize)]
pub(in crate::import) struct CarePlan {
    pub(in crate::import) status: String,
    pub(in crate::import) intent: String,
    pub(in crate::import) title: Option<String>,
    #[serde(default)]
    pub(in crate::import) category: Vec<CodeableConcept>,
    #[serde(default)]
    pub(in crate::import) subject: Reference,
    #[serde(default)]
    pub(in crate::import) encounter: Reference,
    #[serde(default)]
    pub(in crate::import) period: Period,
    #[serde(default)]
    pub(in crate::import) activity: Vec<Activity>,
}

/// One thing that a care plan plans.
#[derive(Deserialize)]
pub(in crate::import) struct Activity {
    pub(in crate::import) detail: Option<ActivityDetail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::import) struct ActivityDetail {
    pub(in crate::import) kind: Option<String>,
    #[serde(default)]
    pub(in crate::import) code: CodeableConcept,
    pub(in crate::import) status: String,
    pub(in crate::import) status_reason: Option<CodeableConcept>,
    pub(in crate::import) do_not_perform: Option<bool>,
    /// The name of `doNotPerform` before FHIR R4.
    pub(in crate::import) prohibited: Option<bool>,
    #[serde(default)]
    pub(in crate::import) reason_reference: Vec<Reference>,
    #[serde(default)]
    pub(in crate::import) performer: Vec<Reference>,
    pub(in crate::import) description: Option<String>,
}
