//! A proxy in front of PostgreSQL that breaks connections at the worst moment.

use std::path::Path;
use std::sync::{Arc, Mutex};

use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};

use super::{cluster, scratch};

type Trap = Arc<Mutex<Option<(&'static [u8], oneshot::Sender<Captured>)>>>;

/// Passes all bytes between clients and PostgreSQL, until told to break connections.
pub(crate) struct Proxy {
    folder: TempDir,
    cut: watch::Sender<()>,
    trap: Trap,
}

/// The bytes that a client sent before its connection broke and that the server has not received yet.
pub(crate) struct Captured {
    bytes: Vec<u8>,
    server: UnixStream,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        Self::before(&cluster().await.connect_options())
    }

    /// A proxy in front of the server that the options reach.
    pub(crate) fn before(server: &PgConnectOptions) -> Self {
        let folder = scratch("proxy");
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).expect("a socket");
        let upstream = server.get_socket().expect("a socket").join(".s.PGSQL.5432");
        let (cut, trap) = (watch::Sender::new(()), Trap::default());
        let (links, traps) = (cut.clone(), trap.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, connect(&upstream).await, links.subscribe(), traps.clone()));
            }
        });
        Self { folder, cut, trap }
    }

    /// The options to connect through the proxy to the server that `behind` describes.
    pub(crate) fn options(&self, behind: &PgConnectOptions) -> PgConnectOptions {
        behind.clone().socket(self.folder.path())
    }

    /// Breaks all connections on the client's side. The server still executes what it has received, but its answer is
    /// lost.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(());
    }

    /// Breaks the next connection on which a client sends these bytes, before the server receives them.
    pub(crate) fn capture(&self, sent: &'static [u8]) -> oneshot::Receiver<Captured> {
        let (captured, capture) = oneshot::channel();
        *self.trap.lock().expect("a lock") = Some((sent, captured));
        capture
    }
}

impl Captured {
    /// Sends the captured bytes to the server after all, and returns when the server has answered.
    pub(crate) async fn arrive(mut self) {
        self.server.write_all(&self.bytes).await.expect("the server listens");
        assert!(self.server.read_u8().await.is_ok(), "the server answers");
    }
}

async fn connect(upstream: &Path) -> UnixStream {
    UnixStream::connect(upstream).await.expect("PostgreSQL listens")
}

async fn pass_on(mut client: UnixStream, mut server: UnixStream, mut cut: watch::Receiver<()>, trap: Trap) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            count = client.read(&mut asked) => match count {
                Ok(count) if count > 0 => {
                    let bytes = &asked[..count];
                    let sprung = {
                        let mut trap = trap.lock().expect("a lock");
                        trap.take_if(|(sent, _)| bytes.windows(sent.len()).any(|it| it == *sent))
                    };
                    if let Some((_, captured)) = sprung {
                        let _ = captured.send(Captured { bytes: bytes.to_vec(), server });
                        return;
                    }
                    server.write_all(bytes).await.expect("the server listens");
                }
                _ => return,
            },
            count = server.read(&mut answered) => match count {
                Ok(count) if count > 0 && client.write_all(&answered[..count]).await.is_ok() => {}
                _ => return,
            },
            _ = cut.changed() => break,
        }
    }
    drop(client);
    let _ = copy(&mut server, &mut sink()).await;
}
