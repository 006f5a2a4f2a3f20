//! The OpenAPI 3.1 document, drawn from the registry of commands and the declarations of tables.

use hims_commands::{Credentials, Entry, Permission, Registry, json_schema};
use hims_domain::Described as _;
use hims_projections::{Column, Kind, TABLES, Table};
use serde_json::{Map, Value, json};

/// The document.
pub fn document(registry: &Registry) -> Value {
    let mut paths = Map::new();
    fixed(&mut paths);
    for command in registry.iter() {
        paths.insert(format!("/api/v1/commands/{}", command.name), json!({"post": command_operation(command)}));
    }
    for table in TABLES {
        let route = format!("/api/v1/{}", table.name.replace('_', "-"));
        paths.insert(route.clone(), json!({"get": page_operation(table)}));
        paths.insert(format!("{route}/{{id}}"), json!({"get": find_operation(table)}));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "AROCORD-HIMS",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Commands go in, events are recorded, tables are read. Every answer of a command is durable.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas(),
            "responses": {"Problem": {
                "description": "A problem (RFC 9457)",
                "headers": {
                    "x-request-id": header("Of the request; the server's log names it too.", &json!({"type": "string"})),
                    "Retry-After": header("With 429 and 503: after how many seconds to repeat.", &json!({"type": "integer"})),
                },
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
        },
    })
}

fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    let uuid = json!({"type": "string", "format": "uuid"});
    let position = json!({"type": "integer", "format": "int64", "minimum": 0});
    schemas.insert(
        "Problem".to_owned(),
        json!({
            "type": "object",
            "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
            "properties": {
                "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
                "detail": {"type": "string"}, "instance": {"type": "string"}, "code": {"type": "string"},
                "request_id": {"type": "string"},
                "errors": {"type": "array", "items": {"type": "object", "required": ["pointer", "message"],
                    "properties": {"pointer": {"type": "string"}, "message": {"type": "string"}}}},
                "candidates": {"type": "array", "items": uuid},
            },
        }),
    );
    schemas.insert(
        "Outcome".to_owned(),
        json!({
            "type": "object",
            "required": ["id", "stream_type", "version", "position", "events", "replayed"],
            "properties": {
                "id": uuid, "stream_type": {"type": "string"}, "version": {"type": "integer"}, "position": position,
                "events": {"type": "array", "items": {"type": "object", "required": ["type", "version", "position"],
                    "properties": {"type": {"type": "string"}, "version": {"type": "integer"}, "position": position}}},
                "replayed": {"type": "boolean"},
            },
        }),
    );
    schemas.insert("Event".to_owned(), json!({
        "type": "object",
        "required": ["position", "stream_type", "stream_id", "version", "type", "schema_version", "recorded_at", "data",
                     "metadata", "hash"],
        "properties": {
            "position": position, "stream_type": {"type": "string"}, "stream_id": uuid,
            "version": {"type": "integer"}, "type": {"type": "string"}, "schema_version": {"type": "integer"},
            "recorded_at": {"type": "string", "format": "date-time"},
            "data": {"type": ["object", "string"]}, "metadata": {"type": ["object", "string"]},
            "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        },
    }));
    for table in TABLES {
        schemas.insert(row_name(table), row_schema(table));
    }
    schemas
}

