//! Requests of patients to amend their records: asking, deciding, and what the patient says to a denial (45 CFR
//! 164.526).

mod deciding;
mod rows;

use chrono::{DateTime, Utc};
use hims_domain::amendment_request::{AmendmentRequest, Basis, Event, PERIOD, RecordTable, Requested, Status};
use hims_domain::patient::Patient;
use hims_domain::permission::{Create, Update};
use hims_domain::values::{LongText, Reason};
use hims_domain::{AmendedRecordId, AmendedRowId, AmendmentRequestId, PatientId, Personal, described};
use uuid::Uuid;

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::patient::{check_not_erased, reads_person, records_of};
use crate::{Caller, Claims, Command, Context, Decision, Found, Permission, Reads, Refused, Registry, Target, refuse};

pub(crate) fn register(registry: &mut Registry) {
    registry.add::<RequestAmendment>().add::<WithdrawAmendmentRequest>().add::<ExtendAmendmentRequest>();
    registry.add::<AcceptAmendment>().add::<DenyAmendment>().add::<StateDisagreement>().add::<RebutDisagreement>();
}

refusals! {
    InTheFuture = Rule, "in-the-future", "the request cannot come in later than now; give the time of the letter";
    ReceivedByStaff = Rule, "received-by-staff", "a request of one's own comes in now; leave received_at out";
    NoRecord = Rule, "record-missing",
        "name the record of which the row is a part, such as the consultation of a diagnosis";
    OwnRequest = Rule, "own-request", "nobody decides on a request about their own record; somebody else must";
}

described! {
    /// Asks for an amendment of a row of a patient's record: by the patient, or by the staff on the patient's behalf.
    /// Nothing of the row changes; the request stays beside it, whatever becomes of the request.
    pub struct RequestAmendment {
        /// The id of the new request; issued by the server if left out.
        pub id: Option<AmendmentRequestId>,
        /// Which patient.
        pub patient_id: PatientId,
        /// The table of the row.
        pub table_name: RecordTable,
        /// The id of the row in the table.
        pub row_id: AmendedRowId,
        /// The record of which the row is a part, such as the consultation of a diagnosis; left out where the row is a
        /// record itself, and for allergies and the medication list of the patient.
        pub record_id: Option<AmendedRecordId>,
        /// What is wrong or missing.
        pub wrong: Personal<LongText>,
        /// What should stand instead.
        pub wanted: Personal<LongText>,
        /// When the request came in on paper; now if left out. Only for the staff.
        pub received_at: Option<DateTime<Utc>>,
    }

    /// Takes a request back before it is decided.
    pub struct WithdrawAmendmentRequest {
        /// Which request.
        pub amendment_request_id: AmendmentRequestId,
        /// Why the request is taken back.
        pub reason: Option<Personal<Reason>>,
    }

    /// Extends the time for an answer by 30 days, once. The patient is told why, and when the answer comes.
    pub struct ExtendAmendmentRequest {
        /// Which request.
        pub amendment_request_id: AmendmentRequestId,
        /// Why the answer takes longer, and when it may be expected.
        pub reason: Personal<Reason>,
    }

    /// Accepts a request. What is wrong in the record itself is corrected by the commands for that.
    pub struct AcceptAmendment {
        /// Which request.
        pub amendment_request_id: AmendmentRequestId,
        /// What was done: what was appended or corrected, and where.
        pub done: Personal<LongText>,
        /// Who was told of the amendment: those whom the patient named, and those who rely on what was wrong.
        pub told: Option<Personal<LongText>>,
    }

    /// Denies a request. The patient may answer with a statement, which stays beside the row.
    pub struct DenyAmendment {
        /// Which request.
        pub amendment_request_id: AmendmentRequestId,
        /// On which of the four grounds that there are.
        pub basis: Basis,
        /// Why, in plain language.
        pub reason: Personal<LongText>,
    }

    /// Attaches the patient's statement of disagreement to a request that was denied.
    pub struct StateDisagreement {
        /// Which request.
        pub amendment_request_id: AmendmentRequestId,
        /// The statement of the patient.
        pub statement: Personal<LongText>,
    }

    /// Answers the patient's statement of disagreement. Nobody has to.
    pub struct RebutDisagreement {
        /// Which request.
        pub amendment_request_id: AmendmentRequestId,
        /// The answer.
        pub rebuttal: Personal<LongText>,
    }
}

/// A request holds nothing.
impl Claims for AmendmentRequest {}

/// Takes a step from one status to another, or nothing if it was taken already.
fn step(
    state: Option<&AmendmentRequest>,
    (from, to): (Status, Status),
    event: Event,
) -> Result<Decision<AmendmentRequest>, Refused> {
    match existing(state)?.status {
        status if status == to => Ok(Decision::nothing()),
        status if status == from => Ok(Decision::event(event)),
        status => Err(Refused::wrong_status::<AmendmentRequest>(status)),
    }
}

