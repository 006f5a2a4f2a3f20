use std::time::Duration;

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Key, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// What OpenTelemetry calls the fields of a request.
const NAMES: [(&str, &str); 4] = [
    ("method", "http.request.method"),
    ("route", "http.route"),
    ("status", "http.response.status_code"),
    ("user", "user.id"),
];

/// Sends spans under the names of OpenTelemetry's semantic conventions. The log has shorter ones.
#[derive(Debug)]
pub(super) struct Conventional<E>(pub(super) E);

impl<E: SpanExporter> SpanExporter for Conventional<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().filter(|it| it.name == "request").for_each(name);
        self.0.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// Names the span of a request by its method and route.
fn name(span: &mut SpanData) {
    span.span_kind = SpanKind::Server;
    for attribute in &mut span.attributes {
        if let Some((_, name)) = NAMES.iter().find(|(name, _)| attribute.key.as_str() == *name) {
            attribute.key = Key::new(*name);
        }
    }
    let value = |name| span.attributes.iter().find(|it| it.key.as_str() == name).map(|it| &it.value);
    if let Some(Value::I64(500..)) = value("http.response.status_code") {
        span.status = Status::error("");
    }
    if let (Some(method), Some(route)) = (value("http.request.method"), value("http.route")) {
        span.name = format!("{method} {route}").into();
    }
}
