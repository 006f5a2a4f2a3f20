use chrono::{DateTime, Utc};
use hims_domain::appointment::{self, Opening};
use hims_domain::values::Text;
use hims_domain::waitlist_entry::{self, Wish};
use hims_domain::{DomainEvent, WaitlistEntryId};
use hims_event_store::Timer;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::department::zone_named;
use crate::notification::Tell;
use crate::waitlist_entry::{ExpireWaitlistOffer, LapseWaitlistEntry, OfferAgain, OfferFreedTime, TellOfOffer};
use crate::{Failure, Happened, Process, Reaction};

/// Offers what becomes free to those who wait, one after the other: tells them of the offer, ends it when it is not
/// answered in time, and makes the next one. Ends the waiting of those whose last day is over.
pub(super) struct Waitlist;

/// What a timer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Due {
    /// An offer expires.
    Offer { entry_id: WaitlistEntryId, expires_at: DateTime<Utc> },
    /// The last day that suits a patient is over.
    Wish { entry_id: WaitlistEntryId },
}

/// The timer for the end of the last day that suits a patient, in place of that for the day before a change.
fn until_over(entry_id: WaitlistEntryId, wish: &Wish, time_zone: &Text<64>) -> Vec<Reaction> {
    let due_at = wish.over_at(&zone_named(time_zone));
    vec![Reaction::timer(format!("{entry_id} wish"), due_at, json!(Due::Wish { entry_id }))]
}

/// Offers to the next what a patient did not take. Whether a day is over that was still to come when the offer was made
/// is looked at again, since it does not end the waiting of somebody to whom something is offered.
fn again(entry_id: WaitlistEntryId, opening: &Opening, freed_at: DateTime<Utc>) -> Vec<Reaction> {
    let offer = OfferAgain { entry_id, opening: opening.clone(), freed_at };
    vec![Reaction::command(offer), Reaction::command(LapseWaitlistEntry { entry_id })]
}

fn of_entry(happened: &Happened, event: &waitlist_entry::Event) -> Vec<Reaction> {
    use waitlist_entry::Event;
    let (entry_id, position): (WaitlistEntryId, _) = (happened.stream_id.into(), happened.position);
    match event {
        Event::Joined { wish, time_zone, .. } | Event::Changed { wish, time_zone } => {
            until_over(entry_id, wish, time_zone)
        }
        Event::Offered(offer) => {
            let expires_at = offer.expires_at;
            let due = json!(Due::Offer { entry_id, expires_at });
            vec![
                Reaction::command(Tell(TellOfOffer { entry_id, position, expires_at })),
                Reaction::timer(format!("{entry_id} offer"), expires_at, due),
            ]
        }
        Event::Declined { opening }
        | Event::Expired { opening }
        | Event::Lapsed { opening: Some(opening) }
        | Event::Left { opening: Some(opening), .. } => again(entry_id, opening, happened.recorded_at),
        Event::Accepted { .. } | Event::Lapsed { opening: None } | Event::Left { opening: None, .. } => Vec::new(),
    }
}

