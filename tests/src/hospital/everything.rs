//! A history with every command and every event type.

use hims_event_store::{Append, Claim, NewEvent, StreamAppend};
use hims_testing::patched;
use serde_json::{Value, json};
use uuid::Uuid;

use super::consultations::every_part;
use super::death::{death, failure};
use super::demo::{self, DOCTOR, appointment, at, busy_day, department, early, medication, person, prescription, user};
use super::{Client, Hospital};

/// The commands that can be run only hours after others, so that their events are appended directly.
pub(crate) const HOURS_LATER: [&str; 1] = ["mark-appointment-no-show"];

/// Runs every command and records every event type. Most events follow from the commands; the others are appended
/// directly.
pub(crate) async fn everything(hospital: &Hospital) {
    let patient_id = busy_day(&hospital.nobody()).await;
    people(hospital).await;
    places(&hospital.login("admin").await).await;
    chart(&hospital.login("doctor").await, &hospital.login("reception").await, &patient_id).await;
    every_part(&hospital.login("doctor").await, &patient_id).await;
    pharmacy(hospital, &patient_id).await;
    super::pharmacy::everything(hospital, &patient_id).await;
    super::stock::everything(hospital, &patient_id).await;
    super::scheduling::everything(hospital, &patient_id).await;
    super::waitlist::everything(hospital, &patient_id).await;
    super::insurance::everything(hospital, &patient_id).await;
    super::billing::everything(hospital, &patient_id).await;
    super::insurance_claims::everything(hospital).await;
    super::care_teams::everything(hospital, &patient_id).await;
    super::amendments::everything(hospital, &patient_id).await;
    super::disclosures::fill(hospital, &patient_id).await;
    super::password_resets::everything(hospital).await;
    super::service_accounts::everything(hospital).await;
    super::open_id::everything(hospital).await;
    super::passkeys::everything(hospital).await;
    super::reads::everything(hospital).await;
    super::laboratory::everything(hospital, &patient_id).await;
    super::merging::everything(hospital).await;
    super::chart::everything(hospital, &patient_id).await;
    super::interactions::everything(hospital).await;
    super::lab_results::everything(hospital, &patient_id).await;
    super::notifications::everything(hospital).await;
    super::reports::everything(hospital).await;
    super::consents::everything(hospital).await;
    super::erasure::everything_about_it(hospital).await;
    death(&hospital.login("doctor").await, &hospital.login("reception").await).await;
    failure(hospital).await;
    // These events come hours after the commands, or a minute after refusals, so they are appended directly.
    let reception = hospital.login("reception").await;
    let missed = reception.did("schedule-appointment", appointment(&patient_id, at(20, 0))).await;
    record(hospital, "appointment", &missed, "marked_no_show", json!({})).await;
    let mistaken = json!({"appointment_id": missed, "reason": "sat in the other waiting room"});
    reception.did("undo-appointment-no-show", mistaken).await;
    let session = reception.get("sessions/current").await.done()["session_id"].as_str().expect("an id").to_owned();
    record(hospital, "session", &session, "renewed", json!({"idle_expires_at": at(1, 0)})).await;
    let repeated = json!({"command": "schedule-appointment", "code": "double-booking", "count": 3,
                          "stream_type": "appointment", "stream_id": missed});
    record(hospital, "access", &Uuid::from_u128(0xacce).to_string(), "repeated", repeated).await;
    reception.send(reception.request(reqwest::Method::DELETE, "/api/v1/sessions/current")).await;
    // This event comes when thousands of refusals wait to be recorded.
    record(hospital, "access", &Uuid::from_u128(0xacce).to_string(), "refusals_lost", json!({"count": 3})).await;
    // An operator has the claims rebuilt on the command line.
    record(hospital, "access", &Uuid::from_u128(0xacce).to_string(), "claims_rebuilt", json!({})).await;
    // An operator restores the log from a backup.
    let restored = json!({"incarnation": Uuid::from_u128(0xacce), "position": 1, "known": 1});
    record(hospital, "log", &Uuid::from_u128(0x106).to_string(), "restored", restored).await;
    // An operator replaces the master key.
    let rotated = json!({"from": Uuid::from_u128(0xa), "to": Uuid::from_u128(0xb)});
    record(hospital, "log", &Uuid::from_u128(0x106).to_string(), "master_key_rotated", rotated).await;
    super::notifications::all_done(hospital).await;
}

