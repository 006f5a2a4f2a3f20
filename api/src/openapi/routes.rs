//! The paths that are neither a command nor a read table.

use hims_domain::report_execution::Format;
use serde_json::{Map, Value, json};

use super::components::{
    answer, answers, event_filter_parameters, instant, object, page, parameter, position, read_parameters, schema,
    shared_parameter, text, uuid, with_header, with_position,
};
use super::{passkeys, sessions};
use crate::reports::media_type;

/// A route that is read with GET: path, tag, operation id, summary.
pub(super) struct Get(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
);

impl Get {
    pub(super) fn answers(self, parameters: &[Value], answer: Value, problems: &[u16]) -> (String, Value) {
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

/// All paths of this module.
pub(super) fn paths() -> Map<String, Value> {
    let all = [
        open(),
        sessions::paths(),
        passkeys::paths(),
        vec![commands(), events(), followed_events(), stream(), slots(), report_file(), followed_notifications()],
        vec![access_report(), query_performance(), table_bloat()],
    ];
    all.into_iter().flatten().collect()
}

/// The routes that need no session.
fn open() -> Vec<(String, Value)> {
    let live = object(json!({"status": {"type": "string", "const": "live"}}));
    let (path, mut ready) =
        Get("/health/ready", "health", "ready", "Whether log and read tables answer, and their positions")
            .answers_anybody(answer("The log and the read tables answer.", &schema("Readiness")));
    ready["get"]["responses"]["503"] = answer("The log or the read tables do not answer.", &schema("Readiness"));
    let prometheus = json!({"description": "Prometheus text", "content": {"text/plain": {"schema": text()}}});
    let document = answer("OpenAPI 3.1", &json!({"type": "object"}));
    let contacts = json!({"description": "RFC 9116", "content": {"text/plain": {"schema": text()}}});
    let (security_path, mut security_txt) =
        Get("/.well-known/security.txt", "health", "security-contact", "Whom to tell of a weakness").answers(
            &[],
            contacts,
            &[404],
        );
    security_txt["get"]["security"] = json!([]);
    vec![
        Get("/health/live", "health", "live", "Whether the process answers")
            .answers_anybody(answer("The process answers.", &live)),
        (path, ready),
        Get("/metrics", "health", "metrics", "The metrics").answers_anybody(prometheus),
        (security_path, security_txt),
        Get("/api/v1/openapi.json", "health", "openapi", "This document").answers_anybody(document),
    ]
}

/// The parameter with a ticket.
fn ticket() -> Value {
    query("ticket", &text(), "A ticket of `POST /api/v1/stream-tickets`, instead of `Authorization`; good once.")
}

fn commands() -> (String, Value) {
    let command = object(json!({
        "name": text(), "description": text(), "permission": text(), "stream_type": text(),
        "reversed_by": {"type": ["string", "null"], "description": "The command that takes back what this one did."},
        "needs_identity": {"type": "boolean", "description": "Whether `confirm-identity` may have to come first."},
        "schema": {"type": "object", "description": "The JSON schema of the request body."},
    }));
    let listed = object(json!({"items": {"type": "array", "items": command}}));
    Get("/api/v1/commands", "commands", "list-commands", "All commands").answers(
        &[],
        answer("Every command with its permission and JSON schema.", &listed),
        &[400, 401, 429, 503],
    )
}

fn access_report() -> (String, Value) {
    let (or_no_text, or_no_id) =
        (json!({"type": ["string", "null"]}), json!({"type": ["string", "null"], "format": "uuid"}));
    let entry = object(json!({
        "position": position(), "at": instant(), "user_id": or_no_id, "user_name": or_no_text, "role": or_no_text,
        "action": text(), "resource": text(), "resource_id": or_no_id, "rows": {"type": ["integer", "null"]},
        "purpose_of_use": or_no_text, "ip_address": or_no_text, "success": {"type": "boolean"},
        "error_message": or_no_text, "emergency_access_id": or_no_id,
    }));
    let page = object(json!({
        "items": {"type": "array", "items": entry}, "next": or_no_text, "position": position(),
    }));
    let limit = json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 100});
    let mut parameters = vec![
        parameter("id", "path", &uuid(), "The patient."),
        query("after", &position(), "Only what was recorded after this position: the `next` of the page before."),
        query("limit", &limit, "How many entries a page has at most."),
    ];
    parameters.extend(read_parameters());
    Get("/api/v1/patients/{id}/access-report", "events", "access-report", "Who saw or changed what about a patient")
        .answers(
            &parameters,
            with_position(answer("Who, when, what, for what and from where, in the order of the log.", &page)),
            &[400, 401, 403, 404, 429, 503],
        )
}

