//! A node whose clock is wrong harms nobody.

use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;

use super::Hospital;
use super::demo::{patient, person};

#[tokio::test]
async fn a_node_with_a_wrong_clock_records_nothing_and_ends_no_session() {
    let hospital = Hospital::start().await;
    let here = hospital.login("reception").await;
    let ahead = Arc::new(Mutex::new(TimeDelta::zero()));
    let other = hospital.another_node_ahead_by(Arc::clone(&ahead)).await;
    let there = here.at(&other.base);
    let ready = async || there.send(there.request(Method::GET, "/health/ready")).await;
    there.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    for days in [35_i32, -35] {
        *ahead.lock().expect("a lock") = TimeDelta::days(days.into());
        let refused = there.command("register-patient", person("Zuzanna", "Kowalczyk", 1)).await;
        assert!(refused.problem(503, "node-clock-wrong")["detail"].to_string().contains("clock"));
        let told = ready().await;
        assert_eq!((told.status, &told.json()["reason"]), (503, &json!("node-clock-wrong")));
        let offset = told.json()["clock_offset_seconds"].as_f64().expect("a number");
        assert!((offset - f64::from(days * 86_400)).abs() < 60.0, "{offset}");
        let metrics = there.send(there.request(Method::GET, "/metrics")).await;
        assert!(metrics.text.contains("hims_clock_offset_seconds"), "{}", metrics.text);
        // The node goes on reading, and the session is neither ended here nor there.
        there.get("departments").await.done();
        here.get("departments").await.done();
    }
    *ahead.lock().expect("a lock") = TimeDelta::seconds(20);
    there.did("register-patient", person("Zuzanna", "Kowalczyk", 1)).await;
    assert_eq!(ready().await.done()["status"], "ready");
    let late = "select count(*) from log.events where recorded_at > clock_timestamp() + interval '5 seconds'";
    let late: i64 = sqlx::query_scalar(late).fetch_one(hospital.owner()).await.expect("a count");
    assert_eq!(late, 0, "no event is from the future");
}

#[tokio::test]
async fn nodes_whose_clocks_differ_a_little_refuse_nothing() {
    let hospital = Hospital::start().await;
    let [fast, slow] = [20, -20].map(|seconds| Arc::new(Mutex::new(TimeDelta::seconds(seconds))));
    let (fast, slow) = (hospital.another_node_ahead_by(fast).await, hospital.another_node_ahead_by(slow).await);
    let doctor = hospital.login("doctor").await;
    for (one, other) in [(&fast, &slow), (&slow, &fast)] {
        for number in 1..=4 {
            let started = json!({"patient_id": patient(number), "confirm_another": true});
            let consultation_id = doctor.at(&one.base).did("start-consultation", started).await;
            let completed = json!({"consultation_id": consultation_id});
            doctor.at(&other.base).did("complete-consultation", completed).await;
        }
    }
}
