use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage as _};
use futures::future::{LocalBoxFuture, Ready, ready};
use serde_json::{Value, json};
use tracing_actix_web::RequestId;

use crate::server::LARGEST_BODY;

/// Middleware that adds the path and the id of the request to problem details, and the id to the headers of every
/// answer.
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
        let id = request.extensions().get::<RequestId>().map(ToString::to_string).unwrap_or_default();
        let path = request.path().to_owned();
        let called = self.service.call(request);
        Box::pin(async move {
            let mut response = called.await?.map_into_boxed_body();
            if let Ok(value) = HeaderValue::from_str(&id) {
                response.headers_mut().insert(HEADER, value);
            }
            if response.status().is_client_error() || response.status().is_server_error() {
                response = complete(response, &path, &id).await;
            }
            Ok(response)
        })
    }
}

/// The `detail` of an error that the web framework itself answered.
fn detail(status: StatusCode) -> String {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => format!("a request body may have {LARGEST_BODY} bytes at most"),
        other => other.canonical_reason().unwrap_or("Error").to_owned(),
    }
}

/// Adds path and id to a problem. An error that the web framework itself answered becomes a problem first.
async fn complete(response: ServiceResponse<BoxBody>, path: &str, id: &str) -> ServiceResponse<BoxBody> {
    let status = response.status();
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
            "detail": detail(status),
            "code": code,
        }),
    };
    if problem.get("code").is_none() {
        // An error answer that is not a problem, such as that of /health/ready, is passed on.
        return ServiceResponse::new(request, head.set_body(BoxBody::new(problem.to_string())));
    }
    problem["instance"] = json!(path);
    problem["request_id"] = json!(id);
    tracing::info!(status = status.as_u16(), code = problem["code"].as_str(), request_id = id, "refused");
    let mut response = head.set_body(BoxBody::new(problem.to_string()));
    let json = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(actix_web::http::header::CONTENT_TYPE, json);
    ServiceResponse::new(request, response)
}
