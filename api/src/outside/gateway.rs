//! Text messages and push messages: signed requests to a gateway, which knows the networks of the country.

use std::time::SystemTime;

use hims_commands::{Message, Undelivered};
use hims_event_store::chain::hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Certificate, Client, StatusCode, Url, redirect};
use serde_json::json;
use sha2::Sha256;

use super::{OutsideError, PATIENCE, is_loopback, provide_encryption};
use crate::Settings;

/// How many characters the secret has at least.
const SECRET: usize = 16;

/// The gateway of the hospital.
pub(super) struct Gateway {
    client: Client,
    url: Url,
    secret: String,
}

impl Gateway {
    /// The gateway of the settings, if there is one.
    pub(super) fn try_new(settings: &Settings, authority: Option<&[u8]>) -> Result<Option<Self>, OutsideError> {
        let Some(gateway_url) = &settings.gateway_url else { return Ok(None) };
        let fault = |fault: &str| OutsideError::of("gateway_url", fault);
        let url = Url::parse(gateway_url).ok().filter(Url::has_host);
        let url = url.ok_or_else(|| fault("must be a URL such as https://gateway.example.org/messages"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err(fault(
                "must begin with https://, since others could read what is sent; http:// is only for this machine",
            ));
        }
        let secret = settings.gateway_secret.clone().filter(|it| it.len() >= SECRET);
        let secret = secret.ok_or_else(|| {
            let fault = format!("must have at least {SECRET} characters, since gateway_url is set");
            OutsideError::of("gateway_secret", fault)
        })?;
        provide_encryption();
        let mut client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none());
        if let Some(pem) = authority {
            let certificate = Certificate::from_pem(pem)
                .map_err(|error| OutsideError::of("ca_file", format!("holds no certificate in PEM form: {error}")))?;
            client = client.tls_certs_merge([certificate]);
        }
        let client = client.build().map_err(|error| fault(&format!("allows no encryption: {error}")))?;
        Ok(Some(Self { client, url, secret }))
    }

    /// Sends a message. All tries have one `Idempotency-Key`, and each is signed anew.
    pub(super) async fn send(&self, message: &Message, text: String) -> Result<(), Undelivered> {
        let body = json!({"id": message.id, "channel": message.channel, "to": message.address, "text": text});
        let body = body.to_string();
        let at = SystemTime::UNIX_EPOCH.elapsed().map(|it| it.as_secs()).unwrap_or_default();
        let answer = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("idempotency-key", message.id.to_string())
            .header("hims-signature", signature(&self.secret, at, &body))
            .body(body)
            .send()
            .await;
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(why(answer.status())),
            Err(error) => Err(Undelivered::Later(error.without_url().to_string())),
        }
    }
}

/// The signature of a request: `t=<seconds>,v1=<HMAC-SHA256 of "seconds.body" in hex>`. The time keeps an old request
/// from being sent again by somebody else.
fn signature(secret: &str, at: u64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{at}.{body}").as_bytes());
    let code: [u8; 32] = mac.finalize().into_bytes().into();
    format!("t={at},v1={}", hex(&code))
}

/// Why the gateway did not take a message: a status 4xx ends it, but for those that ask to come back.
fn why(status: StatusCode) -> Undelivered {
    let said = format!("the gateway answered {}", status.as_u16());
    let comes_back = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if status.is_client_error() && !comes_back.contains(&status) {
        Undelivered::Refused(said)
    } else {
        Undelivered::Later(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_over_its_time_and_its_body() {
        // Compared with `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'a secret of the test'`.
        let signed = signature("a secret of the test", 1_700_000_000, r#"{"a":1}"#);
        assert_eq!(signed, "t=1700000000,v1=79d6f5024f3b9867ff18db9db735bfc20196f097771dc4045949f3f74b622a4d");
        assert_ne!(signature("a secret of the test", 1_700_000_001, r#"{"a":1}"#)[13..], signed[13..]);
    }

    #[test]
    fn a_status_of_the_gateway_ends_a_message_or_asks_to_come_back() {
        let ends = |status| matches!(why(StatusCode::from_u16(status).unwrap()), Undelivered::Refused(_));
        for status in [400, 401, 403, 404, 410, 413, 422] {
            assert!(ends(status), "{status}");
        }
        for status in [302, 408, 425, 429, 500, 502, 503, 504] {
            assert!(!ends(status), "{status}");
        }
    }

    #[test]
    fn a_gateway_elsewhere_needs_encryption_and_a_secret() {
        let of = |url: &str, secret: Option<&str>| {
            let settings = Settings {
                gateway_url: Some(url.to_owned()),
                gateway_secret: secret.map(str::to_owned),
                ..Settings::default()
            };
            Gateway::try_new(&settings, None).map(|it| it.is_some()).map_err(|it| it.to_string())
        };
        let secret = Some("0123456789abcdef");
        assert_eq!(of("https://gateway.example.org/sms", secret), Ok(true));
        assert_eq!(of("http://127.0.0.1:9/sms", secret), Ok(true));
        for (url, secret, named) in [
            ("http://gateway.example.org/sms", secret, "gateway_url"),
            ("gateway.example.org", secret, "gateway_url"),
            ("https://gateway.example.org/sms", Some("short"), "gateway_secret"),
            ("https://gateway.example.org/sms", None, "gateway_secret"),
        ] {
            assert!(of(url, secret).is_err_and(|it| it.contains(named) && !it.contains("short")), "{url}");
        }
    }
}
