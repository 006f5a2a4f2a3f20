use actix_web::http::header::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header that names the trace which a request belongs to (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";

/// The header of a request that is read. `tracestate` is not: it is a text of the client, and would be sent on.
struct Origin<'a>(&'a str);

impl Extractor for Origin<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

/// Lets the span of a request continue the trace that the client has begun.
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap) {
    let Some(origin) = headers.get(TRACEPARENT).and_then(|it| it.to_str().ok()) else { return };
    // An error means that nobody follows traces.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&Origin(origin)));
}
