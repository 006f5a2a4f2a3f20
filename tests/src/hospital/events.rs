//! The log over HTTP: filters, pages, hashes that anybody can recompute, and server-sent events.

use std::time::Duration;

use futures::StreamExt as _;
use hims_testing::assert_same_order;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::backups::until_processed;
use super::demo::{self, busy_day, patient, person};
use super::{Client, Hospital};

/// All events that a query finds, fetched page by page.
async fn every(client: &Client, query: &str, limit: usize) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), "0".to_owned());
    loop {
        let page = client.get(&format!("events?{query}limit={limit}&after={after}")).await.done();
        let items = page["items"].as_array().expect("the page has items");
        assert!(items.len() <= limit);
        events.extend(items.iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => return events,
        }
    }
}

/// Whether a filter should find an event.
type Check<'a> = &'a dyn Fn(&Value) -> bool;

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let hospital = Hospital::start_with(|settings| settings.record_reads = false).await;
    let admin = hospital.login("admin").await;
    let head = hospital.node.store.current_head().await.expect("the head is read");
    for limit in [7, 5_000] {
        let positions: Vec<_> = every(&admin, "", limit).await.iter().map(|it| it["position"].as_i64()).collect();
        assert_same_order(positions, (1..=head).map(Some));
    }
}

#[tokio::test]
async fn filters_find_what_they_name_and_nothing_else() {
    let hospital = Hospital::start().await;
    let id = busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    let admin = hospital.login("admin").await;
    let all = every(&admin, "", 5_000).await;
    let middle = &all[all.len() / 2]["recorded_at"];
    let instant = middle.as_str().expect("an instant");
    let of_patient = |it: &Value| it["metadata"]["subject"]["id"] == id;
    let checks: [(String, Check<'_>); 8] = [
        (format!("stream_id={id}"), &|it| it["stream_id"] == id),
        ("stream_type=appointment".to_owned(), &|it| it["stream_type"] == "appointment"),
        ("type=appointment.cancelled".to_owned(), &|it| it["type"] == "appointment.cancelled"),
        (format!("patient_id={id}"), &of_patient),
        (format!("actor_id={}", demo::user(4)), &|it| it["metadata"]["actor"]["id"] == demo::user(4)),
        (format!("patient_id={id}&type=patient.registered"), &|it| {
            of_patient(it) && it["type"] == "patient.registered"
        }),
        (format!("from={instant}"), &|it| it["recorded_at"].as_str() >= Some(instant)),
        (format!("to={instant}"), &|it| it["recorded_at"].as_str() <= Some(instant)),
    ];
    for (query, is_wanted) in checks {
        let position = |it: &Value| it["position"].as_i64();
        let last = all.last().and_then(position);
        let expected: Vec<_> = all.iter().filter(|it| is_wanted(it)).map(position).collect();
        assert!(!expected.is_empty(), "{query} finds something");
        for limit in [2, 5_000] {
            let found: Vec<_> = every(&admin, &format!("{query}&"), limit).await.iter().map(position).collect();
            let with_query = |position| (query.as_str(), position);
            let found = found.into_iter().filter(|it| *it <= last);
            assert_same_order(found.map(with_query), expected.iter().copied().map(with_query));
        }
    }
}

#[tokio::test]
async fn the_chain_of_hashes_can_be_recomputed_from_the_answers_alone() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    let admin = hospital.login("admin").await;
    let mut previous = vec![0_u8; 32];
    let events = every(&admin, "raw=true&", 50).await;
    assert!(events.len() > 70);
    for event in events {
        let text = |field: &str| event[field].as_str().expect("a text").to_owned();
        let body = [
            event["position"].to_string(),
            text("stream_type"),
            text("stream_id"),
            event["version"].to_string(),
            text("type"),
            event["schema_version"].to_string(),
            text("recorded_at"),
            text("data"),
            text("metadata"),
        ];
        let hash = Sha256::new().chain_update(&previous).chain_update(body.join("\n")).finalize().to_vec();
        let hex = hims_event_store::chain::hex(&hash);
        assert_eq!(event["hash"], hex, "position {}", event["position"]);
        previous = hash;
    }
}

