//! What could outlive a person beside the tables: files that are being made, addresses in what was told to others,
//! claims.

use hims_testing::patched;
use serde_json::json;

use super::{ask, erase, privacy_role};
use crate::hospital::Hospital;
use crate::hospital::care_teams::colleague;
use crate::hospital::delivery::{registered, with_mail};
use crate::hospital::demo::{self, local_day};
use crate::hospital::releases::{self, until};
use crate::hospital::reports::{file, schedule_of_the_visits};
use crate::support::MailServer;

#[tokio::test]
async fn a_report_that_is_made_while_somebody_in_it_is_erased_is_made_again() {
    let hospital = Hospital::start().await;
    let (doctor, privacy) = (hospital.login("doctor").await, hospital.login("privacy").await);
    let day = json!(local_day(1));
    let visits = doctor.items("appointments?limit=500").await;
    // A consultation of patient 3 is in progress.
    let visits = visits.iter().filter(|it| it["scheduled_date"] == day && it["status"] != "cancelled");
    let patient = visits.map(|it| it["patient_id"].clone()).find(|it| *it != json!(demo::patient(3)));
    let patient = patient.expect("a visit").as_str().expect("a patient").to_owned();
    let name = doctor.row("patients", &patient).await["last_name"].as_str().expect("a name").to_owned();
    let asked = hospital.login("admin").await.did("erase-patient", ask(&patient)).await;
    // Until this insertion ends, nobody knows whether the file can be kept under the id.
    let id = uuid::Uuid::from_u128(0x0dd0);
    let mut held = hospital.owner().begin().await.expect("a transaction");
    let insertion = "insert into log.report_files (id, sealed) values ($1, '')";
    sqlx::query(insertion).bind(id).execute(&mut *held).await.expect("inserted");
    doctor.did("run-report", patched(schedule_of_the_visits("csv"), json!({ "id": id }))).await;
    let waits = "select exists (select from pg_locks where locktype = 'transactionid' and not granted)";
    until(async || releases::ask::<bool>(&hospital, waits).await).await;
    privacy.did("confirm-erasure", json!({"erasure_id": asked})).await;
    held.rollback().await.expect("rolled back");

    let made = doctor.row_until("report-executions", &id.to_string(), |row| row["finished_at"].is_string()).await;
    assert_eq!(made["status"], "succeeded", "{made}");
    let kept = file(&doctor, &made).await;
    assert_eq!(kept.status, 200);
    assert!(kept.text.contains("[erased]") && !kept.text.contains(&name), "{}", kept.text);
}

#[tokio::test]
async fn the_address_of_a_recipient_is_kept_in_nobody_elses_record() {
    let server = MailServer::start();
    let hospital = Hospital::start_with(with_mail(&server)).await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let patient = registered(&reception, "anna", 1).await;
    let user = colleague(&hospital, "moves-away", &privacy_role(&admin).await).await;
    let to_both = json!([{"patient_id": patient}, {"user_id": user, "channel": "email"}]);
    let body = json!({"type": "system", "priority": "urgent", "title": "Water", "message": "The water is off.",
                      "recipients": to_both});
    let told = admin.did("send-notification", body).await;
    let of_it = format!("notification-recipients?notification_id={told}&channel=email");
    until(async || admin.items(&of_it).await.iter().filter(|it| it["status"] == "sent").count() == 2).await;
    let mails = server.taken().concat();
    for address in ["anna@patients.example.org", "moves-away@demo.hims"] {
        assert!(mails.contains(&format!("To: {address}")), "{mails}");
    }
    let body = json!({"user_id": user, "ground": "retention_ended", "reason": "left long ago"});
    erase(&hospital, "erase-user", body).await;
    hospital.settle().await;
    let said = [admin.items(&of_it).await, admin.items(&format!("events?stream_id={told}")).await].concat();
    assert!(said.len() > 2 && !json!(said).to_string().contains("moves-away"), "{said:?}");
}

#[tokio::test]
async fn no_claim_is_made_of_the_day_of_an_immunization() {
    let hospital = Hospital::start().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    let patient = registered(&reception, "anna", 1).await;
    let mut entries: Vec<uuid::Uuid> = Vec::new();
    let given = |day: &str| {
        json!({"patient_id": patient, "history_type": "immunization", "description": "Influenza vaccine",
               "source": "provider", "code_system": "http://hl7.org/fhir/sid/cvx", "code": "140", "onset_date": day})
    };
    for day in ["2024-10-03", "2025-10-03"] {
        entries.push(doctor.did("record-medical-history", given(day)).await.parse().expect("an id"));
    }
    doctor.command("record-medical-history", given("2025-10-03")).await.problem(409, "possible-duplicate");
    let claims = "select count(*), count(distinct key) from log.shared_claims
                   where scope = 'history.immunization' and owner = any($1)";
    let claims: (i64, i64) = sqlx::query_as(claims).bind(entries).fetch_one(hospital.owner()).await.expect("claims");
    assert_eq!(claims, (2, 1), "the day makes no other key");
}
