//! A command that is sent twice with the same idempotency key is carried out once.

use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::demo::{self, appointment, at, person};
use super::tables::count;
use super::{Answer, Client, Hospital};

async fn keyed(client: &Client, name: &str, body: &Value, key: Uuid) -> Answer {
    client.send(client.post(name, body).header("idempotency-key", key.to_string())).await
}

#[tokio::test]
async fn the_same_key_and_body_give_the_first_answer_again() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let (key, body) = (Uuid::from_u128(1), person("Zuzanna", "Kowalczyk", 1));
    let first = keyed(&reception, "register-patient", &body, key).await;
    assert_eq!((first.status, first.done()["replayed"].clone()), (201, json!(false)));
    let again = keyed(&reception, "register-patient", &body, key).await;
    let mut expected = first.done();
    expected["replayed"] = json!(true);
    assert_eq!((again.status, again.done()), (201, expected));
    assert_eq!(again.header("hims-position"), first.header("hims-position"));
    let another = keyed(&reception, "register-patient", &person("Zuzanna", "Nowak", 2), key).await;
    another.problem(422, "idempotency-key-reused");
    let other_command = json!({"patient_id": demo::patient(1), "city": "Freiburg"});
    assert_eq!(keyed(&reception, "change-patient-demographics", &other_command, key).await.status, 422);
}

#[tokio::test]
async fn sixteen_copies_sent_at_once_are_carried_out_once() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let body = appointment(&demo::patient(5), at(4, 0));
    let copies = (0..16).map(|_| keyed(&reception, "schedule-appointment", &body, Uuid::from_u128(2)));
    let answers = join_all(copies).await;
    let id = answers[0].id();
    assert!(answers.iter().all(|it| it.id() == id && it.position() == answers[0].position()));
    assert_eq!(answers.iter().filter(|it| it.json()["replayed"] == false).count(), 1);
    hospital.settle().await;
    assert_eq!(count(hospital.owner(), &format!("log.events where stream_id = '{id}'")).await, 1);
    assert_eq!(count(hospital.owner(), &format!("appointments where patient_id = '{}'", demo::patient(5))).await, 1);
}
