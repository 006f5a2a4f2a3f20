//! What is declared is what there is: the tables in the database, and everything in the OpenAPI document.

use std::collections::{BTreeMap, BTreeSet};

use hims_commands::Registry;
use hims_projections::TABLES;
use serde_json::Value;

use super::process::hims;
use crate::support::database;

#[tokio::test]
async fn the_declared_tables_are_those_of_the_database() {
    let database = database().await;
    let sql = "select table_name::text, column_name::text, udt_name::text, is_nullable = 'YES', is_generated = 'ALWAYS'
                 from information_schema.columns where table_schema = 'hims'
                  and table_name not like '%\\_y____m__' and table_name not like 'projection\\_%'";
    let rows: Vec<(String, String, String, bool, bool)> =
        sqlx::query_as(sql).fetch_all(&database.owner).await.expect("columns");
    // A column that is generated may be left out: the full-text vectors are for searching, not for reading.
    let generated: BTreeSet<_> = rows.iter().filter(|it| it.4).map(|it| (it.0.clone(), it.1.clone())).collect();
    let found: BTreeMap<_, _> = rows.into_iter().map(|it| ((it.0, it.1), (it.2, it.3))).collect();
    let mut declared = BTreeMap::new();
    for table in TABLES {
        for column in table.columns {
            let kind = match found.get(&(table.name.to_owned(), column.name.to_owned())) {
                // Both are texts to a program.
                Some((kind, _)) if kind == "varchar" && column.kind.sql() == "text" => "varchar",
                _ => column.kind.sql(),
            };
            declared.insert((table.name.to_owned(), column.name.to_owned()), (kind.to_owned(), column.nullable));
        }
    }
    for (name, it) in &declared {
        assert_eq!(found.get(name), Some(it), "{name:?}");
    }
    let missing: Vec<_> = found.keys().filter(|it| !declared.contains_key(*it) && !generated.contains(*it)).collect();
    assert!(missing.is_empty(), "not declared: {missing:?}");
    assert_eq!(TABLES.iter().map(|it| it.name).collect::<BTreeSet<_>>().len(), TABLES.len());
}

fn document() -> Value {
    let output = hims().arg("openapi").output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a document")
}

#[test]
fn the_openapi_document_is_the_one_that_was_agreed() {
    insta::assert_json_snapshot!("openapi", document());
}

#[test]
fn every_command_and_every_table_is_in_the_document() {
    let document = document();
    let registry = Registry::hospital();
    assert!(registry.iter().count() > 40);
    for command in registry.iter() {
        let operation = &document["paths"][format!("/api/v1/commands/{}", command.name)]["post"];
        assert_eq!(operation["operationId"], command.name, "{operation}");
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert!(schema["properties"].is_object(), "{}: {schema}", command.name);
    }
    for table in TABLES {
        let route = format!("/api/v1/{}", table.name.replace('_', "-"));
        let page = &document["paths"][&route]["get"];
        assert!(page["responses"]["200"].is_object(), "{route}: {page}");
        assert!(document["paths"][format!("{route}/{{id}}")]["get"].is_object(), "{route}/{{id}}");
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn references<'a>(of: &'a Value, found: &mut BTreeSet<&'a str>) {
        match of {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value.as_str() {
                Some(target) if name == "$ref" => drop(found.insert(target)),
                _ => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|it| references(it, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 15, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a place in the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
