//! Access beyond the matrix of roles and tables: single rows, changed roles, secrets.

use serde_json::{Value, json};

use super::demo::{self, patient};
use super::{Client, Hospital};

#[tokio::test]
async fn a_row_of_somebody_else_is_not_there() {
    let hospital = Hospital::start().await;
    let (patient_login, nurse) = (hospital.login("patient").await, hospital.login("nurse").await);
    for number in 1..=8 {
        let own = patient_login.get(&format!("patients/{}", patient(number))).await;
        assert_eq!(own.status, if number == 1 { 200 } else { 404 });
        // The first four patients have an appointment in the nurse's department. Of the sixth the nurse took blood.
        let assigned = nurse.get(&format!("patients/{}", patient(number))).await;
        assert_eq!(assigned.status, if number <= 4 { 200 } else { 404 });
    }
    // A patient reads who they are and who treats them.
    let users = patient_login.items("users").await;
    let ids = [json!(demo::user(demo::DOCTOR)), json!(demo::user(7))];
    assert_eq!(users.iter().map(|it| &it["id"]).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
}

/// The values of some columns of a row.
async fn columns<const N: usize>(client: &Client, path: &str, names: [&str; N]) -> [Value; N] {
    let row = client.get(path).await.done();
    names.map(|name| row[name].clone())
}

#[tokio::test]
async fn a_clinical_column_of_a_patient_is_not_for_the_front_desk() {
    let hospital = Hospital::start().await;
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    let mut registered = demo::person("Ottilie", "Unlike", 1);
    registered["blood_type"] = json!("AB-");
    registered["organ_donor"] = json!(true);
    let id = reception.did("register-patient", registered).await;
    let path = format!("patients/{id}");
    let seen = columns(&doctor, &path, ["last_name", "blood_type", "organ_donor"]).await;
    assert_eq!(seen, [json!("Unlike"), json!("AB-"), json!(true)]);
    let seen = columns(&reception, &path, ["last_name", "blood_type", "organ_donor", "advance_directive"]).await;
    assert_eq!(seen, [json!("Unlike"), Value::Null, Value::Null, Value::Null]);
    let list = reception.items("patients?last_name=Unlike").await;
    assert_eq!((&list[0]["blood_type"], &list[0]["first_name"]), (&Value::Null, &json!("Ottilie")));
    for path in [format!("streams/patient/{id}"), format!("events?patient_id={id}")] {
        assert!(doctor.get(&path).await.done().to_string().contains("AB-"), "{path}");
        let text = reception.get(&path).await.done().to_string();
        assert!(text.contains("Ottilie") && !text.contains("AB-"), "{path}: {text}");
    }
}

#[tokio::test]
async fn when_somebody_logged_in_is_for_administrators_and_oneself() {
    let hospital = Hospital::start().await;
    let (admin, nurse) = (hospital.login("admin").await, hospital.login("nurse").await);
    let (doctor_path, own_path) =
        (format!("users/{}", demo::user(demo::DOCTOR)), format!("users/{}", demo::user(demo::NURSE)));
    hospital.login("doctor").await;
    hospital.settle().await;
    let names = ["email", "last_login_at", "must_change_password", "patient_id"];
    let [email, last_login, must_change, _] = columns(&admin, &doctor_path, names).await;
    assert!(last_login.is_string() && must_change == json!(false));
    assert_eq!(columns(&nurse, &doctor_path, names).await, [email, Value::Null, Value::Null, Value::Null]);
    assert!(columns(&nurse, &own_path, names).await[1].is_string());
    let patient = hospital.login("patient").await;
    let treating = columns(&patient, &doctor_path, ["first_name", "email", "phone", "last_login_at"]).await;
    assert_eq!(treating, [json!("Dana"), Value::Null, Value::Null, Value::Null]);
    // Which rows a filter finds, and in which order a sort puts them, would tell the values.
    for path in ["users?last_login_at_from=2026-01-01", "users?sort=-last_login_at", "users?patient_id_from=x"] {
        assert!(nurse.get(path).await.status >= 400, "{path}");
    }
    nurse.get("users?sort=last_login_at").await.problem(403, "forbidden");
    patient.get("users?email=doctor@demo.hims").await.problem(403, "forbidden");
    admin.get("users?sort=-last_login_at").await.done();
    nurse.get("users?email=doctor@demo.hims").await.done();
}

#[tokio::test]
async fn an_outdated_version_is_refused_without_telling_the_current_one() {
    let hospital = Hospital::start().await;
    let nurse = hospital.login("nurse").await;
    // The nurse reads patient 1, and learns nothing of patient 8.
    for (number, status, code) in [(1, 412, "stale-version"), (8, 404, "not-found")] {
        let allergy = json!({"patient_id": patient(number), "allergen_type": "drug", "allergen_name": "Codeine"});
        let refused = nurse.send(nurse.post("record-allergy", &allergy).header("if-match", "\"77\"")).await;
        assert!(!refused.problem(status, code).to_string().contains("version 1"));
    }
}

#[tokio::test]
async fn what_a_role_may_do_changes_at_once() {
    let hospital = Hospital::start().await;
    let (admin, lab) = (hospital.login("admin").await, hospital.login("lab").await);
    lab.get("emergency-contacts").await.problem(403, "forbidden");
    let permissions =
        json!({"role_id": super::problems::role("lab_technician"), "permissions": {"read": ["all_patients"]}});
    let changed = admin.command("change-role-permissions", permissions).await;
    // The server learns of the changed role from the log, which may take a moment: the test asks until it is so.
    assert!(changed.position() > 0);
    let answer = lab.get_until("emergency-contacts", 200).await;
    assert_eq!(answer.done()["items"].as_array().expect("items").len(), 4);
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
        for secret in ["$argon2", "999-00-00", "123-65-"] {
            assert!(!answer.text.contains(secret), "{secret} in {}: {}", table.name, answer.text);
        }
        for row in answer.json()["items"].as_array().expect("items") {
            for secret in ["password_hash", "token_hash", "ssn", "ssn_blind_index", "search"] {
                assert!(row.get(secret).is_none(), "{secret} in {}: {row}", table.name);
            }
        }
    }
}
