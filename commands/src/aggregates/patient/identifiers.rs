//! Identifiers that other systems gave a patient: adding and removing identifiers.

use hims_domain::patient::{Event, Identifier, Patient};
use hims_domain::permission::Update;
use hims_domain::values::{Reason, Text};
use hims_domain::{PatientId, Personal, described};

use super::allergies::{happens, reads_duplicates, records};
use super::{Refusal, not_erased};
use crate::{Command, Context, Decision, Found, Permission, Reads, Refused, Target, refuse, scopes};

described! {
    /// Adds the identifier of a patient in another system.
    pub struct AddPatientIdentifier {
        /// Which patient.
        pub patient_id: PatientId,
        /// The identifier.
        #[serde(flatten)]
        pub identifier: Identifier,
    }

    /// Removes an identifier that is not the patient's. Afterwards it can be added to the record of somebody else.
    pub struct RemovePatientIdentifier {
        /// Which patient.
        pub patient_id: PatientId,
        /// The system that issued the identifier, as a URI (FHIR `Identifier.system`).
        pub system: Text<255>,
        /// The identifier (FHIR `Identifier.value`).
        pub value: Personal<Text<100>>,
        /// Why the identifier is removed.
        pub reason: Personal<Reason>,
    }
}

/// The key of an identifier: its system and value. `None` for an erased patient, whose value is no longer known.
pub(super) fn key(system: &Text<255>, value: &Personal<Text<100>>) -> Option<String> {
    Some(scopes::key(&[system.as_str(), value.known()?.as_str()]))
}

/// Where an identifier is known of a patient: the record, which is that of the patient or of a duplicate, and the place
/// among the identifiers of this record.
fn place(key: Option<&String>, patient: &Patient, ctx: &Context<'_>) -> Option<(PatientId, u32)> {
    let key = key?;
    let mut known = records(patient, ctx).flat_map(|(record, it)| it.identifiers.iter().map(move |it| (record, it)));
    let found = known.find(|(_, (_, it))| self::key(&it.system, &it.value).as_ref() == Some(key));
    found.map(|(record, (place, _))| (record, *place))
}

impl Command for AddPatientIdentifier {
    const NAME: &'static str = "add-patient-identifier";
    const PERMISSION: Permission = Permission::Update(Update::PatientDemographics);
    const REVERSED_BY: Option<&'static str> = Some(RemovePatientIdentifier::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn reads(&self, state: Option<&Patient>, _: &Found) -> Reads {
        reads_duplicates(Reads::nothing(), state)
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        let key = key(&self.identifier.system, &self.identifier.value);
        if place(key.as_ref(), patient, ctx).is_some() {
            return Ok(Decision::nothing());
        }
        let place = patient.identifiers_so_far;
        Ok(Decision::event(Event::IdentifierAdded { place, identifier: self.identifier }))
    }
}

impl Command for RemovePatientIdentifier {
    const NAME: &'static str = "remove-patient-identifier";
    const PERMISSION: Permission = Permission::Update(Update::PatientDemographics);
    const REVERSED_BY: Option<&'static str> = Some(AddPatientIdentifier::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn reads(&self, state: Option<&Patient>, _: &Found) -> Reads {
        reads_duplicates(Reads::nothing(), state)
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        let key = key(&self.system, &self.value);
        let Some((record, place)) = place(key.as_ref(), patient, ctx) else { return refuse(Refusal::NoSuchIdentifier) };
        Ok(happens(Event::IdentifierRemoved { place, reason: self.reason }, record, ctx))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::samples::{OTHER_PATIENT, PATIENT, ask, registered, said, with};
    use crate::testing::{given, releases, takes};

    fn passport(changes: Value) -> Value {
        with(json!({"system": "urn:passport", "value": "X1"}), changes)
    }

    fn added(place: u32) -> Event {
        Event::IdentifierAdded { place, identifier: ask(passport(json!({}))) }
    }

    fn removed(place: u32) -> Event {
        Event::IdentifierRemoved { place, reason: said("the passport of her sister") }
    }

    fn add() -> AddPatientIdentifier {
        ask(passport(json!({"patient_id": PATIENT})))
    }

    fn remove(changes: Value) -> RemovePatientIdentifier {
        ask(passport(with(json!({"patient_id": PATIENT, "reason": "the passport of her sister"}), changes)))
    }

    #[test]
    fn an_identifier_of_somebody_else_is_removed_and_no_longer_claimed() {
        let (scope, key) = (scopes::PATIENT_IDENTIFIER, || scopes::key(&["urn:passport", "X1"]));
        given([registered()]).when(add()).then([added(0)]).then_claims([takes(scope, key())]);
        let known = given([registered(), added(0)]);
        known.when(remove(json!({}))).then([removed(0)]).then_claims([releases(scope, key())]);
        // An identifier that is added again has a place of its own.
        given([registered(), added(0), removed(0)]).when(add()).then([added(1)]);
        given([registered(), added(0), removed(0), added(1)]).when(remove(json!({}))).then([removed(1)]);
    }

    #[test]
    fn only_an_identifier_that_the_patient_has_is_removed() {
        for other in [json!({"value": "X2"}), json!({"system": "urn:other"})] {
            given([registered(), added(0)]).when(remove(other)).then_refused(Refusal::NoSuchIdentifier);
        }
        given([registered(), added(0), removed(0)]).when(remove(json!({}))).then_refused(Refusal::NoSuchIdentifier);
    }

    #[test]
    fn an_identifier_that_came_with_a_duplicate_is_removed_from_the_duplicate() {
        let merged = Event::DuplicateMerged { duplicate_id: OTHER_PATIENT, brought: [].into(), reason: said("twice") };
        let into = Event::MergedInto { patient_id: PATIENT, reason: said("twice") };
        given([registered(), merged])
            .and::<Patient>(OTHER_PATIENT, [registered(), added(0), into])
            .when(remove(json!({})))
            .then([])
            .then_also::<Patient>(OTHER_PATIENT, [removed(0)]);
    }
}
