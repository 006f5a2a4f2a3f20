//! Messages that leave the hospital: e-mails over SMTP, text messages and push messages through a gateway.
//!
//! What leaves the hospital says nothing about anybody's health: a day and a time, the hospital's name and telephone
//! number, and a link to log in.

mod gateway;
mod mail;
mod words;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hims_commands::{Message, Messenger, ResetMail, Undelivered};
use hims_domain::notification::Channel;
use reqwest::Url;
use thiserror::Error;

use crate::Settings;
use gateway::Gateway;
use mail::Mail;
use words::Words;

/// How long a mail server or a gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why messages cannot leave the hospital with these settings. No variant shows a secret.
#[derive(Debug, Error)]
pub enum OutsideError {
    /// A setting has a value that cannot be used.
    #[error("the setting {setting} {fault}")]
    Setting {
        /// The name of the setting.
        setting: &'static str,
        /// What is wrong and what to do.
        fault: String,
    },
}

impl OutsideError {
    pub(crate) fn of(setting: &'static str, fault: impl Into<String>) -> Self {
        Self::Setting { setting, fault: fault.into() }
    }
}

/// Brings messages to people by the mail server and the gateway of the hospital, as far as they are set up.
pub(crate) struct Post {
    mail: Option<Mail>,
    gateway: Option<Gateway>,
    words: Words,
}

impl Post {
    /// Reads the settings. Nothing is connected yet, so that the hospital also opens while a server is out of order.
    pub(crate) fn try_new(settings: &Settings) -> Result<Arc<dyn Messenger>, OutsideError> {
        let authority = settings.ca_file.as_deref().map(certificate).transpose()?;
        Ok(Arc::new(Self {
            mail: Mail::try_new(settings, authority.as_deref())?,
            gateway: Gateway::try_new(settings, authority.as_deref())?,
            words: Words::try_new(settings)?,
        }))
    }
}

/// Names the library that encrypts the connections of HTTP clients in this program. Without it, no client can be made.
pub fn provide_encryption() {
    // If the library was named before, this changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The certificate of the authority that the hospital trusts in addition to those of the system.
pub(crate) fn certificate(file: &Path) -> Result<Vec<u8>, OutsideError> {
    std::fs::read(file).map_err(|error| {
        OutsideError::of("ca_file", format!("names the file {}, which cannot be read: {error}", file.display()))
    })
}

/// Whether a URL names this machine, so that nobody can read on the way what is sent there.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|it: std::net::IpAddr| it.is_loopback())
}

impl Messenger for Post {
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Undelivered>> {
        async move {
            match message.channel {
                Channel::Email => {
                    let mail = self.mail.as_ref().ok_or(Undelivered::NotSetUp)?;
                    mail.send(message.id.into(), &message.address, self.words.mail(message)).await
                }
                Channel::Sms | Channel::Push => {
                    let gateway = self.gateway.as_ref().ok_or(Undelivered::NotSetUp)?;
                    gateway.send(message, self.words.line(message)).await
                }
                // The program itself shows these.
                Channel::InApp => Ok(()),
            }
        }
        .boxed()
    }

    fn send_reset<'a>(&'a self, reset: &'a ResetMail) -> BoxFuture<'a, Result<(), Undelivered>> {
        async move {
            let mail = self.mail.as_ref().ok_or(Undelivered::NotSetUp)?;
            mail.send(reset.id, &reset.address, self.words.reset(reset)).await
        }
        .boxed()
    }
}
