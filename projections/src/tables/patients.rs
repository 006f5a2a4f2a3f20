use chrono::{DateTime, NaiveDate, Utc};
use hims_domain::patient::{Allergy, BirthDatePrecision, Confidentiality, Demographics, Event, Identifier};
use hims_domain::values::{Country, Name, PartialDate, Ssn, folded, known_names};
use hims_domain::{AllergyId, Personal};
use uuid::Uuid;

pub(crate) use super::emergency_contacts::ContactRow;
use super::emergency_contacts::{project_contact, project_demographics, project_order, show_first};
use crate::machinery::changes::Changes;
use crate::machinery::event::{Projected, derived_id};
use crate::machinery::table::table;
use crate::machinery::text::{email, known_text, phone, text, text_or_erased};

table! {
    /// One row per patient.
    PatientRow in "patients",
    readers [AllPatients, AssignedPatients, Prescriptions, LabOrders, OwnRecords],
    narrowed [blood_type, organ_donor, advance_directive] to [ClinicalRecords, AssignedPatients],
    stamped by (created_by, updated_by),
    search "(search @@ websearch_to_tsquery('simple', {folded}) or {folded} <% name_folded)"
        found by "hims_identity.patients_found_by",
    indexes [(last_name, first_name)] {
        /// The patient.
        id: Uuid [indexed],
        /// The medical record number that this hospital issued.
        mrn: String [personal, indexed],
        /// Given name of the patient; null for a patient who has only a family name, or whose name is unknown.
        first_name: Option<String> [personal],
        /// Family name of the patient; null for a patient who has only a given name, or whose name is unknown.
        last_name: Option<String> [personal, indexed],
        /// Middle name of the patient.
        middle_name: Option<String> [personal],
        /// Given, middle and family name as they are compared and searched: in lower case, without accents.
        name_folded: String [personal],
        /// Whether nobody knows the patient's name.
        name_unknown: bool,
        /// Date of birth, the first day of the month or year if no more is known; null if unknown or erased.
        date_of_birth: Option<NaiveDate> [personal, indexed],
        /// How exactly the date of birth is known: `day`, `month`, `year`, `estimated` or `unknown`.
        birth_date_precision: String,
        /// Administrative gender (FHIR `administrative-gender`).
        gender: String,
        /// Social security number, sealed with the patient's subject key.
        ssn: Option<String> [personal, hidden],
        /// The blinded social security number (HMAC), by which a number is found by equality.
        ssn_blind_index: Option<Vec<u8>> [hidden],
        /// E-mail address.
        email: Option<String> [personal, indexed],
        /// First phone number in E.164, followed by `;ext=` and the extension if there is one.
        phone_primary: Option<String> [personal, indexed, phone],
        /// Second phone number, in the form of the first.
        phone_secondary: Option<String> [personal],
        /// Street and number.
        address_line_1: Option<String> [personal],
        /// Second line of the address, such as the apartment.
        address_line_2: Option<String> [personal],
        /// City or town.
        city: Option<String> [personal],
        /// State or province.
        state: Option<String> [personal],
        /// Postal code.
        postal_code: Option<String> [personal],
        /// Country (ISO 3166-1 alpha-2).
        country: String [personal],
        /// Marital status.
        marital_status: Option<String> [personal],
        /// Occupation.
        occupation: Option<String> [personal],
        /// The name of the first emergency contact.
        emergency_contact_name: Option<String> [personal],
        /// The relationship of the first emergency contact to the patient, such as `spouse`.
        emergency_contact_relationship: Option<String> [personal],
        /// The first phone number of the first emergency contact, in the form of the patient's.
        emergency_contact_phone: Option<String> [personal],
        /// Preferred language (BCP 47).
        preferred_language: String [personal],
        /// Ethnicity.
        ethnicity: Option<String> [personal],
        /// Race.
        race: Option<String> [personal],
        /// Blood group in the systems ABO and Rhesus, such as `O+`.
        blood_type: Option<String> [personal],
        /// Whether the patient is an organ donor.
        organ_donor: bool,
        /// Whether the patient has an advance directive.
        advance_directive: bool,
        /// When the patient died; null while the patient lives.
        deceased_at: Option<DateTime<Utc>> [personal],
        /// To whom the record is open: `N` normal, `R` restricted, `V` very restricted.
        confidentiality: String [] of Confidentiality::CODES,
    }
}

