//! Sixteen callers want the same slot, stock, version or key at once. One of them gets it, and the tables agree.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use hims_commands::patient::RegisterPatient;
use hims_commands::{Caller, Executor, Request, Surroundings};
use serde_json::json;
use uuid::Uuid;

use super::demo::{self, appointment, at, person};
use super::problems::role;
use super::tables::count;
use super::{Answer, Hospital};

/// How often each status was answered.
fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut statuses = BTreeMap::new();
    for answer in answers {
        *statuses.entry(answer.status).or_default() += 1;
    }
    statuses
}

#[tokio::test]
async fn one_of_sixteen_gets_the_slot() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let wanted = (0..16).map(|nth| {
        // Each slot overlaps every other; the eight patients of the demo are booked in turn.
        reception.command("schedule-appointment", appointment(&demo::patient(1 + nth % 8), at(4, i64::from(nth))))
    });
    let answers = join_all(wanted).await;
    assert_eq!(statuses(&answers), BTreeMap::from([(201, 1), (409, 15)]));
    answers.iter().filter(|it| it.status == 409).for_each(|it| drop(it.problem(409, "double-booking")));
    hospital.settle().await;
    let booked = format!(
        "appointments where starts_at between '{}' and '{}' and provider_id = '{}'",
        at(4, 0),
        at(4, 15),
        demo::user(demo::DOCTOR)
    );
    assert_eq!(count(hospital.owner(), &booked).await, 1);
    let claims = format!("log.booking_claims where owner in (select id from {booked})");
    assert_eq!(count(hospital.owner(), &claims).await, 3, "provider, patient and room");
}

#[tokio::test]
async fn one_of_sixteen_gets_the_last_tablet() {
    let hospital = Hospital::start().await;
    let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
    for nth in 1..=2 {
        let change = json!({"medication_lot_id": demo::lot(2, nth), "change": if nth == 1 { "-199" } else { "-200" }, "reason": "count"});
        pharmacist.did("adjust-medication-lot", change).await;
    }
    let mut prescriptions = Vec::new();
    for nth in 0..16 {
        let written = demo::prescription(&demo::patient(1 + nth % 8), 2, "1", "tablet");
        let id = doctor.did("write-prescription", written).await;
        doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": id})).await;
        prescriptions.push(id);
    }
    let dispensing =
        prescriptions.iter().map(|it| pharmacist.command("dispense-prescription", json!({"prescription_id": it})));
    let answers = join_all(dispensing).await;
    assert_eq!(statuses(&answers), BTreeMap::from([(200, 1), (409, 15)]));
    hospital.settle().await;
    let ids = prescriptions.iter().map(|it| format!("'{it}'")).collect::<Vec<_>>().join(", ");
    let dispensed = format!("prescriptions where status = 'dispensed' and id in ({ids})");
    assert_eq!(count(hospital.owner(), &dispensed).await, 1);
    let given = format!("prescription_items where quantity_dispensed > 0 and prescription_id in ({ids})");
    assert_eq!(count(hospital.owner(), &given).await, 1);
    let left = format!("medication_inventory where medication_id = '{}' and quantity_on_hand > 0", demo::medication(2));
    assert_eq!(count(hospital.owner(), &left).await, 0);
}

#[tokio::test]
async fn one_of_sixteen_changes_the_version_that_all_saw() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let changes = (0..16).map(|nth| {
        let body = json!({"patient_id": demo::patient(3), "city": format!("Town {nth}")});
        reception.send(reception.post("change-patient-demographics", &body).header("if-match", "\"1\""))
    });
    // The third patient's stream is beyond version 1, since the patient has an allergy.
    let row = reception.get(&format!("patients/{}", demo::patient(3))).await;
    let seen = row.header("etag").expect("an ETag").to_owned();
    let answers = join_all(changes).await;
    assert_eq!(statuses(&answers), BTreeMap::from([(412, 16)]));
    let changes = (0..16).map(|nth| {
        let body = json!({"patient_id": demo::patient(3), "city": format!("Town {nth}")});
        reception.send(reception.post("change-patient-demographics", &body).header("if-match", &seen))
    });
    let answers = join_all(changes).await;
    assert_eq!(statuses(&answers), BTreeMap::from([(200, 1), (412, 15)]));
    let winner = answers.iter().position(|it| it.status == 200).expect("a winner");
    assert_eq!(reception.row("patients", &demo::patient(3)).await["city"], format!("Town {winner}"));
}

