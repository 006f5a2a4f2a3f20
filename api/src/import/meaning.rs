//! What changes the meaning of a resource as a whole. A resource that may mean something else than the record would
//! say is refused by name.

use serde_json::{Map, Value};

use super::reason::Reason;

/// The extension by which a patient is an animal.
const ANIMAL: &str = "http://hl7.org/fhir/StructureDefinition/patient-animal";

/// Checks a resource before it is read: its version of FHIR, and the elements that change its meaning wherever they
/// stand (<https://hl7.org/fhir/R4/conformance-rules.html#isModifier>).
pub(super) fn check(kind: &str, text: &str) -> Result<(), Reason> {
    let Ok(Value::Object(resource)) = serde_json::from_str::<Value>(text) else { return Err(Reason::Malformed) };
    if let Some(version) = other_version(kind, &resource) {
        return Err(Reason::OtherVersion(version));
    }
    if kind == "Patient" && is_animal(&resource) {
        return Err(Reason::Animal);
    }
    if is_modified(&Value::Object(resource)) {
        return Err(Reason::NotUnderstood);
    }
    Ok(())
}

/// Whether a resource, an element within the resource, or a resource that it contains has a modifier extension or
/// implicit rules.
fn is_modified(value: &Value) -> bool {
    let is_empty = |it: &Value| it.is_null() || it.as_array().is_some_and(Vec::is_empty);
    match value {
        Value::Object(object) => {
            ["modifierExtension", "implicitRules"].iter().any(|name| object.get(*name).is_some_and(|it| !is_empty(it)))
                || object.values().any(is_modified)
        }
        Value::Array(values) => values.iter().any(is_modified),
        _ => false,
    }
}

fn is_animal(patient: &Map<String, Value>) -> bool {
    let extensions = patient.get("extension").and_then(Value::as_array);
    patient.contains_key("animal") || extensions.is_some_and(|all| all.iter().any(|it| it["url"] == ANIMAL))
}

