//! Patients: registering patients, and keeping their demographics, identifiers and allergies.

mod allergies;

use std::collections::BTreeSet;

use chrono::{DateTime, Months, TimeDelta, Utc};
use hims_domain::patient::{Demographics, Event, Identifier, Patient};
use hims_domain::permission::{Create, Update};
use hims_domain::values::Mrn;
use hims_domain::{PatientId, Personal, described};
use uuid::Uuid;

pub use allergies::{ChangeAllergy, RecordAllergy, RetireAllergy};

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Kind, Patch, Permission, Reads, Refused, Registry, Target,
    refuse, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<RegisterPatient>()
        .add::<ChangePatientDemographics>()
        .add::<AddPatientIdentifier>()
        .add::<RecordAllergy>()
        .add::<ChangeAllergy>()
        .add::<RetireAllergy>();
}

/// The Jaro-Winkler similarity, from 0 to 1, from which two names may belong to one person.
const SIMILAR: f64 = 0.9;
/// The greatest age that a date of birth may give.
const OLDEST: Months = Months::new(150 * 12);

refusals! {
    NoSuchAllergy = Missing, "not-found", "the patient has no allergy with this id, or the allergy is retired";
    NotOwnToChange = Forbidden, "forbidden", "patients may change their contact data; the front desk changes the rest";
    Erased = Conflict, "erased", "the patient's record was erased; nothing more can be recorded";
}

described! {
    /// Registers a patient and issues a medical record number. A possible duplicate is refused with the ids of the
    /// candidates, unless the caller confirms that the patient is none of them.
    pub struct RegisterPatient {
        /// The id of the new patient; issued by the server if left out.
        pub id: Option<PatientId>,
        /// The patient's demographics.
        #[serde(flatten)]
        pub demographics: Demographics,
        /// The identifiers of the patient in other systems.
        #[serde(default)]
        pub identifiers: Vec<Identifier>,
        /// Confirms that the caller has looked at the candidates and that the patient is none of them.
        #[serde(default)]
        pub confirm_not_duplicate: bool,
    }

    /// Changes a patient's demographics. Patients may change their own contact data.
    pub struct ChangePatientDemographics {
        /// Which patient.
        pub patient_id: PatientId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Demographics>,
    }

    /// Adds the identifier of a patient in another system.
    pub struct AddPatientIdentifier {
        /// Which patient.
        pub patient_id: PatientId,
        /// The identifier.
        #[serde(flatten)]
        pub identifier: Identifier,
    }
}

/// The state of a patient; refused once the patient is erased, since nothing more can be recorded then.
fn not_erased(state: Option<&Patient>) -> Result<&Patient, Refused> {
    let patient = existing(state)?;
    if patient.mrn.known().is_none() { refuse(Refusal::Erased) } else { Ok(patient) }
}

fn check_birth_date(demographics: &Demographics, now: DateTime<Utc>) -> Result<(), Refused> {
    // Where a child was born it may be the next day already: time zones are up to 14 hours ahead of UTC.
    let latest = (now + TimeDelta::hours(14)).date_naive();
    let plausible = |born: &chrono::NaiveDate| {
        *born <= latest && born.checked_add_months(OLDEST).is_some_and(|it| it >= now.date_naive())
    };
    if demographics.date_of_birth.known().is_some_and(plausible) {
        return Ok(());
    }
    let message = "give a date of birth that is not in the future and at most 150 years ago";
    Err(Refused::field("implausible-birth-date", "/date_of_birth", message))
}

/// Whether only contact data, occupation or language differ, which patients may change themselves.
fn only_reached_otherwise(old: &Demographics, new: &Demographics) -> bool {
    let with_new_contact_data = |demographics: &Demographics| Demographics {
        email: new.email.clone(),
        phone_primary: new.phone_primary.clone(),
        phone_secondary: new.phone_secondary.clone(),
        address_line_1: new.address_line_1.clone(),
        address_line_2: new.address_line_2.clone(),
        city: new.city.clone(),
        state: new.state.clone(),
        postal_code: new.postal_code.clone(),
        country: new.country.clone(),
        occupation: new.occupation.clone(),
        emergency_contact_name: new.emergency_contact_name.clone(),
        emergency_contact_relationship: new.emergency_contact_relationship.clone(),
        emergency_contact_phone: new.emergency_contact_phone.clone(),
        preferred_language: new.preferred_language.clone(),
        ..demographics.clone()
    };
    with_new_contact_data(old) == *new
}

fn birth_date(demographics: &Demographics) -> Option<String> {
    demographics.date_of_birth.known().map(ToString::to_string)
}

fn ssn(demographics: &Demographics) -> Option<String> {
    demographics.ssn.as_ref().and_then(Personal::known).map(|it| it.as_str().to_owned())
}

/// First and last name in lower case; `None` once the patient is erased.
fn full_name(demographics: &Demographics) -> Option<[String; 2]> {
    let first = demographics.first_name.known()?.as_str().to_lowercase();
    let last = demographics.last_name.known()?.as_str().to_lowercase();
    Some([first, last])
}

