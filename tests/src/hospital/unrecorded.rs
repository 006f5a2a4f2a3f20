//! Refusals that the log cannot take at once are recorded later, and none goes uncounted.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hims_commands::department::OpenDepartment;
use hims_commands::{Caller, Executor, Failure, Request};
use serde_json::json;
use uuid::Uuid;

use super::Hospital;
use super::demo::person;
use crate::support::until;

#[tokio::test]
async fn refusals_of_a_full_queue_are_recorded_when_there_is_room() {
    let hospital = Hospital::start_with(|settings| settings.queue = 4).await;
    let executor = Executor::new(Arc::clone(&hospital.node.store), hims_api::surroundings());
    let reception = hospital.login("reception").await;
    hospital.settle().await;
    // Nothing can be appended while this transaction holds the lock of the head.
    let mut holding = hospital.owner().begin().await.expect("a transaction");
    sqlx::query("select position from log.head for update").execute(&mut *holding).await.expect("the head is locked");
    let mut filling: FuturesUnordered<_> = (0..8)
        .map(|nth| reception.command("register-patient", person(&format!("Given{nth}"), "Unlike", nth)))
        .collect();
    filling.next().await.expect("an answer").problem(503, "overloaded");
    let nobody = Arc::new(Caller { is_system: false, ..Caller::system("test") });
    for nth in 0..4_200_u128 {
        let body = json!({"id": Uuid::from_u128(nth), "code": "er", "name": "Emergency", "time_zone": "UTC"});
        let command: OpenDepartment = serde_json::from_value(body).expect("a readable command");
        let outcome = executor.execute(command, Request::of(Arc::clone(&nobody))).await;
        assert!(matches!(outcome, Err(Failure::Refused(_))), "{outcome:?}");
    }
    holding.rollback().await.expect("the head is released");
    filling.collect::<Vec<_>>().await;
    // 4,096 refusals wait; those that found no room to wait are counted.
    let mut owner = hospital.owner().acquire().await.expect("a connection");
    let all = "select coalesce(sum((data->>'count')::int) filter (where event_type = 'access.refusals_lost'), 0) = 104
                      and count(*) filter (where event_type = 'access.command_refused'
                                             and metadata->>'command' = 'open-department') = 4096
                 from log.events";
    until(&mut owner, all).await;
    let metrics = reception.send(reception.request(reqwest::Method::GET, "/metrics")).await;
    let lost = metrics.text.lines().find_map(|line| line.strip_prefix("hims_refusals_lost_total "));
    // All tests of this process share the metric.
    assert!(lost.is_some_and(|it| it.parse::<u64>().is_ok_and(|lost| lost >= 104)), "{lost:?}");
}
