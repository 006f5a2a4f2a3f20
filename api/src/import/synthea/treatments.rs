//! `procedures.csv` and `careplans.csv` -> procedures and care plans.

use hims_domain::values::coding::SNOMED_CT;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::export::{Export, concept, reference};
use super::files::{Folder, Row};
use super::values::{When, check_order, given};

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Procedure {
    start: When,
    stop: Option<When>,
    patient: Uuid,
    encounter: Uuid,
    code: String,
    description: String,
    reasoncode: String,
}

impl Row for Procedure {
    const FILE: &'static str = "procedures";
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct CarePlan {
    #[serde(rename = "Id")]
    id: Uuid,
    start: When,
    stop: Option<When>,
    patient: Uuid,
    encounter: Uuid,
    code: String,
    description: String,
    reasoncode: String,
}

impl Row for CarePlan {
    const FILE: &'static str = "careplans";
}

pub(super) async fn read(folder: &mut Folder<'_>, export: &mut Export) {
    folder
        .each(|row: Procedure, at| {
            check_order(&row.start, row.stop.as_ref())?;
            given(&row.description).ok_or("DESCRIPTION is empty")?;
            let id = export.id(Procedure::FILE, &[&row.encounter, &row.code, &row.start]);
            let reason = reason(export, row.patient, &row.reasoncode, &row.start);
            export.add(
                at,
                &json!({
                    "resourceType": "Procedure", "id": id, "status": "completed",
                    "code": concept(SNOMED_CT, &row.code, &row.description),
                    "subject": reference("Patient", row.patient), "encounter": reference("Encounter", row.encounter),
                    "performedPeriod": { "start": row.start.text, "end": row.stop.as_ref().map(|it| &it.text) },
                    "reasonReference": reason,
                }),
            );
            Ok(())
        })
        .await;
    folder
        .each(|row: CarePlan, at| {
            check_order(&row.start, row.stop.as_ref())?;
            given(&row.description).ok_or("DESCRIPTION is empty")?;
            let reason = reason(export, row.patient, &row.reasoncode, &row.start);
            let is_over = row.stop.is_some();
            // The file says what the plan is about, and not what is done in it: the plan is its own only activity.
            let code = concept(SNOMED_CT, &row.code, &row.description);
            let status = if is_over { "completed" } else { "in-progress" };
            export.add(
                at,
                &json!({
                    "resourceType": "CarePlan", "id": row.id, "status": if is_over { "completed" } else { "active" },
                    "intent": "order", "title": given(&row.description),
                    "subject": reference("Patient", row.patient), "encounter": reference("Encounter", row.encounter),
                    "period": { "start": row.start.text, "end": row.stop.as_ref().map(|it| &it.text) },
                    "activity": [{ "detail": { "code": code, "status": status, "reasonReference": reason } }],
                }),
            );
            Ok(())
        })
        .await;
}

/// The condition that is the reason: the patient's last one with the code that had begun by then.
fn reason(export: &Export, patient: Uuid, code: &str, at: &When) -> Vec<Value> {
    let begun = export.conditions.get(&(patient, code.trim().to_owned())).into_iter().flatten();
    let begun = begun.filter(|(start, _)| !at.is_before(start));
    let last = begun.fold(None, |last: Option<&(When, Uuid)>, it| match last {
        Some(last) if it.0.is_before(&last.0) => Some(last),
        _ => Some(it),
    });
    last.map(|(_, id)| reference("Condition", *id)).into_iter().collect()
}
