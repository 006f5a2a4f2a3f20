//! The paths of sessions: how people log in, prove who they are, and choose a new password.

use hims_commands::{
    AskForReset, AskForTicket, ChosenPassword, Credentials, Enrolment, FirstCode, NewSecret, Proof, Vouched,
    json_schema,
};
use hims_domain::{Described as _, Shape};
use serde_json::{Value, json};

use super::components::{answer, answers, instant, object, parameter, text, uuid};
use super::routes::Get;

/// All paths of this module.
pub(super) fn paths() -> Vec<(String, Value)> {
    vec![
        sessions(),
        current_session(),
        confirmed_identity(),
        second_factor(),
        confirmed_second_factor(),
        asked_for_reset(),
        completed_reset(),
        token(),
        added_secret(),
        begun_at_provider(),
        completed_at_provider(),
        linked_identity(),
        tickets(),
    ]
}

/// What is told of a new session.
pub(super) fn new_session() -> Value {
    object(json!({
        "token": text(), "expires_at": instant(),
        "user": object(json!({"id": uuid(), "email": text(), "role": text()})),
    }))
}

fn sessions() -> (String, Value) {
    let session = new_session();
    let credentials = json_schema(&Credentials::SHAPE);
    let operation = json!({
        "tags": ["sessions"], "operationId": "log-in", "summary": "Log in", "security": [],
        "requestBody": {"required": true, "content": {"application/json": {"schema": credentials}}},
        "responses": answers([(201, answer("The new session.", &session))], &[400, 401, 408, 409, 413, 415, 429, 503]),
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
            "must_change_password": {"type": "boolean"}, "must_enrol_second_factor": {"type": "boolean"},
        })),
        "permissions": {"type": "object", "additionalProperties": {"type": "array", "items": text()}},
    }));
    let (path, mut item) = Get("/api/v1/sessions/current", "sessions", "who-am-i", "Who the caller is").answers(
        &[],
        answer("The caller.", &caller),
        &[400, 401, 429, 503],
    );
    item["delete"] = json!({"tags": ["sessions"], "operationId": "log-out", "summary": "Log out",
        "responses": answers([(204, json!({"description": "Logged out."}))], &[400, 401, 429, 503])});
    (path, item)
}

/// A route to which somebody posts something who is not logged in.
pub(super) fn posted_by_anybody(
    path: &str,
    id: &str,
    summary: &str,
    body: &Shape,
    answered: (u16, Value),
) -> (String, Value) {
    let body = json_schema(body);
    let operation = json!({
        "tags": ["sessions"], "operationId": id, "summary": summary, "security": [],
        "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
        "responses": answers([answered], &[400, 408, 409, 413, 415, 422, 429, 503]),
    });
    (path.to_owned(), json!({ "post": operation }))
}

fn asked_for_reset() -> (String, Value) {
    let what =
        "If an active user has the address, an e-mail with a link follows. Nothing tells whether somebody has it.";
    let summary = "Ask for an e-mail with which you choose a new password";
    let answered = (202, json!({ "description": what }));
    posted_by_anybody("/api/v1/password-resets", "ask-for-password-reset", summary, &AskForReset::SHAPE, answered)
}

fn completed_reset() -> (String, Value) {
    let answered = (204, json!({"description": "The password is set, and all sessions of the user have ended."}));
    let (path, summary) = ("/api/v1/password-resets/complete", "Choose a new password with the link of an e-mail");
    posted_by_anybody(path, "complete-password-reset", summary, &ChosenPassword::SHAPE, answered)
}

/// A route to which something is posted that only the caller may know.
pub(super) fn posted(path: &str, id: &str, summary: &str, body: &Shape, answered: (u16, Value)) -> (String, Value) {
    let body = json_schema(body);
    let operation = json!({
        "tags": ["sessions"], "operationId": id, "summary": summary,
        "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
        "responses": answers([answered], &[400, 401, 403, 408, 409, 413, 415, 422, 429, 503]),
    });
    (path.to_owned(), json!({ "post": operation }))
}

fn confirmed_identity() -> (String, Value) {
    let answered = (200, answer("The identity is confirmed.", &object(json!({ "confirmed_until": instant() }))));
    let summary = "Prove again who you are, for commands that need it";
    posted("/api/v1/sessions/current/confirm", "confirm-identity", summary, &Proof::SHAPE, answered)
}

fn second_factor() -> (String, Value) {
    let enrolled = object(json!({
        "secret": {"type": "string", "description": "The secret in base 32; told only once."},
        "address": {"type": "string", "description": "The secret as `otpauth://…`, to be shown as a picture."},
    }));
    let answered = (201, answer("The secret of the second factor, which counts once it is confirmed.", &enrolled));
    let summary = "Enrol a second factor (TOTP, RFC 6238)";
    posted("/api/v1/sessions/current/second-factor", "enrol-second-factor", summary, &Enrolment::SHAPE, answered)
}

