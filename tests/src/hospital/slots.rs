//! The free slots of providers.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use hims_domain::wall_clock::{Bound, instant_of};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::demo::{DOCTOR, NURSE, department, patient, person, room, user};
use super::merging::merge;
use super::scheduling::{in_new_york, monday_after};
use super::{Client, Hospital};

/// Opens a department in a time zone, in which the doctor has hours from the year 2026 on. Returns its id.
async fn opened(admin: &Client, code: &str, zone: &str, slot_minutes: i32, blocks: &[(i32, &str, &str)]) -> String {
    let opened = json!({"code": code, "name": code, "time_zone": zone});
    let department_id = admin.did("open-department", opened).await;
    let block = |(weekday, from, until): &(i32, &str, &str)| json!({"weekday": weekday, "from": from, "until": until});
    let weekly: Vec<_> = blocks.iter().map(block).collect();
    let hours = json!({"provider_id": user(DOCTOR), "department_id": department_id, "effective_from": "2026-01-01",
                       "weekly": weekly, "slot_minutes": slot_minutes, "horizon_days": 730});
    admin.did("set-provider-hours", hours).await;
    department_id
}

/// The beginnings of the free slots from one day to another, in UTC and by the clocks of the department, as the
/// database finds them for a reader at the beginning of 2026.
async fn found(pool: &PgPool, department: &str, days: (&str, &str), minutes: Option<i32>) -> Vec<(String, String)> {
    let sql = "select to_char(starts_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), to_char(local_start, 'HH24:MI')
                 from hims_identity.free_slots(null, $1::text::uuid, $2::text::date, null, $3::text::date, null,
                                               $4, null, null, '2026-01-01 00:00:00+00', 100)";
    let rows = sqlx::query_as(sql).bind(department).bind(days.0).bind(days.1).bind(minutes).fetch_all(pool).await;
    rows.expect("slots")
}

fn times(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

#[tokio::test]
async fn the_nights_in_which_clocks_change_have_the_slots_that_there_are() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let sunday = [(7, "01:00", "03:00")];
    let new_york = opened(&admin, "NY", "America/New_York", 60, &sunday).await;
    let lord_howe = opened(&admin, "LH", "Australia/Lord_Howe", 30, &[(7, "01:30", "02:30")]).await;
    let cairo = opened(&admin, "CAI", "Africa/Cairo", 60, &[(4, "23:00", "24:00"), (5, "00:00", "02:00")]).await;
    let skipped = opened(&admin, "SKIP", "America/New_York", 15, &[(7, "02:00", "03:00")]).await;
    hospital.settle().await;
    for (department, day, slots) in [
        // An hour comes twice: three hours. An hour is skipped: one hour.
        (
            &new_york,
            "2026-11-01",
            &[("2026-11-01 05:00", "01:00"), ("2026-11-01 06:00", "01:00"), ("2026-11-01 07:00", "02:00")][..],
        ),
        (&new_york, "2027-03-14", &[("2027-03-14 06:00", "01:00")]),
        (&skipped, "2027-03-14", &[]),
        // On Lord Howe it is half an hour.
        (
            &lord_howe,
            "2026-04-05",
            &[("2026-04-04 14:30", "01:30"), ("2026-04-04 15:00", "01:30"), ("2026-04-04 15:30", "02:00")],
        ),
        (&lord_howe, "2026-10-04", &[("2026-10-03 15:00", "01:30")]),
        // In Cairo, the Friday begins at one: midnight is skipped.
        (&cairo, "2026-04-23", &[("2026-04-23 21:00", "23:00")]),
        (&cairo, "2026-04-24", &[("2026-04-23 22:00", "01:00")]),
        // The last hour of a Thursday comes twice.
        (&cairo, "2026-10-29", &[("2026-10-29 20:00", "23:00"), ("2026-10-29 21:00", "23:00")]),
    ] {
        assert_eq!(found(hospital.owner(), department, (day, day), None).await, times(slots), "{day}");
    }
}

