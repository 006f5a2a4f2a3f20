use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use hims_commands::{LoginFailure, Password};
use moka::sync::Cache;
use serde::Deserialize;
use serde_json::json;

use super::caller::{LoggedIn, origin};
use crate::Hospital;
use crate::problem::Problem;

/// Slows down whoever guesses: after too many failed logins from an address, the next are not even looked at.
pub(crate) struct LoginLimiter {
    failures: DefaultKeyedRateLimiter<IpAddr>,
    blocked: Cache<IpAddr, ()>,
}

/// How long an address is blocked.
const BLOCKED: Duration = Duration::from_secs(30);

/// From so many addresses on, those that failed long ago are forgotten.
const REMEMBERED: usize = 10_000;

impl LoginLimiter {
    pub(crate) fn new(failures_per_minute: NonZeroU32) -> Self {
        let blocked = Cache::builder().max_capacity(100_000).time_to_live(BLOCKED).build();
        Self { failures: RateLimiter::keyed(Quota::per_minute(failures_per_minute)), blocked }
    }

    fn check(&self, address: IpAddr) -> Result<(), Problem> {
        if self.blocked.contains_key(&address) {
            return Err(Problem::too_many(u32::try_from(BLOCKED.as_secs()).unwrap_or(u32::MAX)));
        }
        Ok(())
    }

    fn failed(&self, address: IpAddr) {
        if self.failures.len() > REMEMBERED {
            self.failures.retain_recent();
        }
        if self.failures.check_key(&address).is_err() {
            self.blocked.insert(address, ());
        }
    }
}

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
    if let Some(address) = ip {
        limiter.check(address)?;
    }
    match hospital.login.start(&credentials.email, &credentials.password, (ip, agent)).await {
        Ok(session) => Ok(HttpResponse::Created().json(json!({
            "token": session.token,
            "expires_at": session.expires_at,
            "user": {"id": session.user_id, "email": session.email, "role": session.role},
        }))),
        Err(LoginFailure::Wrong) => {
            if let Some(address) = ip {
                limiter.failed(address);
            }
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