#[tokio::test]
async fn stored_texts_are_sealed_and_for_auditors_only() {
    let hospital = Hospital::start().await;
    let (admin, doctor) = (hospital.login("admin").await, hospital.login("doctor").await);
    let query = format!("events?patient_id={}&type=patient.registered", patient(1));
    let open = admin.get(&query).await.done();
    assert_eq!(open["items"][0]["data"]["demographics"]["first_name"], "Paula");
    let stored = admin.get(&format!("{query}&raw=true")).await;
    assert!(stored.done()["items"][0]["data"].is_string());
    assert!(!stored.text.contains("Paula"), "{}", stored.text);
    doctor.get(&query).await.done();
    doctor.get(&format!("{query}&raw=true")).await.problem(403, "forbidden");
    doctor.get("events").await.problem(403, "forbidden");
}

#[tokio::test]
async fn an_auditor_who_may_not_read_the_person_sees_sealed_values() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let role = json!({"name": "inspector", "display_name": "Inspector", "permissions": {"read": ["audit_logs"]}});
    let role_id = admin.did("define-role", role).await;
    let assigned = json!({"user_id": demo::user(6), "role_id": role_id});
    admin.did("change-user-role", assigned).await;
    let auditor = hospital.nobody().login("lab").await;
    let answer = auditor.get("events?type=patient.registered").await;
    assert_eq!(answer.done()["items"].as_array().expect("items").len(), demo::RECORDS);
    for value in ["Paula", "Siobhan", "1984-03-12", "999-00-"] {
        assert!(!answer.text.contains(value), "{value} in {}", answer.text);
    }
    auditor.get("patients").await.problem(403, "forbidden");
}