#[tokio::test]
async fn days_are_those_of_the_department() {
    let hospital = Hospital::start().await;
    let admin = hospital.login("admin").await;
    let evening = opened(&admin, "EVE", "America/New_York", 30, &[(1, "19:00", "20:00")]).await;
    let night = opened(&admin, "NIGHT", "America/New_York", 30, &[(1, "23:00", "24:00"), (2, "00:00", "01:00")]).await;
    hospital.settle().await;
    let pool = hospital.owner();
    // The 23rd of November 2026 is a Monday; its evening is the night of the 24th in UTC.
    let slots = [("2026-11-24 00:00", "19:00"), ("2026-11-24 00:30", "19:30")];
    assert_eq!(found(pool, &evening, ("2026-11-23", "2026-11-23"), None).await, times(&slots));
    assert_eq!(found(pool, &evening, ("2026-11-24", "2026-11-24"), None).await, times(&[]));
    // Hours until the end of the day go on the next day.
    let slots = [("2026-11-24 04:00", "23:00"), ("2026-11-24 04:30", "23:30"), ("2026-11-24 05:00", "00:00")];
    assert_eq!(found(pool, &night, ("2026-11-23", "2026-11-24"), Some(60)).await, times(&slots));
    assert_eq!(found(pool, &night, ("2026-11-23", "2026-11-23"), Some(60)).await, times(&slots[..2]));
}

#[tokio::test]
async fn the_database_and_the_program_read_wall_clocks_alike() {
    let hospital = Hospital::start().await;
    let days = [
        "2026-03-08",
        "2026-03-29",
        "2026-04-05",
        "2026-04-24",
        "2026-10-04",
        "2026-10-25",
        "2026-10-29",
        "2026-11-01",
    ];
    for name in ["America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Europe/Berlin", "Asia/Kathmandu", "UTC"] {
        let zone: Tz = name.parse().expect("a zone");
        let mut walls: Vec<NaiveDateTime> = Vec::new();
        for day in days {
            let day: NaiveDate = day.parse().expect("a day");
            walls.extend(
                (0..288).map(|step| day.and_hms_opt(0, 0, 0).expect("midnight") + TimeDelta::minutes(5 * step)),
            );
        }
        let sql = "select hims_identity.instant_of(wall, $2, false), hims_identity.instant_of(wall, $2, true)
                     from unnest($1::timestamp[]) with ordinality as it (wall, place) order by place";
        let read: Vec<(DateTime<Utc>, DateTime<Utc>)> =
            sqlx::query_as(sql).bind(&walls).bind(name).fetch_all(hospital.owner()).await.expect("instants");
        for (wall, read) in walls.iter().zip(read) {
            let of = |bound| instant_of(*wall, &zone, bound);
            assert_eq!(read, (of(Bound::Start), of(Bound::End)), "{name} {wall}");
        }
    }
}

/// The beginnings of the free slots of a Monday in New York, by the clocks there.
pub(super) async fn on_monday(client: &Client, monday: NaiveDate, more: &str) -> Vec<String> {
    let path = format!("slots?department_id={}&from={monday}&to={monday}{more}", department(1));
    let items = client.items(&path).await;
    items.iter().map(|it| it["local_start"].as_str().expect("a time")[11..16].to_owned()).collect()
}

/// The doctor works in internal medicine on Mondays from eight to ten, in the second room.
pub(super) async fn from_eight_to_ten(reception: &Client, more: Value) {
    let weekly = json!([{"weekday": 1, "from": "08:00", "until": "10:00", "room_id": room(2)}]);
    let hours = json!({"provider_id": user(DOCTOR), "department_id": department(1), "effective_from": "2026-01-01",
                       "weekly": weekly, "slot_minutes": 30});
    reception.did("set-provider-hours", hims_testing::patched(hours, more)).await;
}

