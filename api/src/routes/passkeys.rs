//! Passkeys: how people log in with one, prove with one who they are, and make one. Each takes two requests, with what
//! the browser does in between.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::{AskForChallenge, Challenge, LoginFailure, NewPasskey, PasskeyLogin, SignedLogin, SignedProof};
use hims_domain::user::Passkey;
use serde_json::{Value, json};

use super::body;
use super::caller::LoggedIn;
use super::evenly::always_evenly;
use super::limits::Limits;
use super::origin::origin;
use super::second_factor::proved;
use super::sessions::{begun, failed, has_logged_in_from};
use crate::Hospital;
use crate::problem::Problem;

/// The logins with passkeys, if the hospital has any.
fn passkeys(hospital: &Hospital) -> Result<PasskeyLogin<'_>, Problem> {
    let detail = "this hospital has no passkeys, since HIMS_PUBLIC_URL names no page with https; log in with POST \
                  /api/v1/sessions";
    hospital.login.by_passkey().ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "no-passkeys", detail))
}

/// The answer that tells of a challenge.
fn asked(challenge: &Challenge) -> HttpResponse {
    HttpResponse::Created().json(json!({
        "attempt": challenge.attempt,
        "expires_at": challenge.expires_at,
        "options": challenge.options,
    }))
}

/// Begins a login. The answer and its time do not tell whether somebody has the address, or a passkey.
pub(super) async fn begin(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let given: AskForChallenge = body::of_login(&request, body).await?;
    let passkeys = passkeys(&hospital)?;
    let challenge = always_evenly(passkeys.ask(&given)).await.map_err(Problem::of_session)?;
    Ok(asked(&challenge))
}

/// Ends a login: begins a session. What does not hold counts as a wrong password does.
pub(super) async fn complete(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let given: SignedLogin = body::of_login(&request, body).await?;
    let passkeys = passkeys(&hospital)?;
    let (ip, agent) = origin(&request);
    let email = given.email.as_str();
    let has_logged_in_from = async |network| has_logged_in_from(&hospital, email, network).await;
    let guess = limits.guesses.begin(email, ip, has_logged_in_from).await?;
    let started = always_evenly(passkeys.start(&given, (ip, agent))).await;
    match &started {
        Ok(_) => guess.was_right(),
        Err(LoginFailure::Failure(_)) => guess.forgive(),
        Err(_) => {}
    }
    started.map(begun).map_err(failed)
}

/// Begins a proof of who the caller is.
pub(super) async fn begin_proof(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    logged_in.may_read()?;
    let challenge = passkeys(&hospital)?.ask_for_proof(&logged_in.caller).await.map_err(Problem::of_session)?;
    Ok(asked(&challenge))
}

/// Ends a proof of who the caller is.
pub(super) async fn complete_proof(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    logged_in: LoggedIn,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let given: SignedProof = body::of_login(&request, body).await?;
    let passkeys = passkeys(&hospital)?;
    let prove = async |caller| passkeys.confirm_identity(&given, caller).await;
    proved((&hospital, &limits), logged_in, prove).await
}

/// Lists the passkeys of the caller.
pub(super) async fn list(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    logged_in.may_read()?;
    let passkeys = hospital.login.own_passkeys(&logged_in.caller).await.map_err(Problem::of_session)?;
    let told = |it: &Passkey| {
        let (name, added_at, used_at) = (it.name.known(), it.added_at, it.used_at);
        json!({"id": it.passkey_id, "name": name, "added_at": added_at, "used_at": used_at})
    };
    Ok(HttpResponse::Ok().json(json!({"items": passkeys.iter().map(told).collect::<Vec<Value>>()})))
}

/// Begins to give the caller a passkey.
pub(super) async fn begin_making(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    let passkeys = passkeys(&hospital)?;
    let ask = async |caller| passkeys.ask_to_make(&caller).await;
    let challenge = limits.counting(logged_in.caller, hospital.executor.now(), ask).await?;
    Ok(asked(&challenge))
}

/// Gives the caller the passkey that the caller's browser has made.
pub(super) async fn complete_making(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    logged_in: LoggedIn,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let given: NewPasskey = body::of_login(&request, body).await?;
    let passkeys = passkeys(&hospital)?;
    let name = json!(given.name.known());
    let add = async |caller| passkeys.add(given, caller).await;
    let id = limits.counting(logged_in.caller, hospital.executor.now(), add).await?;
    Ok(HttpResponse::Created().json(json!({"id": id, "name": name})))
}
