//! A week of visits around the day on which the demo is filled: some are over, some go on, and some are to come.
//!
//! All of them are with the second doctor in a room of their own, so that the first doctor and the other rooms are
//! free. The visits that go on are counted from the moment, since a demo may be filled at any hour of the day.

use chrono::{DateTime, Days, DurationRound as _, TimeDelta, Utc};
use chrono_tz::America::New_York;
use hims_commands::appointment::{
    CancelAppointment, CheckInAppointment, CompleteAppointment, ConfirmAppointment, MarkAppointmentNoShow,
    ScheduleAppointment, StartAppointment,
};
use serde_json::{Value, json};

use super::giving::at;
use super::scheduling::in_new_york;
use super::{APPOINTMENT, PATIENT, ROOM, USER, id};
use crate::{Hospital, HospitalError};

/// The number before that of the first visit of the week among the appointments of the demo.
const BEFORE: u128 = 10;
/// How long each visit takes.
const MINUTES: i64 = 30;

/// When a visit begins.
#[derive(Clone, Copy)]
enum Begins {
    /// Some days from today, at an hour in New York.
    On(i64, u32),
    /// Some minutes from now.
    In(i64),
}

/// What becomes of a visit.
#[derive(Clone, Copy)]
enum Became {
    Completed,
    Missed,
    Cancelled,
    InProgress,
    CheckedIn,
    Confirmed,
    Expected,
}

/// The visits: number of the patient, beginning, what becomes of the visit, why the patient comes. The patients of
/// yesterday come again tomorrow, to the first doctor.
const VISITS: [(u128, Begins, Became, &str); 10] = [
    (13, Begins::On(-3, 10), Became::Completed, "Blood pressure"),
    (14, Begins::On(-2, 11), Became::Cancelled, "Back pain"),
    (2, Begins::On(-1, 10), Became::Completed, "Sore throat"),
    (3, Begins::On(-1, 11), Became::Missed, "Diabetes check"),
    (4, Begins::On(-1, 14), Became::Cancelled, "Dizziness"),
    (10, Begins::In(-15), Became::InProgress, "Cholesterol check"),
    (11, Begins::In(15), Became::CheckedIn, "Rash on both arms"),
    (12, Begins::In(45), Became::Confirmed, "Travel vaccination"),
    (15, Begins::On(3, 10), Became::Confirmed, "Migraine"),
    (16, Begins::On(3, 15), Became::Expected, "Knee pain"),
];

/// The last multiple of five minutes.
fn on_the_clock(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(TimeDelta::minutes(5)).unwrap_or(now)
}

impl Begins {
    fn instant(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let today = now.with_timezone(&New_York).date_naive();
        match self {
            Self::On(days @ ..0, hour) => in_new_york(today - Days::new(days.unsigned_abs()), hour),
            Self::On(days, hour) => in_new_york(today + Days::new(days.unsigned_abs()), hour),
            Self::In(minutes) => on_the_clock(now) + TimeDelta::minutes(minutes),
        }
    }
}

impl Hospital {
    /// Schedules the visits, each a week before, and records what became of them at the time when it did.
    pub(super) async fn week(&self) -> Result<(), HospitalError> {
        let now = self.executor.now();
        for (number, (patient, begins, became, reason)) in (BEFORE + 1..).zip(VISITS) {
            let starts_at = begins.instant(now);
            let visit = json!({
                "id": id(APPOINTMENT, number), "patient_id": id(PATIENT, patient), "provider_id": id(USER, 8),
                "room_id": id(ROOM, 4), "appointment_type": "consultation", "starts_at": starts_at,
                "duration_minutes": MINUTES, "reason_for_visit": reason,
            });
            self.give::<ScheduleAppointment>(visit, at(starts_at - Days::new(7))).await?;
            self.course(number, starts_at, became).await?;
        }
        Ok(())
    }

    /// Records what became of a visit.
    async fn course(&self, number: u128, starts_at: DateTime<Utc>, became: Became) -> Result<(), HospitalError> {
        let of = || json!({"appointment_id": id(APPOINTMENT, number)});
        let because = |reason: &str| -> Value { json!({"appointment_id": id(APPOINTMENT, number), "reason": reason}) };
        let before = |minutes| at(starts_at - TimeDelta::minutes(minutes));
        match became {
            Became::Expected => return Ok(()),
            Became::Confirmed => {
                return self.step::<ConfirmAppointment>(1, of(), at(starts_at - Days::new(5))).await;
            }
            Became::Cancelled => {
                let reason = because("Has a cold and stays at home");
                return self.step::<CancelAppointment>(1, reason, at(starts_at - Days::new(2))).await;
            }
            Became::Missed => return self.step::<MarkAppointmentNoShow>(1, of(), before(-MINUTES)).await,
            Became::CheckedIn | Became::InProgress | Became::Completed => {}
        }
        self.step::<CheckInAppointment>(1, of(), before(20)).await?;
        if matches!(became, Became::InProgress | Became::Completed) {
            self.step::<StartAppointment>(2, of(), before(0)).await?;
        }
        if matches!(became, Became::Completed) {
            self.step::<CompleteAppointment>(3, of(), before(-MINUTES)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each visit is in the past, at the moment or in the future as what becomes of it demands, at every hour of a day
    /// on which clocks change and of the days around it.
    #[test]
    fn what_becomes_of_a_visit_is_possible_at_every_hour() {
        let first: DateTime<Utc> = "2026-10-31T00:00:00Z".parse().unwrap();
        for quarter in 0..4 * 72 {
            let now = first + TimeDelta::minutes(15 * quarter) + TimeDelta::seconds(17);
            let mut of_day: Vec<_> = VISITS.iter().map(|it| it.1.instant(now)).collect();
            for (_, begins, became, reason) in VISITS {
                let starts_at = begins.instant(now);
                let ends_at = starts_at + TimeDelta::minutes(MINUTES);
                let is_possible = match became {
                    Became::Completed | Became::Missed | Became::Cancelled => ends_at <= now,
                    Became::InProgress => starts_at <= now && now < ends_at,
                    Became::CheckedIn => starts_at - TimeDelta::minutes(20) <= now && now < starts_at,
                    Became::Confirmed | Became::Expected => now < starts_at,
                };
                assert!(is_possible, "{reason} at {starts_at} is not so at {now}");
                assert!(starts_at - Days::new(5) <= now, "{reason} was not confirmed yet");
            }
            of_day.sort();
            assert!(of_day.windows(2).all(|it| it[1] - it[0] >= TimeDelta::minutes(MINUTES)), "two overlap at {now}");
        }
    }
}
