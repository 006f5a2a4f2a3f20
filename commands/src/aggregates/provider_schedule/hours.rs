//! The hours of a provider in a department: weekly ones, and those of single days.

use std::ops::RangeInclusive;

use chrono::NaiveDate;
use hims_domain::department::Department;
use hims_domain::permission::{Create, Update};
use hims_domain::provider_schedule::{
    DaySpan, Event, Exception, ExceptionStatus, Hours, ProviderSchedule, WeeklyBlock,
};
use hims_domain::room::Room;
use hims_domain::{DepartmentId, RoomId, UserId, described};

use super::{Refusal, check_provider, reads_provider};
use crate::department::open_department;
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

described! {
    /// The weekly hours of a provider in a department.
    pub struct OfferedHours {
        /// The department.
        pub department_id: DepartmentId,
        /// The first day on which the hours count. Hours of the department with the same first day are replaced; of
        /// several hours that count on a day, those that begin last do.
        pub effective_from: NaiveDate,
        /// The last day on which the hours count; no last day if left out.
        pub effective_to: Option<NaiveDate>,
        /// The hours of each week, at most 50 blocks; an empty list for a provider who does not work.
        pub weekly: Vec<WeeklyBlock>,
        /// The minutes from the beginning of a slot that is offered to the beginning of the next, from 5 to 240; 15 if
        /// left out.
        pub slot_minutes: Option<i32>,
        /// How many minutes before its beginning a slot is offered last, from 0 to 10,080; 0 if left out.
        pub minimum_notice_minutes: Option<i32>,
        /// How many days ahead slots are offered, from 1 to 730; 180 if left out.
        pub horizon_days: Option<i32>,
    }

    /// Sets the weekly hours of a provider in a department. Appointments that are outside the new hours stay.
    pub struct SetProviderHours {
        /// The provider: a user who may start consultations.
        pub provider_id: UserId,
        /// The hours.
        #[serde(flatten)]
        pub offered: OfferedHours,
    }

    /// Sets the hours of a provider in a department on one day, in place of the weekly hours.
    pub struct SetScheduleException {
        /// The provider: a user who may start consultations.
        pub provider_id: UserId,
        /// The hours of the day, at most 50 spans.
        #[serde(flatten)]
        pub exception: Exception,
    }

    /// Removes the hours of a single day, so that the weekly hours count again.
    pub struct RemoveScheduleException {
        /// The provider.
        pub provider_id: UserId,
        /// The department.
        pub department_id: DepartmentId,
        /// The day.
        pub date: NaiveDate,
    }
}

/// How many spans a day, or blocks a week, has at most.
const MOST: usize = 50;

/// Refuses a number outside its range.
fn check_range(value: i32, range: &RangeInclusive<i32>, pointer: &str) -> Result<(), Refused> {
    if range.contains(&value) {
        return Ok(());
    }
    let message = format!("give a number from {} to {}", range.start(), range.end());
    Err(Refused::field("out-of-range", pointer, message))
}

/// A span of a day, at its place in a request.
struct Placed<'a> {
    /// The weekday, or the same number for all spans of a single day.
    day: i32,
    span: &'a DaySpan,
    pointer: String,
}

impl Placed<'_> {
    /// Refuses a span that ends before it begins, or that overlaps with a span before it on the same day.
    fn check(&self, before: &[Self]) -> Result<(), Refused> {
        let span = self.span;
        if span.from >= span.until {
            return Err(Refused::from(Refusal::EndsBeforeItStarts).at(&self.pointer));
        }
        let meets = |other: &DaySpan| other.from < span.until && span.from < other.until;
        if before.iter().any(|other| other.day == self.day && meets(other.span)) {
            return Err(Refused::from(Refusal::HoursOverlap).at(&self.pointer));
        }
        Ok(())
    }
}

/// Checks each span by itself and against those before it.
fn check_spans(spans: &[Placed<'_>]) -> impl Iterator<Item = Result<(), Refused>> {
    spans.iter().enumerate().map(|(index, it)| it.check(&spans[..index]))
}

fn check_length(length: usize, pointer: &str) -> Result<(), Refused> {
    if length <= MOST { Ok(()) } else { Err(Refused::field("out-of-range", pointer, format!("give at most {MOST}"))) }
}

impl OfferedHours {
    fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.weekly.iter().filter_map(|block| block.room_id)
    }

    /// The hours with what is meant by the fields that were left out, if they keep the rules.
    fn checked(self, ctx: &Context<'_>) -> Result<Hours, Refused> {
        let hours = Hours {
            department_id: self.department_id,
            effective_from: self.effective_from,
            effective_to: self.effective_to,
            weekly: self.weekly,
            slot_minutes: self.slot_minutes.unwrap_or(15),
            minimum_notice_minutes: self.minimum_notice_minutes.unwrap_or(0),
            horizon_days: self.horizon_days.unwrap_or(180),
        };
        check_length(hours.weekly.len(), "/weekly")?;
        let is_backwards = hours.effective_to.is_some_and(|last| last < hours.effective_from);
        let backwards = is_backwards.then(|| Err(Refused::from(Refusal::EndsBeforeItStarts).at("/effective_to")));
        let ranges = [
            check_range(hours.slot_minutes, &(5..=240), "/slot_minutes"),
            check_range(hours.minimum_notice_minutes, &(0..=10_080), "/minimum_notice_minutes"),
            check_range(hours.horizon_days, &(1..=730), "/horizon_days"),
        ];
        let blocks = || hours.weekly.iter().enumerate().map(|(index, it)| (format!("/weekly/{index}"), it));
        let checked = blocks().flat_map(|(at, block)| {
            let types = block.appointment_types.iter().flatten().count();
            let room = block.room_id.map(|it| ctx.named::<Room>(it, &format!("{at}/room_id")).map(drop));
            let weekday = check_range(block.weekday, &(1..=7), &format!("{at}/weekday"));
            [Some(weekday), Some(check_length(types, &format!("{at}/appointment_types"))), room].into_iter().flatten()
        });
        let spans = blocks().map(|(at, it)| Placed { day: it.weekday, span: &it.span, pointer: format!("{at}/from") });
        let spans: Vec<_> = spans.collect();
        Refused::all(backwards.into_iter().chain(ranges).chain(checked).chain(check_spans(&spans)))?;
        Ok(hours)
    }
}

