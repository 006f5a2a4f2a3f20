//! Patient -> patient, and the time of the patient's death.

use chrono::NaiveTime;
use hims_commands::PhoneRegion;
use hims_commands::patient::{RecordPatientDeath, RegisterPatient};
use hims_domain::Personal;
use hims_domain::patient::{Death, Demographics, Gender, Identifier};
use hims_domain::values::{Country, Name, Phone, Ssn, Text};

use super::calendar::{Calendar, is_partial, partial_date};
use super::choice;
use super::datatypes::{self, Extension, HumanName};
use super::first_seen::FirstSeen;
use super::gather::Found;
use super::kept::Kept;
use super::persons::key;
use super::resources::{self, Contact};
use super::summary::Fate;
use super::writer::{Stop, Writer};

/// The system of social security numbers.
pub(super) const SSN: &str = "http://hl7.org/fhir/sid/us-ssn";
pub(super) const RACE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
pub(super) const ETHNICITY: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity";
const LANGUAGES: &str = "urn:ietf:bcp:47";
/// The code of an emergency contact (HL7 v2 table 0131).
const EMERGENCY: &str = "C";

/// Registers a patient, unless the comparison of all patients of the files with those of the hospital found the person
/// registered already. The time is that of the first mention in the files, but never before the patient was born.
pub(super) async fn import(
    writer: &Writer<'_>,
    seen: &FirstSeen,
    found: &Found<resources::Patient>,
) -> Result<Fate, Stop> {
    if let Some(fate) = writer.persons.settled(found.id) {
        return Ok(fate);
    }
    let patient = &found.resource;
    let mut kept = found.kept();
    let identifiers = claimable(writer, patient, &mut kept);
    let demographics = demographics(patient, writer, &mut kept);
    let born = demographics.days_of_birth().map(|days| days.start().and_time(NaiveTime::MIN).and_utc());
    let command = RegisterPatient { id: Some(found.id.into()), demographics, identifiers, confirm_not_duplicate: true };
    let at = seen.at(found.id).map(|it| born.map_or(it, |born| it.max(born)));
    writer.execute(command, at).await?;
    Ok(Fate::Imported(kept.left_out))
}

/// Records that a patient died, unless the record says so already. A time that the record cannot hold, or refuses, is
/// left out.
pub(super) async fn import_death(writer: &Writer<'_>, found: &Found<resources::Patient>) -> Result<Fate, Stop> {
    let died = found.resource.deceased_date_time.as_deref();
    let Ok((id, patient)) = writer.patient(Some(found.id)).await else { return Ok(Fate::AlreadyThere) };
    if patient.death.is_some() {
        return Ok(Fate::AlreadyThere);
    }
    let mut kept = Kept::default();
    if is_partial(died) {
        kept.leave_out("deceased[x]");
    }
    let Some(at) = writer.calendar.time(died) else {
        kept.leave_out("deceased[x]");
        return Ok(Fate::Imported(kept.left_out));
    };
    let death = Death { deceased_at: Personal::Known(at), source: Some("import".into()) };
    match writer.execute(RecordPatientDeath { patient_id: id.into(), death }, Some(at)).await {
        Err(Stop::Skip(_)) => {
            kept.leave_out("deceased[x]");
            Ok(Fate::Imported(kept.left_out))
        }
        recorded => recorded.map(|()| Fate::Imported(kept.left_out)),
    }
}

/// The identifiers that a patient can have in the record. An identifier of somebody else is left out.
fn claimable(writer: &Writer<'_>, patient: &resources::Patient, kept: &mut Kept) -> Vec<Identifier> {
    let mut claimable = identifiers(&patient.identifier, &writer.calendar, kept);
    claimable.retain(|identifier| {
        let value = identifier.value.known().map(Text::as_str).unwrap_or_default();
        let is_taken = writer.persons.is_taken(&(identifier.system.as_str().to_owned(), value.to_owned()));
        if is_taken {
            kept.leave_out("identifier");
        }
        !is_taken
    });
    claimable
}