#[tokio::test]
async fn what_is_booked_is_not_free() {
    let hospital = Hospital::start().await;
    let (reception, admin) = (hospital.login("reception").await, hospital.login("admin").await);
    let monday = monday_after(14);
    from_eight_to_ten(&reception, json!({"slot_minutes": 15})).await;
    let book = |patient_id: String, hour, minute, more: Value| {
        let body = json!({"patient_id": patient_id, "provider_id": user(DOCTOR), "department_id": department(1),
                          "appointment_type": "new", "starts_at": in_new_york(monday, hour, minute),
                          "duration_minutes": 30});
        hims_testing::patched(body, more)
    };
    let first = reception.did("schedule-appointment", book(patient(5), 8, 30, json!({}))).await;
    // The grid belongs to the block: 45 minutes begin every quarter of an hour, also back to back.
    assert_eq!(on_monday(&reception, monday, "&duration=45").await, ["09:00", "09:15"]);
    assert_eq!(on_monday(&reception, monday, "").await, ["08:00", "08:15", "09:00", "09:15", "09:30", "09:45"]);
    assert_eq!(on_monday(&reception, monday, "&limit=1").await, ["08:00"]);
    // The patient has an appointment with somebody else, and the room is taken by somebody else.
    let admin_is_doctor = json!({"user_id": user(1), "additional_role_ids": [hims_commands::role_id("doctor")]});
    admin
        .did(
            "change-user-role",
            hims_testing::patched(json!({"role_id": hims_commands::role_id("administrator")}), admin_is_doctor),
        )
        .await;
    let elsewhere = json!({"provider_id": user(1)});
    reception.did("schedule-appointment", book(patient(6), 9, 30, elsewhere.clone())).await;
    let of_patient = format!("&duration=30&patient_id={}", patient(6));
    assert_eq!(on_monday(&reception, monday, &of_patient).await, ["08:00", "09:00"]);
    let in_room = hims_testing::patched(elsewhere, json!({"room_id": room(2)}));
    reception.did("schedule-appointment", book(patient(7), 8, 0, in_room)).await;
    assert_eq!(on_monday(&reception, monday, "&duration=30").await, ["09:00", "09:15", "09:30"]);
    // What is cancelled is free again.
    reception.did("cancel-appointment", json!({"appointment_id": first, "reason": "ill"})).await;
    assert_eq!(on_monday(&reception, monday, "&duration=30").await, ["08:30", "08:45", "09:00", "09:15", "09:30"]);
    // A leave that begins in mid-block, and ends.
    let doctor = hospital.login("doctor").await;
    let away = json!({"provider_id": user(DOCTOR), "leave_id": Uuid::from_u128(9), "kind": "training",
                      "from": in_new_york(monday, 9, 20), "until": in_new_york(monday, 12, 0)});
    doctor.did("add-provider-leave", away).await;
    assert_eq!(on_monday(&reception, monday, "&duration=30").await, ["08:30", "08:45"]);
    let back = json!({"provider_id": user(DOCTOR), "leave_id": Uuid::from_u128(9)});
    doctor.did("cancel-provider-leave", back).await;
    assert_eq!(on_monday(&reception, monday, "&duration=90").await, ["08:30"]);
    // Nothing is offered in a room that is out of use, in a closed department, or of somebody who left.
    admin.did("suspend-room", json!({"room_id": room(2), "reason": "painted"})).await;
    assert_eq!(on_monday(&reception, monday, "").await, Vec::<String>::new());
    admin.did("reactivate-room", json!({"room_id": room(2)})).await;
    assert_eq!(on_monday(&reception, monday, "&duration=90").await, ["08:30"]);
    // What was offered can be booked.
    reception
        .did("schedule-appointment", book(patient(8), 8, 30, json!({"duration_minutes": 90, "room_id": room(2)})))
        .await;
    assert_eq!(on_monday(&reception, monday, "").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_patient_is_also_booked_by_a_record_that_was_merged_into_theirs() {
    let hospital = Hospital::start().await;
    let (reception, monday) = (hospital.login("reception").await, monday_after(14));
    from_eight_to_ten(&reception, json!({})).await;
    let twin = reception.did("register-patient", person("Paulina", "Rey", 71)).await;
    // With another provider, so that only the patient is taken.
    let (role_id, other) = (hims_commands::role_id("doctor"), user(1));
    let roles = json!({"user_id": other, "role_id": hims_commands::role_id("administrator"),
                       "additional_role_ids": [role_id]});
    hospital.login("admin").await.did("change-user-role", roles).await;
    let visit = json!({"patient_id": twin, "provider_id": other, "department_id": department(1),
                       "appointment_type": "new", "starts_at": in_new_york(monday, 8, 30), "duration_minutes": 30});
    reception.did("schedule-appointment", visit).await;
    let of_patient = format!("&patient_id={}", patient(6));
    assert_eq!(on_monday(&reception, monday, &of_patient).await, ["08:00", "08:30", "09:00", "09:30"]);
    merge(&hospital, &patient(6), &twin).await.done();
    assert_eq!(on_monday(&reception, monday, &of_patient).await, ["08:00", "09:00", "09:30"]);
}

#[tokio::test]
async fn days_of_their_own_notice_horizon_and_kinds_count() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    let monday = monday_after(14);
    let of_doctor = json!({"provider_id": user(DOCTOR), "department_id": department(1), "date": monday});
    let day = |hours: Value| hims_testing::patched(of_doctor.clone(), json!({ "hours": hours }));
    from_eight_to_ten(&reception, json!({})).await;
    reception.did("set-schedule-exception", day(json!([{"from": "13:00", "until": "14:00"}]))).await;
    assert_eq!(on_monday(&reception, monday, "").await, ["13:00", "13:30"]);
    reception.did("set-schedule-exception", day(json!([]))).await;
    assert_eq!(on_monday(&reception, monday, "").await, Vec::<String>::new());
    reception.did("remove-schedule-exception", hims_testing::patched(day(json!([])), json!({"hours": null}))).await;
    let all = ["08:00", "08:30", "09:00", "09:30"];
    assert_eq!(on_monday(&reception, monday, "").await, all);
    let instant = |hour, minute| in_new_york(monday, hour, minute).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let between = format!(
        "slots?provider_id={}&department_id={}&from={}&to={}",
        user(DOCTOR),
        department(1),
        instant(8, 10),
        instant(9, 30)
    );
    assert_eq!(reception.items(&between).await.len(), 2, "from the first to before the last");
    // With a notice of seven days, nothing of the next days is offered.
    from_eight_to_ten(&reception, json!({"minimum_notice_minutes": 10_080})).await;
    assert_eq!(on_monday(&reception, monday, "").await, all);
    assert_eq!(on_monday(&reception, monday_after(0), "").await, Vec::<String>::new());
    from_eight_to_ten(&reception, json!({"horizon_days": 5})).await;
    assert_eq!(on_monday(&reception, monday, "").await, Vec::<String>::new());
    let weekly = json!([{"weekday": 1, "from": "08:00", "until": "09:00", "appointment_types": ["new"]},
                        {"weekday": 1, "from": "09:00", "until": "10:00"}]);
    from_eight_to_ten(&reception, json!({ "weekly": weekly })).await;
    assert_eq!(on_monday(&reception, monday, "&appointment_type=new").await, all);
    assert_eq!(on_monday(&reception, monday, "&appointment_type=follow_up").await, all[2..]);
}

#[tokio::test]
async fn everybody_asks_for_slots_and_nobody_for_the_times_of_others() {
    let hospital = Hospital::start().await;
    let reception = hospital.login("reception").await;
    from_eight_to_ten(&reception, json!({})).await;
    let monday = monday_after(14);
    let path = format!("slots?department_id={}&from={monday}&to={monday}", department(1));
    let own = hospital.login("patient").await;
    let answer = own.get(&path).await.done();
    let expected = json!({"provider_id": user(DOCTOR), "department_id": department(1), "room_id": room(2),
                          "time_zone": "America/New_York", "local_start": format!("{monday}T08:00:00")});
    let mut first = answer["items"][0].clone();
    let (starts_at, ends_at) = (first["starts_at"].take(), first["ends_at"].take());
    let instant = |value: &Value| value.as_str().and_then(|it| it.parse::<DateTime<Utc>>().ok()).expect("an instant");
    assert_eq!(instant(&starts_at), in_new_york(monday, 8, 0));
    assert_eq!(instant(&ends_at), in_new_york(monday, 8, 30));
    let fields = first.as_object_mut().expect("a slot");
    fields.retain(|_, value| !value.is_null());
    assert_eq!(first, expected);
    assert_eq!((&answer["next"], answer["position"].is_i64()), (&Value::Null, true));
    own.get(&format!("{path}&patient_id={}", patient(1))).await.done();
    own.get(&format!("{path}&patient_id={}", patient(2))).await.problem_at(400, "invalid-parameter", "/patient_id");
    let nurse = hospital.login("nurse").await;
    assert_eq!(nurse.items(&path).await.len(), 4);
    hospital.nobody().get(&path).await.problem(401, "unauthenticated");
    let (doctor, long) = (user(DOCTOR), monday + TimeDelta::days(62));
    for (query, pointer) in [
        (format!("from={monday}&to={monday}"), "/provider_id"),
        (format!("provider_id={doctor}&to={monday}"), "/from"),
        (format!("provider_id={doctor}&from={monday}"), "/to"),
        (format!("provider_id={doctor}&from={monday}&to={long}"), "/to"),
        (format!("provider_id={doctor}&from={monday}&to=2026-01-01"), "/to"),
        (format!("provider_id={doctor}&from=tomorrow&to={monday}"), "/from"),
        (format!("provider_id=x&from={monday}&to={monday}"), "/provider_id"),
        (format!("provider_id={doctor}&from={monday}&to={monday}&duration=481"), "/duration"),
        (format!("provider_id={doctor}&from={monday}&to={monday}&limit=501"), "/limit"),
        (format!("provider_id={doctor}&from={monday}&to={monday}&colour=red"), "/colour"),
    ] {
        nurse.get(&format!("slots?{query}")).await.problem_at(400, "invalid-parameter", pointer);
    }
    // Somebody without hours has no slots, and whoever left has none either.
    assert_eq!(
        nurse.items(&format!("slots?provider_id={}&from={monday}&to={monday}", user(NURSE))).await,
        [json!(null); 0]
    );
    let admin = hospital.login("admin").await;
    admin.did("deactivate-user", json!({"user_id": doctor})).await;
    assert_eq!(nurse.items(&path).await, [json!(null); 0]);
}
