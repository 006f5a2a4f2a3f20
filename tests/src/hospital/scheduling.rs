//! When providers work, and what is booked within and outside their hours.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use chrono_tz::America::New_York;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Hospital;
use super::demo::{self, DOCTOR, appointment, at, department, patient, room, user};
use super::tables::count;

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
    let leave_id = Uuid::from_u128(0x1ea5e);
    let away = json!({"provider_id": user(DOCTOR), "leave_id": leave_id, "kind": "sick", "from": at(44, 0),
                      "until": at(46, 0), "reason": "a broken ankle"});
    doctor.did("add-provider-leave", away).await;
    let mut booked = appointment(patient_id, at(45, 0));
    reception.command("schedule-appointment", booked.clone()).await.problem(409, "on-leave");
    booked["outside_hours"] = json!(true);
    reception.did("schedule-appointment", booked).await;
    let cancelled = json!({"provider_id": user(DOCTOR), "leave_id": leave_id});
    doctor.did("cancel-provider-leave", cancelled).await;
    let rule = json!({"rrule": "FREQ=WEEKLY;COUNT=3", "exclude_dates": [at(57, 0).date_naive()]});
    let series = hims_testing::patched(appointment(patient_id, at(50, 60)), rule);
    let series_id = reception.did("schedule-appointment-series", series).await;
    for from in [at(60, 0), at(50, 0)] {
        let cancelled = json!({"series_id": series_id, "from": from.date_naive(), "reason": "moved away"});
        reception.did("cancel-appointment-series", cancelled).await;
    }
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
    reception.did("set-provider-hours", hours.clone()).await;
    let early = appointment(&patient(5), in_new_york(monday, 7, 45));
    let refused = reception.command("schedule-appointment", early.clone()).await.problem(409, "outside-hours");
    let error = &refused["errors"][0];
    assert_eq!((&error["pointer"], &error["code"]), (&json!("/starts_at"), &json!("outside-hours")));
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

#[tokio::test]
async fn a_series_is_booked_as_a_whole_or_not_at_all() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    // An appointment on the 51st of 52 days.
    let taken = reception.did("schedule-appointment", appointment(&patient(6), at(60, 10))).await;
    let series = |id: Uuid| {
        let rule = json!({"id": id, "rrule": "FREQ=DAILY;COUNT=52", "room_id": null});
        hims_testing::patched(appointment(&patient(5), at(10, 0)), rule)
    };
    let refused = reception.command("schedule-appointment-series", series(Uuid::from_u128(1))).await;
    let problem = refused.problem(409, "series-conflict");
    assert_eq!((&problem["candidates"], &problem["errors"][0]["code"]), (&json!([taken]), &json!("double-booking")));
    hospital.settle().await;
    let of_patient = format!("appointments where patient_id = '{}'", patient(5));
    assert_eq!(count(hospital.owner(), &of_patient).await, 0, "nobody sees the first fifty");
    reception.did("cancel-appointment", json!({"appointment_id": taken, "reason": "ill"})).await;
    let id = reception.did("schedule-appointment-series", series(Uuid::from_u128(2))).await;
    let rows = reception.items(&format!("appointments?series_id={id}&sort=starts_at&limit=100")).await;
    let places: Vec<_> = rows.iter().map(|it| it["series_index"].as_i64().expect("a place")).collect();
    assert_eq!(places, (1..=52).collect::<Vec<i64>>());
    // One is moved, and stays in the series; one is done with. The others from its day on are cancelled.
    let moved = json!({"appointment_id": rows[2]["id"], "starts_at": at(100, 0)});
    reception.did("reschedule-appointment", moved).await;
    let appointment_id = rows[1]["id"].as_str().expect("an id");
    reception.did("check-in-appointment", demo::early(appointment_id)).await;
    let from = at(11, 0).date_naive();
    let cancel = json!({"series_id": id, "from": from, "reason": "moved away"});
    reception.did("cancel-appointment-series", cancel.clone()).await;
    let rows = reception.items(&format!("appointments?series_id={id}&sort=starts_at&limit=100")).await;
    let status = |place: usize| rows[place]["status"].as_str().expect("a status");
    assert_eq!([status(0), status(1), status(2), status(51)], ["scheduled", "checked_in", "cancelled", "cancelled"]);
    let row = reception.row("appointment-series", &id).await;
    assert_eq!((&row["occurrences"], &row["cancelled_from"]), (&json!(52), &json!(from)));
    assert_eq!(reception.command("cancel-appointment-series", cancel).await.done()["events"], json!([]));
    let late = json!({"rrule": "FREQ=MONTHLY;BYMONTHDAY=31;COUNT=3"});
    let refused = hims_testing::patched(series(Uuid::from_u128(3)), late);
    reception.command("schedule-appointment-series", refused).await.problem_at(422, "unsupported-rule", "/rrule");
    // Who is away for a day of the series is named with the day, and so is what is booked already.
    let doctor = hospital.login("doctor").await;
    let away = json!({"provider_id": user(DOCTOR), "kind": "sick", "from": at(12, -60), "until": at(13, 60)});
    doctor.did("add-provider-leave", away).await;
    let refused = reception.command("schedule-appointment-series", series(Uuid::from_u128(4))).await;
    let problem = refused.problem(409, "series-conflict");
    let errors = problem["errors"].as_array().expect("errors");
    let (away, taken): (Vec<_>, Vec<_>) = errors.iter().partition(|it| it["code"] == "on-leave");
    assert!(!taken.is_empty() && taken.iter().all(|it| it["code"] == "double-booking"), "{errors:?}");
    let still_booked = [&rows[0]["id"], &rows[1]["id"]].map(|it| it.as_str().expect("an id"));
    hims_testing::assert_same(
        problem["candidates"].as_array().expect("ids").iter().filter_map(Value::as_str),
        still_booked,
    );
    let messages: Vec<_> = away.iter().map(|it| it["message"].as_str().expect("a message")).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    for (message, day) in messages.into_iter().zip([12, 13]) {
        assert!(message.starts_with(&format!("{}: ", at(day, 0).date_naive())), "{message}");
    }
}

#[tokio::test]
async fn patients_cancel_their_own_appointments_until_a_day_before() {
    let hospital = Hospital::start().await;
    let (reception, own) = (hospital.login("reception").await, hospital.login("patient").await);
    let later = reception.did("schedule-appointment", appointment(&patient(1), at(3, 0))).await;
    let other = reception.did("schedule-appointment", appointment(&patient(5), at(3, 60))).await;
    let soon = reception.did("schedule-appointment", appointment(&patient(1), soon())).await;
    let cancel = |id: &str| json!({"appointment_id": id, "reason": "better"});
    own.did("confirm-appointment", json!({ "appointment_id": later })).await;
    own.did("cancel-appointment", cancel(&later)).await;
    assert_eq!(own.row("appointments", &later).await["status"], "cancelled");
    own.command("cancel-appointment", cancel(&soon)).await.problem(409, "too-late");
    reception.did("cancel-appointment", cancel(&soon)).await;
    own.command("confirm-appointment", json!({ "appointment_id": other })).await.problem(403, "forbidden");
    own.command("cancel-appointment", cancel(&other)).await.problem(403, "forbidden");
}

/// In an hour, when the demo's patients have no appointment yet.
fn soon() -> DateTime<Utc> {
    (hims_api::surroundings().clock)() + chrono::TimeDelta::hours(1)
}