/// The version of FHIR, if a resource is in the form of another version than R4.
fn other_version(kind: &str, resource: &Map<String, Value>) -> Option<&'static str> {
    const DSTU2: &str = "FHIR DSTU2";
    const STU3: &str = "FHIR STU3";
    const R5: &str = "FHIR R5";
    let has = |element: &str| resource.contains_key(element);
    let is = |element: &str, form: fn(&Value) -> bool| resource.get(element).is_some_and(form);
    let dosages = resource.get("dosageInstruction").and_then(Value::as_array);
    let dosage_has = |element: &str| dosages.is_some_and(|all| all.iter().any(|it| it.get(element).is_some()));
    match kind {
        "MedicationOrder" => Some(DSTU2),
        "Practitioner" if has("practitionerRole") || is("name", Value::is_object) => Some(DSTU2),
        "AllergyIntolerance" if has("substance") || has("status") => Some(DSTU2),
        "AllergyIntolerance" if is("clinicalStatus", Value::is_string) => Some(STU3),
        "AllergyIntolerance" if is("type", Value::is_object) || has("participant") => Some(R5),
        "Encounter" if is("class", Value::is_string) => Some(DSTU2),
        "Encounter" if is("class", Value::is_array) || has("actualPeriod") => Some(R5),
        "Observation" if has("context") => Some(STU3),
        "Observation" if has("comments") => Some(DSTU2),
        "Condition" if has("patient") || has("dateRecorded") => Some(DSTU2),
        "Condition" if has("context") || is("clinicalStatus", Value::is_string) => Some(STU3),
        "Condition" if has("participant") => Some(R5),
        "Procedure" if has("notPerformed") || has("reasonNotPerformed") => Some(DSTU2),
        "Procedure" if has("context") || has("notDone") || has("notDoneReason") => Some(STU3),
        "Procedure" if has("occurrenceDateTime") || has("occurrencePeriod") => Some(R5),
        "CarePlan" if has("participant") || has("relatedPlan") => Some(DSTU2),
        "CarePlan" | "DiagnosticReport" if has("context") => Some(STU3),
        "Immunization" if has("wasNotGiven") || has("reported") => Some(DSTU2),
        "Immunization" if has("notGiven") || has("date") => Some(STU3),
        "MedicationRequest" if has("context") || dosage_has("doseQuantity") || dosage_has("doseRange") => Some(STU3),
        "MedicationRequest" if resource.get("requester").is_some_and(|it| it.get("agent").is_some()) => Some(STU3),
        "MedicationRequest" if has("medication") => Some(R5),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn why(resource: &Value) -> Option<Reason> {
        check(resource["resourceType"].as_str().unwrap(), &resource.to_string()).err()
    }

    #[test]
    fn other_versions_are_recognised() {
        for (resource, version) in [
            (json!({ "resourceType": "AllergyIntolerance", "clinicalStatus": "active" }), "FHIR STU3"),
            (json!({ "resourceType": "AllergyIntolerance", "substance": {} }), "FHIR DSTU2"),
            (json!({ "resourceType": "Encounter", "class": "inpatient" }), "FHIR DSTU2"),
            (json!({ "resourceType": "Encounter", "class": [{}] }), "FHIR R5"),
            (json!({ "resourceType": "Observation", "context": {} }), "FHIR STU3"),
            (json!({ "resourceType": "Condition", "context": {} }), "FHIR STU3"),
            (json!({ "resourceType": "Condition", "clinicalStatus": "active", "subject": {} }), "FHIR STU3"),
            (json!({ "resourceType": "Condition", "clinicalStatus": "active", "patient": {} }), "FHIR DSTU2"),
            (json!({ "resourceType": "Condition", "participant": [{}] }), "FHIR R5"),
            (json!({ "resourceType": "Procedure", "notPerformed": true }), "FHIR DSTU2"),
            (json!({ "resourceType": "Procedure", "notDone": true, "encounter": {} }), "FHIR STU3"),
            (json!({ "resourceType": "Procedure", "context": {} }), "FHIR STU3"),
            (json!({ "resourceType": "Procedure", "occurrenceDateTime": "2024" }), "FHIR R5"),
            (json!({ "resourceType": "CarePlan", "context": {} }), "FHIR STU3"),
            (json!({ "resourceType": "CarePlan", "context": {}, "participant": [] }), "FHIR DSTU2"),
            (json!({ "resourceType": "DiagnosticReport", "context": {} }), "FHIR STU3"),
            (json!({ "resourceType": "Immunization", "wasNotGiven": false }), "FHIR DSTU2"),
            (json!({ "resourceType": "Immunization", "notGiven": false }), "FHIR STU3"),
            (json!({ "resourceType": "MedicationRequest", "requester": { "agent": {} } }), "FHIR STU3"),
            (json!({ "resourceType": "MedicationRequest", "medication": { "concept": {} } }), "FHIR R5"),
        ] {
            assert_eq!(why(&resource), Some(Reason::OtherVersion(version)), "{resource}");
        }
        for resource in [
            json!({ "resourceType": "Encounter", "class": { "code": "AMB" } }),
            json!({ "resourceType": "Condition", "clinicalStatus": { "text": "active" }, "encounter": {} }),
            json!({ "resourceType": "Procedure", "status": "not-done", "performedDateTime": "2024", "encounter": {} }),
            json!({ "resourceType": "CarePlan", "encounter": {} }),
            json!({ "resourceType": "DiagnosticReport", "encounter": {} }),
        ] {
            assert_eq!(why(&resource), None, "{resource}");
        }
    }

    #[test]
    fn a_modifier_is_found_wherever_it_stands() {
        let modifier = json!([{ "url": "http://example.org/not", "valueBoolean": true }]);
        for resource in [
            json!({ "resourceType": "Observation", "modifierExtension": modifier }),
            json!({ "resourceType": "MedicationRequest", "dosageInstruction": [{ "modifierExtension": modifier }] }),
            json!({ "resourceType": "Patient", "implicitRules": "http://example.org/rules" }),
            json!({ "resourceType": "MedicationRequest", "contained": [{ "implicitRules": "http://example.org/r" }] }),
        ] {
            assert_eq!(why(&resource), Some(Reason::NotUnderstood), "{resource}");
        }
        assert_eq!(why(&json!({ "resourceType": "Patient", "modifierExtension": [], "extension": modifier })), None);
    }
}
