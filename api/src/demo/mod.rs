//! A small made-up hospital for demonstrations, created through commands, with the same people and ids every time.

mod alerts;
mod billing;
mod charts;
mod claims;
mod insurance;
mod laboratory;
mod notifications;
mod prescriptions;
mod reports;
mod results;
mod scheduling;
mod stock;
mod visits;
mod waitlist;

use std::collections::BTreeMap;

use hims_commands::department::OpenDepartment;
use hims_commands::medication::AddMedication;
use hims_commands::medication_lot::ReceiveMedicationLot;
use hims_commands::patient::{MergePatients, RecordAllergy, RegisterPatient};
use hims_commands::room::AddRoom;
use hims_commands::user::{ChangeUserDepartment, CreateUser, LinkUserToPatient};
use hims_commands::{Caller, Command, Failure, NewPassword, Refused, Request, role_id};
use hims_domain::Aggregate as _;
use hims_domain::appointment::Appointment;
use hims_domain::patient::Patient;
use hims_domain::report::Report;
use hims_domain::role::Role;
use hims_event_store::{Actor, Recorded};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Hospital, HospitalError};

const PASSWORD: &str = "demo-hims-2026";

/// One login for each role: number, login, name of the role, given name, family name.
const STAFF: [(u128, &str, &str, &str, &str); 7] = [
    (1, "admin", "administrator", "Ada", "Minis"),
    (2, "doctor", "doctor", "Dana", "Osei"),
    (3, "nurse", "nurse", "Nils", "Berg"),
    (4, "reception", "receptionist", "Rosa", "Lindt"),
    (5, "pharmacist", "pharmacist", "Petra", "Quist"),
    (6, "lab", "lab_technician", "Lars", "Amadi"),
    (7, "patient", "patient", "Paula", "Reyes"),
];

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

/// The medications: name, generic name, strength, form, RxNorm product, RxNorm ingredient.
const MEDICATIONS: [(&str, &str, &str, &str, &str, &str); 4] = [
    ("Amoxicillin 500 mg oral capsule", "amoxicillin", "500 mg", "capsule", "308191", "723"),
    ("Warfarin sodium 5 mg oral tablet", "warfarin", "5 mg", "tablet", "855332", "11289"),
    ("Naproxen 250 mg oral tablet", "naproxen", "250 mg", "tablet", "198013", "7258"),
    ("Simvastatin 20 mg oral tablet", "simvastatin", "20 mg", "tablet", "312961", "36567"),
];

/// An id of the demo hospital, made from a kind and a number, so that every demo has the same ids.
fn id(kind: u16, number: u128) -> Uuid {
    uuid::Builder::from_custom_bytes(((0xDE30_u128 << 112) | (u128::from(kind) << 96) | number).to_be_bytes())
        .into_uuid()
}

const DEPARTMENT: u16 = 1;
const ROOM: u16 = 2;
const USER: u16 = 3;
const PATIENT: u16 = 4;
const MEDICATION: u16 = 5;
const LOT: u16 = 6;
const APPOINTMENT: u16 = 7;
const ALLERGY: u16 = 8;
const LEAVE: u16 = 12;
const SERIES: u16 = 13;
const NOTE: u16 = 14;

/// The number of the second record of patient 4, who was registered twice. The record is merged into the first one.
const SECOND_RECORD: u128 = 9;

/// The number of the appointment that is scheduled last. Once it exists, the demo is complete.
const LAST_APPOINTMENT: u128 = 4;

impl Hospital {
    /// Fills an empty log with the made-up hospital. Does nothing if the log holds the complete demo already.
    ///
    /// # Errors
    /// When the log holds events of another hospital, or does not answer.
    pub async fn fill_with_demo(&self) -> Result<(), HospitalError> {
        if self.executor.load::<Appointment>(id(APPOINTMENT, LAST_APPOINTMENT), true).await?.version > 0 {
            return Ok(());
        }
        // An interrupted demo is completed. A log that holds any other event is left as it is.
        let begun = self.store.read(0, 1_000).await?;
        let is_ours = |event: &Recorded| {
            event.circumstances().is_ok_and(|circumstances| match circumstances.actor {
                Actor::System { name } => {
                    name == "demo"
                        || name == "set-up" && [Role::STREAM, Report::STREAM].contains(&event.stream_type.as_str())
                }
                Actor::User { .. } => false,
            })
        };
        if !begun.iter().all(is_ours) {
            return Err(HospitalError::NotEmpty);
        }
        self.define_roles().await?;
        self.define_reports().await?;
        self.places().await?;
        self.staff().await?;
        self.patients().await?;
        self.merged().await?;
        self.insurance().await?;
        self.suppliers().await?;
        self.pharmacy().await?;
        self.stock().await?;
        self.charts().await?;
        self.alerts().await?;
        self.visits().await?;
        self.prescriptions().await?;
        self.billing().await?;
        self.claims().await?;
        self.laboratory().await?;
        self.results().await?;
        self.schedules().await?;
        self.waitlist().await?;
        self.notifications().await?;
        self.reports().await?;
        self.appointments().await
    }

    /// Carries out a command, given as its request body.
    async fn demo<C: Command>(&self, body: Value) -> Result<(), HospitalError> {
        let command: C = serde_json::from_value(body).map_err(|error| {
            hims_event_store::StoreError::Unavailable(format!("the demo's command {} is malformed: {error}", C::NAME))
        })?;
        self.once(command).await
    }

