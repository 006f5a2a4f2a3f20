//! A proxy in front of PostgreSQL that breaks connections at the worst moment, or falls silent.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};

use super::{cluster, scratch};

type Trap = Arc<Mutex<Option<(&'static [u8], oneshot::Sender<Captured>)>>>;

/// Passes all bytes between clients and PostgreSQL, until told to break connections.
pub(crate) struct Proxy {
    folder: TempDir,
    port: u16,
    cut: watch::Sender<()>,
    silence: watch::Sender<()>,
    isolated: watch::Sender<bool>,
    upstream: watch::Sender<PathBuf>,
    trap: Trap,
}

/// The bytes that a client sent before its connection broke and that the server has not received yet.
pub(crate) struct Captured {
    bytes: Vec<u8>,
    server: UnixStream,
}

/// What happens to a connection.
#[derive(Clone)]
struct Fate {
    cut: watch::Receiver<()>,
    silence: watch::Receiver<()>,
    isolated: watch::Receiver<bool>,
    trap: Trap,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        Self::before(&cluster().await.connect_options())
    }

    /// A proxy in front of the server that the options reach. Listens on a Unix socket and on a port of TCP.
    pub(crate) fn before(server: &PgConnectOptions) -> Self {
        let folder = scratch("proxy");
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).expect("a socket");
        let tcp = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = tcp.local_addr().expect("an address").port();
        tcp.set_nonblocking(true).expect("a listener without blocking");
        let tcp = TcpListener::from_std(tcp).expect("a listener");
        let (isolated, upstream) = (watch::Sender::new(false), watch::Sender::new(socket_of(server)));
        let (cut, silence, trap) = (watch::Sender::new(()), watch::Sender::new(()), Trap::default());
        let (cuts, silences, traps) = (cut.clone(), silence.clone(), trap.clone());
        let (isolations, upstreams) = (isolated.clone(), upstream.clone());
        tokio::spawn(async move {
            loop {
                let (cut, silence, isolated) = (cuts.subscribe(), silences.subscribe(), isolations.subscribe());
                let fate = Fate { cut, silence, isolated, trap: traps.clone() };
                tokio::select! {
                    Ok((client, _)) = listener.accept() => drop(tokio::spawn(lead(client, upstreams.subscribe(), fate))),
                    Ok((client, _)) = tcp.accept() => drop(tokio::spawn(lead(client, upstreams.subscribe(), fate))),
                    else => return,
                }
            }
        });
        Self { folder, port, cut, silence, isolated, upstream, trap }
    }

    /// The options to connect through the proxy to the server that `behind` describes.
    pub(crate) fn options(&self, behind: &PgConnectOptions) -> PgConnectOptions {
        behind.clone().socket(self.folder.path())
    }

    /// The URL to connect over TCP through the proxy to a database of the cluster.
    pub(crate) fn url(&self, behind: &PgConnectOptions) -> String {
        let (user, database) = (behind.get_username(), behind.get_database().expect("a database"));
        format!("postgres://{user}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// The port of TCP.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Breaks all connections on the client's side. The server still executes what it has received, but its answer is
    /// lost.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(());
    }

    /// Passes nothing on any more on the connections that are open, and leaves them open. New connections work.
    pub(crate) fn fall_silent(&self) {
        self.silence.send_replace(());
    }

    /// Passes nothing on any more, on no connection, until [`Self::rejoin`].
    pub(crate) fn isolate(&self) {
        self.isolated.send_replace(true);
    }

    /// Passes everything on again, also what was sent meanwhile.
    pub(crate) fn rejoin(&self) {
        self.isolated.send_replace(false);
    }

    /// Leads new connections to another server.
    pub(crate) fn lead_to(&self, server: &PgConnectOptions) {
        self.upstream.send_replace(socket_of(server));
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

    /// Sends the captured bytes to the server but the last one. The server waits for that as long as the returned
    /// connection is open.
    pub(crate) async fn arrive_partly(mut self) -> UnixStream {
        self.server.write_all(&self.bytes[..self.bytes.len() - 1]).await.expect("the server listens");
        self.server
    }
}

fn socket_of(server: &PgConnectOptions) -> PathBuf {
    server.get_socket().expect("a socket").join(".s.PGSQL.5432")
}

/// Leads a client to the server. A server that does not listen takes no connection, here or there.
async fn lead(client: impl AsyncRead + AsyncWrite + Unpin, upstream: watch::Receiver<PathBuf>, mut fate: Fate) {
    let _ = fate.isolated.wait_for(|it| !*it).await;
    let upstream = upstream.borrow().clone();
    if let Ok(server) = UnixStream::connect(upstream).await {
        pass_on(client, server, fate).await;
    }
}

async fn pass_on(mut client: impl AsyncRead + AsyncWrite + Unpin, mut server: UnixStream, mut fate: Fate) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let _ = fate.isolated.wait_for(|it| !*it).await;
        tokio::select! {
            count = client.read(&mut asked) => match count {
                Ok(count) if count > 0 => {
                    let bytes = &asked[..count];
                    let sprung = {
                        let mut trap = fate.trap.lock().expect("a lock");
                        trap.take_if(|(sent, _)| bytes.windows(sent.len()).any(|it| it == *sent))
                    };
                    if let Some((_, captured)) = sprung {
                        let _ = captured.send(Captured { bytes: bytes.to_vec(), server });
                        return;
                    }
                    if server.write_all(bytes).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            count = server.read(&mut answered) => match count {
                Ok(count) if count > 0 && client.write_all(&answered[..count]).await.is_ok() => {}
                _ => return,
            },
            _ = fate.isolated.changed() => {}
            _ = fate.cut.changed() => break,
            _ = fate.silence.changed() => {
                // The client and the server go on believing in the connection until one of them gives up.
                return std::future::pending().await;
            }
        }
    }
    drop(client);
    let _ = copy(&mut server, &mut sink()).await;
}
