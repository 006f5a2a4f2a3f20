//! The ids of the demo hospital, and bodies of commands for it.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use chrono_tz::America::New_York;
use serde_json::{Value, json};

use super::Client;
use super::billing::charged;

pub(crate) const PASSWORD: &str = "demo-hims-2026";

fn id(kind: u16, number: u16) -> String {
    format!("de30{kind:04x}-0000-8000-8000-{number:012x}")
}

pub(crate) fn department(number: u16) -> String {
    id(1, number)
}
pub(crate) fn room(number: u16) -> String {
    id(2, number)
}
pub(crate) fn user(number: u16) -> String {
    id(3, number)
}
pub(crate) fn patient(number: u16) -> String {
    id(4, number)
}
pub(crate) fn medication(number: u16) -> String {
    id(5, number)
}
pub(crate) fn lot(medication: u16, nth: u16) -> String {
    id(6, medication * 10 + nth)
}

/// The demo's appointment with a patient, 1 to 4.
pub(crate) fn visit(patient: u16) -> String {
    id(7, patient)
}

/// The demo's laboratory test: 1 is potassium, 2 hemoglobin, 3 a urinalysis.
pub(crate) fn lab_test(number: u16) -> String {
    id(0x60, number)
}

pub(crate) fn lab_order(number: u16) -> String {
    id(0x61, number)
}

pub(crate) fn supplier(number: u16) -> String {
    id(0x50, number)
}

/// An article of the demo: 1 to 3 are counted in rooms, 11 to 14 are medicines.
pub(crate) fn article(number: u16) -> String {
    id(0x51, number)
}

pub(crate) fn payer(number: u16) -> String {
    id(0x20, number)
}

/// The schedule of a report that the demo's doctor has set up.
pub(crate) fn report_schedule() -> String {
    id(0x71, 1)
}

pub(crate) fn notification(number: u16) -> String {
    id(15, number)
}

/// The number of the login of the patient 1 among the demo's users, for [`user`].
pub(crate) const PATIENT_LOGIN: u16 = 7;
/// The numbers of the doctor, the nurse and the receptionist among the demo's users, for [`user`].
pub(crate) const DOCTOR: u16 = 2;
pub(crate) const NURSE: u16 = 3;
pub(crate) const RECEPTION: u16 = 4;
/// The number of the privacy officer among the demo's users, for [`user`].
pub(crate) const PRIVACY_OFFICER: u16 = 10;
/// How many records of patients the demo has. Two of them are of one patient, who was registered twice.
pub(crate) const RECORDS: usize = 26;

/// Noon (UTC) some days from today, plus some minutes.
pub(crate) fn at(days: i64, minutes: i64) -> DateTime<Utc> {
    let day = (hims_api::surroundings().clock)().date_naive() + TimeDelta::days(days);
    day.and_hms_opt(12, 0, 0).expect("noon").and_utc() + TimeDelta::minutes(minutes)
}

/// A day some days from today, where the demo hospital is: there, today may still be the day before that of UTC.
pub(crate) fn local_day(days: i64) -> NaiveDate {
    let [_, today] = days_of((hims_api::surroundings().clock)());
    today + TimeDelta::days(days)
}

/// The day of an instant by UTC and where the demo hospital is: what the demo holds is of both.
fn days_of(instant: DateTime<Utc>) -> [NaiveDate; 2] {
    [instant.date_naive(), instant.with_timezone(&New_York).date_naive()]
}

