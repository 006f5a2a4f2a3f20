use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::{Credentials, Failure, LoginFailure};
use serde_json::json;

use super::caller::{LoggedIn, origin};
use super::guesses::{Guess, Guesser, Guesses};
use crate::Hospital;
use crate::problem::Problem;

/// Logs a user in: begins a session.
pub(super) async fn start(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    guesses: web::Data<Guesses>,
    body: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let credentials: Credentials = hims_commands::read(super::commands::parse(&body)?).map_err(Failure::Malformed)?;
    let (ip, agent) = origin(&request);
    let guess = ip.map(|it| guesses.begin(Guesser::Address(it))).transpose()?;
    let started = hospital.login.start(credentials.email.as_str(), &credentials.password, (ip, agent)).await;
    if !matches!(started, Err(LoginFailure::Wrong)) {
        guess.into_iter().for_each(Guess::forgive);
    }
    match started {
        Ok(session) => Ok(HttpResponse::Created().json(json!({
            "token": session.token,
            "expires_at": session.expires_at,
            "user": {"id": session.user_id, "email": session.email, "role": session.role},
        }))),
        Err(LoginFailure::Wrong) => {
            let detail = "the e-mail address or the password is wrong";
            Err(Problem::unauthorized("wrong-credentials", detail))
        }
        Err(LoginFailure::Failure(failure)) => Err(failure.into()),
    }
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
        },
        "permissions": *caller.permissions,
    })))
}

/// Logs the caller out: ends the session.
pub(super) async fn end(hospital: web::Data<Hospital>, logged_in: LoggedIn) -> Result<HttpResponse, Problem> {
    hospital.login.end(&logged_in.token, logged_in.caller).await?;
    Ok(HttpResponse::NoContent().finish())
}
