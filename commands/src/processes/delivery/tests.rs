//! The delivery of messages on a log in memory, to a messenger that does what the test says.

use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt as _;
use futures::future::{BoxFuture, pending};
use hims_domain::patient::Patient;
use hims_domain::user::User;
use hims_event_store::{ProcessStore as _};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use super::*;
use crate::Processes;
use crate::notification::SendNotification;
use crate::notification_preferences::SetNotificationPreferences;
use crate::patient::ChangePatientDemographics;
use crate::testing::samples::{DOCTOR, PATIENT, ann, ask, created, registered_as, with};
use crate::testing::world::World;

/// What the messenger does with a message.
#[derive(Debug, Clone)]
enum Does {
    Takes,
    Fails(Undelivered),
    /// Takes the message, and the node is killed before it learns of it.
    TakesAndIsCutOff,
    /// Takes the message after a while.
    TakesAfter(Duration),
}

/// A messenger that remembers what it was given.
struct Post {
    does: Mutex<Does>,
    given: Mutex<Vec<Message>>,
}

impl Post {
    fn that(does: Does) -> Arc<Self> {
        Arc::new(Self { does: Mutex::new(does), given: Mutex::default() })
    }

    fn now(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    fn given(&self) -> Vec<Message> {
        self.given.lock().unwrap().clone()
    }
}

impl Messenger for Post {
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Undelivered>> {
        self.given.lock().unwrap().push(message.clone());
        let does = self.does.lock().unwrap().clone();
        async move {
            match does {
                Does::Takes => Ok(()),
                Does::Fails(why) => Err(why),
                Does::TakesAndIsCutOff => pending().await,
                Does::TakesAfter(while_) => {
                    sleep(while_).await;
                    Ok(())
                }
            }
        }
        .boxed()
    }

