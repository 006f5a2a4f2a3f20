//! Whatever the record has no place for is counted by its path, and current elements win against old ones.

use hims_domain::patient::Patient;
use hims_domain::prescription::{Order, Prescription};
use rust_decimal::dec;

use super::*;

/// Imports a prescription with a dosage, and answers its only line.
async fn prescribed(change: Value) -> (Order, Summary) {
    let hospital = Hospital::empty().await;
    let request = but(request(), change);
    let summary = hospital.import_resources([patient(), practitioner(), encounter(), request]).await;
    let prescription: Prescription = hospital.only().await;
    (prescription.lines[0].item.order.clone(), summary)
}

fn instructions(order: &Order) -> &str {
    order.instructions.as_ref().map_or("", |it| it.known().unwrap().as_str())
}

fn dose(value: f64, unit: &str) -> Value {
    json!([{ "doseQuantity": { "value": value, "unit": unit } }])
}

#[tokio::test]
async fn the_steps_of_a_dosage_stand_in_the_instructions_and_none_of_them_in_the_fields() {
    let step = |sequence: u32, tablets: f64, days: u32| {
        let repeat = json!({
            "boundsDuration": { "value": days, "unit": "d", "code": "d" },
            "frequency": 1, "period": 1, "periodUnit": "d",
        });
        json!({ "sequence": sequence, "doseAndRate": dose(tablets, "tablet"), "timing": { "repeat": repeat } })
    };
    let (order, _) = prescribed(json!({ "dosageInstruction": [step(2, 2.0, 7), step(1, 8.0, 3)] })).await;
    assert_eq!((order.dose_quantity, order.frequency.clone(), order.duration_days), (None, None, None));
    assert_eq!(instructions(&order), "1: 8 tablet, 1 per 1 d, for 3 d; 2: 2 tablet, 1 per 1 d, for 7 d");
}

#[tokio::test]
async fn a_single_dosage_fills_the_fields() {
    let repeat = json!({
        "frequency": 1, "frequencyMax": 2, "period": 4, "periodMax": 6, "periodUnit": "h",
        "boundsDuration": { "value": 2, "unit": "wk", "code": "wk" },
    });
    let dosage = json!({ "doseAndRate": dose(0.5, "mg"), "timing": { "repeat": repeat }, "route": { "text": "oral" } });
    let (order, summary) = prescribed(json!({ "dosageInstruction": [dosage] })).await;
    assert_eq!((order.dose_quantity, order.dose_unit.unwrap().as_str()), (Some(dec!(0.5)), "mg"));
    assert_eq!(order.frequency.unwrap().as_str(), "1 to 2 per 4 to 6 h");
    assert_eq!((order.duration_days, order.instructions), (Some(14), None));
    assert!(!summary.left_out.keys().any(|it| it.contains("dosageInstruction")), "{summary}");
}

#[tokio::test]
async fn what_no_field_holds_of_a_dosage_stands_in_the_instructions() {
    let range = json!({ "low": { "value": 1, "unit": "tablet" }, "high": { "value": 2, "unit": "tablet" } });
    let most = json!({
        "numerator": { "value": 8, "unit": "tablet" }, "denominator": { "value": 1, "unit": "d" },
    });
    let dosage = json!({
        "doseAndRate": [{ "doseRange": range }], "maxDosePerPeriod": most,
        "asNeededCodeableConcept": { "text": "pain" }, "site": { "text": "left eye" },
        "timing": { "repeat": { "when": ["HS"], "offset": 30 } },
    });
    let (order, summary) = prescribed(json!({ "dosageInstruction": [dosage] })).await;
    assert_eq!((order.dose_quantity, order.as_needed, order.frequency.clone().unwrap().as_str()), (None, true, "HS"));
    let expected = "1 tablet to 2 tablet; at most 8 tablet per 1 d; as needed for pain; left eye";
    assert_eq!(instructions(&order), expected);
    assert_eq!(summary.left_out["MedicationRequest.dosageInstruction.timing.repeat.offset"], 1);
}

#[tokio::test]
async fn an_amount_is_kept_exactly_or_in_words() {
    let (order, _) = prescribed(json!({ "dosageInstruction": [{ "doseAndRate": dose(0.0125, "mg") }] })).await;
    assert_eq!((order.dose_quantity, instructions(&order)), (None, "0.0125 mg"));
    let unit = "a unit that is too long for the record";
    let (order, _) = prescribed(json!({ "dosageInstruction": [{ "doseAndRate": dose(8.0, unit) }] })).await;
    assert_eq!((order.dose_quantity, instructions(&order)), (None, format!("8 {unit}").as_str()));
    let (order, summary) =
        prescribed(json!({ "dispenseRequest": { "quantity": { "value": 0.0001 }, "numberOfRepeatsAllowed": 3 } }))
            .await;
    assert_eq!((order.quantity, order.quantity_unit.as_str()), (dec!(1), "course"));
    assert_eq!(summary.left_out["MedicationRequest.dispenseRequest.quantity"], 1);
    assert_eq!(summary.left_out["MedicationRequest.dispenseRequest.numberOfRepeatsAllowed"], 1);
}

