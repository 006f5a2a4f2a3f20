//! The state of a stream, now and in the past.

use hims_testing::patched;
use serde_json::{Value, json};

use super::demo::{self, appointment, at, person};
use super::releases::until;
use super::{Client, Hospital};

#[tokio::test]
async fn a_stream_is_answered_as_of_a_version_an_instant_and_a_position() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let registered = reception.command("register-patient", person("Zuzanna", "Kowalczyk", 1)).await;
    let id = registered.id();
    let at_first = reception.get(&format!("streams/patient/{id}")).await.done();
    reception.did("change-patient-demographics", json!({"patient_id": id, "city": "Freiburg"})).await;
    let city = |when: String| {
        let (reception, id) = (reception.clone(), id.clone());
        async move {
            let answer = reception.get(&format!("streams/patient/{id}{when}")).await;
            (answer.header("etag").expect("an ETag").to_owned(), answer.done()["state"]["demographics"]["city"].clone())
        }
    };
    let (before, now) = (("\"1\"".to_owned(), json!("Hinterzarten")), ("\"2\"".to_owned(), json!("Freiburg")));
    assert_eq!(city(String::new()).await, now);
    assert_eq!(city("?version=1".to_owned()).await, before);
    assert_eq!(city("?version=2".to_owned()).await, now);
    assert_eq!(city(format!("?position={}", registered.position())).await, before);
    let instant = at_first["recorded_at"].as_str().expect("an instant");
    assert_eq!(city(format!("?at={instant}")).await, before);
    let earlier = format!("streams/patient/{id}?position={}", registered.position() - 1);
    reception.get(&earlier).await.problem(404, "not-found");
    reception.get(&format!("streams/patient/{id}?version=3")).await.problem(404, "not-found");
    reception.get(&format!("streams/patient/{id}?version=0")).await.problem(400, "invalid-parameter");
    // A position beyond the head is refused, since the state at this position is not known yet.
    let beyond = format!("streams/patient/{id}?position={}", registered.position() + 1_000);
    reception.get(&beyond).await.problem_at(400, "invalid-parameter", "/position");
    let both = format!("streams/patient/{id}?version=1&position=1");
    reception.get(&both).await.problem(400, "invalid-parameter");
}

#[tokio::test]
async fn streams_are_read_by_those_who_read_their_subject() {
    let hospital = Hospital::start().await;
    let (patient, nurse) = (hospital.login("patient").await, hospital.login("nurse").await);
    let own = patient.get(&format!("streams/patient/{}", demo::patient(1))).await.done();
    assert_eq!(own["state"]["demographics"]["first_name"], "Paula");
    patient.get(&format!("streams/patient/{}", demo::patient(2))).await.problem(404, "not-found");
    nurse.get(&format!("streams/patient/{}", demo::patient(8))).await.problem(404, "not-found");
    patient.get(&format!("streams/appointment/{}", demo::patient(1))).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_receptionist_and_a_pharmacist_cannot_read_clinical_notes_by_way_of_the_stream() {
    let hospital = Hospital::start().await;
    let doctor = hospital.login("doctor").await;
    let started = json!({"patient_id": demo::patient(1), "chief_complaint": "Persistent cough"});
    let id = doctor.did("start-consultation", started).await;
    doctor.get(&format!("streams/consultation/{id}")).await.done();
    for login in ["reception", "pharmacist", "lab"] {
        let answer = hospital.login(login).await.get(&format!("streams/consultation/{id}")).await;
        assert!([403, 404].contains(&answer.status), "{login}: {}", answer.text);
    }
}

#[tokio::test]
async fn identifiers_and_allergies_are_withheld_where_their_tables_withhold_them() {
    let hospital = Hospital::start().await;
    let (doctor, reception) = (hospital.login("doctor").await, hospital.login("reception").await);
    let (pharmacist, nurse) = (hospital.login("pharmacist").await, hospital.login("nurse").await);
    let id = reception.did("register-patient", person("Ottilie", "Unlike", 1)).await;
    let passport = json!({"patient_id": id, "system": "urn:passport", "value": "X1234567"});
    reception.did("add-patient-identifier", passport).await;
    let allergy =
        json!({"patient_id": id, "allergen_type": "drug", "allergen_name": "Penicillin", "severity": "severe"});
    doctor.did("record-allergy", allergy).await;
    let prescription_id = doctor.did("write-prescription", demo::prescription(&id, 2, "10", "tablet")).await;
    doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescription_id})).await;
    hospital.settle().await;
    let (stream, events) = (format!("streams/patient/{id}"), format!("events?patient_id={id}"));
    for (who, identifier, allergen) in [(&doctor, true, true), (&reception, true, false), (&pharmacist, false, true)] {
        for path in [&stream, &events] {
            let text = who.get(path).await.done().to_string();
            assert_eq!(text.contains("X1234567"), identifier, "{path}: {text}");
            assert_eq!(text.contains("Penicillin"), allergen, "{path}: {text}");
        }
    }
    nurse.get(&stream).await.problem(404, "not-found");
}

