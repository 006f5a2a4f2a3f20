//! The components that operations share (schemas, parameters, headers, answers), and the references to them.

use hims_commands::one_of;
use hims_domain::DomainEvent;
use hims_domain::access::PurposeOfUse;
use serde_json::{Map, Value, json};

/// A problem that operations may answer.
struct ProblemAnswer {
    status: u16,
    /// The name of the component.
    name: &'static str,
    description: &'static str,
}

const PROBLEMS: [ProblemAnswer; 14] = [
    ProblemAnswer {
        status: 400,
        name: "BadRequest",
        description: "The request is not JSON, has a key twice, or a field or parameter is unknown, missing or of a \
                      wrong type; see `errors`.",
    },
    ProblemAnswer {
        status: 401,
        name: "Unauthorized",
        description: "There is no session: the token is missing, wrong or expired, or the ticket is not good any \
                      more.",
    },
    ProblemAnswer { status: 403, name: "Forbidden", description: "The caller's roles do not allow this request." },
    ProblemAnswer {
        status: 404,
        name: "NotFound",
        description: "There is nothing here, or nothing that the caller may read.",
    },
    ProblemAnswer {
        status: 408,
        name: "RequestTimeout",
        description: "The body of the request did not arrive in time.",
    },
    ProblemAnswer {
        status: 409,
        name: "Conflict",
        description: "The current state of the records forbids it: `double-booking`, `already-taken`, \
                      `version-conflict`.",
    },
    ProblemAnswer {
        status: 410,
        name: "Gone",
        description: "The file was kept for its time and is deleted; run the report again at its position.",
    },
    ProblemAnswer {
        status: 412,
        name: "PreconditionFailed",
        description: "The version in `If-Match` is no longer the current one.",
    },
    ProblemAnswer { status: 413, name: "ContentTooLarge", description: "The body of the request is too large." },
    ProblemAnswer {
        status: 415,
        name: "UnsupportedMediaType",
        description: "The body is not JSON in UTF-8, or the request has a `Content-Encoding`.",
    },
    ProblemAnswer {
        status: 422,
        name: "UnprocessableContent",
        description: "A value breaks a rule or is out of range, or the `Idempotency-Key` was used with another body.",
    },
    ProblemAnswer {
        status: 429,
        name: "TooManyRequests",
        description: "There were too many requests, wrong passwords, refused commands, possible duplicates or open \
                      event streams.",
    },
    ProblemAnswer {
        status: 500,
        name: "InternalServerError",
        description: "The server failed. The server's log names the request by its id.",
    },
    ProblemAnswer {
        status: 503,
        name: "ServiceUnavailable",
        description: "The server cannot answer now, or the read tables did not reach `Hims-Min-Position` in time.",
    },
];

/// A reference to a component.
fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// A reference to a schema of the components.
pub(super) fn schema(name: &str) -> Value {
    reference("schemas", name)
}

/// A reference to a parameter of the components.
pub(super) fn shared_parameter(name: &str) -> Value {
    reference("parameters", name)
}

/// The parameters of each read: with which a client reads its own writes, and says for what it reads.
pub(super) fn read_parameters() -> Vec<Value> {
    ["Hims-Min-Position", "Hims-Incarnation", "Prefer", "Purpose-Of-Use", "Hims-Background"]
        .map(shared_parameter)
        .into()
}

/// A parameter of a single operation.
pub(super) fn parameter(name: &str, place: &str, schema: &Value, description: &str) -> Value {
    json!({"name": name, "in": place, "required": place == "path", "schema": schema, "description": description})
}

/// An answer with a JSON body.
pub(super) fn answer(description: &str, schema: &Value) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

/// Adds a header of the components to an answer.
pub(super) fn with_header(mut answer: Value, name: &str) -> Value {
    answer["headers"][name] = reference("headers", name);
    answer
}

/// An answer with a position, and the incarnation of the log that the position is from.
pub(super) fn with_position(answer: Value) -> Value {
    with_header(with_header(answer, "Hims-Position"), "Hims-Incarnation")
}

