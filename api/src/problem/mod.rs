//! Errors as problem details (RFC 9457). Never a stack trace, never a personal value.

mod advice;
mod oauth;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use hims_commands::{Failure, Kind};
use hims_domain::Invalid;
use hims_event_store::StoreError;
use hims_projections::query::QueryError;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use oauth::OAuthError;

/// An error as it is answered: its status, code and detail, and where they apply the fields at fault, the ids of
/// possible duplicates, and a header.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<Invalid>,
    candidates: Vec<Uuid>,
    hint: Option<Hint>,
    /// The error as OAuth names it, for programs that know nothing else.
    oauth: Option<OAuthError>,
}

/// A header that tells the client how to go on.
#[derive(Debug, Clone, Copy)]
enum Hint {
    /// `Retry-After`: after how many seconds to repeat the request.
    RetryAfter(u32),
    /// `WWW-Authenticate`: send a bearer token.
    Authenticate,
    /// `Allow`: which methods the route accepts.
    Allow(&'static str),
}

/// After how many seconds a command may be repeated that was refused too often.
const AN_HOUR: u32 = 3_600;

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
    /// A problem without fields at fault and without a header.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let (errors, candidates) = (Vec::new(), Vec::new());
        Self { status, code, detail: detail.into(), errors, candidates, hint: None, oauth: None }
    }

    /// The problem with the fields at fault.
    #[must_use]
    pub(crate) fn with(self, errors: Vec<Invalid>) -> Self {
        Self { errors, ..self }
    }

    /// The problem with its name in OAuth, as the member `error`.
    #[must_use]
    pub(crate) fn of_oauth(self, error: OAuthError) -> Self {
        Self { oauth: Some(error), ..self }
    }

    /// A parameter of the request that cannot be used.
    pub(crate) fn parameter(name: &str, message: impl Into<String>) -> Self {
        let error = Invalid::new(format!("/{name}"), message);
        Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", "a parameter cannot be used; see errors")
            .with(vec![error])
    }

    /// Refuses query parameters, for a route that takes none.
    pub(crate) fn unless_bare(request: &HttpRequest) -> Result<(), Self> {
        match request.query_string().split(['=', '&']).next() {
            None | Some("") => Ok(()),
            Some(name) => Err(Self::parameter(name, "is not a parameter of this route")),
        }
    }

    /// There is nothing here, or nothing that the caller may see.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here, or nothing that the caller may see")
    }

    /// The caller's roles do not allow the request.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// The request has no session.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "log in with POST /api/v1/sessions and send the token as Authorization: Bearer …";
        Self::unauthorized("unauthenticated", detail)
    }

    /// The ticket for an event stream is none, or is not good any more.
    pub(crate) fn no_ticket() -> Self {
        let detail = "this ticket was used, is too old, or is not for this stream; ask for another one with \
                      POST /api/v1/stream-tickets";
        Self::unauthorized("invalid-ticket", detail)
    }

    /// The token or password is missing or wrong.
    pub(crate) fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self { hint: Some(Hint::Authenticate), ..Self::new(StatusCode::UNAUTHORIZED, code, detail) }
    }

    /// The route exists, but does not accept this method.
    pub(crate) fn method_not_allowed(methods: &'static str) -> Self {
        let detail = format!("this route accepts only {methods}");
        Self {
            hint: Some(Hint::Allow(methods)),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
        }
    }

    /// The server cannot answer now. The client should repeat the request after a second.
    pub(crate) fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self { hint: Some(Hint::RetryAfter(1)), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail) }
    }

    /// A limit refuses the request. The client should repeat the request after this time.
    pub(crate) fn too_many(wait: Duration, detail: impl Into<String>) -> Self {
        let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
        Self {
            hint: Some(Hint::RetryAfter(seconds)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail)
        }
    }

    /// The request has a `Content-Encoding`: a small body could grow without bounds when it is decompressed.
    pub(crate) fn encoded() -> Self {
        let detail = "send the body as it is: this server reads no body with a Content-Encoding";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-content-encoding", detail)
    }

    /// The request needs something of HTTP that this server does not have.
    pub(crate) fn not_implemented(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not-implemented", detail)
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code of the problem.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The JSON body of the answer, without `instance` and `request_id`, which depend on the request.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "type": format!("urn:hims:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        if let Some(error) = self.oauth {
            body["error"] = json!(error.name());
            body["error_description"] = json!(self.detail);
        }
        if !self.errors.is_empty() {
            let mut listed = Vec::new();
            let mut bytes = 0;
            for error in self.errors.iter().take(MOST_ERRORS.0) {
                let mut told = json!({"pointer": answered(&error.pointer), "message": error.message});
                if let Some(code) = error.code {
                    told["code"] = json!(code);
                }
                bytes += told.to_string().len();
                if bytes > MOST_ERRORS.1 {
                    break;
                }
                listed.push(told);
            }
            let more = self.errors.len() - listed.len();
            if more > 0 {
                body["detail"] = json!(format!("{}; {more} more faults are not listed", self.detail));
            }
            body["errors"] = json!(listed);
        }
        if !self.candidates.is_empty() {
            body["candidates"] = self.candidates.iter().take(MOST_CANDIDATES).map(|it| json!(it)).collect();
        }
        body
    }
}

/// How many fields at fault an answer names at most, and how many bytes they take at most: an answer stays below 64
/// KiB.
const MOST_ERRORS: (usize, usize) = (100, 40 * 1024);
/// How many ids of possible duplicates an answer names at most.
const MOST_CANDIDATES: usize = 200;
/// How many bytes the pointer to a field has at most.
const LONGEST_POINTER: usize = 200;

