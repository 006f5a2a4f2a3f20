//! A clinician's day, from the front desk to the pharmacy, and what the tables say in the evening.

use serde_json::{Value, json};

use super::demo::{self, DOCTOR, NURSE, appointment, at, early, person, room, user};
use super::{Client, Hospital};

/// The ids of the streams that began on this day.
struct Day {
    patient: String,
    appointment: String,
    consultation: String,
    vital_signs: String,
    prescription: String,
}

async fn day(nobody: &Client) -> Day {
    let (reception, doctor) = (nobody.login("reception").await, nobody.login("doctor").await);
    let (nurse, pharmacist) = (nobody.login("nurse").await, nobody.login("pharmacist").await);
    let patient = reception.did("register-patient", person("Zuzanna", "Kowalczyk", 1)).await;
    let appointment = reception.did("schedule-appointment", appointment(&patient, at(5, 0))).await;
    reception.did("confirm-appointment", json!({"appointment_id": appointment})).await;
    reception.did("check-in-appointment", early(&appointment)).await;
    let started = json!({"patient_id": patient, "appointment_id": appointment, "chief_complaint": "Persistent cough"});
    let consultation = doctor.did("start-consultation", started).await;
    let measured = json!({
        "patient_id": patient, "consultation_id": consultation, "blood_pressure_systolic": 120.5,
        "blood_pressure_diastolic": "81.5", "heart_rate": 72, "temperature": "98.65", "weight_kg": "70.125",
        "height_cm": 175, "oxygen_saturation": 97, "pain_scale": 3,
    });
    let vital_signs = nurse.did("record-vital-signs", measured).await;
    let found = json!({"consultation_id": consultation, "assessment": "Acute bronchitis", "plan": "Rest",
                       "physical_examination": {"lungs": "Rhonchi on both sides"}});
    doctor.did("record-findings", found).await;
    let mut written = demo::prescription(&patient, 1, "210", "capsule");
    written["consultation_id"] = json!(consultation);
    let prescription = doctor.did("write-prescription", written).await;
    doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescription})).await;
    pharmacist.did("mark-prescription-ready", json!({"prescription_id": prescription})).await;
    pharmacist.did("dispense-prescription", json!({"prescription_id": prescription})).await;
    doctor.did("complete-consultation", json!({"consultation_id": consultation})).await;
    Day { patient, appointment, consultation, vital_signs, prescription }
}

/// Fails unless a row has these values, whatever else it has.
#[track_caller]
fn assert_has(row: &Value, expected: &Value) {
    for (column, value) in expected.as_object().expect("columns") {
        assert_eq!(&row[column], value, "{column} of {row}");
    }
}

#[tokio::test]
async fn every_table_tells_of_the_day() {
    let hospital = Hospital::start().await;
    let ids = day(&hospital.nobody()).await;
    let doctor = hospital.login("doctor").await;
    let patient = doctor.row("patients", &ids.patient).await;
    assert_has(
        &patient,
        &json!({
            "first_name": "Zuzanna", "last_name": "Kowalczyk", "date_of_birth": "1979-04-23", "city": "Hinterzarten",
            "phone_primary": "+15554153084", "country": "US", "preferred_language": "en", "version": 1,
            "created_by": user(4),
        }),
    );
    let mrn = patient["mrn"].as_str().expect("a record number");
    assert!(mrn.len() == 15 && mrn.starts_with("MRN-"), "{mrn}");
    assert!(patient.get("ssn").is_none() && patient.get("ssn_blind_index").is_none(), "{patient}");
    assert_has(
        &doctor.row("appointments", &ids.appointment).await,
        &json!({
            "status": "completed", "patient_id": ids.patient, "provider_id": user(DOCTOR), "room_id": room(1),
            "duration_minutes": 30, "time_zone": "America/New_York", "version": 5, "reason_for_visit": "Persistent cough",
            "department_id": demo::department(1), "cancelled_at": null,
        }),
    );
    assert_has(
        &doctor.row("consultations", &ids.consultation).await,
        &json!({
            "status": "completed", "appointment_id": ids.appointment, "chief_complaint": "Persistent cough",
            "assessment": "Acute bronchitis", "physical_examination": {"lungs": "Rhonchi on both sides"}, "plan": "Rest",
            "total_duration_minutes": 0, "version": 3, "history_of_present_illness": null,
        }),
    );
    assert_has(
        &doctor.row("vital-signs", &ids.vital_signs).await,
        &json!({
            // Rounding is half to even: 120.5 down, 81.5 up, 98.65 down, 70.125 down.
            "blood_pressure_systolic": 120, "blood_pressure_diastolic": 82, "temperature": 98.6, "temperature_unit": "F",
            "weight_kg": 70.12, "status": "final", "extreme": [], "recorded_by": user(NURSE), "pain_scale": 3,
        }),
    );
    assert_has(
        &doctor.row("prescriptions", &ids.prescription).await,
        &json!({
            "status": "dispensed", "consultation_id": ids.consultation, "priority": "normal", "version": 4,
        }),
    );
    let items = doctor.items(&format!("prescription-items?prescription_id={}", ids.prescription)).await;
    assert_eq!(items.len(), 1);
    assert_has(
        &items[0],
        &json!({
            "line_number": 1, "quantity": 210.0, "quantity_dispensed": 210.0, "status": "dispensed",
            "instructions": "With plenty of water", "medication_id": demo::medication(1),
        }),
    );
}

