//! Erasure: two people erase a third, of whom nothing is left but that it happened.

mod disk;
mod traces;

use serde_json::{Value, json};

use hims_projections::Target;
use hims_projections::archive::tables;
use hims_testing::patched;

use super::archive::{did, put_everything_away};
use super::billing::charged;
use super::care_teams::colleague;
use super::demo::{self, patient, user};
use super::everything::everything;
use super::problems::role;
use super::releases::rebuild;
use super::tables::{assert_same_rows, contents};
use super::{Client, Hospital, until};

/// The patient who is erased.
const ERASED: u16 = 13;

pub(super) fn ask(patient_id: &str) -> Value {
    json!({"patient_id": patient_id, "ground": "requested", "reason": "moved away and asked for it"})
}

/// Erases somebody: asked for by an administrator, confirmed by a privacy officer.
async fn erase(hospital: &Hospital, command: &str, body: Value) -> String {
    let asked = hospital.login("admin").await.did(command, body).await;
    hospital.login("privacy").await.did("confirm-erasure", json!({"erasure_id": asked})).await;
    asked
}

#[tokio::test]
async fn nothing_happens_before_a_second_person_confirms_and_afterwards_nothing_is_left() {
    let hospital = Hospital::start().await;
    let (admin, privacy) = (hospital.login("admin").await, hospital.login("privacy").await);
    let reception = hospital.login("reception").await;
    let id = patient(ERASED);
    let before = reception.row("patients", &id).await;
    let name = before["last_name"].as_str().expect("a name").to_owned();
    let asked = admin.did("erase-patient", ask(&id)).await;
    admin.command("erase-patient", ask(&id)).await.problem(409, "asked-for-already");
    assert_eq!(reception.row("patients", &id).await, before);
    admin.command("confirm-erasure", json!({"erasure_id": asked})).await.problem(422, "second-person-needed");
    reception.command("confirm-erasure", json!({"erasure_id": asked})).await.problem(403, "forbidden");
    privacy.did("confirm-erasure", json!({"erasure_id": asked})).await;

    let row = reception.row("patients", &id).await;
    assert_eq!((&row["first_name"], &row["last_name"]), (&json!("[erased]"), &json!("[erased]")), "{row}");
    for column in ["date_of_birth", "email", "phone_primary", "address_line_1", "emergency_contact_name"] {
        assert_eq!(row[column], json!(null), "{column}");
    }
    let found = reception.items(&format!("patients?q={name}")).await;
    assert!(found.iter().all(|it| it["id"] != json!(id)), "{found:?}");
    let erasure = privacy.row("erasures", &asked).await;
    assert_eq!((&erasure["status"], &erasure["reason"]), (&json!("confirmed"), &json!(null)));
    assert_eq!(erasure["decided_by"], json!(user(demo::PRIVACY_OFFICER)));
    let state = admin.get(&format!("streams/patient/{id}")).await.done();
    assert!(!state.to_string().contains(&name), "{state}");
    let events = admin.get(&format!("events?stream_id={id}")).await.done();
    assert!(!events.to_string().contains(&name), "{events}");

    // Nothing more is recorded, and the names, numbers and addresses are free again.
    reception
        .command("change-patient-demographics", json!({"patient_id": id, "city": "Ulm"}))
        .await
        .problem(409, "erased");
    let doctor = hospital.login("doctor").await;
    let allergy = json!({"patient_id": id, "allergen_type": "food", "allergen_name": "milk"});
    doctor.command("record-allergy", allergy).await.problem(409, "erased");
    admin.command("erase-patient", ask(&id)).await.problem(409, "erased");
    privacy.did("confirm-erasure", json!({"erasure_id": asked})).await;
    let again = json!({"first_name": before["first_name"], "last_name": name, "date_of_birth": before["date_of_birth"],
                       "gender": before["gender"]});
    reception.did("register-patient", again).await;
}

