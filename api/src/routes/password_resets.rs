//! New passwords by e-mail, for whoever forgot theirs.

use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::{AskForReset, ChosenPassword, Failure};

use super::body;
use super::evenly::always_evenly;
use super::limits::Limits;
use super::origin::origin;
use crate::Hospital;
use crate::problem::Problem;

/// Sends an e-mail with a link to whoever has an address. The answer is the same if nobody has it. Every request counts
/// as a wrong password does at a login, but apart from these.
pub(super) async fn ask(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let asked: AskForReset = body::of_login(&request, body).await?;
    let origin = origin(&request);
    let _counted = limits.resets.begin(asked.email.as_str(), origin.0, async |_| false).await?;
    always_evenly(hospital.login.ask_for_reset(&asked, origin)).await.map_err(Problem::of_session)?;
    Ok(HttpResponse::Accepted().finish())
}

/// Sets the password that somebody chose with the link in an e-mail.
pub(super) async fn complete(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let chosen: ChosenPassword = body::of_login(&request, body).await?;
    let origin = origin(&request);
    // The links that are tried from one address count together, whomever they are for.
    let from = origin.0.map(|it| it.to_string()).unwrap_or_default();
    let guess = limits.resets.begin(&from, origin.0, async |_| false).await?;
    let completed = hospital.login.complete_reset(chosen, origin).await;
    if !matches!(&completed, Err(Failure::Refused(refused)) if refused.code == "reset-over") {
        guess.forgive();
    }
    completed.map_err(Problem::of_session)?;
    Ok(HttpResponse::NoContent().finish())
}
