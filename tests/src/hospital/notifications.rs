//! Notifications: who is told what, and who learns of it.

use hims_commands::system_roles;
use hims_domain::notification::Notification;
use hims_event_store::{Append, NewEvent, StreamAppend, Subject};
use hims_testing::fields;
use serde_json::{Value, json};
use uuid::Uuid;

use super::demo::{DOCTOR, NURSE, patient, user};
use super::events::read_events;
use super::everything::record;
use super::releases::{ask, until};
use super::{Client, Hospital};

/// The user who a client is logged in as.
pub(super) async fn own_id(client: &Client) -> String {
    client.get("sessions/current").await.done()["user"]["id"].as_str().expect("an id").to_owned()
}

#[expect(clippy::needless_pass_by_value, reason = "callers write the value where they call")]
pub(super) fn message(recipients: Value) -> Value {
    json!({"type": "system", "title": "Water", "message": "The water is off from noon.", "recipients": recipients})
}

/// Waits until the processes have done everything that is to be done now.
pub(super) async fn all_done(hospital: &Hospital) {
    let done = "select not exists (select from log.processes where position < (select max(position) from log.events))
                   and not exists (select from log.timers where due_at <= now())";
    until(async || ask::<bool>(hospital, done).await).await;
}

/// Records everything that can happen to a notification. Its messages are due in five years, so that the process that
/// sends messages leaves them alone meanwhile.
async fn every_step(hospital: &Hospital) -> String {
    let (id, due) = (Uuid::from_u128(0x0707).to_string(), "2031-11-23T10:00:00Z");
    let recipient = |nth: u128| Uuid::from_u128(0x0707_0000 + nth);
    let told = |nth: u128| {
        json!({"recipient_id": recipient(nth), "user_id": null, "patient_id": patient(2), "channel": "email",
               "address": {"$personal": "will@example.org"}, "next_attempt_at": due})
    };
    let mut created = fields::<Notification>("created");
    created["recipients"] = (1..=6).map(told).collect();
    for member in ["title", "message"] {
        created["content"][member] = json!({ "$personal": created["content"][member] });
    }
    created["content"]["subject_patient_id"] = json!(patient(2));
    created["content"]["dedupe_key"] = Value::Null;
    let subject = Subject { kind: "patient".to_owned(), id: patient(2).parse().expect("an id") };
    let event = NewEvent { event_type: "notification.created".to_owned(), data: created };
    let stream = StreamAppend::begin("notification", id.parse::<Uuid>().expect("an id"), [event]);
    let stream = StreamAppend { subject: Some(subject), ..stream };
    hospital.node.store.append(Append::stream(stream)).await.expect("the event is recorded");
    let attempted = json!({"recipient_id": recipient(1), "attempt": 1, "next_attempt_at": due});
    record(hospital, "notification", &id, "attempted", attempted).await;
    for (nth, event) in [(2, "sent"), (3, "expired"), (4, "read")] {
        record(hospital, "notification", &id, event, json!({ "recipient_id": recipient(nth) })).await;
    }
    let postponed = json!({"recipient_id": recipient(5), "next_attempt_at": due});
    record(hospital, "notification", &id, "postponed", postponed).await;
    let failed = json!({"recipient_id": recipient(6), "reason": "refused", "detail": null});
    record(hospital, "notification", &id, "failed", failed).await;
    let arrived = json!({"notification_id": id, "recipient_id": recipient(1), "status": "delivered"});
    hospital.login("admin").await.did("record-delivery-status", arrived).await;
    id
}

/// Every command and event of notifications. Part of [`everything`](super::everything).
pub(super) async fn everything(hospital: &Hospital) {
    every_step(hospital).await;
    let (admin, nurse) = (hospital.login("admin").await, hospital.login("nurse").await);
    let sent = admin.did("send-notification", message(json!([{"user_id": user(NURSE)}]))).await;
    nurse.did("mark-notification-read", json!({"notification_id": sent})).await;
    for quiet_from in ["22:00", "23:00"] {
        let wishes = json!({"user_id": user(NURSE), "channels": {"system": ["in_app"]}, "quiet_from": quiet_from});
        nurse.did("set-notification-preferences", wishes).await;
    }
    let wishes = json!({"patient_id": patient(2), "language": "de"});
    hospital.login("reception").await.did("set-notification-preferences", wishes).await;
}

