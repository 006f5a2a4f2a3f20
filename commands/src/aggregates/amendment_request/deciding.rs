//! What the hospital says to a request: that the answer takes longer, the decision, and the answer to a statement.
//! Nobody says any of these on a request about their own record.

use hims_domain::amendment_request::EXTENSION;

use super::{
    AcceptAmendment, AmendmentRequest, Command, Context, Decision, DenyAmendment, Event, ExtendAmendmentRequest, Found,
    Permission, Reads, RebutDisagreement, Refusal, Refused, Status, Target, Update, existing, reads_person, records_of,
    refuse, step,
};

/// Looks up the records of the patient, by which a caller who is the patient is known.
fn reads_patient(state: Option<&AmendmentRequest>, found: &Found) -> Reads {
    state.map_or_else(Reads::nothing, |it| reads_person(Reads::nothing(), it.patient_id, found))
}

/// Refuses a caller who is the patient.
fn check_decides_on_another(state: Option<&AmendmentRequest>, ctx: &Context<'_>) -> Result<(), Refused> {
    let records = records_of(existing(state)?.patient_id, ctx.found);
    if records.into_iter().any(|it| ctx.caller.is_patient(it)) { refuse(Refusal::OwnRequest) } else { Ok(()) }
}

/// Declares that a command decides on a request that has this status, and looks up who the patient is.
macro_rules! decides_while {
    ($status:ident) => {
        fn target(&self) -> Target {
            Target::existing(self.amendment_request_id)
        }

        fn reads(&self, state: Option<&AmendmentRequest>, found: &Found) -> Reads {
            reads_patient(state, found)
        }

        fn follows_on(state: &AmendmentRequest) -> bool {
            state.status == Status::$status
        }
    };
}

impl Command for ExtendAmendmentRequest {
    const NAME: &'static str = "extend-amendment-request";
    const PERMISSION: Permission = Permission::Update(Update::AmendmentDecisions);
    type Aggregate = AmendmentRequest;

    decides_while!(Requested);

    fn decide(
        self,
        state: Option<&AmendmentRequest>,
        ctx: &Context<'_>,
    ) -> Result<Decision<AmendmentRequest>, Refused> {
        check_decides_on_another(state, ctx)?;
        let request = existing(state)?;
        match request.status {
            Status::Requested if request.is_extended => Ok(Decision::nothing()),
            Status::Requested => {
                Ok(Decision::event(Event::Extended { due_at: request.due_at + EXTENSION, reason: self.reason }))
            }
            status => Err(Refused::wrong_status::<AmendmentRequest>(status)),
        }
    }
}

impl Command for AcceptAmendment {
    const NAME: &'static str = "accept-amendment";
    const PERMISSION: Permission = Permission::Update(Update::AmendmentDecisions);
    type Aggregate = AmendmentRequest;

    decides_while!(Requested);

    fn decide(
        self,
        state: Option<&AmendmentRequest>,
        ctx: &Context<'_>,
    ) -> Result<Decision<AmendmentRequest>, Refused> {
        check_decides_on_another(state, ctx)?;
        let event = Event::Accepted { done: self.done, told: self.told };
        step(state, (Status::Requested, Status::Accepted), event)
    }
}

impl Command for DenyAmendment {
    const NAME: &'static str = "deny-amendment";
    const PERMISSION: Permission = Permission::Update(Update::AmendmentDecisions);
    type Aggregate = AmendmentRequest;

    decides_while!(Requested);

    fn decide(
        self,
        state: Option<&AmendmentRequest>,
        ctx: &Context<'_>,
    ) -> Result<Decision<AmendmentRequest>, Refused> {
        check_decides_on_another(state, ctx)?;
        let event = Event::Denied { basis: self.basis, reason: self.reason };
        step(state, (Status::Requested, Status::Denied), event)
    }
}

impl Command for RebutDisagreement {
    const NAME: &'static str = "rebut-disagreement";
    const PERMISSION: Permission = Permission::Update(Update::AmendmentDecisions);
    type Aggregate = AmendmentRequest;

    decides_while!(Disagreed);

    fn decide(
        self,
        state: Option<&AmendmentRequest>,
        ctx: &Context<'_>,
    ) -> Result<Decision<AmendmentRequest>, Refused> {
        check_decides_on_another(state, ctx)?;
        let event = Event::DisagreementRebutted { rebuttal: self.rebuttal };
        step(state, (Status::Disagreed, Status::Rebutted), event)
    }
}