table! {
    /// One row per identifier that another system gave a patient.
    IdentifierRow in "patient_identifiers",
    part of patient [identifiers, identifiers_so_far] events "patient.identifier" for [AllPatients],
    readers [AllPatients, AssignedPatients, OwnRecords],
    stamped once {
        /// The id of the row, derived from the patient and the place of the identifier among all that the patient
        /// has had.
        id: Uuid [indexed],
        /// The patient.
        patient_id: Uuid [indexed],
        /// The system that issued the identifier, as a URI (FHIR `Identifier.system`).
        system: String,
        /// The identifier (FHIR `Identifier.value`).
        value: String [personal, indexed],
        /// The kind of identifier (HL7 v2 table 0203), such as `MR`, `DL` or `PPN`.
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
        /// The kind of substance that causes the allergy.
        allergen_type: String,
        /// The substance that causes the allergy, such as `penicillin`.
        allergen_name: String [personal, indexed],
        /// The RxNorm concept of the substance (RXCUI).
        rxnorm_code: Option<String> [personal],
        /// The system of the code, as a URI.
        code_system: Option<String>,
        /// The code of the substance.
        code: Option<String>,
        /// The severity of the reaction.
        severity: Option<String>,
        /// The reaction of the patient, such as `rash`.
        reaction_description: Option<String> [personal],
        /// The date on which the allergy began.
        onset_date: Option<NaiveDate> [personal],
        /// The user who reported the allergy.
        reported_by: Option<Uuid> [indexed],
        /// Whether the patient still has the allergy; false after the allergy was retired.
        is_active: bool [indexed],
    }
}

table! {
    /// One row per record that was merged into another record of the same person.
    LinkRow in "patient_links",
    readers [
        AllPatients, AllAppointments, AssignedPatients, AuditLogs, Billing, ClinicalRecords, LabOrders, Prescriptions,
        OwnRecords,
    ],
    stamped {
        /// The record that was merged; the same as `duplicate_id`.
        id: Uuid [indexed],
        /// The record that was merged, as a duplicate.
        duplicate_id: Uuid [indexed],
        /// The record that survives: commands about the person name it, and lists of it also answer the rows of the
        /// duplicate.
        patient_id: Uuid [indexed],
        /// The record into which the duplicate was merged; another than `patient_id` if that record was merged later.
        merged_into_id: Uuid [indexed],
    }
}

/// A name of a patient; the mark of an erased name if the patient is erased.
fn name(name: Option<&Personal<Name<100>>>) -> Option<String> {
    name.map(text_or_erased)
}

/// All names of a patient in one text, folded; empty if no name is known.
fn folded_name(demographics: &Demographics) -> String {
    folded(&known_names([&demographics.first_name, &demographics.middle_name, &demographics.last_name]))
}

/// The row of a patient after an event.
fn patient_row(event: &Projected<'_, Event>, mrn: String, demographics: &Demographics) -> PatientRow {
    let ssn = demographics.ssn.as_ref().and_then(Personal::known).map(Ssn::as_str);
    let country = demographics.country.as_ref().and_then(Personal::known);
    let blood_type = demographics.blood_type.as_ref().and_then(Personal::known);
    PatientRow {
        id: event.stream_id,
        mrn,
        first_name: name(demographics.first_name.as_ref()),
        last_name: name(demographics.last_name.as_ref()),
        middle_name: known_text(demographics.middle_name.as_ref()),
        name_folded: folded_name(demographics),
        name_unknown: demographics.name_unknown,
        date_of_birth: demographics.date_of_birth.as_ref().and_then(Personal::known).and_then(PartialDate::first_day),
        birth_date_precision: demographics.birth_date_precision.unwrap_or(BirthDatePrecision::Unknown).to_string(),
        gender: demographics.gender.to_string(),
        ssn: ssn.and_then(|number| event.stored.seal_column("patients.ssn", number)),
        ssn_blind_index: ssn.map(|number| event.vault.blind("patients.ssn", number.as_bytes())),
        email: email(demographics.email.as_ref()),
        phone_primary: phone(demographics.phone_primary.as_ref()),
        phone_secondary: phone(demographics.phone_secondary.as_ref()),
        address_line_1: known_text(demographics.address_line_1.as_ref()),
        address_line_2: known_text(demographics.address_line_2.as_ref()),
        city: known_text(demographics.city.as_ref()),
        state: known_text(demographics.state.as_ref()),
        postal_code: known_text(demographics.postal_code.as_ref()),
        country: country.map_or("US", Country::as_str).to_owned(),
        marital_status: known_text(demographics.marital_status.as_ref()),
        occupation: known_text(demographics.occupation.as_ref()),
        emergency_contact_name: known_text(demographics.emergency_contact_name.as_ref()),
        emergency_contact_relationship: known_text(demographics.emergency_contact_relationship.as_ref()),
        emergency_contact_phone: phone(demographics.emergency_contact_phone.as_ref()),
        preferred_language: known_text(demographics.preferred_language.as_ref()).unwrap_or_else(|| "en".to_owned()),
        ethnicity: known_text(demographics.ethnicity.as_ref()),
        race: known_text(demographics.race.as_ref()),
        blood_type: blood_type.map(ToString::to_string),
        organ_donor: demographics.organ_donor,
        advance_directive: demographics.advance_directive,
        deceased_at: None,
        confidentiality: Confidentiality::Normal.to_string(),
        stamps: event.stamps(),
    }
}

/// The id of the row of an identifier, by the place of the identifier among all that the patient has had. The id does
/// not depend on the value, which is lost when the patient is erased: the ids stay the same and distinct.
fn identifier_id(patient: Uuid, place: u32) -> Uuid {
    derived_id(patient, &["identifier", &place.to_string()])
}

