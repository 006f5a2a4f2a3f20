use hims_domain::process_failure::Event;
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;

table! {
    /// One row per failure of a process: what the process should have done after an event and what was refused, so that
    /// somebody does it by hand.
    FailureRow in "process_failures", readers [AuditLogs, Operations], stamped once, indexes [(process, created_at)] {
        /// The failure.
        id: Uuid [indexed],
        /// The name of the process, such as `after-death`.
        process: String [indexed],
        /// The position of the event to which the process reacted; null if the process reacted to a timer.
        position: Option<i64>,
        /// The timer to which the process reacted; null if the process reacted to an event.
        timer_id: Option<Uuid>,
        /// The name of the refused command; null if the event could not be read.
        command: Option<String>,
        /// The stable code of the refusal.
        code: String,
        /// The kind of record that the command was for, such as `patient`.
        resource_type: String,
        /// The id of the record that the command was for; null if the command was for a new record.
        resource_id: Option<Uuid> [indexed],
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, failures: &mut Changes<'e, FailureRow>) {
    match event.data {
        Event::Occurred(it) => failures.insert(FailureRow {
            id: event.stream_id,
            process: it.process.clone(),
            position: it.position,
            timer_id: it.timer_id,
            command: it.command.clone(),
            code: it.code.clone(),
            resource_type: it.resource_type.clone(),
            resource_id: it.resource_id,
            stamps: event.stamps(),
        }),
    }
}
