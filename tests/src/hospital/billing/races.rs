//! Several cashiers and one balance.

use serde_json::json;

use super::super::demo::patient;
use super::super::tables::count;
use super::super::{Answer, Hospital, Start};
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
    for start in Start::rounds(6) {
        let record_id = billed(&reception, &patient(2), &["50"]).await;
        let both = [&reception, &there].map(|it| it.command("record-payment", cash(&record_id, "50", json!({}))));
        let answers = start.race(both).await;
        assert_eq!(done(&answers), 1, "{start:?}: {answers:?}");
        answers.iter().filter(|it| it.status != 200).for_each(|it| drop(it.problem(409, "overpayment")));
        assert_eq!(told(&reception, &record_id).await, expected("paid", ["0", "50", "0"]));
    }
}

#[tokio::test]
async fn of_sixteen_payments_at_once_as_many_count_as_are_owed() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    for start in Start::rounds(1) {
        let record_id = billed(&reception, &patient(2), &["50"]).await;
        let payments = (0..16).map(|_| reception.command("record-payment", cash(&record_id, "10", json!({}))));
        assert_eq!(done(&start.race(payments).await), 5, "{start:?}");
        assert_eq!(told(&reception, &record_id).await, expected("paid", ["0", "50", "0"]));
        hospital.settle().await;
        let receipts = format!(
            "(select distinct receipt_number from billing_payments where billing_record_id = '{record_id}') as it"
        );
        assert_eq!(count(hospital.owner(), &receipts).await, 5);
    }
}
