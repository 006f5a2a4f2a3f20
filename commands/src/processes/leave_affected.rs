use hims_domain::DomainEvent;
use hims_domain::provider_schedule::Event;

use crate::notification::Tell;
use crate::provider_schedule::TellOfLeave;
use crate::{Failure, Happened, Process, Reaction};

/// Tells the front desk which appointments a leave affects. The appointments stay until somebody moves or cancels them.
pub(super) struct LeaveAffected;

impl Process for LeaveAffected {
    const NAME: &'static str = "leave-affected";
    const ON: &'static [&'static str] = &["provider_schedule.leave_added"];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        Ok(match &happened.event {
            DomainEvent::ProviderSchedule(Event::LeaveAdded { provider_id, leave_id, .. }) => {
                let (provider_id, leave_id) = (*provider_id, *leave_id);
                vec![Reaction::command(Tell(TellOfLeave { provider_id, leave_id }))]
            }
            _ => Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use hims_domain::provider_schedule::ProviderSchedule;
    use hims_testing::sample;

    use super::*;
    use crate::testing::now;
    use crate::testing::samples::DOCTOR;

    #[tokio::test]
    async fn a_leave_is_told_to_the_front_desk() {
        let happened = |name| Happened {
            user_id: None,
            position: 7,
            stream_id: ProviderSchedule::stream_of(DOCTOR),
            recorded_at: now(),
            occurred_at: now(),
            event: DomainEvent::ProviderSchedule(sample::<ProviderSchedule>(name)),
        };
        let reactions = LeaveAffected.react(&happened("leave_added")).await.unwrap();
        let told: Vec<_> = reactions.iter().filter_map(|it| it.given::<Tell<TellOfLeave>>()).collect();
        assert_eq!((reactions.len(), told.len(), told[0].0.provider_id), (1, 1, DOCTOR));
        assert!(LeaveAffected.react(&happened("leave_cancelled")).await.unwrap().is_empty());
    }
}
