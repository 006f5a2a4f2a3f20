use chrono::NaiveTime;
use hims_domain::PatientId;

use crate::aggregates::medication_list::CompletePastMedications;
use crate::{DailyWork, Day, Failure, Process, Reaction};

/// Completes at night what patients have taken to its end. A patient belongs to no department, so an entry is over when
/// its last day is over in every time zone of the hospital.
pub(super) struct MedicationListEnds;

impl Process for MedicationListEnds {
    const NAME: &'static str = "medication-list";
    const DAILY_AT: Option<NaiveTime> = NaiveTime::from_hms_opt(2, 0, 0);

    async fn daily(&self, day: &Day<'_>) -> Result<DailyWork, Failure> {
        let before = day.begun_everywhere;
        let patients = day.tables.patients_past_an_end(before, day.part).await?;
        Ok(day.each(&patients, |id| {
            Reaction::command(CompletePastMedications { patient_id: PatientId(id), before })
        }))
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use uuid::Uuid;

    use super::*;
    use crate::processes::due::{Due, day};
    use crate::testing::samples::PATIENT;

    #[tokio::test]
    async fn the_lists_of_patients_are_completed_part_by_part() {
        let begun: NaiveDate = "2026-11-22".parse().unwrap();
        let due = Due { patients: vec![PATIENT.0, Uuid::from_u128(99)], ..Due::default() };
        let work = MedicationListEnds.daily(&day(&due, 2)).await.unwrap();
        let given: Vec<_> = work.reactions.iter().filter_map(|it| it.given::<CompletePastMedications>()).collect();
        let told: Vec<_> = given.iter().map(|it| (it.patient_id, it.before)).collect();
        assert_eq!(told, [(PATIENT, begun), (PatientId(Uuid::from_u128(99)), begun)]);
        assert_eq!(work.after, Some(Uuid::from_u128(99)));
        assert_eq!(*due.asked.lock().unwrap(), ["patients before 2026-11-22"]);
        let work = MedicationListEnds.daily(&day(&due, 3)).await.unwrap();
        assert_eq!((work.reactions.len(), work.after), (2, None));
    }
}
