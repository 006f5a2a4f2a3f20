//! When a provider works: weekly hours in each department, exceptions on single days, and leave (FHIR R4 `Schedule`).

use chrono::{DateTime, Datelike, NaiveDate, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::appointment::Slot;
use crate::values::{Reason, Text, TimeOfDay};
use crate::wall_clock::{Bound, instant_of};
use crate::{Aggregate, DepartmentId, LeaveId, Personal, RoomId, Subject, UserId, derived, described, terms};

terms! {
    /// Why a provider is away.
    pub enum LeaveKind {
        Vacation = "vacation",
        Sick = "sick",
        Training = "training",
        Other = "other",
    }

    /// Whether a leave counts.
    pub enum LeaveStatus {
        Active = "active",
        Cancelled = "cancelled",
    }

    /// Whether an exception counts.
    pub enum ExceptionStatus {
        Active = "active",
        Removed = "removed",
    }
}

described! {
    /// A span of a day, in the wall-clock time of the department.
    pub struct DaySpan {
        /// The time at which the span begins.
        pub from: TimeOfDay,
        /// The time at which the span ends; `24:00` for the end of the day.
        pub until: TimeOfDay,
    }

    /// Hours of one day of the week.
    pub struct WeeklyBlock {
        /// The day of the week, from 1 (Monday) to 7 (Sunday).
        pub weekday: i32,
        /// The span of the day.
        #[serde(flatten)]
        pub span: DaySpan,
        /// The room in which the provider works, if it is always the same.
        pub room_id: Option<RoomId>,
        /// The kinds of appointment that are offered in these hours; every kind if left out.
        pub appointment_types: Option<Vec<Text<50>>>,
    }

    /// The weekly hours of a provider in a department, from a day on.
    pub struct Hours {
        /// The department.
        pub department_id: DepartmentId,
        /// The first day on which the hours count.
        pub effective_from: NaiveDate,
        /// The last day on which the hours count; no last day if left out.
        pub effective_to: Option<NaiveDate>,
        /// The hours of each week.
        pub weekly: Vec<WeeklyBlock>,
        /// The minutes from the beginning of a slot that is offered to the beginning of the next.
        pub slot_minutes: i32,
        /// How many minutes before its beginning a slot is offered last.
        pub minimum_notice_minutes: i32,
        /// How many days ahead slots are offered.
        pub horizon_days: i32,
    }

    /// The hours of a provider in a department on one day, in place of the weekly hours.
    pub struct Exception {
        /// The department.
        pub department_id: DepartmentId,
        /// The day.
        pub date: NaiveDate,
        /// The hours of the day; none if the provider does not work in the department on this day.
        pub hours: Vec<DaySpan>,
        /// Why the hours differ.
        pub reason: Option<Text<200>>,
    }

    /// A time in which a provider is away from every department.
    pub struct Leave {
        /// When the leave begins.
        pub from: DateTime<Utc>,
        /// When the leave ends.
        pub until: DateTime<Utc>,
        /// Why the provider is away.
        pub kind: LeaveKind,
        /// What else is to be said about the reason.
        pub reason: Option<Personal<Reason>>,
    }
}

impl WeeklyBlock {
    /// The day of the week of a date, in the numbers of [`weekday`](Self::weekday).
    pub(crate) fn weekday_of(day: NaiveDate) -> i32 {
        i32::try_from(day.weekday().number_from_monday()).unwrap_or_default()
    }
}

impl Hours {
    /// Whether the hours count on a day, unless later hours take over.
    fn covers(&self, day: NaiveDate) -> bool {
        self.effective_from <= day && self.effective_to.is_none_or(|last| day <= last)
    }
}

/// An exception, and whether it counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownException {
    /// The exception.
    pub exception: Exception,
    /// Whether the exception counts.
    pub status: ExceptionStatus,
}

/// A leave, and whether it counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownLeave {
    /// The id of the leave.
    pub leave_id: LeaveId,
    /// The leave.
    pub leave: Leave,
    /// Whether the leave counts.
    pub status: LeaveStatus,
}

/// When a provider works, in all departments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderSchedule {
    /// The provider.
    pub provider_id: UserId,
    /// The weekly hours, one for each department and first day.
    pub hours: Vec<Hours>,
    /// The exceptions, one for each department and day.
    pub exceptions: Vec<KnownException>,
    /// The leaves.
    pub leaves: Vec<KnownLeave>,
}

/// What can happen to the schedule of a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Weekly hours were set.
    HoursSet {
        /// The provider.
        provider_id: UserId,
        /// The hours.
        hours: Hours,
        /// Whether earlier hours of the department with the same first day are replaced.
        replaces: bool,
    },
    /// The hours of one day were set.
    ExceptionSet {
        /// The provider.
        provider_id: UserId,
        /// The exception.
        exception: Exception,
        /// Whether an earlier exception of the department on the same day is replaced.
        replaces: bool,
    },
    /// The weekly hours count again on a day that had hours of its own.
    ExceptionRemoved {
        /// The department.
        department_id: DepartmentId,
        /// The day.
        date: NaiveDate,
    },
    /// The provider will be away.
    LeaveAdded {
        /// The provider.
        provider_id: UserId,
        /// The id of the leave.
        leave_id: LeaveId,
        /// The leave.
        leave: Leave,
    },
    /// The provider will not be away after all.
    LeaveCancelled {
        /// The id of the leave.
        leave_id: LeaveId,
    },
}

