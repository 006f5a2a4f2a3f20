use chrono::NaiveDate;
use hims_domain::patient::{Allergy, Demographics, Event, Identifier};
use hims_domain::values::{Email, Phone, Ssn, Text};
use hims_domain::{AllergyId, Personal};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::{Projected, derived_id};
use crate::machinery::table::table;

table! {
    /// One row per patient.
    PatientRow in "patients",
    readers [AllPatients, AssignedPatients, Prescriptions, OwnRecords],
    stamped by (created_by, updated_by),
    search "(search @@ websearch_to_tsquery('simple', {q}) or {q} <% (first_name || ' ' || last_name))"
        found by "hims_identity.patients_found_by",
    indexes [(last_name, first_name)] {
        /// The patient.
        id: Uuid [indexed],
        /// Medical record number, issued by this hospital.
        mrn: String [personal, indexed],
        /// Given name.
        first_name: String [personal],
        /// Family name.
        last_name: String [personal, indexed],
        /// Middle name.
        middle_name: Option<String> [personal],
        /// Date of birth; null once the person was erased.
        date_of_birth: Option<NaiveDate> [personal, indexed],
        /// Administrative gender (FHIR).
        gender: String,
        /// Social security number, sealed with the patient's own key.
        ssn: Option<String> [personal, hidden],
        /// For looking a number up by equality.
        ssn_blind_index: Option<Vec<u8>> [hidden],
        /// E-mail address.
        email: Option<String> [personal, indexed],
        /// First phone number in E.164.
        phone_primary: Option<String> [personal, indexed],
        /// Second phone number in E.164.
        phone_secondary: Option<String> [personal],
        /// Street and number.
        address_line_1: Option<String> [personal],
        /// More of the address.
        address_line_2: Option<String> [personal],
        /// Town.
        city: Option<String> [personal],
        /// State or province.
        state: Option<String> [personal],
        /// Postal code.
        postal_code: Option<String> [personal],
        /// Country.
        country: String [personal],
        /// Marital status.
        marital_status: Option<String> [personal],
        /// Occupation.
        occupation: Option<String> [personal],
        /// Whom to call.
        emergency_contact_name: Option<String> [personal],
        /// What they are to the patient.
        emergency_contact_relationship: Option<String> [personal],
        /// Their phone number in E.164.
        emergency_contact_phone: Option<String> [personal],
        /// Language (BCP 47).
        preferred_language: String [personal],
        /// Ethnicity.
        ethnicity: Option<String> [personal],
        /// Race.
        race: Option<String> [personal],
        /// Blood group.
        blood_type: Option<String> [personal],
        /// Whether organs may be taken.
        organ_donor: bool,
        /// Whether there is an advance directive.
        advance_directive: bool,
    }
}

table! {
    /// One row per identifier that another system gave a patient.
    IdentifierRow in "patient_identifiers",
    part of patient [identifiers] events "patient.identifier",
    readers [AllPatients, AssignedPatients, OwnRecords],
    stamped once {
        /// Derived from the patient and the identifier.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// Who issued it (FHIR `Identifier.system`).
        system: String,
        /// The identifier (FHIR `Identifier.value`).
        value: String [personal, indexed],
        /// Its kind (HL7 v2 table 0203).
        type_code: Option<String>,
    }
}

table! {
    /// One row per allergy or intolerance of a patient.
    AllergyRow in "patient_allergies",
    part of patient [allergies, retired_allergies] events "patient.allergy",
    readers [ClinicalRecords, AssignedPatients, Prescriptions, OwnRecords],
    stamped,
    indexes [(patient_id, is_active)] {
        /// The allergy.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// What kind of thing it is to.
        allergen_type: String,
        /// What it is to.
        allergen_name: String [personal, indexed],
        /// How bad it is.
        severity: Option<String>,
        /// What happens.
        reaction_description: Option<String> [personal],
        /// Since when.
        onset_date: Option<NaiveDate> [personal],
        /// Who reported it.
        reported_by: Option<Uuid> [indexed],
        /// Whether it still is one.
        is_active: bool [indexed],
    }
}

/// What stands where a name was.
const ERASED: &str = "[erased]";

fn text<const MAX: usize>(value: Option<&Personal<Text<MAX>>>) -> Option<String> {
    value.and_then(Personal::known).map(|it| it.0.clone())
}

fn phone(value: Option<&Personal<Phone>>) -> Option<String> {
    value.and_then(Personal::known).map(|it| it.as_str().to_owned())
}

fn email(value: Option<&Personal<Email>>) -> Option<String> {
    value.and_then(Personal::known).map(|it| it.as_str().to_owned())
}

