//! The waiting list: patients who want an appointment that nobody could give them yet, and what they are offered.

use chrono::{DateTime, NaiveDate, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::appointment::{Opening, Priority, Slot};
use crate::provider_schedule::WeeklyBlock;
use crate::values::{Reason, Text, TimeOfDay};
use crate::wall_clock::{Bound, instant_of};
use crate::{Aggregate, AppointmentId, DepartmentId, PatientId, Personal, Subject, UserId, derived, described, terms};

/// How many offers a patient leaves unanswered before they are no longer waited for.
pub const MOST_UNANSWERED: i32 = 3;

terms! {
    /// The status of an entry of the waiting list.
    pub enum Status {
        Waiting = "waiting",
        Offered = "offered",
        Fulfilled = "fulfilled",
        Lapsed = "lapsed",
        Withdrawn = "withdrawn",
    }

    /// How an offer ended that was not accepted.
    pub enum Ended {
        Declined = "declined",
        Expired = "expired",
    }
}

described! {
    /// What a patient on the waiting list waits for.
    pub struct Wish {
        /// The department; left out if the patient waits for a certain provider.
        pub department_id: Option<DepartmentId>,
        /// The provider; left out if the patient waits for anybody of a department.
        pub provider_id: Option<UserId>,
        /// The kind of appointment, such as `follow_up`.
        pub appointment_type: Text<50>,
        /// How long the appointment takes, from 1 to 480 minutes.
        pub duration_minutes: i32,
        /// How urgent the appointment is; `normal` if left out. Of patients who are as urgent, the one who has waited
        /// longest comes first.
        #[serde(default = "normal")]
        pub priority: Priority,
        /// The first day that suits the patient.
        pub earliest: NaiveDate,
        /// The last day that suits the patient, at most two years ahead.
        pub latest: NaiveDate,
        /// The days of the week that suit the patient, from 1 (Monday) to 7 (Sunday); every day if left out.
        pub weekdays: Option<Vec<i32>>,
        /// From which time of day on the appointment may begin; from any time if left out.
        pub time_from: Option<TimeOfDay>,
        /// By which time of day the appointment must end; by any time if left out.
        pub time_until: Option<TimeOfDay>,
        /// A later appointment of the patient, which is cancelled when the patient accepts an offer.
        pub gives_up_appointment_id: Option<AppointmentId>,
    }
}

fn normal() -> Priority {
    Priority::Normal
}

impl Wish {
    /// The time that an appointment takes if it begins with an opening.
    pub fn slot_of(&self, opening: &Opening) -> Slot {
        Slot { starts_at: opening.slot.starts_at, duration_minutes: self.duration_minutes }
    }

    /// Whether an opening is of the kind, at the place and as long as the patient waits for, and at a time that suits
    /// the patient by the clocks of a time zone.
    pub fn is_met_by<Z: TimeZone>(&self, opening: &Opening, zone: &Z) -> bool {
        let slot = self.slot_of(opening);
        let local = |at: DateTime<Utc>| at.with_timezone(zone).naive_local();
        let (begin, end) = (local(slot.starts_at), local(slot.ends_at()));
        let day = begin.date();
        self.appointment_type == opening.appointment_type
            && self.provider_id.is_none_or(|it| it == opening.provider_id)
            && self.department_id.is_none_or(|it| Some(it) == opening.department_id)
            && self.duration_minutes <= opening.slot.duration_minutes
            && (self.earliest..=self.latest).contains(&day)
            && self.weekdays.as_ref().is_none_or(|it| it.contains(&WeeklyBlock::weekday_of(day)))
            && self.time_from.as_ref().and_then(|it| it.on(day)).is_none_or(|from| from <= begin)
            && self.time_until.as_ref().and_then(|it| it.on(day)).is_none_or(|until| end <= until)
    }

    /// When the last day that suits the patient is over, by the clocks of a time zone.
    pub fn over_at<Z: TimeZone>(&self, zone: &Z) -> DateTime<Utc> {
        let after = self.latest.succ_opt().unwrap_or(self.latest);
        instant_of(after.and_time(chrono::NaiveTime::MIN), zone, Bound::Start)
    }
}

/// An offer to a patient who waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// The provider, the place and the time that are free.
    pub opening: Opening,
    /// The time that is held for the patient: from the beginning of what is free, as long as the patient needs.
    pub slot: Slot,
    /// From when on the offer can no longer be accepted.
    pub expires_at: DateTime<Utc>,
    /// Whether it was accepted that the time is outside the provider's hours or in their leave.
    pub outside_hours: bool,
}