#[tokio::test]
async fn whoever_cannot_read_a_table_cannot_read_its_events_either() {
    let hospital = Hospital::start().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    doctor.did("record-vital-signs", json!({"patient_id": patient(1), "heart_rate": 187})).await;
    hospital.settle().await;
    let types = |items: Vec<Value>| {
        items.iter().map(|it| it["stream_type"].as_str().expect("a type").to_owned()).collect::<Vec<_>>()
    };
    let query = format!("events?patient_id={}", patient(1));
    assert!(types(doctor.items(&query).await).contains(&"vital_signs".to_owned()));
    let seen = types(reception.items(&query).await);
    assert!(seen.contains(&"patient".to_owned()) && !seen.contains(&"vital_signs".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn what_a_reader_of_the_patient_may_not_read_is_no_event_of_theirs() {
    let hospital = Hospital::start().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    let allergy = json!({"patient_id": patient(1), "allergen_type": "food", "allergen_name": "Walnut"});
    doctor.did("record-allergy", allergy).await;
    hospital.settle().await;
    let query = format!("events?patient_id={}&type=patient.allergy_recorded", patient(1));
    assert!(!doctor.items(&query).await.is_empty());
    assert_eq!(reception.items(&query).await, Vec::<Value>::new());
    // An auditor who may not read allergies gets the event with its values sealed.
    let admin = hospital.login("admin").await;
    let role = json!({"name": "inspector", "display_name": "Inspector",
                      "permissions": {"read": ["audit_logs", "all_patients"]}});
    let role_id = admin.did("define-role", role).await;
    admin.did("change-user-role", json!({"user_id": demo::user(6), "role_id": role_id})).await;
    let sealed = hospital.nobody().login("lab").await.items(&query).await;
    assert!(!sealed.is_empty() && sealed.iter().all(|it| it["data"].to_string().contains("$sealed")), "{sealed:?}");
}

/// The positions of the server-sent events that a query gives, up to the position `to`.
async fn followed(client: &Client, query: &str, last_seen: Option<i64>, to: i64) -> Vec<i64> {
    let told = follow(client, query, last_seen, to);
    tokio::time::timeout(Duration::from_mins(1), told).await.expect("the last event is sent within a minute")
}

/// Reads server-sent events, each with its position, type and data, until one is the last that is wanted.
pub(super) async fn read_events(response: reqwest::Response, mut is_last: impl FnMut(i64, &str, Value) -> bool) {
    let (mut chunks, mut text) = (response.bytes_stream(), String::new());
    loop {
        let chunk = chunks.next().await.expect("the stream goes on").expect("a chunk of the stream");
        text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        while let Some((frame, rest)) = text.split_once("\n\n") {
            let field = |name: &str| frame.lines().find_map(|it| it.strip_prefix(name)).map(str::trim);
            // A sign of life has neither.
            if let (Some(id), Some(data)) = (field("id:"), field("data:")) {
                let event = serde_json::from_str(data).expect("an event");
                if is_last(id.parse().expect("a position"), field("event:").unwrap_or_default(), event) {
                    return;
                }
            }
            text = rest.to_owned();
        }
    }
}

async fn follow(client: &Client, query: &str, last_seen: Option<i64>, to: i64) -> Vec<i64> {
    let mut request = client.request(Method::GET, &format!("/api/v1/events/stream{query}"));
    if let Some(position) = last_seen {
        request = request.header("last-event-id", position);
    }
    let response = request.send().await.expect("a stream");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut positions = Vec::new();
    read_events(response, |position, event_type, event| {
        assert_eq!((event["position"].as_i64(), event["type"].as_str()), (Some(position), Some(event_type)));
        positions.push(position);
        position == to
    })
    .await;
    positions
}

#[tokio::test]
async fn the_stream_tells_of_everything_once_and_in_order() {
    let hospital = Hospital::start().await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    until_processed(&hospital.nobody()).await;
    let head = hospital.node.store.current_head().await.expect("the head is read");
    assert_same_order(followed(&admin, "?after=0", None, head).await, 1..=head);
    assert_same_order(followed(&admin, "?after=3", Some(10), head).await, 11..=head);
    let query = format!("?after={head}");
    let (told, ()) = tokio::join!(followed(&admin, &query, None, head + 20), async {
        for number in 0..20 {
            reception.did("register-patient", person(&format!("Name{number}"), "Unlike", number)).await;
        }
    });
    assert_same_order(told, head + 1..=head + 20);
}

#[tokio::test]
async fn the_stream_of_a_patient_is_for_whoever_may_read_the_patient() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let one = reception.did("register-patient", person("Ottilie", "Unlike", 1)).await;
    reception.did("register-patient", person("Benedikt", "Another", 2)).await;
    let renamed = json!({"patient_id": one, "first_name": "Otti"});
    let last = reception.command("change-patient-demographics", renamed).await.position();
    hospital.settle().await;
    let told = followed(&reception, &format!("?after=0&patient_id={one}"), None, last).await;
    assert_eq!(told, [last - 2, last]);
    reception.get("events/stream?after=0").await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_doctor_is_told_of_what_has_just_begun() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let head = hospital.node.store.current_head().await.expect("the head is read");
    let (of_patient, measured) = (demo::patient(1), "vital_signs.recorded");
    let query = format!("/api/v1/events/stream?after={head}&patient_id={of_patient}&type={measured}");
    let response = doctor.request(Method::GET, &query).send().await.expect("a stream");
    let mut told = Vec::new();
    let telling = read_events(response, |_, _, event| {
        told.push(event["data"]["measurements"]["heart_rate"].to_string());
        told.len() == 20
    });
    let (telling, ()) = tokio::join!(tokio::time::timeout(Duration::from_mins(1), telling), async {
        for heart_rate in 60..80 {
            let taken = json!({"patient_id": of_patient, "heart_rate": heart_rate});
            doctor.did("record-vital-signs", taken).await;
        }
    });
    telling.expect("the last event is sent within a minute");
    assert_same_order(told, (60..80).map(|it| format!("\"{it}\"")));
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let response = admin.request(Method::GET, "/api/v1/events/stream").send().await.expect("a stream");
    let stopped = tokio::task::spawn_blocking(move || drop(hospital));
    let rest: Vec<_> = response.bytes_stream().collect().await;
    assert!(rest.iter().all(Result::is_ok), "the stream was cut off: {rest:?}");
    stopped.await.expect("the server stops in good order");
}
