//! `observations.csv` -> observations.

use hims_domain::values::coding::LOINC;
use serde::Deserialize;
use serde_json::{Number, Value, json};
use uuid::Uuid;

use super::export::{Export, concept, reference};
use super::files::{Folder, Problem, Row};
use super::values::{When, given};

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Observation {
    date: When,
    patient: Uuid,
    encounter: Option<Uuid>,
    category: String,
    code: String,
    description: String,
    value: String,
    units: String,
    r#type: String,
}

impl Row for Observation {
    const FILE: &'static str = "observations";
}

pub(super) async fn read(folder: &mut Folder<'_>, export: &mut Export) {
    folder
        .each(|row: Observation, at| {
            let encounter = row.encounter.unwrap_or_default();
            let id = export.id(Observation::FILE, &[&row.patient, &encounter, &row.code, &row.date]);
            let (element, value) = value(&row)?;
            let category = given(&row.category).map(|it| json!({ "coding": [{ "code": it }] }));
            let mut resource = json!({
                "resourceType": "Observation", "id": id, "status": "final",
                "category": category.into_iter().collect::<Vec<_>>(),
                "code": concept(LOINC, &row.code, &row.description),
                "subject": reference("Patient", row.patient), "effectiveDateTime": row.date.text,
            });
            if let Some(encounter) = row.encounter {
                resource["encounter"] = reference("Encounter", encounter);
            }
            resource[element] = value;
            export.add(at, &resource);
            Ok(())
        })
        .await;
}

/// The value, with the element that holds it. What is written in words is a concept without a code.
fn value(row: &Observation) -> Result<(&'static str, Value), Problem> {
    let words = row.value.trim();
    if row.r#type.trim() != "numeric" {
        return Ok(("valueCodeableConcept", json!({ "text": words })));
    }
    let number: Number = words.parse().map_err(|_| "VALUE is no number, though TYPE is numeric")?;
    Ok(("valueQuantity", json!({ "value": number, "code": given(&row.units) })))
}
