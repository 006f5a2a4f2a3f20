//! Results of the laboratory: recording and finalising values, correcting and withdrawing them, and looking at them.

mod alarms;
mod recording;
mod telling;
mod values;

use chrono::{DateTime, Utc};
use hims_domain::lab_order::LabOrder;
use hims_domain::lab_result::{ComponentResult, Event, LabResult, ResultStatus, Revision, WithdrawalCode};
use hims_domain::lab_test::LabTest;
use hims_domain::permission::{Create, Update};
use hims_domain::values::{LongText, Reason, Text};
use hims_domain::{LabResultId, LabTestId, PatientId, Personal, described};
use uuid::Uuid;

pub use alarms::{AcknowledgeCriticalResult, EscalateCriticalResult};
pub use recording::{RecordLabResult, Release};
pub(crate) use telling::{Reader, TellOfCriticalValues, TellOfResult, TellOfWithdrawnValues, in_parts};
pub use values::ComponentValue;

use super::lab_order;
use super::patient::{check_not_erased, reads_person, survivor};
use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Permission, Reads, Refused, Registry, Target, refuse,
    scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<RecordLabResult>()
        .add::<FinaliseLabResult>()
        .add::<CorrectLabResult>()
        .add::<WithdrawLabResult>()
        .add::<ReviewLabResult>()
        .add::<AcknowledgeCriticalResult>();
}

refusals! {
    NotFinal = Conflict, "not-final", "the result is preliminary; review it when it is final";
    SpecimenRejected = Conflict, "specimen-rejected",
        "the specimen was rejected; examine another, or withdraw the result";
    NoSuchItem = Rule, "no-such-item", "the laboratory order has no item with this id";
    NoSuchSpecimen = Rule, "no-such-specimen", "the laboratory order has no specimen with this id for the item";
    ItemCancelled = Conflict, "wrong-status", "the item of the order was cancelled; order the test again";
    HasResult = Conflict, "already-resulted",
        "the item has a result already (see candidates); finalise, correct or withdraw that one";
    WasDone = Conflict, "wrong-status",
        "the result is final, so the test could be done; withdraw it as wrong_patient or wrong_specimen, or correct it";
    NotReadBack = Rule, "not-read-back", "read the critical values back to whoever tells them, and confirm it";
    Unacknowledged = Conflict, "critical-unacknowledged", "acknowledge the critical values first";
}

described! {
    /// Makes preliminary values final, as they are or with others in their place.
    pub struct FinaliseLabResult {
        /// Which result.
        pub lab_result_id: LabResultId,
        /// The final values of all components; the preliminary ones if left out.
        pub components: Option<Vec<ComponentValue>>,
        /// Confirms that values which differ much from the patient's last ones are of the patient's specimen.
        #[serde(default)]
        pub confirm_delta: bool,
    }

    /// Corrects the values of a final result. The wrong values stay readable as an earlier revision.
    pub struct CorrectLabResult {
        /// Which result.
        pub lab_result_id: LabResultId,
        /// The right values of all components.
        pub components: Vec<ComponentValue>,
        /// What was wrong.
        pub reason: Personal<Reason>,
        /// Confirms that values which differ much from the patient's last ones are of the patient's specimen.
        #[serde(default)]
        pub confirm_delta: bool,
    }

    /// Withdraws a result. A test that cannot be done ends its item of the order; after a result of a wrong patient or
    /// specimen, the item waits for another result, and the patient no longer sees this one.
    pub struct WithdrawLabResult {
        /// Which result.
        pub lab_result_id: LabResultId,
        /// Why the result does not count.
        pub reason_code: WithdrawalCode,
        /// Why the result does not count, in words.
        pub reason: Option<Personal<Reason>>,
    }

    /// Records that a doctor has looked at a final result.
    pub struct ReviewLabResult {
        /// Which result.
        pub lab_result_id: LabResultId,
        /// What the doctor says of the values.
        pub comment: Option<Personal<LongText>>,
    }
}

impl Claims for LabResult {
    /// The exact numbers of a final result are found by patient, component and time, to be compared with later ones.
    fn claims(&self, _: Uuid, held: &mut Held) {
        if matches!(self.result_status, ResultStatus::Final | ResultStatus::Corrected) {
            for component in self.revision.components.iter().filter(|it| it.exact().is_some()) {
                let key = values::key_at(self.taken_at, self.patient_id, component.code.as_str());
                held.share(scopes::LAB_LATEST, key);
            }
        }
    }

    fn is_hidden_from(&self, caller: &Caller) -> bool {
        lab_order::is_hidden(self.patient_id, caller)
    }
}