#[tokio::test]
async fn another_node_forgets_who_was_erased() {
    let hospital = Hospital::start().await;
    let other = hospital.another_node().await;
    let id = patient(ERASED);
    let [doctor, admin] = [hospital.login("doctor").await, hospital.login("admin").await].map(|it| it.at(&other.base));
    let name = doctor.row("patients", &id).await["last_name"].as_str().expect("a name").to_owned();
    let allergy = |to: &str| json!({"patient_id": id, "allergen_type": "food", "allergen_name": to});
    // From now on the node has the key and the state of the patient.
    doctor.did("record-allergy", allergy("milk")).await;
    let paths = [format!("streams/patient/{id}"), format!("events?stream_id={id}")];
    for path in &paths {
        assert!(admin.get(path).await.done().to_string().contains(&name), "{path}");
    }
    erase(&hospital, "erase-patient", ask(&id)).await;
    assert_eq!(doctor.row("patients", &id).await["last_name"], "[erased]");
    for path in &paths {
        let told = admin.get(path).await.done().to_string();
        assert!(!told.contains(&name) && !told.contains("milk"), "{told}");
    }
    doctor.command("record-allergy", allergy("nuts")).await.problem(409, "erased");
}

/// How many rows of all archives hold a text.
async fn archived(hospital: &Hospital, text: &str) -> i64 {
    let counts = tables().map(|it| format!("(select count(*) from hims.{it}_archive a where a::text like '%{text}%')"));
    let sql = format!("select {}", counts.collect::<Vec<_>>().join(" + "));
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(hospital.owner()).await.expect("a number")
}

#[tokio::test]
async fn archives_are_blanked_and_amounts_and_the_audit_stay() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let id = patient(ERASED);
    let visit = json!({"patient_id": id, "chief_complaint": "Nimbuswort fever"});
    let visit = doctor.did("start-consultation", visit).await;
    doctor.did("complete-consultation", json!({"consultation_id": visit})).await;
    charged(&doctor).await;
    hospital.settle().await;
    put_everything_away(&hospital).await;
    assert!(archived(&hospital, "Nimbuswort").await > 0);
    let until = hospital.node.store.current_head().await.expect("the head is read");
    let sql = "select (select string_agg(concat(id, total_amount, paid_amount, balance_amount), ',' order by id)
                         from hims.billing_records),
                      (select string_agg(id::text, ',' order by id) from hims.audit_logs where position <= $1)";
    let kept = async || -> (String, String) {
        sqlx::query_as(sql).bind(until).fetch_one(hospital.owner()).await.expect("amounts and ids")
    };
    let before = kept().await;
    let own = hospital.login("admin").await.items(&format!("billing-records?patient_id={id}")).await;
    assert!(!own.is_empty(), "the patient has an invoice");
    erase(&hospital, "erase-patient", ask(&id)).await;
    hospital.settle().await;
    assert_eq!(archived(&hospital, "Nimbuswort").await, 0);
    assert_eq!(kept().await, before);
}

#[tokio::test]
async fn a_login_of_the_portal_goes_with_its_patient_and_its_session_ends_at_once() {
    let hospital = Hospital::start().await;
    let portal = hospital.login("patient").await;
    let own = portal.items("patients").await[0]["id"].as_str().expect("an id").to_owned();
    erase(&hospital, "erase-patient", ask(&own)).await;
    until(async || portal.get("sessions/current").await.status == 401).await;
    let again = hospital.nobody().log_in("patient@demo.hims", demo::PASSWORD).await;
    assert_eq!(again.status, 401);
    let users = hospital.login("admin").await.items("users?limit=500").await;
    assert!(users.iter().all(|it| it["email"] != "patient@demo.hims"), "nobody has the address");
}

#[tokio::test]
async fn the_address_and_the_identifier_of_an_erased_person_are_free_for_somebody_else() {
    let hospital = Hospital::start().await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let own = hospital.login("patient").await.items("patients").await[0]["id"].as_str().expect("an id").to_owned();
    let passport = json!({"system": "urn:passport", "value": "P7654321"});
    reception.did("add-patient-identifier", patched(passport.clone(), json!({ "patient_id": own }))).await;
    let login = json!({"email": "patient@demo.hims", "first_name": "Nora", "last_name": "Newcomer",
                       "role_id": role("nurse"), "password": "to be changed"});
    let newcomer = patched(demo::person("Nora", "Newcomer", 800), json!({"identifiers": [passport]}));
    for (client, command, body) in [(&admin, "create-user", &login), (&reception, "register-patient", &newcomer)] {
        client.command(command, body.clone()).await.problem(409, "already-taken");
    }
    erase(&hospital, "erase-patient", ask(&own)).await;
    let user_id = admin.did("create-user", login).await;
    assert_eq!(admin.row("users", &user_id).await["email"], "patient@demo.hims");
    assert_eq!(hospital.nobody().log_in("patient@demo.hims", "to be changed").await.status, 201);
    let id = reception.did("register-patient", newcomer).await;
    let identifiers = reception.items(&format!("patient-identifiers?patient_id={id}")).await;
    assert!(identifiers.iter().any(|it| it["value"] == "P7654321"), "{identifiers:?}");
}

