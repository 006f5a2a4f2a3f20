//! Log-ins at an OpenID provider. A page begins an attempt, sends the browser to the provider, and ends the attempt when
//! the provider has sent the browser back to the page.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::{Identified, LoginFailure, OpenIdAttempt, Vouched};
use serde_json::json;

use super::body;
use super::caller::LoggedIn;
use super::limits::Limits;
use super::origin::origin;
use super::sessions::{begun, failed};
use crate::Hospital;
use crate::problem::Problem;
use crate::provider::{Provider, ProviderError};

/// The provider, if the hospital has one.
type Providers = web::Data<Option<Provider>>;

fn provider(providers: &Providers) -> Result<&Provider, Problem> {
    let detail = "this hospital has no OpenID provider; log in with POST /api/v1/sessions";
    Option::as_ref(providers).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "no-provider", detail))
}

/// Begins an attempt: answers where the browser goes, and what the page keeps until it comes back.
pub(super) async fn begin(
    request: HttpRequest,
    (hospital, providers): (web::Data<Hospital>, Providers),
) -> Result<HttpResponse, Problem> {
    Problem::unless_bare(&request)?;
    let attempt = hospital.login.begin_open_id();
    let address = provider(&providers)?.address_of(&attempt).await?;
    Ok(HttpResponse::Created().json(json!({
        "authorization_url": address.as_str(),
        "state": attempt.state,
        "binding": attempt.binding,
        "expires_at": attempt.expires_at,
    })))
}

/// Ends an attempt: begins a session of the user who is linked to the identity.
pub(super) async fn complete(
    request: HttpRequest,
    (hospital, limits, providers): (web::Data<Hospital>, web::Data<Limits>, Providers),
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let vouched: Vouched = body::of_login(&request, body).await?;
    let (attempt, who) = identified(&hospital, provider(&providers)?, &vouched).await?;
    let (ip, agent) = origin(&request);
    // Of whoever has the word of the provider, only codes of the second factor can be guessed.
    let key = who.identity.key().map(|it| it.join(" ")).unwrap_or_default();
    let guess = limits.guesses.begin(&key, ip, async |_| false).await?;
    let started = hospital.login.start_open_id(&attempt, who, vouched.second_factor, (ip, agent)).await;
    match &started {
        Ok(_) => guess.was_right(),
        Err(LoginFailure::WrongCode | LoginFailure::CodesLocked) => {}
        Err(_) => guess.forgive(),
    }
    started.map(begun).map_err(failed)
}

/// Ends an attempt of a caller who is logged in: links the caller to the identity.
pub(super) async fn link(
    request: HttpRequest,
    (hospital, limits, providers): (web::Data<Hospital>, web::Data<Limits>, Providers),
    logged_in: LoggedIn,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let vouched: Vouched = body::of_login(&request, body).await?;
    let (_, who) = identified(&hospital, provider(&providers)?, &vouched).await?;
    let told = json!({"issuer": who.identity.issuer, "subject": who.identity.subject.known()});
    let link = async |caller| hospital.login.link_open_id(who, caller).await;
    limits.counting(logged_in.caller, hospital.executor.now(), link).await?;
    Ok(HttpResponse::Created().json(told))
}

/// The attempt, and for whom the provider vouches.
async fn identified(
    hospital: &Hospital,
    provider: &Provider,
    vouched: &Vouched,
) -> Result<(OpenIdAttempt, Identified), Problem> {
    let attempt = hospital.login.resume_open_id(vouched).ok_or_else(|| {
        let detail = "state or binding are not those of an attempt of the last 10 minutes; begin again";
        Problem::unauthorized("invalid-attempt", detail)
    })?;
    let who = provider.identify(&attempt, vouched.code.as_str(), hospital.executor.now()).await?;
    Ok((attempt, who))
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Self {
        tracing::warn!(%error, "a log-in at the OpenID provider failed");
        match error {
            ProviderError::Unavailable(_) => {
                Self::unavailable("provider-unavailable", "the OpenID provider did not answer as it should; try again")
            }
            ProviderError::Refused(_) => {
                Self::unauthorized("not-vouched", "the provider did not vouch for this log-in; begin again")
            }
        }
    }
}
