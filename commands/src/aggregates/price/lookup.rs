//! Looking up what a service costs a patient: by the list of the payer who pays first, else by the standard list.

use chrono::NaiveDate;
use hims_domain::billing_record::Priced;
use hims_domain::insurance_policy::InsurancePolicy;
use hims_domain::payer::Payer;
use hims_domain::price::{Price, STANDARD};
use hims_domain::{PatientId, PriceId};

use super::id_in;
use crate::aggregates::insurance_policy::in_force;
use crate::aggregates::patient::{reads_person, records_of};
use crate::{Found, Reads, scopes};

/// A service whose price is looked up: of whom, on which day, and which service.
pub(crate) struct Sought<'a> {
    pub(crate) patient_id: PatientId,
    pub(crate) day: NaiveDate,
    pub(crate) code_system: &'a str,
    pub(crate) code: &'a str,
}

impl Sought<'_> {
    /// Looks up what decides on the price.
    pub(crate) fn reads(&self, reads: Reads, found: &Found) -> Reads {
        let reads = reads_person(reads, self.patient_id, found);
        let reads = records_of(self.patient_id, found)
            .into_iter()
            .fold(reads, |reads, id| reads.candidates::<InsurancePolicy>(scopes::POLICY_PATIENT, id.to_string()));
        let reads = reads.maybe::<Payer>(self.policy(found).map(|it| it.coverage.payer_id));
        self.lists(found).fold(reads, |reads, list| reads.stream::<Price>(self.id_in(list)))
    }

    /// The price, if there is one: from the list of the payer, else from the standard list.
    pub(crate) fn price(&self, found: &Found) -> Option<Priced> {
        self.lists(found).find_map(|list| {
            let price = found.get::<Price>(self.id_in(list))?;
            let version = price.on(self.day)?;
            Some(Priced {
                unit_price: version.unit_price,
                tax_rate: version.tax_rate,
                price_list: Some(price.price_list.clone()),
                price_effective_from: Some(version.effective_from),
            })
        })
    }

    /// The policy in force on the day that pays first.
    fn policy<'f>(&self, found: &'f Found) -> Option<&'f InsurancePolicy> {
        in_force(self.patient_id, self.day, found).first().map(|(_, policy)| *policy)
    }

    /// The names of the lists in which the price is sought, in their order.
    fn lists<'f>(&self, found: &'f Found) -> impl Iterator<Item = &'f str> + use<'f> {
        let payer = self.policy(found).and_then(|it| found.get::<Payer>(it.coverage.payer_id));
        let agreed = payer.and_then(|it| it.details.price_list.as_ref()).map(hims_domain::values::Text::as_str);
        agreed.into_iter().chain([STANDARD])
    }

    fn id_in(&self, list: &str) -> PriceId {
        id_in(list, self.code_system, self.code)
    }
}
