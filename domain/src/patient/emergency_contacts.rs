use serde::{Deserialize, Serialize};

use crate::patient::Demographics;
use crate::values::{Email, Name, Phone, Text};
use crate::{EmergencyContactId, PatientId, Personal, derived, described};

described! {
    /// A person to call when something happens to a patient (FHIR R4 `Patient.contact`).
    pub struct EmergencyContact {
        /// The name of the contact; missing only in what demographics alone told of the contact.
        pub name: Option<Personal<Name<200>>>,
        /// The relationship of the contact to the patient, such as `spouse`; missing only where the name may be.
        pub relationship: Option<Personal<Text<50>>>,
        /// First phone number, as people write it; stored like the patient's.
        pub phone_primary: Option<Personal<Phone>>,
        /// Second phone number, as people write it; stored like the patient's.
        pub phone_secondary: Option<Personal<Phone>>,
        /// E-mail address.
        pub email: Option<Personal<Email>>,
        /// Address.
        pub address: Option<Personal<Text<500>>>,
        /// Whether the contact is a legal guardian of the patient.
        #[serde(default)]
        pub is_legal_guardian: bool,
    }
}

impl EmergencyContact {
    /// The contact of whom demographics hold the name, the relationship and the phone number; `None` if they hold none
    /// of these.
    pub fn of(demographics: &Demographics) -> Option<Self> {
        let Demographics {
            emergency_contact_name: name,
            emergency_contact_relationship: relationship,
            emergency_contact_phone: phone_primary,
            ..
        } = demographics;
        if name.is_none() && relationship.is_none() && phone_primary.is_none() {
            return None;
        }
        Some(Self {
            name: name.clone(),
            relationship: relationship.clone(),
            phone_primary: phone_primary.clone(),
            phone_secondary: None,
            email: None,
            address: None,
            is_legal_guardian: false,
        })
    }

    /// The same contact with the name, the relationship and the phone number of another.
    #[must_use]
    pub fn with_main_fields_of(self, other: &Self) -> Self {
        Self {
            name: other.name.clone(),
            relationship: other.relationship.clone(),
            phone_primary: other.phone_primary.clone(),
            ..self
        }
    }
}

/// The id of the contact that came with a patient's demographics, where no event gives the contact an id.
pub fn contact_of_demographics(patient: PatientId) -> EmergencyContactId {
    derived("contact", &[&patient.to_string()]).into()
}

/// A contact in the list of a patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Listed {
    /// The id of the contact; `None` for the contact that came with demographics.
    id: Option<EmergencyContactId>,
    contact: EmergencyContact,
}

/// The emergency contacts of a patient, in the order in which they are called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmergencyContacts(Vec<Listed>);

impl EmergencyContacts {
    /// The contacts of a patient with their ids, in their order.
    pub fn of(&self, patient: PatientId) -> impl Iterator<Item = (EmergencyContactId, &EmergencyContact)> {
        self.0.iter().map(move |it| (it.id.unwrap_or_else(|| contact_of_demographics(patient)), &it.contact))
    }

    /// The contact who is called first.
    pub fn first(&self) -> Option<&EmergencyContact> {
        self.0.first().map(|it| &it.contact)
    }

    /// The contact of whom the demographics of a new patient tell, if they tell of one.
    pub(crate) fn of_demographics(demographics: &Demographics) -> Self {
        Self(EmergencyContact::of(demographics).map(|contact| Listed { id: None, contact }).into_iter().collect())
    }

    /// Takes over the contact of whom demographics tell. It is the first contact; without it, the first contact goes.
    pub(crate) fn follow(&mut self, demographics: &Demographics) {
        match (EmergencyContact::of(demographics), self.0.first_mut()) {
            (Some(told), Some(first)) => first.contact = first.contact.clone().with_main_fields_of(&told),
            (None, Some(_)) => drop(self.0.remove(0)),
            (Some(_) | None, None) => *self = Self::of_demographics(demographics),
        }
    }

    /// Adds a contact, or replaces the contact with the same id, and brings all contacts into an order.
    pub(crate) fn put(&mut self, id: EmergencyContactId, contact: EmergencyContact, order: &[EmergencyContactId]) {
        // The contact that came with demographics has the one id of the order that no other contact has.
        for other in order.iter().filter(|other| **other != id) {
            self.name(*other);
        }
        self.0.retain(|it| it.id != Some(id));
        self.0.push(Listed { id: Some(id), contact });
        self.arrange(order);
    }

    /// Brings the contacts into an order. A contact that is not in the order goes.
    pub(crate) fn arrange(&mut self, order: &[EmergencyContactId]) {
        for id in order {
            self.name(*id);
        }
        let place = |it: &Listed| order.iter().position(|id| it.id == Some(*id));
        self.0.retain(|it| place(it).is_some());
        self.0.sort_by_key(place);
    }

    /// Gives an id to the contact that came with demographics, unless another contact has the id.
    fn name(&mut self, id: EmergencyContactId) {
        if self.0.iter().all(|it| it.id != Some(id))
            && let Some(unnamed) = self.0.iter_mut().find(|it| it.id.is_none())
        {
            unnamed.id = Some(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const PATIENT: PatientId = PatientId(Uuid::from_u128(1));
    const ANN: EmergencyContactId = EmergencyContactId(Uuid::from_u128(2));
    const BEN: EmergencyContactId = EmergencyContactId(Uuid::from_u128(3));

    fn named(name: &str) -> EmergencyContact {
        serde_json::from_value(serde_json::json!({ "name": name })).unwrap()
    }

    /// Each contact's id and name, in order.
    fn listed(contacts: &EmergencyContacts) -> Vec<(EmergencyContactId, &str)> {
        contacts.of(PATIENT).map(|(id, it)| (id, it.name.as_ref().unwrap().known().unwrap().as_str())).collect()
    }

    #[test]
    fn the_contact_of_demographics_keeps_its_id_among_others() {
        let old = contact_of_demographics(PATIENT);
        let mut contacts = EmergencyContacts(vec![Listed { id: None, contact: named("Old") }]);
        assert_eq!(listed(&contacts), [(old, "Old")]);
        contacts.put(ANN, named("Ann"), &[ANN, old]);
        assert_eq!(listed(&contacts), [(ANN, "Ann"), (old, "Old")]);
        contacts.put(BEN, named("Ben"), &[old, BEN, ANN]);
        contacts.put(old, named("New"), &[BEN, ANN, old]);
        assert_eq!(listed(&contacts), [(BEN, "Ben"), (ANN, "Ann"), (old, "New")]);
        contacts.arrange(&[ANN, old]);
        assert_eq!(listed(&contacts), [(ANN, "Ann"), (old, "New")]);
    }

    #[test]
    fn the_contact_of_demographics_can_be_the_first_to_change_or_to_go() {
        let old = contact_of_demographics(PATIENT);
        let alone = EmergencyContacts(vec![Listed { id: None, contact: named("Old") }]);
        let (mut changed, mut gone) = (alone.clone(), alone);
        changed.put(old, named("New"), &[old]);
        assert_eq!(listed(&changed), [(old, "New")]);
        gone.arrange(&[]);
        assert_eq!(listed(&gone), []);
    }
}