/// Also looks up what the values of a patient's test are compared with: the patient's records, the test, and the
/// patient's earlier values.
fn reads_compared(
    reads: Reads,
    (patient_id, lab_test_id): (PatientId, LabTestId),
    given: &[ComponentValue],
    taken_at: DateTime<Utc>,
    found: &Found,
) -> Reads {
    let reads = reads_person(reads, patient_id, found).stream::<LabTest>(lab_test_id);
    match found.get::<LabTest>(lab_test_id) {
        Some(test) => values::reads_earlier(reads, (patient_id, &test.definition), given, taken_at, found),
        None => reads,
    }
}

/// The values of a patient's test as they are kept.
fn evaluated(
    given: &[ComponentValue],
    (patient_id, test): (PatientId, &LabTest),
    taken_at: DateTime<Utc>,
    how: (bool, bool),
    ctx: &Context<'_>,
) -> Result<Vec<ComponentResult>, Refused> {
    // Sex and date of birth are those of the record that survives, if the patient's record was merged.
    let patient = survivor(patient_id, ctx.found).ok_or_else(|| Refused::missing("patient"))?;
    check_not_erased(patient)?;
    let of = values::Subject { patient_id, patient, test: &test.definition, taken_at };
    values::evaluated(given, &of, how, ctx)
}

/// Whether a value is needed for each component: of a final result, unless an import tells what another laboratory has
/// reported.
fn is_complete(is_final: bool, ctx: &Context<'_>) -> bool {
    is_final && !ctx.caller.is_system
}

/// The next revision of a result, with values that a request gives for all components.
fn next_revision(
    result: &LabResult,
    given: &[ComponentValue],
    confirm_delta: bool,
    ctx: &Context<'_>,
) -> Result<Revision, Refused> {
    let test = ctx.named::<LabTest>(result.lab_test_id, "/item_id")?;
    let how = (is_complete(true, ctx), confirm_delta);
    let components = evaluated(given, (result.patient_id, test), result.taken_at, how, ctx)?;
    Ok(Revision { number: result.revision.number + 1, components })
}