/// Today by UTC and where the demo hospital is. Waits first while a day ends within two minutes, so that what a test
/// expects is of the days of its demo.
pub(crate) fn today() -> [NaiveDate; 2] {
    loop {
        let now = (hims_api::surroundings().clock)();
        let days = days_of(now);
        if days_of(now + TimeDelta::minutes(2)) == days {
            return days;
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

/// The body of `schedule-appointment`: half an hour with the doctor in the first room.
pub(crate) fn appointment(patient_id: &str, starts_at: DateTime<Utc>) -> Value {
    json!({
        "patient_id": patient_id, "provider_id": user(DOCTOR), "room_id": room(1), "appointment_type": "follow_up",
        "starts_at": starts_at, "duration_minutes": 30, "reason_for_visit": "Persistent cough",
    })
}

/// The body of `check-in-appointment` for an appointment of another day.
pub(crate) fn early(appointment_id: &str) -> Value {
    json!({"appointment_id": appointment_id, "other_day_reason": "came early, and there was time"})
}

/// The body of `register-patient` for a person who is not registered in the demo hospital.
pub(crate) fn person(first_name: &str, last_name: &str, number: u32) -> Value {
    // Each number has a birth date of its own, so that nobody is refused as a possible duplicate.
    let born = NaiveDate::from_ymd_opt(1979, 4, 22).expect("a day") + Days::new(u64::from(number));
    json!({
        "first_name": first_name, "last_name": last_name, "date_of_birth": born, "gender": "female",
        "ssn": format!("123-65-{:04}", number + 1), "phone_primary": "555-415-3084", "city": "Hinterzarten",
    })
}

pub(crate) fn prescription(patient_id: &str, medication: u16, quantity: &str, unit: &str) -> Value {
    json!({
        "patient_id": patient_id,
        "items": [{"medication_id": self::medication(medication), "quantity": quantity, "quantity_unit": unit,
                   "instructions": "With plenty of water"}],
    })
}

/// A day with most kinds of commands, a refused booking and a failed login, until it is charged. Returns the id of the day's patient.
pub(crate) async fn busy_day(nobody: &Client) -> String {
    let reception = nobody.login("reception").await;
    let (doctor, nurse) = (nobody.login("doctor").await, nobody.login("nurse").await);
    let pharmacist = nobody.login("pharmacist").await;
    let patient_id = reception.did("register-patient", person("Zuzanna", "Kowalczyk", 1)).await;
    for number in 0..4 {
        let booked = appointment(&patient_id, at(5, 30 * number));
        let appointment_id = reception.did("schedule-appointment", booked).await;
        match number {
            0 => drop(
                reception.did("cancel-appointment", json!({"appointment_id": appointment_id, "reason": "ill"})).await,
            ),
            1 => {
                let moved = json!({"appointment_id": appointment_id, "starts_at": at(6, 0), "duration_minutes": 45});
                reception.did("reschedule-appointment", moved).await;
            }
            _ => drop(reception.did("check-in-appointment", early(&appointment_id)).await),
        }
        if number == 3 {
            let started =
                json!({"patient_id": patient_id, "appointment_id": appointment_id, "chief_complaint": "Cough"});
            let consultation_id = doctor.did("start-consultation", started).await;
            doctor
                .did("record-findings", json!({"consultation_id": consultation_id, "assessment": "Bronchitis"}))
                .await;
            doctor.did("complete-consultation", json!({"consultation_id": consultation_id})).await;
        }
    }
    let refused = reception.command("schedule-appointment", appointment(&patient_id, at(6, 15))).await;
    refused.problem(409, "double-booking");
    let vital_signs_id = nurse.did("record-vital-signs", json!({"patient_id": patient_id, "heart_rate": 72})).await;
    let corrected = json!({"vital_signs_id": vital_signs_id, "reason": "mistyped", "correction": {"heart_rate": 27},
                           "confirm_extreme": true});
    nurse.did("mark-vital-signs-entered-in-error", corrected).await;
    let allergy =
        json!({"patient_id": patient_id, "allergen_type": "drug", "allergen_name": "Codeine", "severity": "mild"});
    doctor.did("record-allergy", allergy).await;
    let prescription_id = doctor.did("write-prescription", prescription(&patient_id, 2, "12.5", "tablet")).await;
    doctor.did("send-prescription-to-pharmacy", json!({"prescription_id": prescription_id})).await;
    pharmacist.did("dispense-prescription", json!({"prescription_id": prescription_id})).await;
    let changed = json!({"patient_id": patient_id, "city": "Freiburg", "email": "zuzanna@example.org"});
    reception.did("change-patient-demographics", changed).await;
    nobody.log_in("doctor@demo.hims", "not the password").await.problem(401, "wrong-credentials");
    charged(nobody).await;
    patient_id
}