/// The demographics of a patient. A patient without a name is registered as one whose name is unknown.
fn demographics(patient: &resources::Patient, writer: &Writer<'_>, kept: &mut Kept) -> Demographics {
    let (calendar, region) = (&writer.calendar, writer.executor.phone_region());
    leave_out_the_rest(patient, kept);
    let name = choice::name(calendar, &patient.name).map(HumanName::parts);
    let first_name = kept.personal("name", name.as_ref().and_then(|it| it.first));
    let last_name = kept.personal("name", name.as_ref().and_then(|it| it.family));
    let born = kept.parsed("birthDate", patient.birth_date.as_deref(), partial_date);
    let phones = choice::contacts(calendar, &patient.telecom, "phone");
    let emails = choice::contacts(calendar, &patient.telecom, "email");
    let reached = phones.len().min(2) + emails.len().min(1);
    kept.leave_out_all("telecom", patient.telecom.len().saturating_sub(reached));
    let mut phone = |nth: usize| kept.phone("telecom", phones.get(nth).copied(), region).map(Personal::Known);
    let (phone_primary, phone_secondary) = (phone(0), phone(1));
    let ssn = choice::identifiers(calendar, &patient.identifier).find(|it| it.system.as_deref() == Some(SSN));
    let nowhere = datatypes::Address::default();
    let address = choice::address(calendar, &patient.address).unwrap_or(&nowhere);
    kept.leave_out_all("address", patient.address.len().saturating_sub(1));
    let mut lines = address.line.iter().map(String::as_str);
    let first_line = lines.next().or(address.text.as_deref());
    let preferred = patient.communication.iter().find(|it| it.preferred).or(patient.communication.first());
    let language = preferred.and_then(|it| it.language.codes_in(LANGUAGES).next().or(it.language.words()));
    let emergency = emergency_contact(patient, calendar, region, kept);
    Demographics {
        name_unknown: first_name.is_none() && last_name.is_none(),
        first_name,
        last_name,
        middle_name: kept.personal("name", name.as_ref().map(|it| it.middle.as_str())),
        date_of_birth: born.map(Personal::Known),
        birth_date_precision: None,
        gender: gender(patient.gender.as_deref(), kept),
        ssn: kept.parsed("identifier", ssn.and_then(|it| it.value.as_deref()), Ssn::parse).map(Personal::Known),
        email: kept.email(emails.first().copied()).map(Personal::Known),
        phone_primary,
        phone_secondary,
        address_line_1: kept.personal("address", first_line),
        address_line_2: kept.personal("address", Some(&lines.collect::<Vec<_>>().join(", "))),
        city: kept.personal("address", address.city.as_deref()),
        state: kept.personal("address", address.state.as_deref()),
        postal_code: kept.personal("address", address.postal_code.as_deref()),
        country: kept.parsed("address", address.country.as_deref(), Country::parse).map(Personal::Known),
        marital_status: {
            let words = kept.words("maritalStatus", patient.marital_status.as_ref());
            kept.personal("maritalStatus", words)
        },
        occupation: None,
        emergency_contact_name: emergency.name,
        emergency_contact_relationship: emergency.relationship,
        emergency_contact_phone: emergency.phone,
        preferred_language: kept.personal("communication", language),
        ethnicity: kept.personal("extension", Extension::text(&patient.extension, ETHNICITY)),
        race: kept.personal("extension", Extension::text(&patient.extension, RACE)),
        blood_type: None,
        organ_donor: false,
        advance_directive: false,
    }
}

/// Counts what the record has no place for: further names and languages, a death without a time, other records of the
/// person.
fn leave_out_the_rest(patient: &resources::Patient, kept: &mut Kept) {
    kept.leave_out_all("name", patient.name.len().saturating_sub(1));
    kept.leave_out_all("communication", patient.communication.len().saturating_sub(1));
    kept.leave_out_all("link", patient.link.len());
    let unknown = patient.extension.iter().filter(|it| ![RACE, ETHNICITY].contains(&it.url.as_str())).count();
    kept.leave_out_all("extension", unknown);
    if patient.active == Some(false) {
        kept.leave_out("active");
    }
    if patient.deceased_boolean == Some(true) {
        kept.leave_out("deceased[x]");
    }
}

/// Whom to call in an emergency.
#[derive(Default)]
struct Emergency {
    name: Option<Personal<Name<200>>>,
    relationship: Option<Personal<Text<50>>>,
    phone: Option<Personal<Phone>>,
}

/// The current contact who is named for emergencies, or else the first current contact.
fn emergency_contact(
    patient: &resources::Patient,
    calendar: &Calendar,
    region: PhoneRegion,
    kept: &mut Kept,
) -> Emergency {
    let current = patient.contact.iter().filter(|it| !calendar.is_over(&it.period));
    let is_for_emergencies = |contact: &&Contact| contact.relationship.iter().any(|it| it.has_code(EMERGENCY));
    let Some(contact) = current.min_by_key(|it| !is_for_emergencies(it)) else {
        kept.leave_out_all("contact", patient.contact.len());
        return Emergency::default();
    };
    kept.leave_out_all("contact", patient.contact.len() - 1);
    let phones = choice::contacts(calendar, &contact.telecom, "phone");
    kept.leave_out_all("contact.telecom", contact.telecom.len().saturating_sub(phones.len().min(1)));
    let name = contact.name.as_ref().map(|it| it.parts().whole());
    let relationship = contact.relationship.iter().filter_map(|it| it.words()).collect::<Vec<_>>().join(", ");
    Emergency {
        name: kept.personal("contact.name", name.as_deref()),
        relationship: kept.personal("contact.relationship", Some(&relationship)),
        phone: kept.phone("contact.telecom", phones.first().copied(), region).map(Personal::Known),
    }
}

fn gender(code: Option<&str>, kept: &mut Kept) -> Gender {
    match code {
        Some("male") => Gender::Male,
        Some("female") => Gender::Female,
        Some("other") => Gender::Other,
        Some("unknown") | None => Gender::Unknown,
        Some(_) => {
            kept.leave_out("gender");
            Gender::Unknown
        }
    }
}

/// The current identifiers that other systems gave the patient, without the social security number, which is a field of
/// its own.
fn identifiers(given: &[datatypes::Identifier], calendar: &Calendar, kept: &mut Kept) -> Vec<Identifier> {
    let mut identifiers: Vec<Identifier> = Vec::new();
    kept.leave_out_all("identifier", given.len() - choice::identifiers(calendar, given).count());
    for identifier in choice::identifiers(calendar, given).filter(|it| it.system.as_deref() != Some(SSN)) {
        let type_code = identifier.kind.as_ref().and_then(|kind| kind.coding.first()?.code.as_deref());
        let before = kept.left_out.len();
        let (system, value) = key(identifier).unzip();
        let system = kept.text("identifier", system.as_deref());
        let value = kept.personal("identifier", value.as_deref());
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