/// The answers of an operation: its own answers, and the problems that the operation may answer.
pub(super) fn answers(own: impl IntoIterator<Item = (u16, Value)>, problems: &[u16]) -> Value {
    let known = PROBLEMS.iter().filter(|it| problems.contains(&it.status));
    let problems = known.map(|it| (it.status, reference("responses", it.name)));
    own.into_iter().chain(problems).map(|(status, answer)| (status.to_string(), answer)).collect()
}

/// The answers to a command that was carried out.
pub(super) fn outcomes() -> [(u16, Value); 2] {
    [(200, reference("responses", "Followed")), (201, reference("responses", "Began"))]
}

/// The schema of a UUID.
pub(super) fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

/// The schema of a text.
pub(super) fn text() -> Value {
    json!({"type": "string"})
}

/// The schema of an instant.
pub(super) fn instant() -> Value {
    json!({"type": "string", "format": "date-time"})
}

/// The schema of a position of the log.
pub(super) fn position() -> Value {
    json!({"type": "integer", "format": "int64", "minimum": 0})
}

/// The schema of an object whose properties are all required.
pub(super) fn object(properties: Value) -> Value {
    let required: Vec<_> = properties.as_object().into_iter().flat_map(Map::keys).cloned().collect();
    let mut object = json!({"type": "object", "required": required});
    object["properties"] = properties;
    object
}

/// The schema of a page of a list; every list is answered in this form.
pub(super) fn page(of: &str) -> Value {
    let items = json!({"type": "array", "items": schema(of)});
    object(json!({"items": items, "next": {"type": ["string", "null"]}, "position": position()}))
}

/// The parameters that select events.
fn event_filters() -> [Value; 7] {
    let query = |name, schema: &Value, what| parameter(name, "query", schema, what);
    [
        query("stream_id", &uuid(), "Only events of this stream."),
        query("stream_type", &one_of(DomainEvent::STREAMS), "Only events of streams of this type."),
        query("type", &one_of(DomainEvent::types()), "Only events of this type."),
        query("patient_id", &uuid(), "Only events about this patient."),
        query("actor_id", &uuid(), "Only events caused by this user."),
        query("from", &instant(), "Only events recorded at this time or later."),
        query("to", &instant(), "Only events recorded at this time or earlier."),
    ]
}

/// The name of the component of a parameter that selects events. Other operations have parameters of the same name.
fn event_filter_name(filter: &Value) -> String {
    format!("events-{}", filter["name"].as_str().unwrap_or_default())
}

/// References to the parameters that select events.
pub(super) fn event_filter_parameters() -> impl Iterator<Item = Value> {
    event_filters().into_iter().map(|filter| shared_parameter(&event_filter_name(&filter)))
}

/// The parameters that several operations take.
pub(super) fn parameters() -> Value {
    let rows = json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 50});
    let header = |name, schema: &Value, what| parameter(name, "header", schema, what);
    let mut parameters = json!({
        "Idempotency-Key": header("Idempotency-Key", &uuid(), "The same key and body give the first answer again."),
        "If-Match": header("If-Match", &text(), "The version that the caller saw, as the header `ETag` gave it."),
        "Purpose-Of-Use": header(
            "Purpose-Of-Use",
            &json!({"type": "string", "enum": PurposeOfUse::CODES, "default": PurposeOfUse::Treatment.as_str()}),
            "For what the caller reads or records (HL7 `PurposeOfUse`).",
        ),
        "Hims-Background": header(
            "Hims-Background",
            &json!({"type": "boolean", "default": false}),
            "Nobody waits for the answer: a screen asks by itself. The session does not last longer by it.",
        ),
        "Hims-Min-Position": header("Hims-Min-Position", &position(), "Waits until the tables reach this position."),
        "Hims-Incarnation": header(
            "Hims-Incarnation",
            &uuid(),
            "The incarnation of the log from which the position is that the client sends. A position of a history that \
             was taken back by a restore is refused (409).",
        ),
        "incarnation": parameter("incarnation", "query", &uuid(), "As the header `Hims-Incarnation`."),
        "Prefer": header("Prefer", &text(), "`wait=S`: how many seconds to wait, at most 10."),
        "limit": parameter("limit", "query", &rows, "How many rows a page has at most."),
        "cursor": parameter("cursor", "query", &text(), "The `next` of the previous page."),
        "Last-Event-ID": header("Last-Event-ID", &position(), "The `id` of the last event that the client received."),
    });
    for filter in event_filters() {
        let name = event_filter_name(&filter);
        parameters[name] = filter;
    }
    parameters
}