/// Appends an event directly, at the end of its stream.
pub(crate) async fn record(hospital: &Hospital, stream_type: &'static str, id: &str, event: &str, data: Value) {
    let stream_id: Uuid = id.parse().expect("an id");
    let version = hospital.node.store.load(stream_id, 0, i32::MAX).await.expect("the events are read").len();
    let event = NewEvent { event_type: format!("{stream_type}.{event}"), data };
    let stream = StreamAppend::at(stream_type, stream_id, i32::try_from(version).expect("a small version"), [event]);
    // Of the streams that get an event in this way, only the missed appointment holds bookings; they are released.
    let append = Append { claims: vec![Claim::Unbook { owner: stream_id }], ..Append::stream(stream) };
    hospital.node.store.append(append).await.expect("the event is recorded");
}

async fn people(hospital: &Hospital) {
    let admin = hospital.login("admin").await;
    let mut roles = Vec::new();
    for name in ["porter", "chaplain", "interpreter"] {
        let role = json!({"name": name, "display_name": name, "permissions": {}});
        roles.push(admin.did("define-role", role).await);
    }
    let more = json!({"role_id": roles[0], "permissions": {"read": ["all_appointments"]}});
    admin.did("change-role-permissions", more).await;
    let offered = json!({"words": {"read": ["staff"]}, "permissions": {"read": ["all_appointments", "staff"]}});
    record(hospital, "role", &roles[0], "words_offered", offered).await;
    let user = json!({"email": "pavel@example.org", "first_name": "Pavel", "last_name": "Horn", "role_id": roles[0],
                      "additional_role_ids": [roles[1], roles[2]], "password": "to be changed"});
    let user_id = admin.did("create-user", user).await;
    let of_user = |more: Value| patched(json!({ "user_id": user_id }), more);
    // Two roles are taken away at once, and one stays.
    admin.did("change-user-role", of_user(json!({"role_id": roles[0], "additional_role_ids": []}))).await;
    let all = json!({"role_id": roles[0], "additional_role_ids": [roles[1], roles[2]]});
    admin.did("change-user-role", of_user(all)).await;
    admin.did("change-user-department", of_user(json!({"department_id": department(1)}))).await;
    admin.did("change-user-profile", of_user(json!({"phone": "212-555-0177"}))).await;
    admin.did("reset-password", of_user(json!({"new_password": "to be changed too"}))).await;
    admin.did("deactivate-user", of_user(json!({}))).await;
    admin.did("reactivate-user", of_user(json!({}))).await;
    let role = admin.items("user-roles?name=patient").await[0]["id"].clone();
    let own = json!({"email": "own@example.org", "first_name": "Paula", "last_name": "Own", "role_id": role,
                     "password": "to be changed"});
    let own = admin.did("create-user", own).await;
    let password = json!({"user_id": own, "current_password": "to be changed", "new_password": demo::PASSWORD});
    hospital.nobody().login_as("own@example.org", "to be changed").await.did("change-password", password).await;
    let whom = hospital.login("reception").await.did("register-patient", person("Oda", "Own", 55)).await;
    let linked = json!({"user_id": own, "patient_id": whom});
    admin.did("link-user-to-patient", linked.clone()).await;
    admin.did("unlink-user-from-patient", json!({"user_id": own})).await;
    admin.did("link-user-to-patient", linked).await;
    let owner = hospital.nobody().login_as("own@example.org", demo::PASSWORD).await;
    super::second_factor::everything(&hospital.nobody(), &owner, "own@example.org").await;
    let proof = json!({"password": demo::PASSWORD});
    super::second_factor::post(&admin, "sessions/current/confirm", proof).await.done();
    admin.did("remove-second-factor", json!({"user_id": own, "reason": "lost the telephone"})).await;
    let session = hospital.nobody().login_as("own@example.org", demo::PASSWORD).await;
    let session = session.get("sessions/current").await.done()["session_id"].clone();
    admin.did("revoke-session", json!({ "session_id": session })).await;
}