/// A notification to a patient, for [`telling`](super::telling).
pub(super) async fn told(hospital: &Hospital) -> String {
    every_step(hospital).await
}

/// Sends a notification to each of these users, whose id is its title, and sets their preferences. For
/// [`access_matrix`](super::access_matrix).
pub(super) async fn fill(hospital: &Hospital, logins: &[&str]) {
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    for login in logins {
        let client = hospital.login(login).await;
        let id = own_id(&client).await;
        let (to, whose) = match *login {
            "patient" => (json!({"patient_id": patient(1)}), json!({"patient_id": patient(1)})),
            _ => (json!({"user_id": id}), json!({"user_id": id})),
        };
        let mut body = message(json!([to]));
        body["title"] = json!(format!("For {id}"));
        admin.did("send-notification", body).await;
        client.did("set-notification-preferences", whose).await;
    }
    let to_address = json!([{"channel": "sms", "address": "+12125550177"}]);
    let of_patient = hims_testing::patched(message(to_address), json!({"subject_patient_id": patient(5)}));
    admin.did("send-notification", of_patient).await;
    reception.did("set-notification-preferences", json!({"patient_id": patient(5), "language": "es"})).await;
}

#[tokio::test]
async fn who_names_nobody_is_told_whose_preferences_to_name() {
    let hospital = Hospital::start().await;
    for login in ["nurse", "reception", "patient"] {
        let answer = hospital.login(login).await.command("set-notification-preferences", json!({})).await;
        answer.problem_at(422, "whose-preferences", "/user_id");
    }
}

#[tokio::test]
async fn a_notification_is_read_by_its_recipients_and_its_sender_only() {
    let hospital = Hospital::start().await;
    let (admin, nurse) = (hospital.login("admin").await, hospital.login("nurse").await);
    let (doctor, paula) = (hospital.login("doctor").await, hospital.login("patient").await);
    let to_both = message(json!([{"user_id": user(NURSE)}, {"patient_id": patient(1)}]));
    doctor.command("send-notification", to_both.clone()).await.problem(403, "forbidden");
    let sent = admin.did("send-notification", to_both).await;
    for reader in [&admin, &nurse, &paula] {
        let row = reader.row("notifications", &sent).await;
        assert_eq!((&row["title"], &row["message"]), (&json!("Water"), &json!("The water is off from noon.")));
    }
    doctor.get(&format!("notifications/{sent}")).await.problem(404, "not-found");
    assert!(doctor.items("notifications").await.iter().all(|it| it["id"] != sent.as_str()));
    // A recipient does not learn who else got it, but the sender does.
    let of_it = format!("notification-recipients?notification_id={sent}");
    let people = |rows: Vec<Value>| rows.iter().map(|it| it["recipient_id"].clone()).collect::<Vec<_>>();
    assert_eq!(people(nurse.items(&of_it).await), [json!(user(NURSE))]);
    assert!(admin.items(&of_it).await.len() >= 2);
    // The nurse reads it; the doctor cannot.
    let read = json!({"notification_id": sent});
    doctor.command("mark-notification-read", read.clone()).await.problem(403, "forbidden");
    nurse.did("mark-notification-read", read.clone()).await;
    assert_eq!(nurse.command("mark-notification-read", read).await.done()["events"], json!([]));
    let rows = admin.items(&of_it).await;
    let status = |id: &str| rows.iter().find(|it| it["recipient_id"] == id).map(|it| it["status"].clone());
    assert_eq!(status(&user(NURSE)), Some(json!("read")));
    let own = paula.items(&of_it).await;
    assert!(own.iter().any(|it| it["status"] == "delivered" && it["channel"] == "in_app"), "{own:?}");
}

