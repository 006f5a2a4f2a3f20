//! How a caller gets a second factor, and proves again who they are. The secret and the recovery codes are told only
//! once.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use hims_commands::{Caller, Enrolment, Failure, FirstCode, LoginFailure, Proof};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::body;
use super::caller::LoggedIn;
use super::commands::GUESSED_WRONG;
use super::limits::Limits;
use super::sessions::code_of;
use crate::Hospital;
use crate::problem::Problem;

/// Begins to give the caller a second factor: answers its secret.
pub(super) async fn enrol(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    logged_in: LoggedIn,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let enrolment: Enrolment = body::of_login(&request, body).await?;
    let enrol = async |caller| hospital.login.enrol(enrolment, caller).await;
    let enrolled = guessing((&hospital, &limits), logged_in.caller, enrol).await?;
    Ok(HttpResponse::Created().json(json!({
        "secret": enrolled.secret.expose_secret(),
        "address": enrolled.address.expose_secret(),
    })))
}

/// Confirms the second factor of the caller: answers the recovery codes.
pub(super) async fn confirm(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    logged_in: LoggedIn,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let first: FirstCode = body::of_login(&request, body).await?;
    let confirm = async |caller| hospital.login.confirm(first, caller).await;
    let recovery_codes = guessing((&hospital, &limits), logged_in.caller, confirm).await?;
    Ok(HttpResponse::Ok().json(json!({"recovery_codes": recovery_codes})))
}

/// Proves again who the caller is. A wrong password is answered 422, since the session goes on.
pub(super) async fn prove(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    logged_in: LoggedIn,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let proof: Proof = body::of_login(&request, body).await?;
    let prove = async |caller| hospital.login.confirm_identity(proof, caller).await;
    proved((&hospital, &limits), logged_in, prove).await
}

/// Carries out a proof of who the caller is, of which what is wrong counts as a guess of the caller.
pub(super) async fn proved(
    (hospital, limits): (&Hospital, &Limits),
    logged_in: LoggedIn,
    prove: impl AsyncFnOnce(Caller) -> Result<DateTime<Utc>, LoginFailure>,
) -> Result<HttpResponse, Problem> {
    let (user, now) = (logged_in.caller.whose_share(), hospital.executor.now());
    limits.refusals.check(user, now)?;
    logged_in.may_read().inspect_err(|_| limits.refusals.spend(user, now))?;
    let guess = limits.guesses.begin_for(user).await?;
    let proven = prove(logged_in.caller).await;
    let is_guess = |it: &LoginFailure| {
        use LoginFailure::{AttemptOver, CodesLocked, Wrong, WrongCode, WrongPasskey};
        matches!(it, Wrong | WrongCode | CodesLocked | WrongPasskey | AttemptOver)
    };
    if !proven.as_ref().is_err_and(is_guess) {
        guess.forgive();
    }
    if !matches!(&proven, Ok(_) | Err(LoginFailure::Failure(_))) {
        limits.refusals.spend(user, now);
    }
    let refused = |code, detail| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    match proven {
        Ok(confirmed_until) => Ok(HttpResponse::Ok().json(json!({ "confirmed_until": confirmed_until }))),
        Err(LoginFailure::Failure(failure)) => Err(Problem::of_command(failure, false)),
        Err(LoginFailure::Wrong) => Err(refused("wrong-password", "the password is wrong".to_owned())),
        Err(failure) => Err(refused(code_of(&failure), failure.to_string())),
    }
}

/// Does something of which a wrong password or code counts as a guess of the caller.
async fn guessing<T>(
    (hospital, limits): (&Hospital, &Limits),
    caller: Caller,
    attempt: impl AsyncFnOnce(Caller) -> Result<T, Failure>,
) -> Result<T, Problem> {
    let guessed = async |caller: Caller| {
        let guess = limits.guesses.begin_for(caller.whose_share()).await;
        let guess = match guess {
            Ok(guess) => guess,
            Err(problem) => return Ok(Err(problem)),
        };
        let done = attempt(caller).await;
        if !matches!(&done, Err(Failure::Refused(refused)) if GUESSED_WRONG.contains(&refused.code)) {
            guess.forgive();
        }
        done.map(Ok)
    };
    limits.counting(caller, hospital.executor.now(), guessed).await?
}
