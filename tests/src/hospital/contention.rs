//! Many callers want to change one record at once: they wait for each other, and nobody is refused for it.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};

use super::demo::{self, medication, patient};
use super::tables::count;
use super::{Answer, Client, Hospital};

const COUNTERS: u16 = 64;

/// Prescriptions of one tablet of the second medication of the demo, sent to the pharmacy.
async fn prescriptions(hospital: &Hospital) -> Vec<String> {
    let doctor = hospital.login("doctor").await;
    let written = (0..COUNTERS).map(async |nth| {
        let body = demo::prescription(&patient(1 + nth % 8), 2, "1", "tablet");
        let id = doctor.did("write-prescription", body).await;
        doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": id})).await;
        id
    });
    join_all(written).await
}

/// Dispenses every prescription at once, in turns at the counters of the given nodes.
async fn dispense(prescriptions: &[String], counters: &[Client]) -> Vec<Answer> {
    let all = prescriptions
        .iter()
        .zip(counters.iter().cycle())
        .map(|(id, counter)| counter.command("dispense-prescription", json!({"prescription_id": id})));
    join_all(all).await
}

async fn on_hand(hospital: &Hospital) -> i64 {
    let of = medication(2);
    let sum =
        format!("(select quantity_on_hand::bigint from medication_inventory where medication_id = '{of}') as lots(n)");
    let sql = format!("select coalesce(sum(n), 0)::bigint from {sum}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(hospital.owner()).await.expect("the stock")
}

#[track_caller]
fn all_done(answers: &[Answer]) {
    let mut codes = BTreeMap::<String, usize>::new();
    for answer in answers.iter().filter(|it| it.status != 200) {
        *codes.entry(answer.json()["code"].to_string()).or_default() += 1;
    }
    assert_eq!(codes, BTreeMap::new(), "nobody is refused");
}

#[tokio::test]
async fn sixty_four_counters_dispense_from_one_lot() {
    let hospital = Hospital::start().await;
    let prescriptions = prescriptions(&hospital).await;
    let pharmacist = hospital.login("pharmacist").await;
    hospital.settle().await;
    let before = on_hand(&hospital).await;
    all_done(&dispense(&prescriptions, &[pharmacist]).await);
    hospital.settle().await;
    assert_eq!(on_hand(&hospital).await, before - i64::from(COUNTERS));
}

#[tokio::test]
async fn counters_at_two_nodes_dispense_from_one_lot() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let prescriptions = prescriptions(&hospital).await;
    let here = hospital.login("pharmacist").await;
    let there = here.at(&other.base);
    hospital.settle().await;
    let before = on_hand(&hospital).await;
    all_done(&dispense(&prescriptions, &[here, there]).await);
    hospital.settle().await;
    assert_eq!(on_hand(&hospital).await, before - i64::from(COUNTERS));
}

#[tokio::test]
async fn many_change_one_patient_while_others_rely_on_the_patient() {
    let hospital = Hospital::start().await;
    let (reception, nurse) = (hospital.login("reception").await, hospital.login("nurse").await);
    let (reception, nurse) = (&reception, &nurse);
    let changes = (0..32).map(|nth| {
        let body = json!({"patient_id": patient(3), "city": format!("Town {nth}")});
        async move { reception.command("change-patient-demographics", body).await }
    });
    let measured = (0..32).map(|nth| {
        let body = json!({"patient_id": patient(3), "heart_rate": 60 + nth});
        async move { nurse.command("record-vital-signs", body).await }
    });
    let (changes, measured) = futures::join!(join_all(changes), join_all(measured));
    all_done(&changes);
    assert!(measured.iter().all(|it| it.status == 201), "{measured:?}");
    let changed =
        format!("log.events where event_type = 'patient.demographics_changed' and stream_id = '{}'", patient(3));
    assert_eq!(count(hospital.owner(), &changed).await, 32);
}

/// Sends the same request under one key at once, in turns at the nodes, and asserts that all have one answer.
async fn once(nodes: &[Client], command: &str, body: &Value, key: u128) {
    let copies = (0..8).zip(nodes.iter().cycle()).map(|(_, node)| {
        let key = uuid::Uuid::from_u128(key).to_string();
        node.send(node.post(command, body).header("idempotency-key", key))
    });
    let answers = join_all(copies).await;
    let first: Vec<_> = answers.iter().filter(|it| it.done()["replayed"] == false).collect();
    assert_eq!(first.len(), 1, "{answers:?}");
    let mut expected = first[0].done();
    expected["replayed"] = json!(true);
    for answer in answers.iter().filter(|it| it.done()["replayed"] == true) {
        assert_eq!((answer.status, &answer.done()), (first[0].status, &expected));
    }
}

#[tokio::test]
async fn copies_of_a_request_at_two_nodes_get_the_first_answer() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let at_both = async |login: &str| {
        let here = hospital.login(login).await;
        let there = here.at(&other.base);
        [here, there]
    };
    let (reception, pharmacist) = (at_both("reception").await, at_both("pharmacist").await);
    let prescriptions = prescriptions(&hospital).await;
    for (round, prescription) in (0..12).zip(&prescriptions) {
        let key = |nth: u128| 0x1000 + u128::from(round) * 16 + nth;
        // Without the receipt, a copy would be a possible duplicate of itself, exist already, or have a wrong status.
        let mut person = demo::person(&format!("Given{round}"), "Unlike", round);
        once(&reception, "register-patient", &person, key(0)).await;
        person["id"] = json!(uuid::Uuid::from_u128(0xab00 + u128::from(round)));
        person["first_name"] = json!(format!("Other{round}"));
        person["ssn"] = json!(null);
        person["confirm_not_duplicate"] = json!(true);
        once(&reception, "register-patient", &person, key(1)).await;
        once(&pharmacist, "dispense-prescription", &json!({"prescription_id": prescription}), key(2)).await;
    }
}
