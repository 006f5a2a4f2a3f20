//! How a caller gets a second factor. What the answers hold is told only once.

use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::{Caller, Confirmation, Enrolment, Failure};
use hims_domain::Described;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

use super::body::{self, LARGEST_LOGIN};
use super::caller::LoggedIn;
use super::commands::GUESSED_WRONG;
use super::limits::Limits;
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
    let confirmation: Confirmation = read(&request, body).await?;
    let confirm = async |caller| hospital.login.confirm(confirmation, caller).await;
    let recovery_codes = guessing(&limits, logged_in.caller, confirm).await?;
    Ok(HttpResponse::Ok().json(json!({"recovery_codes": recovery_codes})))
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
    let guess = limits.guesses.begin_for(caller.user_id().map_or_else(Uuid::nil, Uuid::from)).await?;
    let done = attempt(caller).await;
    if !matches!(&done, Err(Failure::Refused(refused)) if GUESSED_WRONG.contains(&refused.code)) {
        guess.forgive();
    }
    done.map_err(|failure| Problem::of_command(failure, false))
}
