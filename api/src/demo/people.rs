//! The people of the demo: its staff and its patients.

use std::collections::BTreeMap;

use hims_commands::patient::{MergePatients, RecordAllergy, RegisterPatient};
use hims_commands::role_id;
use hims_commands::user::{ChangeUserDepartment, CreateUser, LinkUserToPatient};
use hims_domain::patient::Patient;
use serde_json::json;

use super::{DEPARTMENT, PATIENT, USER, id};
use crate::{Hospital, HospitalError};

/// The password of every login that is made up.
pub(crate) const PASSWORD: &str = "demo-hims-2026";
const ALLERGY: u16 = 8;

/// One login for each role, and a second doctor: number, login, name of the role, given name, family name.
pub(super) const STAFF: [(u128, &str, &str, &str, &str); 11] = [
    (1, "admin", "administrator", "Ada", "Minis"),
    (2, "doctor", "doctor", "Dana", "Osei"),
    (3, "nurse", "nurse", "Nils", "Berg"),
    (4, "reception", "receptionist", "Rosa", "Lindt"),
    (5, "pharmacist", "pharmacist", "Petra", "Quist"),
    (6, "lab", "lab_technician", "Lars", "Amadi"),
    (7, "patient", "patient", "Paula", "Reyes"),
    (8, "doctor2", "doctor", "Ines", "Kaya"),
    (9, "auditor", "auditor", "Aino", "Virtanen"),
    (10, "privacy", "privacy_officer", "Priya", "Nair"),
    (11, "operator", "operator", "Omar", "Haddad"),
];

/// The department of each member of the staff who works in one: numbers of both.
const DEPARTMENTS: [(u128, u128); 6] = [(2, 1), (3, 1), (4, 1), (5, 2), (6, 3), (8, 1)];

/// The patients: given name, family name, date of birth, gender.
const PATIENTS: [(&str, &str, &str, &str); 8] = [
    ("Paula", "Reyes", "1984-03-12", "female"),
    ("Will An", "Do", "1990-07-01", "male"),
    ("Siobhan", "O'Brien", "1957-11-30", "female"),
    ("Jürgen", "Weiß", "1949-01-17", "male"),
    ("Amara", "Nwosu", "2019-05-22", "female"),
    ("Kenji", "Watanabe", "1972-09-08", "male"),
    ("Leila", "Haddad", "2001-12-03", "female"),
    ("Tomás", "Silva", "1938-02-27", "male"),
];

/// The number of the second record of patient 4, who was registered twice. The record is merged into the first one.
const SECOND_RECORD: u128 = 9;

/// Further patients, from the number after the second record on: given name, family name, date of birth, gender.
const FURTHER_PATIENTS: [(&str, &str, &str, &str); 17] = [
    ("Marisol", "Quintana", "1966-08-14", "female"),
    ("Desmond", "Achebe", "1953-04-09", "male"),
    ("Freya", "Lindqvist", "1995-10-21", "female"),
    ("Rajesh", "Iyer", "1978-01-05", "male"),
    ("Gwendolyn", "Pritchard", "1944-06-30", "female"),
    ("Hiroko", "Tanabe", "1987-02-17", "female"),
    ("Lorenzo", "Bianchi", "2012-09-03", "male"),
    ("Nadia", "Petrov", "1991-12-12", "female"),
    ("Elijah", "Whitaker", "2006-05-28", "male"),
    ("Soledad", "Ibarra", "1959-03-19", "female"),
    ("Magnus", "Thorsen", "1982-11-08", "male"),
    ("Aaliyah", "Rahman", "2021-07-24", "female"),
    ("Cornelius", "Vanderberg", "1935-10-02", "male"),
    ("Thandiwe", "Dlamini", "1974-05-11", "female"),
    ("Patrick", "Gallagher", "1969-09-26", "male"),
    ("Yuna", "Seo", "2015-01-31", "female"),
    ("Baptiste", "Moreau", "1998-06-07", "other"),
];

impl Hospital {
    /// Creates the users, and says where they work.
    pub(super) async fn staff(&self) -> Result<(), HospitalError> {
        for (number, login, role, first, last) in STAFF {
            self.demo::<CreateUser>(json!({
                "id": id(USER, number), "email": format!("{login}@demo.hims"), "first_name": first,
                "last_name": last, "role_id": role_id(role), "password": PASSWORD,
            }))
            .await?;
        }
        for (number, department) in DEPARTMENTS {
            self.demo::<ChangeUserDepartment>(json!({
                "user_id": id(USER, number), "department_id": id(DEPARTMENT, department),
            }))
            .await?;
        }
        Ok(())
    }

    /// Registers a patient of the demo.
    async fn register(&self, number: u128, of: (&str, &str, &str, &str)) -> Result<(), HospitalError> {
        let (first, last, born, gender) = of;
        self.demo::<RegisterPatient>(json!({
            "id": id(PATIENT, number), "first_name": first, "last_name": last, "date_of_birth": born,
            "gender": gender, "ssn": format!("123-45-{number:04}"), "phone_primary": format!("+121255502{number:02}"),
            "address_line_1": format!("{number} Example Street"), "city": "New York", "state": "NY",
            "postal_code": "10001", "preferred_language": "en",
        }))
        .await
    }

    /// Registers the patients of whom most is told, and what two of them do not tolerate. The first one has a login.
    pub(super) async fn patients(&self) -> Result<(), HospitalError> {
        for (number, of) in (1..).zip(PATIENTS) {
            self.register(number, of).await?;
        }
        let reactions = BTreeMap::from([
            (1, ("Penicillin", "severe", "Hives")),
            (3, ("Peanut", "life_threatening", "Anaphylaxis")),
        ]);
        for (number, (allergen, severity, reaction)) in reactions {
            let kind = if allergen == "Peanut" { "food" } else { "drug" };
            self.demo::<RecordAllergy>(json!({
                "patient_id": id(PATIENT, number), "allergy_id": id(ALLERGY, number), "allergen_type": kind,
                "allergen_name": allergen, "severity": severity, "reaction_description": reaction,
                "reported_by": id(USER, 3),
            }))
            .await?;
        }
        self.demo::<LinkUserToPatient>(json!({"user_id": id(USER, 7), "patient_id": id(PATIENT, 1)})).await
    }

    /// Registers a patient a second time, in another spelling, and merges the second record into the first.
    pub(super) async fn merged(&self) -> Result<(), HospitalError> {
        let (duplicate, survivor) = (id(PATIENT, SECOND_RECORD), id(PATIENT, 4));
        self.demo::<RegisterPatient>(json!({
            "id": duplicate, "first_name": "Juergen", "last_name": "Weiss", "date_of_birth": "1949-01-17",
            "gender": "male", "phone_primary": "+12125550204", "confirm_not_duplicate": true,
        }))
        .await?;
        let mrn = async |patient| {
            let state = self.executor.load::<Patient>(patient, true).await?.state;
            let known = state.and_then(|patient| patient.mrn.known().map(|mrn| mrn.0.clone()));
            Ok::<_, HospitalError>(known.unwrap_or_default())
        };
        self.demo::<MergePatients>(json!({
            "patient_id": survivor, "duplicate_id": duplicate, "mrn": mrn(survivor).await?,
            "duplicate_mrn": mrn(duplicate).await?, "reason": "Registered twice, in two spellings",
        }))
        .await
    }

    /// Registers the patients who fill the lists.
    pub(super) async fn further_patients(&self) -> Result<(), HospitalError> {
        for (number, of) in (SECOND_RECORD + 1..).zip(FURTHER_PATIENTS) {
            self.register(number, of).await?;
        }
        Ok(())
    }
}