fn identifier_row(event: &Projected<'_, Event>, place: u32, identifier: &Identifier) -> IdentifierRow {
    IdentifierRow {
        id: identifier_id(event.stream_id, place),
        patient_id: event.stream_id,
        system: identifier.system.0.clone(),
        value: text_or_erased(&identifier.value),
        type_code: text(identifier.type_code.as_ref()),
        stamps: event.stamps(),
    }
}

fn allergy_row(event: &Projected<'_, Event>, id: AllergyId, allergy: &Allergy) -> AllergyRow {
    AllergyRow {
        id: id.into(),
        patient_id: event.stream_id,
        allergen_type: allergy.allergen_type.to_string(),
        allergen_name: text_or_erased(&allergy.allergen_name),
        rxnorm_code: known_text(allergy.rxnorm_code.as_ref()),
        code_system: text(allergy.code_system.as_ref()),
        code: text(allergy.code.as_ref()),
        severity: allergy.severity.map(|severity| severity.to_string()),
        reaction_description: known_text(allergy.reaction_description.as_ref()),
        onset_date: allergy.onset_date.as_ref().and_then(Personal::known).copied(),
        reported_by: allergy.reported_by.map(Uuid::from),
        is_active: true,
        stamps: event.stamps(),
    }
}

pub(crate) fn project<'e>(
    event: &Projected<'e, Event>,
    patients: &mut Changes<'e, PatientRow>,
    identifiers: &mut Changes<'e, IdentifierRow>,
    allergies: &mut Changes<'e, AllergyRow>,
    links: &mut Changes<'e, LinkRow>,
    contacts: &mut Changes<'e, ContactRow>,
) {
    match event.data {
        Event::Registered { mrn, demographics, identifiers: known } => {
            let mrn = mrn.known().map_or_else(|| erased_mrn(event.stream_id), |it| it.0.clone());
            patients.insert(patient_row(event, mrn, demographics));
            for (place, identifier) in (0..).zip(known) {
                identifiers.insert(identifier_row(event, place, identifier));
            }
            project_demographics(event, demographics, contacts);
        }
        Event::DemographicsChanged(demographics) => {
            let changed = patient_row(event, String::new(), demographics);
            patients.change(event, move |row| {
                let (mrn, confidentiality) = (std::mem::take(&mut row.mrn), std::mem::take(&mut row.confidentiality));
                let (deceased_at, stamps) = (row.deceased_at, row.stamps);
                *row = PatientRow { mrn, deceased_at, confidentiality, stamps, ..changed };
            });
            project_demographics(event, demographics, contacts);
        }
        Event::IdentifierAdded { place, identifier } => {
            patients.touch(event);
            identifiers.insert(identifier_row(event, *place, identifier));
        }
        Event::IdentifierRemoved { place, reason: _ } => {
            patients.touch(event);
            identifiers.remove(identifier_id(event.stream_id, *place));
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
        Event::DeathRecorded(death) => {
            let deceased_at = death.deceased_at.known().copied();
            patients.change(event, move |row| row.deceased_at = deceased_at);
        }
        Event::DeathRevoked { reason: _ } => patients.change(event, |row| row.deceased_at = None),
        Event::DuplicateMerged { duplicate_id, brought, reason: _ } => {
            let survivor = event.stream_id;
            patients.touch(event);
            links.insert(LinkRow {
                id: (*duplicate_id).into(),
                duplicate_id: (*duplicate_id).into(),
                patient_id: survivor,
                merged_into_id: survivor,
                stamps: event.stamps(),
            });
            for id in brought {
                links.change_row(event, *id, move |row| row.patient_id = survivor);
            }
        }
        Event::DuplicateUnmerged { duplicate_id, taken_along, reason: _ } => {
            let survivor = Uuid::from(*duplicate_id);
            patients.touch(event);
            links.remove(*duplicate_id);
            for id in taken_along {
                links.change_row(event, *id, move |row| row.patient_id = survivor);
            }
        }
        Event::ConfidentialityMarked { confidentiality, reason: _ } => {
            patients.change(event, |row| row.confidentiality = confidentiality.to_string());
        }
        // The event of the survivor changes the links. What was said about an erased patient is taken out of all tables.
        Event::MergedInto { .. } | Event::Unmerged { .. } | Event::Erased { .. } => patients.touch(event),
        Event::EmergencyContactAdded { contact_id, contact, order, first }
        | Event::EmergencyContactChanged { contact_id, contact, order, first } => {
            show_first(event, first.as_ref(), patients);
            project_contact(event, (*contact_id, contact), order, contacts);
        }
        Event::EmergencyContactRemoved { contact_id: _, order, first } => {
            show_first(event, first.as_ref(), patients);
            project_order(event, order, contacts);
        }
    }
}

/// The text that replaces an erased medical record number: unique, and no valid number.
fn erased_mrn(id: Uuid) -> String {
    let hex = id.simple().to_string();
    format!("ERASED-{}", &hex[hex.len() - 12..])
}
