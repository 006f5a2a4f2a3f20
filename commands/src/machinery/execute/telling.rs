//! What a caller is told of a record. Whoever may not read a record learns of a command on it only that it was done: to
//! them, every refusal that depends on the record, and the answer that nothing had to be done, say that there is no
//! such record. Questions are asked nevertheless, since the caller can answer them.

use std::collections::HashSet;

use hims_domain::patient::Patient;
use hims_domain::{Aggregate as _, Invalid, PatientId};

use super::Executor;
use crate::machinery::context::unknown;
use crate::{Command, Failure, Kind, Refused, Request, Target};

impl Executor {
    /// Refuses a request that compares the record with something that the caller may not read: with a version, or with
    /// values of fields. Otherwise, the answer would tell whether the caller has guessed them.
    pub(super) async fn allow_to_compare<C: Command>(&self, command: &C, request: &Request) -> Result<(), Failure> {
        let (Target::Existing(id) | Target::Either(id)) = command.target() else { return Ok(()) };
        if !request.withheld.is_empty() && !request.caller.is_about(id) {
            let detail =
                "the caller may not read the fields named in errors in the records of other people; leave them out";
            let errors = request
                .withheld
                .iter()
                .map(|name| Invalid::new(format!("/{name}"), "may only be given by somebody who may read it"));
            let errors = errors.collect();
            return Err(Refused { errors, ..Refused::new(Kind::Forbidden, "forbidden", detail) }.into());
        }
        // A version of a record that is not there is refused like one of a record that the caller may not read.
        let is_there = async || Ok::<_, Failure>(self.load::<C::Aggregate>(id, false).await?.version > 0);
        if request.expected_version.is_some_and(|it| it > 0)
            && !(is_there().await? && self.sees(command, request).await?)
        {
            return Err(Refused::missing(C::Aggregate::STREAM).into());
        }
        Ok(())
    }

    /// Refuses to open the records of a patient to somebody, if the caller may not read them: like records that are not
    /// there.
    pub(super) async fn allow_to_open<C: Command>(&self, command: &C, request: &Request) -> Result<(), Failure> {
        let caller = &request.caller;
        let Some(PatientId(id)) = command.opens().filter(|_| !caller.is_system) else { return Ok(()) };
        if self.sight.seen(caller, Some(Patient::STREAM), &[id]).await?.contains(&id) {
            return Ok(());
        }
        Err(unknown::<Patient>("/patient_id").into())
    }

    /// Whether the caller may read the record to which the command applies. A new record is the caller's own.
    pub(super) async fn sees<C: Command>(&self, command: &C, request: &Request) -> Result<bool, Failure> {
        let id = match command.target() {
            Target::New(_) => return Ok(true),
            Target::Either(id) if self.load::<C::Aggregate>(id, false).await?.version == 0 => return Ok(true),
            Target::Existing(id) | Target::Either(id) => id,
        };
        if request.caller.is_system {
            return Ok(true);
        }
        Ok(self.sight.seen(&request.caller, Some(C::Aggregate::STREAM), &[id]).await?.contains(&id))
    }

    /// The refusal as the caller may be told.
    pub(super) async fn as_told<C: Command>(
        &self,
        command: &C,
        request: &Request,
        refused: Refused,
    ) -> Result<Refused, Failure> {
        if request.caller.is_system {
            return Ok(refused);
        }
        let is_told = refused.is_question() || refused.is_about_the_caller();
        if !is_told && !self.sees(command, request).await? {
            return Ok(Refused::missing(C::Aggregate::STREAM));
        }
        if refused.candidates.is_empty() {
            return Ok(refused);
        }
        let seen = self.sight.seen(&request.caller, None, &refused.candidates).await;
        let (seen, why) = match seen {
            Ok(seen) => (seen, "the caller may not read the candidates"),
            Err(error) => {
                tracing::warn!(%error, "candidates are not named: it is not known whether the caller may read them");
                (HashSet::new(), "it is not known now whether the caller may read the candidates")
            }
        };
        let candidates: Vec<_> = refused.candidates.iter().copied().filter(|id| seen.contains(id)).collect();
        if candidates.is_empty() {
            let detail = format!("{}; {why}, so they are not named", refused.detail);
            return Ok(Refused { detail, candidates, ..refused });
        }
        Ok(Refused { candidates, ..refused })
    }
}
