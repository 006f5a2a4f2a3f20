//! Many patients with one birthday are registered at once: everybody is answered, and no duplicate slips through.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};

use super::tables::count;
use super::{Answer, Hospital, demo};

const CALLERS: u64 = 64;

/// A name that resembles no other name of these tests.
fn name(number: u64) -> String {
    // The steps of a simple generator of random numbers choose the letters.
    let mut draw = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
    let letters = (0..12).map(|_| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((draw >> 33) % 26).expect("a letter"))
    });
    letters.collect()
}

/// Somebody who was born on the same day as everybody else of these tests.
fn born_that_day(first_name: &str, last_name: &str) -> Value {
    json!({"first_name": first_name, "last_name": last_name, "date_of_birth": "1961-02-03", "gender": "female"})
}

fn codes(answers: &[Answer]) -> BTreeMap<String, usize> {
    let mut codes = BTreeMap::new();
    for answer in answers {
        let code = answer.json()["code"].as_str().map_or_else(|| answer.status.to_string(), str::to_owned);
        *codes.entry(code).or_default() += 1;
    }
    codes
}

#[tokio::test]
async fn sixty_four_callers_register_patients_with_one_birthday() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let here = hospital.login("reception").await;
    let there = here.at(&other.base);
    // Persons of the same day are registered already.
    for number in 0..8 {
        here.did("register-patient", born_that_day(&name(1000 + number), &name(2000 + number))).await;
    }
    let at_one_node =
        (0..CALLERS).map(|it| here.command("register-patient", born_that_day(&name(it), &name(100 + it))));
    assert_eq!(codes(&join_all(at_one_node).await), BTreeMap::from([("201".to_owned(), 64)]));
    let at_two_nodes = (0..CALLERS)
        .zip([&here, &there].into_iter().cycle())
        .map(|(it, node)| node.command("register-patient", born_that_day(&name(300 + it), &name(400 + it))));
    assert_eq!(codes(&join_all(at_two_nodes).await), BTreeMap::from([("201".to_owned(), 64)]));
    hospital.settle().await;
    assert_eq!(count(hospital.owner(), "patients where date_of_birth = '1961-02-03'").await, 8 + 64 + 64);
}

#[tokio::test]
async fn of_sixty_four_callers_who_register_one_person_one_succeeds() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    // The spellings are similar, but not the same: only a comparison with each other finds them.
    let spellings =
        [("José", "Núñez Müller"), ("Jose", "Nunez Mueller"), ("Josef", "Nunez-Muller"), ("JOSE", "Nuñes Muller")];
    let registrations = (0..CALLERS)
        .zip(spellings.into_iter().cycle())
        .map(|(_, (first, last))| reception.command("register-patient", born_that_day(first, last)));
    let answers = join_all(registrations).await;
    let expected = [("201".to_owned(), 1), ("possible-duplicate".to_owned(), 63)];
    assert_eq!(codes(&answers), BTreeMap::from(expected));
    let registered = answers.iter().find(|it| it.status == 201).expect("one is registered").id();
    for refused in answers.iter().filter(|it| it.status != 201) {
        let problem = refused.problem(409, "possible-duplicate");
        assert_eq!(problem["candidates"], json!([registered]), "{problem}");
    }
}

/// The registration compares names and birthdays, so it does not matter what else happens to those who were born on the
/// day.
#[tokio::test]
async fn who_is_registered_does_not_wait_for_those_who_were_born_on_the_day() {
    let hospital = Hospital::start().await;
    let (reception, doctor) = (&hospital.login("reception").await, &hospital.login("doctor").await);
    let known = &reception.did("register-patient", born_that_day(&name(1), &name(2))).await;
    let changes = (0..CALLERS).map(|it| async move {
        let allergy = json!({"patient_id": known, "allergen_type": "food", "allergen_name": name(it)});
        doctor.command("record-allergy", allergy).await
    });
    let registrations =
        (0..CALLERS).map(|it| reception.command("register-patient", born_that_day(&name(500 + it), &name(600 + it))));
    let (changes, registrations) = futures::join!(join_all(changes), join_all(registrations));
    assert_eq!(codes(&changes), BTreeMap::from([("200".to_owned(), 64)]));
    assert_eq!(codes(&registrations), BTreeMap::from([("201".to_owned(), 64)]));
}

/// A second consultation with the same provider is asked back also when many start one at once, and with other
/// providers each has one.
#[tokio::test]
async fn many_consultations_of_one_patient_are_started_at_once() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let started = (0..CALLERS).map(|nth| {
        let body = json!({"patient_id": demo::patient(5), "confirm_another": nth % 2 == 0});
        doctor.command("start-consultation", body)
    });
    let codes = codes(&join_all(started).await);
    let (begun, open) = (codes["201"], codes["already-open"]);
    assert_eq!((begun + open, codes.len()), (64, 2), "{codes:?}");
    assert!([32, 33].contains(&begun), "{codes:?}");
}
