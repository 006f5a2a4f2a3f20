//! `medications.csv` -> medication requests.

use hims_domain::values::coding::{RXNORM, SNOMED_CT};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::export::{Export, concept, reference};
use super::files::{Folder, Row};
use super::values::{When, check_order, given};

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Medication {
    start: When,
    stop: Option<When>,
    patient: Uuid,
    encounter: Uuid,
    code: String,
    description: String,
    reasoncode: String,
    reasondescription: String,
}

impl Row for Medication {
    const FILE: &'static str = "medications";
}

pub(super) async fn read(folder: &mut Folder<'_>, export: &mut Export) {
    folder
        .each(|row: Medication, at| {
            check_order(&row.start, row.stop.as_ref())?;
            given(&row.description).ok_or("DESCRIPTION is empty")?;
            let id = export.id(Medication::FILE, &[&row.patient, &row.encounter, &row.code, &row.start]);
            let days = row.stop.as_ref().map(|it| row.start.days_until(it)).filter(|it| *it > 0);
            let bounds = days.map(|it| json!({ "repeat": { "boundsDuration": { "value": it, "code": "d" } } }));
            let reason = given(&row.reasoncode).map(|it| concept(SNOMED_CT, it, &row.reasondescription));
            let mut resource = json!({
                "resourceType": "MedicationRequest", "id": id, "intent": "order",
                // What has a last day was given until then.
                "status": if row.stop.is_some() { "completed" } else { "active" },
                "medicationCodeableConcept": concept(RXNORM, &row.code, &row.description),
                "subject": reference("Patient", row.patient), "encounter": reference("Encounter", row.encounter),
                "authoredOn": row.start.text,
                "dosageInstruction": bounds.map(|it| json!({ "timing": it })).into_iter().collect::<Vec<_>>(),
            });
            if let Some(reason) = reason {
                resource["reasonCode"] = json!([reason]);
            }
            if let Some(provider) = export.providers.get(&row.encounter) {
                resource["requester"] = reference("Practitioner", *provider);
            }
            export.add(at, &resource);
            Ok(())
        })
        .await;
}