#[tokio::test]
async fn patients_do_not_read_of_their_consultations_what_was_entered_in_error() {
    let hospital = Hospital::start().await;
    let (doctor, paula) = (hospital.login("doctor").await, hospital.login("patient").await);
    let started = json!({"patient_id": demo::patient(1), "confirm_another": true});
    let visit = doctor.did("start-consultation", started).await;
    let (right, wrong) = (uuid::Uuid::from_u128(0xd1a1), uuid::Uuid::from_u128(0xd1a2));
    for (id, code) in [(right, "J20.9"), (wrong, "C34.90")] {
        let diagnosis = json!({"consultation_id": visit, "diagnosis_id": id, "code": code, "description": code,
                               "diagnosis_type": "working"});
        doctor.did("record-diagnosis", diagnosis).await;
    }
    let symptom = |more: Value| patched(json!({"consultation_id": visit, "symptom_id": wrong}), more);
    doctor.did("record-symptom", symptom(json!({"name": "Haemoptysis"}))).await;
    let (stream, events) =
        (format!("streams/consultation/{visit}"), format!("events?patient_id={}&stream_id={visit}", demo::patient(1)));
    for path in [&stream, &events] {
        let told = paula.get(path).await.done().to_string();
        assert!(told.contains("C34.90"), "{path}: {told}");
        // The state of a consultation knows of symptoms only which there are.
        assert_eq!(told.contains("Haemoptysis"), path == &events, "{path}: {told}");
    }
    let mistaken = json!({"consultation_id": visit, "diagnosis_id": wrong, "verification_status": "entered_in_error"});
    doctor.did("change-diagnosis", mistaken).await;
    doctor.did("retract-symptom", symptom(json!({"reason": "of another patient"}))).await;
    let told_without_it = async |who: &Client| {
        for path in [stream.clone(), format!("{stream}?version=3"), events.clone()] {
            let told = who.get(&path).await.done().to_string();
            assert!(told.contains("J20.9") && !told.contains("C34.90"), "{path}: {told}");
            assert!(!told.contains("Haemoptysis") && !told.contains("of another patient"), "{path}: {told}");
            let told = doctor.get(&path).await.done().to_string();
            assert!(told.contains("C34.90"), "{path}: {told}");
        }
    };
    told_without_it(&paula).await;
    // Who also works in the laboratory reads orders, and no more of their own chart.
    let admin = hospital.login("admin").await;
    let lab = super::problems::role("lab_technician");
    let both = json!({"user_id": demo::user(demo::PATIENT_LOGIN), "role_id": lab,
                      "additional_role_ids": [super::problems::role("patient")]});
    admin.did("change-user-role", both).await;
    let others =
        async || paula.items("lab-orders").await.iter().any(|it| it["patient_id"] != demo::patient(1).as_str());
    until(others).await;
    told_without_it(&paula).await;
}

#[tokio::test]
async fn a_password_hash_is_never_answered() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let answer = admin.get(&format!("streams/user/{}", demo::user(demo::DOCTOR))).await;
    assert_eq!(answer.done()["state"]["profile"]["first_name"], "Dana");
    assert!(!answer.text.contains("argon2") && !answer.text.contains("password_hash"), "{}", answer.text);
}

#[tokio::test]
async fn an_appointments_state_follows_its_events() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let id = reception.did("schedule-appointment", appointment(&demo::patient(5), at(4, 0))).await;
    reception.did("confirm-appointment", json!({"appointment_id": id})).await;
    let status = |when: &'static str| {
        let (reception, id) = (reception.clone(), id.clone());
        async move { reception.get(&format!("streams/appointment/{id}{when}")).await.done()["state"]["status"].clone() }
    };
    assert_eq!(status("?version=1").await, "scheduled");
    assert_eq!(status("").await, "confirmed");
}
