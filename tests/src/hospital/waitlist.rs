//! The waiting list, and who is told of a leave.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use hims_testing::patched;
use serde_json::{Value, json};

use super::demo::{DOCTOR, appointment, at, department, patient, person, room, user};
use super::merging::merge;
use super::notifications::all_done;
use super::releases::until;
use super::scheduling::{in_new_york, monday_after};
use super::slots::{from_eight_to_ten, on_monday};
use super::tables::{by_process, count};
use super::{Client, Hospital};

/// The body of `join-waitlist`: half an hour in internal medicine, of a kind that no other test cancels.
pub(super) fn wait_for(patient_id: &str) -> Value {
    json!({"patient_id": patient_id, "department_id": department(1), "appointment_type": "scan", "duration_minutes": 30,
           "earliest": at(0, 0).date_naive(), "latest": at(100, 0).date_naive()})
}

/// The body of `schedule-appointment` for a scan.
pub(super) fn scan(patient_id: &str, starts_at: DateTime<Utc>) -> Value {
    patched(appointment(patient_id, starts_at), json!({"appointment_type": "scan"}))
}

/// Registers a patient with a number of their own.
async fn registered(reception: &Client, number: u32) -> String {
    reception.did("register-patient", person(&format!("Wanda{number}"), "Waits", 200 + number)).await
}

/// Books a scan for somebody and cancels it.
pub(super) async fn freed(reception: &Client, patient_id: &str, starts_at: DateTime<Utc>) -> String {
    let booked = reception.did("schedule-appointment", scan(patient_id, starts_at)).await;
    reception.did("cancel-appointment", json!({"appointment_id": booked, "reason": "ill"})).await;
    booked
}

pub(super) async fn in_status(client: &Client, entry: &str, status: &str) -> Value {
    client.row_until("waitlist-entries", entry, |row| row["status"] == status).await
}

/// The body of `offer-waitlist-slot`: a time with the doctor in the second room.
fn offer(entry: &str, starts_at: DateTime<Utc>, expires_at: DateTime<Utc>) -> Value {
    json!({"entry_id": entry, "provider_id": user(DOCTOR), "room_id": room(2), "starts_at": starts_at,
           "expires_at": expires_at})
}

fn now() -> DateTime<Utc> {
    (hims_api::surroundings().clock)()
}

fn of(entry: &str) -> Value {
    json!({ "entry_id": entry })
}

pub(super) fn instant(value: &Value) -> DateTime<Utc> {
    serde_json::from_value(value.clone()).expect("an instant")
}

/// Every command and event of the waiting list. Part of [`everything`](super::everything).
pub(super) async fn everything(hospital: &Hospital, patient_id: &str) {
    let reception = hospital.login("reception").await;
    let later = reception.did("schedule-appointment", appointment(patient_id, at(95, 0))).await;
    // Each entry waits for a kind of its own, so that what is free again is not offered to the next.
    let kind = |kind: &str| patched(wait_for(patient_id), json!({ "appointment_type": kind }));
    let wish = json!({"gives_up_appointment_id": later, "weekdays": [1, 2, 3, 4, 5, 6, 7], "time_from": "00:00",
                      "time_until": "24:00"});
    let taken = reception.did("join-waitlist", patched(kind("first scan"), wish)).await;
    let to_doctor = json!({"entry_id": taken, "department_id": null, "provider_id": user(DOCTOR), "weekdays": null});
    reception.did("change-waitlist-entry", to_doctor).await;
    reception.did("offer-waitlist-slot", offer(&taken, at(71, 0), at(70, 0))).await;
    reception.did("decline-waitlist-offer", of(&taken)).await;
    reception.did("offer-waitlist-slot", offer(&taken, at(71, 60), at(70, 0))).await;
    reception.did("accept-waitlist-offer", of(&taken)).await;
    // Three offers without an answer, each of which the process ends.
    let lapsed = reception.did("join-waitlist", kind("second scan")).await;
    for nth in 1..=3 {
        let body = offer(&lapsed, at(72, 60 * nth), now() + TimeDelta::milliseconds(1500));
        reception.did("offer-waitlist-slot", body).await;
        reception.row_until("waitlist-entries", &lapsed, |row| row["unanswered_offers"] == nth).await;
        reception.did("expire-waitlist-offer", of(&lapsed)).await;
    }
    let left = reception.did("join-waitlist", kind("third scan")).await;
    reception.did("offer-waitlist-slot", offer(&left, at(73, 0), at(70, 0))).await;
    reception.did("leave-waitlist", json!({"entry_id": left, "reason": "moved away"})).await;
}

