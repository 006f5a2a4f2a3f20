use crate::patient::CancelAppointmentsOfDeceased;
use crate::{Failure, Happened, Process, Reaction};

/// Cancels the open appointments of a person who has died, and takes the person off the waiting list. A merge may tell
/// that a person has died whose appointments are in the other record.
pub(super) struct AfterDeath;

impl Process for AfterDeath {
    const NAME: &'static str = "after-death";
    const ON: &'static [&'static str] = &["patient.death_recorded", "patient.duplicate_merged"];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let patient_id = happened.stream_id.into();
        Ok(vec![Reaction::command(CancelAppointmentsOfDeceased { patient_id })])
    }
}

#[cfg(test)]
mod tests {
    use hims_domain::DomainEvent;
    use hims_domain::patient::{Death, Event};
    use hims_domain::{PatientId, Personal};

    use super::*;
    use crate::testing::now;
    use crate::testing::samples::PATIENT;

    #[tokio::test]
    async fn a_death_cancels_the_appointments_of_the_patient() {
        let death = Death { deceased_at: Personal::Known(now()), source: None };
        let event = DomainEvent::Patient(Event::DeathRecorded(death));
        let happened = Happened { position: 7, stream_id: PATIENT.0, recorded_at: now(), occurred_at: now(), event };
        let reactions = AfterDeath.react(&happened).await.unwrap();
        let given: Vec<PatientId> = reactions
            .iter()
            .filter_map(|it| it.given::<CancelAppointmentsOfDeceased>())
            .map(|it| it.patient_id)
            .collect();
        assert_eq!((reactions.len(), given), (1, vec![PATIENT]));
    }
}
