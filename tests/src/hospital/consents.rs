//! Whom patients forbid to see their records, and records that are not open to everybody whose roles read them.

use futures::future::join_all;
use serde_json::{Value, json};

use super::care_teams::colleague;
use super::demo::{self, patient, user};
use super::disclosures::disclosure;
use super::events::read_events;
use super::problems::role;
use super::reports::{file, run, schedule_of_the_visits};
use super::{Client, Hospital};

/// A patient whom the doctor does not treat.
const PATIENT: u16 = 5;
const OF_PATIENT: [&str; 4] = ["vital-signs", "patient-allergies", "appointments", "medical-history"];

/// Whether somebody reads the patient: the row, the lists, the chart and the history are open or closed together.
async fn reads(client: &Client) -> bool {
    let id = patient(PATIENT);
    let row = client.get(&format!("patients/{id}")).await.status == 200;
    let listed = client.items("patients?limit=500").await.iter().any(|it| it["id"] == json!(id));
    let measured = client.items(&format!("vital-signs?patient_id={id}")).await;
    let state = client.get(&format!("streams/patient/{id}")).await.status == 200;
    assert_eq!((row, row, row), (listed, !measured.is_empty(), state), "{measured:?}");
    if !row {
        for table in OF_PATIENT {
            assert_eq!(client.items(&format!("{table}?patient_id={id}")).await, Vec::<Value>::new(), "{table}");
        }
    }
    row
}

fn mark(confidentiality: &str) -> Value {
    json!({"patient_id": patient(PATIENT), "confidentiality": confidentiality, "reason": "is known to the public"})
}

async fn hospital() -> (Hospital, Client, Client, Client) {
    let hospital = Hospital::start().await;
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    let privacy = hospital.login("privacy").await;
    doctor.did("record-vital-signs", json!({"patient_id": patient(PATIENT), "heart_rate": 70})).await;
    (hospital, doctor, nurse, privacy)
}

#[tokio::test]
async fn whom_a_patient_forbids_to_see_the_records_sees_nothing_until_that_is_withdrawn() {
    let (hospital, doctor, _, privacy) = hospital().await;
    assert!(reads(&doctor).await);
    let consent = json!({"patient_id": patient(PATIENT), "scope": "treatment", "provision": "deny",
                         "user_id": user(demo::DOCTOR), "source": "form 4711"});
    let reception = hospital.login("reception").await;
    let denied = reception.did("record-consent", consent.clone()).await;
    reception.command("record-consent", consent).await.problem(409, "recorded-already");
    hospital.settle().await;
    assert!(!reads(&doctor).await);
    assert!(reads(&hospital.login("admin").await).await, "others are not concerned");
    // An assignment does not open what the patient closed; an emergency does.
    let assign = json!({"patient_id": patient(PATIENT), "user_id": user(demo::DOCTOR)});
    hospital.login("admin").await.did("assign-care-team-member", assign).await;
    hospital.settle().await;
    assert!(!reads(&doctor).await);
    let request = json!({"patient_id": patient(PATIENT), "reason": "unconscious, nobody else is here"});
    let taken = doctor.did("request-emergency-access", request).await;
    assert!(reads(&doctor).await);
    doctor.did("end-emergency-access", json!({"emergency_access_id": taken})).await;
    assert!(!reads(&doctor).await);
    assert_eq!(privacy.row("consents", &denied).await["source"], "form 4711");
    reception.did("withdraw-consent", json!({"consent_id": denied, "reason": "has made peace"})).await;
    hospital.settle().await;
    assert!(reads(&doctor).await);
}