/// An entry at the end of its life, for [`telling`](super::telling).
pub(super) async fn withdrawn(reception: &Client, patient_id: &str) -> String {
    let entry = reception.did("join-waitlist", wait_for(patient_id)).await;
    reception.did("leave-waitlist", json!({"entry_id": entry, "reason": "moved to another town"})).await;
    entry
}

#[tokio::test]
async fn what_becomes_free_is_held_offered_and_taken() {
    let hospital = Hospital::start().await;
    let (reception, own) = (hospital.login("reception").await, hospital.login("patient").await);
    let admin = hospital.login("admin").await;
    let later = reception.did("schedule-appointment", scan(&patient(1), at(60, 0))).await;
    let wish = patched(wait_for(&patient(1)), json!({"gives_up_appointment_id": later}));
    let entry = own.did("join-waitlist", wish).await;
    let starts_at = at(20, 0);
    freed(&reception, &patient(5), starts_at).await;
    let row = in_status(&own, &entry, "offered").await;
    assert_eq!(instant(&row["offered_starts_at"]), starts_at);
    assert_eq!((&row["offered_provider_id"], &row["offered_room_id"]), (&json!(user(DOCTOR)), &json!(room(1))));
    // What is held is booked by nobody else.
    let desk = reception.command("schedule-appointment", scan(&patient(6), starts_at)).await;
    let problem = desk.problem(409, "double-booking");
    assert_eq!(problem["candidates"], json!([entry]));
    // The patient is told, once.
    all_done(&hospital).await;
    let told = admin.items(&format!("notifications?subject_patient_id={}&type=waitlist_offer", patient(1))).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["action_url"], format!("/waitlist-entries/{entry}"));
    assert!(told[0]["message"].as_str().is_some_and(|it| it.contains("with Dana Osei")), "{told:?}");
    own.did("accept-waitlist-offer", of(&entry)).await;
    assert_eq!(own.command("accept-waitlist-offer", of(&entry)).await.done()["events"], json!([]));
    let row = own.row("waitlist-entries", &entry).await;
    assert_eq!((&row["status"], &row["offered_starts_at"]), (&json!("fulfilled"), &Value::Null));
    let made = own.row("appointments", row["appointment_id"].as_str().expect("an id")).await;
    assert_eq!((instant(&made["starts_at"]), &made["status"]), (starts_at, &json!("scheduled")));
    assert_eq!(own.row("appointments", &later).await["status"], "cancelled");
    reception.did("schedule-appointment", scan(&patient(6), at(60, 0))).await;
    all_done(&hospital).await;
    hospital.settle().await;
    assert_eq!(admin.items("process-failures").await, Vec::<Value>::new());
}

#[tokio::test]
async fn two_nodes_make_one_offer_of_each_time() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let reception = hospital.login("reception").await;
    let there = reception.at(&other.base);
    for number in 0..8 {
        let patient_id = registered(&reception, number).await;
        there.did("join-waitlist", wait_for(&patient_id)).await;
    }
    let freeing = (0..5_u16).map(|nth| {
        let client = if nth % 2 == 0 { &reception } else { &there };
        async move { freed(client, &patient(nth + 1), at(20 + i64::from(nth), 0)).await }
    });
    join_all(freeing).await;
    all_done(&hospital).await;
    assert_eq!(count(hospital.owner(), "log.events where event_type = 'waitlist_entry.offered'").await, 5 + 1);
    assert_eq!(by_process(hospital.owner(), "waitlist", "waitlist_entry.offered").await, 5, "one is of the demo");
    hospital.settle().await;
    let held = "(select distinct offered_starts_at from waitlist_entries where status = 'offered') as it";
    assert_eq!(count(hospital.owner(), held).await, 5 + 1);
}

