//! Patients: registering patients, and keeping their demographics, identifiers and allergies.

mod allergies;
mod confidentiality;
mod contacts;
mod death;
mod demographics;
mod duplicates;
mod identifiers;
mod merging;

use std::collections::BTreeSet;

use hims_domain::patient::{Demographics, EmergencyContact, Event, Identifier, Patient};
use hims_domain::permission::{Create, Update};
use hims_domain::values::{Mrn, known_names};
use hims_domain::{Aggregate as _, PatientId, described};
use uuid::Uuid;

pub use allergies::{ChangeAllergy, RecordAllergy, RetireAllergy};
pub use confidentiality::MarkRecordConfidentiality;
pub use contacts::{AddEmergencyContact, ChangeEmergencyContact, RemoveEmergencyContact};
pub use death::{CancelAppointmentsOfDeceased, RecordPatientDeath, RevokePatientDeath};
pub(crate) use death::{TellOfDeath, check_alive, is_death};
pub use identifiers::{AddPatientIdentifier, RemovePatientIdentifier};
pub use merging::{MergePatients, UnmergePatients};
pub(crate) use merging::{person, reads_person, records_of, survivor, survivor_of};

use crate::machinery::command::existing;
use crate::machinery::refusal::refusals;
use crate::{
    Caller, Claims, Command, Context, Decision, Found, Held, Patch, Permission, Reads, Refused, Registry, Target,
    refuse, scopes,
};

pub(crate) fn register(registry: &mut Registry) {
    registry
        .add::<RegisterPatient>()
        .add::<ChangePatientDemographics>()
        .add::<AddPatientIdentifier>()
        .add::<RemovePatientIdentifier>()
        .add::<RecordAllergy>()
        .add::<ChangeAllergy>()
        .add::<RetireAllergy>()
        .add::<MergePatients>()
        .add::<UnmergePatients>()
        .add::<AddEmergencyContact>()
        .add::<ChangeEmergencyContact>()
        .add::<RemoveEmergencyContact>()
        .add::<RecordPatientDeath>()
        .add::<RevokePatientDeath>()
        .add::<MarkRecordConfidentiality>();
}

refusals! {
    NoSuchAllergy = Missing, "not-found", "the patient has no allergy with this id, or the allergy is retired";
    NoSuchIdentifier = Missing, "not-found", "the patient has no identifier with this system and value";
    NoSuchContact = Missing, "not-found", "the patient has no emergency contact with this id";
    TooManyContacts = Conflict, "too-many-contacts", "the patient has 10 emergency contacts already; remove one first";
    NotOwnToChange = Forbidden, "forbidden", "patients may change their contact data; the front desk changes the rest";
    Deceased = Conflict, "deceased", "the patient has died; if that is a mistake, have it revoked first";
    Erased = Conflict, "erased", "the patient's record was erased; nothing more can be recorded";
    OpenToOthers = Conflict, "confidentiality-differs",
        "the two records are open to different people; mark both alike first, with mark-record-confidentiality";
    OpensToOneself = Rule, "privacy-officer-needed",
        "a lower mark opens the record, so somebody whose roles read no charts gives it; ask a privacy officer";
    InACircle = Rule, "merges-in-a-circle", "a record cannot be merged into itself or into one of its own duplicates";
    MergedIntoAnother = Conflict, "merged-into-another",
        "the duplicate was not merged into this record itself, but into another (see candidates); unmerge it from there";
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

    /// Changes a patient's demographics. Patients may change their own contact data. The fields of the emergency
    /// contact are those of the first contact, who is removed if all of them are emptied. A new name, date of birth or
    /// social security number that may belong to another patient is refused with the ids of the candidates, unless the
    /// caller confirms that the patient is none of them.
    pub struct ChangePatientDemographics {
        /// Which patient.
        pub patient_id: PatientId,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<Demographics>,
        /// Confirms that the caller has looked at the candidates and that the patient is none of them.
        #[serde(default)]
        pub confirm_not_duplicate: bool,
    }
}

/// A patient by name and medical record number, as far as they are known.
pub(crate) fn named(patient: &Patient) -> String {
    let names = known_names([&patient.demographics.first_name, &patient.demographics.last_name]);
    let name = if names.is_empty() { "a patient" } else { &names };
    match patient.mrn.known() {
        Some(mrn) => format!("{name} (MRN {})", mrn.0),
        None => name.to_owned(),
    }
}

/// The state of a patient; refused once the patient is erased, since nothing more can be recorded then, and while the
/// record is merged into another, since everything is recorded there.
fn not_erased(state: Option<&Patient>) -> Result<&Patient, Refused> {
    let patient = existing(state)?;
    if let Some(survivor) = patient.merged_into() {
        return Err(Refused::merged(Patient::STREAM, survivor));
    }
    check_not_erased(patient).map(|()| patient)
}

/// Refuses an erased patient, about whom nothing more can be recorded.
pub(crate) fn check_not_erased(patient: &Patient) -> Result<(), Refused> {
    if patient.is_erased() { refuse(Refusal::Erased) } else { Ok(()) }
}

