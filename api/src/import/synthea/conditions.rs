//! `conditions.csv` -> conditions.

use hims_domain::values::coding::SNOMED_CT;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::export::{Export, concept, reference};
use super::files::{Folder, Row};
use super::values::{When, check_order, given};

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Condition {
    start: When,
    stop: Option<When>,
    patient: Uuid,
    encounter: Uuid,
    code: String,
    description: String,
}

impl Row for Condition {
    const FILE: &'static str = "conditions";
}

pub(super) async fn read(folder: &mut Folder<'_>, export: &mut Export) {
    folder
        .each(|row: Condition, at| {
            check_order(&row.start, row.stop.as_ref())?;
            given(&row.code).ok_or("CODE is empty")?;
            let id = export.id(Condition::FILE, &[&row.encounter, &row.code, &row.start]);
            let status = if row.stop.is_some() { "resolved" } else { "active" };
            export.add(
                at,
                &json!({
                    "resourceType": "Condition", "id": id,
                    "clinicalStatus": { "coding": [{ "code": status }] },
                    "verificationStatus": { "coding": [{ "code": "confirmed" }] },
                    "code": concept(SNOMED_CT, &row.code, &row.description),
                    "subject": reference("Patient", row.patient), "encounter": reference("Encounter", row.encounter),
                    "onsetDateTime": row.start.text, "abatementDateTime": row.stop.as_ref().map(|it| &it.text),
                }),
            );
            let of_patient = export.conditions.entry((row.patient, row.code.trim().to_owned())).or_default();
            of_patient.push((row.start, id));
            Ok(())
        })
        .await;
}
