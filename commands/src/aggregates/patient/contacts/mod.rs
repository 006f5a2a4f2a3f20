//! The emergency contacts of a patient: adding, changing, ordering and removing the people to call.

use hims_domain::patient::{EmergencyContact, Event, Patient};
use hims_domain::permission::Update;
use hims_domain::values::{Email, Name, Phone, Text};
use hims_domain::{EmergencyContactId, PatientId, Personal, described};

use super::{Refusal, not_erased};
use crate::{Caller, Command, Context, Decision, Patch, Permission, Refused, Target, refuse};

described! {
    /// Adds a person to call when something happens to a patient. Patients may add their own contacts.
    pub struct AddEmergencyContact {
        /// Which patient.
        pub patient_id: PatientId,
        /// The id of the new contact; issued by the server if left out.
        pub contact_id: Option<EmergencyContactId>,
        /// The name of the contact.
        pub name: Personal<Name<200>>,
        /// The relationship of the contact to the patient, such as `spouse`.
        pub relationship: Personal<Text<50>>,
        /// First phone number, as people write it; a phone number or an e-mail address must be given.
        pub phone_primary: Option<Personal<Phone>>,
        /// Second phone number, as people write it.
        pub phone_secondary: Option<Personal<Phone>>,
        /// E-mail address.
        pub email: Option<Personal<Email>>,
        /// Address.
        pub address: Option<Personal<Text<500>>>,
        /// The place among the contacts, from 1 for the first who is called; last if left out.
        pub priority: Option<i32>,
        /// Whether the contact is a legal guardian of the patient; no if left out.
        pub is_legal_guardian: Option<bool>,
    }

    /// Changes what is known of an emergency contact, or moves the contact among the others. Patients may change their
    /// own contacts.
    pub struct ChangeEmergencyContact {
        /// Which patient.
        pub patient_id: PatientId,
        /// Which contact.
        pub contact_id: EmergencyContactId,
        /// The new place among the contacts, from 1; the others close up. The contact stays where it is if left out.
        pub priority: Option<i32>,
        /// The fields to change; a field that is left out stays, null empties a field.
        #[serde(flatten)]
        pub changes: Patch<EmergencyContact>,
    }

    /// Removes an emergency contact; the others close up. Patients may remove their own contacts.
    pub struct RemoveEmergencyContact {
        /// Which patient.
        pub patient_id: PatientId,
        /// Which contact.
        pub contact_id: EmergencyContactId,
    }
}

/// The largest number of emergency contacts of a patient.
const CONTACTS: usize = 10;

/// Whether a caller is the patient, and may keep their own contact data.
fn is_own(caller: &Caller, patient_id: PatientId) -> bool {
    caller.may(Permission::Update(Update::OwnProfile)) && caller.is_patient(patient_id)
}

/// The ids of a patient's contacts, in their order.
fn order(patient: &Patient, patient_id: PatientId) -> Vec<EmergencyContactId> {
    patient.emergency_contacts.of(patient_id).map(|(id, _)| id).collect()
}

/// Checks a place among the contacts.
fn check_place(priority: Option<i32>) -> Result<(), Refused> {
    let is_place = |place| usize::try_from(place).is_ok_and(|it| (1..=CONTACTS).contains(&it));
    if priority.is_none_or(is_place) {
        return Ok(());
    }
    Err(Refused::field("out-of-range", "/priority", "give 1 for the first contact, up to 10"))
}

/// Puts a contact at its place in the order. A place after the last one is the last one, so that there is no hole.
fn put(order: &mut Vec<EmergencyContactId>, id: EmergencyContactId, priority: Option<i32>) {
    let place = priority.and_then(|it| usize::try_from(it - 1).ok()).unwrap_or(order.len());
    order.insert(place.min(order.len()), id);
}

/// Checks that a contact can be reached.
fn check_reach(contact: &EmergencyContact) -> Result<(), Refused> {
    if contact.phone_primary.is_none() && contact.phone_secondary.is_none() && contact.email.is_none() {
        let message = "give a phone number or an e-mail address, by which the contact can be reached";
        return Err(Refused::field("no-way-to-reach", "/phone_primary", message));
    }
    Ok(())
}

/// Who is called first in an order, in which a contact may be new or changed.
fn first(
    patient: &Patient,
    patient_id: PatientId,
    order: &[EmergencyContactId],
    told: Option<(EmergencyContactId, &EmergencyContact)>,
) -> Option<EmergencyContact> {
    let first = *order.first()?;
    let mut known = told.into_iter().chain(patient.emergency_contacts.of(patient_id));
    known.find(|(id, _)| *id == first).map(|(_, contact)| contact.clone())
}