/// A patient's row as an event leaves it.
fn patient_row(event: &Projected<'_, Event>, mrn: String, it: &Demographics) -> PatientRow {
    let ssn = it.ssn.as_ref().and_then(Personal::known).map(Ssn::as_str);
    PatientRow {
        id: event.stream_id,
        mrn,
        first_name: text(Some(&it.first_name)).unwrap_or_else(|| ERASED.to_owned()),
        last_name: text(Some(&it.last_name)).unwrap_or_else(|| ERASED.to_owned()),
        middle_name: text(it.middle_name.as_ref()),
        date_of_birth: it.date_of_birth.known().copied(),
        gender: it.gender.to_string(),
        ssn: ssn.and_then(|it| event.stored.seal_column("patients.ssn", it)),
        ssn_blind_index: ssn.map(|it| event.vault.blind("patients.ssn", it.as_bytes())),
        email: email(it.email.as_ref()),
        phone_primary: phone(it.phone_primary.as_ref()),
        phone_secondary: phone(it.phone_secondary.as_ref()),
        address_line_1: text(it.address_line_1.as_ref()),
        address_line_2: text(it.address_line_2.as_ref()),
        city: text(it.city.as_ref()),
        state: text(it.state.as_ref()),
        postal_code: text(it.postal_code.as_ref()),
        country: text(it.country.as_ref()).unwrap_or_else(|| "US".to_owned()),
        marital_status: text(it.marital_status.as_ref()),
        occupation: text(it.occupation.as_ref()),
        emergency_contact_name: text(it.emergency_contact_name.as_ref()),
        emergency_contact_relationship: text(it.emergency_contact_relationship.as_ref()),
        emergency_contact_phone: phone(it.emergency_contact_phone.as_ref()),
        preferred_language: text(it.preferred_language.as_ref()).unwrap_or_else(|| "en".to_owned()),
        ethnicity: text(it.ethnicity.as_ref()),
        race: text(it.race.as_ref()),
        blood_type: text(it.blood_type.as_ref()),
        organ_donor: it.organ_donor,
        advance_directive: it.advance_directive,
        stamps: event.stamps(),
    }
}

fn identifier_row(event: &Projected<'_, Event>, it: &Identifier) -> IdentifierRow {
    let value = text(Some(&it.value)).unwrap_or_else(|| ERASED.to_owned());
    let nth = event.version.to_string();
    IdentifierRow {
        id: derived_id(event.stream_id, &[it.system.as_str(), &value, &nth]),
        patient_id: event.stream_id,
        system: it.system.0.clone(),
        value,
        type_code: it.type_code.as_ref().map(|it| it.0.clone()),
        stamps: event.stamps(),
    }
}

fn allergy_row(event: &Projected<'_, Event>, id: AllergyId, it: &Allergy) -> AllergyRow {
    AllergyRow {
        id: id.into(),
        patient_id: event.stream_id,
        allergen_type: it.allergen_type.to_string(),
        allergen_name: text(Some(&it.allergen_name)).unwrap_or_else(|| ERASED.to_owned()),
        severity: it.severity.map(|it| it.to_string()),
        reaction_description: text(it.reaction_description.as_ref()),
        onset_date: it.onset_date.as_ref().and_then(Personal::known).copied(),
        reported_by: it.reported_by.map(Uuid::from),
        is_active: true,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    patients: &mut Changes<'e, PatientRow>,
    identifiers: &mut Changes<'e, IdentifierRow>,
    allergies: &mut Changes<'e, AllergyRow>,
) {
    match event.data {
        Event::Registered { mrn, demographics, identifiers: known } => {
            let mrn = mrn.known().map_or_else(|| erased_mrn(event.stream_id), |it| it.0.clone());
            patients.insert(patient_row(event, mrn, demographics));
            for identifier in known {
                identifiers.insert(identifier_row(event, identifier));
            }
        }
        Event::DemographicsChanged(demographics) => {
            let changed = patient_row(event, String::new(), demographics);
            patients.change(event, move |row| {
                *row = PatientRow { mrn: std::mem::take(&mut row.mrn), stamps: row.stamps, ..changed };
            });
        }
        Event::IdentifierAdded(identifier) => {
            patients.touch(event);
            identifiers.insert(identifier_row(event, identifier));
        }
        Event::AllergyRecorded { allergy_id, allergy } => {
            patients.touch(event);
            allergies.insert(allergy_row(event, *allergy_id, allergy));
        }
        Event::AllergyChanged { allergy_id, allergy } => {
            patients.touch(event);
            let changed = allergy_row(event, *allergy_id, allergy);
            allergies.change_row(event, *allergy_id, move |row| *row = AllergyRow { stamps: row.stamps, ..changed });
        }
        Event::AllergyRetired { allergy_id, reason: _ } => {
            patients.touch(event);
            allergies.change_row(event, *allergy_id, |row| row.is_active = false);
        }
    }
}

/// What stands where a record number was: unique, and no number of anybody.
fn erased_mrn(id: Uuid) -> String {
    let hex = id.simple().to_string();
    format!("ERASED-{}", &hex[hex.len() - 12..])
}