    /// Carries out a command. The refusal of a command that an earlier run carried out already is no error.
    async fn once<C: Command>(&self, command: C) -> Result<(), HospitalError> {
        match self.executor.execute_unless_refused(command, Request::of(Caller::system("demo"))).await {
            Ok(_) | Err(Failure::Refused(Refused { code: "already-exists" | "double-booking", .. })) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn places(&self) -> Result<(), HospitalError> {
        for (number, code, name) in [(1, "MED", "Internal medicine"), (2, "PHA", "Pharmacy"), (3, "LAB", "Laboratory")]
        {
            self.demo::<OpenDepartment>(json!({
                "id": id(DEPARTMENT, number), "code": code, "name": name, "time_zone": "America/New_York",
                "phone": format!("+1212555010{number}"),
            }))
            .await?;
        }
        for (number, department, room, kind) in [(1, 1, "101", "exam"), (2, 1, "102", "exam"), (3, 2, "P1", "pharmacy")]
        {
            self.demo::<AddRoom>(json!({
                "id": id(ROOM, number), "department_id": id(DEPARTMENT, department), "room_number": room,
                "room_type": kind,
            }))
            .await?;
        }
        Ok(())
    }

    async fn staff(&self) -> Result<(), HospitalError> {
        let created = STAFF.iter().map(|(number, login, role, first, last)| {
            let command = serde_json::from_value::<CreateUser>(json!({
                "id": id(USER, *number), "email": format!("{login}@demo.hims"), "first_name": first,
                "last_name": last, "role_id": role_id(role), "password": NewPassword::new(PASSWORD),
            }));
            async move {
                let command = command.map_err(|error| {
                    hims_event_store::StoreError::Unavailable(format!("the demo's staff is malformed: {error}"))
                })?;
                self.once(command).await
            }
        });
        // The users are created one after the other, so that the log of a demo is the same every time.
        for creating in created {
            creating.await?;
        }
        for (number, department) in [(2, 1), (3, 1), (4, 1), (5, 2), (6, 3)] {
            self.demo::<ChangeUserDepartment>(json!({
                "user_id": id(USER, number), "department_id": id(DEPARTMENT, department),
            }))
            .await?;
        }
        Ok(())
    }

    async fn patients(&self) -> Result<(), HospitalError> {
        for (number, (first, last, born, gender)) in (1..).zip(PATIENTS) {
            self.demo::<RegisterPatient>(json!({
                "id": id(PATIENT, number), "first_name": first, "last_name": last, "date_of_birth": born,
                "gender": gender, "ssn": format!("123-45-{number:04}"), "phone_primary": format!("+121255502{number:02}"),
                "address_line_1": format!("{number} Example Street"), "city": "New York", "state": "NY",
                "postal_code": "10001", "preferred_language": "en",
            }))
            .await?;
        }
        let reactions = BTreeMap::from([
            (1, ("Penicillin", "severe", "Hives")),
            (3, ("Peanut", "life_threatening", "Anaphylaxis")),
        ]);
        for (number, (allergen, severity, reaction)) in reactions {
            let kind = if allergen == "Peanut" { "food" } else { "drug" };
            self.demo::<RecordAllergy>(json!({
                "patient_id": id(PATIENT, number), "allergy_id": id(ALLERGY, number), "allergen_type": kind, "allergen_name": allergen,
                "severity": severity, "reaction_description": reaction, "reported_by": id(USER, 3),
            }))
            .await?;
        }
        self.demo::<LinkUserToPatient>(json!({"user_id": id(USER, 7), "patient_id": id(PATIENT, 1)})).await
    }

    /// Registers a patient a second time, in another spelling, and merges the second record into the first.
    async fn merged(&self) -> Result<(), HospitalError> {
        let (duplicate, survivor) = (id(PATIENT, SECOND_RECORD), id(PATIENT, 4));
        self.demo::<RegisterPatient>(json!({
            "id": duplicate, "first_name": "Juergen", "last_name": "Weiss", "date_of_birth": "1949-01-17",
            "gender": "male", "phone_primary": "+12125550204", "confirm_not_duplicate": true,
        }))
        .await?;
        let mrn = async |patient| {
            let state = self.executor.load::<Patient>(patient, true).await?.state;
            let known = state.and_then(|it| it.mrn.known().map(|it| it.0.clone()));
            Ok::<_, HospitalError>(known.unwrap_or_default())
        };
        self.demo::<MergePatients>(json!({
            "patient_id": survivor, "duplicate_id": duplicate, "mrn": mrn(survivor).await?,
            "duplicate_mrn": mrn(duplicate).await?, "reason": "Registered twice, in two spellings",
        }))
        .await
    }

    async fn pharmacy(&self) -> Result<(), HospitalError> {
        let today = self.executor.now().date_naive();
        for (number, (name, generic, strength, form, product, ingredient)) in (1..).zip(MEDICATIONS) {
            self.demo::<AddMedication>(json!({
                "id": id(MEDICATION, number), "name": name, "generic_name": generic, "strength": strength,
                "form": form, "route": "oral", "rxnorm_code": product, "ingredients": [ingredient],
            }))
            .await?;
            for (nth, months) in [(1_u32, 6_u32), (2, 18)] {
                self.demo::<ReceiveMedicationLot>(json!({
                    "id": id(LOT, number * 10 + u128::from(nth)), "medication_id": id(MEDICATION, number),
                    "location_id": id(ROOM, 3), "lot_number": format!("L{number}{nth}"),
                    "expiry_date": today + chrono::Months::new(months), "quantity": "200", "unit": form,
                    "unit_cost": "0.25", "reorder_level": "50", "supplier_id": id(stock::SUPPLIER, 2),
                }))
                .await?;
            }
        }
        Ok(())
    }
}
