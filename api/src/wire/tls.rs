//! TLS: the certificate of the server, which is read again when its files change, and the handshake with a client.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::rt::net::TcpStream;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use thiserror::Error;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use super::written;
use crate::Settings;
use crate::problem::Problem;

/// How often the files of the certificate and the key are looked at.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

/// Why the server cannot speak TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// One of the two settings is missing.
    #[error("the settings tls_cert and tls_key belong together: name both files, or neither")]
    Half,
    /// A file cannot be read.
    #[error("the setting {0} names the file {1}, which cannot be read: {2}")]
    File(&'static str, String, io::Error),
    /// A file is not what its setting says.
    #[error("the setting {0} names the file {1}, which does not hold {2} in PEM form")]
    Content(&'static str, String, &'static str),
    /// Everybody on the machine may read or change the private key.
    #[error("the setting tls_key names the file {0}, which everybody on this machine can use; run: chmod o= {0}")]
    Readable(String),
    /// The certificate is for another key.
    #[error("the certificate of tls_cert is not for the key of tls_key: name two files that were made together")]
    Mismatch,
    /// The library cannot use the certificate or the key.
    #[error("the certificate of tls_cert or the key of tls_key cannot be used: {0}")]
    Unusable(rustls::Error),
}

/// The certificate of the server, as it was read, and the files from which it was read.
pub(crate) struct Tls {
    files: Files,
    /// How the files looked just before they were read.
    looked: Looks,
    config: Arc<ServerConfig>,
}

/// The files of the certificate and of its private key.
#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// How the two files look from outside: which file it is, and when it changed. `None` if there is no such file.
type Looks = [Option<(u64, i64, i64)>; 2];

impl Tls {
    /// Reads the files that the settings name; `None` if they name none.
    ///
    /// # Errors
    /// When a file is missing or is not what the setting says.
    pub(crate) fn of(settings: &Settings) -> Result<Option<Self>, TlsError> {
        let files = match (&settings.tls_cert, &settings.tls_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => Files { certificate: certificate.clone(), key: key.clone() },
            _ => return Err(TlsError::Half),
        };
        let looked = files.look();
        let config = Arc::new(files.read()?);
        Ok(Some(Self { files, looked, config }))
    }

    /// Takes clients with this certificate, and with the one that stands in the files later. The files are looked at
    /// until nobody takes clients any more.
    pub(super) fn follow(self) -> Acceptor {
        let (sender, configs) = watch::channel(self.config);
        tokio::spawn(follow(self.files, self.looked, sender));
        Acceptor(configs)
    }
}

impl Files {
    fn look(&self) -> Looks {
        [&self.certificate, &self.key].map(|file| {
            let found = fs::metadata(file).ok()?;
            Some((found.ino(), found.ctime(), found.ctime_nsec()))
        })
    }

    fn read(&self) -> Result<ServerConfig, TlsError> {
        const CERT: &str = "tls_cert";
        const KEY: &str = "tls_key";
        let certificates = CertificateDer::pem_slice_iter(&bytes(CERT, &self.certificate)?).collect::<Result<_, _>>();
        let certificates: Vec<_> = certificates.unwrap_or_default();
        if certificates.is_empty() {
            return Err(TlsError::Content(CERT, name(&self.certificate), "a certificate"));
        }
        let key = bytes(KEY, &self.key)?;
        if fs::metadata(&self.key).is_ok_and(|it| it.permissions().mode() & 0o007 != 0) {
            return Err(TlsError::Readable(name(&self.key)));
        }
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| TlsError::Content(KEY, name(&self.key), "a private key without a password"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .and_then(|it| it.with_no_client_auth().with_single_cert(certificates, key))
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch,
                other => TlsError::Unusable(other),
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn name(file: &Path) -> String {
    file.display().to_string()
}

fn bytes(setting: &'static str, file: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    fs::read(file).map(Zeroizing::new).map_err(|error| TlsError::File(setting, name(file), error))
}

/// Reads the files again when they have changed, and have rested since: the two are not written at once. A pair that
/// cannot be used changes nothing.
async fn follow(files: Files, mut read: Looks, configs: watch::Sender<Arc<ServerConfig>>) {
    let (mut before, mut told) = (read, None);
    loop {
        tokio::select! {
            () = configs.closed() => return,
            () = tokio::time::sleep(LOOKED_AT_EVERY) => {}
        }
        let asked = files.clone();
        let known = (before, read);
        let looked = tokio::task::spawn_blocking(move || {
            let now = asked.look();
            (now, (now == known.0 && now != known.1).then(|| asked.read()))
        });
        let Ok((now, found)) = looked.await else { return };
        before = now;
        let Some(found) = found else { continue };
        // A file that could not be read is tried again, for its moment may pass.
        if !matches!(found, Err(TlsError::File(..))) {
            read = now;
        }
        match found {
            Ok(config) => {
                configs.send_replace(Arc::new(config));
                told = None;
                tracing::info!("the certificate of the server was replaced");
            }
            Err(error) => {
                let error = error.to_string();
                if told.as_ref() != Some(&error) {
                    tracing::warn!(%error, "the new certificate cannot be used, so the old one stays");
                }
                told = Some(error);
            }
        }
    }
}

/// Shakes hands with clients, with the certificate that holds at the time.
#[derive(Clone)]
pub(super) struct Acceptor(watch::Receiver<Arc<ServerConfig>>);

impl Acceptor {
    /// Shakes hands with a client, within a time. A client that speaks plain HTTP is told to use TLS.
    pub(super) async fn accept(&self, stream: TcpStream, within: Duration) -> io::Result<TlsStream<TcpStream>> {
        tokio::time::timeout(within, self.shake_hands(stream)).await?
    }

    async fn shake_hands(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        // A handshake begins with the byte 22, a request of HTTP with a letter.
        if first[0].is_ascii_alphabetic() {
            return refuse_plain(stream).await;
        }
        let config = Arc::clone(&self.0.borrow());
        TlsAcceptor::from(config).accept(stream).await
    }
}

/// Answers a client that speaks plain HTTP, and waits until it has read the answer.
async fn refuse_plain<T>(mut stream: TcpStream) -> io::Result<T> {
    let detail = "this port speaks TLS: ask with https://";
    let problem = Problem::new(StatusCode::BAD_REQUEST, "tls-required", detail);
    stream.write_all(&written(&problem, false)).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Err(io::ErrorKind::InvalidData.into())
}