fn query(name: &str, schema: &Value, what: &str) -> Value {
    parameter(name, "query", schema, what)
}

fn events() -> (String, Value) {
    let limit = json!({"type": "integer", "minimum": 1, "maximum": 5000, "default": 100});
    let mut parameters = vec![
        query("after", &position(), "Only events after this position."),
        query("limit", &limit, "How many events a page has at most."),
        query(
            "raw",
            &json!({"type": "boolean"}),
            "Whether to answer the stored texts, for checking hashes; for auditors only.",
        ),
    ];
    parameters.extend(event_filter_parameters());
    parameters.extend(read_parameters());
    parameters.push(shared_parameter("incarnation"));
    let events = answer("A page of events.", &page("Event"));
    Get("/api/v1/events", "events", "list-events", "Events of the log, in order").answers(
        &parameters,
        with_header(events, "Hims-Incarnation"),
        &[400, 401, 403, 409, 429, 503],
    )
}

fn followed_events() -> (String, Value) {
    let mut parameters = vec![
        query("after", &position(), "Only events after this position; only new events if left out."),
        shared_parameter("Purpose-Of-Use"),
        shared_parameter("Last-Event-ID"),
        shared_parameter("Hims-Incarnation"),
        shared_parameter("incarnation"),
        ticket(),
    ];
    parameters.extend(event_filter_parameters());
    let content = json!({"text/event-stream": {"schema": text()}});
    let stream = json!({"description": "Server-sent events; `id` is the position.", "content": content});
    let stream = with_header(stream, "Hims-Incarnation");
    Get("/api/v1/events/stream", "events", "follow-events", "Events as they are recorded").answers(
        &parameters,
        stream,
        &[400, 401, 403, 409, 429, 503],
    )
}

fn followed_notifications() -> (String, Value) {
    let parameters = [
        query("after", &position(), "Only notifications after this position; only new ones if left out."),
        shared_parameter("Purpose-Of-Use"),
        shared_parameter("Last-Event-ID"),
        shared_parameter("Hims-Incarnation"),
        shared_parameter("incarnation"),
        ticket(),
    ];
    let content = json!({"text/event-stream": {"schema": text()}});
    let stream = json!({"description": "Server-sent events; `id` is the position.", "content": content});
    let stream = with_header(stream, "Hims-Incarnation");
    Get("/api/v1/notifications/stream", "tables", "follow-notifications", "The caller's notifications as they come")
        .answers(&parameters, stream, &[400, 401, 403, 409, 429, 503])
}

fn stream() -> (String, Value) {
    let mut parameters = vec![
        parameter("type", "path", &text(), "The type of the stream."),
        parameter("id", "path", &uuid(), "The id of the stream."),
        query("version", &json!({"type": "integer", "minimum": 1}), "The state at this version."),
        query("at", &instant(), "The state at this instant."),
        query("position", &position(), "The state at this position of the log."),
    ];
    parameters.extend(read_parameters());
    parameters.push(shared_parameter("incarnation"));
    let state = object(json!({
        "id": uuid(), "stream_type": text(), "version": {"type": "integer"}, "position": position(),
        "recorded_at": instant(), "state": {"type": "object"},
    }));
    let answered = with_header(answer("The state of the aggregate.", &state), "ETag");
    Get("/api/v1/streams/{type}/{id}", "events", "stream-state", "The state of an aggregate, as it is or as it was")
        .answers(&parameters, with_header(answered, "Hims-Incarnation"), &[400, 401, 403, 404, 409, 429, 500, 503])
}

