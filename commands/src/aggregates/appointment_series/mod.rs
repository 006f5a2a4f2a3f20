//! Series of appointments: all of them are booked, or none.

mod rule;

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;
use hims_domain::appointment::{self, Appointment, Slot, Status};
use hims_domain::appointment_series::{AppointmentSeries, Event, Occurrence, Scheduled, SeriesPlace};
use hims_domain::permission::{Create, Update};
use hims_domain::values::{Reason, Text};
use hims_domain::wall_clock::{Bound, instant_of, is_shown};
use hims_domain::{AppointmentSeriesId, Invalid, Personal, described};

use crate::appointment::{Visit, check_start, is_hidden};
use crate::department::zone_named;
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::provider_schedule::{check_hours, reads_schedule};
use crate::{Caller, Claims, Command, Context, Decision, Found, Permission, Reads, Refused, Registry, Target, refuse};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<ScheduleAppointmentSeries>().add::<CancelAppointmentSeries>();
}

refusals! {
    Occurrences = Rule, "occurrences",
        "a series has 2 to 52 appointments within 366 days; change COUNT, UNTIL or exclude_dates";
    NoSuchLocalTime = Rule, "no-such-local-time",
        "clocks skip that time on a day of the series (see errors); choose another time, or exclude the day";
    SeriesConflict = Conflict, "series-conflict",
        "some days cannot be booked (see errors), so none is; choose another time, or exclude these days";
}

described! {
    /// Books a provider, a room and a patient for a series of appointments, at the same time of day by the clocks of
    /// the department. All appointments are booked, or none.
    pub struct ScheduleAppointmentSeries {
        /// The id of the new series; issued by the server if left out.
        pub id: Option<AppointmentSeriesId>,
        /// Who is to be seen by whom, where and why.
        #[serde(flatten)]
        pub visit: Visit,
        /// The start and duration of the first appointment.
        #[serde(flatten)]
        pub slot: Slot,
        /// The rule of the recurrence (RFC 5545), such as `FREQ=WEEKLY;BYDAY=MO,TH;COUNT=12`. FREQ is DAILY, WEEKLY or
        /// MONTHLY; COUNT or UNTIL (a day) must be given; INTERVAL, BYDAY and BYMONTHDAY may be.
        pub rrule: Text<200>,
        /// Days of the rule on which there is no appointment, at most 52.
        #[serde(default)]
        pub exclude_dates: Vec<NaiveDate>,
        /// Whether the appointments may be outside the provider's hours or in their leave.
        #[serde(default)]
        pub outside_hours: bool,
    }

    /// Cancels the appointments of a series that are scheduled or confirmed, from a day on.
    pub struct CancelAppointmentSeries {
        /// Which series.
        pub series_id: AppointmentSeriesId,
        /// The first day, in the time zone of the series; today if left out.
        pub from: Option<NaiveDate>,
        /// Why the appointments are cancelled.
        pub reason: Personal<Reason>,
    }
}

/// The appointments hold the bookings, not the series.
impl Claims for AppointmentSeries {
    fn is_hidden_from(&self, caller: &Caller) -> bool {
        is_hidden(self.patient_id, Some(self.provider_id), self.department_id, caller)
    }
}

/// What stands against an appointment of a series, with its day.
fn against(day: NaiveDate, refused: &Refused) -> Invalid {
    Invalid::coded(refused.code, "/starts_at", format!("{day}: {}", refused.detail))
}

impl ScheduleAppointmentSeries {
    /// The days of the series, of which the first day of the rule is the first that is not left out.
    fn days(&self, first: NaiveDate) -> Result<Vec<NaiveDate>, Refused> {
        let mut days = rule::days(self.rrule.as_str(), first)?;
        days.retain(|day| !self.exclude_dates.contains(day));
        let last = first.checked_add_days(Days::new(366)).unwrap_or(NaiveDate::MAX);
        let fits = (2..=52).contains(&days.len()) && days.iter().all(|day| *day <= last);
        if fits && self.exclude_dates.len() <= 52 { Ok(days) } else { refuse(Refusal::Occurrences) }
    }

    /// The slots of the series: the same time of day on each day.
    fn slots(&self, zone: Tz) -> Result<Vec<(NaiveDate, Slot)>, Refused> {
        let local = self.slot.starts_at.with_timezone(&zone).naive_local();
        let (mut slots, mut skipped) = (Vec::new(), Vec::new());
        for day in self.days(local.date())? {
            let wall = day.and_time(local.time());
            if day == local.date() {
                slots.push((day, self.slot));
            } else if is_shown(wall, &zone) {
                slots.push((day, Slot { starts_at: instant_of(wall, &zone, Bound::Start), ..self.slot }));
            } else {
                skipped.push(against(day, &Refusal::NoSuchLocalTime.into()));
            }
        }
        if skipped.is_empty() {
            Ok(slots)
        } else {
            refuse(Refused { errors: skipped, ..Refusal::NoSuchLocalTime.into() })
        }
    }
}

