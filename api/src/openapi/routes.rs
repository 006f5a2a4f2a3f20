//! The routes that no declaration makes.

use hims_commands::{Credentials, json_schema};
use hims_domain::Described as _;
use serde_json::{Map, Value, json};

use super::components::{
    answer, answers, fresh_parameters, instant, object, page, parameter, position, schema, text, uuid, with_header,
};

/// A route that is read: its path, its tag, its operation id, what it is.
struct Get(&'static str, &'static str, &'static str, &'static str);

impl Get {
    fn answers(self, parameters: &[Value], answer: Value, problems: &[u16]) -> (String, Value) {
        let Self(path, tag, id, summary) = self;
        let mut operation = json!({
            "tags": [tag], "operationId": id, "summary": summary, "responses": answers([(200, answer)], problems),
        });
        if !parameters.is_empty() {
            operation["parameters"] = json!(parameters);
        }
        (path.to_owned(), json!({ "get": operation }))
    }

    /// A route that needs no session.
    fn answers_anybody(self, answer: Value) -> (String, Value) {
        let (path, mut item) = self.answers(&[], answer, &[]);
        item["get"]["security"] = json!([]);
        (path, item)
    }
}

/// The routes.
pub(super) fn paths() -> Map<String, Value> {
    let all = [open(), vec![sessions(), current_session(), commands(), events(), followed_events(), stream()]];
    all.into_iter().flatten().collect()
}

/// What answers without a session.
fn open() -> Vec<(String, Value)> {
    let live = object(json!({"status": {"type": "string", "const": "live"}}));
    let (path, mut ready) = Get("/health/ready", "health", "ready", "Database, head position, read position")
        .answers_anybody(answer("Log and read tables answer.", &schema("Readiness")));
    ready["get"]["responses"]["503"] = answer("One of them does not.", &schema("Readiness"));
    let prometheus = json!({"description": "Prometheus text", "content": {"text/plain": {"schema": text()}}});
    let document = answer("OpenAPI 3.1", &json!({"type": "object"}));
    vec![
        Get("/health/live", "health", "live", "The process answers").answers_anybody(answer("It answers.", &live)),
        (path, ready),
        Get("/metrics", "health", "metrics", "What is measured").answers_anybody(prometheus),
        Get("/api/v1/openapi.json", "health", "openapi", "This document").answers_anybody(document),
    ]
}

fn sessions() -> (String, Value) {
    let session = object(json!({
        "token": text(), "expires_at": instant(),
        "user": object(json!({"id": uuid(), "email": text(), "role": text()})),
    }));
    let credentials = json_schema(&Credentials::SHAPE);
    let operation = json!({
        "tags": ["sessions"], "operationId": "log-in", "summary": "Log in", "security": [],
        "requestBody": {"required": true, "content": {"application/json": {"schema": credentials}}},
        "responses": answers([(201, answer("A session.", &session))], &[400, 401, 409, 413, 429, 503]),
    });
    ("/api/v1/sessions".to_owned(), json!({ "post": operation }))
}

fn current_session() -> (String, Value) {
    let (or_no_text, or_no_id) =
        (json!({"type": ["string", "null"]}), json!({"type": ["string", "null"], "format": "uuid"}));
    let caller = object(json!({
        "session_id": or_no_id,
        "user": object(json!({
            "id": or_no_id, "role": or_no_text, "patient_id": or_no_id, "department_id": or_no_id,
            "must_change_password": {"type": "boolean"},
        })),
        "permissions": {"type": "object", "additionalProperties": {"type": "array", "items": text()}},
    }));
    let (path, mut item) = Get("/api/v1/sessions/current", "sessions", "who-am-i", "Who am I?").answers(
        &[],
        answer("The caller.", &caller),
        &[400, 401, 503],
    );
    item["delete"] = json!({"tags": ["sessions"], "operationId": "log-out", "summary": "Log out",
        "responses": answers([(204, json!({"description": "Logged out."}))], &[401, 503])});
    (path, item)
}

fn commands() -> (String, Value) {
    let command = object(json!({
        "name": text(), "description": text(), "permission": text(), "stream_type": text(),
        "reversed_by": {"type": ["string", "null"], "description": "The command that takes back what this one did."},
        "schema": {"type": "object", "description": "The JSON schema of the body."},
    }));
    let listed = object(json!({"items": {"type": "array", "items": command}}));
    Get("/api/v1/commands", "commands", "list-commands", "Every command").answers(
        &[],
        answer("Every command with its permission and JSON schema.", &listed),
        &[400, 401, 503],
    )
}

fn query(name: &str, schema: &Value, what: &str) -> Value {
    parameter(name, "query", schema, what)
}

/// What events are chosen by.
fn filters() -> [Value; 7] {
    [
        query("stream_id", &uuid(), "Of this stream."),
        query("stream_type", &text(), "Of streams of this type."),
        query("type", &text(), "Of this event type."),
        query("patient_id", &uuid(), "About this patient."),
        query("actor_id", &uuid(), "Caused by this user."),
        query("from", &instant(), "Recorded then or later."),
        query("to", &instant(), "Recorded then or earlier."),
    ]
}

fn events() -> (String, Value) {
    let limit = json!({"type": "integer", "minimum": 1, "maximum": 5000, "default": 100});
    let mut parameters = vec![
        query("after", &position(), "Only after this position."),
        query("limit", &limit, "Events of a page."),
        query("raw", &json!({"type": "boolean"}), "The stored texts, for checking hashes; auditors only."),
    ];
    parameters.extend(filters());
    parameters.extend(fresh_parameters());
    let events = answer("Events.", &page("Event"));
    Get("/api/v1/events", "events", "list-events", "Events of the log, in order").answers(
        &parameters,
        events,
        &[400, 401, 403, 503],
    )
}

fn followed_events() -> (String, Value) {
    let mut parameters = vec![
        query("after", &position(), "Only after this position; from now on unless given."),
        parameter("Last-Event-ID", "header", &position(), "The position of the last event that was seen."),
    ];
    parameters.extend(filters());
    let content = json!({"text/event-stream": {"schema": text()}});
    let stream = json!({"description": "Server-sent events; `id` is the position.", "content": content});
    Get("/api/v1/events/stream", "events", "follow-events", "Events as they are recorded").answers(
        &parameters,
        stream,
        &[400, 401, 403, 503],
    )
}

fn stream() -> (String, Value) {
    let mut parameters = vec![
        parameter("type", "path", &text(), "The stream type."),
        parameter("id", "path", &uuid(), "The stream."),
        query("version", &json!({"type": "integer", "minimum": 1}), "As of this version."),
        query("at", &instant(), "As of this instant."),
        query("position", &position(), "As of this position of the log."),
    ];
    parameters.extend(fresh_parameters());
    let state = object(json!({
        "id": uuid(), "stream_type": text(), "version": {"type": "integer"}, "position": position(),
        "recorded_at": instant(), "state": {"type": "object"},
    }));
    Get("/api/v1/streams/{type}/{id}", "events", "stream-state", "The state of an aggregate, as it is or as it was")
        .answers(&parameters, with_header(answer("The state.", &state), "ETag"), &[400, 401, 403, 404, 500, 503])
}
