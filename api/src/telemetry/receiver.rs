use std::error::Error;
use std::mem::replace;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::blocking::Client;
use reqwest::{Certificate, redirect};

use super::TelemetryError;
use crate::Settings;
use crate::outside::provide_encryption;

/// How long the receiver may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The receiver of telemetry. Tells the log once when it stops taking what is sent, and once when it takes it again.
#[derive(Debug)]
pub(super) struct Receiver {
    client: Client,
    fault: Mutex<Option<String>>,
}

impl Receiver {
    /// Prepares to send. Nothing is connected yet.
    pub(super) fn try_new(settings: &Settings) -> Result<Self, TelemetryError> {
        provide_encryption();
        let mut client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none());
        // A file that cannot be read is reported where messages leave the hospital.
        if let Some(pem) = settings.ca_file.as_ref().and_then(|it| std::fs::read(it).ok()) {
            client = client.tls_certs_merge([Certificate::from_pem(&pem)?]);
        }
        Ok(Self { client: client.build()?, fault: Mutex::default() })
    }

    /// Why the receiver did not take what was sent last; `None` if it did.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
        let mut answer = self.client.execute(request.try_into()?)?;
        // The answer may say in detail what was left out; the status is enough.
        let mut answered = Response::new(Bytes::new());
        *answered.status_mut() = answer.status();
        *answered.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(answered)
    }

    fn note(&self, fault: Option<String>) {
        let before = replace(&mut *self.fault.lock().unwrap_or_else(PoisonError::into_inner), fault.clone());
        match (before, fault) {
            (None, Some(fault)) => tracing::warn!(
                fault,
                "the receiver of OTEL_EXPORTER_OTLP_ENDPOINT does not take telemetry, which is lost; nothing else is"
            ),
            (Some(_), None) => tracing::info!("the receiver of OTEL_EXPORTER_OTLP_ENDPOINT takes telemetry again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}

#[async_trait]
impl HttpClient for Receiver {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request);
        self.note(match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers with the status {}", answer.status())),
            Err(error) => Some(innermost(error)),
        });
        sent.map_err(|error| error.without_url().into())
    }
}

/// The first cause of an error, which names neither the URL nor a header.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if cause.is::<reqwest::Error>() { "the request could not be sent".to_owned() } else { cause.to_string() }
}
