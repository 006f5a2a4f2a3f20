//! The OpenAPI 3.1 document, drawn from the registry of commands and the declarations of tables.
//!
//! Schemas, parameters, headers and answers that operations share stand in the components. Members that begin with
//! `x-hims-` say what OpenAPI has no word for:
//!
//! - `x-hims-permission` is the permission that a command needs.
//! - `x-hims-reversed-by` is the command that takes back what a command did.
//! - `x-hims-readers` are the permission words of which a role must have one to read a table; empty if everybody may.
//! - `x-hims-aggregate` and `x-hims-part` are the aggregate, and the part of it, that an id belongs to.

mod commands;
mod components;
mod passkeys;
mod routes;
mod sessions;
mod tables;

use std::collections::BTreeSet;

use hims_commands::Registry;
use serde_json::{Value, json};

/// The OpenAPI document.
pub fn document(registry: &Registry) -> Value {
    let mut schemas = components::schemas();
    let mut paths = routes::paths();
    paths.extend(commands::paths(registry, &mut schemas));
    paths.extend(tables::paths());
    schemas.extend(tables::schemas());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "AROCORD-HIMS",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Commands are sent, events are recorded, tables are read. A command's answer is durable.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": tags(registry),
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas,
            "parameters": components::parameters(),
            "headers": components::headers(),
            "responses": components::responses(),
        },
    })
}

/// The tags that group the operations: routes by their subject, commands by their stream type.
fn tags(registry: &Registry) -> Vec<Value> {
    let routes = [
        ("health", "Whether the server works, and what it offers."),
        ("sessions", "Logging in and out."),
        ("commands", "The commands that may be sent."),
        ("events", "The log of events, and the states of aggregates at any time."),
        ("tables", "The read tables."),
    ];
    let streams: BTreeSet<_> = registry.iter().map(|it| it.stream_type).collect();
    let of_stream = |it: &str| json!({"name": it, "description": format!("Commands for streams of type `{it}`.")});
    let routes = routes.map(|(name, description)| json!({"name": name, "description": description}));
    routes.into_iter().chain(streams.into_iter().map(of_stream)).collect()
}

/// Turns `vital_signs` into `VitalSigns`.
fn pascal_case(words: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    words.split('_').map(capital).collect()
}
