//! Prescriptions, and the alerts that prescribers overrode.

use hims_testing::patched;
use serde_json::{Value, json};

use super::{House, id};

fn prescription(nth: u32, provider: u32, created_at: &str) -> Value {
    let number = format!("RX-{nth}");
    json!({"id": id(nth), "prescription_number": number, "provider_id": id(provider), "created_at": created_at})
}

#[tokio::test]
async fn prescribed_items_are_counted_by_class_and_unit_and_patients_by_person() {
    let mut house = House::new("2026-05-01T12:00:00Z").await;
    let medications = [
        json!({"id": id(51), "name": "Lisinopril", "drug_class": "ACE inhibitor"}),
        json!({"id": id(52), "name": "Something new"}),
    ];
    house.fill("medications", medications).await;
    // In New York, it is March until 4 o'clock in the morning of the first of April in UTC.
    let prescriptions = [
        prescription(601, 21, "2026-03-01T05:00:00Z"),
        prescription(602, 21, "2026-04-01T03:59:00Z"),
        prescription(603, 22, "2026-04-01T04:00:00Z"),
        prescription(604, 22, "2026-03-01T04:59:00Z"),
    ];
    house.fill("prescriptions", prescriptions).await;
    let item = |nth: u32, of: u32, medication: u32, patient: u32, quantity: &str, more: Value| {
        let row = json!({"id": id(nth), "prescription_id": id(of), "medication_id": id(medication),
                         "patient_id": id(patient), "line_number": nth, "quantity": quantity});
        patched(row, more)
    };
    let items = [
        item(611, 601, 51, 31, "30", json!({})),
        item(612, 601, 52, 31, "5", json!({})),
        item(613, 601, 51, 31, "90", json!({"status": "cancelled"})),
        // The record of the same person that was merged into the other one.
        item(614, 602, 51, 33, "60.5", json!({"status": "dispensed", "quantity_dispensed": "60.5"})),
        item(615, 602, 51, 32, "100", json!({"quantity_unit": "mL"})),
        item(616, 603, 51, 32, "28", json!({})),
        item(617, 604, 51, 32, "28", json!({})),
    ];
    house.fill("prescription_items", items).await;
    let asked = |more| patched(json!({"from": "2026-03-01", "to": "2026-04-30"}), more);
    let march = [
        "ACE inhibitor | 1 | 1 | 100.000 | mL",
        "ACE inhibitor | 2 | 1 | 90.500 | tablet",
        "- | 1 | 1 | 5.000 | tablet",
    ];
    let april = "ACE inhibitor | 1 | 1 | 28.000 | tablet";
    let rows = |of: &str, then: &str| -> Vec<String> {
        march.iter().map(|it| format!("{of} | {it}")).chain([format!("{then} | {april}")]).collect()
    };
    for reads in ["prescriptions,staff", "clinical_records,staff"] {
        let found = house.report(reads, "prescriptions-by-class", asked(json!({}))).await;
        assert_eq!(found, rows("- | 2026-03", "- | 2026-04"));
        let found = house.report(reads, "prescriptions-by-class", asked(json!({"by": "provider"}))).await;
        assert_eq!(found, rows("#21 | Ada Adler", "#22 | Bea Brown"));
    }
}

#[tokio::test]
async fn overridden_alerts_are_those_that_the_prescriber_saw() {
    let mut house = House::new("2026-05-01T12:00:00Z").await;
    let (written, later) = ("2026-03-10T12:00:00Z", "2026-03-11T12:00:00Z");
    let prescriptions =
        [prescription(601, 21, written), prescription(602, 22, written), prescription(603, 22, "2026-04-01T04:00:00Z")];
    house.fill("prescriptions", prescriptions).await;
    let alert = |nth: u32, of: u32, severity: &str, by: Option<u32>, more: Value| {
        let row = json!({"id": id(nth), "prescription_id": id(of), "severity": severity, "created_at": written,
                         "is_overridden": by.is_some(), "overridden_by": by.map(id)});
        patched(row, more)
    };
    let alerts = [
        alert(621, 601, "major", Some(21), json!({})),
        alert(622, 601, "major", Some(21), json!({})),
        alert(623, 601, "major", None, json!({})),
        alert(624, 601, "contraindicated", Some(21), json!({})),
        alert(625, 601, "minor", None, json!({})),
        alert(626, 601, "major", Some(21), json!({"kind": "allergy"})),
        // The pharmacist overrode what came up when the prescription was dispensed.
        alert(627, 601, "major", Some(23), json!({"created_at": later})),
        alert(628, 602, "information", None, json!({"kind": "not_checkable"})),
        alert(629, 603, "major", Some(22), json!({"created_at": "2026-04-01T04:00:00Z"})),
    ];
    house.fill("prescription_alerts", alerts).await;
    let march = json!({"from": "2026-03-01", "to": "2026-03-31"});
    let expected = [
        "#21 | Ada Adler | allergy | major | 1 | 1 | 100.0",
        "#21 | Ada Adler | interaction | contraindicated | 1 | 1 | 100.0",
        "#21 | Ada Adler | interaction | major | 3 | 2 | 66.7",
        "#21 | Ada Adler | interaction | minor | 1 | 0 | 0.0",
        "#22 | Bea Brown | not_checkable | information | 1 | 0 | 0.0",
    ];
    assert_eq!(house.report("clinical_records,staff", "alert-overrides", march).await, expected);
}