#[tokio::test]
async fn what_one_does_not_take_goes_to_the_next_and_the_desk_may_be_faster() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let mut entries = Vec::new();
    for number in 0..3 {
        let patient_id = registered(&reception, number).await;
        entries.push(reception.did("join-waitlist", wait_for(&patient_id)).await);
    }
    freed(&reception, &patient(5), at(20, 0)).await;
    in_status(&reception, &entries[0], "offered").await;
    reception.did("decline-waitlist-offer", of(&entries[0])).await;
    in_status(&reception, &entries[1], "offered").await;
    reception.command("accept-waitlist-offer", of(&entries[0])).await.problem(409, "not-offered");
    reception.did("leave-waitlist", of(&entries[1])).await;
    in_status(&reception, &entries[2], "offered").await;
    // Somebody who declined waits on, but is not offered the same time again.
    reception.did("decline-waitlist-offer", of(&entries[2])).await;
    all_done(&hospital).await;
    assert_eq!(reception.row("waitlist-entries", &entries[0]).await["status"], "waiting");
    reception.did("schedule-appointment", scan(&patient(6), at(20, 0))).await;
    // A time that is moved and taken again at once is offered to nobody.
    let moved = reception.did("schedule-appointment", scan(&patient(5), at(21, 0))).await;
    let shifted = json!({"appointment_id": moved, "starts_at": at(21, 15)});
    reception.did("reschedule-appointment", shifted).await;
    all_done(&hospital).await;
    assert_eq!(reception.row("waitlist-entries", &entries[0]).await["status"], "waiting");
    let moved_on = json!({"appointment_id": moved, "starts_at": at(22, 0)});
    reception.did("reschedule-appointment", moved_on).await;
    let row = in_status(&reception, &entries[0], "offered").await;
    assert_eq!(instant(&row["offered_starts_at"]), at(21, 15));
    hospital.settle().await;
    assert_eq!(hospital.login("admin").await.items("process-failures").await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_offer_at_night_waits_until_the_patient_is_awake() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let patient_id = registered(&reception, 1).await;
    let always = json!({"patient_id": patient_id, "quiet_from": "00:00", "quiet_until": "24:00", "time_zone": "UTC"});
    reception.did("set-notification-preferences", always).await;
    let entry = reception.did("join-waitlist", wait_for(&patient_id)).await;
    freed(&reception, &patient(5), at(20, 0)).await;
    let row = in_status(&reception, &entry, "offered").await;
    let made_at = instant(&row["updated_at"]);
    let midnight = (made_at.date_naive() + TimeDelta::days(1)).and_hms_opt(0, 0, 0).expect("midnight").and_utc();
    assert_eq!(instant(&row["offer_expires_at"]), midnight + TimeDelta::hours(2));
}

#[tokio::test]
async fn in_the_second_of_expiry_an_offer_is_accepted_or_expires() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let reception = hospital.login("reception").await;
    let there = reception.at(&other.base);
    for round in 0..4 {
        let patient_id = registered(&reception, round).await;
        // Each round has a kind of its own, so that what is free again is not offered to the next.
        let kind = json!({"appointment_type": format!("scan {round}")});
        let entry = reception.did("join-waitlist", patched(wait_for(&patient_id), kind)).await;
        let expires_at = now() + TimeDelta::milliseconds(1500);
        reception.did("offer-waitlist-slot", offer(&entry, at(20 + i64::from(round), 0), expires_at)).await;
        // Some rounds begin a little before the offer expires, and some as soon as it does.
        let begin = expires_at - TimeDelta::milliseconds(20 * i64::from(round % 2));
        until(async || now() >= begin).await;
        let answers = (0..8).map(|nth| {
            let client = if nth % 2 == 0 { &reception } else { &there };
            client.command(if nth < 4 { "accept-waitlist-offer" } else { "expire-waitlist-offer" }, of(&entry))
        });
        let answers = join_all(answers).await;
        let row = reception
            .row_until("waitlist-entries", &entry, |row| row["status"] == "waiting" || row["status"] == "fulfilled")
            .await;
        let ended = async |event: &str| {
            let events = format!("log.events where stream_id = '{entry}' and event_type = 'waitlist_entry.{event}'");
            count(hospital.owner(), &events).await
        };
        let ends = [ended("accepted").await, ended("expired").await];
        assert_eq!(ends.iter().sum::<i64>(), 1, "{ends:?}");
        assert_eq!(row["status"] == "fulfilled", ends == [1, 0]);
        let accepted = answers[..4].iter().filter(|it| it.status == 200).count();
        assert_eq!(accepted > 0, ends == [1, 0], "who is told that they have the time has it");
    }
}