/// A place of a patient on the waiting list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitlistEntry {
    /// The patient.
    pub patient_id: PatientId,
    /// What the patient waits for.
    pub wish: Wish,
    /// The time zone of the days and times of day of the wish.
    pub time_zone: Text<64>,
    /// Since when the patient waits.
    pub joined_at: DateTime<Utc>,
    /// The status of the entry.
    pub status: Status,
    /// The offer that is held for the patient.
    pub offer: Option<Offer>,
    /// How the last offer ended, if it was not accepted.
    pub ended: Option<Ended>,
    /// How many offers the patient did not answer.
    pub unanswered: i32,
    /// What the patient was offered and did not take: provider and beginning. No time is offered to the patient twice.
    pub passed_up: Vec<(UserId, DateTime<Utc>)>,
}

/// What can happen to an entry of the waiting list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The patient began to wait.
    Joined {
        /// The patient.
        patient_id: PatientId,
        /// What the patient waits for.
        wish: Box<Wish>,
        /// The time zone of the days and times of day of the wish.
        time_zone: Text<64>,
        /// Since when the patient waits.
        joined_at: DateTime<Utc>,
    },
    /// The patient waits for something else. The event holds the whole wish.
    Changed {
        /// What the patient waits for.
        wish: Box<Wish>,
        /// The time zone of the days and times of day of the wish.
        time_zone: Text<64>,
    },
    /// A time was offered to the patient, and is held for them.
    Offered(Box<Offer>),
    /// The patient took the offer: the appointment is made.
    Accepted {
        /// The appointment.
        appointment_id: AppointmentId,
    },
    /// The patient did not want the offer, and waits on.
    Declined {
        /// What is free again.
        opening: Opening,
    },
    /// The patient did not answer in time, and waits on.
    Expired {
        /// What is free again.
        opening: Opening,
    },
    /// The patient is no longer waited for: the last day that suits them is over, or they left offers unanswered.
    Lapsed {
        /// What is free again, if the patient left an offer unanswered.
        opening: Option<Opening>,
    },
    /// The patient does not wait any more.
    Left {
        /// What is free again, if something was held for the patient.
        opening: Option<Opening>,
        /// Why the patient does not wait any more.
        reason: Option<Personal<Reason>>,
    },
}

impl WaitlistEntry {
    /// The id of the appointment to which an entry leads.
    pub fn appointment_of(entry: Uuid) -> AppointmentId {
        derived("waitlist-appointment", &[&entry.to_string()]).into()
    }

    /// The entry after an offer that was not accepted.
    fn without_offer(mut self, status: Status, ended: Ended, opening: &Opening) -> Self {
        self.passed_up.push((opening.provider_id, opening.slot.starts_at));
        self.unanswered += i32::from(ended == Ended::Expired);
        Self { status, offer: None, ended: Some(ended), ..self }
    }
}