impl Aggregate for ProviderSchedule {
    const STREAM: &'static str = "provider_schedule";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        let or_new = |provider_id: UserId| {
            let (hours, exceptions, leaves) = (Vec::new(), Vec::new(), Vec::new());
            state.clone().unwrap_or(Self { provider_id, hours, exceptions, leaves })
        };
        match event {
            Event::HoursSet { provider_id, hours, replaces: _ } => {
                let mut schedule = or_new(*provider_id);
                let is_other =
                    |it: &Hours| (it.department_id, it.effective_from) != (hours.department_id, hours.effective_from);
                schedule.hours.retain(is_other);
                schedule.hours.push(hours.clone());
                Some(schedule)
            }
            Event::ExceptionSet { provider_id, exception, replaces: _ } => {
                let mut schedule = or_new(*provider_id);
                schedule.exceptions.retain(|it| !it.is_of(exception.department_id, exception.date));
                let (exception, status) = (exception.clone(), ExceptionStatus::Active);
                schedule.exceptions.push(KnownException { exception, status });
                Some(schedule)
            }
            Event::ExceptionRemoved { department_id, date } => state.map(|mut schedule| {
                for it in schedule.exceptions.iter_mut().filter(|it| it.is_of(*department_id, *date)) {
                    it.status = ExceptionStatus::Removed;
                }
                schedule
            }),
            Event::LeaveAdded { provider_id, leave_id, leave } => {
                let mut schedule = or_new(*provider_id);
                let (leave_id, leave, status) = (*leave_id, leave.clone(), LeaveStatus::Active);
                schedule.leaves.push(KnownLeave { leave_id, leave, status });
                Some(schedule)
            }
            Event::LeaveCancelled { leave_id } => state.map(|mut schedule| {
                for it in schedule.leaves.iter_mut().filter(|it| it.leave_id == *leave_id) {
                    it.status = LeaveStatus::Cancelled;
                }
                schedule
            }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::User(self.provider_id.0))
    }
}

impl KnownException {
    /// Whether the exception is that of a department on a day.
    pub fn is_of(&self, department_id: DepartmentId, date: NaiveDate) -> bool {
        (self.exception.department_id, self.exception.date) == (department_id, date)
    }
}

/// A span of time from its beginning up to, but not including, its end.
type Span = (DateTime<Utc>, DateTime<Utc>);

impl ProviderSchedule {
    /// The stream of the schedule of a provider.
    pub fn stream_of(provider_id: UserId) -> Uuid {
        derived(Self::STREAM, &[&provider_id.to_string()])
    }

    /// The weekly hours that count in a department on a day: of those that cover the day, the ones that begin last.
    fn hours_on(&self, department_id: DepartmentId, day: NaiveDate) -> Option<&Hours> {
        let of_department = self.hours.iter().filter(|it| it.department_id == department_id && it.covers(day));
        of_department.max_by_key(|it| it.effective_from)
    }

    /// The spans of a day in which the provider works in a department; `None` if nothing is said about that day.
    fn spans_on<Z: TimeZone>(&self, department_id: DepartmentId, day: NaiveDate, zone: &Z) -> Option<Vec<Span>> {
        let exception =
            self.exceptions.iter().find(|it| it.is_of(department_id, day) && it.status == ExceptionStatus::Active);
        let spans: Vec<&DaySpan> = match exception {
            Some(it) => it.exception.hours.iter().collect(),
            None => {
                let weekday = WeeklyBlock::weekday_of(day);
                let blocks = self.hours_on(department_id, day)?.weekly.iter();
                blocks.filter(|block| block.weekday == weekday).map(|block| &block.span).collect()
            }
        };
        let span = |it: &DaySpan| {
            let (from, until) = (it.from.on(day)?, it.until.on(day)?);
            Some((instant_of(from, zone, Bound::Start), instant_of(until, zone, Bound::End)))
        };
        Some(spans.into_iter().filter_map(span).collect())
    }

    /// Whether a slot is not wholly within the hours of the provider in a department. No slot is outside the hours on a
    /// day about which the schedule says nothing.
    pub fn is_outside_hours<Z: TimeZone>(&self, department_id: DepartmentId, slot: Slot, zone: &Z) -> bool {
        let day_of = |at: DateTime<Utc>| at.with_timezone(zone).naive_local().date();
        let first = day_of(slot.starts_at);
        let Some(mut spans) = self.spans_on(department_id, first, zone) else { return false };
        let after = first.iter_days().skip(1).take_while(|day| *day <= day_of(slot.ends_at()));
        spans.extend(after.filter_map(|day| self.spans_on(department_id, day, zone)).flatten());
        spans.sort_unstable();
        let worked_until = spans
            .into_iter()
            .fold(slot.starts_at, |reached, (from, until)| if from <= reached { reached.max(until) } else { reached });
        worked_until < slot.ends_at()
    }

    /// Whether the provider is away during a part of a slot.
    pub fn is_on_leave(&self, slot: Slot) -> bool {
        let active = self.leaves.iter().filter(|it| it.status == LeaveStatus::Active).map(|it| &it.leave);
        active.into_iter().any(|leave| leave.from < slot.ends_at() && slot.starts_at < leave.until)
    }
}