/// Refuses a preliminary result that lacks values of components which a final one needs.
fn check_complete(result: &LabResult, ctx: &Context<'_>) -> Result<(), Refused> {
    let test = ctx.named::<LabTest>(result.lab_test_id, "/lab_result_id")?;
    let has = |code: &Text<20>| result.revision.components.iter().any(|it| it.code == *code);
    let codes = test.definition.components.iter().map(|it| &it.code).filter(|code| !has(code));
    let missing: Vec<_> = codes.map(Text::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let codes = missing.join(", ");
    let message = format!("a final result has a value for each component; give all components, also {codes}");
    Err(Refused::field("missing-component", "/components", message))
}

impl Command for FinaliseLabResult {
    const NAME: &'static str = "finalise-lab-result";
    const PERMISSION: Permission = Permission::Create(Create::LabResults);
    const REVERSED_BY: Option<&'static str> = Some(CorrectLabResult::NAME);
    type Aggregate = LabResult;

    fn target(&self) -> Target {
        Target::existing(self.lab_result_id)
    }

    fn follows_on(state: &LabResult) -> bool {
        state.result_status == ResultStatus::Preliminary
    }

    fn reads(&self, state: Option<&LabResult>, found: &Found) -> Reads {
        let Some(result) = state else { return Reads::nothing() };
        let reads = Reads::nothing().stream::<LabOrder>(result.lab_order_id);
        let of = (result.patient_id, result.lab_test_id);
        match &self.components {
            Some(given) => reads_compared(reads, of, given, result.taken_at, found),
            None => reads.stream::<LabTest>(result.lab_test_id),
        }
    }

    fn decide(self, state: Option<&LabResult>, ctx: &Context<'_>) -> Result<Decision<LabResult>, Refused> {
        let result = existing(state)?;
        match result.result_status {
            ResultStatus::Preliminary => {}
            ResultStatus::Final if self.components.is_none() => return Ok(Decision::nothing()),
            _ => return Err(Refused::wrong_status::<LabResult>(result.status())),
        }
        let order = ctx.named::<LabOrder>(result.lab_order_id, "/lab_result_id")?;
        let specimen = result.specimen_id.and_then(|id| order.specimens.get(&id));
        if specimen.is_some_and(|it| !it.is_usable()) {
            return refuse(Refusal::SpecimenRejected);
        }
        let revision = match &self.components {
            Some(given) => Some(next_revision(result, given, self.confirm_delta, ctx)?),
            None => check_complete(result, ctx).map(|()| None)?,
        };
        let revision = revision.filter(|it| it.components != result.revision.components);
        let follow = alarms::after(result, revision.as_ref().unwrap_or(&result.revision), ctx);
        let finalised = Decision::event(Event::Finalised { patient_id: result.patient_id, revision });
        let resulted = order.resulted(result.item_id, self.lab_result_id, true);
        Ok(follow.into_iter().fold(finalised, Decision::followed_by).also::<LabOrder>(result.lab_order_id, resulted))
    }
}

impl Command for CorrectLabResult {
    const NAME: &'static str = "correct-lab-result";
    const PERMISSION: Permission = Permission::Update(Update::ResultStatus);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = LabResult;

    fn target(&self) -> Target {
        Target::existing(self.lab_result_id)
    }

    fn follows_on(state: &LabResult) -> bool {
        matches!(state.result_status, ResultStatus::Final | ResultStatus::Corrected)
    }

    fn reads(&self, state: Option<&LabResult>, found: &Found) -> Reads {
        let Some(result) = state else { return Reads::nothing() };
        let of = (result.patient_id, result.lab_test_id);
        reads_compared(Reads::nothing(), of, &self.components, result.taken_at, found)
    }

    fn decide(self, state: Option<&LabResult>, ctx: &Context<'_>) -> Result<Decision<LabResult>, Refused> {
        let result = existing(state)?;
        if !Self::follows_on(result) {
            return Err(Refused::wrong_status::<LabResult>(result.status()));
        }
        let revision = next_revision(result, &self.components, self.confirm_delta, ctx)?;
        if revision.components == result.revision.components {
            return Ok(Decision::nothing());
        }
        let follow = alarms::after(result, &revision, ctx);
        let corrected = Event::Corrected { patient_id: result.patient_id, revision, reason: self.reason };
        Ok(follow.into_iter().fold(Decision::event(corrected), Decision::followed_by))
    }
}

impl Command for WithdrawLabResult {
    const NAME: &'static str = "withdraw-lab-result";
    const PERMISSION: Permission = Permission::Update(Update::ResultStatus);
    type Aggregate = LabResult;

    fn target(&self) -> Target {
        Target::existing(self.lab_result_id)
    }

    fn follows_on(state: &LabResult) -> bool {
        !matches!(state.result_status, ResultStatus::CannotBeDone | ResultStatus::Wrong)
    }

    fn reads(&self, state: Option<&LabResult>, _: &Found) -> Reads {
        Reads::nothing().maybe::<LabOrder>(state.map(|it| it.lab_order_id))
    }

    fn decide(self, state: Option<&LabResult>, ctx: &Context<'_>) -> Result<Decision<LabResult>, Refused> {
        let result = existing(state)?;
        let cannot_be_done = self.reason_code == WithdrawalCode::CannotBeDone;
        let after = if cannot_be_done { ResultStatus::CannotBeDone } else { ResultStatus::Wrong };
        match result.result_status {
            status if status == after => return Ok(Decision::nothing()),
            ResultStatus::Final | ResultStatus::Corrected if cannot_be_done => return refuse(Refusal::WasDone),
            ResultStatus::Preliminary | ResultStatus::Final | ResultStatus::Corrected => {}
            _ => return Err(Refused::wrong_status::<LabResult>(result.status())),
        }
        let order = ctx.named::<LabOrder>(result.lab_order_id, "/lab_result_id")?;
        let of_order = if cannot_be_done {
            order.item_cancelled(result.item_id, self.reason.clone())
        } else {
            order.reopened(result.item_id)
        };
        let withdrawn = Event::Withdrawn { result_status: after, reason_code: self.reason_code, reason: self.reason };
        let decision = match &result.alarm {
            Some(alarm) => Decision::event(alarms::withdrawn(alarm)).followed_by(withdrawn),
            None => Decision::event(withdrawn),
        };
        Ok(decision.also::<LabOrder>(result.lab_order_id, of_order))
    }
}

impl Command for ReviewLabResult {
    const NAME: &'static str = "review-lab-result";
    const PERMISSION: Permission = Permission::Update(Update::LabReviews);
    type Aggregate = LabResult;

    fn target(&self) -> Target {
        Target::existing(self.lab_result_id)
    }

    fn follows_on(state: &LabResult) -> bool {
        state.status() == hims_domain::lab_result::Status::Completed && CorrectLabResult::follows_on(state)
    }

    fn decide(self, state: Option<&LabResult>, ctx: &Context<'_>) -> Result<Decision<LabResult>, Refused> {
        let result = existing(state)?;
        match result.result_status {
            ResultStatus::Preliminary => return refuse(Refusal::NotFinal),
            ResultStatus::Final | ResultStatus::Corrected if result.is_alarming() => {
                return refuse(Refusal::Unacknowledged);
            }
            ResultStatus::Final | ResultStatus::Corrected if result.is_reviewed => return Ok(Decision::nothing()),
            ResultStatus::Final | ResultStatus::Corrected => {}
            ResultStatus::CannotBeDone | ResultStatus::Wrong => {
                return Err(Refused::wrong_status::<LabResult>(result.status()));
            }
        }
        let reviewed_by = ctx.user(None, "")?;
        Ok(Decision::event(Event::Reviewed { reviewed_by, comment: self.comment }))
    }
}

#[cfg(test)]
mod tests;
