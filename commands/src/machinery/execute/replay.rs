use hims_domain::Aggregate;
use hims_event_store::{Receipt, StoreError};
use uuid::Uuid;

use super::attempt::Trial;
use super::{Attempt, Course, Executor};
use crate::{Command, EventRef, Failure, Kind, Outcome, Refused, Request};

impl Executor {
    /// Answers that nothing had to be done. A receipt is stored, so that a repeated request gets the same answer even
    /// if the record has changed by then. A stream that the command would have begun has no event that a receipt could
    /// name, so there is none, and a repeated request is decided again.
    pub(super) async fn acknowledge<C: Command>(&self, trial: &Trial<'_, C>) -> Result<Attempt, Failure> {
        let Trial { request, course, era, id, loaded, .. } = trial;
        let (id, version) = (*id, loaded.version);
        let position = match request.idempotency_key.filter(|_| version > 0) {
            None => {
                self.store.confirm(era.timeline).await?;
                *self.store.head().borrow()
            }
            Some(key) => {
                let receipt = Receipt::new(key, request.fingerprint.clone());
                match self.store.acknowledge(receipt, id, version).await? {
                    Some(_) if self.store.timeline() != era.timeline => return Ok(Attempt::Overtaken),
                    Some(position) => position,
                    None => return self.repeated::<C::Aggregate>(key, request, course).await,
                }
            }
        };
        let (stream_type, events) = (C::Aggregate::STREAM, Vec::new());
        Ok(Attempt::Done(Outcome { id, stream_type, version, position, events, replayed: false, began: false }))
    }

    /// Repeats the answer to another request with the same idempotency key, which was recorded meanwhile.
    pub(super) async fn repeated<A: Aggregate>(
        &self,
        command_id: Uuid,
        request: &Request,
        course: &Course,
    ) -> Result<Attempt, Failure> {
        let timeline = self.store.timeline();
        match self.receipt(command_id, course).await? {
            Some(receipt) => self.replay::<A>(&receipt, request, timeline).await.map(Attempt::Done),
            None => Ok(Attempt::Again),
        }
    }

    /// The receipt of an earlier request under the same key. Until the log says that there is none, the command may be
    /// recorded.
    pub(super) async fn receipt(&self, command_id: Uuid, course: &Course) -> Result<Option<Receipt>, Failure> {
        course.note(true);
        let receipt = self.store.receipt(command_id).await?;
        course.note(receipt.is_some());
        Ok(receipt)
    }

    /// Repeats the answer that belongs to a receipt, made from the events in the log. The receipt was found in a timeline of
    /// the log.
    pub(super) async fn replay<A: Aggregate>(
        &self,
        receipt: &Receipt,
        request: &Request,
        timeline: i32,
    ) -> Result<Outcome, Failure> {
        if receipt.fingerprint != request.fingerprint {
            let detail = "the Idempotency-Key was used with another request; use a new key";
            return Err(Refused::new(Kind::Rule, "idempotency-key-reused", detail).into());
        }
        self.store.confirm(timeline).await?;
        let changed = receipt.first <= receipt.last;
        let after = receipt.first.min(receipt.last) - 1;
        let mut events = self.store.read(after, receipt.last - after).await?;
        let Some(first) = events.first().cloned() else {
            return Err(StoreError::Unavailable("the log has no events at the position of a receipt".to_owned()).into());
        };
        let own = events.iter().filter(|it| it.stream_id == first.stream_id);
        let version = own.map(|it| it.version).max().unwrap_or(first.version);
        if !changed {
            events.clear();
        }
        Ok(Outcome {
            id: first.stream_id,
            stream_type: A::STREAM,
            version,
            position: receipt.last,
            events: events
                .into_iter()
                .map(|it| EventRef { event_type: it.event_type, version: it.version, position: it.position })
                .collect(),
            replayed: true,
            began: changed && first.version == 1,
        })
    }
}
