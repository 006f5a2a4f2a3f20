//! `organizations.csv` and `providers.csv` -> organizations and practitioners.

use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::super::summary::Place;
use super::export::Export;
use super::files::{Folder, Row};
use super::values::given;

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Organization {
    #[serde(rename = "Id")]
    id: Uuid,
    name: String,
    phone: String,
}

impl Row for Organization {
    const FILE: &'static str = "organizations";
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Provider {
    #[serde(rename = "Id")]
    id: Uuid,
    name: String,
}

impl Row for Provider {
    const FILE: &'static str = "providers";
}

pub(super) async fn read(folder: &mut Folder<'_>, export: &mut Export) {
    let organization = |row: Organization, at: &Place| {
        let telecom = given(&row.phone).map(|it| json!({ "system": "phone", "value": it }));
        export.add(
            at,
            &json!({
                "resourceType": "Organization", "id": row.id, "name": given(&row.name),
                "telecom": telecom.into_iter().collect::<Vec<_>>(),
            }),
        );
        Ok(())
    };
    folder.each(organization).await;
    let provider = |row: Provider, at: &Place| {
        let name = given(&row.name).ok_or("NAME is empty")?;
        export.add(at, &json!({ "resourceType": "Practitioner", "id": row.id, "name": [{ "text": name }] }));
        Ok(())
    };
    folder.each(provider).await;
}
