//! Traces, metrics and log records over OpenTelemetry, for a receiver that a setting names (docs/adr/0039).
//!
//! What is sent has no personal value: spans and metrics carry ids, codes and durations, and the records are those of
//! the log. Nobody waits for the receiver: each kind of telemetry has a queue of a bounded length and a thread of its
//! own, and what does not fit into the queue is left out.

mod asked;
mod conventions;
mod origin;
mod receiver;
mod recorder;

use std::sync::{Arc, mpsc};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::{OpenTelemetryTracingBridge, TracingSpanAttributes};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::Url;
use thiserror::Error;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, FilterFn, LevelFilter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};
use uuid::Builder;

pub(crate) use self::asked::AskedEachTime;
use self::conventions::Conventional;
pub(crate) use self::origin::continue_trace;
use self::receiver::Receiver;
pub(crate) use self::recorder::prometheus;
use crate::{Settings, surroundings};

/// The variable of the environment that names the receiver.
pub(crate) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// How long the end of the program waits until the receiver has taken what was not sent yet.
const LAST: Duration = Duration::from_secs(5);
/// How often metrics are sent unless `OTEL_METRIC_EXPORT_INTERVAL` says otherwise.
const INTERVAL: Duration = Duration::from_mins(1);

/// Why telemetry cannot be sent with these settings.
#[derive(Debug, Error)]
pub(crate) enum TelemetryError {
    /// The setting is no URL that telemetry can be sent to.
    #[error("{ENDPOINT} must be a URL such as http://collector.example.org:4318")]
    Url,
    /// The connection cannot be set up.
    #[error("telemetry cannot be sent to the receiver of {ENDPOINT}: {0}")]
    Connection(#[from] reqwest::Error),
    /// A variable of OpenTelemetry in the environment has a value that cannot be used.
    #[error("telemetry cannot be sent: {0}; check the variables of the environment that begin with OTEL_")]
    Exporter(#[from] ExporterBuildError),
}

/// What is sent to the receiver.
pub(crate) struct Telemetry {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: SdkLoggerProvider,
}

impl Telemetry {
    /// Starts to send telemetry, if the settings name a receiver. Must not be called in an asynchronous task.
    ///
    /// # Errors
    /// When the settings or the environment have a value that cannot be used. A receiver that does not answer is none.
    pub(crate) fn try_start(settings: &Settings) -> Result<Option<Self>, TelemetryError> {
        let Some(endpoint) = endpoint(settings)? else { return Ok(None) };
        let receiver = Arc::new(Receiver::try_new(settings)?);
        let spans = Conventional(spans_to(&endpoint, &receiver)?);
        let metrics = MetricExporter::builder()
            .with_http()
            .with_endpoint(signal(&endpoint, "metrics"))
            .with_protocol(Protocol::HttpBinary)
            .with_shared_http_client(receiver.clone())
            .build()?;
        let records = LogExporter::builder()
            .with_http()
            .with_endpoint(signal(&endpoint, "logs"))
            .with_protocol(Protocol::HttpBinary)
            .with_shared_http_client(receiver)
            .build()?;
        let resource = resource();
        let metrics =
            SdkMeterProvider::builder().with_resource(resource.clone()).with_periodic_exporter(metrics).build();
        opentelemetry::global::set_meter_provider(metrics.clone());
        Ok(Some(Self {
            traces: SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(spans).build(),
            metrics,
            logs: SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(records).build(),
        }))
    }

    /// What hands spans and records over to be sent. The `filter` is that of the log.
    pub(crate) fn layer<S>(&self, filter: EnvFilter) -> impl Layer<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let ours = |target: &str| target.starts_with("hims");
        // The spans below a request are of the level `debug`, so that the lines of the log stay short.
        let spans = FilterFn::new(move |it| it.is_span() && ours(it.target()) && *it.level() <= Level::DEBUG)
            .with_max_level_hint(LevelFilter::DEBUG);
        let traces = tracing_opentelemetry::layer()
            .with_tracer(self.traces.tracer("hims"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(AskedEachTime(spans));
        // Sending makes records too, which would be sent, and make records.
        let sending = ["hyper", "reqwest", "rustls", "opentelemetry"];
        let is_of_the_hospital = FilterFn::new(move |it| !sending.iter().any(|sender| it.target().starts_with(sender)));
        let records = OpenTelemetryTracingBridge::builder(&self.logs)
            .with_tracing_span_attributes(TracingSpanAttributes::allowlist(["request_id"]))
            .build()
            .with_filter(AskedEachTime(filter.and(is_of_the_hospital)));
        traces.and_then(records)
    }

    /// Sends what was not sent yet, as far as the receiver takes it in time.
    pub(crate) fn finish(self) {
        let (ended, end) = mpsc::channel::<()>();
        let send = move || {
            // An error means that the receiver did not take everything, which was told when it began.
            let _ = self.traces.shutdown_with_timeout(LAST);
            let _ = self.logs.shutdown_with_timeout(LAST);
            let _ = self.metrics.shutdown_with_timeout(LAST);
            drop(ended);
        };
        if std::thread::Builder::new().spawn(send).is_ok()
            && end.recv_timeout(LAST) == Err(mpsc::RecvTimeoutError::Timeout)
        {
            tracing::warn!("the receiver of telemetry did not take the last telemetry in time; it is lost");
        }
    }
}

/// How often metrics are sent.
pub(crate) fn interval() -> Duration {
    let given = std::env::var("OTEL_METRIC_EXPORT_INTERVAL").ok().and_then(|it| it.parse().ok());
    given.filter(|it| *it > 0).map_or(INTERVAL, Duration::from_millis)
}

/// The receiver of the settings; `None` if telemetry is off.
///
/// # Errors
/// When the setting is no URL of HTTP.
pub(crate) fn endpoint(settings: &Settings) -> Result<Option<Url>, TelemetryError> {
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
    let url = Url::parse(endpoint).ok().filter(Url::has_host).filter(|it| ["http", "https"].contains(&it.scheme()));
    url.ok_or(TelemetryError::Url).map(Some)
}

/// Sends an empty message to the receiver, and says what is wrong with the receiver; `None` if it takes telemetry. Must
/// not be called in an asynchronous task.
///
/// # Errors
/// When the settings or the environment have a value that cannot be used.
pub(crate) fn fault(settings: &Settings, endpoint: &Url) -> Result<Option<String>, TelemetryError> {
    use opentelemetry_sdk::trace::SpanExporter as _;

    let receiver = Arc::new(Receiver::try_new(settings)?);
    // The receiver remembers the error.
    let _ = futures::executor::block_on(spans_to(endpoint, &receiver)?.export(Vec::new()));
    Ok(receiver.fault())
}

fn spans_to(endpoint: &Url, receiver: &Arc<Receiver>) -> Result<SpanExporter, ExporterBuildError> {
    SpanExporter::builder()
        .with_http()
        .with_endpoint(signal(endpoint, "traces"))
        .with_protocol(Protocol::HttpBinary)
        .with_shared_http_client(receiver.clone())
        .build()
}

/// The URL to which one kind of telemetry is sent.
fn signal(endpoint: &Url, kind: &str) -> String {
    format!("{}/v1/{kind}", endpoint.as_str().trim_end_matches('/'))
}

/// What sends: the program, its version and this process. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win.
fn resource() -> Resource {
    let process = Builder::from_random_bytes((surroundings().entropy)().to_be_bytes()).into_uuid();
    let resource = Resource::builder_empty()
        .with_service_name("hims")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", process.to_string()))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_of_http() {
        let of = |given: &str| endpoint(&Settings { otlp_endpoint: Some(given.to_owned()), ..Settings::default() });
        for wrong in ["collector:4318", "grpc://collector:4317", "http://", "4318"] {
            let said = of(wrong).expect_err(wrong).to_string();
            assert!(said.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT must be a URL"), "{said}");
        }
        for right in ["http://collector:4318", "https://collector/otlp/"] {
            let url = of(right).expect(right).expect("telemetry is on");
            assert!(signal(&url, "logs").ends_with("/v1/logs") && !signal(&url, "logs").contains("//v1"), "{url}");
        }
        assert_eq!(endpoint(&Settings::default()).expect("no telemetry"), None);
    }
}