#[tokio::test]
async fn a_restricted_record_is_open_to_those_who_treat_the_patient() {
    let (hospital, doctor, nurse, privacy) = hospital().await;
    privacy.did("mark-record-confidentiality", mark("R")).await;
    hospital.settle().await;
    let admin = hospital.login("admin").await;
    assert_eq!((reads(&doctor).await, reads(&admin).await), (false, false));
    let request = json!({"patient_id": patient(PATIENT), "reason": "collapsed in the corridor"});
    nurse.did("request-emergency-access", request.clone()).await;
    assert!(reads(&nurse).await);
    // Only who reads the record can assign somebody, here in an emergency.
    let (assign, other) =
        (json!({"patient_id": patient(PATIENT), "user_id": user(demo::DOCTOR)}), hospital.login("doctor2").await);
    admin.command("assign-care-team-member", assign.clone()).await.problem(422, "unknown-reference");
    other.did("request-emergency-access", request).await;
    other.did("assign-care-team-member", assign).await;
    hospital.settle().await;
    assert!(reads(&doctor).await);
    // Whoever reads charts does not open the record to themselves, even once they treat the patient.
    let of_admin = json!({"patient_id": patient(PATIENT), "user_id": user(1)});
    doctor.did("assign-care-team-member", of_admin).await;
    hospital.settle().await;
    admin.command("mark-record-confidentiality", mark("N")).await.problem(422, "privacy-officer-needed");
    privacy.did("mark-record-confidentiality", mark("N")).await;
    hospital.settle().await;
    assert!(reads(&admin).await);
}

#[tokio::test]
async fn in_an_emergency_two_people_together_open_a_very_restricted_record() {
    let (hospital, doctor, nurse, privacy) = hospital().await;
    privacy.did("mark-record-confidentiality", mark("V")).await;
    let request = json!({"patient_id": patient(PATIENT), "reason": "collapsed in the corridor", "minutes": 15});
    // However often the nurse asks, also at once, one access waits for a second person.
    let answers = join_all((0..8).map(|_| nurse.command("request-emergency-access", request.clone()))).await;
    let (asked, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|it| it.status == 201);
    assert_eq!((asked.len(), refused.len()), (1, 7));
    for answer in refused {
        answer.problem_at(409, "already-open", "/patient_id");
    }
    let given_back = json!({"emergency_access_id": asked[0].id()});
    nurse.did("end-emergency-access", given_back).await;
    let asked = nurse.did("request-emergency-access", request).await;
    hospital.settle().await;
    assert!(!reads(&nurse).await);
    let second = json!({"emergency_access_id": asked});
    nurse.command("second-emergency-access", second.clone()).await.problem(422, "second-person-needed");
    let review = json!({"emergency_access_id": asked, "finding": "justified"});
    privacy.command("review-emergency-access", review.clone()).await.problem(409, "wrong-status");
    doctor.did("second-emergency-access", second.clone()).await;
    assert_eq!((reads(&nurse).await, reads(&doctor).await), (true, false), "only the one who asked");
    hospital.settle().await;
    let row = privacy.row("emergency-accesses", &asked).await;
    assert_eq!((&row["seconded_by"], &row["awaits_second"]), (&json!(user(demo::DOCTOR)), &json!(false)));
    privacy.did("review-emergency-access", review).await;
}

/// An access that one person took alone is over once the record is very restricted.
#[tokio::test]
async fn whoever_took_access_alone_needs_a_second_person_once_the_record_is_very_restricted() {
    let (hospital, doctor, nurse, privacy) = hospital().await;
    let request = json!({"patient_id": patient(PATIENT), "reason": "collapsed in the corridor", "minutes": 15});
    let alone = nurse.did("request-emergency-access", request.clone()).await;
    hospital.settle().await;
    assert!(reads(&nurse).await);
    privacy.did("mark-record-confidentiality", mark("V")).await;
    hospital.settle().await;
    assert!(!reads(&nurse).await);
    nurse.did("end-emergency-access", json!({"emergency_access_id": alone})).await;
    let asked = nurse.did("request-emergency-access", request).await;
    doctor.did("second-emergency-access", json!({"emergency_access_id": asked})).await;
    assert!(reads(&nurse).await);
}

/// Somebody else who reads all data.
pub(super) async fn second_administrator(hospital: &Hospital) -> (String, Client) {
    let id = colleague(hospital, "second-admin", &json!(role("administrator"))).await;
    (id, hospital.login("second-admin").await)
}

