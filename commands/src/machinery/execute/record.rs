use std::sync::Arc;

use chrono::{DateTime, Utc};
use hims_domain::access::PurposeOfUse::{self, Treatment};
use hims_domain::patient::Patient;
use hims_domain::{Aggregate, Subject, access};
use hims_event_store::{Append, Metadata, NewEvent, StreamAppend};
use tokio::time::Instant;
use uuid::Uuid;

use super::Executor;
use super::repeats::Attempt;
use crate::machinery::context::new_id;
use crate::machinery::decision::stored_subject;
use crate::{Command, Failure, Found, Refused, Request, Target};

impl Executor {
    /// The patient whom a command concerns: the subject of the command's stream, or a patient whom the command reads.
    pub(super) async fn patient_of<C: Command>(&self, command: &C) -> Option<Subject> {
        let is_patient = |subject: &Subject| matches!(subject, Subject::Patient(_));
        if let Target::Existing(id) | Target::Either(id) = command.target()
            && let Some(state) = self.load::<C::Aggregate>(id, false).await.ok()?.state
        {
            return state.subject(id).filter(is_patient);
        }
        for (id, _) in command.reads(None, &Found::default()).streams {
            if self.load::<Patient>(id, false).await.is_ok_and(|it| it.state.is_some()) {
                return Some(Subject::Patient(id));
            }
        }
        None
    }

    /// The record that survives of a patient's records, given one of them, with its state; of anything else, the id
    /// itself. With `fresh`, states are not taken from memory.
    pub(crate) async fn survivor(&self, id: Uuid, fresh: bool) -> Result<(Uuid, Option<Arc<Patient>>), Failure> {
        let mut id = id;
        loop {
            let state = self.load::<Patient>(id, fresh).await?.state;
            match state.as_ref().and_then(|it| it.merged_into) {
                Some(into) => id = into.into(),
                None => return Ok((id, state)),
            }
        }
    }

    /// Replaces patients among the candidates of a refusal, who were merged into others, by those who survive. Only
    /// refusals that may name such a patient are looked at.
    pub(super) async fn naming_survivors(&self, refused: Refused) -> Result<Refused, Failure> {
        if !["merged", "possible-duplicate", "already-taken"].contains(&refused.code) {
            return Ok(refused);
        }
        let mut candidates: Vec<Uuid> = Vec::with_capacity(refused.candidates.len());
        for candidate in refused.candidates {
            let (id, _) = self.survivor(candidate, true).await?;
            if !candidates.contains(&id) {
                candidates.push(id);
            }
        }
        Ok(Refused { candidates, ..refused })
    }

    /// Records a refused attempt for the audit. An attempt that repeats one of the last minute is only counted: its
    /// repetitions become one event ([`record_repeats`](Self::record_repeats)). The caller does not wait longer than
    /// `until` for the record, if a time is given.
    pub(crate) async fn record_attempt(
        &self,
        command: &'static str,
        request: &Request,
        event: &access::Event,
        patient: Option<Subject>,
        until: Option<Instant>,
    ) {
        if self.is_outdated() {
            return;
        }
        let attempt = Attempt { command, request: request.clone(), event: event.clone(), patient };
        if !self.repeats.count(&attempt, self.now()) {
            self.write_attempt(&attempt, until).await;
        }
    }

    /// Writes a refused attempt into the log. A failure to write it is only logged, since nothing was done.
    pub(super) async fn write_attempt(&self, attempt: &Attempt, until: Option<Instant>) {
        let Attempt { command, request, event, patient } = attempt;
        let entropy = self.entropy();
        let now = self.now();
        let stream = NewEvent::try_new(access::Access::STREAM, event)
            .map(|event| StreamAppend::begin(access::Access::STREAM, new_id(now, entropy, 0), [event]))
            .map(|stream| StreamAppend { subject: patient.map(stored_subject), ..stream });
        match stream {
            Ok(stream) => {
                let metadata = metadata(command, new_id(now, entropy, 1), now, request);
                self.backlog.record(Append { metadata, ..Append::stream(stream) }, until).await;
            }
            Err(error) => tracing::error!(%error, command, "a refused attempt was not recorded for the audit"),
        }
    }
}

/// The metadata that is stored with each event of a command.
pub(super) fn metadata(command: &str, command_id: Uuid, occurred_at: DateTime<Utc>, request: &Request) -> Metadata {
    let caller = &request.caller;
    Metadata {
        actor: caller.actor.clone(),
        role: caller.role.clone(),
        session_id: caller.session_id,
        ip: caller.ip,
        user_agent: caller.user_agent.clone(),
        command_id,
        command: command.to_owned(),
        correlation_id: request.correlation_id.unwrap_or(command_id),
        causation_id: request.cause.map(|it| it.id),
        reactions: request.cause.map_or(0, |it| it.reactions),
        occurred_at,
        subject: None,
        purpose_of_use: caller.user_id().and(Some(caller.purpose_of_use)).filter(|it| *it != Treatment).map(code_of),
        has_receipt: false,
    }
}

fn code_of(purpose: PurposeOfUse) -> String {
    purpose.as_str().to_owned()
}
