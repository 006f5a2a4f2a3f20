//! The paths of passkeys: how people log in with one, prove with one who they are, and make one.

use hims_commands::{AskForChallenge, NewPasskey, SignedLogin, SignedProof};
use hims_domain::Described as _;
use serde_json::{Value, json};

use super::components::{answer, answers, instant, object, text, uuid};
use super::routes::Get;
use super::sessions::{new_session, posted, posted_by_anybody};

/// All paths of this module.
pub(super) fn paths() -> Vec<(String, Value)> {
    let paths = [begun_login(), completed_login(), own_passkeys(), added_passkey(), begun_proof(), completed_proof()];
    let or_none = |(path, mut item): (String, Value)| {
        item["post"]["responses"]["404"] = json!({"$ref": "#/components/responses/NotFound"});
        (path, item)
    };
    paths.into_iter().map(or_none).collect()
}

/// What is told of a challenge, whose options are those of a method of `navigator.credentials`.
fn challenge(method: &str) -> Value {
    let options = format!("The options of `navigator.credentials.{method}`, as JSON (WebAuthn, level 3).");
    let told = object(json!({
        "attempt": {"type": "string", "description": "What the page sends back with what the browser made."},
        "expires_at": instant(),
        "options": {"type": "object", "additionalProperties": true, "description": options},
    }));
    answer("The challenge.", &told)
}

fn begun_login() -> (String, Value) {
    let summary = "Begin to log in with a passkey; nothing tells whether somebody has the address";
    let answered = (201, challenge("get"));
    posted_by_anybody(
        "/api/v1/sessions/passkeys",
        "begin-log-in-with-passkey",
        summary,
        &AskForChallenge::SHAPE,
        answered,
    )
}

fn completed_login() -> (String, Value) {
    let answered = (201, answer("The new session.", &new_session()));
    let (path, summary) = ("/api/v1/sessions/passkeys/complete", "Log in with a passkey");
    let (path, mut item) = posted_by_anybody(path, "log-in-with-passkey", summary, &SignedLogin::SHAPE, answered);
    item["post"]["responses"]["401"] = json!({"$ref": "#/components/responses/Unauthorized"});
    (path, item)
}

/// An operation of somebody who is logged in, without a body.
fn begun(id: &str, summary: &str, answered: Value) -> Value {
    json!({
        "tags": ["sessions"], "operationId": id, "summary": summary,
        "responses": answers([(201, answered)], &[400, 401, 403, 409, 429, 503]),
    })
}

fn own_passkeys() -> (String, Value) {
    let passkey = object(json!({
        "id": uuid(), "name": {"type": ["string", "null"]}, "added_at": instant(),
        "used_at": {"type": ["string", "null"], "format": "date-time"},
    }));
    let all = answer("The passkeys, the oldest first.", &object(json!({"items": {"type": "array", "items": passkey}})));
    let path = "/api/v1/sessions/current/passkeys";
    let listed = Get(path, "sessions", "list-own-passkeys", "Your passkeys");
    let (path, mut item) = listed.answers(&[], all, &[400, 401, 403, 429, 503]);
    item["post"] = begun("begin-passkey", "Begin to make a passkey", challenge("create"));
    (path, item)
}

fn added_passkey() -> (String, Value) {
    let added = answer("The passkey.", &object(json!({"id": uuid(), "name": text()})));
    let path = "/api/v1/sessions/current/passkeys/complete";
    posted(path, "add-passkey", "Add the passkey that the browser has made", &NewPasskey::SHAPE, (201, added))
}

fn begun_proof() -> (String, Value) {
    let operation = begun("begin-proof-with-passkey", "Begin to prove with a passkey who you are", challenge("get"));
    ("/api/v1/sessions/current/confirm/passkey".to_owned(), json!({ "post": operation }))
}

fn completed_proof() -> (String, Value) {
    let answered = (200, answer("The identity is confirmed.", &object(json!({ "confirmed_until": instant() }))));
    let (path, id) = ("/api/v1/sessions/current/confirm/passkey/complete", "confirm-identity-with-passkey");
    posted(path, id, "Prove with a passkey who you are, for commands that need it", &SignedProof::SHAPE, answered)
}