#[tokio::test]
async fn one_of_sixteen_gets_the_address() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let wanted = (0..16).map(|nth| {
        let email = if nth % 2 == 0 { "o'brien@example.org" } else { "O'Brien@Example.org" };
        let user =
            json!({"email": email, "first_name": format!("N{nth}"), "last_name": "O'Brien", "role_id": role("nurse")});
        admin.command("create-user", user)
    });
    let answers = join_all(wanted).await;
    assert_eq!(statuses(&answers), BTreeMap::from([(201, 1), (409, 15)]));
    answers.iter().filter(|it| it.status == 409).for_each(|it| drop(it.problem(409, "already-taken")));
    hospital.settle().await;
    assert_eq!(count(hospital.owner(), "users where email = 'o''brien@example.org'").await, 1);
    // Equal refusals of a minute are one event; their count is recorded before the server stops.
    assert_eq!(count(hospital.owner(), "audit_logs where error_message = 'create-user: already-taken'").await, 1);
    let Hospital { node, database, .. } = hospital;
    tokio::task::spawn_blocking(move || drop(node)).await.expect("the server stops in good order");
    let repeated = "log.events where event_type = 'access.repeated' and data->>'code' = 'already-taken'";
    assert_eq!(count(&database.owner, &format!("{repeated} and data->>'count' = '14'")).await, 1);
    assert_eq!(count(&database.owner, repeated).await, 1);
}

#[tokio::test]
async fn one_of_sixteen_gets_the_record_number_and_the_others_get_others() {
    const SAME: u32 = 16;
    let hospital = Hospital::start().await;
    let numbers = "(select distinct mrn from patients) as numbers";
    let before = count(hospital.owner(), numbers).await;
    let draws = Arc::new(AtomicU64::new(0));
    let drawn = Arc::clone(&draws);
    // The first sixteen draws are the same number.
    let entropy = move || match drawn.fetch_add(1, Ordering::SeqCst) {
        nth if nth < u64::from(SAME) => 7,
        nth => u128::from(nth).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
    };
    let surroundings = Surroundings { entropy: Arc::new(entropy), ..hims_api::surroundings() };
    let executor = Executor::new(Arc::clone(&hospital.node.store), surroundings);
    let registered = (0..SAME).map(|nth| {
        let mut body = person(&format!("Given{nth}"), &format!("Family{nth}"), nth);
        body["id"] = json!(Uuid::from_u128(0xab00 + u128::from(nth)));
        body["confirm_not_duplicate"] = json!(true);
        body["phone_primary"] = json!("+15554153084");
        let command: RegisterPatient = serde_json::from_value(body).expect("a readable command");
        executor.execute(command, Request::of(Caller::system("test")))
    });
    for outcome in join_all(registered).await {
        outcome.expect("registered");
    }
    assert!(draws.load(Ordering::SeqCst) > u64::from(SAME), "no caller had to draw again");
    hospital.settle().await;
    assert_eq!(count(hospital.owner(), numbers).await, before + 16);
}

#[tokio::test]
async fn what_finds_no_place_in_the_queue_is_503_at_once() {
    let hospital = Hospital::start_with(|settings| settings.queue = 8).await;
    let reception = hospital.login("reception").await;
    // Nothing can be appended while this transaction holds the lock of the head.
    let mut holding = hospital.owner().begin().await.expect("a transaction");
    sqlx::query("select position from log.head for update").execute(&mut *holding).await.expect("the head is locked");
    let mut answers: FuturesUnordered<_> = (0..16)
        .map(|nth| reception.command("register-patient", person(&format!("Given{nth}"), &format!("Family{nth}"), nth)))
        .collect();
    let refused = answers.next().await.expect("an answer");
    refused.problem(503, "overloaded");
    assert!(refused.header("retry-after").is_some());
    holding.rollback().await.expect("the head is released");
    let others: Vec<_> = answers.collect().await;
    let done = others.iter().filter(|it| it.status == 201).count();
    assert!(done >= 1 && others.iter().all(|it| [201, 503].contains(&it.status)), "{:?}", statuses(&others));
    hospital.settle().await;
    assert_eq!(
        count(hospital.owner(), "patients where first_name like 'Given%'").await,
        i64::try_from(done).expect("a small number")
    );
}
