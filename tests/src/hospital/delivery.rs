//! Messages that leave the hospital: over a real mail server, and to a gateway.

use hims_api::Settings;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;

use super::demo::{appointment, at, person, prescription};
use super::notifications::{all_done, message};
use super::process::Process;
use super::releases::until;
use super::{Client, Hospital};
use crate::support::{MailServer, scratch};

/// The settings of a hospital with a mail server.
pub(super) fn with_mail(server: &MailServer) -> impl FnOnce(&mut Settings) {
    let url = format!("smtp://127.0.0.1:{}", server.port());
    move |settings| {
        settings.smtp_url = Some(url);
        settings.mail_from = Some("hims@hill.example.org".to_owned());
        settings.hospital_name = "Hill Hospital".to_owned();
        settings.hospital_phone = Some("+1 555 415 3000".to_owned());
        settings.public_url = Some("https://hims.hill.example.org".to_owned());
    }
}

/// Registers a patient with an e-mail address, who has no quiet hours, at whichever time of the day the test runs.
pub(super) async fn registered(reception: &Client, mailbox: &str, number: u32) -> String {
    let reached = json!({"email": format!("{mailbox}@patients.example.org")});
    let whom = hims_testing::patched(person("Plantedname", "Plantedfamily", number), reached);
    let patient_id = reception.did("register-patient", whom).await;
    let none = json!({"patient_id": patient_id, "quiet_from": "00:00", "quiet_until": "00:00"});
    reception.did("set-notification-preferences", none).await;
    patient_id
}

/// Sends a notification full of words that no e-mail may hold. Returns the row of its message.
async fn told(admin: &Client, patient_id: &str, more: Value) -> Value {
    let body = json!({
        "type": "result_available", "title": "Plantedtitle", "message": "Plantedpotassium 4.1 mmol/L",
        "action_url": "/plantedpath", "action_label": "Plantedlabel", "dedupe_key": format!("plantedkey {patient_id}"),
        "recipients": [{"patient_id": patient_id}],
    });
    let sent = admin.did("send-notification", hims_testing::patched(body, more)).await;
    admin.items(&format!("notification-recipients?notification_id={sent}")).await.remove(0)
}

/// Waits until a message has come to a status, and returns its row.
async fn reached(hospital: &Hospital, admin: &Client, row: &Value, is_so: impl Fn(&Value) -> bool) -> Value {
    let id = row["id"].as_str().expect("an id");
    let row = admin.row_until("notification-recipients", id, is_so).await;
    hospital.settle().await;
    row
}

fn message_id(mail: &str) -> &str {
    let line = mail.lines().find(|it| it.to_lowercase().starts_with("message-id:")).expect("a Message-ID");
    line.split_once(':').expect("a header").1.trim()
}

#[tokio::test]
async fn an_email_says_when_and_where_and_nothing_else() {
    let server = MailServer::start();
    let hospital = Hospital::start_with(with_mail(&server)).await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let patient_id = registered(&reception, "anna", 1).await;
    let visit = json!({"type": "appointment_reminder", "visit": {
        "starts_at": "2031-11-24T15:05:00Z", "time_zone": "America/New_York"}});
    let row = told(&admin, &patient_id, visit).await;
    let sent = reached(&hospital, &admin, &row, |it| it["status"] == "sent").await;
    assert_eq!((&sent["attempts"], &sent["channel"]), (&json!(1), &json!("email")));
    assert!(sent["sent_at"].is_string() && sent["next_attempt_at"].is_null(), "{sent}");
    let mails = server.taken();
    assert_eq!(mails.len(), 1);
    assert_eq!(message_id(&mails[0]), format!("<{}@hill.example.org>", row["id"].as_str().expect("an id")));
    for part in
        ["Monday, 24 November 2031", "10:05", "Hill Hospital", "+1 555 415 3000", "https://hims.hill.example.org"]
    {
        assert!(mails[0].contains(part), "{part} in {}", mails[0]);
    }
    assert!(mails[0].contains("To: anna@patients.example.org") && mails[0].contains("From: hims@hill.example.org"));
    assert!(!mails[0].to_lowercase().contains("planted"), "{}", mails[0]);
    // Neither do the metrics hold it, which count the e-mail, nor the audit.
    let metrics = admin.send(admin.request(reqwest::Method::GET, "/metrics")).await.text;
    let counted =
        |line: &str| line.starts_with("hims_messages_total{") && line.contains("email") && line.contains("sent");
    assert!(metrics.lines().any(counted), "{metrics}");
    assert!(!metrics.to_lowercase().contains("planted") && !metrics.contains("anna"), "{metrics}");
    let audit = admin.items(&format!("audit-logs?patient_id={patient_id}")).await;
    assert!(!json!(audit).to_string().contains("Plantedpotassium"));
}

