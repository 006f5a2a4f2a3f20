//! The processes of a hospital, one file each.

#[cfg(test)]
mod due;

use std::sync::Arc;

use crate::Processes;
pub use critical_results::CriticalEscalation;
pub use delivery::{Message, Messenger, ResetMail, Undelivered};
pub use reports::{NotMade, ReportFile, ReportMaker, ReportWanted};

/// What the processes of a hospital can be told by its settings.
#[derive(Debug, Clone, Default)]
pub struct ProcessSettings {
    /// When people are told of critical values.
    pub critical_escalation: CriticalEscalation,
}

/// Lists the processes, each with its file, and with the setting that it is made of, if there is one; `outside` those
/// that talk to the outside, through a [`Messenger`]; `making` those that make files, through a [`ReportMaker`].
macro_rules! processes {
    (
        $($file:ident::$process:ident $(($setting:ident))?),* $(,)?;
        outside $($far:ident::$talking:ident),* $(,)?;
        making $($file_of:ident::$maker:ident),* $(,)?
    ) => {
        $(mod $file;)*
        $(pub(crate) mod $far;)*
        $(pub(crate) mod $file_of;)*

        /// Starts every process of a hospital. The messenger brings messages to people outside, and the maker makes
        /// the files of reports.
        #[must_use]
        pub fn start_processes(
            processes: Processes,
            settings: &ProcessSettings,
            messenger: &Arc<dyn Messenger>,
            maker: &Arc<dyn ReportMaker>,
        ) -> Processes {
            let executor = processes.executor();
            processes
                $(.start($file::$process $((settings.$setting))?))*
                $(.start($far::$talking::new(Arc::clone(&executor), Arc::clone(messenger))))*
                $(.start($file_of::$maker::new(Arc::clone(&executor), Arc::clone(maker))))*
        }

        /// The name of each process, with the types of the events to which it reacts.
        #[cfg(test)]
        const ALL: &[(&str, &[&str])] = &[
            $((<$file::$process as crate::Process>::NAME, <$file::$process as crate::Process>::ON),)*
            $((<$far::$talking as crate::Process>::NAME, <$far::$talking as crate::Process>::ON),)*
            $((<$file_of::$maker as crate::Process>::NAME, <$file_of::$maker as crate::Process>::ON),)*
        ];
    };
}

processes! {
    after_death::AfterDeath,
    charges::Charges,
    collection::Collection,
    secondary_claims::SecondaryClaims,
    critical_results::CriticalResults(critical_escalation),
    medication_list::MedicationListEnds,
    stock::Stock,
    emergency_access::EmergencyAccesses,
    leave_affected::LeaveAffected,
    notices::Notices,
    reminders::Reminders,
    waitlist::Waitlist,
    report_schedules::ReportSchedules;
    outside delivery::Delivery, reset_mail::ResetMails;
    making reports::Reports,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hims_domain::DomainEvent;

    use super::ALL;

    #[test]
    fn every_process_has_a_name_of_its_own_and_reacts_to_events_that_exist() {
        let names: BTreeSet<_> = ALL.iter().map(|it| it.0).collect();
        assert_eq!(names.len(), ALL.len(), "two processes have one name");
        for (name, event_types) in ALL {
            for event_type in *event_types {
                assert!(DomainEvent::types().contains(event_type), "{name}: there is no event {event_type}");
            }
        }
    }
}
