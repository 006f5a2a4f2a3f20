//! Several cashiers and one balance.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::super::demo::patient;
use super::super::tables::count;
use super::super::{Answer, Client, Hospital};
use super::{billed, cash, expected, told};

/// How many answers had a status of success.
fn done(answers: &[Answer]) -> usize {
    answers.iter().filter(|it| it.status == 200).count()
}

#[tokio::test]
async fn two_cashiers_cannot_take_one_balance_twice() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let reception = hospital.login("reception").await;
    let there = reception.at(&other.base);
    // The cashiers start together, and then one after the other by more and more of the time that a payment takes.
    for step in 0..12_u64 {
        let record_id = billed(&reception, &patient(2), &["50"]).await;
        let later = async |client: &Client, pause: u64| {
            tokio::time::sleep(Duration::from_micros(pause)).await;
            client.command("record-payment", cash(&record_id, "50", json!({}))).await
        };
        let answers: [Answer; 2] = tokio::join!(later(&reception, 0), later(&there, step * 400)).into();
        assert_eq!(done(&answers), 1, "{answers:?}");
        answers.iter().filter(|it| it.status != 200).for_each(|it| drop(it.problem(409, "overpayment")));
        assert_eq!(told(&reception, &record_id).await, expected("paid", ["0", "50", "0"]));
    }
}

#[tokio::test]
async fn of_sixteen_payments_at_once_as_many_count_as_are_owed() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let record_id = billed(&reception, &patient(2), &["50"]).await;
    let answers =
        join_all((0..16).map(|_| reception.command("record-payment", cash(&record_id, "10", json!({}))))).await;
    assert_eq!(done(&answers), 5);
    assert_eq!(told(&reception, &record_id).await, expected("paid", ["0", "50", "0"]));
    hospital.settle().await;
    let receipts =
        format!("(select distinct receipt_number from billing_payments where billing_record_id = '{record_id}') as it");
    assert_eq!(count(hospital.owner(), &receipts).await, 5);
}
