//! The rules of what patients may wait for.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use hims_domain::appointment::{Appointment, Priority, Status};
use hims_domain::department::Department;
use hims_domain::user::User;
use hims_domain::values::{Text, TimeOfDay};
use hims_domain::waitlist_entry::Wish;
use hims_domain::{DepartmentId, PatientId};

use super::Refusal;
use crate::department::{open_department, zone_named};
use crate::patient::{reads_person, records_of};
use crate::provider_schedule::SEES_PATIENTS;
use crate::user::{check_provider, reads_named};
use crate::{Context, Found, Reads, Refused, refuse};

/// How many days ahead the last day that suits a patient may be.
const LONGEST: Days = Days::new(731);

/// The department whose clocks count for a wish: the one that is named, or else that of the provider.
fn department_of(wish: &Wish, found: &Found) -> Option<DepartmentId> {
    let of_provider = || found.get::<User>(wish.provider_id?)?.department_id;
    wish.department_id.or_else(of_provider)
}

/// Looks up the patient of a wish, and everything that the wish names.
pub(super) fn reads(patient_id: PatientId, wish: &Wish, found: &Found) -> Reads {
    let named = Reads::nothing()
        .maybe::<Department>(department_of(wish, found))
        .maybe::<Appointment>(wish.gives_up_appointment_id);
    reads_named(reads_person(named, patient_id, found), wish.provider_id, found)
}

fn out_of_range(pointer: &str, message: &str) -> Refused {
    Refused::field("out-of-range", pointer, message)
}

/// Refuses an appointment that the patient cannot give up: one of somebody else, or one that is not to come any more.
fn check_given_up(wish: &Wish, patient_id: PatientId, ctx: &Context<'_>) -> Result<(), Refused> {
    const FIELD: &str = "/gives_up_appointment_id";
    let Some(id) = wish.gives_up_appointment_id else { return Ok(()) };
    let given_up = ctx.found.get::<Appointment>(id);
    let own = given_up.filter(|it| records_of(patient_id, ctx.found).contains(&it.patient_id));
    let is_open = |it: &Appointment| matches!(it.status, Status::Scheduled | Status::Confirmed);
    if own.is_some_and(is_open) {
        return Ok(());
    }
    let message = "name an appointment of the patient that is scheduled or confirmed";
    Err(Refused::field("unknown-reference", FIELD, message))
}

/// Refuses days that lie in the past or too far ahead, or that end before they begin.
fn check_days(wish: &Wish, today: NaiveDate) -> Result<(), Refused> {
    if wish.latest < wish.earliest {
        return Err(Refused::from(Refusal::EndsBeforeItStarts).at("/latest"));
    }
    if wish.latest < today {
        return Err(Refused::from(Refusal::InThePast).at("/latest"));
    }
    if today.checked_add_days(LONGEST).is_some_and(|last| wish.latest > last) {
        return Err(out_of_range("/latest", "give a day in the next two years"));
    }
    Ok(())
}

fn check_weekdays(wish: &Wish) -> Result<(), Refused> {
    let Some(weekdays) = &wish.weekdays else { return Ok(()) };
    let known: BTreeSet<_> = weekdays.iter().filter(|it| (1..=7).contains(*it)).collect();
    if known.is_empty() || known.len() != weekdays.len() {
        let message = "give days from 1 (Monday) to 7 (Sunday), each once, or leave it out";
        return Err(out_of_range("/weekdays", message));
    }
    Ok(())
}

/// Refuses times of day that end before they begin, or between which the appointment does not fit.
fn check_times(wish: &Wish) -> Result<(), Refused> {
    if wish.time_from.as_ref().zip(wish.time_until.as_ref()).is_some_and(|(from, until)| from >= until) {
        return Err(Refused::from(Refusal::EndsBeforeItStarts).at("/time_until"));
    }
    let is_long_enough = |from: &TimeOfDay, until: &TimeOfDay| {
        let span = until.on(wish.latest).zip(from.on(wish.latest)).map(|(until, from)| until - from);
        span.is_none_or(|it| it >= TimeDelta::minutes(wish.duration_minutes.into()))
    };
    let [begin, end] = ["00:00", "24:00"].map(|it| TimeOfDay::parse(it).ok());
    let (from, until) = (wish.time_from.as_ref().or(begin.as_ref()), wish.time_until.as_ref().or(end.as_ref()));
    if from.zip(until).is_some_and(|(from, until)| !is_long_enough(from, until)) {
        return Err(out_of_range("/time_until", "the appointment takes longer than the times of day that suit"));
    }
    Ok(())
}

fn check_length(wish: &Wish) -> Result<(), Refused> {
    if (1..=480).contains(&wish.duration_minutes) {
        Ok(())
    } else {
        Err(out_of_range("/duration_minutes", "an appointment takes 1 to 480 minutes"))
    }
}

/// Refuses a wish for a department and a provider, or for neither, and one for a place where nobody can be seen.
fn check_place(wish: &Wish, patient_id: PatientId, ctx: &Context<'_>) -> Result<(), Refused> {
    match (wish.department_id, wish.provider_id) {
        (Some(id), None) => open_department(ctx, id).map(drop),
        (None, Some(id)) => check_provider(ctx, id, "/provider_id", patient_id, SEES_PATIENTS),
        _ => Err(Refused::from(Refusal::OnePlace).at("/department_id")),
    }
}

/// The time zone of a wish, if the wish keeps the rules.
pub(super) fn checked(wish: &Wish, patient_id: PatientId, ctx: &Context<'_>) -> Result<Text<64>, Refused> {
    let department = department_of(wish, ctx.found).and_then(|it| ctx.found.get::<Department>(it));
    let time_zone = department.map_or_else(|| ctx.hospital_zone.name().into(), |it| it.details.time_zone.clone());
    let today = |now: DateTime<Utc>| now.with_timezone(&zone_named(&time_zone)).date_naive();
    Refused::all([
        check_place(wish, patient_id, ctx),
        check_length(wish),
        check_given_up(wish, patient_id, ctx),
        check_days(wish, today(ctx.now)),
        check_weekdays(wish),
        check_times(wish),
    ])?;
    Ok(time_zone)
}

/// Refuses that patients make themselves more urgent than the hospital has made them.
pub(super) fn check_priority(wish: &Wish, before: Option<&Wish>, may_decide: bool) -> Result<(), Refused> {
    let most = before.map_or(Priority::Normal, |it| it.priority);
    if may_decide || wish.priority <= most {
        Ok(())
    } else {
        refuse(Refused::from(Refusal::PriorityOfTheDesk).at("/priority"))
    }
}