fn confirmed_second_factor() -> (String, Value) {
    let codes = json!({"type": "array", "items": text(), "description": "Each is good once; told only once."});
    let answered = (200, answer("The recovery codes.", &object(json!({ "recovery_codes": codes }))));
    let path = "/api/v1/sessions/current/second-factor/confirm";
    let summary = "Confirm the second factor with a code; from then on a login asks for one";
    posted(path, "confirm-second-factor", summary, &FirstCode::SHAPE, answered)
}

fn tickets() -> (String, Value) {
    let ticket = object(json!({"ticket": text(), "expires_at": instant()}));
    let asked = json_schema(&AskForTicket::SHAPE);
    let operation = json!({
        "tags": ["sessions"], "operationId": "ask-for-ticket",
        "summary": "Get a ticket for an event stream, for `EventSource` in a browser",
        "requestBody": {"required": true, "content": {"application/json": {"schema": asked}}},
        "responses": answers(
            [(201, answer("A ticket, which opens the event stream once until it expires.", &ticket))],
            &[400, 401, 403, 408, 413, 415, 422, 429, 503],
        ),
    });
    ("/api/v1/stream-tickets".to_owned(), json!({ "post": operation }))
}

fn token() -> (String, Value) {
    let issued = object(json!({
        "access_token": text(), "token_type": {"type": "string", "const": "Bearer"},
        "expires_in": {"type": "integer", "description": "For how many seconds the token is good."},
        "scope": {"type": "string", "description": "The permissions of the token, such as `read:staff`."},
    }));
    let scope = "Of the permissions of the account, those that the token is to have; all if left out.";
    let mut form = object(json!({"grant_type": {"type": "string", "const": "client_credentials"}}));
    form["properties"]["scope"] = json!({"type": "string", "description": scope});
    for name in ["client_id", "client_secret"] {
        let what = "Unless it is given with HTTP Basic.";
        form["properties"][name] = json!({"type": "string", "description": what});
    }
    let operation = json!({
        "tags": ["sessions"], "operationId": "get-token", "security": [],
        "summary": "Get a token for a service account (OAuth 2.0, client credentials)",
        "requestBody": {"required": true, "content": {"application/x-www-form-urlencoded": {"schema": form}}},
        "responses": answers([(200, answer("The token.", &issued))], &[400, 401, 408, 413, 415, 422, 429, 503]),
    });
    ("/api/v1/oauth/token".to_owned(), json!({ "post": operation }))
}

fn added_secret() -> (String, Value) {
    let told = object(json!({
        "client_id": uuid(), "client_secret": {"type": "string", "description": "Told only once."},
        "secret_id": uuid(), "expires_at": instant(),
    }));
    let summary = "Add a secret to a service account; the last one before stays good for a while";
    let (path, mut item) = posted(
        "/api/v1/service-accounts/{id}/secrets",
        "add-client-secret",
        summary,
        &NewSecret::SHAPE,
        (201, answer("The secret.", &told)),
    );
    item["post"]["parameters"] = json!([parameter("id", "path", &uuid(), "The service account.")]);
    item["post"]["responses"]["404"] = json!({"$ref": "#/components/responses/NotFound"});
    (path, item)
}

fn begun_at_provider() -> (String, Value) {
    let attempt = object(json!({
        "authorization_url": {"type": "string", "description": "Where the browser goes."},
        "state": {"type": "string", "description": "What the provider sends back; the page compares it."},
        "binding": {"type": "string", "description": "What the page keeps until the browser comes back."},
        "expires_at": instant(),
    }));
    let operation = json!({
        "tags": ["sessions"], "operationId": "begin-log-in-at-provider", "security": [],
        "summary": "Begin to log in at the OpenID provider",
        "responses": answers([(201, answer("The attempt.", &attempt))], &[400, 404, 503]),
    });
    ("/api/v1/sessions/openid".to_owned(), json!({ "post": operation }))
}

fn completed_at_provider() -> (String, Value) {
    let answered = (201, answer("The new session.", &new_session()));
    let (path, summary) = ("/api/v1/sessions/openid/complete", "Log in with the word of the OpenID provider");
    let (path, mut item) = posted_by_anybody(path, "complete-log-in-at-provider", summary, &Vouched::SHAPE, answered);
    item["post"]["responses"]["401"] = json!({"$ref": "#/components/responses/Unauthorized"});
    item["post"]["responses"]["404"] = json!({"$ref": "#/components/responses/NotFound"});
    (path, item)
}

fn linked_identity() -> (String, Value) {
    let identity = answer("The identity.", &object(json!({"issuer": text(), "subject": text()})));
    let (path, mut item) = posted(
        "/api/v1/sessions/current/identities",
        "link-own-identity",
        "Link yourself to the identity at the OpenID provider with which you have just logged in there",
        &Vouched::SHAPE,
        (201, identity),
    );
    item["post"]["responses"]["404"] = json!({"$ref": "#/components/responses/NotFound"});
    (path, item)
}