/// The event that removes a contact.
pub(super) fn removal(patient: &Patient, patient_id: PatientId, contact_id: EmergencyContactId) -> Event {
    let mut order = order(patient, patient_id);
    order.retain(|it| *it != contact_id);
    let first = first(patient, patient_id, &order, None);
    Event::EmergencyContactRemoved { contact_id, order, first }
}

impl Command for AddEmergencyContact {
    const NAME: &'static str = "add-emergency-contact";
    const PERMISSION: Permission = Permission::Update(Update::PatientDemographics);
    const REVERSED_BY: Option<&'static str> = Some(RemoveEmergencyContact::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn is_own(&self, _: Option<&Patient>, caller: &Caller) -> bool {
        is_own(caller, self.patient_id)
    }

    fn decide(self, state: Option<&Patient>, ctx: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        check_place(self.priority)?;
        let mut order = order(patient, self.patient_id);
        let contact_id = ctx.part_id(self.contact_id, |id| order.contains(&id))?;
        if order.len() >= CONTACTS {
            return refuse(Refusal::TooManyContacts);
        }
        let contact = EmergencyContact {
            name: Some(self.name),
            relationship: Some(self.relationship),
            phone_primary: self.phone_primary,
            phone_secondary: self.phone_secondary,
            email: self.email,
            address: self.address,
            is_legal_guardian: self.is_legal_guardian.unwrap_or(false),
        };
        check_reach(&contact)?;
        put(&mut order, contact_id, self.priority);
        let first = first(patient, self.patient_id, &order, Some((contact_id, &contact)));
        Ok(Decision::event(Event::EmergencyContactAdded { contact_id, contact, order, first }))
    }
}

impl Command for ChangeEmergencyContact {
    const NAME: &'static str = "change-emergency-contact";
    const PERMISSION: Permission = Permission::Update(Update::PatientDemographics);
    const REVERSED_BY: Option<&'static str> = Some(Self::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn is_own(&self, _: Option<&Patient>, caller: &Caller) -> bool {
        is_own(caller, self.patient_id)
    }

    fn decide(self, state: Option<&Patient>, _: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        check_place(self.priority)?;
        let (patient_id, contact_id) = (self.patient_id, self.contact_id);
        let known = patient.emergency_contacts.of(patient_id).find(|(id, _)| *id == contact_id);
        let Some((_, known)) = known else { return refuse(Refusal::NoSuchContact) };
        let contact = self.changes.apply(known)?;
        for (field, is_emptied) in [
            ("/name", known.name.is_some() && contact.name.is_none()),
            ("/relationship", known.relationship.is_some() && contact.relationship.is_none()),
        ] {
            if is_emptied {
                return Err(Refused::field("invalid-fields", field, "give a text; a contact must have one"));
            }
        }
        let before = order(patient, patient_id);
        let mut order = before.clone();
        if self.priority.is_some() {
            order.retain(|it| *it != contact_id);
            put(&mut order, contact_id, self.priority);
        }
        if contact == *known && order == before {
            return Ok(Decision::nothing());
        }
        if contact != *known {
            check_reach(&contact)?;
            // Demographics show these three fields of the first contact; a contact without them would count as removed.
            if contact.name.is_none() && contact.relationship.is_none() && contact.phone_primary.is_none() {
                let message = "give a name, a relationship or a first phone number";
                return Err(Refused::field("invalid-fields", "/name", message));
            }
        }
        let first = first(patient, patient_id, &order, Some((contact_id, &contact)));
        Ok(Decision::event(Event::EmergencyContactChanged { contact_id, contact, order, first }))
    }
}

impl Command for RemoveEmergencyContact {
    const NAME: &'static str = "remove-emergency-contact";
    const PERMISSION: Permission = Permission::Update(Update::PatientDemographics);
    const REVERSED_BY: Option<&'static str> = Some(AddEmergencyContact::NAME);
    type Aggregate = Patient;

    fn target(&self) -> Target {
        Target::existing(self.patient_id)
    }

    fn is_own(&self, _: Option<&Patient>, caller: &Caller) -> bool {
        is_own(caller, self.patient_id)
    }

    fn decide(self, state: Option<&Patient>, _: &Context<'_>) -> Result<Decision<Patient>, Refused> {
        let patient = not_erased(state)?;
        if !order(patient, self.patient_id).contains(&self.contact_id) {
            return refuse(Refusal::NoSuchContact);
        }
        Ok(Decision::event(removal(patient, self.patient_id, self.contact_id)))
    }
}

#[cfg(test)]
mod tests;
