//! The insurance policies of a patient, among which that of a claim is found.

use std::sync::Arc;

use chrono::NaiveDate;
use hims_commands::scopes;
use hims_domain::InsurancePolicyId;
use hims_domain::insurance_policy::InsurancePolicy;
use uuid::Uuid;

use super::super::writer::{Stop, Writer};

/// The insurance policies of a patient as they are in the record.
pub(in super::super) struct Policies(Vec<(InsurancePolicyId, Arc<InsurancePolicy>)>);

impl Policies {
    /// Looks the policies of a patient up.
    pub(in super::super) async fn of(writer: &Writer<'_>, patient: Uuid) -> Result<Self, Stop> {
        let mut policies = Vec::new();
        for id in writer.owners(scopes::POLICY_PATIENT, &patient.to_string()).await? {
            if let Some(policy) = writer.existing::<InsurancePolicy>(id).await? {
                policies.push((id.into(), policy));
            }
        }
        policies.sort_by_key(|(id, it)| (it.coverage.priority, *id));
        Ok(Self(policies))
    }

    /// The policy by which a payer pays on a day; if there are several, the one that pays first.
    pub(in super::super) fn of_payer(&self, payer: Uuid, day: NaiveDate) -> Option<InsurancePolicyId> {
        let pays = |it: &InsurancePolicy| it.coverage.payer_id.0 == payer && it.is_in_force_on(day);
        self.0.iter().find(|(_, it)| pays(it)).map(|(id, _)| *id)
    }
}
