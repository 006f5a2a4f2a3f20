//! Care teams, and access in an emergency: who reads a chart for how long, and who is told.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::demo::{self, at, patient, user};
use super::everything::record;
use super::reports::{file, run};
use super::{Client, Hospital, until};

/// A patient whom nobody of the nurse's department sees.
const STRANGER: u16 = 5;

/// Whether somebody reads the patient and what was measured.
async fn reads(client: &Client) -> bool {
    let row = client.get(&format!("patients/{}", patient(STRANGER))).await.status == 200;
    let measured = client.items(&format!("vital-signs?patient_id={}", patient(STRANGER))).await;
    let listed = client.items("patients?limit=500").await.iter().any(|it| it["id"] == patient(STRANGER));
    assert_eq!((row, listed), (!measured.is_empty(), row), "row, list and chart are open or closed together");
    row
}

#[tokio::test]
async fn who_is_assigned_to_a_patient_reads_the_chart_for_that_time() {
    let hospital = Hospital::start().await;
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    doctor.did("record-vital-signs", json!({"patient_id": patient(STRANGER), "heart_rate": 70})).await;
    assert!(!reads(&nurse).await);
    let assign = |changes: Value| {
        hims_testing::patched(json!({"patient_id": patient(STRANGER), "user_id": user(demo::NURSE)}), changes)
    };
    let later = json!({"starts_at": at(1, 0), "ends_at": at(2, 0)});
    doctor.did("assign-care-team-member", assign(later)).await;
    assert!(!reads(&nurse).await, "the assignment has not begun");
    let ends_at = at(1, 0);
    let assigned = doctor.did("assign-care-team-member", assign(json!({"ends_at": ends_at}))).await;
    assert!(reads(&nurse).await);
    let twice = doctor.command("assign-care-team-member", assign(json!({"ends_at": ends_at}))).await;
    let told = twice.problem(409, "already-assigned")["detail"].to_string();
    assert!(told.contains("is assigned to the patient then"), "{told}");
    nurse.command("assign-care-team-member", assign(json!({}))).await.problem(403, "forbidden");
    doctor.did("end-care-team-assignment", json!({"care_team_assignment_id": assigned})).await;
    assert!(!reads(&nurse).await, "the assignment has ended");
    let row = doctor.row("care-team-assignments", &assigned).await;
    assert_eq!((&row["status"], &row["participation"]), (&json!("ended"), &json!("member")));
}

#[tokio::test]
async fn a_team_has_one_lead_at_a_time() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let lead = |whom| json!({"patient_id": patient(1), "user_id": user(whom), "participation": "lead"});
    let first = doctor.did("assign-care-team-member", lead(demo::DOCTOR)).await;
    let refused = doctor.command("assign-care-team-member", lead(demo::NURSE)).await;
    refused.problem_at(409, "has-a-lead", "/participation");
    doctor.did("end-care-team-assignment", json!({"care_team_assignment_id": first})).await;
    doctor.did("assign-care-team-member", lead(demo::NURSE)).await;
}

#[tokio::test]
async fn in_an_emergency_a_nurse_reads_a_chart_and_others_are_told_and_review_it() {
    let hospital = Hospital::start().await;
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    let officer = hospital.login("privacy").await;
    doctor.did("record-vital-signs", json!({"patient_id": patient(STRANGER), "heart_rate": 70})).await;
    let lead = json!({"patient_id": patient(STRANGER), "user_id": user(demo::DOCTOR), "participation": "lead"});
    doctor.did("assign-care-team-member", lead).await;
    assert!(!reads(&nurse).await);
    let request = json!({"patient_id": patient(STRANGER), "reason": "collapsed in the corridor"});
    let access = nurse.did("request-emergency-access", request.clone()).await;
    assert!(reads(&nurse).await);
    nurse.command("request-emergency-access", request).await.problem(409, "already-open");
    // The access is on the report of what is not reviewed, which is for those who review.
    let open = json!({"report_code": "open-emergency-accesses", "format": "json", "parameters": {}});
    nurse.command("run-report", open.clone()).await.problem(403, "forbidden");
    let reported = async || {
        let execution = run(&officer, open.clone()).await;
        let report = file(&officer, &execution).await.json();
        let rows = report["rows"].as_array().expect("rows").clone();
        rows.into_iter().map(|mut row| row[0].take()).collect::<Vec<_>>()
    };
    assert_eq!(reported().await, [json!(access)]);
    for told in [&doctor, &officer] {
        until(async || !told.items("notifications?type=emergency_access").await.is_empty()).await;
    }
    nurse.did("record-vital-signs", json!({"patient_id": patient(STRANGER), "heart_rate": 150})).await;
    let end = json!({"emergency_access_id": access});
    doctor.command("end-emergency-access", end.clone()).await.problem(403, "forbidden");
    nurse.did("end-emergency-access", end).await;
    // What was recorded meanwhile stays open to the nurse, and does not keep the chart open.
    nurse.get(&format!("patients/{}", patient(STRANGER))).await.problem(404, "not-found");
    let measured = nurse.items(&format!("vital-signs?patient_id={}", patient(STRANGER))).await;
    assert_eq!(measured.iter().map(|it| &it["heart_rate"]).collect::<Vec<_>>(), [&json!(150)]);
    let review = json!({"emergency_access_id": access, "finding": "justified", "note": "called by the desk"});
    let other = json!({"patient_id": patient(8), "reason": "the wrong patient"});
    let other = nurse.did("request-emergency-access", other).await;
    assert_eq!(nurse.get(&format!("patients/{}", patient(8))).await.status, 200);
    officer.did("review-emergency-access", json!({"emergency_access_id": other, "finding": "not_justified"})).await;
    nurse.get(&format!("patients/{}", patient(8))).await.problem(404, "not-found");
    nurse.command("review-emergency-access", review.clone()).await.problem(403, "forbidden");
    officer.did("review-emergency-access", review).await;
    assert_eq!(reported().await, [] as [Value; 0]);
    let row = officer.row("emergency-accesses", &access).await;
    assert_eq!((&row["review"], &row["user_id"]), (&json!("justified"), &json!(user(demo::NURSE))));
    // Everything seen and done under the access is marked.
    let report = officer.items(&format!("patients/{}/access-report?limit=500", patient(STRANGER))).await;
    let marked: Vec<_> = report.iter().filter(|it| it["emergency_access_id"] == json!(access)).collect();
    let has = |action: &str| marked.iter().any(|it| it["action"] == action);
    assert!(has("access.read") && has("vital_signs.recorded") && has("emergency_access.granted"), "{report:?}");
    assert!(marked.iter().all(|it| it["user_id"] == user(demo::NURSE)), "{marked:?}");
    // The patient is told too, and nobody else sees the access.
    assert_eq!(hospital.login("reception").await.items("emergency-accesses").await, [] as [Value; 0]);
}