impl Command for ScheduleAppointmentSeries {
    const NAME: &'static str = "schedule-appointment-series";
    const PERMISSION: Permission = Permission::Create(Create::Appointments);
    const REVERSED_BY: Option<&'static str> = Some(CancelAppointmentSeries::NAME);
    type Aggregate = AppointmentSeries;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&AppointmentSeries>, found: &Found) -> Reads {
        reads_schedule(self.visit.reads(found), self.visit.provider_id)
    }

    fn when_booked(refused: Refused) -> Refused {
        let Refused { errors, candidates, .. } = refused;
        Refused { errors, candidates, ..Refusal::SeriesConflict.into() }
    }

    fn decide(self, _: Option<&AppointmentSeries>, ctx: &Context<'_>) -> Result<Decision<AppointmentSeries>, Refused> {
        check_start(self.slot, ctx.now)?;
        let first = self.visit.clone().schedule(self.slot, ctx)?;
        let (series_id, mut errors) = (AppointmentSeriesId(ctx.id), Vec::new());
        let mut booked: Vec<(NaiveDate, appointment::Scheduled)> = Vec::new();
        for ((day, slot), index) in self.slots(zone_named(&first.time_zone))?.into_iter().zip(1..) {
            let at = (slot, &first.time_zone);
            let hours = check_hours(ctx, first.provider_id, first.department_id, at, self.outside_hours);
            errors.extend(hours.as_ref().err().map(|refused| against(day, refused)));
            let (series, outside_hours) = (Some(SeriesPlace { series_id, index }), matches!(hours, Ok(true)));
            booked.push((day, appointment::Scheduled { slot, outside_hours, series, ..first.clone() }));
        }
        let refused = (!errors.is_empty()).then(|| Refused { errors, ..Refusal::SeriesConflict.into() });
        let occurrences = booked.iter().zip(1..).map(|((day, _), index)| Occurrence {
            index,
            day: *day,
            appointment_id: AppointmentSeries::occurrence_of(ctx.id, *day),
        });
        let scheduled = Decision::event(Event::Scheduled(Scheduled {
            patient_id: first.patient_id,
            provider_id: first.provider_id,
            department_id: first.department_id,
            time_zone: first.time_zone.clone(),
            rrule: self.rrule,
            exclude_dates: self.exclude_dates,
            occurrences: occurrences.collect(),
        }));
        let scheduled = booked.into_iter().fold(scheduled, |decision, (day, it)| {
            let appointment_id = AppointmentSeries::occurrence_of(ctx.id, day);
            decision.begin::<Appointment>(appointment_id, appointment::Event::Scheduled(it))
        });
        Ok(scheduled.unless(refused))
    }
}

impl Command for CancelAppointmentSeries {
    const NAME: &'static str = "cancel-appointment-series";
    const PERMISSION: Permission = Permission::Update(Update::Appointments);
    type Aggregate = AppointmentSeries;

    fn target(&self) -> Target {
        Target::existing(self.series_id)
    }

    fn reads(&self, state: Option<&AppointmentSeries>, _: &Found) -> Reads {
        let occurrences = state.into_iter().flat_map(|series| &series.occurrences);
        occurrences.fold(Reads::nothing(), |reads, it| reads.stream::<Appointment>(it.appointment_id))
    }

    fn decide(
        self,
        state: Option<&AppointmentSeries>,
        ctx: &Context<'_>,
    ) -> Result<Decision<AppointmentSeries>, Refused> {
        let series = existing(state)?;
        let from = self.from.unwrap_or_else(|| ctx.now.with_timezone(&zone_named(&series.time_zone)).date_naive());
        let is_open = |it: &&Occurrence| {
            ctx.found.get::<Appointment>(it.appointment_id).is_some_and(|appointment| {
                // An appointment that was moved counts with the day to which it was moved.
                let zone = zone_named(&appointment.time_zone);
                let day = appointment.slot.starts_at.with_timezone(&zone).date_naive();
                matches!(appointment.status, Status::Scheduled | Status::Confirmed) && day >= from
            })
        };
        let open: Vec<_> = series.occurrences.iter().filter(is_open).collect();
        if open.is_empty() {
            return Ok(Decision::nothing());
        }
        let cancelled = Decision::event(Event::CancelledFrom { from, reason: self.reason.clone() });
        Ok(open.into_iter().fold(cancelled, |decision, it| {
            let event = appointment::Event::Cancelled { reason: self.reason.clone() };
            decision.also::<Appointment>(it.appointment_id, event)
        }))
    }
}

#[cfg(test)]
mod tests;