#[tokio::test]
async fn a_substitution_is_allowed_only_where_the_request_says_so() {
    let concept =
        |code: &str| json!({ "substitution": { "allowedCodeableConcept": { "coding": [{ "code": code }] } } });
    for (change, allowed) in [
        (json!({}), true),
        (json!({ "substitution": { "allowedBoolean": false } }), false),
        (concept("N"), false),
        (concept("G"), true),
        (concept("what"), false),
    ] {
        assert_eq!(prescribed(change.clone()).await.0.substitution_allowed, allowed, "{change}");
    }
}

#[tokio::test]
async fn every_element_without_a_place_is_counted_by_its_path() {
    let hospital = Hospital::empty().await;
    let patient = but(
        patient(),
        json!({
            "active": false, "deceasedBoolean": true, "photo": [{ "url": "x" }],
            "link": [{ "other": { "reference": "Patient/2" }, "type": "seealso" }],
            "name": [{ "family": "Doe", "given": ["Jane"], "prefix": ["Dr"] }, { "use": "old", "family": "Was" }],
        }),
    );
    let encounter = but(encounter(), json!({ "hospitalization": { "admitSource": {} } }));
    let hurt = but(allergy(), json!({ "note": [{ "text": "since childhood" }], "onsetDateTime": "1970" }));
    let summary = hospital.import_resources([patient, practitioner(), encounter, hurt]).await;
    for path in [
        "Patient.active",
        "Patient.deceased[x]",
        "Patient.link",
        "Patient.photo",
        "Patient.name",
        "Patient.name.prefix",
        "Encounter.hospitalization",
        "Encounter.serviceProvider",
        "AllergyIntolerance.note",
        "AllergyIntolerance.onsetDateTime",
        "AllergyIntolerance.criticality",
    ] {
        assert_eq!(summary.left_out.get(path), Some(&1), "{path} in {summary}");
    }
    assert!(summary.to_string().contains("left out 1 Patient.deceased[x]"), "{summary}");
}

#[tokio::test]
async fn what_a_product_of_a_request_cannot_keep_is_counted() {
    let name = "x".repeat(300);
    let (_, summary) = prescribed(json!({ "medicationCodeableConcept": { "text": name } })).await;
    assert_eq!(summary.left_out.get("Medication.code"), Some(&1), "{summary}");
    let contained = json!({
        "medicationCodeableConcept": null, "medicationReference": { "reference": "#it" },
        "contained": [
            { "resourceType": "Medication", "id": "it", "code": { "text": "Salve" }, "batch": {} },
            { "resourceType": "Condition", "id": "why" },
        ],
    });
    let mut contained = but(request(), contained);
    contained.as_object_mut().unwrap().remove("medicationCodeableConcept");
    let hospital = Hospital::empty().await;
    let summary = hospital.import_resources([patient(), contained]).await;
    assert_eq!(summary.left_out.get("MedicationRequest.contained.batch"), Some(&1), "{summary}");
    assert_eq!(summary.left_out.get("MedicationRequest.contained"), Some(&1), "{summary}");
}

#[tokio::test]
async fn the_next_of_kin_is_the_emergency_contact() {
    let hospital = Hospital::empty().await;
    let contact = |given: &str, relationship: Value, phone: &str| {
        json!({
            "name": { "family": "Next", "given": [given] }, "relationship": [relationship],
            "telecom": [{ "system": "phone", "value": phone }],
        })
    };
    let father = contact("Dad", json!({ "text": "father" }), "+1 555 415 0008");
    let mother = contact("Mum", json!({ "coding": [{ "code": "C" }], "text": "mother" }), "+1 555 415 0009");
    let summary = hospital.import_resources([but(patient(), json!({ "contact": [father, mother] }))]).await;
    let it = hospital.only::<Patient>().await.demographics;
    assert_eq!(it.emergency_contact_name.unwrap().known().unwrap().as_str(), "Mum Next");
    assert_eq!(it.emergency_contact_relationship.unwrap().known().unwrap().as_str(), "mother");
    assert_eq!(it.emergency_contact_phone.unwrap().known().unwrap().as_str(), "+15554150009");
    assert_eq!(summary.left_out["Patient.contact"], 1);
}

#[tokio::test]
async fn current_names_addresses_numbers_and_identifiers_win() {
    let hospital = Hospital::empty().await;
    let current = json!({
        "name": [{ "use": "old", "family": "Was", "given": ["Jane"] }, { "family": "Is", "given": ["Jane"] }],
        "telecom": [
            { "system": "phone", "use": "old", "value": "+1 555 415 0001" },
            { "system": "phone", "value": "+1 555 415 0002" },
        ],
        "address": [{ "use": "old", "city": "Before" }, { "city": "Now" }],
        "identifier": [
            { "system": "urn:mrn", "value": "old", "period": { "end": "2001-01-01" } },
            { "system": "urn:mrn", "value": "new" },
        ],
    });
    let summary = hospital.import_resources([but(patient(), current)]).await;
    let patient: Patient = hospital.only().await;
    let it = patient.demographics;
    assert_eq!(it.last_name.unwrap().known().unwrap().as_str(), "Is");
    assert_eq!(it.phone_primary.unwrap().known().unwrap().as_str(), "+15554150002");
    assert_eq!(it.city.unwrap().known().unwrap().as_str(), "Now");
    assert_eq!((it.phone_secondary, patient.identifiers.len()), (None, 1));
    for path in ["Patient.name", "Patient.telecom", "Patient.address", "Patient.identifier"] {
        assert_eq!(summary.left_out[path], 1, "{path}");
    }
}