impl Claims for Patient {
    /// Record number, identifiers and the ids of allergies and contacts are unique keys. Name, birth date and social
    /// security number are shared keys, by which possible duplicates are found. An erased patient keeps the ids only.
    fn claims(&self, id: Uuid, held: &mut Held) {
        if let Some(mrn) = self.mrn.known() {
            held.take(scopes::PATIENT_MRN, mrn.0.as_str());
            duplicates::share(&self.demographics, held);
            for it in self.identifiers.values() {
                held.take_if(scopes::PATIENT_IDENTIFIER, identifiers::key(&it.system, &it.value));
            }
        }
        for (contact, _) in self.emergency_contacts.of(id.into()) {
            held.take(scopes::PATIENT_EMERGENCY_CONTACT, contact.to_string());
        }
        for allergy in self.allergies.keys().chain(&self.retired_allergies) {
            held.take(scopes::PATIENT_ALLERGY, allergy.to_string());
        }
    }

    fn merged_into(&self) -> Option<Uuid> {
        self.merged_into.map(Uuid::from)
    }
}

impl Command for RegisterPatient {
    const NAME: &'static str = "register-patient";
    const PERMISSION: Permission = Permission::Create(Create::Patients);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::new(self.id)
    }

    fn probes_a_secret(&self, _: &Caller) -> bool {
        self.demographics.ssn.is_some() && !self.confirm_not_duplicate
    }

    fn reads(&self, _: Option<&Patient>, _: &Found) -> Reads {
        let completed = demographics::completed(self.demographics.clone());
        completed
            .ok()
            .filter(|_| !self.confirm_not_duplicate)
            .map_or_else(Reads::nothing, |it| duplicates::reads(&it, None))
    }

    fn decide(self, _: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let demographics = demographics::completed(self.demographics)?;
        demographics::check(&demographics, ctx.now)?;
        if !self.confirm_not_duplicate {
            duplicates::check(&demographics, None, &BTreeSet::new(), ctx)?;
        }
        let mut known = BTreeSet::new();
        let is_new = |it: &Identifier| known.insert(identifiers::key(&it.system, &it.value));
        let identifiers = self.identifiers.into_iter().filter(is_new).collect();
        Ok(Decision::event(Event::Registered {
            mrn: Mrn::issue(ctx.draw()).into(),
            demographics: Box::new(demographics),
            identifiers,
        }))
    }
}

impl ChangePatientDemographics {
    /// The patient's demographics before and after the changes. A new date of birth without a precision is as exact as
    /// it is written, whatever the precision of the old date.
    fn before_and_after(&self, patient: &Patient) -> Result<(Demographics, Demographics), Refused> {
        let before = demographics::completed(patient.demographics.clone())?;
        let says = |field| self.changes.mentions(field);
        let is_new_date = says("date_of_birth") && !says("birth_date_precision");
        let precision = before.birth_date_precision.filter(|_| !is_new_date);
        let changing = Demographics { birth_date_precision: precision, ..before.clone() };
        let after = demographics::completed(self.changes.clone().apply(&changing)?)?;
        Ok((before, after))
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
        caller.may(Permission::Update(Update::OwnProfile)) && caller.is_patient(self.patient_id)
    }

    fn probes_a_secret(&self, _: &Caller) -> bool {
        self.changes.mentions("ssn") && !self.confirm_not_duplicate
    }

    fn reads(&self, state: Option<&Patient>, _: &Found) -> Reads {
        let changed = state.filter(|_| !self.confirm_not_duplicate).and_then(|it| self.before_and_after(it).ok());
        changed.map_or_else(Reads::nothing, |(before, after)| duplicates::reads(&after, Some(&before)))
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        let (before, mut after) = self.before_and_after(patient)?;
        // Nobody reads a social security number, so the answer to one that is given must not tell that it was known.
        if before == after && !self.changes.mentions("ssn") {
            return Ok(Decision::nothing());
        }
        if !ctx.caller.may(Self::PERMISSION) && !demographics::only_reached_otherwise(&before, &after) {
            return refuse(Refusal::NotOwnToChange);
        }
        demographics::check(&after, ctx.now)?;
        if !self.confirm_not_duplicate {
            duplicates::check(&after, Some(&before), &patient.duplicates, ctx)?;
        }
        let first = patient.emergency_contacts.of(self.patient_id).next();
        let Some((contact, _)) = first.filter(|_| EmergencyContact::of(&after).is_none()) else {
            return Ok(Decision::event(Event::DemographicsChanged(Box::new(after))));
        };
        // Who is called next takes the place of the contact that is removed, in the demographics too.
        let next = patient.emergency_contacts.of(self.patient_id).nth(1);
        let removed = Decision::event(contacts::removal(patient, self.patient_id, contact));
        let mut otherwise_unchanged = before;
        for demographics in [&mut after, &mut otherwise_unchanged] {
            demographics.show_contact(next.map(|(_, it)| it));
        }
        if after == otherwise_unchanged {
            return Ok(removed);
        }
        Ok(removed.followed_by(Event::DemographicsChanged(Box::new(after))))
    }
}

#[cfg(test)]
mod tests;
