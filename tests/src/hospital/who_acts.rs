//! Who acts: providers hold the right to do what they are named for, staff are patients too, and nobody reaches up.

use hims_testing::patched;
use serde_json::{Value, json};

use super::Hospital;
use super::demo::{self, DOCTOR, NURSE, RECEPTION, appointment, at, patient, user};
use super::lab_results::result;
use super::laboratory::{items_of, tested};
use super::waitlist::wait_for;

/// The number of the administrator among the demo's users.
const ADMIN: u16 = 1;

#[tokio::test]
async fn only_who_may_do_it_is_named() {
    let hospital = Hospital::start().await;
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    let mut booked = appointment(&patient(5), at(4, 0));
    booked["provider_id"] = json!(user(RECEPTION));
    reception.command("schedule-appointment", booked).await.problem_at(422, "not-entitled", "/provider_id");
    let mut written = demo::prescription(&patient(5), 2, "10", "tablet");
    written["provider_id"] = json!(user(NURSE));
    doctor.command("write-prescription", written).await.problem_at(422, "not-entitled", "/provider_id");
    let seen = json!({"patient_id": patient(5), "provider_id": user(NURSE)});
    doctor.command("start-consultation", seen).await.problem_at(422, "not-entitled", "/provider_id");
    let measured = |by| json!({"patient_id": patient(5), "heart_rate": 72, "recorded_by": by});
    let refused = doctor.command("record-vital-signs", measured(user(RECEPTION))).await;
    refused.problem_at(422, "not-entitled", "/recorded_by");
    doctor.did("record-vital-signs", measured(user(NURSE))).await;
    let consultation_id = doctor.did("start-consultation", json!({"patient_id": patient(5)})).await;
    let planned = |performed_by| {
        json!({"consultation_id": consultation_id, "treatment_type": "therapy", "description": "Change of the dressing",
               "performed_by": performed_by})
    };
    let refused = doctor.command("plan-treatment", planned(user(RECEPTION))).await;
    refused.problem_at(422, "not-entitled", "/performed_by");
    for performer in [NURSE, DOCTOR] {
        doctor.did("plan-treatment", planned(user(performer))).await;
    }
}

/// The other commands that name somebody as having asked for, found or done something.
#[tokio::test]
async fn whoever_is_named_holds_the_right_in_the_other_commands_too() {
    let hospital = Hospital::start().await;
    let (doctor, nurse) = (hospital.login("doctor").await, hospital.login("nurse").await);
    let patient_id = patient(5);
    let consultation_id = doctor.did("start-consultation", json!({ "patient_id": patient_id })).await;
    let order_id = tested(&doctor, &nurse, &patient_id).await;
    let item_id = items_of(&doctor, &order_id).await[0]["id"].as_str().expect("an id").to_owned();
    let waits = patched(wait_for(&patient_id), json!({"department_id": null}));
    let bodies = [
        (
            "doctor",
            "record-allergy",
            "reported_by",
            json!({"patient_id": patient_id, "allergen_type": "food", "allergen_name": "Nimbuswort"}),
        ),
        ("doctor", "record-symptom", "recorded_by", json!({"consultation_id": consultation_id, "name": "Cough"})),
        (
            "doctor",
            "record-diagnosis",
            "diagnosed_by",
            json!({"consultation_id": consultation_id, "code": "J20.9", "description": "Acute bronchitis", "diagnosis_type": "final"}),
        ),
        (
            "doctor",
            "record-medical-history",
            "recorded_by",
            json!({"patient_id": patient_id, "history_type": "social", "description": "Never smoked", "source": "patient"}),
        ),
        (
            "doctor",
            "place-lab-order",
            "provider_id",
            json!({"patient_id": patient_id, "items": [{"lab_test_id": demo::lab_test(2)}]}),
        ),
        (
            "nurse",
            "collect-specimen",
            "collected_by",
            json!({"lab_order_id": order_id, "specimen_type": "SER", "item_ids": [item_id]}),
        ),
        ("lab", "record-lab-result", "performed_by", result(&order_id, &item_id, "F", "4.1")),
        ("reception", "join-waitlist", "provider_id", waits),
    ];
    for (login, command, named, body) in bodies {
        let client = hospital.login(login).await;
        let body = patched(body, json!({named: user(RECEPTION)}));
        client.command(command, body).await.problem_at(422, "not-entitled", &format!("/{named}"));
    }
}

