//! A small made-up hospital for demonstrations, created through commands, with the same people and ids every time.

mod charts;
mod insurance;
mod visits;

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Utc, Weekday};
use chrono_tz::America::New_York;
use hims_commands::appointment::ScheduleAppointment;
use hims_commands::appointment_note::AddAppointmentNote;
use hims_commands::appointment_series::ScheduleAppointmentSeries;
use hims_commands::department::OpenDepartment;
use hims_commands::medication::AddMedication;
use hims_commands::medication_lot::ReceiveMedicationLot;
use hims_commands::patient::{MergePatients, RecordAllergy, RegisterPatient};
use hims_commands::provider_schedule::{AddProviderLeave, SetProviderHours, SetScheduleException};
use hims_commands::room::AddRoom;
use hims_commands::user::{ChangeUserDepartment, CreateUser, LinkUserToPatient};
use hims_commands::{Caller, Command, Failure, NewPassword, Refused, Request, role_id};
use hims_domain::appointment::Appointment;
use hims_domain::patient::Patient;
use hims_domain::role::Role;
use hims_domain::wall_clock::{Bound, instant_of};
use hims_domain::{Aggregate as _, UserId};
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

/// The number of a patient who was registered twice: the second record was merged into that of patient 4.
const DUPLICATE: u128 = 9;

/// The number of the appointment that is scheduled last. Once it exists, the demo is complete.
const LAST_APPOINTMENT: u128 = 4;

impl Hospital {
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
                    "unit_cost": "0.25", "reorder_level": "50",
                }))
                .await?;
            }
        }
        Ok(())
    }

    /// Sets when the doctor reviews medications in the pharmacy. In internal medicine, the doctor may be booked at any
    /// time, since nothing is said about the hours there.
    async fn schedules(&self) -> Result<(), HospitalError> {
        let today = self.executor.now().with_timezone(&New_York).date_naive();
        let of_doctor = |more: Value| {
            let mut body = json!({"provider_id": id(USER, 2), "department_id": id(DEPARTMENT, 2)});
            if let (Value::Object(fields), Value::Object(more)) = (&mut body, more) {
                fields.extend(more);
            }
            body
        };
        let block = |weekday: u8| {
            json!({"weekday": weekday, "from": "14:00", "until": "17:00", "room_id": id(ROOM, 3),
                   "appointment_types": ["medication_review"]})
        };
        self.demo::<SetProviderHours>(of_doctor(json!({
            "effective_from": today, "weekly": [block(1), block(4)], "slot_minutes": 20, "minimum_notice_minutes": 120,
            "horizon_days": 365,
        })))
        .await?;
        self.demo::<SetScheduleException>(of_doctor(json!({
            "date": next(Weekday::Mon, today + Days::new(14)), "hours": [{"from": "09:00", "until": "11:00"}],
            "reason": "In the morning of this day",
        })))
        .await?;
        let vacation = self.executor.now() + chrono::TimeDelta::days(200);
        self.demo::<AddProviderLeave>(json!({
            "provider_id": id(USER, 2), "leave_id": id(LEAVE, 1), "kind": "vacation", "from": vacation,
            "until": vacation + chrono::TimeDelta::days(7),
        }))
        .await?;
        let thursday = next(Weekday::Thu, today + Days::new(7));
        self.demo::<ScheduleAppointmentSeries>(of_doctor(json!({
            "id": id(SERIES, 1), "patient_id": id(PATIENT, 8), "room_id": id(ROOM, 3),
            "appointment_type": "medication_review", "starts_at": in_new_york(thursday, 14), "duration_minutes": 20,
            "rrule": "FREQ=WEEKLY;COUNT=4",
        })))
        .await
    }

    /// Schedules an appointment tomorrow for each of the first patients.
    async fn appointments(&self) -> Result<(), HospitalError> {
        let tomorrow = self.executor.now().with_timezone(&New_York).date_naive() + Days::new(1);
        let morning = in_new_york(tomorrow, 9);
        for number in 1..=LAST_APPOINTMENT {
            let starts_at = morning + chrono::TimeDelta::minutes(30 * i64::try_from(number).unwrap_or(0));
            self.demo::<ScheduleAppointment>(json!({
                "id": id(APPOINTMENT, number), "patient_id": id(PATIENT, number), "provider_id": UserId(id(USER, 2)),
                "room_id": id(ROOM, 1), "appointment_type": "follow_up", "starts_at": starts_at,
                "duration_minutes": 30, "reason_for_visit": "Follow-up",
            }))
            .await?;
            if number == 1 {
                self.demo::<AddAppointmentNote>(json!({
                    "id": id(NOTE, 1), "appointment_id": id(APPOINTMENT, 1), "note_type": "call_log",
                    "body": "Called to say that she may be ten minutes late",
                }))
                .await?;
            }
        }
        Ok(())
    }
}

/// An hour of a day in New York, where the demo's departments are.
fn in_new_york(day: NaiveDate, hour: u32) -> DateTime<Utc> {
    let wall = day.and_time(NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default());
    instant_of(wall, &New_York, Bound::Start)
}

/// The first day of the week with this name, from a day on.
fn next(weekday: Weekday, from: NaiveDate) -> NaiveDate {
    from + Days::new(u64::from(weekday.days_since(from.weekday())))
}
