//! The paths of the commands, from the registry.

use hims_commands::{Entry, Permission, Registry, json_schema_with, one_of};
use serde_json::{Map, Value, json};

use super::components::{answers, outcomes, schema, shared_parameter};

/// The problems that a command may be answered with.
const PROBLEMS: &[u16] = &[400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 500, 503];

/// A path for each command. The sets of codes in the bodies become schemas of the components.
pub(super) fn paths(registry: &Registry, schemas: &mut Map<String, Value>) -> Vec<(String, Value)> {
    let path = |command: &Entry| {
        let operation = operation(command, schemas);
        (format!("/api/v1/commands/{}", command.name), json!({ "post": operation }))
    };
    registry.iter().map(path).collect()
}

fn operation(command: &Entry, schemas: &mut Map<String, Value>) -> Value {
    let body = json_schema_with(&command.shape, &mut |set, codes| {
        let name = name(set);
        let reference = schema(&name);
        schemas.insert(name, one_of(codes));
        reference
    });
    let parameters = ["Idempotency-Key", "If-Match", "Purpose-Of-Use"].map(shared_parameter);
    json!({
        "tags": [command.stream_type],
        "operationId": command.name,
        "summary": command.about.trim(),
        "description": description(command),
        "x-hims-permission": command.permission.to_string(),
        "x-hims-reversed-by": command.reversed_by,
        "parameters": parameters,
        "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
        "responses": answers(outcomes(), PROBLEMS),
    })
}

/// The name of the schema for a set of codes: `PatientGender` for `hims_domain::patient::Gender`.
fn name(set: &str) -> String {
    let mut path = set.rsplit("::");
    let (name, module) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
    super::pascal_case(module) + name
}

/// Says who may send a command, and which other command takes back what the command did.
fn description(command: &Entry) -> String {
    let may = match command.permission {
        Permission::Own => "Every user may send this command for what is their own.".to_owned(),
        permission => format!("Needs the permission `{permission}`."),
    };
    match command.reversed_by {
        Some(name) => format!("{may} Taken back by `{name}`."),
        None => may,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_codes_is_named_after_its_place() {
        assert_eq!(name("hims_domain::vital_signs::TemperatureUnit"), "VitalSignsTemperatureUnit");
    }
}