#[tokio::test]
async fn the_lot_that_expires_first_is_dispensed_first() {
    let hospital = Hospital::start().await;
    day(&hospital.nobody()).await;
    let pharmacist = hospital.login("pharmacist").await;
    let first = pharmacist.row("medication-inventory", &demo::lot(1, 1)).await;
    let second = pharmacist.row("medication-inventory", &demo::lot(1, 2)).await;
    assert_has(&first, &json!({"quantity_on_hand": 0.0, "status": "depleted"}));
    assert_has(&second, &json!({"quantity_on_hand": 190.0, "status": "available"}));
}

#[tokio::test]
async fn the_body_mass_index_follows_from_weight_and_height() {
    let hospital = Hospital::start().await;
    let ids = day(&hospital.nobody()).await;
    hospital.settle().await;
    let bmi: String = sqlx::query_scalar("select bmi::text from vital_signs where id = $1::uuid")
        .bind(&ids.vital_signs)
        .fetch_one(hospital.owner())
        .await
        .expect("a body mass index");
    assert_eq!(bmi, "22.9");
    let row = hospital.login("doctor").await.row("vital-signs", &ids.vital_signs).await;
    assert_eq!(row["bmi"], json!(22.9), "{row}");
}

#[tokio::test]
async fn an_extreme_value_is_confirmed_and_marked() {
    let hospital = Hospital::start().await;
    let nurse = hospital.login("nurse").await;
    let mut measured = json!({"patient_id": demo::patient(1), "heart_rate": 0});
    let refused = nurse.command("record-vital-signs", measured.clone()).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/heart_rate");
    measured["confirm_extreme"] = json!(true);
    let id = nurse.did("record-vital-signs", measured).await;
    let row = hospital.login("doctor").await.row("vital-signs", &id).await;
    assert_has(&row, &json!({"heart_rate": 0, "extreme": ["heart_rate"]}));
    let impossible = json!({"patient_id": demo::patient(1), "oxygen_saturation": 400, "confirm_extreme": true});
    let refused = nurse.command("record-vital-signs", impossible).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
}

#[tokio::test]
async fn every_event_has_its_audit_row_with_what_changed() {
    let hospital = Hospital::start().await;
    let ids = day(&hospital.nobody()).await;
    let admin = hospital.login("admin").await;
    let audit = |id: String| {
        let admin = admin.clone();
        async move { admin.items(&format!("audit-logs?resource_id={id}&sort=position")).await }
    };
    let rows = audit(ids.appointment.clone()).await;
    let actions: Vec<_> = rows.iter().map(|it| it["action"].as_str().expect("an action")).collect();
    let expected = ["scheduled", "confirmed", "checked_in", "started", "completed"];
    assert_eq!(actions, expected.map(|it| format!("appointment.{it}")));
    assert_has(&rows[1]["old_values"], &json!({"status": "scheduled"}));
    assert_has(&rows[1]["new_values"], &json!({"status": "confirmed"}));
    assert_has(
        &rows[1],
        &json!({
            "user_id": user(4), "patient_id": ids.patient, "success": true, "resource_type": "appointment", "error_message": null,
        }),
    );
    assert!(rows[1]["ip_address"].as_str().is_some_and(|it| it.starts_with("127.0.0.1")), "{}", rows[1]);
    assert!(rows[1]["session_id"].is_string(), "{}", rows[1]);
    let registered = &audit(ids.patient.clone()).await[0];
    assert_eq!(registered["old_values"], Value::Null);
    assert_eq!(registered["new_values"]["gender"], "female");
    for personal in ["first_name", "last_name", "date_of_birth", "phone_primary", "city"] {
        let shown = registered["new_values"][personal].as_str().expect("a masked value");
        assert!(
            !["Zuzanna", "Kowalczyk", "1979", "555", "Hinterzarten"].iter().any(|it| shown.contains(it)),
            "{shown}"
        );
    }
    let head = hospital.node.store.current_head().await.expect("the head is read");
    hospital.settle().await;
    let audited = super::tables::count(hospital.owner(), &format!("audit_logs where position <= {head}")).await;
    assert_eq!(audited, head);
}

#[tokio::test]
async fn one_reads_what_one_has_written() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    for number in 0..50 {
        let answer = reception.command("register-patient", person(&format!("Name{number}"), "Unlike", number)).await;
        assert_eq!(answer.header("hims-position"), Some(answer.position().to_string().as_str()));
        let row = reception.get(&format!("patients/{}", answer.id())).await;
        assert_eq!(row.done()["first_name"], format!("Name{number}"));
        let position: i64 = row.header("hims-position").expect("a position").parse().expect("a number");
        assert!(position >= answer.position());
        assert_eq!(row.header("etag"), Some("\"1\""));
    }
}