impl Command for SetProviderHours {
    const NAME: &'static str = "set-provider-hours";
    const PERMISSION: Permission = Permission::Create(Create::ProviderSchedules);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = ProviderSchedule;

    fn target(&self) -> Target {
        Target::either(ProviderSchedule::stream_of(self.provider_id))
    }

    fn reads(&self, _: Option<&ProviderSchedule>, found: &Found) -> Reads {
        let reads = reads_provider(self.provider_id, found).stream::<Department>(self.offered.department_id);
        self.offered.rooms().fold(reads, Reads::stream::<Room>)
    }

    fn decide(
        self,
        state: Option<&ProviderSchedule>,
        ctx: &Context<'_>,
    ) -> Result<Decision<ProviderSchedule>, Refused> {
        check_provider(ctx, self.provider_id)?;
        open_department(ctx, self.offered.department_id)?;
        let hours = self.offered.checked(ctx)?;
        let is_same =
            |it: &&Hours| (it.department_id, it.effective_from) == (hours.department_id, hours.effective_from);
        let replaced = state.and_then(|schedule| schedule.hours.iter().find(is_same));
        if replaced == Some(&hours) {
            return Ok(Decision::nothing());
        }
        let replaces = replaced.is_some();
        Ok(Decision::event(Event::HoursSet { provider_id: self.provider_id, hours, replaces }))
    }
}

impl Command for SetScheduleException {
    const NAME: &'static str = "set-schedule-exception";
    const PERMISSION: Permission = Permission::Create(Create::ProviderSchedules);
    const REVERSED_BY: Option<&'static str> = Some(RemoveScheduleException::NAME);
    type Aggregate = ProviderSchedule;

    fn target(&self) -> Target {
        Target::either(ProviderSchedule::stream_of(self.provider_id))
    }

    fn reads(&self, _: Option<&ProviderSchedule>, found: &Found) -> Reads {
        reads_provider(self.provider_id, found).stream::<Department>(self.exception.department_id)
    }

    fn decide(
        self,
        state: Option<&ProviderSchedule>,
        ctx: &Context<'_>,
    ) -> Result<Decision<ProviderSchedule>, Refused> {
        let Self { provider_id, exception } = self;
        check_provider(ctx, provider_id)?;
        open_department(ctx, exception.department_id)?;
        check_length(exception.hours.len(), "/hours")?;
        let placed = |(index, span)| Placed { day: 0, span, pointer: format!("/hours/{index}/from") };
        let spans: Vec<_> = exception.hours.iter().enumerate().map(placed).collect();
        Refused::all(check_spans(&spans))?;
        let known = state.into_iter().flat_map(|schedule| &schedule.exceptions);
        let replaced = known.into_iter().find(|it| it.is_of(exception.department_id, exception.date));
        if replaced.is_some_and(|it| it.exception == exception && it.status == ExceptionStatus::Active) {
            return Ok(Decision::nothing());
        }
        let replaces = replaced.is_some();
        Ok(Decision::event(Event::ExceptionSet { provider_id, exception, replaces }))
    }
}

impl Command for RemoveScheduleException {
    const NAME: &'static str = "remove-schedule-exception";
    const PERMISSION: Permission = Permission::Update(Update::ProviderSchedules);
    const REVERSED_BY: Option<&'static str> = Some(SetScheduleException::NAME);
    type Aggregate = ProviderSchedule;

    fn target(&self) -> Target {
        Target::existing(ProviderSchedule::stream_of(self.provider_id))
    }

    fn decide(self, state: Option<&ProviderSchedule>, _: &Context<'_>) -> Result<Decision<ProviderSchedule>, Refused> {
        let Self { department_id, date, .. } = self;
        let known = existing(state)?.exceptions.iter().find(|it| it.is_of(department_id, date));
        match known.map(|it| it.status) {
            Some(ExceptionStatus::Active) => Ok(Decision::event(Event::ExceptionRemoved { department_id, date })),
            Some(ExceptionStatus::Removed) => Ok(Decision::nothing()),
            None => refuse(Refusal::NoSuchException),
        }
    }
}