/// The pointer as it is answered. The names of unknown fields come from the request, so names that do not look like a
/// field's name are left out: the pointer ends at the object in which they stand.
fn answered(pointer: &str) -> &str {
    let is_name = |name: &str| {
        name.len() <= 64 && name.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.'))
    };
    let mut end = 0;
    for segment in pointer.split_inclusive('/').skip(1) {
        let next = end + 1 + segment.trim_end_matches('/').len();
        if next > LONGEST_POINTER || !is_name(segment.trim_end_matches('/')) {
            break;
        }
        end = next;
    }
    &pointer[..end]
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
        response.json(self.body())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Malformed(hims_commands::Malformed::Form(errors)) => Self::new(
                StatusCode::BAD_REQUEST,
                "malformed-request",
                "the body does not have the required form; see errors",
            )
            .with(errors),
            Failure::Malformed(hims_commands::Malformed::Codes(errors)) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-fields",
                "some fields break their rules; see errors",
            )
            .with(errors),
            Failure::Refused(refused) => {
                let status = match refused.kind {
                    Kind::Rule => StatusCode::UNPROCESSABLE_ENTITY,
                    Kind::Conflict => StatusCode::CONFLICT,
                    Kind::Missing => StatusCode::NOT_FOUND,
                    Kind::Forbidden => StatusCode::FORBIDDEN,
                    Kind::Stale => StatusCode::PRECONDITION_FAILED,
                    Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
                };
                let problem = Self::new(status, refused.code, refused.detail).with(refused.errors);
                let hint = (refused.kind == Kind::TooMany).then_some(Hint::RetryAfter(AN_HOUR));
                Self { candidates: refused.candidates, hint, ..problem }
            }
            Failure::Overloaded => Self::unavailable("overloaded", "too many requests are waiting; try again"),
            Failure::Outdated => Self::unavailable(
                "newer-release",
                "a newer release works with this database, so this node records nothing any more; ask another node",
            ),
            Failure::Mistake(mistake) => {
                tracing::error!(%mistake, "a command has a mistake in its program");
                let detail = "the program has a mistake, so that the command cannot be carried out; tell an operator";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "mistake-in-the-program", detail)
            }
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
        if let StoreError::WrongClock { .. } = error {
            tracing::error!(%error, "a command was not carried out");
            let detail = "the clock of this server is wrong, so that it records nothing; tell an operator";
            return Self::unavailable("node-clock-wrong", detail);
        }
        tracing::error!(%error, "the log did not answer");
        match error {
            StoreError::DiskFull => {
                Self::unavailable("unavailable", "the disk of the event log is full; tell an operator")
            }
            _ => Self::unavailable("unavailable", "the event log did not answer; try again"),
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Value => {
                Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", "a value does not have the type of its column")
            }
            error @ QueryError::Behind(_) => {
                tracing::warn!(%error, "the read tables are being made anew");
                Self::unavailable(
                    "read-model-behind",
                    "the read tables that the request needs are being made; try again",
                )
            }
            error @ (QueryError::Swapped | QueryError::Database(_)) => {
                tracing::error!(%error, "the read tables did not answer");
                Self::unavailable("unavailable", "the read tables did not answer; try again")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody as _;

    use super::*;

    fn body(problem: &Problem) -> (usize, Value) {
        let bytes = problem.error_response().into_body().try_into_bytes().expect("a problem is not streamed");
        (bytes.len(), serde_json::from_slice(&bytes).expect("a problem is JSON"))
    }

    #[test]
    fn an_answer_is_short_however_many_fields_are_at_fault() {
        let error = |number: usize| {
            let pointer = format!("/items/{number}/{}", "long_name_".repeat(20));
            Invalid::new(pointer, "is not a field of this request".repeat(10))
        };
        let problem = Problem::new(StatusCode::BAD_REQUEST, "malformed-request", "see errors");
        let (length, body) = body(&problem.with((0..60_000).map(error).collect()));
        assert!(length < 64 * 1024, "{length}");
        assert_eq!(body["errors"].as_array().map(Vec::len), Some(MOST_ERRORS.0));
        assert_eq!(body["detail"], "see errors; 59900 more faults are not listed");
    }

    #[test]
    fn an_answer_is_short_however_long_the_messages_are() {
        let error = |_| Invalid::new("/code", "one of these, ".repeat(500));
        let problem = Problem::new(StatusCode::BAD_REQUEST, "malformed-request", "see errors");
        let candidates = vec![Uuid::nil(); 10_000];
        let (length, body) = body(&Problem { candidates, ..problem.with((0..100).map(error).collect()) });
        assert!(length < 64 * 1024, "{length}");
        assert!(body["errors"].as_array().is_some_and(|it| it.len() > 1));
    }

    #[test]
    fn a_pointer_holds_no_text_of_the_request() {
        for (pointer, expected) in [
            ("", ""),
            ("/shoe_size", "/shoe_size"),
            ("/items/12/quantity", "/items/12/quantity"),
            ("/Zuzanna Kowalczyk", ""),
            ("/items/0/999~1000~10001/x", "/items/0"),
            ("/items//x", "/items//x"),
            ("no pointer", ""),
        ] {
            assert_eq!(answered(pointer), expected, "{pointer}");
        }
        assert!(answered(&"/ab".repeat(200)).len() <= LONGEST_POINTER);
    }
}
