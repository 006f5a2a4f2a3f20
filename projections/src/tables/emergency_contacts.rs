use hims_domain::patient::{Demographics, EmergencyContact, Event, contact_of_demographics};
use hims_domain::{EmergencyContactId, PatientId};
use uuid::Uuid;

use super::patients::PatientRow;
use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::{email, known_text, phone};

table! {
    /// One row per person to call when something happens to a patient.
    ContactRow in "emergency_contacts",
    children of patient_id,
    part of patient [emergency_contacts] events "patient.emergency_contact",
    readers [AllPatients, AssignedPatients, OwnRecords],
    stamped,
    indexes [(patient_id, priority)] {
        /// The contact.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The name of the contact; null if it is unknown or erased.
        name: Option<String> [personal],
        /// The relationship of the contact to the patient, such as `spouse`.
        relationship: Option<String> [personal],
        /// First phone number in E.164, followed by `;ext=` and the extension if there is one.
        phone_primary: Option<String> [personal],
        /// Second phone number, in the form of the first.
        phone_secondary: Option<String> [personal],
        /// E-mail address.
        email: Option<String> [personal],
        /// Address.
        address: Option<String> [personal],
        /// The place among the patient's contacts, from 1 for the first who is called.
        priority: i32,
        /// Whether the contact is a legal guardian of the patient.
        is_legal_guardian: bool,
    }
}

/// The row of a contact that an event tells of, at the last place.
fn contact_row(event: &Projected<'_, Event>, id: EmergencyContactId, contact: &EmergencyContact) -> ContactRow {
    ContactRow {
        id: id.into(),
        patient_id: event.stream_id,
        name: known_text(contact.name.as_ref()),
        relationship: known_text(contact.relationship.as_ref()),
        phone_primary: phone(contact.phone_primary.as_ref()),
        phone_secondary: phone(contact.phone_secondary.as_ref()),
        email: email(contact.email.as_ref()),
        address: known_text(contact.address.as_ref()),
        priority: i32::MAX,
        is_legal_guardian: contact.is_legal_guardian,
        stamps: event.stamps(),
    }
}

/// Gives the rows the places of their ids in the order, and removes the rows whose ids are not in the order.
fn arrange(rows: &mut Vec<ContactRow>, order: &[EmergencyContactId]) {
    let place = |row: &ContactRow| order.iter().position(|id| id.0 == row.id);
    rows.retain(|row| place(row).is_some());
    for row in rows {
        row.priority = place(row).and_then(|it| i32::try_from(it + 1).ok()).unwrap_or(i32::MAX);
    }
}

/// Takes over the contact of whom demographics tell. It is the first contact; without it, the first contact goes.
fn follow(rows: &mut Vec<ContactRow>, told: Option<ContactRow>) {
    let first = rows.iter_mut().min_by_key(|it| it.priority);
    match (told, first) {
        (Some(told), Some(first)) => {
            (first.name, first.relationship, first.phone_primary) = (told.name, told.relationship, told.phone_primary);
        }
        (Some(told), None) => rows.push(ContactRow { priority: 1, ..told }),
        (None, _) => {
            rows.retain(|it| it.priority > 1);
            for row in rows {
                row.priority -= 1;
            }
        }
    }
}

/// What the demographics of an event do to the contacts.
pub(super) fn project_demographics<'e>(
    event: &Projected<'e, Event>,
    demographics: &Demographics,
    contacts: &mut Changes<'e, ContactRow>,
) {
    let id = contact_of_demographics(PatientId(event.stream_id));
    let told = EmergencyContact::of(demographics).map(|it| contact_row(event, id, &it));
    contacts.change_list(event, event.stream_id, move |rows| follow(rows, told));
}

/// Puts a contact, who may be new, in the place of its earlier row.
pub(super) fn project_contact<'e>(
    event: &Projected<'e, Event>,
    (id, contact): (EmergencyContactId, &EmergencyContact),
    order: &'e [EmergencyContactId],
    contacts: &mut Changes<'e, ContactRow>,
) {
    let told = contact_row(event, id, contact);
    contacts.change_list(event, event.stream_id, move |rows| {
        match rows.iter_mut().find(|row| row.id == told.id) {
            Some(row) => *row = ContactRow { stamps: row.stamps, ..told },
            None => rows.push(told),
        }
        arrange(rows, order);
    });
}

/// Removes the contacts that are not in an order.
pub(super) fn project_order<'e>(
    event: &Projected<'e, Event>,
    order: &'e [EmergencyContactId],
    contacts: &mut Changes<'e, ContactRow>,
) {
    contacts.change_list(event, event.stream_id, move |rows| arrange(rows, order));
}

/// Shows the main fields of the first contact in the row of the patient.
pub(super) fn show_first<'e>(
    event: &Projected<'e, Event>,
    first: Option<&'e EmergencyContact>,
    patients: &mut Changes<'e, PatientRow>,
) {
    patients.change(event, move |row| {
        row.emergency_contact_name = known_text(first.and_then(|it| it.name.as_ref()));
        row.emergency_contact_relationship = known_text(first.and_then(|it| it.relationship.as_ref()));
        row.emergency_contact_phone = phone(first.and_then(|it| it.phone_primary.as_ref()));
    });
}