/// Row-level security goes by the clock of the database, which no test moves. So the access is said to have begun
/// almost four hours ago, and the test waits for the end of its last seconds.
#[tokio::test]
async fn an_access_in_an_emergency_is_over_when_its_minutes_are() {
    let hospital = Hospital::start().await;
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    doctor.did("record-vital-signs", json!({"patient_id": patient(STRANGER), "heart_rate": 70})).await;
    let request = json!({"patient_id": patient(STRANGER), "reason": "collapsed in the corridor", "minutes": 240});
    let access = nurse.did("request-emergency-access", request).await;
    assert!(reads(&nurse).await);
    let ends_at = (hims_api::surroundings().clock)() + TimeDelta::seconds(12);
    let began = json!({"seconded_by": user(demo::DOCTOR), "granted_at": ends_at - TimeDelta::minutes(240),
                       "ends_at": ends_at});
    record(&hospital, "emergency_access", &access, "seconded", began).await;
    let recorded = hospital.node.store.current_head().await.expect("the head is read");
    nurse.saw(recorded);
    assert!(reads(&nurse).await, "seconds are left");
    let waits = "select pg_sleep_until(ends_at) from hims.emergency_accesses where id = $1";
    let id: uuid::Uuid = access.parse().expect("an id");
    sqlx::query(waits).bind(id).fetch_one(hospital.owner()).await.expect("the row of the access");
    assert!(!reads(&nurse).await, "the minutes are over");
    let row = nurse.row("emergency-accesses", &access).await;
    assert_eq!(row["review"], "open", "nobody has reviewed it: {row}");
}

#[tokio::test]
async fn nobody_takes_access_to_their_own_record_or_without_the_right() {
    let hospital = Hospital::start().await;
    let (nurse, admin) = (hospital.login("nurse").await, hospital.login("admin").await);
    admin.did("link-user-to-patient", json!({"user_id": user(demo::NURSE), "patient_id": patient(STRANGER)})).await;
    let request = json!({"patient_id": patient(STRANGER), "reason": "I want to know"});
    nurse.command("request-emergency-access", request).await.problem(422, "treating-oneself");
    let reception = hospital.login("reception").await;
    let request = json!({"patient_id": patient(2), "reason": "I want to know"});
    reception.command("request-emergency-access", request).await.problem(403, "forbidden");
}

/// Creates a user with a role. Returns the id of the user.
pub(super) async fn colleague(hospital: &Hospital, login: &str, role_id: &Value) -> String {
    let email = format!("{login}@demo.hims");
    let user = json!({"email": email, "first_name": "Cora", "last_name": "Der", "role_id": role_id,
                      "password": "to be changed"});
    let user_id = hospital.login("admin").await.did("create-user", user).await;
    let colleague = hospital.nobody().login_as(&email, "to be changed").await;
    let password = json!({"user_id": user_id, "current_password": "to be changed", "new_password": demo::PASSWORD});
    colleague.did("change-password", password).await;
    user_id
}

/// Care teams of the patients 1 and 5, and an access to the records of each in an emergency. For
/// [`access_matrix`](super::access_matrix).
pub(super) async fn fill(hospital: &Hospital) {
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    let at_the_desk = hospital.login("coder").await;
    for (number, taken_by) in [(1, &nurse), (5, &at_the_desk)] {
        let team = json!({"patient_id": patient(number), "user_id": user(demo::DOCTOR), "participation": "lead"});
        doctor.did("assign-care-team-member", team).await;
        taken_by.did("request-emergency-access", json!({"patient_id": patient(number), "reason": "collapsed"})).await;
    }
}

/// Gives every command of care teams and of access in an emergency.
pub(super) async fn everything(hospital: &Hospital, patient_id: &str) {
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    let assign = json!({"patient_id": patient_id, "user_id": user(demo::NURSE), "participation": "lead",
                        "reason": "primary nurse"});
    let assigned = doctor.did("assign-care-team-member", assign).await;
    let end = json!({"care_team_assignment_id": assigned, "reason": "moved to another ward"});
    doctor.did("end-care-team-assignment", end).await;
    let request = json!({"patient_id": patient_id, "reason": "collapsed in the corridor", "minutes": 15});
    let access = nurse.did("request-emergency-access", request).await;
    nurse.did("end-emergency-access", json!({"emergency_access_id": access})).await;
    let review = json!({"emergency_access_id": access, "finding": "not_justified", "note": "asked for nothing"});
    hospital.login("admin").await.did("review-emergency-access", review).await;
}