/// Whether the request is about the record of the caller, who says by their own right what patients say.
fn is_of_caller(state: Option<&AmendmentRequest>, caller: &Caller) -> bool {
    state.is_some_and(|it| is_own_record(it.patient_id, caller))
}

fn is_own_record(patient_id: PatientId, caller: &Caller) -> bool {
    caller.may(Permission::Update(Update::OwnProfile)) && caller.is_patient(patient_id)
}

impl RequestAmendment {
    /// The record with the row; `None` if the request has to name it.
    fn record(&self) -> Option<Uuid> {
        let told = rows::record_of(self.table_name, self.row_id.into(), self.patient_id);
        self.record_id.map(Uuid::from).or(told)
    }
}

impl Command for RequestAmendment {
    const NAME: &'static str = "request-amendment";
    const PERMISSION: Permission = Permission::Create(Create::AmendmentRequests);
    const REVERSED_BY: Option<&'static str> = Some(WithdrawAmendmentRequest::NAME);
    type Aggregate = AmendmentRequest;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn is_own(&self, _: Option<&AmendmentRequest>, caller: &Caller) -> bool {
        is_own_record(self.patient_id, caller)
    }

    fn reads(&self, _: Option<&AmendmentRequest>, found: &Found) -> Reads {
        let reads = reads_person(Reads::nothing(), self.patient_id, found);
        match self.record() {
            Some(record) => rows::reads_record(reads, self.table_name, record),
            None => reads,
        }
    }

    fn decide(self, _: Option<&AmendmentRequest>, ctx: &Context<'_>) -> Result<Decision<AmendmentRequest>, Refused> {
        check_not_erased(ctx.named::<Patient>(self.patient_id, "/patient_id")?)?;
        if self.received_at.is_some_and(|it| it > ctx.now) {
            return refuse(Refused::from(Refusal::InTheFuture).at("/received_at"));
        }
        if self.received_at.is_some() && ctx.caller.is_patient(self.patient_id) {
            return refuse(Refused::from(Refusal::ReceivedByStaff).at("/received_at"));
        }
        let Some(record) = self.record() else {
            return refuse(Refused::from(Refusal::NoRecord).at("/record_id"));
        };
        let patient_id = rows::patient_of(self.table_name, record, self.row_id.into(), ctx);
        if !patient_id.is_some_and(|it| records_of(self.patient_id, ctx.found).contains(&it)) {
            let message = format!("the patient has no such row in {}", self.table_name);
            return refuse(Refused::field("unknown-reference", "/row_id", message));
        }
        let received_at = self.received_at.unwrap_or(ctx.now);
        Ok(Decision::event(Event::Requested(Box::new(Requested {
            patient_id: self.patient_id,
            table_name: self.table_name,
            record_id: record.into(),
            row_id: self.row_id,
            wrong: self.wrong,
            wanted: self.wanted,
            received_at,
            due_at: received_at + PERIOD,
        }))))
    }
}

impl Command for WithdrawAmendmentRequest {
    const NAME: &'static str = "withdraw-amendment-request";
    const PERMISSION: Permission = Permission::Update(Update::AmendmentRequests);
    type Aggregate = AmendmentRequest;

    fn target(&self) -> Target {
        Target::existing(self.amendment_request_id)
    }

    fn is_own(&self, state: Option<&AmendmentRequest>, caller: &Caller) -> bool {
        is_of_caller(state, caller)
    }

    fn follows_on(state: &AmendmentRequest) -> bool {
        state.status == Status::Requested
    }

    fn decide(self, state: Option<&AmendmentRequest>, _: &Context<'_>) -> Result<Decision<AmendmentRequest>, Refused> {
        step(state, (Status::Requested, Status::Withdrawn), Event::Withdrawn { reason: self.reason })
    }
}

impl Command for StateDisagreement {
    const NAME: &'static str = "state-disagreement";
    const PERMISSION: Permission = Permission::Update(Update::AmendmentRequests);
    type Aggregate = AmendmentRequest;

    fn target(&self) -> Target {
        Target::existing(self.amendment_request_id)
    }

    fn is_own(&self, state: Option<&AmendmentRequest>, caller: &Caller) -> bool {
        is_of_caller(state, caller)
    }

    fn follows_on(state: &AmendmentRequest) -> bool {
        state.status == Status::Denied
    }

    fn decide(self, state: Option<&AmendmentRequest>, _: &Context<'_>) -> Result<Decision<AmendmentRequest>, Refused> {
        let event = Event::DisagreementStated { statement: self.statement };
        step(state, (Status::Denied, Status::Disagreed), event)
    }
}

#[cfg(test)]
mod tests;
