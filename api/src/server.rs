//! The server: starts, serves, and stops in order.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::{Compress, DefaultHeaders};
use actix_web::{App, HttpMessage as _, HttpServer, web};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder, TracingLogger};

use crate::problem::Problem;
use crate::routes::{self, Guesses, RequestIds};
use crate::{Hospital, Settings};

/// How often measurements are folded up.
const UPKEEP: Duration = Duration::from_secs(5);
/// The largest body that is read.
pub(crate) const LARGEST_BODY: usize = 1 << 20;

/// A server that is listening.
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    /// The hospital that it serves.
    pub hospital: web::Data<Hospital>,
    server: Server,
}

/// Binds the address.
///
/// # Errors
/// When it cannot be bound.
pub fn listen(settings: &Settings, hospital: Hospital) -> std::io::Result<Listening> {
    let hospital = web::Data::new(hospital);
    let served = hospital.clone();
    let prometheus = web::Data::new(prometheus());
    let guesses = web::Data::new(Guesses::new(settings.logins_per_minute.max(1)));
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(served.clone())
            .app_data(prometheus.clone())
            .app_data(guesses.clone())
            .app_data(web::PayloadConfig::new(LARGEST_BODY))
            .app_data(web::PathConfig::default().error_handler(|_, _| Problem::not_found().into()))
            .wrap(RequestIds)
            // What is answered is about people: nobody between here and the client keeps it.
            .wrap(DefaultHeaders::new().add((CACHE_CONTROL, "no-store")).add((X_CONTENT_TYPE_OPTIONS, "nosniff")))
            // Outside of what completes a problem: that reads it.
            .wrap(Compress::default())
            .wrap(TracingLogger::<Spans>::new())
            .configure(routes::configure)
    })
    .bind(settings.bind)?
    .shutdown_timeout(10)
    .disable_signals();
    if let Some(workers) = settings.workers {
        server = server.workers(workers);
    }
    let address = server.addrs().first().copied().unwrap_or(settings.bind);
    Ok(Listening { address, hospital, server: server.run() })
}

impl Listening {
    /// Stops the server from elsewhere: no new requests, those under way are answered, and event streams end.
    pub fn stop(&self) -> impl Future<Output = ()> + use<> {
        let (handle, stopping) = (self.server.handle(), self.hospital.stopping.clone());
        async move {
            stopping.send_replace(true);
            handle.stop(true).await;
        }
    }

    /// Serves until it is stopped; then writes what waits and closes the hospital.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn serve(self) -> std::io::Result<()> {
        let Self { hospital, server, .. } = self;
        let served = server.await;
        // The workers are gone, and with them every other hold of it.
        for _ in 0..100 {
            if std::sync::Arc::strong_count(&hospital) == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        match std::sync::Arc::try_unwrap(hospital.into_inner()) {
            Ok(hospital) => hospital.close().await,
            Err(hospital) => hospital.store.shutdown().await,
        }
        served
    }
}

/// One recorder for the process, however many servers a test starts in it.
fn prometheus() -> PrometheusHandle {
    static HANDLE: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let buckets = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
            let sizes = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0, 10_000.0];
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &buckets)
                .and_then(|it| it.set_buckets_for_metric(Matcher::Suffix("_batch_size".to_owned()), &sizes))
                .map_or_else(|_| PrometheusBuilder::new().build_recorder(), PrometheusBuilder::build_recorder);
            let handle = recorder.handle();
            // Whether or not somebody asks for them, what was measured is folded up, so that it does not pile up.
            let upkeep = handle.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(UPKEEP).await;
                    upkeep.run_upkeep();
                }
            });
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("metrics are recorded elsewhere");
            }
            handle
        })
        .clone()
}

/// One span per request: its id, route, user, stream and position; no query and no body, since they may be personal.
struct Spans;

impl RootSpanBuilder for Spans {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request.extensions().get::<RequestId>().map(ToString::to_string).unwrap_or_default();
        tracing::info_span!(
            "request",
            method = %request.method(),
            route = request.match_pattern().unwrap_or_default(),
            request_id = id,
            status = tracing::field::Empty,
            user = tracing::field::Empty,
            stream = tracing::field::Empty,
            position = tracing::field::Empty
        )
    }

    fn on_request_end<B: actix_web::body::MessageBody>(
        span: Span,
        outcome: &Result<ServiceResponse<B>, actix_web::Error>,
    ) {
        let status = outcome.as_ref().map_or(500, |it| it.status().as_u16());
        span.record("status", status);
    }
}
