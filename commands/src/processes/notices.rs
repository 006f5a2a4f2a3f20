use hims_domain::prescription::Event;
use hims_domain::report_schedule::PauseReason;
use hims_domain::{DomainEvent, report_execution, report_schedule};

use crate::notification::Tell;
use crate::aggregates::report_execution::TellOfReport;
use crate::aggregates::report_schedule::TellOfPausedSchedule;
use crate::prescription::TellOfReadyPrescription;
use crate::{Failure, Happened, Process, Reaction};

/// Tells patients and staff what happened. A notice that needs nothing but its event is given by
/// `Reaction::command(Notice::of(…))`. One that needs to look something up is a `Telling` beside the aggregate of which
/// it tells, and is given by `Reaction::command(Tell(…))`.
pub(super) struct Notices;

impl Process for Notices {
    const NAME: &'static str = "notices";
    const ON: &'static [&'static str] = &[
        "prescription.marked_ready",
        "report_execution.succeeded",
        "report_execution.failed",
        "report_schedule.paused",
    ];

    async fn react(&self, happened: &Happened) -> Result<Vec<Reaction>, Failure> {
        Ok(match &happened.event {
            DomainEvent::Prescription(Event::MarkedReady { .. }) => vec![Reaction::command(Tell(TellOfReadyPrescription {
                prescription_id: happened.stream_id.into(),
                position: happened.position,
            }))],
            DomainEvent::ReportExecution(
                report_execution::Event::Succeeded(_) | report_execution::Event::Failed { .. },
            ) => vec![Reaction::command(Tell(TellOfReport { report_execution_id: happened.stream_id.into() }))],
            DomainEvent::ReportSchedule(report_schedule::Event::Paused { reason: PauseReason::Failing }) => {
                vec![Reaction::command(Tell(TellOfPausedSchedule {
                    report_schedule_id: happened.stream_id.into(),
                    position: happened.position,
                }))]
            }
            _ => Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use hims_domain::prescription::Prescription;
    use hims_testing::sample;

    use super::*;
    use crate::testing::now;
    use crate::testing::samples::PRESCRIPTION;

    #[tokio::test]
    async fn a_prescription_that_is_ready_is_told_of_once_for_each_time() {
        let at = |position| Happened {
            position,
            stream_id: PRESCRIPTION.0,
            recorded_at: now(),
            occurred_at: now(),
            event: DomainEvent::Prescription(sample::<Prescription>("marked_ready")),
        };
        for position in [7, 9] {
            let reactions = Notices.react(&at(position)).await.unwrap();
            let told: Vec<_> = reactions.iter().filter_map(|it| it.given::<Tell<TellOfReadyPrescription>>()).map(|it| &it.0).collect();
            assert_eq!((told.len(), told[0].prescription_id, told[0].position), (1, PRESCRIPTION, position));
        }
    }
}
