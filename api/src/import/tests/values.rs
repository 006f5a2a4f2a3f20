//! Vital signs in the codes and units in which people and devices write them, and days in the zone of the departments.

use hims_domain::consultation::Consultation;
use hims_domain::vital_signs::{Measurements, VitalSigns};
use rust_decimal::dec;

use super::*;

/// What is recorded of one observation.
async fn measured(observation: Value) -> Measurements {
    let hospital = Hospital::empty().await;
    let summary = hospital.import_resources([patient(), encounter(), observation]).await;
    assert_eq!(summary.of("Observation").imported, 1, "{summary}");
    hospital.only::<VitalSigns>().await.measurements
}

fn in_words(loinc: &str, value: f64, unit: &str) -> Value {
    but(observation("o", loinc, 0.0, ""), json!({ "valueQuantity": { "value": value, "unit": unit } }))
}

#[tokio::test]
async fn units_in_words_become_those_of_the_record() {
    for (unit, value, expected) in [("lb", 150.0, dec!(68.04)), ("lbs", 150.0, dec!(68.04)), ("oz", 120.0, dec!(3.40))]
    {
        assert_eq!(measured(in_words("29463-7", value, unit)).await.weight_kg, Some(expected), "{unit}");
    }
    for (unit, value, expected) in [("in", 70.0, dec!(177.80)), ("ft", 5.5, dec!(167.64)), ("mm", 1780.0, dec!(178.0))]
    {
        assert_eq!(measured(in_words("8302-2", value, unit)).await.height_cm, Some(expected), "{unit}");
    }
    for (unit, value, expected) in [("degF", 98.6, "F"), ("C", 37.0, "C"), ("°C", 37.0, "C")] {
        let it = measured(in_words("8310-5", value, unit)).await;
        assert_eq!(it.temperature_unit.unwrap().as_str(), expected, "{unit}");
    }
    for unit in ["beats/minute", "bpm", "1/min"] {
        assert_eq!(measured(in_words("8867-4", 70.0, unit)).await.heart_rate, Some(dec!(70)), "{unit}");
    }
    assert_eq!(measured(in_words("8480-6", 120.0, "mm Hg")).await.blood_pressure_systolic, Some(dec!(120)));
}

#[tokio::test]
async fn the_code_says_what_was_measured_whatever_the_category() {
    for category in [json!([{ "coding": [{ "code": "exam" }] }]), json!([{ "text": "Vital Signs" }]), json!([])] {
        let weight = but(observation("w", "3141-9", 81.0, "kg"), json!({ "category": category }));
        assert_eq!(measured(weight).await.weight_kg, Some(dec!(81)), "{category}");
    }
    let standing = observation("bp", "8460-8", 121.0, "mm[Hg]");
    assert_eq!(measured(standing).await.blood_pressure_systolic, Some(dec!(121)));
    let tympanic = observation("t", "8333-7", 37.5, "Cel");
    assert_eq!(measured(tympanic).await.temperature, Some(dec!(37.5)));
    let pain = but(observation("p", "72514-3", 0.0, ""), json!({ "valueQuantity": null, "valueInteger": 4 }));
    assert_eq!(measured(pain).await.pain_scale, Some(dec!(4)));
}

#[tokio::test]
async fn the_flow_of_oxygen_and_the_notes_have_a_place() {
    let component = |loinc: &str, value: f64, unit: &str| {
        json!({
            "code": { "coding": [{ "system": "http://loinc.org", "code": loinc }] },
            "valueQuantity": { "value": value, "code": unit },
        })
    };
    let oximetry = but(
        observation("o", "59408-5", 93.0, "%"),
        json!({
            "status": "preliminary", "note": [{ "text": "cold hands" }],
            "component": [component("3151-8", 6.0, "L/min"), component("3150-6", 40.0, "%")],
        }),
    );
    let hospital = Hospital::empty().await;
    let summary = hospital.import_resources([patient(), encounter(), oximetry]).await;
    let it = hospital.only::<VitalSigns>().await.measurements;
    assert_eq!((it.oxygen_saturation, it.oxygen_flow_rate), (Some(dec!(93)), Some(dec!(6))));
    assert!(it.oxygen_supplement);
    assert_eq!(it.notes.unwrap().known().unwrap().as_str(), "cold hands; preliminary");
    assert_eq!(summary.left_out["Observation.component"], 1, "the concentration of the oxygen");
}

#[tokio::test]
async fn a_day_without_a_time_is_a_day_of_the_departments() {
    for (period, started_at) in [
        (json!({ "start": "2024-03-01", "end": "2024-03-01" }), "2024-02-29T23:00:00Z"),
        (json!({ "start": "2024-03", "end": "2024-03-02T10:00:00Z" }), "2024-02-29T23:00:00Z"),
        (json!({ "start": "2024-03-01T09:00:00+01:00", "end": "2024-03-01" }), "2024-03-01T08:00:00Z"),
    ] {
        let hospital = Hospital::empty().await;
        let visit = but(encounter(), json!({ "period": period }));
        let path = hospital.file("bundle.json", bundle([patient(), visit]).to_string());
        let settings = Settings { time_zone: chrono_tz::Tz::Europe__Berlin, ..Settings::default() };
        import_fhir(&hospital.executor, &[path], &settings, &Silent).await.unwrap();
        assert_eq!(hospital.only::<Consultation>().await.started_at, at(started_at), "{period}");
    }
}
