use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use hims_commands::{Credentials, Failure, LoginFailure};
use moka::sync::Cache;
use serde_json::json;

use super::caller::{LoggedIn, origin};
use crate::Hospital;
use crate::problem::Problem;

/// Slows down whoever guesses: after too many failed logins from an address within a minute, the next are not even
/// looked at.
pub(crate) struct LoginLimiter {
    failures: Cache<IpAddr, Arc<AtomicU32>>,
    per_minute: u32,
}

const MINUTE: Duration = Duration::from_mins(1);

impl LoginLimiter {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { failures: Cache::builder().max_capacity(100_000).time_to_live(MINUTE).build(), per_minute }
    }

    /// Counts an attempt as failed before it is looked at, so that many at once are not more than one after the other.
    fn count(&self, address: IpAddr) -> Result<Arc<AtomicU32>, Problem> {
        let failures = self.failures.get_with(address, Arc::default);
        if failures.fetch_add(1, Ordering::Relaxed) < self.per_minute {
            return Ok(failures);
        }
        failures.fetch_sub(1, Ordering::Relaxed);
        Err(Problem::too_many(u32::try_from(MINUTE.as_secs()).unwrap_or(u32::MAX)))
    }
}

/// Logs in.
pub(super) async fn start(
    request: HttpRequest,
    hospital: web::Data<Hospital>,
    limiter: web::Data<LoginLimiter>,
    body: web::Bytes,
) -> Result<HttpResponse, Problem> {
    let credentials: Credentials = hims_commands::read(super::commands::parse(&body)?).map_err(Failure::Malformed)?;
    let (ip, agent) = origin(&request);
    let counted = ip.map(|it| limiter.count(it)).transpose()?;
    let started = hospital.login.start(credentials.email.as_str(), &credentials.password, (ip, agent)).await;
    if let Some(failures) = counted.filter(|_| !matches!(started, Err(LoginFailure::Wrong))) {
        failures.fetch_sub(1, Ordering::Relaxed);
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

/// Who am I?
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

/// Logs out.
pub(super) async fn end(hospital: web::Data<Hospital>, logged_in: LoggedIn) -> Result<HttpResponse, Problem> {
    hospital.login.end(&logged_in.token, logged_in.caller).await?;
    Ok(HttpResponse::NoContent().finish())
}
