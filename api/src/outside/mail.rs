//! E-mails, over SMTP. A connection is encrypted unless the mail server is on this machine.

use hims_commands::Undelivered;
use lettre::message::Mailbox;
use lettre::message::header::{self, ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use reqwest::Url;
use uuid::Uuid;

use super::words::Written;
use super::{OutsideError, PATIENCE, is_loopback};
use crate::Settings;

/// How many connections to the mail server there are at most.
const CONNECTIONS: u32 = 8;
/// The replies of a mail server to a login that it refuses (RFC 4954). They are the fault of the settings and not of
/// the message, which is therefore sent again.
const LOGIN_REFUSED: [&str; 4] = ["530", "534", "535", "538"];

/// The mail server of the hospital.
pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// How a connection to a mail server is encrypted.
fn encryption(url: &Url, authority: Option<&[u8]>) -> Result<Tls, OutsideError> {
    let fault = |fault: String| OutsideError::of("smtp_url", fault);
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let mut parameters = TlsParameters::builder(host);
    if let Some(pem) = authority {
        let certificate = Certificate::from_pem(pem)
            .map_err(|error| OutsideError::of("ca_file", format!("holds no certificate in PEM form: {error}")))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    let parameters = parameters.build().map_err(|error| fault(format!("allows no encryption: {error}")))?;
    let asked = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
    match (url.scheme(), asked.as_deref()) {
        ("smtps", _) => Ok(Tls::Wrapper(parameters)),
        ("smtp", None) if is_loopback(url) => Ok(Tls::None),
        ("smtp", None | Some("required")) => Ok(Tls::Required(parameters)),
        _ => Err(fault("must be smtps://host or smtp://host, with ?tls=required or nothing behind it".to_owned())),
    }
}

impl Mail {
    /// The mail server of the settings, if there is one.
    pub(super) fn try_new(settings: &Settings, authority: Option<&[u8]>) -> Result<Option<Self>, OutsideError> {
        let Some(smtp_url) = &settings.smtp_url else { return Ok(None) };
        let url = Url::parse(smtp_url).ok().filter(Url::has_host);
        let url =
            url.ok_or_else(|| OutsideError::of("smtp_url", "must be a URL such as smtps://user:…@mail.example.org"))?;
        let tls = encryption(&url, authority)?;
        let from = settings.mail_from.as_deref().unwrap_or_default().parse().map_err(|_| {
            OutsideError::of("mail_from", "must be the address from which e-mails come, since smtp_url is set")
        })?;
        // Encryption is not taken from the URL, whose form for this is another.
        let mut plain = url;
        plain.set_query(None);
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(plain.as_str())
            .map_err(|_| OutsideError::of("smtp_url", "cannot be read; write it as smtps://user:password@host:port"))?;
        let port = match (&tls, plain.port()) {
            (_, Some(port)) => port,
            (Tls::Wrapper(_), None) => 465,
            (Tls::None, None) => 25,
            (_, None) => 587,
        };
        let pool = PoolConfig::new().max_size(CONNECTIONS);
        let transport = builder.port(port).tls(tls).timeout(Some(PATIENCE)).pool_config(pool).build();
        Ok(Some(Self { transport, from }))
    }

    /// Sends an e-mail. All tries have one `Message-ID`, which is made of the id.
    pub(super) async fn send(&self, id: Uuid, address: &str, written: Written) -> Result<(), Undelivered> {
        let to: Mailbox = address.parse().map_err(|_| Undelivered::Refused("no e-mail address".to_owned()))?;
        let mail = lettre::Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(written.subject)
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .raw_header(automatic())
            .header(header::MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            .body(written.text)
            .map_err(|error| Undelivered::Refused(error.to_string()))?;
        match tokio::time::timeout(PATIENCE, self.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(why(&error)),
            Err(_) => Err(Undelivered::Later("the mail server took too long to answer".to_owned())),
        }
    }
}

/// Tells other programs that nobody wrote the e-mail, so that they answer with no note of absence (RFC 3834).
fn automatic() -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned())
}

/// Why the mail server did not take an e-mail: a reply 5yz ends it, everything else is tried again.
fn why(error: &Error) -> Undelivered {
    let source = std::error::Error::source(error).map(|it| format!(": {it}")).unwrap_or_default();
    let status = error.status().map(|it| it.to_string());
    let said = format!("{error}{source}");
    let is_of_login = status.as_deref().is_some_and(|it| LOGIN_REFUSED.contains(&it));
    if error.is_permanent() && !is_of_login { Undelivered::Refused(said) } else { Undelivered::Later(said) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(url: &str) -> Result<&'static str, String> {
        let url = Url::parse(url).unwrap();
        match encryption(&url, None) {
            Ok(Tls::None) => Ok("plain"),
            Ok(Tls::Required(_)) => Ok("STARTTLS"),
            Ok(Tls::Wrapper(_)) => Ok("TLS"),
            Ok(Tls::Opportunistic(_)) => Ok("perhaps"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn only_a_mail_server_on_this_machine_is_spoken_to_in_plain() {
        for (url, expected) in [
            ("smtps://mail.example.org", "TLS"),
            ("smtp://mail.example.org", "STARTTLS"),
            ("smtp://10.0.0.7:2525", "STARTTLS"),
            ("smtp://mail.example.org?tls=required", "STARTTLS"),
            ("smtp://127.0.0.1:2525", "plain"),
            ("smtp://[::1]:2525", "plain"),
            ("smtp://localhost", "plain"),
            ("smtp://127.0.0.1:2525?tls=required", "STARTTLS"),
        ] {
            assert_eq!(tls(url).as_deref(), Ok(expected), "{url}");
        }
        for url in ["smtp://mail.example.org?tls=opportunistic", "http://mail.example.org", "smtp://localhost?tls=no"] {
            assert!(tls(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_without_the_password() {
        let of = |smtp_url: &str, from: Option<&str>| {
            let settings = Settings {
                smtp_url: Some(smtp_url.to_owned()),
                mail_from: from.map(str::to_owned),
                ..Settings::default()
            };
            Mail::try_new(&settings, None).err().map(|it| it.to_string())
        };
        let said = of("smtps://hims:secret@mail.example.org", None).unwrap();
        assert!(said.contains("mail_from") && !said.contains("secret"), "{said}");
        let said = of("mail.example.org:secret", Some("hims@example.org")).unwrap();
        assert!(said.contains("smtp_url") && !said.contains("secret"), "{said}");
    }
}
