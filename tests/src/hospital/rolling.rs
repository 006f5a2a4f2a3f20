//! Nodes that are restarted one after the other while people work, behind a balancer that asks who is ready.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::task::block_in_place;

use super::demo::person;
use super::releases::{ready, until};
use super::{Client, Hospital, Process};
use crate::support::scratch;

/// The nodes to which requests may be sent.
type Balancer = Arc<Mutex<Vec<String>>>;

/// Asks the nodes of a list again and again whether they are ready.
async fn balance(nodes: Balancer, balancer: Balancer, nobody: Client, over: Arc<AtomicBool>) {
    while !over.load(Ordering::SeqCst) {
        let mut fit = Vec::new();
        let asked = nodes.lock().expect("a lock").clone();
        for base in asked {
            let node = nobody.at(&base);
            let answer = node.try_send(node.request(reqwest::Method::GET, "/health/ready")).await;
            if answer.is_ok_and(|it| it.status == 200) {
                fit.push(base);
            }
        }
        *balancer.lock().expect("a lock") = fit;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_restarted_under_load_without_a_failed_command() {
    let (hospital, folder) = (Hospital::start().await, scratch("rolling"));
    let drains = |command: &mut Command| {
        command.env("HIMS_DRAIN_SECONDS", "3");
    };
    let another_node = || block_in_place(|| Process::beside(&hospital, folder.path(), drains));
    let nurse = hospital.login("nurse").await;
    let patient = hospital.login("reception").await.did("register-patient", person("Rolling", "Stone", 1)).await;
    let mut running = vec![another_node(), another_node()];
    let bases = |running: &[Process]| running.iter().map(|it| it.nobody.base().to_owned()).collect::<Vec<_>>();
    let (nodes, balancer) = (Balancer::default(), Balancer::default());
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    *nodes.lock().expect("a lock") = bases(&running);
    let balancing = tokio::spawn(balance(nodes.clone(), balancer.clone(), hospital.nobody(), over.clone()));
    until(async || balancer.lock().expect("a lock").len() == 2).await;

    let mut working = Vec::new();
    for worker in 0..8_usize {
        let (nurse, balancer, over, done) = (nurse.clone(), balancer.clone(), over.clone(), done.clone());
        let body = json!({"patient_id": patient, "heart_rate": 60 + worker});
        working.push(tokio::spawn(async move {
            for turn in worker.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let base = {
                    let fit = balancer.lock().expect("a lock");
                    fit[turn % fit.len()].clone()
                };
                // No request is sent again: each has to succeed.
                let at = nurse.at(&base);
                let answer = at.try_send(at.post("record-vital-signs", &body)).await.expect("the node answers");
                assert_eq!(answer.status, 201, "{}", answer.text);
                done.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    for nth in 0..4 {
        let place = nth % 2;
        let old = running.remove(place);
        old.signal("TERM");
        let ended = tokio::task::spawn_blocking(|| old.ended()).await.expect("the node ends");
        assert!(ended.success(), "in good order");
        running.insert(place, another_node());
        *nodes.lock().expect("a lock") = bases(&running);
        until(async || balancer.lock().expect("a lock").len() == 2).await;
        let before = done.load(Ordering::SeqCst);
        until(async || done.load(Ordering::SeqCst) > before + 20).await;
    }
    over.store(true, Ordering::SeqCst);
    for worker in working {
        worker.await.expect("no command failed");
    }
    balancing.await.expect("the balancer ends");
    hospital.settle().await;
    let recorded = "select count(*) from vital_signs where patient_id = $1::uuid and heart_rate between 60 and 67";
    let recorded: i64 =
        sqlx::query_scalar(recorded).bind(&patient).fetch_one(hospital.owner()).await.expect("the rows are counted");
    assert!(recorded >= i64::try_from(done.load(Ordering::SeqCst)).expect("a count"));
    assert_eq!(ready(&hospital.nobody()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_to_stop_says_so_and_serves_on() {
    let hospital = Hospital::start_with(|settings| settings.drain_seconds = 2).await;
    let mut node = hospital.another_node().await;
    let reception = hospital.login("reception").await.at(&node.base);
    until(async || ready(&reception).await.status == 200).await;
    let ending = tokio::task::spawn_blocking(move || node.end());
    until(async || ready(&reception).await.json()["reason"] == "stopping").await;
    assert_eq!(reception.command("register-patient", person("Late", "Comer", 3)).await.status, 201);
    ending.await.expect("the node ends in good order");
    let request = reception.request(reqwest::Method::GET, "/health/live");
    assert!(reception.try_send(request).await.is_err(), "the node has ended");
}
