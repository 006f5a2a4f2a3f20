use std::collections::{BTreeSet, HashSet};

use hims_domain::Aggregate;
use hims_domain::session::Session;
use hims_event_store::{Append, AppendError, Booked, Guard, Position, Receipt, StoreError, VaultError};
use tokio::time::timeout_at;
use uuid::Uuid;

use super::attempt::Trial;
use super::record::metadata;
use super::{Attempt, Executor};
use crate::machinery::cache::Cached;
use crate::machinery::context::new_id;
use crate::machinery::decision::Planned;
use crate::machinery::load::{SNAPSHOT_EVERY, keep_snapshot};
use crate::machinery::{refusal, scopes};
use crate::{Command, Decision, EventRef, Failure, Found, Kind, Outcome, Refused, Request};

impl Executor {
    /// Appends the decided events. Guards make the append fail if anything changed that the decision relied on.
    pub(super) async fn append<C: Command>(
        &self,
        trial: &Trial<'_, C>,
        decision: &Decision<C::Aggregate>,
        planned: Vec<Planned>,
    ) -> Result<Attempt, Failure> {
        let Trial { request, course, era, id, found, now, entropy, .. } = trial;
        let command_id = request.idempotency_key.unwrap_or_else(|| new_id(self.now(), *entropy, u64::MAX));
        let append = Append {
            streams: planned.iter().map(|it| it.append.clone()).collect(),
            guards: guards(found, &planned),
            claims: planned.iter().flat_map(Planned::claims).collect(),
            receipt: request.idempotency_key.map(|key| Receipt::new(key, request.fingerprint.clone())),
            erases: decision.erases.clone(),
            metadata: metadata(C::NAME, command_id, *now, request),
            timeline: Some(era.timeline),
            // However many commands wait, people log in and out.
            is_urgent: C::Aggregate::STREAM == Session::STREAM,
            until: Some(course.deadline),
        };
        course.note(true);
        let appended = self.store.append(append).await;
        course.note(match &appended {
            Ok(_) | Err(AppendError::Repeated { .. } | AppendError::Store(StoreError::Unsettled(_))) => true,
            Err(_) => false,
        });
        match appended {
            Ok(appended) => {
                let remembered = self.remember(trial, planned, appended.first).await;
                if !decision.erases.is_empty() {
                    self.forget_states();
                }
                Ok(Attempt::Done(remembered))
            }
            Err(AppendError::Conflict { stream_id }) if begins(decision, found, stream_id) => {
                Err(Refused { candidates: vec![stream_id], ..Refused::exists() }.into())
            }
            Err(AppendError::Conflict { .. } | AppendError::GuardFailed) => {
                self.states.forget(*id);
                found.relied_on().for_each(|(id, _)| self.states.forget(id));
                Ok(Attempt::Overtaken)
            }
            Err(AppendError::Taken { scope, .. }) if scopes::is_drawn(&scope) => Ok(Attempt::Again),
            Err(AppendError::Taken { scope, owner }) => {
                let key = refusal::spoken(&scope.replace('.', "_"));
                let detail = format!("this {key} belongs to another record (see candidates); give another");
                let refused = Refused::new(Kind::Conflict, "already-taken", detail);
                let refused = Refused { candidates: vec![owner], ..refused };
                Err(self.naming_survivors(refused).await?.into())
            }
            Err(AppendError::DoubleBooked { owner, .. }) => {
                self.double_booked::<C>(request, &planned, found, owner).await
            }
            Err(AppendError::Repeated { command_id }) => {
                self.repeated::<C::Aggregate>(command_id, request, course).await
            }
            Err(AppendError::Overloaded | AppendError::Closed) => Err(Failure::Overloaded),
            Err(AppendError::Store(StoreError::Vault(VaultError::Erased))) => {
                let detail = "the person was erased; nothing more can be recorded about them";
                Err(Refused::new(Kind::Conflict, "erased", detail).into())
            }
            Err(AppendError::Store(error)) => Err(Failure::Store(error)),
            Err(error @ AppendError::Malformed(_)) => Err(malformed(error)),
        }
    }

    /// Refuses a command that books what others have booked already. The refusal names every booking that stands
    /// against the command; `owner` is the stream of one of them. A booking may name the code of the refusal. A command
    /// that looks up what is booked decides again if a booking was added since.
    async fn double_booked<C: Command>(
        &self,
        request: &Request,
        planned: &[Planned],
        found: &Found,
        owner: Uuid,
    ) -> Result<Attempt, Failure> {
        let others = self.booked_by_others(planned).await?;
        if others.iter().any(|it| found.missed(it)) {
            return Ok(Attempt::Overtaken);
        }
        let seen = self.seen_owners(request, &others).await;
        let errors: Vec<_> = planned.iter().flat_map(|it| it.after.faults(&others, &seen)).collect();
        let Some(code) = errors.iter().find_map(|it| it.code) else {
            // What stood against the command was given back meanwhile.
            return Ok(Attempt::Overtaken);
        };
        let mut known = BTreeSet::from([owner]);
        let more = others.iter().map(|it| it.owner).filter(|it| known.insert(*it));
        let candidates = std::iter::once(owner).chain(more).collect();
        let told = planned.iter().find_map(|it| it.after.told(code)).unwrap_or_default();
        let detail = format!("{told}; see errors and candidates");
        let refused = Refused { errors, candidates, ..Refused::new(Kind::Conflict, code, detail) };
        Err(C::when_booked(refused).into())
    }

