//! Errors as problem details (RFC 9457). Never a stack trace, never a personal value.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use hims_commands::{Failure, Kind};
use hims_domain::Invalid;
use hims_event_store::StoreError;
use hims_projections::query::QueryError;
use serde_json::json;
use uuid::Uuid;

/// An answer that is none.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<Invalid>,
    candidates: Vec<Uuid>,
    hint: Option<Hint>,
}

/// What else a client is told, in a header.
#[derive(Debug, Clone, Copy)]
enum Hint {
    /// After how many seconds to repeat.
    RetryAfter(u32),
    /// How to say who asks.
    Authenticate,
    /// Which methods the route takes.
    Allow(&'static str),
}

impl Hint {
    fn header(self) -> (HeaderName, String) {
        match self {
            Self::RetryAfter(seconds) => (RETRY_AFTER, seconds.to_string()),
            Self::Authenticate => (WWW_AUTHENTICATE, "Bearer".to_owned()),
            Self::Allow(methods) => (ALLOW, methods.to_owned()),
        }
    }
}

impl Problem {
    /// A problem without fields.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let (errors, candidates) = (Vec::new(), Vec::new());
        Self { status, code, detail: detail.into(), errors, candidates, hint: None }
    }

    /// The same, with the fields at fault.
    #[must_use]
    pub(crate) fn with(self, errors: Vec<Invalid>) -> Self {
        Self { errors, ..self }
    }

    /// A parameter of the query that cannot be used.
    pub(crate) fn parameter(name: &str, message: impl Into<String>) -> Self {
        let error = Invalid { pointer: format!("/{name}"), message: message.into() };
        Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", "a parameter cannot be used; see errors")
            .with(vec![error])
    }

    /// A route that takes no parameters.
    pub(crate) fn unless_bare(request: &HttpRequest) -> Result<(), Self> {
        match request.query_string().split(['=', '&']).next() {
            None | Some("") => Ok(()),
            Some(name) => Err(Self::parameter(name, "is not a parameter of this route")),
        }
    }

    /// Nothing is here.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here, or nothing that the caller may see")
    }

    /// The caller may not.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// Nobody is logged in.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "log in with POST /api/v1/sessions and send the token as Authorization: Bearer …";
        Self::unauthorized("unauthenticated", detail)
    }

    /// No token or password, or a wrong one.
    pub(crate) fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self { hint: Some(Hint::Authenticate), ..Self::new(StatusCode::UNAUTHORIZED, code, detail) }
    }

    /// The route is there, but not for this method.
    pub(crate) fn method_not_allowed(methods: &'static str) -> Self {
        let detail = format!("this route takes {methods}");
        Self {
            hint: Some(Hint::Allow(methods)),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
        }
    }

    /// Not now.
    pub(crate) fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self { hint: Some(Hint::RetryAfter(1)), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail) }
    }

    /// Too often.
    pub(crate) fn too_many(seconds: u32) -> Self {
        let detail = "too many attempts; wait before the next";
        Self {
            hint: Some(Hint::RetryAfter(seconds)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail)
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        if let Some(hint) = self.hint {
            response.insert_header(hint.header());
        }
        let mut body = json!({
            "type": format!("urn:hims:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        if !self.errors.is_empty() {
            let error = |it: &Invalid| json!({"pointer": it.pointer, "message": it.message});
            body["errors"] = self.errors.iter().map(error).collect();
        }
        if !self.candidates.is_empty() {
            body["candidates"] = json!(self.candidates);
        }
        // `instance` and `request_id` are added by the middleware, which knows the request.
        response.json(body)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Malformed(hims_commands::Malformed::Form(errors)) => Self::new(
                StatusCode::BAD_REQUEST,
                "malformed-request",
                "the body is not of the form that is asked for; see errors",
            )
            .with(errors),
            Failure::Malformed(hims_commands::Malformed::Codes(errors)) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-fields",
                "some fields do not keep their rules; see errors",
            )
            .with(errors),
            Failure::Refused(refused) => {
                let status = match refused.kind {
                    Kind::Rule => StatusCode::UNPROCESSABLE_ENTITY,
                    Kind::Conflict => StatusCode::CONFLICT,
                    Kind::Missing => StatusCode::NOT_FOUND,
                    Kind::Forbidden => StatusCode::FORBIDDEN,
                    Kind::Stale => StatusCode::PRECONDITION_FAILED,
                };
                let problem = Self::new(status, refused.code, refused.detail).with(refused.errors);
                Self { candidates: refused.candidates, ..problem }
            }
            Failure::Overloaded => Self::unavailable("overloaded", "too much is waiting; try again"),
            Failure::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if let StoreError::Unreadable { .. } = error {
            tracing::error!(%error, "an event cannot be read");
            let detail = "an event of this record cannot be read by this version of the program; tell an operator";
            return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", detail);
        }
        tracing::error!(%error, "the log did not answer");
        let detail = "the event log did not answer; repeat with the same Idempotency-Key";
        Self::unavailable("unavailable", detail)
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Value => {
                Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", "a value is not of its column's type")
            }
            error @ QueryError::Behind(_) => {
                tracing::warn!(%error, "the read tables are being made anew");
                Self::unavailable("read-model-behind", "these read tables are being made; try again")
            }
            error @ (QueryError::Swapped | QueryError::Database(_)) => {
                tracing::error!(%error, "the read tables did not answer");
                Self::unavailable("unavailable", "the read tables did not answer; try again")
            }
        }
    }
}
