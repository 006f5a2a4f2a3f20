//! When providers work, and what is booked within and outside their hours.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use chrono_tz::America::New_York;
use serde_json::{Value, json};

use super::Hospital;
use super::demo::{self, DOCTOR, appointment, at, department, patient, room, user};

/// Runs every command about scheduling that [`everything`](super::everything) does not run itself.
pub(crate) async fn everything(hospital: &Hospital, patient_id: &str) {
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    let of_doctor =
        |more: Value| hims_testing::patched(json!({"provider_id": user(DOCTOR), "department_id": department(3)}), more);
    let day = at(40, 0).date_naive();
    for slot_minutes in [15, 30] {
        let weekly = json!([{"weekday": 1, "from": "08:00", "until": "12:00", "room_id": room(2)}]);
        let hours = json!({"effective_from": day, "weekly": weekly, "slot_minutes": slot_minutes});
        reception.did("set-provider-hours", of_doctor(hours)).await;
    }
    // Exceptions are removed and set again, so that an event of each kind changes a row that is there already.
    for hours in [json!([]), json!([{"from": "10:00", "until": "24:00"}])] {
        reception.did("set-schedule-exception", of_doctor(json!({"date": day, "hours": hours}))).await;
        reception.did("remove-schedule-exception", of_doctor(json!({"date": day}))).await;
    }
    let leave_id = uuid::Uuid::from_u128(0x1ea5e);
    let away = json!({"provider_id": user(DOCTOR), "leave_id": leave_id, "kind": "sick", "from": at(44, 0),
                      "until": at(46, 0), "reason": "a broken ankle"});
    doctor.did("add-provider-leave", away).await;
    let mut booked = appointment(patient_id, at(45, 0));
    reception.command("schedule-appointment", booked.clone()).await.problem(409, "on-leave");
    booked["outside_hours"] = json!(true);
    reception.did("schedule-appointment", booked).await;
    let cancelled = json!({"provider_id": user(DOCTOR), "leave_id": leave_id});
    doctor.did("cancel-provider-leave", cancelled).await;
    super::notes::notes(&reception, &doctor, &demo::visit(1)).await;
}

/// The first Monday that is at least so many days from today.
pub(crate) fn monday_after(days: i64) -> NaiveDate {
    let day = at(days, 0).date_naive();
    day + Days::new(u64::from(7 - day.weekday().num_days_from_monday()) % 7)
}

/// A time of a day in New York.
pub(crate) fn in_new_york(day: NaiveDate, hour: u32, minute: u32) -> DateTime<Utc> {
    let wall = day.and_hms_opt(hour, minute, 0).expect("a time");
    wall.and_local_timezone(New_York).earliest().expect("an instant").to_utc()
}

#[tokio::test]
async fn outside_the_hours_and_in_a_leave_is_booked_only_if_this_is_said() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let monday = monday_after(7);
    let hours = json!({"provider_id": user(DOCTOR), "department_id": department(1), "effective_from": monday,
                       "weekly": [{"weekday": 1, "from": "08:00", "until": "12:00"}]});
    let stream = reception.did("set-provider-hours", hours.clone()).await;
    let early = appointment(&patient(5), in_new_york(monday, 7, 45));
    let refused = reception.command("schedule-appointment", early.clone()).await.problem(409, "outside-hours");
    assert_eq!((&refused["candidates"], &refused["errors"][0]["pointer"]), (&json!([stream]), &json!("/starts_at")));
    let accepted = hims_testing::patched(early, json!({"outside_hours": true}));
    let id = reception.did("schedule-appointment", accepted.clone()).await;
    assert_eq!(reception.row("appointments", &id).await["outside_hours"], true);
    let within = json!({"appointment_id": id, "starts_at": in_new_york(monday, 8, 0)});
    reception.did("reschedule-appointment", within).await;
    assert_eq!(reception.row("appointments", &id).await["outside_hours"], false);
    // A double booking is not accepted in this way.
    let same =
        hims_testing::patched(accepted, json!({"starts_at": in_new_york(monday, 8, 0), "patient_id": patient(6)}));
    reception.command("schedule-appointment", same).await.problem(409, "double-booking");
    // The doctor is away; what is booked already stays.
    let doctor = hospital.login("doctor").await;
    let away = json!({"provider_id": user(DOCTOR), "kind": "sick", "from": in_new_york(monday, 0, 0),
                      "until": in_new_york(monday, 23, 0), "reason": "a broken ankle"});
    doctor.did("add-provider-leave", away).await;
    assert_eq!(reception.row("appointments", &id).await["status"], "scheduled");
    let later = json!({"appointment_id": id, "starts_at": in_new_york(monday, 11, 0)});
    reception.command("reschedule-appointment", later).await.problem(409, "on-leave");
    let leave = reception.items(&format!("provider-leaves?provider_id={}&sort=starts_at", user(DOCTOR))).await;
    assert_eq!((&leave[0]["kind"], &leave[0]["reason"]), (&json!("sick"), &Value::Null), "the reason is not answered");
    // Only the front desk and administrators set hours; everybody has leave only of their own.
    doctor.command("set-provider-hours", hours).await.problem(403, "forbidden");
    let nurse = hospital.login("nurse").await;
    let other = json!({"provider_id": user(DOCTOR), "kind": "sick", "from": at(30, 0), "until": at(31, 0)});
    nurse.command("add-provider-leave", other.clone()).await.problem(403, "forbidden");
    let no_provider = hims_testing::patched(other, json!({"provider_id": user(demo::NURSE)}));
    nurse.command("add-provider-leave", no_provider).await.problem(409, "no-provider");
}

#[tokio::test]
async fn leave_and_a_booking_in_it_do_not_pass_each_other_unseen() {
    let hospital = Hospital::start().await;
    let (reception, doctor) = (hospital.login("reception").await, hospital.login("doctor").await);
    for round in 0..5 {
        let booked = appointment(&patient(5), at(10 + round, 0));
        let leave = json!({"provider_id": user(DOCTOR), "kind": "sick", "from": at(10 + round, -60),
                           "until": at(10 + round, 60)});
        let (answer, _) =
            tokio::join!(reception.command("schedule-appointment", booked), doctor.did("add-provider-leave", leave));
        let sql = "select min(position) filter (where event_type = 'appointment.scheduled'),
                          min(position) filter (where event_type = 'provider_schedule.leave_added')
                     from (select * from log.events order by position desc limit 2) as it";
        let (booked, away): (Option<i64>, Option<i64>) =
            sqlx::query_as(sql).fetch_one(hospital.owner()).await.expect("the last events");
        match answer.status {
            201 => assert!(booked < away, "whoever is booked was booked before the leave: {booked:?} {away:?}"),
            _ => drop(answer.problem(409, "on-leave")),
        }
    }
}