#[tokio::test]
async fn what_the_mail_server_refuses_is_tried_again_or_given_up() {
    let server = MailServer::start();
    let hospital = Hospital::start_with(with_mail(&server)).await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let (never, later) = (registered(&reception, "never", 1).await, registered(&reception, "later", 2).await);
    let row = told(&admin, &never, json!({})).await;
    let failed = reached(&hospital, &admin, &row, |it| it["status"] == "failed").await;
    let reason = failed["failure_reason"].as_str().expect("a reason");
    assert!(reason.starts_with("refused: ") && reason.contains("550"), "{reason}");
    assert_eq!(failed["attempts"], 1);
    let row = told(&admin, &later, json!({})).await;
    let tried = reached(&hospital, &admin, &row, |it| it["attempts"] == 1).await;
    all_done(&hospital).await;
    assert_eq!(admin.row("notification-recipients", row["id"].as_str().expect("an id")).await["status"], "pending");
    assert!(tried["next_attempt_at"].is_string() && server.taken().is_empty(), "{tried}");
    assert_eq!(admin.items("process-failures").await, Vec::<Value>::new());
}

#[tokio::test]
async fn without_a_mail_server_nothing_waits() {
    let hospital = Hospital::start().await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let patient_id = registered(&reception, "anna", 1).await;
    let row = told(&admin, &patient_id, json!({})).await;
    let failed = reached(&hospital, &admin, &row, |it| it["status"] == "failed").await;
    assert_eq!(failed["failure_reason"], "not_set_up");
}

#[tokio::test]
async fn in_quiet_hours_a_message_waits_and_an_urgent_one_does_not() {
    let server = MailServer::start();
    let hospital = Hospital::start_with(with_mail(&server)).await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let patient_id = registered(&reception, "anna", 1).await;
    let always = json!({"patient_id": patient_id, "quiet_from": "00:00", "quiet_until": "24:00"});
    reception.did("set-notification-preferences", always).await;
    let held = told(&admin, &patient_id, json!({})).await;
    let urgent = told(&admin, &patient_id, json!({"priority": "urgent", "dedupe_key": null})).await;
    reached(&hospital, &admin, &urgent, |it| it["status"] == "sent").await;
    all_done(&hospital).await;
    let held = admin.row("notification-recipients", held["id"].as_str().expect("an id")).await;
    assert_eq!((&held["status"], &held["attempts"]), (&json!("pending"), &json!(0)));
    assert_eq!(server.taken().len(), 1);
    let midnight = held["next_attempt_at"].as_str().expect("a time");
    assert!(midnight.contains("T00:00:00"), "{midnight}");
}