/// Forbids a user to see the records of the patient.
async fn forbid(hospital: &Hospital, user_id: &str) -> String {
    let consent = json!({"patient_id": patient(PATIENT), "scope": "treatment", "provision": "deny",
                         "user_id": user_id, "source": "form 4711"});
    let denied = hospital.login("reception").await.did("record-consent", consent).await;
    hospital.settle().await;
    denied
}

#[tokio::test]
async fn the_file_of_a_report_is_closed_with_the_records_that_it_shows() {
    let hospital = Hospital::start().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    let made = run(&doctor, schedule_of_the_visits("json")).await;
    assert_eq!(file(&doctor, &made).await.status, 200);
    let consent = json!({"patient_id": patient(1), "scope": "treatment", "provision": "deny",
                         "user_id": user(demo::DOCTOR), "source": "form 4711"});
    let denied = reception.did("record-consent", consent).await;
    hospital.settle().await;
    file(&doctor, &made).await.problem(403, "forbidden");
    reception.did("withdraw-consent", json!({"consent_id": denied, "reason": "has made peace"})).await;
    hospital.settle().await;
    assert_eq!(file(&doctor, &made).await.status, 200);
}

#[tokio::test]
async fn the_audit_and_the_events_of_a_closed_record_are_open_to_auditors_alone() {
    let (hospital, doctor, ..) = hospital().await;
    let (id, admin) = second_administrator(&hospital).await;
    let measured = json!({"patient_id": patient(PATIENT), "heart_rate": 77});
    let measured = doctor.did("record-vital-signs", measured).await;
    // Reads that name the patient among others, and by what was asked for.
    doctor.items("patients?limit=500").await;
    doctor.items(&format!("lab-results?patient_id={}", patient(PATIENT))).await;
    hospital.settle().await;
    let of_patient = patient(PATIENT);
    let questions = [
        format!("audit-logs?patient_id={of_patient}"),
        format!("audit-logs?resource_id={measured}"),
        format!("events?patient_id={of_patient}"),
        format!("events?stream_id={measured}"),
        format!("events?stream_id={measured}&raw=true"),
    ];
    let report = format!("patients/{of_patient}/access-report");
    assert!(!admin.items(&report).await.is_empty());
    for question in &questions {
        assert!(!admin.items(question).await.is_empty(), "{question}");
    }
    let denied = forbid(&hospital, &id).await;
    for question in &questions {
        assert_eq!(admin.items(question).await, Vec::<Value>::new(), "{question}");
    }
    assert_eq!(admin.items(&format!("consents?patient_id={of_patient}")).await, Vec::<Value>::new());
    admin.get(&report).await.problem(404, "not-found");
    let reads_of_doctor = [
        format!("audit-logs?action=access.read&user_id={}&limit=500", user(demo::DOCTOR)),
        format!("events?type=access.read&actor_id={}&limit=500", user(demo::DOCTOR)),
    ];
    for list in &reads_of_doctor {
        let told = admin.items(list).await;
        assert!(!told.iter().any(|it| it.to_string().contains(&of_patient)), "{told:?}");
    }
    admin.get(&format!("streams/vital_signs/{measured}")).await.problem(404, "not-found");
    // Nothing is told of what a command on the record finds.
    hospital.login("privacy").await.did("withdraw-consent", json!({"consent_id": denied})).await;
    hospital.settle().await;
    assert!(reads(&admin).await);
    let denied_again = forbid(&hospital, &id).await;
    admin.command("withdraw-consent", json!({"consent_id": denied})).await.problem(404, "not-found");
    let auditor = hospital.login("auditor").await;
    for question in questions.iter().chain([&report]) {
        assert!(!auditor.items(question).await.is_empty(), "{question}");
    }
    for list in &reads_of_doctor {
        let told = auditor.items(list).await;
        assert!(told.iter().filter(|it| it.to_string().contains(&of_patient)).count() > 1, "{told:?}");
    }
    assert_eq!(auditor.row("consents", &denied_again).await["provision"], "deny");
}

