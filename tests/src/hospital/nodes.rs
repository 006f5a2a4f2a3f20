//! Two nodes on one database are one hospital.

use futures::future::join_all;
use serde_json::json;

use super::Hospital;
use super::demo::{self, appointment, at, person};
use super::tables::{assert_same_rows, contents, count};

#[tokio::test]
async fn one_reads_at_one_node_what_one_has_written_at_the_other() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let here = hospital.login("reception").await;
    let there = here.at(&other.base);
    for number in 0..10 {
        for (writer, reader) in [(&here, &there), (&there, &here)] {
            let number = number * 2 + u32::from(std::ptr::eq(writer, &raw const here));
            let id = writer.did("register-patient", person(&format!("Name{number}"), "Unlike", number)).await;
            assert_eq!(reader.row("patients", &id).await["first_name"], format!("Name{number}"));
        }
    }
}

#[tokio::test]
async fn together_they_leave_no_gap_and_project_nothing_twice() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let here = hospital.login("reception").await;
    let there = here.at(&other.base);
    let work = (0..40).map(|number| {
        let client = if number % 2 == 0 { &here } else { &there };
        async move {
            let id = client.did("register-patient", person(&format!("Name{number}"), "Unlike", number)).await;
            client.did("change-patient-demographics", json!({"patient_id": id, "city": "Freiburg"})).await;
        }
    });
    join_all(work).await;
    // Eight callers, four at each node, want the same slot.
    let wanted = (0..8_u16).map(|nth| {
        let client = if nth % 2 == 0 { &here } else { &there };
        client.command("schedule-appointment", appointment(&demo::patient(nth + 1), at(4, 0)))
    });
    let answers = join_all(wanted).await;
    assert_eq!(answers.iter().filter(|it| it.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|it| it.status == 409).count(), 7);
    hospital.settle().await;
    let head = hospital.node.store.current_head().await.expect("a head");
    assert_eq!(count(hospital.owner(), "log.events").await, head);
    assert_eq!(count(hospital.owner(), "audit_logs").await, head);
    assert_eq!(count(hospital.owner(), "patients where city = 'Freiburg' and version = 2").await, 40);
    let before = contents(hospital.owner(), "hims").await;
    let rebuild = hims_projections::Rebuild::new(other.store.clone(), hospital.owner().clone());
    rebuild.run(&hims_projections::Target::Swap, |_| {}).await.expect("a rebuild");
    assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
}

#[tokio::test]
async fn a_session_that_ends_at_one_node_ends_at_the_other() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let here = hospital.login("reception").await;
    let there = here.at(&other.base);
    there.get("departments").await.done();
    let left = here.send(here.request(reqwest::Method::DELETE, "/api/v1/sessions/current")).await;
    assert_eq!(left.status, 204);
    here.get("departments").await.problem(401, "unauthenticated");
    // The other node learns from the log that the session has ended, which may take a moment.
    there.get_until("departments", 401).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn another_node_projects_when_the_first_is_gone() {
    let mut hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let there = hospital.login("reception").await.at(&other.base);
    hospital.node = other;
    let id = there.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    assert_eq!(there.row("patients", &id).await["first_name"], "Ottilie");
}
