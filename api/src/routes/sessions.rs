use std::net::IpAddr;

use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use governor::DefaultKeyedRateLimiter;
use governor::clock::Clock as _;
use hims_commands::{LoginFailure, Password};
use serde::Deserialize;
use serde_json::json;

use super::caller::{LoggedIn, origin};
use crate::Hospital;
use crate::problem::Problem;

/// Failed logins, by the address that they came from.
pub(crate) type LoginLimiter = DefaultKeyedRateLimiter<IpAddr>;

/// An address and a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: Password,
}

/// Logs in.
#[post("/sessions")]
pub(super) async fn start(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    limiter: web::Data<LoginLimiter>,
    body: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let credentials: Credentials = super::commands::parse(&body)?;
    let (ip, agent) = origin(&request);
    let limited = ip.map_or(Ok(()), |it| limiter.check_key(&it).map(drop));
    if let Err(until) = limited {
        let wait = until.wait_time_from(governor::clock::DefaultClock::default().now());
        return Err(Problem::too_many(u32::try_from(wait.as_secs() + 1).unwrap_or(60)));
    }
    match hospital.login.start(&credentials.email, &credentials.password, (ip, agent)).await {
        Ok(session) => Ok(HttpResponse::Created().json(json!({
            "token": session.token,
            "expires_at": session.expires_at,
            "user": {"id": session.user_id, "email": session.email, "role": session.role},
        }))),
        Err(LoginFailure::Wrong) => {
            let detail = "the e-mail address or the password is wrong";
            Err(Problem::new(actix_web::http::StatusCode::UNAUTHORIZED, "wrong-credentials", detail))
        }
        Err(LoginFailure::Failure(failure)) => Err(failure.into()),
    }
}

/// Who am I?
#[get("/sessions/current")]
pub(super) async fn current(logged_in: LoggedIn) -> HttpResponse {
    let caller = logged_in.caller;
    HttpResponse::Ok().json(json!({
        "session_id": caller.session_id,
        "user": {
            "id": caller.user_id(),
            "role": caller.role,
            "patient_id": caller.patient_id,
            "department_id": caller.department_id,
            "must_change_password": caller.must_change_password,
        },
        "permissions": caller.permissions,
    }))
}

/// Logs out.
#[delete("/sessions/current")]
pub(super) async fn end(hospital: web::Data<Hospital>, logged_in: LoggedIn) -> Result<HttpResponse, Problem> {
    hospital.login.end(&logged_in.token, logged_in.caller).await?;
    Ok(HttpResponse::NoContent().finish())
}
