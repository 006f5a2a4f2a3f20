//! The HTTP server: starting, serving, and stopping in good order.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Server, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpMessage as _, web};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinHandle;
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder, TracingLogger};

use crate::hospital::Stage;
use crate::problem::Problem;
use crate::provider::Provider;
use crate::routes::{self, Connections, Deadline, Limits, RequestIds, cors, protect, shed};
use crate::telemetry::{continue_trace, interval, prometheus};
use crate::wire::{self, Tls};
use crate::{Hospital, Settings};

/// How many files and sockets the process needs besides the connections of clients, such as those to the database.
const OTHER_FILES: u64 = 256;

/// A server that is listening.
pub struct Listening {
    /// The address that the server listens on.
    pub address: SocketAddr,
    is_encrypted: bool,
    /// The hospital behind the server.
    pub hospital: web::Data<Hospital>,
    server: Server,
    drain: Duration,
    measuring: Option<JoinHandle<()>>,
}

/// Binds the address of the settings; [`Listening::serve`] answers requests then.
///
/// # Errors
/// When the address cannot be bound, or the certificate or the OpenID provider of the settings cannot be used.
pub fn listen(settings: &Settings, hospital: Hospital) -> std::io::Result<Listening> {
    let hospital = web::Data::new(hospital);
    let served = hospital.clone();
    let prometheus = web::Data::new(prometheus(settings.otlp_endpoint.is_some()));
    let limits = web::Data::new(Limits::new(settings));
    let provider = web::Data::new(Provider::try_new(settings).map_err(std::io::Error::other)?);
    let trusted = web::Data::new(settings.trusted_proxies.clone());
    let connections = Arc::new(Connections::new(settings));
    let deadline = Deadline(Duration::from_secs(settings.body_seconds));
    let (origins, contacts) = (settings.allowed_origins.clone(), web::Data::new(settings.security_contacts.clone()));
    let workers = settings.worker_count();
    let application = move || {
        App::new()
            .app_data(served.clone())
            .app_data(prometheus.clone())
            .app_data(limits.clone())
            .app_data(provider.clone())
            .app_data(trusted.clone())
            .app_data(deadline)
            .app_data(contacts.clone())
            .app_data(web::PathConfig::default().error_handler(|_, _| Problem::not_found().into()))
            .wrap(from_fn(shed))
            .wrap(RequestIds)
            // Answers are compressed after RequestIds, which reads the body of a problem.
            .wrap(Compress::default())
            .wrap(cors(&origins))
            .wrap(from_fn(protect))
            .wrap(TracingLogger::<Spans>::new())
            .configure(routes::configure)
    };
    let executor = Arc::clone(&hospital.executor);
    let connected = move |client, data: &mut Extensions| drop(data.insert(connections.open(client, executor.now())));
    let listener = TcpListener::bind(settings.bind)?;
    let address = listener.local_addr()?;
    let tls = Tls::of(settings).map_err(std::io::Error::other)?;
    let is_encrypted = tls.is_some();
    let builder = actix_server::Server::build()
        .workers(workers)
        .max_concurrent_connections(most_connections(settings.connections).div_ceil(workers))
        .shutdown_timeout(10)
        .disable_signals();
    let server = wire::serve(builder, (listener, tls), application, connected)?;
    let drain = Duration::from_secs(settings.drain_seconds);
    let measuring = settings.otlp_endpoint.is_some().then(|| tokio::spawn(measure(hospital.clone())));
    Ok(Listening { address, is_encrypted, hospital, server, drain, measuring })
}

/// Measures what is measured only when somebody asks, as often as metrics are sent.
async fn measure(hospital: web::Data<Hospital>) {
    loop {
        hospital.measure().await;
        tokio::time::sleep(interval()).await;
    }
}

/// How many connections can be accepted: as many as the settings say and the process may have files open. The limit of
/// the process is raised as far as the operating system allows.
fn most_connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(OTHER_FILES).max(1);
    let possible = usize::try_from(files).unwrap_or(usize::MAX);
    if possible < wanted {
        tracing::warn!(possible, wanted, "the process may have too few files open for the setting `connections`");
    }
    wanted.min(possible)
}

impl Listening {
    /// The URL of the server.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.is_encrypted { "https" } else { "http" }, self.address)
    }

    /// A future that stops the server. For the time of the setting `drain_seconds` the server says that it is not ready,
    /// and goes on serving; then new requests are refused, running requests are answered, and event streams end.
    pub fn stop(&self) -> impl Future<Output = ()> + use<> {
        let (handle, stage, drain) = (self.server.handle(), self.hospital.stage.clone(), self.drain);
        async move {
            stage.send_replace(Stage::Draining);
            tokio::time::sleep(drain).await;
            stage.send_replace(Stage::Stopping);
            handle.stop(true).await;
        }
    }

    /// Serves until the server is stopped. Then writes the appends that wait, and closes the hospital.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn serve(self) -> std::io::Result<()> {
        let Self { hospital, server, measuring, .. } = self;
        let served = server.await;
        if let Some(measuring) = measuring {
            measuring.abort();
            let _ = measuring.await;
        }
        // The workers have ended. Wait until their references to the hospital are dropped as well.
        for _ in 0..100 {
            if std::sync::Arc::strong_count(&hospital) == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        match std::sync::Arc::try_unwrap(hospital.into_inner()) {
            Ok(hospital) => hospital.close().await,
            Err(hospital) => {
                hospital.executor.finish_recording().await;
                hospital.store.shutdown().await;
            }
        }
        served
    }
}

/// One tracing span per request, with its id, route, user, stream and position. Query and body are left out, since they
/// may hold personal values.
struct Spans;

impl RootSpanBuilder for Spans {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request.extensions().get::<RequestId>().map(ToString::to_string).unwrap_or_default();
        let span = tracing::info_span!(
            "request",
            method = %request.method(),
            route = request.match_pattern().unwrap_or_default(),
            request_id = id,
            status = tracing::field::Empty,
            user = tracing::field::Empty,
            stream = tracing::field::Empty,
            position = tracing::field::Empty
        );
        continue_trace(&span, request.headers());
        span
    }

    fn on_request_end<B: actix_web::body::MessageBody>(
        span: Span,
        outcome: &Result<ServiceResponse<B>, actix_web::Error>,
    ) {
        let status = outcome.as_ref().map_or(500, |it| it.status().as_u16());
        span.record("status", status);
    }
}
