//! `patients.csv` -> patients.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::patient::{ETHNICITY, RACE, SSN};
use super::export::Export;
use super::files::{Folder, Row};
use super::values::{When, given};

/// The systems of the identifiers, as Synthea names them in FHIR.
const DRIVERS: &str = "urn:oid:2.16.840.1.113883.4.3.25";
const PASSPORT: &str = "http://standardhealthrecord.org/fhir/StructureDefinition/passportNumber";

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Patient {
    #[serde(rename = "Id")]
    id: Uuid,
    birthdate: When,
    deathdate: Option<When>,
    ssn: String,
    drivers: String,
    passport: String,
    first: String,
    last: String,
    marital: String,
    race: String,
    ethnicity: String,
    gender: String,
    address: String,
    city: String,
    state: String,
    zip: String,
}

impl Row for Patient {
    const FILE: &'static str = "patients";
}

pub(super) async fn read(folder: &mut Folder<'_>, export: &mut Export) {
    folder
        .each(|row: Patient, at| {
            if row.deathdate.as_ref().is_some_and(|it| it.is_before(&row.birthdate)) {
                return Err("DEATHDATE lies before BIRTHDATE");
            }
            export.add(at, &resource(&row));
            Ok(())
        })
        .await;
}

fn resource(row: &Patient) -> Value {
    let identifier = |system: &str, value: &str| Some(json!({ "system": system, "value": given(value)? }));
    let identifiers = [(SSN, &row.ssn), (DRIVERS, &row.drivers), (PASSPORT, &row.passport)];
    let identifiers: Vec<_> = identifiers.into_iter().filter_map(|(system, it)| identifier(system, it)).collect();
    let said = |url: &str, words: &str| {
        Some(json!({ "url": url, "extension": [{ "url": "text", "valueString": given(words)? }] }))
    };
    let ethnicity = match row.ethnicity.trim() {
        "nonhispanic" => "not hispanic",
        other => other,
    };
    let extensions: Vec<_> = said(RACE, &row.race).into_iter().chain(said(ETHNICITY, ethnicity)).collect();
    let gender = match row.gender.trim() {
        "M" => "male",
        "F" => "female",
        _ => "unknown",
    };
    let marital_status = match row.marital.trim() {
        "M" => Some("Married"),
        "S" => Some("Never Married"),
        "D" => Some("Divorced"),
        "W" => Some("Widowed"),
        other => given(other),
    };
    json!({
        "resourceType": "Patient", "id": row.id, "gender": gender, "birthDate": row.birthdate.text,
        "deceasedDateTime": row.deathdate.as_ref().map(|it| &it.text),
        "name": [{ "family": given(&row.last), "given": given(&row.first).into_iter().collect::<Vec<_>>() }],
        "identifier": identifiers, "extension": extensions,
        "maritalStatus": marital_status.map(|it| json!({ "text": it })),
        "address": [{
            "line": given(&row.address).into_iter().collect::<Vec<_>>(),
            "city": given(&row.city), "state": given(&row.state), "postalCode": given(&row.zip),
        }],
    })
}