impl Aggregate for WaitlistEntry {
    const STREAM: &'static str = "waitlist_entry";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Joined { patient_id, wish, time_zone, joined_at } => Some(Self {
                patient_id: *patient_id,
                wish: (**wish).clone(),
                time_zone: time_zone.clone(),
                joined_at: *joined_at,
                status: Status::Waiting,
                offer: None,
                ended: None,
                unanswered: 0,
                passed_up: Vec::new(),
            }),
            Event::Changed { wish, time_zone } => {
                state.map(|it| Self { wish: (**wish).clone(), time_zone: time_zone.clone(), ..it })
            }
            Event::Offered(offer) => {
                state.map(|it| Self { status: Status::Offered, offer: Some((**offer).clone()), ended: None, ..it })
            }
            Event::Accepted { appointment_id: _ } => {
                state.map(|it| Self { status: Status::Fulfilled, offer: None, ..it })
            }
            Event::Declined { opening } => state.map(|it| it.without_offer(Status::Waiting, Ended::Declined, opening)),
            Event::Expired { opening } => state.map(|it| it.without_offer(Status::Waiting, Ended::Expired, opening)),
            Event::Lapsed { opening: Some(opening) } => {
                state.map(|it| it.without_offer(Status::Lapsed, Ended::Expired, opening))
            }
            Event::Lapsed { opening: None } => state.map(|it| Self { status: Status::Lapsed, offer: None, ..it }),
            Event::Left { opening: _, reason: _ } => {
                state.map(|it| Self { status: Status::Withdrawn, offer: None, ..it })
            }
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        Some(Subject::Patient(self.patient_id.0))
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Half an hour on Monday, the 30th of November 2026, from nine in the morning in New York on.
    fn opening() -> Opening {
        Opening {
            provider_id: Uuid::from_u128(3).into(),
            department_id: Some(Uuid::from_u128(5).into()),
            room_id: None,
            appointment_type: "follow_up".into(),
            slot: Slot { starts_at: at("2026-11-30T14:00:00Z"), duration_minutes: 30 },
            time_zone: "America/New_York".into(),
        }
    }

    fn wish() -> Wish {
        Wish {
            department_id: Some(Uuid::from_u128(5).into()),
            provider_id: None,
            appointment_type: "follow_up".into(),
            duration_minutes: 30,
            priority: Priority::Normal,
            earliest: "2026-11-30".parse().unwrap(),
            latest: "2026-11-30".parse().unwrap(),
            weekdays: None,
            time_from: None,
            time_until: None,
            gives_up_appointment_id: None,
        }
    }

    #[test]
    fn an_opening_meets_a_wish_if_kind_place_length_and_time_do() {
        let day = |text: &str| text.parse().unwrap();
        let time = |text| TimeOfDay::parse(text).ok();
        let other = Uuid::from_u128(9);
        for (wish, is_met) in [
            (wish(), true),
            (Wish { appointment_type: "new".into(), ..wish() }, false),
            (Wish { department_id: Some(other.into()), ..wish() }, false),
            (Wish { department_id: None, provider_id: Some(opening().provider_id), ..wish() }, true),
            (Wish { department_id: None, provider_id: Some(other.into()), ..wish() }, false),
            (Wish { duration_minutes: 15, ..wish() }, true),
            (Wish { duration_minutes: 31, ..wish() }, false),
            (Wish { earliest: day("2026-12-01"), latest: day("2026-12-02"), ..wish() }, false),
            (Wish { earliest: day("2026-11-01"), latest: day("2026-11-29"), ..wish() }, false),
            (Wish { weekdays: Some(vec![1, 3]), ..wish() }, true),
            (Wish { weekdays: Some(vec![2]), ..wish() }, false),
            (Wish { time_from: time("09:00"), time_until: time("09:30"), ..wish() }, true),
            (Wish { time_from: time("09:01"), ..wish() }, false),
            (Wish { time_until: time("09:29"), ..wish() }, false),
        ] {
            assert_eq!(wish.is_met_by(&opening(), &Tz::America__New_York), is_met, "{wish:?}");
        }
    }

    #[test]
    fn days_and_times_are_those_of_the_time_zone() {
        let late = Opening { slot: Slot { starts_at: at("2026-12-01T03:00:00Z"), duration_minutes: 30 }, ..opening() };
        assert!(wish().is_met_by(&late, &Tz::America__New_York), "ten in the evening of the 30th");
        assert!(!wish().is_met_by(&late, &Tz::UTC));
        // Until midnight, and over it.
        let until = |text| Wish { time_until: TimeOfDay::parse(text).ok(), ..wish() };
        let last = Opening { slot: Slot { starts_at: at("2026-12-01T04:30:00Z"), duration_minutes: 30 }, ..opening() };
        assert!(until("24:00").is_met_by(&last, &Tz::America__New_York));
        let over = Opening { slot: Slot { starts_at: at("2026-12-01T04:45:00Z"), duration_minutes: 30 }, ..opening() };
        assert!(!until("24:00").is_met_by(&over, &Tz::America__New_York));
    }

    #[test]
    fn a_wish_is_over_when_its_last_day_is() {
        assert_eq!(wish().over_at(&Tz::America__New_York), at("2026-12-01T05:00:00Z"));
        // The day after the last begins at one in the morning, since clocks skip midnight.
        let cairo = Wish { latest: "2026-04-23".parse().unwrap(), ..wish() };
        assert_eq!(cairo.over_at(&Tz::Africa__Cairo), at("2026-04-23T22:00:00Z"));
    }
}
