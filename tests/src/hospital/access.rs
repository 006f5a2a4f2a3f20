//! Who sees what: every role and every table with patients' data, through the API.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::demo::{self, appointment, at, patient};
use super::{Client, Hospital};

/// Whose rows somebody sees: those of the patient whom they care for, and those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sees {
    Both,
    /// Only those of the patient whom they care for, or who they are.
    Own,
    /// The table, but no row of these patients.
    Neither,
    /// Not even the table.
    Refused,
}
use Sees::{Both, Neither, Own, Refused};

const TABLES: [&str; 9] = [
    "patients",
    "patient-identifiers",
    "patient-allergies",
    "appointments",
    "consultations",
    "vital-signs",
    "prescriptions",
    "prescription-items",
    "audit-logs",
];

/// By role, in the order of the tables.
const MATRIX: [(&str, [Sees; 9]); 8] = [
    ("admin", [Both, Both, Both, Both, Both, Both, Both, Both, Both]),
    ("doctor", [Both, Both, Both, Both, Both, Both, Both, Both, Refused]),
    // The appointments of their department, whoever has them.
    ("nurse", [Own, Own, Own, Both, Own, Own, Own, Own, Refused]),
    ("reception", [Both, Both, Refused, Both, Refused, Refused, Refused, Refused, Refused]),
    ("pharmacist", [Own, Refused, Own, Refused, Refused, Refused, Both, Both, Refused]),
    ("lab", [Refused, Refused, Refused, Refused, Refused, Refused, Refused, Refused, Refused]),
    ("patient", [Own, Own, Own, Own, Own, Own, Own, Own, Refused]),
    // Defined by the hospital: reads who the patients are and what was found, and no appointments.
    ("coder", [Both, Both, Both, Neither, Both, Both, Both, Both, Refused]),
];

/// Gives both patients a row in every table. The second is nobody's any more: everything of theirs is over.
async fn fill(hospital: &Hospital) {
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    let admin = hospital.login("admin").await;
    for it in [patient(1), patient(8)] {
        let identifier =
            json!({"patient_id": it, "system": "urn:oid:1.2.36.146.595.217.0.1", "value": format!("X{it}")});
        reception.did("add-patient-identifier", identifier).await;
        let allergy = json!({"patient_id": it, "allergen_type": "drug", "allergen_name": "Codeine"});
        doctor.did("record-allergy", allergy).await;
        let consultation_id = doctor.did("start-consultation", json!({"patient_id": it})).await;
        doctor.did("complete-consultation", json!({"consultation_id": consultation_id})).await;
        doctor.did("record-vital-signs", json!({"patient_id": it, "heart_rate": 70})).await;
        let prescription_id = doctor.did("write-prescription", demo::prescription(&it, 3, "10", "tablet")).await;
        if it == patient(8) {
            let over = json!({"prescription_id": prescription_id, "reason": "not needed"});
            doctor.did("cancel-prescription", over).await;
        }
    }
    let booked = reception.did("schedule-appointment", appointment(&patient(8), at(4, 0))).await;
    reception.did("cancel-appointment", json!({"appointment_id": booked, "reason": "moved away"})).await;
    let role = json!({"name": "coder", "display_name": "Coder", "permissions": {"read": ["all_patients", "clinical_records"]}});
    let role_id = admin.did("define-role", role).await;
    let user = json!({"email": "coder@demo.hims", "first_name": "Cora", "last_name": "Der", "role_id": role_id,
                      "password": "to be changed"});
    let user_id = admin.did("create-user", user).await;
    let coder = hospital.nobody().login_as("coder@demo.hims", "to be changed").await;
    let password = json!({"user_id": user_id, "current_password": "to be changed", "new_password": demo::PASSWORD});
    coder.did("change-password", password).await;
    // Whatever a role may read, everybody sees themselves.
    let coder = hospital.nobody().login_as("coder@demo.hims", demo::PASSWORD).await;
    for (table, column) in [("users", "id"), ("user-sessions", "user_id"), ("user-role-assignments", "user_id")] {
        let rows = coder.items(table).await;
        assert!(!rows.is_empty() && rows.iter().all(|it| it[column] == *user_id), "{table}: {rows:?}");
    }
}

/// The patient whom a row is about; items say it by their prescription.
fn patient_of(row: &Value, table: &str, prescriptions: &BTreeMap<String, String>) -> String {
    let text = |column: &str| row[column].as_str().unwrap_or_default().to_owned();
    match table {
        "patients" => text("id"),
        "prescription-items" => prescriptions.get(&text("prescription_id")).cloned().unwrap_or_default(),
        _ => text("patient_id"),
    }
}

async fn sees(client: &Client, table: &str, prescriptions: &BTreeMap<String, String>) -> Sees {
    let answer = client.get(&format!("{table}?limit=500")).await;
    if answer.status == 403 {
        answer.problem(403, "forbidden");
        return Refused;
    }
    let rows = answer.done()["items"].as_array().expect("items").clone();
    let of = |id: String| rows.iter().any(|it| patient_of(it, table, prescriptions) == id);
    match (of(patient(1)), of(patient(8))) {
        (true, true) => Both,
        (true, false) => Own,
        (false, false) => Neither,
        (false, true) => panic!("{table}: only the rows of a patient whom they do not care for"),
    }
}

#[tokio::test]
async fn every_role_sees_what_its_permissions_say_and_no_more() {
    let hospital = Hospital::start().await;
    fill(&hospital).await;
    let prescriptions = hospital.login("admin").await.items("prescriptions?limit=500").await;
    let text = |it: &Value, column: &str| it[column].as_str().expect("an id").to_owned();
    let prescriptions = prescriptions.iter().map(|it| (text(it, "id"), text(it, "patient_id"))).collect();
    for (login, expected) in MATRIX {
        let client = hospital.login(login).await;
        for (table, expected) in TABLES.into_iter().zip(expected) {
            assert_eq!(sees(&client, table, &prescriptions).await, expected, "{login} reads {table}");
        }
    }
}

#[tokio::test]
async fn a_row_of_somebody_else_is_not_there() {
    let hospital = Hospital::start().await;
    let (patient_login, nurse) = (hospital.login("patient").await, hospital.login("nurse").await);
    for it in 1..=8 {
        let own = patient_login.get(&format!("patients/{}", patient(it))).await;
        assert_eq!(own.status, if it == 1 { 200 } else { 404 });
        // The first four have an appointment in the nurse's department.
        let assigned = nurse.get(&format!("patients/{}", patient(it))).await;
        assert_eq!(assigned.status, if it <= 4 { 200 } else { 404 });
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
    // The server hears of it in the order of the log, as it hears of this.
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
