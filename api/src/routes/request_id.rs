use std::collections::HashSet;
use std::sync::LazyLock;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{CONTENT_ENCODING, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::{Error, HttpMessage as _, ResponseError as _};
use futures::future::{LocalBoxFuture, Ready, ready};
use hims_commands::Registry;
use hims_domain::DomainEvent;
use serde_json::{Value, json};
use tracing_actix_web::RequestId;
use uuid::Uuid;

use super::limits::Connection;
use crate::problem::Problem;
use crate::slow::answering;

/// Middleware that adds the path and the id of the request to problem details, and the id to the headers of every
/// answer. Refuses what no route may read: a body with a `Content-Encoding`, a method that HTTP does not know, and
/// requests on a connection too many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestIds;

/// The service that `RequestIds` wraps.
pub(crate) struct WithRequestId<S> {
    service: S,
}

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

impl<S, B> Transform<S, ServiceRequest> for RequestIds
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = WithRequestId<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(WithRequestId { service }))
    }
}

impl<S, B> Service<ServiceRequest> for WithRequestId<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if let Some(problem) = unacceptable(&request) {
            let mut response = problem.error_response();
            // Neither a body that is not read nor a connection too many may go on.
            response.head_mut().set_connection_type(ConnectionType::Close);
            let response = request.into_response(response);
            return Box::pin(async move { Ok(complete(response).await) });
        }
        let id = request.extensions().get::<RequestId>().copied();
        let called = answering(id, self.service.call(request));
        Box::pin(async move { Ok(complete(called.await?.map_into_boxed_body()).await) })
    }
}

/// Why a request is refused before any route is asked.
fn unacceptable(request: &ServiceRequest) -> Option<Problem> {
    if request.headers().contains_key(CONTENT_ENCODING) {
        return Some(Problem::encoded());
    }
    if !METHODS.contains(request.method()) && request.method().as_str() != "QUERY" {
        return Some(Problem::not_implemented("no route of this server knows the method of the request"));
    }
    request.conn_data::<Connection>().and_then(Connection::refused)
}

/// The methods that HTTP knows (RFC 9110, RFC 5789). A route answers 405 to those that it does not take, and to
/// `QUERY`, which the HTTP working group adds.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

/// The words in the paths of routes: those of the OpenAPI document, and the types of streams.
static WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let document = crate::openapi_document(&Registry::hospital());
    let paths = document["paths"].as_object().into_iter().flat_map(|it| it.keys());
    let words = paths.flat_map(|path| path.split('/')).filter(|it| !it.starts_with('{')).map(str::to_owned);
    let streams = DomainEvent::STREAMS.iter().flat_map(|name| [(*name).to_owned(), name.replace('_', "-")]);
    words.chain(streams).chain(["docs".to_owned()]).collect()
});

/// The path as it is answered: what is neither a word of a route nor a UUID comes from the client and is left out.
fn instance(path: &str) -> String {
    /// How many parts of a path are answered.
    const PARTS: usize = 8;
    let answered = |part| if WORDS.contains(part) || Uuid::try_parse(part).is_ok() { part } else { "-" };
    path.split('/').take(PARTS).map(answered).collect::<Vec<_>>().join("/")
}

/// Adds the id of the request to the headers of an answer; to a problem also the path and the id. An error that the web
/// framework itself answered becomes a problem first.
pub(super) async fn complete(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let id = response.request().extensions().get::<RequestId>().map(ToString::to_string).unwrap_or_default();
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let path = instance(response.request().path());
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let bytes = actix_web::body::to_bytes(body).await.unwrap_or_default();
    let code = status.canonical_reason().unwrap_or("error").to_lowercase().replace(' ', "-");
    let mut problem = match serde_json::from_slice::<Value>(&bytes) {
        Ok(problem @ Value::Object(_)) => problem,
        _ => json!({
            "type": format!("urn:hims:problem:{code}"),
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": status.canonical_reason().unwrap_or("Error"),
            "code": code,
        }),
    };
    if problem.get("code").is_none() {
        // An error answer that is not a problem, such as that of /health/ready, is passed on.
        return ServiceResponse::new(request, head.set_body(BoxBody::new(problem.to_string())));
    }
    problem["instance"] = json!(path);
    problem["request_id"] = json!(id);
    let (code, status) = (problem["code"].as_str(), status.as_u16());
    match status {
        ..500 => tracing::info!(status, code, request_id = id, "refused"),
        503 => tracing::warn!(status, code, request_id = id, "not available"),
        _ => tracing::error!(status, code, request_id = id, "failed"),
    }
    let mut response = head.set_body(BoxBody::new(problem.to_string()));
    let json = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(actix_web::http::header::CONTENT_TYPE, json);
    ServiceResponse::new(request, response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_holds_no_text_of_the_request() {
        for (path, expected) in [
            ("/api/v1/patients", "/api/v1/patients"),
            (
                "/api/v1/vital-signs/00000000-0000-0000-0000-000000000001",
                "/api/v1/vital-signs/00000000-0000-0000-0000-000000000001",
            ),
            ("/api/v1/streams/vital_signs/999-00-0001", "/api/v1/streams/vital_signs/-"),
            (
                "/api/v1/patients/00000000-0000-0000-0000-000000000001/access-report",
                "/api/v1/patients/00000000-0000-0000-0000-000000000001/access-report",
            ),
            ("/api/v1/patients/Zuzanna%20Kowalczyk", "/api/v1/patients/-"),
            ("/api/v1/zuzanna", "/api/v1/-"),
            ("/api/v1/commands/register-patient", "/api/v1/commands/register-patient"),
            ("/", "/"),
        ] {
            assert_eq!(instance(path), expected);
        }
        assert!(instance(&"/a".repeat(50_000)).len() < 100);
    }
}