/// The headers that several answers carry.
pub(super) fn headers() -> Value {
    let header = |schema: Value, what: &str| json!({"description": what, "schema": schema});
    json!({
        "Hims-Position": header(position(), "The position in the log that a command or the read tables have reached."),
        "Hims-Incarnation": header(uuid(), "The incarnation of the log that the position is from."),
        "ETag": header(text(), "The version, in quotes; may be sent as `If-Match`."),
        "x-request-id": header(text(), "The id of the request, which the server's log names too."),
        "Retry-After": header(json!({"type": "integer"}), "After how many seconds to try again."),
    })
}

/// The answers that several operations give.
pub(super) fn responses() -> Map<String, Value> {
    let outcome = |what| with_position(answer(what, &schema("Outcome")));
    let mut responses = Map::new();
    responses.insert("Followed".to_owned(), outcome("The command was carried out, or there was nothing left to do."));
    responses.insert("Began".to_owned(), outcome("The command was carried out and began a new stream."));
    for ProblemAnswer { status, name, description } in PROBLEMS {
        let content = json!({"application/problem+json": {"schema": schema("Problem")}});
        let mut problem = with_header(json!({"description": description, "content": content}), "x-request-id");
        if matches!(status, 429 | 503) {
            problem = with_header(problem, "Retry-After");
        }
        responses.insert(name.to_owned(), problem);
    }
    responses
}

/// The schemas that come neither from the registry nor from the declaration of a table.
pub(super) fn schemas() -> Map<String, Value> {
    let integer = json!({"type": "integer"});
    let mut error = object(json!({"pointer": text(), "message": text()}));
    let code = "The code of this fault, where the problem names faults of several kinds or several records.";
    error["properties"]["code"] = json!({"type": "string", "description": code});
    let errors = json!({"type": "array", "items": error});
    let mut problem = object(json!({
        "type": text(), "title": text(), "status": integer, "detail": text(), "instance": text(), "code": text(),
        "request_id": text(),
    }));
    problem["description"] = json!("A problem (RFC 9457).");
    problem["properties"]["errors"] = errors;
    let oauth = "The error as OAuth names it, of `POST /api/v1/oauth/token`.";
    problem["properties"]["error"] = json!({"type": "string", "description": oauth});
    problem["properties"]["error_description"] = text();
    problem["properties"]["candidates"] = json!({"type": "array", "items": uuid()});
    let appended = object(json!({"type": text(), "version": integer, "position": position()}));
    let outcome = object(json!({
        "id": uuid(), "stream_type": text(), "version": integer, "position": position(),
        "events": {"type": "array", "items": appended}, "replayed": {"type": "boolean"},
    }));
    let stored = json!({"type": ["object", "string"]});
    let event = object(json!({
        "position": position(), "stream_type": text(), "stream_id": uuid(), "version": integer, "type": text(),
        "schema_version": integer, "recorded_at": instant(), "data": stored, "metadata": stored,
        "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    }));
    let mut readiness = object(json!({
        "status": {"type": "string", "enum": ["ready", "unavailable"]},
        "database": {"type": "string", "enum": ["up", "down"]},
        "head_position": position(),
        "read_position": {"type": ["integer", "null"], "format": "int64"},
        "clock_offset_seconds": {
            "type": "number",
            "description": "By how much the clock of this server is ahead of the database's; negative when it is behind.",
        },
        "processes": {
            "type": "object",
            "additionalProperties": position(),
            "description": "The position up to which each process has reacted to the log, by its name.",
        },
    }));
    let reason = "Why the server is not ready, such as `read-tables-rebuilding`; absent when the server is ready.";
    let mut backup = object(json!({
        "done_at": {"type": ["string", "null"], "format": "date-time"}, "is_overdue": {"type": "boolean"},
    }));
    backup["description"] = json!(
        "When the log was last backed up as a whole, and whether that is too long ago, as of a minute ago at most."
    );
    readiness["properties"]["backup"] = backup;
    readiness["properties"]["reason"] = json!({"type": ["string", "null"], "description": reason});
    let schemas = [("Problem", problem), ("Outcome", outcome), ("Event", event), ("Readiness", readiness)];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}