/// `VitalSigns` for `vital_signs`.
fn row_name(table: &Table) -> String {
    table.name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn kind_schema(kind: Kind) -> Value {
    match kind {
        Kind::Uuid => json!({"type": "string", "format": "uuid"}),
        Kind::Text | Kind::Bytes | Kind::Address => json!({"type": "string"}),
        Kind::Integer => json!({"type": "integer", "format": "int32"}),
        Kind::Long => json!({"type": "integer", "format": "int64"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Timestamp => json!({"type": "string", "format": "date-time"}),
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::Time => json!({"type": "string", "pattern": r"^\d{2}:\d{2}:\d{2}(\.\d+)?$"}),
        Kind::Decimal => json!({"type": "number"}),
        Kind::Json => json!({}),
    }
}

fn row_schema(table: &Table) -> Value {
    let property = |column: &Column| {
        let mut schema = kind_schema(column.kind);
        if column.nullable && schema.get("type").is_some() {
            schema["type"] = json!([schema["type"], "null"]);
        }
        schema["description"] = json!(column.doc.trim());
        (column.name.to_owned(), schema)
    };
    let properties: Map<_, _> = table.visible().map(property).collect();
    let required: Vec<_> = table.visible().map(|it| it.name).collect();
    json!({"type": "object", "description": table.about.trim(), "properties": properties, "required": required})
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

fn header(description: &str, schema: &Value) -> Value {
    json!({"description": description, "schema": schema})
}

/// An answer that tells how far the log, or the tables, were.
fn placed(mut answer: Value) -> Value {
    answer["headers"]["Hims-Position"] =
        header("The position in the log.", &json!({"type": "integer", "format": "int64"}));
    answer
}

/// An answer with the version of a row.
fn versioned(mut answer: Value) -> Value {
    answer["headers"]["ETag"] = header("The version, in quotes; good as `If-Match`.", &json!({"type": "string"}));
    answer
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The answers of an operation: its own, and the problems that it may end in.
fn answers(own: &[(&str, Value)], problems: &[u16]) -> Value {
    let problem = |status: &u16| (status.to_string(), json!({"$ref": "#/components/responses/Problem"}));
    let own = own.iter().map(|(status, answer)| ((*status).to_owned(), answer.clone()));
    Value::Object(own.chain(problems.iter().map(problem)).collect())
}

fn parameter(name: &str, place: &str, schema: &Value, description: &str) -> Value {
    json!({"name": name, "in": place, "required": place == "path", "schema": schema, "description": description})
}

fn command_operation(command: &Entry) -> Value {
    let text = json!({"type": "string"});
    json!({
        "tags": [command.stream_type],
        "operationId": command.name,
        "summary": command.about.trim(),
        "description": match command.permission {
            Permission::Own => "Everybody may, with what is their own.".to_owned(),
            permission => format!("Needs `{permission}`."),
        },
        "parameters": [
            parameter("Idempotency-Key", "header", &json!({"type": "string", "format": "uuid"}),
                "The same key and body give the first answer again."),
            parameter("If-Match", "header", &text, "The version that the caller saw, as `ETag` gave it."),
        ],
        "requestBody": {"required": true, "content": {"application/json": {"schema": json_schema(&command.shape)}}},
        "responses": answers(
            &[
                ("200", placed(answer("It followed, or it was so already.", &reference("Outcome")))),
                ("201", placed(answer("It followed; a stream began.", &reference("Outcome")))),
            ],
            if command.compares_password {
                &[400, 401, 403, 404, 409, 412, 413, 422, 429, 500, 503]
            } else {
                &[400, 401, 403, 404, 409, 412, 413, 422, 500, 503]
            },
        ),
    })
}

fn fresh_parameters() -> Vec<Value> {
    vec![
        parameter("Hims-Min-Position", "header", &json!({"type": "integer"}), "Waits until the read tables are there."),
        parameter("Prefer", "header", &json!({"type": "string"}), "`wait=S`: how many seconds to wait, at most 10."),
    ]
}

fn page_operation(table: &Table) -> Value {
    let mut parameters = fresh_parameters();
    let sortable: Vec<_> = table.visible().filter(|it| it.indexed).map(|it| it.name).collect();
    let signed: Vec<String> = sortable.iter().flat_map(|it| [(*it).to_owned(), format!("-{it}")]).collect();
    parameters.push(parameter(
        "limit",
        "query",
        &json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
        "Rows of a page.",
    ));
    parameters.push(parameter("cursor", "query", &json!({"type": "string"}), "`next` of the page before."));
    parameters.push(parameter("sort", "query", &json!({"type": "string", "enum": signed}), "`-` for descending."));
    if table.search.is_some() {
        parameters.push(parameter(
            "q",
            "query",
            &json!({"type": "string", "minLength": 1, "maxLength": 200}),
            "A text to search for.",
        ));
    }
    for column in table.visible() {
        if column.indexed {
            parameters.push(parameter(column.name, "query", &kind_schema(column.kind), column.doc.trim()));
        }
        if column.kind.has_range() {
            for (suffix, what) in [("_from", "then or later"), ("_to", "then or earlier")] {
                let name = format!("{}{suffix}", column.name);
                parameters.push(parameter(&name, "query", &kind_schema(column.kind), what));
            }
        }
    }
    let page = json!({
        "type": "object",
        "required": ["items", "next", "position"],
        "properties": {
            "items": {"type": "array", "items": reference(&row_name(table))},
            "next": {"type": ["string", "null"]},
            "position": {"type": "integer", "format": "int64"},
        },
    });
    json!({
        "tags": ["tables"],
        "operationId": format!("page-{}", table.name.replace('_', "-")),
        "summary": table.about.trim(),
        "parameters": parameters,
        "responses": answers(&[("200", placed(answer("A page.", &page)))], &[400, 401, 403, 404, 503]),
    })
}

fn find_operation(table: &Table) -> Value {
    let mut parameters = fresh_parameters();
    parameters.push(parameter("id", "path", &json!({"type": "string", "format": "uuid"}), "The key of the row."));
    json!({
        "tags": ["tables"],
        "operationId": format!("find-{}", table.name.replace('_', "-")),
        "summary": table.about.trim(),
        "parameters": parameters,
        "responses": answers(
            &[("200", versioned(placed(answer("The row.", &reference(&row_name(table))))))],
            &[400, 401, 403, 404, 503],
        ),
    })
}

/// The routes that no declaration makes.
fn fixed(paths: &mut Map<String, Value>) {
    let object = json!({"type": "object"});
    let text = json!({"type": "string"});
    let uuid = json!({"type": "string", "format": "uuid"});
    let time = json!({"type": "string", "format": "date-time"});
    let open = |mut path: Value| {
        path["get"]["security"] = json!([]);
        path
    };
    let live = answer("It answers.", &object);
    paths.insert("/health/live".into(), open(get("health", "live", "The process answers", &[], live, &[])));
    let positions = json!({"type": "object", "required": ["status", "database", "head_position", "read_position"],
    "properties": {
        "status": {"enum": ["ready", "unavailable"]}, "database": {"enum": ["up", "down"]},
        "head_position": {"type": "integer"}, "read_position": {"type": ["integer", "null"]},
    }});
    let ready = answer("Log and read tables answer.", &positions);
    let mut ready = open(get("health", "ready", "Database, head position, read position", &[], ready, &[]));
    ready["get"]["responses"]["503"] = answer("One of them does not.", &positions);
    paths.insert("/health/ready".into(), ready);
    let prometheus = json!({"description": "Prometheus text", "content": {"text/plain": {"schema": text}}});
    paths.insert("/metrics".into(), open(get("health", "metrics", "What is measured", &[], prometheus, &[])));
    let document = answer("OpenAPI 3.1", &object);
    paths.insert("/api/v1/openapi.json".into(), open(get("health", "openapi", "This document", &[], document, &[])));
    let session = json!({
        "type": "object", "required": ["token", "expires_at", "user"],
        "properties": {"token": text, "expires_at": time, "user": {"type": "object", "required": ["id", "email", "role"],
            "properties": {"id": uuid, "email": text, "role": text}}},
    });
    let credentials = json_schema(&Credentials::SHAPE);
    paths.insert(
        "/api/v1/sessions".into(),
        json!({"post": {
            "tags": ["sessions"], "operationId": "log-in", "summary": "Log in", "security": [],
            "requestBody": {"required": true, "content": {"application/json": {"schema": credentials}}},
            "responses": answers(&[("201", answer("A session.", &session))], &[400, 401, 409, 413, 429, 503]),
        }}),
    );
    let mut current = get("sessions", "who-am-i", "Who am I?", &[], answer("The caller.", &object), &[401, 503]);
    current["delete"] = json!({"tags": ["sessions"], "operationId": "log-out", "summary": "Log out",
        "responses": answers(&[("204", json!({"description": "Logged out."}))], &[401, 503])});
    paths.insert("/api/v1/sessions/current".into(), current);
    let commands = answer("Every command with its permission and JSON schema.", &object);
    paths.insert(
        "/api/v1/commands".into(),
        get("commands", "list-commands", "Every command", &[], commands, &[401, 503]),
    );
    of_the_log(paths);
}

/// A route that is read.
fn get(tag: &str, id: &str, summary: &str, parameters: &[Value], answer: Value, problems: &[u16]) -> Value {
    json!({"get": {"tags": [tag], "operationId": id, "summary": summary, "parameters": parameters,
        "responses": answers(&[("200", answer)], problems)}})
}

/// The routes of events and streams.
fn of_the_log(paths: &mut Map<String, Value>) {
    let object = json!({"type": "object"});
    let text = json!({"type": "string"});
    let integer = json!({"type": "integer", "format": "int64"});
    let uuid = json!({"type": "string", "format": "uuid"});
    let time = json!({"type": "string", "format": "date-time"});
    let query = |name: &str, schema: &Value, what: &str| parameter(name, "query", schema, what);
    let events = json!({"type": "object", "required": ["items", "next", "position"], "properties": {
        "items": {"type": "array", "items": reference("Event")}, "next": {"type": ["string", "null"]}, "position": integer}});
    let filters = vec![
        query("stream_id", &uuid, "Of this stream."),
        query("stream_type", &text, "Of streams of this type."),
        query("type", &text, "Of this event type."),
        query("patient_id", &uuid, "About this patient."),
        query("actor_id", &uuid, "Caused by this user."),
        query("from", &time, "Recorded then or later."),
        query("to", &time, "Recorded then or earlier."),
    ];
    let mut listed = vec![
        query("after", &integer, "Only after this position."),
        query("limit", &json!({"type": "integer", "minimum": 1, "maximum": 5000, "default": 100}), "Events of a page."),
        query("raw", &json!({"type": "boolean"}), "The stored texts, for checking hashes; auditors only."),
    ];
    listed.extend(filters.iter().cloned());
    listed.extend(fresh_parameters());
    paths.insert(
        "/api/v1/events".into(),
        get(
            "events",
            "list-events",
            "Events of the log, in order",
            &listed,
            answer("Events.", &events),
            &[400, 401, 403, 503],
        ),
    );
    let stream = json!({"description": "Server-sent events; `id` is the position.", "content": {"text/event-stream": {"schema": text}}});
    let mut followed = vec![query("after", &integer, "Only after this position; from now on unless given.")];
    followed.push(parameter("Last-Event-ID", "header", &integer, "The position of the last event that was seen."));
    followed.extend(filters);
    paths.insert(
        "/api/v1/events/stream".into(),
        get("events", "follow-events", "Events as they are recorded", &followed, stream, &[400, 401, 403, 503]),
    );
    let mut past = vec![
        parameter("type", "path", &text, "The stream type."),
        parameter("id", "path", &uuid, "The stream."),
        query("version", &json!({"type": "integer"}), "As of this version."),
        query("at", &time, "As of this instant."),
        query("position", &integer, "As of this position of the log."),
    ];
    past.extend(fresh_parameters());
    paths.insert(
        "/api/v1/streams/{type}/{id}".into(),
        get(
            "events",
            "stream-state",
            "The state of an aggregate, as it is or as it was",
            &past,
            answer("The state.", &object),
            &[400, 401, 403, 404, 500, 503],
        ),
    );
}