#[tokio::test]
async fn a_mail_server_elsewhere_is_reached_with_encryption_and_a_login() {
    let server = MailServer::start_encrypted();
    for (password, is_right) in [("correct%20horse", true), ("wrong", false)] {
        let url = format!("smtp://hims:{password}@127.0.0.1:{}?tls=required", server.port());
        let authority = server.folder().join("certificate.pem");
        let hospital = Hospital::start_with(|settings| {
            settings.smtp_url = Some(url);
            settings.mail_from = Some("hims@hill.example.org".to_owned());
            settings.ca_file = Some(authority);
        })
        .await;
        let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
        let patient_id = registered(&reception, "anna", 1).await;
        let row = told(&admin, &patient_id, json!({})).await;
        let wanted = if is_right { "sent" } else { "pending" };
        let tried = |it: &Value| it["status"] == wanted && it["attempts"] == 1;
        reached(&hospital, &admin, &row, tried).await;
        // A wrong password is the fault of the settings, so the e-mail stays to be sent.
        all_done(&hospital).await;
        assert_eq!(admin.row("notification-recipients", row["id"].as_str().expect("an id")).await["status"], wanted);
    }
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test]
async fn two_nodes_send_each_email_once() {
    let server = MailServer::start();
    let hospital = Hospital::start_with(with_mail(&server)).await;
    let other = hospital.another_node().await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let mut rows = Vec::new();
    for number in 0..10 {
        let patient_id = registered(&reception, &format!("anna{number}"), number).await;
        let there = if number % 2 == 0 { admin.at(&other.base) } else { admin.at(admin.base()) };
        rows.push(told(&there, &patient_id, json!({})).await);
    }
    for row in &rows {
        reached(&hospital, &admin, row, |it| it["status"] == "sent").await;
    }
    assert_eq!(server.taken().len(), 10);
}

#[tokio::test]
async fn a_node_that_is_killed_before_it_records_that_an_email_was_taken_sends_the_same_again() {
    let server = MailServer::start();
    let mut hospital = Hospital::start_with(with_mail(&server)).await;
    let folder = scratch("killed-mail");
    let url = format!("smtp://127.0.0.1:{}", server.port());
    let other = Process::start_with(folder.path(), &[], |command| {
        command.env("DATABASE_URL", hospital.database.options.to_url_lossy().as_str());
        command.env("HIMS_MASTER_KEY_FILE", hospital.settings.master_key_file.as_ref().expect("a key"));
        command.env("HIMS_SMTP_URL", url).env("HIMS_MAIL_FROM", "hims@hill.example.org");
    });
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let patient_id = registered(&reception, "slow", 1).await;
    // The first node stops in good order, so that the other one sends.
    hospital.node.end();
    let there = admin.at(other.nobody.base());
    let row = told(&there, &patient_id, json!({})).await;
    until(async || server.taken().len() == 1).await;
    other.signal("KILL");
    hospital.node = hospital.another_node().await;
    server.release();
    let here = admin.at(&hospital.node.base);
    let sent = reached(&hospital, &here, &row, |it| it["status"] == "sent").await;
    assert_eq!(sent["attempts"], 1, "it is the same try");
    let mails = server.taken();
    assert_eq!(mails.len(), 2);
    assert_eq!(message_id(&mails[0]), message_id(&mails[1]));
}

#[tokio::test]
async fn an_email_that_a_mail_server_took_before_it_died_is_sent_again_as_the_same() {
    let server = MailServer::start();
    let hospital = Hospital::start_with(with_mail(&server)).await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let patient_id = registered(&reception, "dies", 1).await;
    let row = told(&admin, &patient_id, json!({})).await;
    let id = row["id"].as_str().expect("an id");
    // The next try is in half a minute.
    let waiting = "select exists (select from log.timers where key = $1 and payload ->> 'attempt' = '2'
                                     and due_at > clock_timestamp())";
    until(async || sqlx::query_scalar(waiting).bind(id).fetch_one(hospital.owner()).await.expect("a timer")).await;
    let tried = reached(&hospital, &admin, &row, |it| it["attempts"] == 1).await;
    assert_eq!((&tried["status"], server.taken().len()), (&json!("pending"), 1), "{tried}");
    let at_once = "update log.timers set due_at = clock_timestamp() where key = $1";
    let mut superuser = hospital.database.superuser().await;
    sqlx::query(at_once).bind(id).execute(&mut superuser).await.expect("the timer is changed");
    let sent = reached(&hospital, &admin, &row, |it| it["status"] == "sent").await;
    assert_eq!(sent["attempts"], 2);
    let mails = server.taken();
    assert_eq!(mails.len(), 2);
    assert_eq!(message_id(&mails[0]), message_id(&mails[1]));
}

