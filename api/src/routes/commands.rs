use actix_web::http::StatusCode;
use actix_web::http::header::IF_MATCH;
use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::{Request, json_schema};
use hims_domain::Invalid;
use serde_json::{Value, json};
use uuid::Uuid;

use super::caller::LoggedIn;
use super::guesses::{Guess, Guesser, Guesses};
use super::position::POSITION;
use crate::Hospital;
use crate::problem::Problem;

/// Lists every command with its permission and the JSON schema of its body.
pub(super) async fn list(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    _: LoggedIn,
) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    let command = |it: &hims_commands::Entry| {
        json!({
            "name": it.name,
            "description": it.about.trim(),
            "permission": it.permission.to_string(),
            "reversed_by": it.reversed_by,
            "stream_type": it.stream_type,
            "schema": json_schema(&it.shape),
        })
    };
    Ok(HttpResponse::Ok().json(json!({"items": hospital.registry.iter().map(command).collect::<Vec<_>>()})))
}

/// Carries a command out.
pub(super) async fn run(
    request: HttpRequest,
    (hospital, guesses): (web::Data<Hospital>, web::Data<Guesses>),
    name: web::Path<String>,
    logged_in: LoggedIn,
    body: web::Bytes,
) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    let command = hospital.registry.get(&name).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "no-such-command",
            "there is no such command; GET /api/v1/commands lists them",
        )
    })?;
    let body = parse(&body)?;
    let guesser = logged_in.caller.user_id().filter(|_| command.compares_password);
    let guess = guesser.map(|it| guesses.begin(Guesser::User(it.into()))).transpose()?;
    let context = Request {
        idempotency_key: idempotency_key(&request)?,
        expected_version: if_match(&request)?,
        ..Request::of(logged_in.caller)
    };
    let outcome = command.run(&hospital.executor, body, context).await?;
    guess.into_iter().for_each(Guess::forgive);
    tracing::Span::current().record("stream", tracing::field::display(outcome.id)).record("position", outcome.position);
    let status = if outcome.began { StatusCode::CREATED } else { StatusCode::OK };
    Ok(HttpResponse::build(status).insert_header((POSITION, outcome.position.to_string())).json(outcome))
}

/// Reads a JSON body. The message of an error names the place of the fault, never a value.
pub(super) fn parse(body: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("see line {}, column {}", error.line(), error.column());
        let error = Invalid { pointer: String::new(), message };
        Problem::new(StatusCode::BAD_REQUEST, "not-json", "the body is not JSON").with(vec![error])
    })
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<Uuid>, Problem> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().and_then(|it| Uuid::try_parse(it.trim().trim_matches('"')).ok());
    key.map(Some).ok_or_else(|| Problem::parameter("Idempotency-Key", "must be a UUID"))
}

fn if_match(request: &HttpRequest) -> Result<Option<i32>, Problem> {
    let Some(value) = request.headers().get(IF_MATCH) else { return Ok(None) };
    let version = value.to_str().ok().map(|it| it.trim().trim_start_matches("W/").trim_matches('"')).map(str::parse);
    match version {
        Some(Ok(version)) => Ok(Some(version)),
        _ => Err(Problem::parameter("If-Match", "must be a version in quotation marks, as the header ETag gave it")),
    }
}