#[tokio::test]
async fn what_is_held_is_no_free_slot() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let monday = monday_after(14);
    from_eight_to_ten(&reception, json!({})).await;
    let free = async |more: &str| on_monday(&reception, monday, &format!("&provider_id={}{more}", user(DOCTOR))).await;
    let all = ["08:00", "08:30", "09:00", "09:30"];
    assert_eq!(free("").await, all);
    let patient_id = registered(&reception, 1).await;
    let entry = reception.did("join-waitlist", wait_for(&patient_id)).await;
    let starts_at = in_new_york(monday, 8, 30);
    reception.did("offer-waitlist-slot", offer(&entry, starts_at, starts_at)).await;
    assert_eq!(free("").await, ["08:00", "09:00", "09:30"]);
    reception.did("decline-waitlist-offer", of(&entry)).await;
    assert_eq!(free("").await, all);
    // The room and the patient are held too: here with another provider.
    let (role_id, other) = (hims_commands::role_id("doctor"), user(1));
    let roles = json!({"user_id": other, "role_id": hims_commands::role_id("administrator"),
                       "additional_role_ids": [role_id]});
    hospital.login("admin").await.did("change-user-role", roles).await;
    let with_other = patched(offer(&entry, starts_at, starts_at), json!({"provider_id": other}));
    reception.did("offer-waitlist-slot", with_other).await;
    assert_eq!(free("").await, ["08:00", "09:00", "09:30"]);
    reception.did("decline-waitlist-offer", of(&entry)).await;
    let without_room = json!({"provider_id": other, "room_id": null});
    reception.did("offer-waitlist-slot", patched(offer(&entry, starts_at, starts_at), without_room)).await;
    assert_eq!(free("").await, all);
    assert_eq!(free(&format!("&patient_id={patient_id}")).await, ["08:00", "09:00", "09:30"]);
    // The list knows of the offers that were declined.
    let row = reception.row("waitlist-entries", &entry).await;
    assert_eq!((&row["offers"], &row["unanswered_offers"]), (&json!(3), &json!(0)));
}

#[tokio::test]
async fn the_dead_are_taken_off_the_list_and_do_not_join() {
    let hospital = Hospital::start().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    let patient_id = registered(&reception, 1).await;
    let waiting = reception.did("join-waitlist", wait_for(&patient_id)).await;
    let offered = reception.did("join-waitlist", wait_for(&patient_id)).await;
    reception.did("offer-waitlist-slot", offer(&offered, at(20, 0), at(19, 0))).await;
    let next = registered(&reception, 2).await;
    let next = reception.did("join-waitlist", wait_for(&next)).await;
    doctor.did("record-patient-death", json!({"patient_id": patient_id, "deceased_at": at(-1, 0)})).await;
    for entry in [&waiting, &offered] {
        assert_eq!(in_status(&reception, entry, "withdrawn").await["left_reason"], "deceased");
    }
    reception.command("join-waitlist", wait_for(&patient_id)).await.problem(409, "deceased");
    // What was held is offered to the next.
    assert_eq!(instant(&in_status(&reception, &next, "offered").await["offered_starts_at"]), at(20, 0));
    all_done(&hospital).await;
    hospital.settle().await;
    assert_eq!(hospital.login("admin").await.items("process-failures").await, Vec::<Value>::new());
}

#[tokio::test]
async fn entries_of_a_merged_record_are_those_of_the_survivor() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let (survivor, duplicate) = (registered(&reception, 1).await, registered(&reception, 2).await);
    let entry = reception.did("join-waitlist", wait_for(&duplicate)).await;
    reception.did("offer-waitlist-slot", offer(&entry, at(20, 0), at(19, 0))).await;
    merge(&hospital, &survivor, &duplicate).await.done();
    let listed = reception.items(&format!("waitlist-entries?patient_id={survivor}")).await;
    assert_eq!((listed.len(), &listed[0]["id"], &listed[0]["patient_id"]), (1, &json!(entry), &json!(duplicate)));
    let refused = reception.command("join-waitlist", wait_for(&duplicate)).await.problem(409, "merged");
    assert_eq!(refused["candidates"], json!([survivor]));
    // The appointment that follows from the offer is one of the survivor.
    reception.did("accept-waitlist-offer", of(&entry)).await;
    let made = reception.row("waitlist-entries", &entry).await["appointment_id"].clone();
    let made = reception.row("appointments", made.as_str().expect("an id")).await;
    assert_eq!(made["patient_id"], survivor.as_str());
}

