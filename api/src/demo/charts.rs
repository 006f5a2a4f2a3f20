//! What the demo's patients had, what they take, and whom to call.

use chrono::Days;
use hims_commands::medical_history::RecordMedicalHistory;
use hims_commands::medication_list::AddPatientMedication;
use hims_commands::patient::{AddEmergencyContact, AddPatientIdentifier};
use hims_commands::vital_signs::RecordVitalSigns;
use hims_domain::values::coding::{CVX, ICD_10_CM, SNOMED_CT};
use serde_json::json;

use super::{MEDICATION, PATIENT, USER, id};
use crate::{Hospital, HospitalError};

const CONTACT: u16 = 9;
pub(super) const HISTORY: u16 = 10;
const TAKEN: u16 = 11;
const MEASURED: u16 = 0x36;

/// The emergency contacts: number of the patient, name, relationship, last digits of the phone number.
const CONTACTS: [(u128, &str, &str, &str); 4] = [
    (1, "Mateo Reyes", "husband", "01"),
    (1, "Lucía Reyes", "mother", "02"),
    (5, "Chidi Nwosu", "father", "03"),
    (8, "Inês Silva", "daughter", "04"),
];

/// The medical history: number of the patient, type, description, system of the code, code, day or year of the onset.
const HISTORY_ENTRIES: [(u128, &str, &str, &str, &str, &str); 5] = [
    (1, "immunization", "Influenza, seasonal, injectable", CVX, "141", "2025-10-14"),
    (3, "condition", "Type 2 diabetes mellitus", ICD_10_CM, "E11.9", "2009"),
    (4, "surgery", "Appendectomy", SNOMED_CT, "80146002", "1961"),
    (4, "social", "Ex-smoker", SNOMED_CT, "8517006", "1999"),
    (8, "family", "Myocardial infarction", SNOMED_CT, "22298006", "1970"),
];

/// What patients take that was not prescribed here: number of the patient, medication, dose, who told of it.
const TAKEN_ELSEWHERE: [(u128, Named, &str, &str); 3] = [
    (3, Named::InWords("Metformin 500 mg oral tablet"), "500 mg", "external"),
    (4, Named::InCatalogue(4), "20 mg", "external"),
    (8, Named::InWords("Fish oil"), "1 capsule", "otc"),
];

/// The identifiers of patients elsewhere: number of the patient, system, value.
const IDENTIFIERS: [(u128, &str, &str); 2] = [
    (3, "https://harbour-clinic.example/patients", "HC-20417"),
    (8, "https://harbour-clinic.example/patients", "HC-31008"),
];

/// Vital signs of patient 4: days ago, blood pressure and heart rate, temperature in Fahrenheit and weight in kg.
const VITAL_SIGNS: [(u64, [i32; 3], [&str; 2]); 2] =
    [(25, [142, 88, 78], ["98.2", "81.5"]), (3, [134, 84, 74], ["98.6", "80.9"])];

/// How a medication is named.
#[derive(Clone, Copy)]
enum Named {
    /// By its name.
    InWords(&'static str),
    /// By its number in the catalogue of the demo.
    InCatalogue(u128),
}

impl Hospital {
    /// Records whom to call, what patients had, and what they take.
    pub(super) async fn charts(&self) -> Result<(), HospitalError> {
        for (number, (patient, name, relationship, phone)) in (1..).zip(CONTACTS) {
            self.demo::<AddEmergencyContact>(json!({
                "patient_id": id(PATIENT, patient), "contact_id": id(CONTACT, number), "name": name,
                "relationship": relationship, "phone_primary": format!("+121255503{phone}"),
            }))
            .await?;
        }
        for (number, (patient, kind, description, system, code, onset)) in (1..).zip(HISTORY_ENTRIES) {
            self.demo::<RecordMedicalHistory>(json!({
                "id": id(HISTORY, number), "patient_id": id(PATIENT, patient), "history_type": kind,
                "description": description, "code_system": system, "code": code, "onset_date": onset,
                "family_relationship": (kind == "family").then_some("father"), "source": "patient",
                "recorded_by": id(USER, 2),
            }))
            .await?;
        }
        for (patient, system, value) in IDENTIFIERS {
            self.demo::<AddPatientIdentifier>(json!({
                "patient_id": id(PATIENT, patient), "system": system, "value": value,
            }))
            .await?;
        }
        let now = self.executor.now();
        for (number, (days, [systolic, diastolic, rate], [temperature, weight])) in (1..).zip(VITAL_SIGNS) {
            self.demo::<RecordVitalSigns>(json!({
                "id": id(MEASURED, number), "patient_id": id(PATIENT, 4), "recorded_by": id(USER, 3),
                "recorded_at": now - Days::new(days), "blood_pressure_systolic": systolic,
                "blood_pressure_diastolic": diastolic, "heart_rate": rate, "temperature": temperature,
                "weight_kg": weight,
            }))
            .await?;
        }
        for (number, (patient, named, dose, source)) in (1..).zip(TAKEN_ELSEWHERE) {
            let (name, medication_id) = match named {
                Named::InWords(name) => (Some(name), None),
                Named::InCatalogue(number) => (None, Some(id(MEDICATION, number))),
            };
            self.demo::<AddPatientMedication>(json!({
                "patient_id": id(PATIENT, patient), "entry_id": id(TAKEN, number), "medication_name": name,
                "medication_id": medication_id, "dose": dose, "source": source,
            }))
            .await?;
        }
        Ok(())
    }
}