#[tokio::test]
async fn who_may_not_read_a_record_opens_it_to_nobody() {
    let (hospital, _, nurse, privacy) = hospital().await;
    let (id, admin) = second_administrator(&hospital).await;
    let link = |user_id: &str, number| json!({"user_id": user_id, "patient_id": patient(number)});
    let assign = json!({"patient_id": patient(PATIENT), "user_id": user(demo::NURSE)});
    admin.command("link-user-to-patient", link(&id, 6)).await.problem(422, "own-link");
    privacy.did("mark-record-confidentiality", mark("V")).await;
    hospital.settle().await;
    let other = colleague(&hospital, "somebody", &json!(role("patient"))).await;
    let refused = admin.command("link-user-to-patient", link(&other, PATIENT)).await.problem(422, "unknown-reference");
    let nobody = json!({"user_id": other, "patient_id": uuid::Uuid::from_u128(5)});
    let unknown = admin.command("link-user-to-patient", nobody).await.problem(422, "unknown-reference");
    assert_eq!((&refused["detail"], &refused["errors"]), (&unknown["detail"], &unknown["errors"]));
    admin.command("assign-care-team-member", assign.clone()).await.problem(422, "unknown-reference");
    assert!(!reads(&nurse).await);
    privacy.did("mark-record-confidentiality", mark("N")).await;
    hospital.settle().await;
    admin.did("assign-care-team-member", assign).await;
    admin.did("link-user-to-patient", link(&other, PATIENT)).await;
}

