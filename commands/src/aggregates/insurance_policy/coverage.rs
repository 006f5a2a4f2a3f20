//! What must hold for a coverage, by itself and among the other policies of the patient; and which policies are in force.

use chrono::{Datelike as _, NaiveDate};
use hims_domain::insurance_policy::{Coverage, InsurancePolicy, Relationship, Status};
use hims_domain::{InsurancePolicyId, PatientId};
use uuid::Uuid;

use super::Refusal;
use crate::aggregates::patient::records_of;
use crate::{Context, Found, Kind, Reads, Refused, scopes};

/// The refusal code for a policy of a priority that the patient has on one of its days already.
pub(super) const OVERLAP: &str = "coverage-overlap";

/// The years in which a coverage may begin.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=2999;

/// Checks a coverage by itself.
///
/// # Errors
/// Every rule that the coverage breaks.
pub(super) fn check(coverage: &Coverage, ctx: &Context<'_>) -> Result<(), Refused> {
    let broken = |is_broken: bool, why: Refused| if is_broken { Err(why) } else { Ok(()) };
    let priority = Refused::field("out-of-range", "/priority", "give a priority of 1 to 9");
    let year = Refused::field("out-of-range", "/effective_from", "give a date in the years 1900 to 2999");
    let is_backwards = coverage.effective_to.is_some_and(|last: NaiveDate| last < coverage.effective_from);
    let by_itself = [
        broken(!(1..=9).contains(&coverage.priority), priority),
        broken(!YEARS.contains(&coverage.effective_from.year()), year),
        broken(is_backwards, Refused::from(Refusal::EndsBeforeItStarts).at("/effective_to")),
    ];
    // Another system may not have known the member and the subscriber, and there is nobody to be asked.
    let is_asked = !ctx.caller.is_system;
    let message = "give the number under which the payer knows the member";
    let member = Refused::field("invalid-fields", "/member_id", message);
    let is_own = coverage.relationship_to_subscriber == Relationship::Own;
    let is_missing = |is_there: bool| is_asked && !is_own && !is_there;
    let subscriber = |pointer| Refused::from(Refusal::SubscriberMissing).at(pointer);
    let of_persons = [
        broken(is_asked && coverage.member_id.is_none(), member),
        broken(is_missing(coverage.subscriber_name.is_some()), subscriber("/subscriber_name")),
        broken(is_missing(coverage.subscriber_birth_date.is_some()), subscriber("/subscriber_birth_date")),
    ];
    Refused::all(by_itself.into_iter().chain(of_persons))
}

/// Looks up the policies of a patient.
pub(super) fn reads_others(patient_id: PatientId) -> Reads {
    Reads::nothing().owners::<InsurancePolicy>(scopes::POLICY_PATIENT, patient_id.to_string())
}

/// The policies of a person that are in force on a day, the one that pays first at the beginning. The command looks up
/// all records of the person, and of each record who holds its key in [`scopes::POLICY_PATIENT`].
pub(crate) fn in_force(
    patient_id: PatientId,
    day: NaiveDate,
    found: &Found,
) -> Vec<(InsurancePolicyId, &InsurancePolicy)> {
    let records = records_of(patient_id, found).into_iter();
    let policies = records.flat_map(|id| found.owners::<InsurancePolicy>(scopes::POLICY_PATIENT, id.to_string()));
    let mut policies: Vec<_> =
        policies.filter(|(_, it)| it.is_in_force_on(day)).map(|(id, it)| (InsurancePolicyId(id), it)).collect();
    policies.sort_by_key(|(id, it)| (it.coverage.priority, *id));
    policies
}

/// Refuses a coverage that has a day and the priority in common with another active policy of the patient.
///
/// # Errors
/// The refusal with the ids of the other policies.
pub(super) fn check_no_other(patient_id: PatientId, coverage: &Coverage, ctx: &Context<'_>) -> Result<(), Refused> {
    let policies = ctx.found.owners::<InsurancePolicy>(scopes::POLICY_PATIENT, patient_id.to_string());
    let overlapping = policies.filter(|(id, other)| {
        *id != ctx.id
            && other.status == Status::Active
            && other.coverage.priority == coverage.priority
            && other.coverage.overlaps(coverage)
    });
    let candidates: Vec<Uuid> = overlapping.map(|(id, _)| id).collect();
    if candidates.is_empty() {
        return Ok(());
    }
    let detail = "the patient has an active policy of this priority on the same days (see candidates); end or cancel \
                  that policy, or change the priority or the dates";
    Err(Refused { candidates, ..Refused::new(Kind::Conflict, OVERLAP, detail) })
}
