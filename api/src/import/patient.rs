//! Patient -> patient. The record cannot hold yet whether a patient is deceased.

use chrono::NaiveTime;
use hims_commands::PhoneRegion;
use hims_commands::patient::RegisterPatient;
use hims_domain::Personal;
use hims_domain::patient::{Demographics, Gender, Identifier, Patient};
use hims_domain::values::{Country, Ssn};

use super::bundle;
use super::datatypes::{self, ContactPoint, Extension, HumanName, partial_date};
use super::first_seen::FirstSeen;
use super::gather::Found;
use super::kept::Kept;
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
    let mut kept = Kept::default();
    let demographics = demographics(patient, writer.executor.phone_region(), &mut kept);
    let born = demographics.days_of_birth().map(|days| days.start().and_time(NaiveTime::MIN).and_utc());
    let command = RegisterPatient {
        id: Some(found.id.into()),
        demographics,
        identifiers: identifiers(&patient.identifier, &mut kept),
        confirm_not_duplicate: true,
    };
    let at = seen.at(found.id).map(|it| born.map_or(it, |born| it.max(born)));
    writer.execute(command, at).await?;
    Ok(Fate::Imported(kept.left_out))
}

/// The demographics of a patient. A patient without a name is registered as one whose name is unknown.
fn demographics(patient: &bundle::Patient, region: PhoneRegion, kept: &mut Kept) -> Demographics {
    let name = HumanName::best(&patient.name).map(HumanName::parts);
    let first_name = kept.personal("name", name.as_ref().and_then(|it| it.first));
    let last_name = kept.personal("name", name.as_ref().and_then(|it| it.family));
    let born = kept.parsed("birthDate", patient.birth_date.as_deref(), partial_date);
    let mut phones = ContactPoint::of(&patient.telecom, "phone");
    let ssn = patient.identifier.iter().find(|it| it.system.as_deref() == Some(SSN));
    let nowhere = datatypes::Address::default();
    let address = patient.address.first().unwrap_or(&nowhere);
    let mut lines = address.line.iter();
    let preferred = patient.communication.iter().find(|it| it.preferred).or(patient.communication.first());
    let language = preferred.and_then(|it| it.language.codes_in(LANGUAGES).next().or(it.language.words()));
    Demographics {
        name_unknown: first_name.is_none() && last_name.is_none(),
        first_name,
        last_name,
        middle_name: kept.personal("name", name.as_ref().map(|it| it.middle.as_str())),
        date_of_birth: born.map(Personal::Known),
        birth_date_precision: None,
        gender: gender(patient.gender.as_deref()),
        ssn: kept.parsed("identifier", ssn.and_then(|it| it.value.as_deref()), Ssn::parse).map(Personal::Known),
        email: kept.email(ContactPoint::of(&patient.telecom, "email").next()).map(Personal::Known),
        phone_primary: kept.phone(phones.next(), region).map(Personal::Known),
        phone_secondary: kept.phone(phones.next(), region).map(Personal::Known),
        address_line_1: kept.personal("address", lines.next().map(String::as_str)),
        address_line_2: kept.personal("address", Some(&lines.map(String::as_str).collect::<Vec<_>>().join(", "))),
        city: kept.personal("address", address.city.as_deref()),
        state: kept.personal("address", address.state.as_deref()),
        postal_code: kept.personal("address", address.postal_code.as_deref()),
        country: kept.parsed("address", address.country.as_deref(), Country::parse).map(Personal::Known),
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
    }
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
