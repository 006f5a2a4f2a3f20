//! What takes a command back: the table in `docs/clinicians.md`, and the ways back that move stock or other records.

use std::collections::BTreeMap;

use futures::future::join;
use hims_commands::Registry;
use hims_testing::assert_same;
use serde_json::{Value, json};

use super::demo::{DOCTOR, medication, person, prescription, user};
use super::{Client, Hospital};

const PAGE: &str = include_str!("../../../docs/clinicians.md");

/// The rows of the table: each command, and what stands beside it.
fn rows() -> BTreeMap<&'static str, &'static str> {
    let section = PAGE.split("## What takes a command back").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
    let rows: Vec<_> = cells.collect();
    let table: BTreeMap<_, _> = rows.iter().copied().collect();
    assert_eq!(table.len(), rows.len(), "a command stands in the table twice");
    table
}

#[test]
fn every_command_stands_in_the_table() {
    let registry = Registry::hospital();
    assert_same(rows().into_keys(), registry.iter().map(|it| it.name));
}

#[test]
fn the_table_names_what_takes_a_command_back_or_why_nothing_can() {
    let registry = Registry::hospital();
    let table = rows();
    for command in registry.iter() {
        let told = table.get(command.name).copied().unwrap_or_default();
        match command.reversed_by {
            Some(by) => {
                assert!(told.starts_with(&format!("`{by}`")), "{}: the registry says {by}: {told}", command.name);
            }
            None => {
                let reason = told.strip_prefix("nothing: ").unwrap_or_default();
                assert!(reason.split(' ').count() >= 5, "{}: say why nothing takes it back: {told}", command.name);
            }
        }
        for named in told.split('`').skip(1).step_by(2) {
            assert!(registry.get(named).is_some(), "{}: {named} is no command", command.name);
        }
    }
}

/// The lots of a product, each with what is in stock.
async fn stock(pharmacist: &Client, product: u16) -> Vec<(Value, Value)> {
    let lots = pharmacist.items(&format!("medication-inventory?medication_id={}&sort=id", medication(product))).await;
    lots.into_iter().map(|mut lot| (lot["id"].take(), lot["quantity_on_hand"].take())).collect()
}

#[tokio::test]
async fn what_was_not_fetched_goes_back_into_the_same_lots() {
    let hospital = Hospital::start().await;
    let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
    let patient_id = hospital.login("reception").await.did("register-patient", person("Zuzanna", "Novak", 1)).await;
    let before = stock(&pharmacist, 1).await;
    let written = doctor.did("write-prescription", prescription(&patient_id, 1, "10", "capsule")).await;
    let of_it = json!({"prescription_id": written});
    doctor.did("send-prescription-to-pharmacy", of_it.clone()).await;
    pharmacist.did("dispense-prescription", of_it.clone()).await;
    assert_ne!(stock(&pharmacist, 1).await, before);
    assert_eq!(pharmacist.row("prescriptions", &written).await["status"], "dispensed");
    // Two pharmacists take it back at the same moment. It goes back once.
    let back = json!({"prescription_id": written, "reason": "nobody came to fetch it"});
    let (one, other) =
        join(pharmacist.command("reverse-dispensing", back.clone()), pharmacist.command("reverse-dispensing", back))
            .await;
    let (done, refused) = if one.status == 200 { (one, other) } else { (other, one) };
    refused.problem(409, "nothing-dispensed");
    pharmacist.saw(done.position());
    assert_eq!(stock(&pharmacist, 1).await, before);
    assert_eq!(pharmacist.row("prescriptions", &written).await["status"], "sent_to_pharmacy");
    let items = pharmacist.items(&format!("prescription-items?prescription_id={written}")).await;
    assert_eq!((&items[0]["status"], &items[0]["quantity_dispensed"]), (&json!("active"), &json!(0.0)));
    pharmacist.did("dispense-prescription", of_it).await;
}

#[tokio::test]
async fn a_visit_that_was_started_by_mistake_waits_again() {
    let hospital = Hospital::start().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    let patient_id = reception.did("register-patient", person("Zuzanna", "Novak", 1)).await;
    let here = json!({"patient_id": patient_id, "provider_id": user(DOCTOR), "appointment_type": "urgent"});
    let visit = reception.did("check-in-walk-in", here).await;
    let start = json!({"patient_id": patient_id, "appointment_id": visit});
    let begun = doctor.did("start-consultation", start.clone()).await;
    let early = json!({"appointment_id": visit, "reason": "wrong patient"});
    reception.command("undo-appointment-start", early).await.problem(409, "wrong-status");
    let undo = json!({"consultation_id": begun, "reason": "wrong patient"});
    doctor.did("undo-consultation-start", undo).await;
    assert_eq!(doctor.row("appointments", &visit).await["status"], "checked_in");
    assert_eq!(doctor.row("consultations", &begun).await["status"], "cancelled");
    let begun = doctor.did("start-consultation", start).await;
    doctor.did("record-findings", json!({"consultation_id": begun, "plan": "rest"})).await;
    let undo = json!({"consultation_id": begun, "reason": "wrong patient"});
    doctor.command("undo-consultation-start", undo).await.problem(409, "took-place");
}
