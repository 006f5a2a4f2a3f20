//! `encounters.csv` -> encounters.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use hims_domain::values::coding::SNOMED_CT;

use super::export::{Export, concept, reference};
use super::files::{Folder, Row};
use super::values::{When, check_order, given};

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Encounter {
    #[serde(rename = "Id")]
    id: Uuid,
    start: When,
    stop: Option<When>,
    patient: Uuid,
    organization: Uuid,
    provider: Uuid,
    encounterclass: String,
    code: String,
    description: String,
    reasoncode: String,
    reasondescription: String,
}

impl Row for Encounter {
    const FILE: &'static str = "encounters";
}

pub(super) async fn read(folder: &mut Folder<'_>, export: &mut Export) {
    folder
        .each(|row: Encounter, at| {
            check_order(&row.start, row.stop.as_ref())?;
            export.providers.insert(row.id, row.provider);
            export.add(at, &resource(&row));
            Ok(())
        })
        .await;
}

fn resource(row: &Encounter) -> Value {
    let reason = given(&row.reasoncode).map(|code| concept(SNOMED_CT, code, &row.reasondescription));
    json!({
        "resourceType": "Encounter", "id": row.id,
        "status": if row.stop.is_some() { "finished" } else { "in-progress" },
        "class": { "code": given(&row.encounterclass) },
        "type": [concept(SNOMED_CT, &row.code, &row.description)],
        "subject": reference("Patient", row.patient),
        "participant": [{ "individual": reference("Practitioner", row.provider) }],
        "period": { "start": row.start.text, "end": row.stop.as_ref().map(|it| &it.text) },
        "reasonCode": reason.into_iter().collect::<Vec<_>>(),
        "serviceProvider": reference("Organization", row.organization),
    })
}
