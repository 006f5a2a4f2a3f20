//! The OpenAPI document is valid, equals the approved summary, and has every registered command and declared table.

use hims_commands::{Registry, json_schema};
use hims_projections::TABLES;
use roas::v3_1::spec::Spec;
use roas::validation::{Options, Validate as _};
use serde_json::{Value, json};

use super::process::hims;
use super::summary::summary;

fn document() -> Value {
    let output = hims().arg("openapi").output().expect("the program runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("the document is JSON")
}

/// Checks a document against OpenAPI 3.1: the document keeps the rules of the specification, every reference has a
/// component, every component is referred to, and no member is unknown to the specification.
fn validate(document: &Value) -> Result<(), String> {
    let spec: Spec = serde_json::from_value(document.clone()).map_err(|error| error.to_string())?;
    spec.validate(Options::new(), None).map_err(|error| error.to_string())?;
    let mut lost = Vec::new();
    find_lost(document, &serde_json::to_value(&spec).map_err(|error| error.to_string())?, "", &mut lost);
    if lost.is_empty() { Ok(()) } else { Err(format!("no part of OpenAPI: {}", lost.join(", "))) }
}

/// Finds the members that are lost or changed after the document was read as OpenAPI: the specification does not know
/// them.
fn find_lost(before: &Value, after: &Value, at: &str, lost: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                find_lost(value, after.get(name).unwrap_or(&Value::Null), &format!("{at}/{name}"), lost);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                find_lost(before, after, &format!("{at}/{index}"), lost);
            }
        }
        // `"required": false` is the default, and is left out.
        (Value::Bool(false), Value::Null) => {}
        _ if before == after => {}
        _ => lost.push(at.to_owned()),
    }
}

#[test]
fn the_document_is_valid_openapi() {
    assert_eq!(validate(&document()), Ok(()));
}

#[test]
fn a_broken_document_is_not_valid() {
    type Break = fn(&mut Value);
    let breaks: [(&str, Break); 9] = [
        ("not found", |it| {
            it["paths"]["/api/v1/patients"]["get"]["responses"]["400"] =
                json!({"$ref": "#/components/responses/Nothing"});
        }),
        ("unused", |it| it["components"]["headers"]["Spare"] = it["components"]["headers"]["ETag"].clone()),
        ("already in use", |it| it["paths"]["/api/v1/patients"]["get"]["operationId"] = json!("page-users")),
        ("`{id}` has no matching", |it| it["paths"]["/api/v1/patients/{id}"]["get"]["parameters"] = json!([])),
        ("must start with `/`", |it| it["paths"]["health"] = json!({})),
        ("missing field `description`", |it| it["components"]["responses"]["Began"] = json!({})),
        ("unknown variant `heder`", |it| it["components"]["parameters"]["Prefer"]["in"] = json!("heder")),
        ("\"strin\"", |it| it["components"]["schemas"]["Problem"]["properties"]["code"]["type"] = json!("strin")),
        ("/get/sumary", |it| it["paths"]["/api/v1/patients"]["get"]["sumary"] = json!("Patients.")),
    ];
    let document = document();
    for (message, break_it) in breaks {
        let mut broken = document.clone();
        break_it(&mut broken);
        assert_ne!(broken, document, "{message}");
        let error = validate(&broken).expect_err(message);
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[test]
fn the_document_is_the_one_that_was_agreed() {
    insta::assert_snapshot!("openapi", summary(&document()));
}

/// The value with each `$ref` replaced by the component that it names.
fn resolved(value: &Value, document: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let of_all = |all: &serde_json::Map<String, Value>| -> serde_json::Map<String, Value> {
                all.iter().map(|(name, member)| (name.clone(), resolved(member, document))).collect()
            };
            let mut found = of_all(members);
            if let Some(Value::String(target)) = found.remove("$ref") {
                let component = document.pointer(target.trim_start_matches('#')).expect("a component");
                found.extend(of_all(component.as_object().expect("an object")));
            }
            Value::Object(found)
        }
        Value::Array(items) => items.iter().map(|it| resolved(it, document)).collect(),
        other => other.clone(),
    }
}

#[test]
fn every_command_and_every_table_is_in_the_document() {
    let document = document();
    let registry = Registry::hospital();
    assert!(registry.iter().count() > 40);
    for command in registry.iter() {
        let operation = &document["paths"][format!("/api/v1/commands/{}", command.name)]["post"];
        assert_eq!(operation["operationId"], command.name, "{operation}");
        assert_eq!(operation["x-hims-permission"], command.permission.to_string(), "{}", command.name);
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(resolved(schema, &document), json_schema(&command.shape), "{}", command.name);
    }
    for table in TABLES {
        let route = format!("/api/v1/{}", table.name.replace('_', "-"));
        let page = &document["paths"][&route]["get"];
        assert!(page["responses"]["200"].is_object(), "{route}: {page}");
        assert!(document["paths"][format!("{route}/{{id}}")]["get"].is_object(), "{route}/{{id}}");
    }
}