impl Process for Waitlist {
    const NAME: &'static str = "waitlist";
    const ON: &'static [&'static str] = &[
        "appointment.cancelled",
        "appointment.rescheduled",
        "waitlist_entry.joined",
        "waitlist_entry.changed",
        "waitlist_entry.offered",
        "waitlist_entry.declined",
        "waitlist_entry.expired",
        "waitlist_entry.lapsed",
        "waitlist_entry.left",
    ];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let (appointment_id, freed_at) = (happened.stream_id.into(), happened.recorded_at);
        let freed = |moved_from| vec![Reaction::command(OfferFreedTime { appointment_id, moved_from, freed_at })];
        Ok(match &happened.event {
            DomainEvent::Appointment(appointment::Event::Cancelled { .. }) => freed(None),
            DomainEvent::Appointment(appointment::Event::Rescheduled { opening, .. }) => freed(Some(opening.clone())),
            DomainEvent::WaitlistEntry(event) => of_entry(happened, event),
            _ => Vec::new(),
        })
    }

    async fn fire(&self, timer: &Timer) -> Result<Vec<Reaction>, Failure> {
        Ok(match serde_json::from_value(timer.payload.clone()) {
            Ok(Due::Offer { entry_id, expires_at }) => {
                vec![Reaction::command(ExpireWaitlistOffer { entry_id, expires_at: Some(expires_at) })]
            }
            Ok(Due::Wish { entry_id }) => vec![Reaction::command(LapseWaitlistEntry { entry_id })],
            Err(error) => {
                tracing::error!(%error, timer = %timer.id, "a timer of the process waitlist cannot be read");
                Vec::new()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use hims_domain::appointment::Appointment;
    use hims_domain::waitlist_entry::WaitlistEntry;
    use hims_testing::{event_types, sample};
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::machinery::process::Kind;
    use crate::testing::samples::APPOINTMENT;
    use crate::testing::{at, now};

    const ENTRY: Uuid = Uuid::from_u128(0x71);

    async fn reactions(stream_id: Uuid, event: DomainEvent) -> Vec<Reaction> {
        let happened = Happened { position: 7, user_id: None, stream_id, recorded_at: now(), occurred_at: now(), event };
        Waitlist.react(&happened).await.unwrap()
    }

    async fn of_entry(name: &str) -> Vec<Reaction> {
        reactions(ENTRY, DomainEvent::WaitlistEntry(sample::<WaitlistEntry>(name))).await
    }

    /// The timers that are set: key, time and payload.
    fn timers(reactions: Vec<Reaction>) -> Vec<(String, DateTime<Utc>, Value)> {
        let timer = |it: Reaction| match it.0 {
            Kind::Timer { key, due_at, payload } => Some((key, due_at, payload)),
            Kind::Command(_) => None,
        };
        reactions.into_iter().filter_map(timer).collect()
    }

    async fn fired(payload: Value) -> Vec<Reaction> {
        Waitlist.fire(&Timer { id: Uuid::from_u128(1), key: String::new(), due_at: now(), payload }).await.unwrap()
    }

    #[tokio::test]
    async fn what_an_appointment_gives_back_is_offered() {
        let of = async |name| {
            let event = DomainEvent::Appointment(sample::<Appointment>(name));
            let given = reactions(APPOINTMENT.0, event).await;
            given.iter().find_map(|it| it.given::<OfferFreedTime>()).cloned().unwrap()
        };
        assert_eq!(of("cancelled").await.moved_from, None);
        let moved = of("rescheduled").await;
        assert_eq!((moved.appointment_id, moved.moved_from.map(|it| it.slot.starts_at)), (APPOINTMENT, Some(at("2026-11-23T12:00:00Z"))));
    }

    #[tokio::test]
    async fn an_offer_is_told_and_ends_when_its_timer_fires() {
        let made = of_entry("offered").await;
        let told = made.iter().find_map(|it| it.given::<Tell<TellOfOffer>>()).unwrap();
        let expires_at = at("2026-11-23T12:00:00Z");
        assert_eq!((told.0.entry_id.0, told.0.expires_at, told.0.position), (ENTRY, expires_at, 7));
        let [(key, due_at, payload)] = &timers(made)[..] else { panic!("one timer") };
        assert_eq!((key, *due_at), (&format!("{ENTRY} offer"), expires_at));
        let given = fired(payload.clone()).await;
        let command = given[0].given::<ExpireWaitlistOffer>().unwrap();
        assert_eq!((command.entry_id.0, command.expires_at), (ENTRY, Some(expires_at)));
    }

    #[tokio::test]
    async fn waiting_ends_when_the_timer_of_the_last_day_fires() {
        for name in ["joined", "changed"] {
            let [(key, due_at, payload)] = &timers(of_entry(name).await)[..] else { panic!("one timer") };
            assert_eq!((key, *due_at), (&format!("{ENTRY} wish"), at("2026-12-25T05:00:00Z")), "{name}");
            let given = fired(payload.clone()).await;
            assert_eq!(given[0].given::<LapseWaitlistEntry>().unwrap().entry_id.0, ENTRY);
        }
        assert!(fired(json!({"of": "another release"})).await.is_empty());
    }

    #[tokio::test]
    async fn what_was_not_taken_is_offered_to_the_next() {
        for name in ["declined", "expired", "lapsed", "left"] {
            let given = of_entry(name).await;
            let next = given.iter().find_map(|it| it.given::<OfferAgain>()).unwrap();
            assert_eq!((next.entry_id.0, next.opening.slot.duration_minutes), (ENTRY, 45), "{name}");
        }
        assert!(of_entry("accepted").await.is_empty());
    }

    /// A further event of an entry may set something free, so it must be thought of here.
    #[test]
    fn no_event_of_an_entry_is_left_out() {
        let missing = |it: &String| it.starts_with("waitlist_entry.") && !Waitlist::ON.contains(&it.as_str());
        assert_eq!(event_types().into_iter().filter(missing).collect::<Vec<_>>(), ["waitlist_entry.accepted"]);
    }
}
