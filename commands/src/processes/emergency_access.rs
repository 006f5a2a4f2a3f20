use chrono::{DateTime, TimeDelta, Utc};
use hims_domain::DomainEvent;
use hims_domain::emergency_access::Event;
use hims_event_store::Timer;
use serde::Deserialize as _;
use serde_json::json;

use crate::aggregates::emergency_access::TellOfEmergencyAccess;
use crate::notification::Tell;
use crate::{Failure, Happened, Process, Reaction};

/// How long a review may take before people are told again.
const A_DAY: TimeDelta = TimeDelta::days(1);
/// How often people are told of an access that nobody reviews, beside the first time.
const MOST: u32 = 30;

/// Has people told of accesses in an emergency, and again every day until somebody has reviewed them. A reminder that
/// finds the access reviewed tells nobody.
pub(super) struct EmergencyAccesses;

impl Process for EmergencyAccesses {
    const NAME: &'static str = "emergency-access";
    const ON: &'static [&'static str] = &["emergency_access.granted", "emergency_access.seconded"];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let DomainEvent::EmergencyAccess(Event::Granted { granted_at, .. } | Event::Seconded { granted_at, .. }) =
            &happened.event
        else {
            return Ok(Vec::new());
        };
        let first = TellOfEmergencyAccess { emergency_access_id: happened.stream_id.into(), told: 0 };
        Ok(told_and_again(first, *granted_at))
    }

    async fn fire(&self, timer: &Timer) -> Result<Vec<Reaction>, Failure> {
        let due = TellOfEmergencyAccess::deserialize(&timer.payload).ok();
        Ok(due.map(|it| told_and_again(it, timer.due_at)).unwrap_or_default())
    }
}

/// Tells of an access now, and sets the timer of the next time.
fn told_and_again(now: TellOfEmergencyAccess, due_at: DateTime<Utc>) -> Vec<Reaction> {
    let mut reactions = vec![Reaction::command(Tell(now))];
    if now.told < MOST {
        let next = TellOfEmergencyAccess { told: now.told + 1, ..now };
        reactions.push(Reaction::timer(now.emergency_access_id.to_string(), due_at + A_DAY, json!(next)));
    }
    reactions
}

#[cfg(test)]
mod tests {
    use hims_domain::emergency_access::EmergencyAccess;
    use hims_testing::sample;

    use super::*;
    use crate::testing::now;

    #[tokio::test]
    async fn an_access_is_told_at_once_and_then_every_day() {
        let happened = Happened {
            user_id: None,
            position: 7,
            stream_id: uuid::Uuid::from_u128(5),
            recorded_at: now(),
            occurred_at: now(),
            event: DomainEvent::EmergencyAccess(sample::<EmergencyAccess>("granted")),
        };
        let reactions = EmergencyAccesses.react(&happened).await.unwrap();
        let told: Vec<_> = reactions.iter().filter_map(Reaction::given::<Tell<TellOfEmergencyAccess>>).collect();
        assert_eq!((told.len(), told[0].0.told, reactions.len()), (1, 0, 2));
        let last = TellOfEmergencyAccess { told: MOST, ..told[0].0 };
        assert_eq!(told_and_again(last, now()).len(), 1, "after the last time nothing is due");
    }
}