#[tokio::test]
async fn a_hold_keeps_a_person_and_a_declined_erasure_can_be_asked_for_again() {
    let hospital = Hospital::start().await;
    let (admin, privacy) = (hospital.login("admin").await, hospital.login("privacy").await);
    let id = patient(ERASED);
    let asked = admin.did("erase-patient", ask(&id)).await;
    let hold = json!({"patient_id": id, "case_number": "4 O 112/26", "reason": "sues the hospital"});
    let hold = privacy.did("place-legal-hold", hold).await;
    privacy.command("confirm-erasure", json!({"erasure_id": asked})).await.problem(409, "legal-hold");
    let decline = json!({"erasure_id": asked, "reason": "under a hold"});
    privacy.did("decline-erasure", decline).await;
    privacy.command("confirm-erasure", json!({"erasure_id": asked})).await.problem(409, "wrong-status");
    admin.command("erase-patient", ask(&id)).await.problem(409, "legal-hold");
    privacy.did("release-legal-hold", json!({"legal_hold_id": hold, "reason": "settled"})).await;
    erase(&hospital, "erase-patient", ask(&id)).await;
    hospital.login("doctor").await.get(&format!("legal-holds/{hold}")).await.problem(403, "forbidden");
    let own = json!({"user_id": user(1), "ground": "requested", "reason": "leaves"});
    admin.command("erase-user", own.clone()).await.problem(422, "own-erasure");
    let last = privacy.did("erase-user", own).await;
    colleague(&hospital, "second-privacy", &privacy_role(&admin).await).await;
    let second = hospital.login("second-privacy").await;
    second.command("confirm-erasure", json!({"erasure_id": last})).await.problem(409, "last-administrator");
}

async fn privacy_role(admin: &Client) -> Value {
    admin.items("user-roles?name=privacy_officer").await[0]["id"].clone()
}

#[tokio::test]
async fn the_tables_of_erased_people_are_as_a_rebuild_makes_them_and_the_log_is_whole() {
    let hospital = Hospital::start_with(|settings| settings.record_reads = false).await;
    everything(&hospital).await;
    let (admin, privacy) = (hospital.login("admin").await, hospital.login("privacy").await);
    let mut erased = 0;
    for row in admin.items("patients?limit=500").await {
        let asked = admin.command("erase-patient", ask(row["id"].as_str().expect("an id"))).await;
        if asked.status != 201 {
            continue;
        }
        let confirm = json!({"erasure_id": asked.done()["id"]});
        // Whoever may not read a record yet is told of no refusal.
        hospital.settle().await;
        let confirmed = privacy.command("confirm-erasure", confirm).await;
        match confirmed.status {
            200 => erased += 1,
            _ => drop(confirmed.problem(409, "in-treatment")),
        }
    }
    assert!(erased > 5, "{erased} patients");
    for login in [demo::DOCTOR, demo::NURSE] {
        let body = json!({"user_id": user(login), "ground": "retention_ended", "reason": "left long ago"});
        erase(&hospital, "erase-user", body).await;
    }
    hospital.settle().await;
    let projected = contents(hospital.owner(), "hims").await;
    rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
    assert_same_rows(&projected, &contents(hospital.owner(), "hims").await);
    did(&hospital, &["verify", "--deep"]);
}

/// Gives every command of erasure and legal holds.
pub(super) async fn everything_about_it(hospital: &Hospital) {
    let (admin, privacy) = (hospital.login("admin").await, hospital.login("privacy").await);
    let hold = json!({"patient_id": patient(ERASED), "case_number": "4 O 112/26", "reason": "sues the hospital"});
    let hold = privacy.did("place-legal-hold", hold).await;
    privacy.did("release-legal-hold", json!({"legal_hold_id": hold, "reason": "settled"})).await;
    let asked = admin.did("erase-patient", ask(&patient(ERASED))).await;
    privacy.did("decline-erasure", json!({"erasure_id": asked, "reason": "must be kept for two more years"})).await;
    erase(hospital, "erase-patient", ask(&patient(ERASED))).await;
    let colleague = colleague(hospital, "retired", &privacy_role(&admin).await).await;
    let body = json!({"user_id": colleague, "ground": "retention_ended", "reason": "left long ago"});
    erase(hospital, "erase-user", body).await;
}
