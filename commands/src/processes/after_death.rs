use crate::notification::Tell;
use crate::patient::{CancelAppointmentsOfDeceased, TellOfDeath};
use crate::{Failure, Happened, Process, Reaction};

/// Tells the providers of a person who has died, cancels the person's open appointments, and takes the person off the
/// waiting list. A merge may tell that a person has died whose appointments are in the other record.
pub(super) struct AfterDeath;

impl Process for AfterDeath {
    const NAME: &'static str = "after-death";
    const ON: &'static [&'static str] = &["patient.death_recorded", "patient.duplicate_merged"];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        let (patient_id, position) = (happened.stream_id.into(), happened.position);
        Ok(vec![
            Reaction::command(Tell(TellOfDeath { patient_id, position })),
            Reaction::command(CancelAppointmentsOfDeceased { patient_id }),
        ])
    }
}

#[cfg(test)]
mod tests {
    use hims_domain::DomainEvent;
    use hims_domain::patient::{Death, Event};
    use hims_domain::Personal;

    use super::*;
    use crate::testing::now;
    use crate::testing::samples::PATIENT;

    #[tokio::test]
    async fn a_death_is_told_to_the_providers_and_cancels_the_appointments_of_the_patient() {
        let death = Death { deceased_at: Personal::Known(now()), source: None };
        let event = DomainEvent::Patient(Event::DeathRecorded(death));
        let happened = Happened { position: 7, user_id: None, stream_id: PATIENT.0, recorded_at: now(), occurred_at: now(), event };
        let reactions = AfterDeath.react(&happened).await.unwrap();
        let [told, cancelled] = &reactions[..] else { panic!("two reactions") };
        let told = &told.given::<Tell<TellOfDeath>>().unwrap().0;
        assert_eq!((told.patient_id, told.position), (PATIENT, 7));
        assert_eq!(cancelled.given::<CancelAppointmentsOfDeceased>().unwrap().patient_id, PATIENT);
    }
}
