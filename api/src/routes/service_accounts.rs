//! Programs that log in: the secrets of service accounts, which are told once, and the tokens that programs get for them
//! (OAuth 2.0, RFC 6749).

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hims_commands::{ClientCredentials, LoginFailure, NewSecret, Password};
use hims_domain::role::Permissions;
use hims_domain::{UserId, read_id};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::body::{self, LARGEST_LOGIN};
use super::caller::LoggedIn;
use super::limits::Limits;
use super::origin::origin;
use super::parameters::{Parameters, id_of_path};
use crate::Hospital;
use crate::problem::{OAuthError, Problem};

/// Adds a secret to a service account, and tells it.
pub(super) async fn add_secret(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    id: web::Path<String>,
    logged_in: LoggedIn,
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let user_id = UserId(id_of_path(&id)?);
    let asked: NewSecret = body::of_login(&request, body).await?;
    let add = async |caller| hospital.login.add_client_secret(user_id, &asked, caller).await;
    let added = limits.counting(logged_in.caller, hospital.executor.now(), add).await?;
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(json!({
        "client_id": user_id,
        "client_secret": added.secret.expose_secret(),
        "secret_id": added.secret_id,
        "expires_at": added.expires_at,
    })))
}

/// Gives a program a token for the secret of its service account. Only a secret that was compared and is wrong counts as
/// a guess.
pub(super) async fn token(
    request: HttpRequest,
    (hospital, limits): (web::Data<Hospital>, web::Data<Limits>),
    body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let invalid = |problem: Problem| problem.of_oauth(OAuthError::InvalidRequest);
    Problem::unless_bare(&request).map_err(invalid)?;
    let form = body::form(&request, body, LARGEST_LOGIN).await.map_err(invalid)?;
    let given = credentials(&request, form)?;
    let (ip, agent) = origin(&request);
    let guess = limits.guesses.begin(&given.client_id.to_string(), ip, async |_| false).await?;
    let started = hospital.login.start_service(given, (ip, agent)).await;
    match &started {
        Ok(_) => guess.was_right(),
        Err(LoginFailure::Failure(_)) => guess.forgive(),
        Err(_) => {}
    }
    match started {
        Ok(it) => Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
            "access_token": it.token.expose_secret(),
            "token_type": "Bearer",
            "expires_in": it.lasts.as_secs(),
            "scope": it.permissions.to_text(),
        }))),
        Err(LoginFailure::Failure(failure)) => Err(Problem::of_session(failure)),
        Err(_) => {
            let detail = "the client_id or the client_secret is wrong, or not good any more";
            Err(Problem::unauthorized("wrong-credentials", detail).of_oauth(OAuthError::InvalidClient))
        }
    }
}

/// What a program asks for, and the id and the secret that it gives, in the header `Authorization` or in the form.
fn credentials(request: &HttpRequest, mut form: Parameters) -> Result<ClientCredentials, Problem> {
    let mut take = |name| form.take(name, "a text", |it| Some(it.to_owned()));
    let (grant, scope) = (take("grant_type")?, take("scope")?);
    let in_form = (take("client_id")?, take("client_secret")?);
    form.none_left().map_err(|it| it.of_oauth(OAuthError::InvalidRequest))?;
    let bad = |code, detail: &str, oauth| Problem::new(StatusCode::BAD_REQUEST, code, detail).of_oauth(oauth);
    if grant.as_deref() != Some("client_credentials") {
        let detail = "grant_type must be client_credentials";
        return Err(bad("unsupported-grant", detail, OAuthError::UnsupportedGrantType));
    }
    let scopes = match scope.as_deref().map(Permissions::parse) {
        Some(None) => {
            return Err(bad(
                "invalid-scope",
                "scope must name permissions, such as read:staff",
                OAuthError::InvalidScope,
            ));
        }
        Some(scopes) => scopes.filter(|it| !it.is_empty()),
        None => None,
    };
    let missing = || {
        let detail = "give client_id and client_secret with HTTP Basic, or in the form, and not in both";
        bad("no-credentials", detail, OAuthError::InvalidRequest)
    };
    let (id, secret) = match (in_header(request), in_form) {
        (Some(given), (None, None)) => given,
        (None, (Some(id), Some(secret))) => (id, secret),
        _ => return Err(missing()),
    };
    // An id that can be nobody's is as wrong as one that is nobody's.
    let client_id = UserId(read_id(&id).unwrap_or_default());
    Ok(ClientCredentials { client_id, secret: Password::new(&secret), scopes })
}

/// The id and the secret in the header `Authorization: Basic …` (RFC 7617).
fn in_header(request: &HttpRequest) -> Option<(String, String)> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    let text = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (id, secret) = std::str::from_utf8(&text).ok()?.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
