//! `allergies.csv` and `immunizations.csv` -> allergies and immunizations.

use hims_domain::values::coding::{CVX, RXNORM, SNOMED_CT};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::export::{Export, concept, reference};
use super::files::{Folder, Row};
use super::values::{When, check_order, given};

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Allergy {
    start: When,
    stop: Option<When>,
    patient: Uuid,
    code: String,
    system: String,
    description: String,
    category: String,
    description1: String,
    severity1: String,
    description2: String,
    severity2: String,
}

impl Row for Allergy {
    const FILE: &'static str = "allergies";
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Immunization {
    date: When,
    patient: Uuid,
    encounter: Uuid,
    code: String,
    description: String,
}

impl Row for Immunization {
    const FILE: &'static str = "immunizations";
}

pub(super) async fn read(folder: &mut Folder<'_>, export: &mut Export) {
    folder
        .each(|row: Allergy, at| {
            check_order(&row.start, row.stop.as_ref())?;
            given(&row.description).ok_or("DESCRIPTION is empty")?;
            let id = export.id(Allergy::FILE, &[&row.patient, &row.code, &row.start]);
            export.add(at, &allergy(id, &row));
            Ok(())
        })
        .await;
    folder
        .each(|row: Immunization, at| {
            let id = export.id(Immunization::FILE, &[&row.encounter, &row.code, &row.date]);
            export.add(
                at,
                &json!({
                    "resourceType": "Immunization", "id": id, "status": "completed",
                    "vaccineCode": concept(CVX, &row.code, &row.description),
                    "patient": reference("Patient", row.patient), "occurrenceDateTime": row.date.text,
                }),
            );
            Ok(())
        })
        .await;
}

fn allergy(id: Uuid, row: &Allergy) -> Value {
    let system = match row.system.trim() {
        "RxNorm" => RXNORM,
        _ => SNOMED_CT,
    };
    let reactions = [(&row.description1, &row.severity1), (&row.description2, &row.severity2)];
    let reactions = reactions.into_iter().filter_map(|(words, severity)| {
        let severity = given(severity).map(str::to_lowercase);
        Some(json!({ "manifestation": [{ "text": given(words)? }], "severity": severity }))
    });
    json!({
        "resourceType": "AllergyIntolerance", "id": id, "patient": reference("Patient", row.patient),
        "clinicalStatus": { "coding": [{ "code": if row.stop.is_some() { "inactive" } else { "active" } }] },
        "code": concept(system, &row.code, &row.description),
        "category": given(&row.category).into_iter().collect::<Vec<_>>(),
        "recordedDate": row.start.text, "reaction": reactions.collect::<Vec<_>>(),
    })
}
