//! The processes of a hospital, one file each.

use std::sync::Arc;

use crate::Processes;

/// Lists the processes, each with its file; `outside` those that talk to the outside, through a [`Messenger`].
macro_rules! processes {
    ($($file:ident::$process:ident),* $(,)?; outside $($far:ident::$talking:ident),* $(,)?) => {
        $(mod $file;)*
        $(pub(crate) mod $far;)*

        /// Starts every process of a hospital. The messenger brings messages to people outside.
        #[must_use]
        pub fn start_processes(processes: Processes, messenger: &Arc<dyn Messenger>) -> Processes {
            let executor = processes.executor();
            processes
                $(.start($file::$process))*
                $(.start($far::$talking::new(Arc::clone(&executor), Arc::clone(messenger))))*
        }

        /// The name of each process, with the types of the events to which it reacts.
        #[cfg(test)]
        const ALL: &[(&str, &[&str])] = &[
            $((<$file::$process as crate::Process>::NAME, <$file::$process as crate::Process>::ON),)*
            $((<$far::$talking as crate::Process>::NAME, <$far::$talking as crate::Process>::ON),)*
        ];
    };
}

processes! {
    after_death::AfterDeath,
    notices::Notices,
    reminders::Reminders;
    outside delivery::Delivery,
}

pub use delivery::{Message, Messenger, Undelivered};

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
