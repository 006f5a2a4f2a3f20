//! Charging for laboratory tests with a final result, and no more for those whose result was withdrawn.

use hims_domain::billing_record::Status;
use hims_domain::consultation::Consultation;
use hims_domain::lab_order::LabOrder;
use hims_domain::lab_result::{LabResult, ResultStatus};
use hims_domain::lab_test::LabTest;
use hims_domain::values::coding::LOINC;
use hims_domain::{LabResultId, described};

use super::Refusal;
use super::charges::{Charged, Occasion, Place, charged};
use super::revoking::{Source, removed};
use crate::machinery::command::existing;
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse};

/// The kind of source of a line that charges for a laboratory test; its id is that of the result.
const RESULT: &str = "lab_result";

described! {
    /// Charges for a laboratory test whose result is final. Does nothing if the result was charged or withdrawn.
    pub struct ChargeLabResult {
        /// Which result.
        pub lab_result_id: LabResultId,
    }

    /// Charges no more for a laboratory test whose result was withdrawn. Lines of an invoice never change, so that a
    /// person has to adjust the invoice.
    pub struct RevokeLabCharge {
        /// Which result.
        pub lab_result_id: LabResultId,
    }
}

/// Whether a result counts, so that its test is charged.
fn counts(result: &LabResult) -> bool {
    matches!(result.result_status, ResultStatus::Final | ResultStatus::Corrected)
}

impl ChargeLabResult {
    /// Where the test was ordered: by whom and at which visit.
    fn place(result: &LabResult, found: &Found) -> Option<Place> {
        let order = found.get::<LabOrder>(result.lab_order_id)?;
        Some(Place::of_order(order.consultation_id, order.provider_id, found))
    }

    /// The occasion and the line. The day of the service is that on which the specimen was taken.
    fn charged(&self, result: &LabResult, found: &Found) -> Option<(Occasion, Vec<Charged>)> {
        let order = found.get::<LabOrder>(result.lab_order_id)?;
        let definition = &found.get::<LabTest>(result.lab_test_id)?.definition;
        let day = Self::place(result, found)?.day_of(result.taken_at, found);
        let source = Source { kind: RESULT, id: self.lab_result_id.into() };
        let coding = (LOINC, definition.code.0.clone());
        let line = charged(source, None, day, coding, definition.name.as_str());
        let (patient_id, consultation_id) = (result.patient_id, order.consultation_id);
        Some((Occasion { patient_id, consultation_id, day }, vec![line]))
    }
}

impl Command for ChargeLabResult {
    const NAME: &'static str = "charge-lab-result";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = LabResult;

    fn target(&self) -> Target {
        Target::existing(self.lab_result_id)
    }

    fn reads(&self, state: Option<&LabResult>, found: &Found) -> Reads {
        let Some(result) = state else { return Reads::nothing() };
        let order = found.get::<LabOrder>(result.lab_order_id);
        let reads = Reads::nothing().stream::<LabOrder>(result.lab_order_id).stream::<LabTest>(result.lab_test_id);
        let reads = reads.maybe::<Consultation>(order.and_then(|it| it.consultation_id));
        let Some(place) = Self::place(result, found) else { return reads };
        let reads = place.reads(reads, found);
        match self.charged(result, found) {
            Some((occasion, lines)) => occasion.reads(reads, &lines, found),
            None => reads,
        }
    }

    fn decide(self, state: Option<&LabResult>, ctx: &Context<'_>) -> Result<Decision<LabResult>, Refused> {
        let result = existing(state)?;
        match self.charged(result, ctx.found) {
            Some((occasion, lines)) if counts(result) => occasion.charge(Decision::nothing(), lines, ctx),
            _ => Ok(Decision::nothing()),
        }
    }
}

impl RevokeLabCharge {
    fn source(&self) -> Source {
        Source { kind: RESULT, id: self.lab_result_id.into() }
    }
}

impl Command for RevokeLabCharge {
    const NAME: &'static str = "revoke-lab-charge";
    const PERMISSION: Permission = Permission::System;
    type Aggregate = LabResult;

    fn target(&self) -> Target {
        Target::existing(self.lab_result_id)
    }

    fn reads(&self, _: Option<&LabResult>, _: &Found) -> Reads {
        self.source().reads_records(Reads::nothing())
    }

    fn decide(self, state: Option<&LabResult>, ctx: &Context<'_>) -> Result<Decision<LabResult>, Refused> {
        if counts(existing(state)?) {
            return Ok(Decision::nothing());
        }
        let source = self.source();
        let mut decision = Decision::nothing();
        for (id, record) in source.records(ctx.found) {
            let mut after = record.clone();
            for line in source.lines(record) {
                if record.status() != Status::Pending {
                    return refuse(Refusal::ChargedAlready);
                }
                decision = removed(decision, (id, &mut after), line.id, None);
            }
        }
        Ok(decision)
    }
}