    /// Adds to a refusal the bookings that stand against what the command would have booked.
    pub(super) async fn naming_bookings(
        &self,
        request: &Request,
        mut refused: Refused,
        planned: &[Planned],
    ) -> Result<Refused, Failure> {
        let others = self.booked_by_others(planned).await?;
        let seen = self.seen_owners(request, &others).await;
        refused.errors.extend(planned.iter().flat_map(|it| it.after.faults(&others, &seen)));
        let mut known: BTreeSet<_> = refused.candidates.iter().copied().collect();
        refused.candidates.extend(others.iter().map(|it| it.owner).filter(|it| known.insert(*it)));
        Ok(refused)
    }

    /// Which streams that have booked something the caller may read. Who may not read a booking is not told its time.
    async fn seen_owners(&self, request: &Request, booked: &[Booked]) -> HashSet<Uuid> {
        let owners: Vec<_> = booked.iter().map(|it| it.owner).collect();
        if request.caller.is_system {
            return owners.into_iter().collect();
        }
        self.sight.seen(&request.caller, None, &owners).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the times of bookings are not told: it is not known whether the caller may read them");
            HashSet::new()
        })
    }

    /// What other streams have booked of that which these would hold.
    async fn booked_by_others(&self, planned: &[Planned]) -> Result<Vec<Booked>, Failure> {
        let spans: Vec<_> = planned.iter().flat_map(|it| it.after.spans()).collect();
        let is_own = |id: Uuid| planned.iter().any(|it| it.append.stream_id == id);
        let mut others = self.store.bookings(&spans).await?;
        others.retain(|it| !is_own(it.owner));
        Ok(others)
    }

    /// Remembers the states after an append, and describes what was appended. By the deadline at the latest.
    async fn remember<C: Command>(&self, trial: &Trial<'_, C>, planned: Vec<Planned>, first: Position) -> Outcome {
        let (id, era, deadline) = (trial.id, trial.era, trial.course.deadline);
        let mut outcome = Outcome {
            id,
            stream_type: C::Aggregate::STREAM,
            version: 0,
            position: first - 1,
            events: Vec::new(),
            replayed: false,
            began: false,
        };
        for Planned { append, state, .. } in planned {
            let mut version = append.expected_version;
            for event in append.events {
                version += 1;
                outcome.position += 1;
                outcome.events.push(EventRef { event_type: event.event_type, version, position: outcome.position });
            }
            let is_own = append.stream_id == id;
            if is_own {
                outcome.version = version;
                outcome.began = append.expected_version == 0;
            }
            if let Some(state) = state {
                let has_grown = version / SNAPSHOT_EVERY > append.expected_version / SNAPSHOT_EVERY;
                if let Some(state) = state.downcast_ref::<C::Aggregate>().filter(|_| is_own && has_grown) {
                    let kept = timeout_at(deadline, keep_snapshot(self.store.as_ref(), id, version, state)).await;
                    if kept.is_err() {
                        tracing::warn!(stream = %id, "the snapshot was not stored in time; the next load reads more events");
                    }
                }
                self.states.put(append.stream_id, Cached { era, version, state: Some(state) });
            }
        }
        outcome
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes the error by value")]
pub(super) fn malformed(error: AppendError) -> Failure {
    Failure::Store(StoreError::Unavailable(error.to_string()))
}

/// Guards for the streams and key owners on which the decision relies. A stream that is written needs no guard, since
/// its append has an expected version.
fn guards(found: &Found, planned: &[Planned]) -> Vec<Guard> {
    let is_written = |id: &Uuid| planned.iter().any(|plan| plan.append.stream_id == *id);
    let versions = found.relied_on().filter(|(id, _)| !is_written(id));
    let owners = found.owners.iter().map(|((scope, key), owners)| Guard::Owners {
        scope,
        key: key.clone(),
        count: i64::try_from(owners.len()).unwrap_or(i64::MAX),
    });
    versions.map(|(stream_id, version)| Guard::Version { stream_id, version }).chain(owners).collect()
}

/// Whether a decision begins the given stream, in addition to the command's own stream, whatever there is. A decision
/// that looked the stream up decides again when somebody else has begun it.
fn begins<C: crate::Claims>(decision: &Decision<C>, found: &Found, stream_id: Uuid) -> bool {
    !found.streams.contains_key(&stream_id) && decision.others.iter().any(|it| it.begins() && it.id() == stream_id)
}
