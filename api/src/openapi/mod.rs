//! The OpenAPI 3.1 document, drawn from the registry of commands and the declarations of tables.
//!
//! What is the same everywhere stands in the components and is referred to. Members that begin with `x-hims-` say what
//! OpenAPI has no word for: `x-hims-permission` is what a command needs; `x-hims-readers` are the words of which a role
//! must read one for a table, none when everybody may; `x-hims-aggregate` and `x-hims-part` are what an id names.

mod commands;
mod components;
mod routes;
mod tables;

use std::collections::BTreeSet;

use hims_commands::Registry;
use serde_json::{Value, json};

/// The document.
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
            "description": "Commands go in, events are recorded, tables are read. A command's answer is durable.",
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

/// What operations are grouped by: the routes by what they are about, the commands by their stream type.
fn tags(registry: &Registry) -> Vec<Value> {
    let routes = [
        ("health", "Whether the server works, and what it offers."),
        ("sessions", "Logging in and out."),
        ("commands", "What can be asked for."),
        ("events", "The log, and states as they were."),
        ("tables", "The read tables."),
    ];
    let streams: BTreeSet<_> = registry.iter().map(|it| it.stream_type).collect();
    let of_stream = |it: &str| json!({"name": it, "description": format!("Commands for streams of type `{it}`.")});
    let routes = routes.map(|(name, description)| json!({"name": name, "description": description}));
    routes.into_iter().chain(streams.into_iter().map(of_stream)).collect()
}

/// `VitalSigns` for `vital_signs`.
fn pascal_case(words: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    words.split('_').map(capital).collect()
}
