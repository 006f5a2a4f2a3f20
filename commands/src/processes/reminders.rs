use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::appointment::{Event, Slot};
use hims_domain::{AppointmentId, DomainEvent};
use hims_event_store::Timer;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::appointment::{Said, TellOfVisit};
use crate::notification::Tell;
use crate::patient::is_death;
use crate::{Failure, Happened, Process, Reaction};

/// How many hours before a visit the patient is reminded. A visit that is booked after the first reminder would have
/// come is confirmed at once.
const LEADS: [i64; 2] = [72, 24];

/// Reminds patients of their visits, and tells them when a visit was moved or cancelled.
pub(super) struct Reminders;

/// A reminder to be given, as the payload of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Due {
    appointment_id: AppointmentId,
    starts_at: DateTime<Utc>,
    lead_hours: i64,
}

/// The reminders that are still to come, as timers. If the visit is moved, the timers of the new time replace those of the
/// old; an old one that fires all the same finds that the visit was moved, and reminds nobody.
fn timers(appointment_id: AppointmentId, slot: Slot, now: DateTime<Utc>) -> impl Iterator<Item = Reaction> {
    LEADS.into_iter().filter_map(move |lead_hours| {
        let due_at = slot.starts_at - TimeDelta::hours(lead_hours);
        let due = Due { appointment_id, starts_at: slot.starts_at, lead_hours };
        (due_at > now).then(|| Reaction::timer(format!("{appointment_id} {lead_hours} h"), due_at, json!(due)))
    })
}

impl Process for Reminders {
    const NAME: &'static str = "reminders";
    const ON: &'static [&'static str] = &["appointment.scheduled", "appointment.rescheduled", "appointment.cancelled"];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let (appointment_id, now) = (AppointmentId(happened.stream_id), happened.recorded_at);
        let by_system = happened.user_id.is_none();
        let tell = |said| Reaction::command(Tell(TellOfVisit { appointment_id, said }));
        Ok(match &happened.event {
            DomainEvent::Appointment(Event::Scheduled(it)) => {
                let starts_at = it.slot.starts_at;
                let is_soon = starts_at - TimeDelta::hours(LEADS[0]) <= now;
                let confirmed = is_soon.then(|| tell(Said::Booked { starts_at }));
                confirmed.into_iter().chain(timers(appointment_id, it.slot, now)).collect()
            }
            DomainEvent::Appointment(Event::Rescheduled { slot, .. }) => {
                let moved = tell(Said::Moved { starts_at: slot.starts_at, position: happened.position });
                [moved].into_iter().chain(timers(appointment_id, *slot, now)).collect()
            }
            // Nobody is told of what their death cancelled, not even if it was recorded by mistake.
            DomainEvent::Appointment(Event::Cancelled { reason }) if by_system && is_death(reason) => Vec::new(),
            DomainEvent::Appointment(Event::Cancelled { .. }) => vec![tell(Said::Cancelled)],
            _ => Vec::new(),
        })
    }

    async fn fire(&self, timer: &Timer) -> Result<Vec<Reaction>, Failure> {
        let Ok(due) = serde_json::from_value::<Due>(timer.payload.clone()) else { return Ok(Vec::new()) };
        let Due { appointment_id, starts_at, lead_hours } = due;
        Ok(vec![Reaction::command(Tell(TellOfVisit { appointment_id, said: Said::Reminder { starts_at, lead_hours } }))])
    }
}

#[cfg(test)]
mod tests {
    use hims_domain::UserId;
    use hims_domain::appointment::Appointment;
    use hims_testing::sample_with;

    use super::*;
    use crate::machinery::process::Kind;
    use crate::testing::samples::{APPOINTMENT, DOCTOR};
    use crate::testing::{at, now};

    async fn reactions(event: Event) -> (Vec<Said>, Vec<DateTime<Utc>>) {
        reactions_by(None, event).await
    }

    async fn reactions_by(user_id: Option<UserId>, event: Event) -> (Vec<Said>, Vec<DateTime<Utc>>) {
        let (event, recorded_at) = (DomainEvent::Appointment(event), now());
        let stream_id = APPOINTMENT.0;
        let happened = Happened { position: 7, user_id, stream_id, recorded_at, occurred_at: recorded_at, event };
        let reactions = Reminders.react(&happened).await.unwrap();
        let said = reactions.iter().filter_map(|it| it.given::<Tell<TellOfVisit>>()).map(|it| it.0.said).collect();
        let due = reactions.iter().filter_map(|it| match &it.0 {
            Kind::Timer { due_at, .. } => Some(*due_at),
            Kind::Command(_) => None,
        });
        (said, due.collect())
    }

    fn scheduled(starts_at: &str) -> Event {
        sample_with::<Appointment>("scheduled", json!({"slot": {"starts_at": starts_at}}))
    }

    #[tokio::test]
    async fn there_are_reminders_three_days_and_one_day_before_a_visit() {
        let both = vec![at("2026-12-21T15:00:00Z"), at("2026-12-23T15:00:00Z")];
        assert_eq!(reactions(scheduled("2026-12-24T15:00:00Z")).await, (vec![], both));
    }

    #[tokio::test]
    async fn a_visit_that_is_booked_late_is_confirmed_at_once() {
        let starts_at = at("2026-11-26T09:59:00Z");
        let confirmed = vec![Said::Booked { starts_at }];
        let (said, due) = reactions(scheduled("2026-11-26T09:59:00Z")).await;
        assert_eq!((said, due), (confirmed, vec![starts_at - TimeDelta::hours(24)]));
        let (said, due) = reactions(scheduled("2026-11-23T12:00:00Z")).await;
        assert_eq!((said.len(), due), (1, vec![]));
    }

    #[tokio::test]
    async fn a_change_is_told_at_once_and_a_moved_visit_is_reminded_anew() {
        let moved = sample_with::<Appointment>("rescheduled", json!({"slot": {"starts_at": "2026-12-24T15:00:00Z"}}));
        let (said, due) = reactions(moved).await;
        assert_eq!(said, [Said::Moved { starts_at: at("2026-12-24T15:00:00Z"), position: 7 }]);
        assert_eq!(due.len(), 2);
        let cancelled = sample_with::<Appointment>("cancelled", json!({}));
        assert_eq!(reactions(cancelled).await, (vec![Said::Cancelled], vec![]));
        let by_death = sample_with::<Appointment>("cancelled", json!({"reason": {"$personal": "deceased"}}));
        assert_eq!(reactions(by_death.clone()).await, (vec![], vec![]));
        // What somebody at the desk writes is a reason like any other: the provider may have died.
        let by_desk = reactions_by(Some(DOCTOR), by_death).await;
        assert_eq!(by_desk, (vec![Said::Cancelled], vec![]));
    }
}
