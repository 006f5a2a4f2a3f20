//! Patient -> patient. The record cannot hold yet whether a patient is deceased.

use chrono::{NaiveDate, NaiveTime};
use hims_commands::patient::RegisterPatient;
use hims_domain::Personal;
use hims_domain::patient::{Demographics, Gender, Identifier, Patient};
use hims_domain::values::Ssn;

use super::bundle;
use super::datatypes::{self, ContactPoint, Extension, HumanName, date};
use super::first_seen::FirstSeen;
use super::gather::Found;
use super::kept::Kept;
use super::reason::Reason;
use super::summary::Fate;
use super::writer::{Stop, Writer};

const SSN: &str = "http://hl7.org/fhir/sid/us-ssn";
const RACE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
const ETHNICITY: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity";
const LANGUAGES: &str = "urn:ietf:bcp:47";

/// Registers a patient at the time of the first mention in the files, but never before the patient was born.
pub(super) async fn import(
    writer: &Writer<'_>,
    seen: &FirstSeen,
    found: &Found<bundle::Patient>,
) -> Result<Fate, Stop> {
    if writer.existing::<Patient>(found.id).await?.is_some() {
        return Ok(Fate::AlreadyThere);
    }
    let patient = &found.resource;
    let born = date(patient.birth_date.as_deref()).ok_or(Reason::NoBirthDate)?;
    let mut kept = Kept::default();
    let command = RegisterPatient {
        id: Some(found.id.into()),
        demographics: demographics(patient, born, &mut kept)?,
        identifiers: identifiers(&patient.identifier, &mut kept),
        confirm_not_duplicate: true,
    };
    let at = seen.at(found.id).map(|it| it.max(born.and_time(NaiveTime::MIN).and_utc()));
    writer.execute(command, at).await?;
    Ok(Fate::Imported(kept.left_out))
}

fn demographics(patient: &bundle::Patient, born: NaiveDate, kept: &mut Kept) -> Result<Demographics, Reason> {
    let (first, middle, last) = HumanName::best(&patient.name).and_then(HumanName::parts).ok_or(Reason::NoName)?;
    let mut phones = ContactPoint::of(&patient.telecom, "phone");
    let ssn = patient.identifier.iter().find(|it| it.system.as_deref() == Some(SSN));
    let nowhere = datatypes::Address::default();
    let address = patient.address.first().unwrap_or(&nowhere);
    let mut lines = address.line.iter();
    let preferred = patient.communication.iter().find(|it| it.preferred).or(patient.communication.first());
    let language = preferred.and_then(|it| it.language.codes_in(LANGUAGES).next().or(it.language.words()));
    Ok(Demographics {
        first_name: kept.personal("name", Some(first)).ok_or(Reason::NoName)?,
        last_name: kept.personal("name", Some(last)).ok_or(Reason::NoName)?,
        middle_name: kept.personal("name", Some(&middle)),
        date_of_birth: born.into(),
        gender: gender(patient.gender.as_deref()),
        ssn: kept.parsed("identifier", ssn.and_then(|it| it.value.as_deref()), Ssn::parse).map(Personal::Known),
        email: kept.email(ContactPoint::of(&patient.telecom, "email").next()).map(Personal::Known),
        phone_primary: kept.phone(phones.next()).map(Personal::Known),
        phone_secondary: kept.phone(phones.next()).map(Personal::Known),
        address_line_1: kept.personal("address", lines.next().map(String::as_str)),
        address_line_2: kept.personal("address", Some(&lines.map(String::as_str).collect::<Vec<_>>().join(", "))),
        city: kept.personal("address", address.city.as_deref()),
        state: kept.personal("address", address.state.as_deref()),
        postal_code: kept.personal("address", address.postal_code.as_deref()),
        country: kept.personal("address", address.country.as_deref()),
        marital_status: kept.personal("maritalStatus", patient.marital_status.as_ref().and_then(|it| it.words())),
        occupation: None,
        emergency_contact_name: None,
        emergency_contact_relationship: None,
        emergency_contact_phone: None,
        preferred_language: kept.personal("communication", language),
        ethnicity: kept.personal("extension", Extension::text(&patient.extension, ETHNICITY)),
        race: kept.personal("extension", Extension::text(&patient.extension, RACE)),
        blood_type: None,
        organ_donor: false,
        advance_directive: false,
    })
}

fn gender(code: Option<&str>) -> Gender {
    match code {
        Some("male") => Gender::Male,
        Some("female") => Gender::Female,
        Some("other") => Gender::Other,
        _ => Gender::Unknown,
    }
}

/// The identifiers that other systems gave the patient, without the social security number, which is a field of its
/// own.
fn identifiers(given: &[datatypes::Identifier], kept: &mut Kept) -> Vec<Identifier> {
    let mut identifiers: Vec<Identifier> = Vec::new();
    for identifier in given.iter().filter(|it| it.system.as_deref() != Some(SSN)) {
        let type_code = identifier.kind.as_ref().and_then(|kind| kind.coding.first()?.code.as_deref());
        let before = kept.left_out.len();
        let system = kept.text("identifier", identifier.system.as_deref());
        let value = kept.personal("identifier", identifier.value.as_deref());
        let (Some(system), Some(value)) = (system, value) else {
            // The identifier is counted once, whether its system, its value or both are missing or bad.
            kept.left_out.truncate(before);
            kept.leave_out("identifier");
            continue;
        };
        if !identifiers.iter().any(|known| known.system == system && known.value == value) {
            identifiers.push(Identifier { system, value, type_code: kept.text("identifier", type_code) });
        }
    }
    identifiers
}