    fn send_reset<'a>(&'a self, _: &'a ResetMail) -> BoxFuture<'a, Result<(), Undelivered>> {
        async { Err(Undelivered::NotSetUp) }.boxed()
    }
}

fn node(world: &World, post: &Arc<Post>) -> Processes {
    let processes = Processes::new(Arc::clone(&world.executor), world.log.clone(), watch::channel(0).1);
    let messenger: Arc<dyn Messenger> = post.clone();
    processes.start(Delivery::new(Arc::clone(&world.executor), messenger))
}

/// A hospital with a patient who has an e-mail address.
async fn hospital() -> World {
    let world = World::new();
    let reached = json!({"email": "ann@example.org", "preferred_language": "de"});
    world.has::<Patient>(PATIENT, [registered_as(with(ann(), reached))]).await;
    world.has::<User>(DOCTOR, [created()]).await;
    world
}

fn notify(more: Value) -> SendNotification {
    let body = json!({"type": "result_available", "title": "A result", "message": "Potassium: 4.1",
                      "recipients": [{"patient_id": PATIENT}]});
    ask(with(body, more))
}

/// The only delivery of a notification.
async fn sending(world: &World, id: Uuid) -> Sending {
    world.state::<Notification>(id).await.deliveries[0].clone()
}

#[tokio::test(start_paused = true)]
async fn a_message_is_recorded_sent_and_recorded_as_sent() {
    let (world, post) = (hospital().await, Post::that(Does::Takes));
    let processes = node(&world, &post);
    world.settled("delivery").await;
    let sent = world.done(notify(json!({}))).await.id;
    world.settled("delivery").await;
    let types: Vec<_> = world.log().await.into_iter().map(|it| it.event_type).skip(2).collect();
    assert_eq!(types, ["notification.created", "notification.attempted", "notification.sent"]);
    let given = post.given();
    assert_eq!(given.len(), 1);
    assert_eq!((given[0].address.as_str(), given[0].language.as_deref()), ("ann@example.org", Some("de")));
    assert_eq!(given[0].id, sending(&world, sent).await.recipient.recipient_id);
    assert!(!format!("{:?}", given[0]).contains("example.org"), "no log line holds an address");
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nine_failures_are_the_end_and_have_one_id() {
    let later = Does::Fails(Undelivered::Later("451 try\r\nagain".to_owned()));
    let (world, post) = (hospital().await, Post::that(later));
    let processes = node(&world, &post);
    world.settled("delivery").await;
    let quiet = json!({"patient_id": PATIENT, "quiet_from": "00:00", "quiet_until": "00:00"});
    world.done(ask::<SetNotificationPreferences>(quiet)).await;
    let id = world.done(notify(json!({}))).await.id;
    world.settled("delivery").await;
    let mut waits = Vec::new();
    while let Some(at) = sending(&world, id).await.next_attempt_at {
        assert_eq!(post.given().len(), waits.len() + 1);
        waits.push((at - world.executor.now()).num_seconds());
        world.after(at - world.executor.now());
        world.settled("delivery").await;
    }
    let ideal = [30, 120, 600, 1_800, 7_200, 21_600, 43_200, 86_400];
    assert_eq!(waits.len(), ideal.len());
    for (wait, ideal) in waits.into_iter().zip(ideal) {
        assert!((ideal * 9 / 10 - 1..=ideal * 11 / 10).contains(&wait), "{wait} for {ideal}");
    }
    let given = post.given();
    assert_eq!(given.len(), 9);
    assert!(given.iter().all(|it| *it == given[0]), "all tries have the same id");
    let Event::Failed { reason, detail, .. } = world.last_event::<Event>().await else { panic!("it failed") };
    assert_eq!(reason, FailureReason::GaveUp);
    assert_eq!(detail.as_ref().and_then(Personal::known).map(hims_domain::values::Text::as_str), Some("451 try again"));
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_not_sent_again() {
    for (why, reason) in [
        (Undelivered::Refused("550 <Ann@Example.org>: no such mailbox".to_owned()), FailureReason::Refused),
        (Undelivered::NotSetUp, FailureReason::NotSetUp),
    ] {
        let (world, post) = (hospital().await, Post::that(Does::Fails(why)));
        let processes = node(&world, &post);
        world.settled("delivery").await;
        world.done(notify(json!({}))).await;
        world.settled("delivery").await;
        world.after(TimeDelta::days(3));
        world.settled("delivery").await;
        assert_eq!(post.given().len(), 1);
        let Event::Failed { reason: told, detail, .. } = world.last_event::<Event>().await else {
            panic!("it failed")
        };
        assert_eq!(told, reason);
        let said = (reason == FailureReason::Refused).then(|| Personal::Known("550 <…>: no such mailbox".into()));
        assert_eq!(detail, said, "the address is not kept");
        processes.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_until_quiet_hours_end_and_preferences_of_then_count() {
    for (changed, messages) in [(None, 1), (Some(json!({"channels": {"result_available": ["in_app"]}})), 0)] {
        let (world, post) = (hospital().await, Post::that(Does::Takes));
        let processes = node(&world, &post);
        world.settled("delivery").await;
        // Half past ten in the evening.
        world.after(TimeDelta::minutes(750));
        world.done(notify(json!({}))).await;
        world.settled("delivery").await;
        world.after(TimeDelta::minutes(9 * 60));
        world.settled("delivery").await;
        assert_eq!(post.given().len(), 0);
        if let Some(wishes) = changed {
            let set = with(json!({"patient_id": PATIENT}), wishes);
            world.done(ask::<SetNotificationPreferences>(set)).await;
        }
        world.after(TimeDelta::minutes(30));
        world.settled("delivery").await;
        assert_eq!(post.given().len(), messages);
        processes.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn quiet_hours_that_were_set_meanwhile_postpone_the_message() {
    let (world, post) = (hospital().await, Post::that(Does::Fails(Undelivered::Later("421".to_owned()))));
    let processes = node(&world, &post);
    world.settled("delivery").await;
    let id = world.done(notify(json!({}))).await.id;
    world.settled("delivery").await;
    let quiet = json!({"patient_id": PATIENT, "quiet_from": "09:00", "quiet_until": "12:00"});
    world.done(ask::<SetNotificationPreferences>(quiet)).await;
    post.now(Does::Takes);
    world.after(TimeDelta::minutes(1));
    world.settled("delivery").await;
    let noon: DateTime<Utc> = crate::testing::at("2026-11-23T12:00:00Z");
    let postponed = sending(&world, id).await;
    assert_eq!((postponed.next_attempt_at, postponed.attempts, post.given().len()), (Some(noon), 1, 1));
    world.after(TimeDelta::hours(2));
    world.settled("delivery").await;
    assert_eq!((sending(&world, id).await.status, post.given().len()), (Status::Sent, 2));
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_killed_after_sending_sends_again_under_the_same_id() {
    let (world, post) = (hospital().await, Post::that(Does::TakesAndIsCutOff));
    let processes = node(&world, &post);
    let id = loop {
        if world.log.processes().await.unwrap().len() == 1 {
            break world.done(notify(json!({}))).await.id;
        }
        sleep(Duration::from_millis(10)).await;
    };
    while post.given().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    processes.stop().await;
    assert_eq!(sending(&world, id).await.status, Status::Pending);
    post.now(Does::Takes);
    let processes = node(&world, &post);
    world.settled("delivery").await;
    let given = post.given();
    assert_eq!((given.len(), given[0] == given[1]), (2, true));
    assert_eq!((sending(&world, id).await.status, sending(&world, id).await.attempts), (Status::Sent, 1));
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_nodes_send_each_message_once_however_slow_the_server_is() {
    let (world, post) = (hospital().await, Post::that(Does::TakesAfter(Duration::from_secs(9))));
    let nodes = [node(&world, &post), node(&world, &post)];
    world.settled("delivery").await;
    for _ in 0..20 {
        world.done(notify(json!({}))).await;
    }
    world.settled("delivery").await;
    assert_eq!((post.given().len(), world.count("notification.sent").await), (20, 20));
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_to_the_address_of_the_moment() {
    let later = Does::Fails(Undelivered::Later("421".to_owned()));
    let (world, post) = (hospital().await, Post::that(later));
    let processes = node(&world, &post);
    world.settled("delivery").await;
    world.done(notify(json!({}))).await;
    world.settled("delivery").await;
    post.now(Does::Takes);
    let moved = json!({"patient_id": PATIENT, "email": "ann@example.net"});
    world.done(ask::<ChangePatientDemographics>(moved)).await;
    world.after(TimeDelta::minutes(1));
    world.settled("delivery").await;
    let addresses: Vec<_> = post.given().into_iter().map(|it| it.address).collect();
    assert_eq!(addresses, ["ann@example.org", "ann@example.net"]);
    processes.stop().await;
}

#[tokio::test(start_paused = true)]
async fn within_the_program_nothing_is_sent() {
    let (world, post) = (hospital().await, Post::that(Does::Takes));
    let processes = node(&world, &post);
    world.settled("delivery").await;
    world.done(notify(json!({"recipients": [{"user_id": DOCTOR}]}))).await;
    world.settled("delivery").await;
    assert_eq!(post.given().len(), 0);
    processes.stop().await;
}