/// Whether two names are similar, also when first and last name are exchanged in one of them.
fn is_similar(one: &Demographics, other: &Demographics) -> bool {
    let (Some([first, last]), Some([other_first, other_last])) = (full_name(one), full_name(other)) else {
        return false;
    };
    let name = format!("{first} {last}");
    [format!("{other_first} {other_last}"), format!("{other_last} {other_first}")]
        .iter()
        .any(|it| strsim::jaro_winkler(&name, it) >= SIMILAR)
}

/// The ids of other patients who may be the same person: same birth date and a similar name, or same social security
/// number.
fn candidates(demographics: &Demographics, ctx: &Context<'_>) -> Vec<Uuid> {
    let by = |scope, key: Option<String>| key.into_iter().flat_map(move |key| ctx.found.owners::<Patient>(scope, key));
    let namesakes = by(scopes::PATIENT_BIRTH_DATE, birth_date(demographics))
        .filter(|(_, patient)| is_similar(&patient.demographics, demographics));
    let mut ids: Vec<Uuid> = namesakes
        .chain(by(scopes::PATIENT_SSN, ssn(demographics)))
        .map(|(id, _)| id)
        .filter(|id| *id != ctx.id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The key of an identifier: its system and value. `None` for an erased patient, whose value is no longer known.
fn identifier_key(identifier: &Identifier) -> Option<String> {
    Some(scopes::key(&[identifier.system.as_str(), identifier.value.known()?.as_str()]))
}

impl Claims for Patient {
    /// Record number, identifiers and allergy ids are unique keys. Birth date and social security number are shared
    /// keys, by which patients are found.
    fn claims(&self, _: Uuid, held: &mut Held) {
        held.take_if(scopes::PATIENT_MRN, self.mrn.known().map(|it| it.0.as_str()))
            .share_if(scopes::PATIENT_BIRTH_DATE, birth_date(&self.demographics))
            .share_if(scopes::PATIENT_SSN, ssn(&self.demographics));
        for identifier in &self.identifiers {
            held.take_if(scopes::PATIENT_IDENTIFIER, identifier_key(identifier));
        }
        for allergy in self.allergies.keys().chain(&self.retired_allergies) {
            held.take(scopes::PATIENT_ALLERGY, allergy.to_string());
        }
    }
}

fn candidate_reads(demographics: &Demographics) -> Reads {
    let mut reads = Reads::nothing();
    if let Some(key) = birth_date(demographics) {
        reads = reads.owners::<Patient>(scopes::PATIENT_BIRTH_DATE, key);
    }
    if let Some(key) = ssn(demographics) {
        reads = reads.owners::<Patient>(scopes::PATIENT_SSN, key);
    }
    reads
}

impl Command for RegisterPatient {
    const NAME: &'static str = "register-patient";
    const PERMISSION: Permission = Permission::Create(Create::Patients);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn reads(&self, _: Option<&Patient>, _: &Found) -> Reads {
        if self.confirm_not_duplicate { Reads::nothing() } else { candidate_reads(&self.demographics) }
    }

    fn decide(self, _: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        check_birth_date(&self.demographics, ctx.now)?;
        let candidates = candidates(&self.demographics, ctx);
        if !candidates.is_empty() && !self.confirm_not_duplicate {
            let detail = "the patient may be registered already; look at the candidates, and repeat with \
                          confirm_not_duplicate if the patient is none of them";
            return Err(Refused { candidates, ..Refused::new(Kind::Conflict, "possible-duplicate", detail) });
        }
        let mut known = BTreeSet::new();
        let identifiers = self.identifiers.into_iter().filter(|it| known.insert(identifier_key(it))).collect();
        Ok(Decision::event(Event::Registered {
            mrn: Mrn::issue(ctx.draw()).into(),
            demographics: Box::new(self.demographics),
            identifiers,
        }))
    }
}

impl Command for ChangePatientDemographics {
    const NAME: &'static str = "change-patient-demographics";
    const PERMISSION: Permission = Permission::Update(Update::PatientDemographics);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn is_own(&self, _: Option<&Patient>, caller: &Caller) -> bool {
        caller.may(Permission::Update(Update::OwnProfile)) && caller.patient_id == Some(self.patient_id)
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        let demographics = self.changes.apply(&patient.demographics)?;
        if demographics == patient.demographics {
            return Ok(Decision::nothing());
        }
        if !ctx.caller.may(Self::PERMISSION) && !only_reached_otherwise(&patient.demographics, &demographics) {
            return refuse(Refusal::NotOwnToChange);
        }
        check_birth_date(&demographics, ctx.now)?;
        Ok(Decision::event(Event::DemographicsChanged(Box::new(demographics))))
    }
}

impl Command for AddPatientIdentifier {
    const NAME: &'static str = "add-patient-identifier";
    const PERMISSION: Permission = Permission::Update(Update::PatientDemographics);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn decide(self, state: Option<&Patient>, _: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let key = identifier_key(&self.identifier);
        if not_erased(state)?.identifiers.iter().any(|it| identifier_key(it) == key) {
            return Ok(Decision::nothing());
        }
        Ok(Decision::event(Event::IdentifierAdded(self.identifier)))
    }
}

#[cfg(test)]
mod tests;
