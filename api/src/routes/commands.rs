use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::IF_MATCH;
use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::{Failure, Request, json_schema};
use hims_domain::{Aggregate as _, ID_RULE, read_id};
use hims_domain::{department::Department, role::Role, session::Session, user::User};
use serde_json::json;
use uuid::Uuid;

use super::body::{self, LARGEST};
use super::caller::LoggedIn;
use super::evenly::{identifies_everybody, refusing_evenly};
use super::limits::{Guess, Limits};
use super::position::at_position;
use crate::Hospital;
use crate::problem::Problem;

/// The codes of the refusals of a command that gave a wrong current password, or a wrong code of a second factor.
pub(super) const GUESSED_WRONG: [&str; 2] = ["wrong-password", WRONG_CODE];
/// The code of the refusal of a command that gave a wrong code of a second factor.
const WRONG_CODE: &str = "wrong-code";
/// The types of the streams that say what a caller may do.
const ACCESS: [&str; 4] = [User::STREAM, Role::STREAM, Department::STREAM, Session::STREAM];

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
            "needs_identity": it.needs_identity,
            "stream_type": it.stream_type,
            "schema": json_schema(&it.shape),
        })
    };
    Ok(HttpResponse::Ok().json(json!({"items": hospital.registry.iter().map(command).collect::<Vec<_>>()})))
}

/// Carries a command out.
pub(super) async fn run(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    name: web::Path<String>,
    logged_in: LoggedIn,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    let command = hospital.registry.get(&name).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "no-such-command",
            "there is no such command; GET /api/v1/commands lists them",
        )
    })?;
    let user = logged_in.caller.user_id().map(Uuid::from);
    if let Some(user) = user {
        limits.refusals.check(user, hospital.executor.now())?;
    }
    let body = body::json(&request, body, LARGEST).await?;
    let _under_way = limits.load.command();
    let identifies_everybody = identifies_everybody(&logged_in);
    let caller = Arc::new(logged_in.caller);
    let context = Request {
        idempotency_key: idempotency_key(&request)?,
        expected_version: if_match(&request)?,
        ..Request::of(Arc::clone(&caller))
    };
    let keyed = context.idempotency_key.is_some();
    let guess = match user.filter(|_| command.compares_password) {
        Some(user) => Some(limits.guesses.begin_for(user).await?),
        None => None,
    };
    let started = Instant::now();
    let carried_out = refusing_evenly(identifies_everybody, command.run(&hospital.executor, body, context)).await;
    let events = carried_out.as_ref().ok().map(|it| it.events.len());
    hospital.readers.slow.tell_command(command.name, started, events);
    let refused = if let Err(Failure::Refused(refused)) = &carried_out { Some(refused.code) } else { None };
    if refused.is_none_or(|it| !GUESSED_WRONG.contains(&it)) {
        // Only a password or a code that was compared and is wrong counts as a guess.
        guess.into_iter().for_each(Guess::forgive);
    }
    if refused == Some(WRONG_CODE) {
        hospital.login.note_wrong_code(&caller).await;
    }
    if let (Some(user), Some(_)) = (user, refused) {
        limits.refusals.spend(user, hospital.executor.now());
    }
    let outcome = carried_out.map_err(|it| Problem::of_command(it, keyed))?;
    if ACCESS.contains(&outcome.stream_type) {
        // What a caller may do, or has to do first, may be different from the next request on.
        hospital.login.forget(outcome.id);
    }
    tracing::Span::current().record("stream", tracing::field::display(outcome.id)).record("position", outcome.position);
    let status = if outcome.began { StatusCode::CREATED } else { StatusCode::OK };
    Ok(at_position(&mut HttpResponse::build(status), &hospital, outcome.position).json(outcome))
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<Uuid>, Problem> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().and_then(|it| read_id(it.trim().trim_matches('"')));
    key.map(Some).ok_or_else(|| Problem::parameter("Idempotency-Key", format!("must be {ID_RULE}")))
}

fn if_match(request: &HttpRequest) -> Result<Option<i32>, Problem> {
    let Some(value) = request.headers().get(IF_MATCH) else { return Ok(None) };
    let version = value.to_str().ok().map(|it| it.trim().trim_start_matches("W/").trim_matches('"')).map(str::parse);
    match version {
        Some(Ok(version)) => Ok(Some(version)),
        _ => Err(Problem::parameter("If-Match", "must be a version in quotation marks, as the header ETag gave it")),
    }
}