#[tokio::test]
async fn patients_wait_for_themselves_and_the_desk_for_everybody() {
    let hospital = Hospital::start().await;
    let (reception, own, nurse) =
        (hospital.login("reception").await, hospital.login("patient").await, hospital.login("nurse").await);
    own.command("join-waitlist", wait_for(&patient(5))).await.problem(403, "forbidden");
    nurse.command("join-waitlist", wait_for(&patient(5))).await.problem(403, "forbidden");
    let urgent = patched(wait_for(&patient(1)), json!({"priority": "urgent"}));
    own.command("join-waitlist", urgent.clone()).await.problem_at(422, "priority-of-the-desk", "/priority");
    let entry = own.did("join-waitlist", wait_for(&patient(1))).await;
    let other = reception.did("join-waitlist", wait_for(&patient(5))).await;
    let change = |entry: &str| json!({"entry_id": entry, "duration_minutes": 15});
    own.did("change-waitlist-entry", change(&entry)).await;
    own.command("change-waitlist-entry", change(&other)).await.problem(403, "forbidden");
    own.get(&format!("waitlist-entries/{other}")).await.problem(404, "not-found");
    own.command("offer-waitlist-slot", offer(&entry, at(20, 0), at(19, 0))).await.problem(403, "forbidden");
    reception.did("offer-waitlist-slot", offer(&entry, at(20, 0), at(19, 0))).await;
    own.command("expire-waitlist-offer", of(&entry)).await.problem(403, "forbidden");
    reception.command("expire-waitlist-offer", of(&entry)).await.problem(409, "not-expired");
    own.did("decline-waitlist-offer", of(&entry)).await;
    own.did("leave-waitlist", of(&entry)).await;
    own.command("leave-waitlist", of(&other)).await.problem(403, "forbidden");
}

#[tokio::test]
async fn the_front_desk_is_told_which_appointments_a_leave_affects() {
    let hospital = Hospital::start().await;
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    let mut affected = Vec::new();
    for minutes in [0, 60] {
        affected.push(reception.did("schedule-appointment", appointment(&patient(5), at(30, minutes))).await);
    }
    let outside = reception.did("schedule-appointment", appointment(&patient(5), at(32, 0))).await;
    let cancelled = reception.did("schedule-appointment", appointment(&patient(6), at(30, 120))).await;
    reception.did("cancel-appointment", json!({"appointment_id": cancelled, "reason": "ill"})).await;
    let leave = |day: i64| {
        json!({"provider_id": user(DOCTOR), "kind": "sick", "from": at(day, -60), "until": at(day, 180),
               "reason": "a broken ankle"})
    };
    // A leave in which there is no appointment is told to nobody.
    doctor.did("add-provider-leave", leave(40)).await;
    doctor.did("add-provider-leave", leave(30)).await;
    all_done(&hospital).await;
    let told = reception.items("notifications?type=provider_leave").await;
    assert_eq!(told.len(), 1, "{told:?}");
    let message = told[0]["message"].as_str().expect("a message");
    for id in &affected {
        assert!(message.contains(id.as_str()), "{message}");
        assert_eq!(reception.row("appointments", id).await["status"], "scheduled", "the appointments stay");
    }
    for other in [&outside, &cancelled] {
        assert!(!message.contains(other.as_str()), "{message}");
    }
    for word in ["Amara", "Nwosu", "ankle", "sick", "cough", "follow_up"] {
        assert!(!told[0].to_string().to_lowercase().contains(&word.to_lowercase()), "{word} in {told:?}");
    }
    assert!(doctor.items("notifications?type=provider_leave").await.is_empty());
    hospital.settle().await;
    assert_eq!(hospital.login("admin").await.items("process-failures").await, Vec::<Value>::new());
}