async fn places(admin: &Client) {
    let opened = json!({"code": "XRAY", "name": "Radiology", "time_zone": "Europe/Zurich"});
    let department_id = admin.did("open-department", opened).await;
    admin.did("change-department", json!({"department_id": department_id, "name": "Radiology and more"})).await;
    let room = json!({"department_id": department_id, "room_number": "X1", "room_type": "exam"});
    let room_id = admin.did("add-room", room).await;
    admin.did("change-room", json!({"room_id": room_id, "name": "Magnet", "department_id": department(1)})).await;
    admin.did("suspend-room", json!({"room_id": room_id, "reason": "painted"})).await;
    admin.did("reactivate-room", json!({"room_id": room_id})).await;
    for command in ["close-department", "reopen-department", "close-department"] {
        admin.did(command, json!({"department_id": department_id})).await;
    }
}

async fn chart(doctor: &Client, reception: &Client, patient_id: &str) {
    // The time has nanoseconds; the tables keep microseconds. The row is read before the appointment is rescheduled, so
    // that the first time is in the tables when the second arrives.
    let mut precise = appointment(patient_id, at(21, 0));
    precise["starts_at"] = json!(format!("{}.123456789Z", at(21, 0).format("%Y-%m-%dT%H:%M:%S")));
    let appointment_id = reception.did("schedule-appointment", precise).await;
    reception.did("confirm-appointment", json!({"appointment_id": appointment_id})).await;
    reception.row("appointments", &appointment_id).await;
    let moved = json!({"appointment_id": appointment_id, "starts_at": at(22, 0), "room_id": demo::room(2)});
    reception.did("reschedule-appointment", moved).await;
    let seen = reception.did("schedule-appointment", appointment(patient_id, at(23, 0))).await;
    reception.did("check-in-appointment", early(&seen)).await;
    let mistaken = json!({"appointment_id": seen, "reason": "somebody else had come"});
    reception.did("undo-appointment-check-in", mistaken).await;
    reception.did("check-in-appointment", early(&seen)).await;
    reception.did("start-appointment", json!({"appointment_id": seen})).await;
    let mistaken = json!({"appointment_id": seen, "reason": "still in the waiting room"});
    reception.did("undo-appointment-start", mistaken).await;
    let begun = doctor.did("start-consultation", json!({"patient_id": patient_id, "appointment_id": seen})).await;
    let mistaken = json!({"consultation_id": begun, "reason": "the chart of another patient was open"});
    doctor.did("undo-consultation-start", mistaken).await;
    for command in ["start-appointment", "complete-appointment"] {
        reception.did(command, json!({"appointment_id": seen})).await;
    }
    let here = json!({"patient_id": patient_id, "provider_id": user(DOCTOR), "appointment_type": "urgent"});
    reception.did("check-in-walk-in", here).await;
    let started = doctor.did("start-consultation", json!({"patient_id": patient_id})).await;
    doctor.did("cancel-consultation", json!({"consultation_id": started, "reason": "called away"})).await;
    let allergy_id = Uuid::from_u128(0xa11e);
    let allergy = json!({"patient_id": patient_id, "allergy_id": allergy_id, "allergen_type": "food",
                         "allergen_name": "Walnut"});
    doctor.did("record-allergy", allergy).await;
    let of_allergy = json!({"patient_id": patient_id, "allergy_id": allergy_id, "severity": "severe"});
    doctor.did("change-allergy", of_allergy).await;
    let retired = json!({"patient_id": patient_id, "allergy_id": allergy_id, "reason": "tested"});
    doctor.did("retire-allergy", retired).await;
    for value in ["A-1", "A-2"] {
        let identifier = json!({"patient_id": patient_id, "system": "urn:other", "value": value, "type_code": "MR"});
        reception.did("add-patient-identifier", identifier).await;
    }
    let wrong = json!({"patient_id": patient_id, "system": "urn:other", "value": "A-1", "reason": "tested"});
    reception.did("remove-patient-identifier", wrong).await;
}