fn report_file() -> (String, Value) {
    let parameters = [
        parameter("id", "path", &uuid(), "The execution of the report."),
        shared_parameter("Purpose-Of-Use"),
        parameter("If-None-Match", "header", &text(), "The `ETag` of a file that the client has already."),
    ];
    let media = Format::CODES.iter().filter_map(|it| Format::parse(it)).map(media_type);
    let binary = json!({"schema": {"type": "string", "contentMediaType": "application/octet-stream"}});
    let content: Map<String, Value> = media.map(|it| (it.to_owned(), binary.clone())).collect();
    let file = json!({"description": "The file. `ETag` is its SHA-256.", "content": content});
    let (path, mut item) = Get(
        "/api/v1/report-executions/{id}/file",
        "tables",
        "report-file",
        "The file of a report; each download is an event",
    )
    .answers(&parameters, with_header(file, "ETag"), &[400, 401, 403, 404, 409, 410, 429, 503]);
    item["get"]["responses"]["304"] = json!({"description": "The client has the file already."});
    (path, item)
}

/// A route with the rows of a view that says how the database works.
fn statistics(get: Get, row: Value) -> (String, Value) {
    let items = json!({"type": "array", "items": object(row)});
    let listed = object(json!({"items": items, "next": {"type": "null"}, "position": position()}));
    let rows = with_position(answer("The rows of the view, in its order.", &listed));
    get.answers(&[], rows, &[400, 401, 403, 429, 503])
}

fn query_performance() -> (String, Value) {
    let (count, milliseconds) = (json!({"type": "integer"}), json!({"type": "number", "description": "Milliseconds."}));
    let row = json!({
        "query": text(), "calls": count, "total_exec_time": milliseconds, "mean_exec_time": milliseconds, "rows": count,
        "shared_blks_hit": count, "shared_blks_read": count, "temp_blks_written": count,
    });
    let summary = "The statements that took the most time; none without pg_stat_statements";
    statistics(Get("/api/v1/query-performance", "health", "query-performance", summary), row)
}

fn table_bloat() -> (String, Value) {
    let count = json!({"type": "integer"});
    let share = json!({"type": "number", "description": "The share of dead rows in percent."});
    let row = json!({
        "schemaname": text(), "relname": text(), "n_tup_ins": count, "n_tup_upd": count, "n_tup_del": count,
        "n_live_tup": count, "n_dead_tup": count, "bloat_ratio": share,
    });
    let summary = "The tables of the database and their dead rows";
    statistics(Get("/api/v1/table-bloat", "health", "table-bloat", summary), row)
}

fn slots() -> (String, Value) {
    let (or_no_id, text) = (json!({"type": ["string", "null"], "format": "uuid"}), text());
    let slot = object(json!({
        "provider_id": uuid(), "department_id": uuid(), "room_id": or_no_id, "starts_at": instant(), "ends_at": instant(),
        "local_start": {"type": "string", "description": "The beginning by the clocks of the department."},
        "time_zone": text,
    }));
    let items = json!({"type": "array", "items": slot});
    let listed = object(json!({"items": items, "next": {"type": "null"}, "position": position()}));
    let limit = json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 100});
    let moment = json!({"type": "string", "description": "A day of the department, or an instant."});
    let mut parameters = read_parameters();
    parameters.extend([
        query("provider_id", &uuid(), "Only slots of this provider; this or `department_id` must be given."),
        query("department_id", &uuid(), "Only slots in this department."),
        query("from", &moment, "The first day, or the instant at which the first slot may begin; must be given."),
        query("to", &moment, "The last day, or the instant before which slots begin; must be given. At most 62 days."),
        query(
            "duration",
            &json!({"type": "integer", "minimum": 1, "maximum": 480}),
            "How many minutes a slot lasts; as long as the provider's steps if left out.",
        ),
        query("appointment_type", &text, "Only slots that are offered for this kind of appointment."),
        query("patient_id", &uuid(), "Only slots at which this patient is free; a patient whom the caller may read."),
        query("limit", &limit, "How many slots are answered at most."),
    ]);
    Get("/api/v1/slots", "tables", "list-slots", "Free times of providers; booking decides").answers(
        &parameters,
        with_position(answer("The first free slots, in the order of time.", &listed)),
        &[400, 401, 403, 409, 429, 503],
    )
}
