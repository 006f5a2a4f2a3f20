//! `supplies.csv` -> articles of the inventory. The rows tell what was used of stock that was never received, so no
//! quantity is imported. `imaging_studies.csv` is counted and not imported: images are not part of the record.

use std::collections::BTreeMap;

use futures::FutureExt;
use hims_commands::inventory_item::AddInventoryItem;
use hims_commands::scopes;
use hims_domain::inventory_item::Details;
use hims_domain::values::{Name, Text, Unit};
use serde::Deserialize;

use super::super::kept::Kept;
use super::super::progress::Progress;
use super::super::reason::Reason;
use super::super::references::derived;
use super::super::run::{ImportError, single};
use super::super::summary::{Fate, Summary};
use super::super::writer::{Stop, Writer};
use super::files::{Folder, Row};
use super::values::given;

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Supply {
    code: String,
    description: String,
}

impl Row for Supply {
    const FILE: &'static str = "supplies";
}

/// A row of a study is only counted.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct ImagingStudy {}

impl Row for ImagingStudy {
    const FILE: &'static str = "imaging_studies";
}

/// The articles, by their codes.
pub(super) struct Articles(BTreeMap<String, String>);

pub(super) async fn read(folder: &mut Folder<'_>) -> Articles {
    let mut articles = BTreeMap::new();
    let mut used = 0;
    folder
        .each(|row: Supply, _| {
            let code = given(&row.code).ok_or("CODE is empty")?.to_owned();
            let name = given(&row.description).ok_or("DESCRIPTION is empty")?.to_owned();
            articles.entry(code).or_insert(name);
            used += 1;
            Ok(())
        })
        .await;
    folder.summary.skip(Supply::FILE, used, Reason::NeverReceived);
    let mut studies = 0;
    folder
        .each(|_: ImagingStudy, _| {
            studies += 1;
            Ok(())
        })
        .await;
    folder.summary.skip(ImagingStudy::FILE, studies, Reason::NotPartOfTheRecord);
    Articles(articles)
}

/// Adds the articles that the inventory does not have.
pub(super) async fn write(
    writer: &Writer<'_>,
    articles: &Articles,
    (summary, progress): (&mut Summary, &dyn Progress),
) -> Result<(), ImportError> {
    // The rows were counted when they were read: an article is of several rows.
    let steps = articles.0.iter().map(|(code, name)| single(Vec::new(), import(writer, code, name).boxed()));
    writer.take(Supply::FILE, Box::new(steps), (summary, progress)).await
}

/// Adds an article, unless the inventory has one with the code.
async fn import(writer: &Writer<'_>, code: &str, name: &str) -> Result<Fate, Stop> {
    if !writer.owners(scopes::INVENTORY_ITEM_SKU, &code.to_uppercase()).await?.is_empty() {
        return Ok(Fate::AlreadyThere);
    }
    let mut kept = Kept::default();
    let sku: Option<Text<50>> = kept.text("CODE", Some(code));
    let name: Option<Name<200>> = kept.value("DESCRIPTION", Some(name.into()));
    let details = Details {
        sku: sku.ok_or(Reason::NoCode)?,
        name: name.ok_or(Reason::NoName)?,
        category: "supplies".into(),
        medication_id: None,
        unit: Unit::from("piece"),
        reorder_level: None,
        reorder_quantity: None,
        preferred_supplier_id: None,
        is_controlled: false,
    };
    let id = derived(&format!("synthea|supplies|{code}"));
    writer.execute(AddInventoryItem { id: Some(id.into()), details }, None).await?;
    Ok(Fate::Imported(kept.left_out))
}