async fn pharmacy(hospital: &Hospital, patient_id: &str) {
    let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
    let ingredients = ["161", "2670", "1886"];
    let product = json!({"name": "Three in one", "ingredients": ingredients});
    let medication_id = pharmacist.did("add-medication", product).await;
    // Two ingredients are taken away at once, and one stays.
    let fewer = json!({"medication_id": medication_id, "ingredients": [ingredients[1]]});
    pharmacist.did("change-medication", fewer).await;
    pharmacist.did("deactivate-medication", json!({"medication_id": medication_id})).await;
    pharmacist.did("reactivate-medication", json!({"medication_id": medication_id})).await;
    let received = json!({"medication_id": medication_id, "location_id": demo::room(3), "lot_number": "T-1",
                          "expiry_date": at(400, 0).date_naive(), "quantity": "100", "unit": "tablet"});
    let lot_id = pharmacist.did("receive-medication-lot", received).await;
    let adjusted = json!({"medication_lot_id": lot_id, "change": "-1.5", "reason": "broken"});
    pharmacist.did("adjust-medication-lot", adjusted).await;
    let of_lot = json!({"medication_lot_id": lot_id, "reason": "a letter of the maker"});
    pharmacist.did("quarantine-medication-lot", of_lot.clone()).await;
    pharmacist.did("release-medication-lot", json!({"medication_lot_id": lot_id})).await;
    pharmacist.did("recall-medication-lot", of_lot.clone()).await;
    pharmacist.did("revoke-medication-lot-recall", of_lot.clone()).await;
    pharmacist.did("recall-medication-lot", of_lot).await;
    let mut two = prescription(patient_id, 2, "5", "tablet");
    let mut other = two["items"][0].clone();
    other["medication_id"] = json!(medication(1));
    other["quantity_unit"] = json!("capsule");
    two["items"].as_array_mut().expect("items").push(other);
    let prescription_id = doctor.did("write-prescription", two).await;
    doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescription_id})).await;
    pharmacist.did("mark-prescription-ready", json!({"prescription_id": prescription_id})).await;
    let mistaken = json!({"prescription_id": prescription_id, "reason": "a box is missing"});
    pharmacist.did("undo-prescription-ready", mistaken).await;
    doctor.did("cancel-prescription", json!({"prescription_id": prescription_id, "reason": "better"})).await;
    overriding(&doctor, &pharmacist, patient_id).await;
    let elsewhere = doctor.did("write-prescription", prescription(patient_id, 2, "5", "tablet")).await;
    doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": elsewhere})).await;
    pharmacist.did("record-external-dispensing", json!({"prescription_id": elsewhere})).await;
}

/// Dispenses a prescription against an allergy in two parts. The prescriber overrides the allergy; before each part one
/// more allergy becomes known, which the pharmacist overrides. The allergies are retired in the end.
async fn overriding(doctor: &Client, pharmacist: &Client, patient_id: &str) {
    let mut allergies = Vec::new();
    let allergic = async |name: &str| {
        let allergy_id = Uuid::from_u128(0xa11f_0000 + u128::try_from(name.len()).expect("a short name"));
        let allergy = json!({"patient_id": patient_id, "allergy_id": allergy_id, "allergen_type": "drug",
                             "allergen_name": name, "rxnorm_code": "11289"});
        let confirmed = patched(allergy, json!({"confirm_not_duplicate": true}));
        doctor.did("record-allergy", confirmed).await;
        allergy_id
    };
    allergies.push(allergic("Warfarin").await);
    let mut written = prescription(patient_id, 2, "5", "Tablets");
    written["items"][0]["override_reason"] = json!("no other drug helps");
    let prescription_id = doctor.did("write-prescription", written).await;
    doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescription_id})).await;
    let lines = pharmacist.items(&format!("prescription-items?prescription_id={prescription_id}")).await;
    for (name, quantity) in [("Coumarins", "2"), ("Vitamin K antagonists", "3")] {
        allergies.push(allergic(name).await);
        let item = json!({"item_id": lines[0]["id"], "quantity": quantity, "override_reason": "the doctor was asked"});
        pharmacist.did("dispense-prescription", json!({"prescription_id": prescription_id, "items": [item]})).await;
    }
    // A part is taken back and dispensed again, and then everything is taken back.
    let whole = json!({"prescription_id": prescription_id, "reason": "not fetched"});
    let part = json!([{"item_id": lines[0]["id"], "quantity": "1.5"}]);
    pharmacist.did("reverse-dispensing", patched(whole.clone(), json!({ "items": part }))).await;
    pharmacist.did("dispense-prescription", json!({"prescription_id": prescription_id})).await;
    pharmacist.did("reverse-dispensing", whole).await;
    for allergy_id in allergies {
        let retired = json!({"patient_id": patient_id, "allergy_id": allergy_id, "reason": "tested"});
        doctor.did("retire-allergy", retired).await;
    }
}