#[tokio::test]
async fn staff_are_patients_too() {
    let hospital = Hospital::start().await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    let linked = json!({"user_id": user(DOCTOR), "patient_id": patient(5)});
    admin.did("link-user-to-patient", linked).await;
    let doctor = hospital.login("doctor").await;
    let seen = |number: u16| json!({ "patient_id": patient(number) });
    let visit = doctor.did("start-consultation", seen(6)).await;
    doctor.did("complete-consultation", json!({"consultation_id": visit})).await;
    reception.did("schedule-appointment", appointment(&patient(6), at(4, 0))).await;
    doctor.command("start-consultation", seen(5)).await.problem(422, "treating-oneself");
    let mut written = demo::prescription(&patient(5), 2, "10", "tablet");
    doctor.command("write-prescription", written.clone()).await.problem(422, "treating-oneself");
    let oneself = reception.command("schedule-appointment", appointment(&patient(5), at(5, 0))).await;
    oneself.problem(422, "treating-oneself");
    // A link that was made by mistake is taken back.
    admin.did("unlink-user-from-patient", json!({"user_id": user(DOCTOR)})).await;
    assert_eq!(admin.row("users", &user(DOCTOR)).await["patient_id"], Value::Null);
    reception.did("schedule-appointment", appointment(&patient(5), at(5, 0))).await;
    written["provider_id"] = json!(user(DOCTOR));
    hospital.login("doctor").await.did("write-prescription", written).await;
}

/// Commands that only move a status treat as well.
#[tokio::test]
async fn nobody_moves_their_own_treatment() {
    let hospital = Hospital::start().await;
    let (admin, doctor) = (hospital.login("admin").await, hospital.login("doctor").await);
    let visit = doctor.did("start-consultation", json!({"patient_id": patient(5)})).await;
    let written = doctor.did("write-prescription", demo::prescription(&patient(5), 2, "10", "tablet")).await;
    admin.did("link-user-to-patient", json!({"user_id": user(DOCTOR), "patient_id": patient(5)})).await;
    let doctor = hospital.login("doctor").await;
    let moves = [
        ("send-prescription-to-pharmacy", json!({ "prescription_id": written })),
        ("cancel-prescription", json!({"prescription_id": written, "reason": "not needed"})),
        ("cancel-consultation", json!({"consultation_id": visit, "reason": "called away"})),
        ("complete-consultation", json!({ "consultation_id": visit })),
    ];
    for (command, body) in moves.clone() {
        doctor.command(command, body).await.problem(422, "treating-oneself");
    }
    admin.did("unlink-user-from-patient", json!({"user_id": user(DOCTOR)})).await;
    let doctor = hospital.login("doctor").await;
    for (command, body) in moves.into_iter().take(3) {
        doctor.did(command, body).await;
    }
}

#[tokio::test]
async fn what_was_not_sent_does_not_concern_the_pharmacy() {
    let hospital = Hospital::start().await;
    let (doctor, pharmacist) = (hospital.login("doctor").await, hospital.login("pharmacist").await);
    let written = doctor.did("write-prescription", demo::prescription(&patient(6), 2, "10", "tablet")).await;
    let of_prescription = json!({ "prescription_id": written });
    let cancel = json!({"prescription_id": written, "reason": "not needed"});
    for (command, body) in [
        ("send-prescription-to-pharmacy", of_prescription.clone()),
        ("mark-prescription-ready", of_prescription.clone()),
        ("dispense-prescription", of_prescription.clone()),
        ("record-external-dispensing", of_prescription.clone()),
        ("cancel-prescription", cancel.clone()),
    ] {
        pharmacist.command(command, body).await.problem(404, "not-found");
    }
    doctor.did("send-prescription-to-pharmacy", of_prescription).await;
    pharmacist.did("cancel-prescription", cancel).await;
}

#[tokio::test]
async fn nobody_changes_somebody_with_more_rights() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    // Whoever links a login to a patient must be able to read patients.
    let permissions = json!({"read": ["all_patients"], "update": ["users", "own_profile"], "delete": ["users"]});
    let role = json!({"name": "clerk", "display_name": "Clerk", "permissions": permissions});
    let role_id = admin.did("define-role", role).await;
    let mut people = Vec::new();
    for name in ["clerk", "colleague"] {
        let person = json!({"email": format!("{name}@example.org"), "first_name": "C", "last_name": name,
                            "role_id": role_id, "password": "to be changed"});
        people.push(admin.did("create-user", person).await);
    }
    let clerk = hospital.nobody().login_as("clerk@example.org", "to be changed").await;
    let password = json!({"user_id": people[0], "current_password": "to be changed", "new_password": demo::PASSWORD});
    clerk.did("change-password", password).await;
    let commands = [
        ("change-user-profile", json!({"last_name": "Taken"})),
        ("change-user-department", json!({"department_id": demo::department(1)})),
        ("link-user-to-patient", json!({"patient_id": patient(7)})),
        ("unlink-user-from-patient", json!({})),
        ("reset-password", json!({"new_password": "chosen by somebody"})),
        ("deactivate-user", json!({})),
        ("reactivate-user", json!({})),
    ];
    for (command, body) in commands {
        for above in [ADMIN, NURSE] {
            let body = patched(json!({ "user_id": user(above) }), body.clone());
            clerk.command(command, body).await.problem(403, "forbidden");
        }
        clerk.did(command, patched(json!({ "user_id": people[1] }), body)).await;
    }
    clerk.did("change-user-profile", json!({"user_id": people[0], "last_name": "Self"})).await;
}