#[tokio::test]
async fn what_the_laboratory_was_asked_for_opens_no_chart_and_an_order_of_ones_own_nothing() {
    let (hospital, doctor, ..) = hospital().await;
    let (reception, admin) = (hospital.login("reception").await, hospital.login("admin").await);
    let id = colleague(&hospital, "both", &json!(role("doctor"))).await;
    let roles = json!({"user_id": id, "additional_role_ids": [role("lab_technician")]});
    admin.did("change-user-role", roles).await;
    let both = hospital.login("both").await;
    let order = |patient_id: &str| json!({"patient_id": patient_id, "items": [{"lab_test_id": demo::lab_test(1)}]});
    let asked = reception.did("register-patient", demo::person("Lena", "Vogt", 31)).await;
    doctor.did("record-vital-signs", json!({"patient_id": asked, "heart_rate": 70})).await;
    doctor.did("place-lab-order", order(&asked)).await;
    let own = reception.did("register-patient", demo::person("Bruno", "Casti", 32)).await;
    both.did("place-lab-order", order(&own)).await;
    let privacy = hospital.login("privacy").await;
    for patient_id in [&asked, &own] {
        let mark = json!({"patient_id": patient_id, "confidentiality": "V", "reason": "is known to the public"});
        privacy.did("mark-record-confidentiality", mark).await;
    }
    hospital.settle().await;
    let count = async |table: &str, id: &str| both.items(&format!("{table}?patient_id={id}")).await.len();
    both.get(&format!("patients/{asked}")).await.done();
    assert_eq!((count("lab-orders", &asked).await, count("vital-signs", &asked).await), (1, 0));
    both.get(&format!("patients/{own}")).await.problem(404, "not-found");
    assert_eq!(count("lab-orders", &own).await, 0);
    doctor.get(&format!("patients/{asked}")).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_version_tells_nothing_of_a_record_that_is_closed() {
    let (hospital, _, nurse, privacy) = hospital().await;
    let taken = |number| json!({"patient_id": patient(number), "source": "otc", "medication_name": "Ginger"});
    nurse.did("add-patient-medication", taken(PATIENT)).await;
    privacy.did("mark-record-confidentiality", mark("V")).await;
    hospital.settle().await;
    let nobody = json!({"patient_id": uuid::Uuid::from_u128(5), "source": "otc", "medication_name": "Ginger"});
    for body in [taken(PATIENT), taken(6), nobody] {
        let command = nurse.request(reqwest::Method::POST, "/api/v1/commands/add-patient-medication");
        let answer = nurse.send(command.header("if-match", "\"99999\"").json(&body)).await;
        answer.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_notification_about_a_closed_record_is_open_to_whoever_got_it_and_is_not_forbidden_to_see_the_record() {
    let (hospital, _, nurse, privacy) = hospital().await;
    let disclosed = privacy.did("record-disclosure", disclosure(&patient(PATIENT))).await;
    let (_, other) = second_administrator(&hospital).await;
    let sender = hospital.login("admin").await;
    let body = json!({"type": "system", "title": "Potassium", "message": "Potassium: 7.1",
                      "subject_patient_id": patient(PATIENT), "recipients": [{"user_id": user(demo::NURSE)}]});
    let told = sender.did("send-notification", body).await;
    hospital.settle().await;
    let path = format!("notifications/{told}");
    assert_eq!(other.get(&path).await.status, 200, "whoever reads all data");
    privacy.did("mark-record-confidentiality", mark("R")).await;
    hospital.settle().await;
    other.get(&path).await.problem(404, "not-found");
    other.get(&format!("disclosures/{disclosed}")).await.problem(404, "not-found");
    assert_eq!(privacy.row("disclosures", &disclosed).await["patient_id"], json!(patient(PATIENT)));
    assert!(other.items("notifications?limit=500").await.iter().all(|it| it["id"] != json!(told)));
    other.get(&format!("streams/notification/{told}")).await.problem(404, "not-found");
    for client in [&nurse, &sender] {
        assert_eq!(client.row("notifications", &told).await["message"], "Potassium: 7.1");
    }
    forbid(&hospital, &user(demo::NURSE)).await;
    nurse.get(&path).await.problem(404, "not-found");
    let water = json!({"type": "system", "title": "Water", "message": "The water is off.",
                       "recipients": [{"user_id": user(demo::NURSE)}]});
    sender.did("send-notification", water).await;
    let stream = nurse.request(reqwest::Method::GET, "/api/v1/notifications/stream").header("last-event-id", "0");
    let mut titles = Vec::new();
    read_events(stream.send().await.expect("an answer"), |_, _, event| {
        titles.push(event["title"].clone());
        event["title"] == "Water"
    })
    .await;
    assert!(!titles.contains(&json!("Potassium")), "{titles:?}");
}

/// What the patients 1, 5 and 7 allow, and an erasure of patient 5 that is asked for and held up. For
/// [`access_matrix`](super::access_matrix).
pub(super) async fn fill(hospital: &Hospital) {
    let (reception, admin) = (hospital.login("reception").await, hospital.login("admin").await);
    for number in [1, 5, 7] {
        let consent = json!({"patient_id": patient(number), "scope": "research", "provision": "permit"});
        reception.did("record-consent", consent).await;
    }
    admin.did("erase-patient", super::erasure::ask(&patient(5))).await;
    admin.did("place-legal-hold", json!({"patient_id": patient(5), "reason": "sues the hospital"})).await;
}

/// Gives every command of consents and confidentiality.
pub(super) async fn everything(hospital: &Hospital) {
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    let consent = json!({"patient_id": patient(PATIENT), "scope": "treatment", "provision": "deny",
                         "user_id": user(demo::NURSE), "source": "form 4711"});
    let denied = doctor.did("record-consent", consent).await;
    doctor.did("withdraw-consent", json!({"consent_id": denied, "reason": "has made peace with her"})).await;
    let admin = hospital.login("admin").await;
    admin.did("mark-record-confidentiality", mark("V")).await;
    let request = json!({"patient_id": patient(PATIENT), "reason": "collapsed in the corridor", "minutes": 15});
    let asked = nurse.did("request-emergency-access", request).await;
    doctor.did("second-emergency-access", json!({"emergency_access_id": asked})).await;
    hospital.login("privacy").await.did("mark-record-confidentiality", mark("N")).await;
}
