use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::{Credentials, LoggedIn as Session, LoginFailure};
use hims_projections::query;
use secrecy::ExposeSecret as _;
use serde_json::json;
use uuid::Uuid;

use super::body;
use super::caller::LoggedIn;
use super::limits::{KNOWN_FOR, Limits, Network};
use super::origin::origin;
use crate::Hospital;
use crate::problem::Problem;

/// Logs a user in: begins a session. Only a password or a code that was compared and is wrong counts as a guess.
pub(super) async fn start(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    limits: web::Data<Limits>,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let Credentials { email, password, code } = body::of_login(&request, body).await?;
    let (ip, agent) = origin(&request);
    let has_logged_in_from = async |network| has_logged_in_from(&hospital, email.as_str(), network).await;
    let guess = limits.guesses.begin(email.as_str(), ip, has_logged_in_from).await?;
    let started = hospital.login.start(email.as_str(), &password, code.as_ref(), (ip, agent)).await;
    match &started {
        Ok(_) => guess.was_right(),
        Err(LoginFailure::Failure(_) | LoginFailure::CodeNeeded | LoginFailure::PasskeyNeeded) => guess.forgive(),
        Err(_) => {}
    }
    started.map(begun).map_err(failed)
}

/// The answer that tells of a new session.
#[expect(clippy::needless_pass_by_value, reason = "the token is told once")]
pub(super) fn begun(session: Session) -> HttpResponse {
    HttpResponse::Created().json(json!({
        "token": session.token.expose_secret(),
        "expires_at": session.expires_at,
        "user": {"id": session.user_id, "email": session.email, "role": session.role},
    }))
}

/// The problem of a login that failed.
pub(super) fn failed(failure: LoginFailure) -> Problem {
    match failure {
        LoginFailure::Failure(failure) => Problem::of_session(failure),
        failure => Problem::unauthorized(code_of(&failure), failure.to_string()),
    }
}

/// The code of the problem of a login that failed.
pub(super) fn code_of(failure: &LoginFailure) -> &'static str {
    match failure {
        LoginFailure::Wrong => "wrong-credentials",
        LoginFailure::CodeNeeded => "second-factor-needed",
        LoginFailure::WrongCode => "wrong-code",
        LoginFailure::CodesLocked => "second-factor-locked",
        LoginFailure::NotLinked => "not-linked",
        LoginFailure::NoRole => "no-role",
        LoginFailure::WrongPasskey => "wrong-passkey",
        LoginFailure::AttemptOver => "invalid-attempt",
        LoginFailure::PasskeyNeeded => "passkey-needed",
        LoginFailure::Failure(_) => "unavailable",
    }
}

/// Whether the user who has an e-mail address has logged in from a network before, as the sessions of the last weeks
/// say. An address that nobody has costs the same work, so that the time of the answer does not tell who has one.
pub(super) async fn has_logged_in_from(hospital: &Hospital, email: &str, network: Network) -> bool {
    let Ok(user) = hospital.login.user_with(email).await else { return false };
    let (user, since) = (user.map_or_else(Uuid::nil, Uuid::from), hospital.executor.now() - KNOWN_FOR);
    let addresses = network.addresses();
    let sessions = async |db: &mut _| query::has_begun_session(db, user, addresses, since).await;
    hospital.readers.read("sessions", sessions).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the sessions could not be read, so that a user counts as a stranger");
        false
    })
}

/// Answers who the caller is.
pub(super) async fn current(request: HttpRequest, logged_in: LoggedIn) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    let caller = logged_in.caller;
    Ok(HttpResponse::Ok().json(json!({
        "session_id": caller.session_id,
        "user": {
            "id": caller.user_id(),
            "role": caller.role,
            "patient_id": caller.patient_id,
            "department_id": caller.department_id,
            "must_change_password": caller.must_change_password,
            "must_enrol_second_factor": caller.must_enrol_second_factor,
        },
        "permissions": *caller.permissions,
    })))
}

/// Logs the caller out: ends the session.
pub(super) async fn end(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    logged_in: LoggedIn,
) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    hospital.login.end(&logged_in.token_hash, logged_in.caller).await.map_err(Problem::of_session)?;
    Ok(HttpResponse::NoContent().finish())
}