#[tokio::test]
async fn patients_are_told_of_their_visits_and_prescriptions() {
    let server = MailServer::start();
    let hospital = Hospital::start_with(with_mail(&server)).await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let patient_id = registered(&reception, "anna", 1).await;
    let of_patient = |kind: &str| format!("notifications?subject_patient_id={patient_id}&type={kind}");
    let count = async |kind: &str| admin.items(&of_patient(kind)).await.len();
    // A visit in a week is reminded later; one that is tomorrow is confirmed at once.
    let far = reception.did("schedule-appointment", appointment(&patient_id, at(7, 0))).await;
    all_done(&hospital).await;
    assert_eq!(count("appointment_reminder").await, 0);
    reception.did("schedule-appointment", appointment(&patient_id, at(1, 0))).await;
    all_done(&hospital).await;
    assert_eq!(count("appointment_reminder").await, 1);
    let told = admin.items(&of_patient("appointment_reminder")).await.remove(0);
    assert!(told["message"].as_str().is_some_and(|it| it.contains("with Dana Osei")), "{told}");
    // Moved and cancelled, each told once.
    reception.did("reschedule-appointment", json!({"appointment_id": far, "starts_at": at(8, 0)})).await;
    all_done(&hospital).await;
    assert_eq!(count("appointment_changed").await, 1);
    reception.did("cancel-appointment", json!({"appointment_id": far, "reason": "plantedreason"})).await;
    all_done(&hospital).await;
    assert_eq!(count("appointment_changed").await, 2);
    // A prescription that is ready.
    let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
    let written = doctor.did("write-prescription", prescription(&patient_id, 2, "5", "tablet")).await;
    doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": written})).await;
    pharmacist.did("mark-prescription-ready", json!({"prescription_id": written})).await;
    all_done(&hospital).await;
    assert_eq!(count("prescription_ready").await, 1);
    let mails = server.taken();
    assert_eq!(mails.len(), 4);
    for mail in &mails {
        let folded = mail.to_lowercase();
        for word in ["planted", "osei", "prescription", "warfarin", "cardiology", "cough"] {
            assert!(!folded.contains(word), "{word} in {mail}");
        }
    }
    hospital.settle().await;
    assert_eq!(admin.items("process-failures").await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_demo_and_the_dead_get_no_messages() {
    let server = MailServer::start();
    let hospital = Hospital::start_with(with_mail(&server)).await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    all_done(&hospital).await;
    assert_eq!(server.taken().len(), 0, "the demo's appointments of tomorrow are of yesterday");
    let patient_id = registered(&reception, "anna", 1).await;
    let visit = reception.did("schedule-appointment", appointment(&patient_id, at(9, 0))).await;
    let died = json!({"patient_id": patient_id, "deceased_at": at(-2, 0)});
    hospital.login("doctor").await.did("record-patient-death", died).await;
    until(async || reception.row("appointments", &visit).await["status"] == "cancelled").await;
    all_done(&hospital).await;
    let told = admin.items(&format!("notifications?subject_patient_id={patient_id}")).await;
    let titles: Vec<_> = told.iter().map(|it| &it["title"]).collect();
    assert_eq!(titles, ["A patient of yours has died"], "only the doctor is told, and within the program");
    assert_eq!(server.taken().len(), 0);
    let body = message(json!([{"patient_id": patient_id}]));
    admin.command("send-notification", body).await.problem(422, "nobody-to-reach");
}
