use actix_web::Error;
use actix_web::ResponseError as _;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;

use super::cors;
use super::request_id::complete;
use crate::problem::Problem;
use crate::wire::Encrypted;

/// The headers that keep a browser from doing with an answer what the answer is not for. Answers are about people: no
/// cache between the server and the client may keep one.
const ALWAYS: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// A browser that shows an answer of the API as a page loads nothing and runs nothing.
const OF_THE_API: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The page to browse the API on loads its own files and asks its own server. Swagger UI sets styles on elements and
/// has pictures in its style sheet.
const OF_THE_DOCS: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; \
                           base-uri 'none'; form-action 'none'";

/// A browser that was answered over TLS asks this host, and hosts below it, over TLS alone for a year. Browsers do not
/// believe this header if it comes in plain.
const OVER_TLS: (HeaderName, &str) = (STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains");

/// The security headers of an answer about a path.
pub(crate) fn security_headers(
    path: &str,
    is_encrypted: bool,
) -> impl Iterator<Item = (HeaderName, &'static str)> + use<> {
    let policy = if path.starts_with("/docs") { OF_THE_DOCS } else { OF_THE_API };
    let over_tls = is_encrypted.then_some(OVER_TLS);
    ALWAYS.into_iter().chain([(CONTENT_SECURITY_POLICY, policy)]).chain(over_tls)
}

/// Adds the security headers to every answer. Outermost of all, so that no answer of the framework is left out.
pub(crate) async fn protect(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let headers = security_headers(request.path(), request.conn_data::<Encrypted>().is_some());
    let mut response = next.call(request).await?.map_into_boxed_body();
    if response.status() == StatusCode::NOT_ACCEPTABLE {
        // The compression answers by itself, as text, if a client takes neither gzip nor an answer as it is.
        let detail = "answers are sent as they are or with gzip; let Accept-Encoding allow one of these";
        let problem = Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", detail);
        response = complete(response.into_response(problem.error_response())).await;
    }
    if let Some(problem) = cors::refused(&response) {
        response = complete(response.into_response(problem.error_response())).await;
    }
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}
