//! Failures of processes. The command is not in the registry, since only processes give it.

use hims_domain::process_failure::{Event, Failed, ProcessFailure};
use serde::Deserialize;
use uuid::Uuid;

use crate::machinery::command::never_sent;
use crate::{Claims, Command, Context, Decision, Permission, Refused, Target};

/// A failure holds nothing.
impl Claims for ProcessFailure {}

/// Records what a process could not do.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RecordProcessFailure {
    /// The id of the failure, derived from what the process reacted to, so that a repetition is not recorded twice.
    pub(crate) id: Uuid,
    /// What the process could not do.
    pub(crate) failed: Failed,
}

never_sent!(RecordProcessFailure);

impl Command for RecordProcessFailure {
    const NAME: &'static str = "record-process-failure";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = ProcessFailure;

    fn target(&self) -> Target {
        Target::new(Some(self.id))
    }

    fn decide(self, _: Option<&ProcessFailure>, _: &Context<'_>) -> Result<Decision<ProcessFailure>, Refused> {
        Ok(Decision::event(Event::Occurred(self.failed)))
    }
}