#[tokio::test]
async fn one_of_many_senders_of_the_same_occasion_is_first() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let body = hims_testing::patched(message(json!([{"user_id": user(DOCTOR)}])), json!({"dedupe_key": "pipe 7"}));
    let all = futures::future::join_all((0..16).map(|_| admin.command("send-notification", body.clone()))).await;
    let began = all.iter().filter(|it| it.status == 201).count();
    assert_eq!(began, 1, "{:?}", all.iter().map(|it| it.status).collect::<Vec<_>>());
    assert!(all.iter().all(|it| [200, 201].contains(&it.status)), "the others are quiet");
    assert_eq!(
        admin.items("notifications?type=system").await.iter().filter(|it| it["dedupe_key"] == "pipe 7").count(),
        1
    );
}

#[test]
fn only_administrators_write_notifications() {
    let writes = |name: &&str| {
        let roles = system_roles();
        let (_, role) = roles.iter().find(|(_, it)| it.name.as_str() == *name).expect("a system role");
        role.permissions.create.contains("notifications")
    };
    let roles = ["patient", "receptionist", "nurse", "doctor", "pharmacist", "lab_technician", "administrator"];
    assert_eq!(roles.iter().filter(|it| writes(it)).collect::<Vec<_>>(), [&"administrator"]);
}

/// Reads a stream of server-sent events until it has this many events. Returns their positions and data.
async fn followed(response: reqwest::Response, wanted: usize) -> Vec<(i64, Value)> {
    let mut events = Vec::new();
    read_events(response, |position, _, event| {
        events.push((position, event));
        events.len() >= wanted
    })
    .await;
    events
}

#[tokio::test]
async fn everybody_follows_their_own_notifications() {
    let hospital = Hospital::start().await;
    let (admin, nurse) = (hospital.login("admin").await, hospital.login("nurse").await);
    let stream = "/api/v1/notifications/stream";
    let follow = async |request: reqwest::RequestBuilder| request.send().await.expect("a stream");
    let live = follow(nurse.request(reqwest::Method::GET, stream)).await;
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    let mut sent = Vec::new();
    for (nth, whom) in [user(DOCTOR), user(NURSE), user(DOCTOR), user(NURSE)].into_iter().enumerate() {
        let mut body = message(json!([{ "user_id": whom }]));
        body["title"] = json!(format!("Water {nth}"));
        let answer = admin.command("send-notification", body).await.done();
        sent.push((answer["position"].as_i64().expect("a position"), answer["id"].clone()));
    }
    let told = followed(live, 2).await;
    let ids = |told: &[(i64, Value)]| told.iter().map(|it| (it.0, it.1["id"].clone())).collect::<Vec<_>>();
    assert_eq!(ids(&told), [sent[1].clone(), sent[3].clone()]);
    let first = &told[0].1;
    assert_eq!((&first["title"], &first["message"]), (&json!("Water 1"), &json!("The water is off from noon.")));
    // A client that was cut off goes on after the last one that it received.
    let again = nurse.request(reqwest::Method::GET, stream).header("last-event-id", told[0].0.to_string());
    assert_eq!(ids(&followed(follow(again).await, 1).await), [sent[3].clone()]);
    // The sender is no recipient, however much the sender may read.
    let mut body = message(json!([{"patient_id": patient(1), "channel": "in_app"}]));
    body["title"] = json!("For Paula");
    let paula = follow(hospital.login("patient").await.request(reqwest::Method::GET, stream)).await;
    let to_admin = follow(admin.request(reqwest::Method::GET, &format!("{stream}?after={}", sent[0].0))).await;
    admin.did("send-notification", body).await;
    let own = admin.did("send-notification", message(json!([{ "user_id": own_id(&admin).await }]))).await;
    assert_eq!(followed(paula, 1).await[0].1["title"], "For Paula");
    assert_eq!(followed(to_admin, 1).await[0].1["id"], json!(own));
    let nobody = hospital.nobody();
    nobody.send(nobody.request(reqwest::Method::GET, stream)).await.problem(401, "unauthenticated");
}
