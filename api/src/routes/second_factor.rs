//! How a caller gets a second factor, and proves again who they are. The secret and the recovery codes are told only
//! once.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::{Caller, Enrolment, Failure, FirstCode, LoginFailure, Proof};
use hims_domain::Described;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

use super::body::{self, LARGEST_LOGIN};
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
    let enrolment: Enrolment = read(&request, body).await?;
    let enrol = async |caller| hospital.login.enrol(enrolment, caller).await;
    let enrolled = guessing(&limits, logged_in.caller, enrol).await?;
    Ok(HttpResponse::Created().json(json!({"secret": enrolled.secret, "address": enrolled.address})))
}

/// Confirms the second factor of the caller: answers the recovery codes.
pub(super) async fn confirm(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    logged_in: LoggedIn,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let first: FirstCode = read(&request, body).await?;
    let confirm = async |caller| hospital.login.confirm(first, caller).await;
    let recovery_codes = guessing(&limits, logged_in.caller, confirm).await?;
    Ok(HttpResponse::Ok().json(json!({"recovery_codes": recovery_codes})))
}

/// Proves again who the caller is. A wrong password is answered 422, since the session goes on.
pub(super) async fn prove(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    logged_in: LoggedIn,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let proof: Proof = read(&request, body).await?;
    logged_in.may_read()?;
    let guess = limits.guesses.begin_for(user_of(&logged_in.caller)).await?;
    let proven = hospital.login.confirm_identity(proof, logged_in.caller).await;
    if !matches!(&proven, Err(LoginFailure::Wrong | LoginFailure::WrongCode | LoginFailure::CodesLocked)) {
        guess.forgive();
    }
    let refused = |code, detail| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    match proven {
        Ok(confirmed_until) => Ok(HttpResponse::Ok().json(json!({ "confirmed_until": confirmed_until }))),
        Err(LoginFailure::Failure(failure)) => Err(Problem::of_command(failure, false)),
        Err(LoginFailure::Wrong) => Err(refused("wrong-password", "the password is wrong".to_owned())),
        Err(failure) => Err(refused(code_of(&failure), failure.to_string())),
    }
}

fn user_of(caller: &Caller) -> Uuid {
    caller.user_id().map_or_else(Uuid::nil, Uuid::from)
}

/// Reads the body of a request without query parameters.
async fn read<T: Described + DeserializeOwned>(request: &HttpRequest, body: web::Payload) -> Result<T, Problem> {
    Problem::unless_bare(request)?;
    let body = body::json(request, body, LARGEST_LOGIN).await?;
    Ok(hims_commands::read(body).map_err(Failure::Malformed)?)
}

/// Does something of which a wrong password or code counts as a guess of the caller.
async fn guessing<T>(
    limits: &Limits,
    caller: Caller,
    attempt: impl AsyncFnOnce(Caller) -> Result<T, Failure>,
) -> Result<T, Problem> {
    let guess = limits.guesses.begin_for(user_of(&caller)).await?;
    let done = attempt(caller).await;
    if !matches!(&done, Err(Failure::Refused(refused)) if GUESSED_WRONG.contains(&refused.code)) {
        guess.forgive();
    }
    done.map_err(|failure| Problem::of_command(failure, false))
}
