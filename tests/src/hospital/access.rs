//! Access beyond the matrix of roles and tables: single rows, changed roles, secrets.

use serde_json::json;

use super::Hospital;
use super::demo::{self, patient};

#[tokio::test]
async fn a_row_of_somebody_else_is_not_there() {
    let hospital = Hospital::start().await;
    let (patient_login, nurse) = (hospital.login("patient").await, hospital.login("nurse").await);
    for number in 1..=8 {
        let own = patient_login.get(&format!("patients/{}", patient(number))).await;
        assert_eq!(own.status, if number == 1 { 200 } else { 404 });
        // The first four patients have an appointment in the nurse's department.
        let assigned = nurse.get(&format!("patients/{}", patient(number))).await;
        assert_eq!(assigned.status, if number <= 4 { 200 } else { 404 });
    }
    let users = patient_login.items("users").await;
    assert_eq!(users.iter().map(|it| &it["id"]).collect::<Vec<_>>(), [&json!(demo::user(7))]);
}

#[tokio::test]
async fn what_a_role_may_do_changes_at_once() {
    let hospital = Hospital::start().await;
    let (admin, lab) = (hospital.login("admin").await, hospital.login("lab").await);
    lab.get("patients").await.problem(403, "forbidden");
    let permissions =
        json!({"role_id": super::problems::role("lab_technician"), "permissions": {"read": ["all_patients"]}});
    let changed = admin.command("change-role-permissions", permissions).await;
    // The server learns of the changed role from the log, which may take a moment: the test asks until it is so.
    assert!(changed.position() > 0);
    let answer = lab.get_until("patients", 200).await;
    assert_eq!(answer.done()["items"].as_array().expect("items").len(), 8);
}

#[tokio::test]
async fn what_is_answered_is_kept_by_nobody_on_the_way() {
    let hospital = Hospital::start().await;
    let answer = hospital.login("doctor").await.get("patients").await;
    assert_eq!(
        (answer.header("cache-control"), answer.header("x-content-type-options")),
        (Some("no-store"), Some("nosniff"))
    );
}

#[tokio::test]
async fn secrets_are_never_answered() {
    let hospital = Hospital::start().await;
    super::demo::busy_day(&hospital.nobody()).await;
    let admin = hospital.login("admin").await;
    for table in hims_projections::TABLES {
        let answer = admin.get(&format!("{}?limit=500", table.name.replace('_', "-"))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        for secret in ["$argon2", "999-00-00", "987-65-"] {
            assert!(!answer.text.contains(secret), "{secret} in {}: {}", table.name, answer.text);
        }
        for row in answer.json()["items"].as_array().expect("items") {
            for secret in ["password_hash", "token_hash", "ssn", "ssn_blind_index", "search"] {
                assert!(row.get(secret).is_none(), "{secret} in {}: {row}", table.name);
            }
        }
    }
}
