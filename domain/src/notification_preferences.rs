//! How a user or a patient wants to be notified: the channels of each type, quiet hours and language.

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::notification::{Channel, NotificationType};
use crate::values::{Text, TimeOfDay};
use crate::wall_clock::{Bound, instant_of};
use crate::{Aggregate, PatientId, Subject, UserId, derived, described};

/// When quiet hours begin and end, unless somebody wants them otherwise.
pub const QUIET_HOURS: (&str, &str) = ("21:00", "08:00");

described! {
    /// How somebody wants to be notified.
    #[derive(Default)]
    pub struct Wishes {
        /// The channels by type of notification, such as `{"appointment_reminder": ["email", "sms"]}`. A type without
        /// channels is switched off; a type that is left out has its usual channels.
        pub channels: Option<BTreeMap<String, Vec<Channel>>>,
        /// When quiet hours begin; `21:00` if left out. Quiet hours that end when they begin are none.
        pub quiet_from: Option<TimeOfDay>,
        /// When quiet hours end; `08:00` if left out.
        pub quiet_until: Option<TimeOfDay>,
        /// The time zone of the quiet hours (IANA), such as `Europe/Zurich`; that of the department or of the hospital
        /// if left out.
        pub time_zone: Option<Text<64>>,
        /// The language of e-mails and text messages (BCP 47), such as `de` or `pt-BR`.
        pub language: Option<Text<35>>,
    }
}

impl Wishes {
    /// The channels on which somebody wants a type of notification; `None` if nothing was said about the type.
    pub fn channels_of(&self, notification_type: NotificationType) -> Option<&[Channel]> {
        self.channels.as_ref()?.get(notification_type.as_str()).map(Vec::as_slice)
    }

    /// The quiet hours that an instant is in; `None` if the instant is in no quiet hours. In the nights in which clocks
    /// change, quiet hours begin and end by the clock on the wall.
    pub fn quiet_hours<Z: TimeZone>(&self, at: DateTime<Utc>, zone: &Z) -> Option<Range<DateTime<Utc>>> {
        let usual = |text| TimeOfDay::parse(text).ok();
        let from = self.quiet_from.clone().or_else(|| usual(QUIET_HOURS.0))?;
        let until = self.quiet_until.clone().or_else(|| usual(QUIET_HOURS.1))?;
        let today = at.with_timezone(zone).date_naive();
        // Quiet hours over midnight begin on the day before.
        [today.pred_opt()?, today].into_iter().find_map(|day| {
            let (begin, mut end) = (from.on(day)?, until.on(day)?);
            if end < begin {
                end = end.checked_add_signed(TimeDelta::days(1))?;
            }
            let span = instant_of(begin, zone, Bound::Start)..instant_of(end, zone, Bound::End);
            span.contains(&at).then_some(span)
        })
    }
}

/// Whose preferences they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Person {
    /// A user.
    UserId(UserId),
    /// A patient.
    PatientId(PatientId),
}

impl Person {
    /// The patient who is named, or else the user; `None` if nobody is named.
    pub fn of(user_id: Option<UserId>, patient_id: Option<PatientId>) -> Option<Self> {
        patient_id.map(Self::PatientId).or(user_id.map(Self::UserId))
    }
}

/// The preferences of a user or a patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotificationPreferences {
    /// Whose preferences they are.
    pub of: Person,
    /// How they want to be notified.
    pub wishes: Wishes,
}

/// What can happen to preferences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Somebody said how they want to be notified. The event holds all of it.
    Set {
        /// The user, if they are those of a user.
        user_id: Option<UserId>,
        /// The patient, if they are those of a patient.
        patient_id: Option<PatientId>,
        /// How they want to be notified.
        wishes: Wishes,
    },
}

impl NotificationPreferences {
    /// The id of the stream of a person's preferences.
    pub fn stream_of(person: Person) -> Uuid {
        let id = match person {
            Person::UserId(id) => id.0,
            Person::PatientId(id) => id.0,
        };
        derived("notification-preferences", &[&id.to_string()])
    }
}

impl Aggregate for NotificationPreferences {
    const STREAM: &'static str = "notification_preferences";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Set { user_id, patient_id, wishes } => {
                let of = Person::of(*user_id, *patient_id).or(state.map(|it| it.of))?;
                Some(Self { of, wishes: wishes.clone() })
            }
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    fn quiet(hours: (&str, &str), zone: &str, at: &str) -> Option<String> {
        let of = |text| TimeOfDay::parse(text).ok();
        let wishes = Wishes { quiet_from: of(hours.0), quiet_until: of(hours.1), ..Wishes::default() };
        let (zone, at): (Tz, DateTime<Utc>) = (zone.parse().unwrap(), at.parse().unwrap());
        let until = wishes.quiet_hours(at, &zone)?.end;
        Some(until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    }

    #[test]
    fn quiet_hours_may_go_over_midnight_or_within_a_day() {
        let usual = |at| quiet(("", ""), "UTC", at);
        assert_eq!(usual("2026-11-23T20:59:59Z"), None);
        for at in ["2026-11-23T21:00:00Z", "2026-11-23T23:59:59Z", "2026-11-24T00:00:00Z", "2026-11-24T07:59:59Z"] {
            assert_eq!(usual(at).as_deref(), Some("2026-11-24T08:00:00Z"), "{at}");
        }
        assert_eq!(usual("2026-11-24T08:00:00Z"), None);
        let noon = |at| quiet(("12:00", "13:30"), "UTC", at);
        assert_eq!(noon("2026-11-24T12:00:00Z").as_deref(), Some("2026-11-24T13:30:00Z"));
        assert_eq!(noon("2026-11-24T13:30:00Z"), None);
        assert_eq!(quiet(("08:00", "08:00"), "UTC", "2026-11-24T08:00:00Z"), None, "there are none");
        let all_day = quiet(("00:00", "24:00"), "UTC", "2026-11-24T08:00:00Z");
        assert_eq!(all_day.as_deref(), Some("2026-11-25T00:00:00Z"));
    }

    #[test]
    fn in_the_nights_in_which_clocks_change_quiet_hours_are_those_of_the_clock_on_the_wall() {
        // Clocks are put forward: the night is an hour shorter.
        let spring = |at| quiet(("", ""), "Europe/Zurich", at);
        assert_eq!(spring("2026-03-28T20:00:00Z").as_deref(), Some("2026-03-29T06:00:00Z"));
        assert_eq!(spring("2026-03-29T05:59:59Z").as_deref(), Some("2026-03-29T06:00:00Z"));
        assert_eq!(spring("2026-03-29T06:00:00Z"), None);
        // Clocks are put back: the night is an hour longer.
        assert_eq!(spring("2026-10-24T19:00:00Z").as_deref(), Some("2026-10-25T07:00:00Z"));
        assert_eq!(spring("2026-10-25T06:59:59Z").as_deref(), Some("2026-10-25T07:00:00Z"));
        // Quiet hours that end within the gap, or within the hour that comes twice.
        let ending = |at| quiet(("22:00", "02:30"), "Europe/Zurich", at);
        assert_eq!(ending("2026-03-29T00:30:00Z").as_deref(), Some("2026-03-29T01:00:00Z"));
        assert_eq!(ending("2026-10-25T00:45:00Z").as_deref(), Some("2026-10-25T01:30:00Z"));
    }
}
