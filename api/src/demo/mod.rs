//! A small made-up hospital for demonstrations, created through commands, with the same people and ids every time.

mod alerts;
mod billing;
mod charts;
mod claims;
mod controlled;
mod giving;
mod insurance;
mod laboratory;
mod notifications;
mod people;
mod prescriptions;
mod reports;
mod results;
mod rights;
mod scheduling;
mod stock;
mod visits;
mod waitlist;
mod week;

use hims_commands::department::OpenDepartment;
use hims_commands::medication::AddMedication;
use hims_commands::medication_lot::ReceiveMedicationLot;
use hims_commands::room::AddRoom;
use hims_domain::appointment::Appointment;
use hims_event_store::Recorded;
use serde_json::json;
use uuid::Uuid;

use crate::bootstrap::is_of_set_up;
use crate::{Hospital, HospitalError};

pub(crate) use people::PASSWORD;

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
const LEAVE: u16 = 12;
const SERIES: u16 = 13;
const NOTE: u16 = 14;

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
            is_of_set_up(event) || event.circumstances().is_ok_and(|it| giving::is_of_demo(&it.actor))
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
        self.further_patients().await?;
        self.insurance().await?;
        self.suppliers().await?;
        self.pharmacy().await?;
        self.controlled().await?;
        self.stock().await?;
        self.charts().await?;
        self.alerts().await?;
        self.visits().await?;
        self.prescriptions().await?;
        self.billing().await?;
        self.claims().await?;
        self.laboratory().await?;
        self.results().await?;
        self.rights().await?;
        self.schedules().await?;
        self.waitlist().await?;
        self.notifications().await?;
        self.reports().await?;
        self.week().await?;
        self.appointments().await
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
        for (number, department, room, kind) in
            [(1, 1, "101", "exam"), (2, 1, "102", "exam"), (3, 2, "P1", "pharmacy"), (4, 1, "103", "exam")]
        {
            self.demo::<AddRoom>(json!({
                "id": id(ROOM, number), "department_id": id(DEPARTMENT, department), "room_number": room,
                "room_type": kind,
            }))
            .await?;
        }
        Ok(())
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
