//! HTTP/1 over a socket, below the routes. The protocol answers a head that it cannot read by itself, without a body;
//! here such an answer becomes a problem like any other.

mod asked;
mod tls;

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, Response};
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Extensions};
use actix_web::rt::net::TcpStream;
use actix_web::web::{Buf as _, Bytes};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use uuid::Uuid;

use self::asked::Asked;
use crate::problem::Problem;
use crate::routes::security_headers;
use crate::surroundings;

pub(crate) use tls::Tls;
pub use tls::TlsError;

/// How long the head of a request may take to arrive, and the handshake of TLS before it.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// How long a connection that is being closed waits for the client.
const FAREWELL: Duration = Duration::from_secs(1);

/// A mark in the data of a connection: nobody can read on the way what is sent.
pub(crate) struct Encrypted;

/// Serves an application on a listener, over TLS if there is a certificate. `connected` is told of each new connection,
/// with the address of the client.
///
/// # Errors
/// When the listener cannot be used.
pub(crate) fn serve<I, S, B>(
    builder: ServerBuilder,
    (listener, tls): (TcpListener, Option<Tls>),
    application: impl Fn() -> I + Clone + Send + 'static,
    connected: impl Fn(IpAddr, &mut Extensions) + Clone + Send + 'static,
) -> io::Result<Server>
where
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let address = listener.local_addr()?;
    let stopping = builder.graceful_shutdown_signal();
    let acceptor = tls.map(Tls::follow);
    let builder = builder.listen("hims", listener, move || {
        let (connected, stopping, acceptor) = (connected.clone(), stopping.clone(), acceptor.clone());
        let service = application().into_factory().map_err(|error| error.into().error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_request_timeout(HEAD_DEADLINE)
            .client_disconnect_timeout(FAREWELL)
            .local_addr(address)
            .on_connect_ext(|socket: &Socket, data: &mut Extensions| data.extend(socket.data.take()))
            .h1(map_config(service, |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            // A connection counts from the beginning: a client that does not shake hands has one too.
            let mut data = Extensions::new();
            if let Some(peer) = peer {
                connected(peer.ip(), &mut data);
            }
            let acceptor = acceptor.clone();
            async move {
                let stream = match acceptor {
                    None => Either::Left(stream),
                    Some(acceptor) => {
                        data.insert(Encrypted);
                        Either::Right(acceptor.accept(stream, HEAD_DEADLINE).await.map_err(DispatchError::Io)?)
                    }
                };
                Ok::<_, DispatchError>((Socket::new(stream, data), peer))
            }
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

/// The socket of a client, which writes a problem in place of an answer without a body.
struct Socket {
    stream: Either<TcpStream, TlsStream<TcpStream>>,
    /// What is known of the connection, until the protocol takes it over.
    data: Cell<Extensions>,
    /// The head of the request, which says why the protocol cannot read it.
    asked: Asked,
    /// What is still to be written of a problem, and how many bytes of the bare answer it stands for.
    problem: Option<(Bytes, usize)>,
}

impl Socket {
    fn new(stream: Either<TcpStream, TlsStream<TcpStream>>, data: Extensions) -> Self {
        Self { stream, data: Cell::new(data), asked: Asked::default(), problem: None }
    }

    fn is_encrypted(&self) -> bool {
        matches!(self.stream, Either::Right(_))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(bytes) = buffer.filled().get(before..).filter(|it| !it.is_empty()) {
            self.asked.read(bytes);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.problem.is_none() {
            match bare_answer(bytes, &this.asked, this.is_encrypted()) {
                None => {
                    this.asked.answered(bytes);
                    return Pin::new(&mut this.stream).poll_write(context, bytes);
                }
                Some((0, problem)) => this.problem = Some((problem, bytes.len())),
                // Earlier answers of the connection are written first.
                Some((before, _)) => return Pin::new(&mut this.stream).poll_write(context, &bytes[..before]),
            }
        }
        if let Some((problem, _)) = &mut this.problem {
            while problem.has_remaining() {
                match ready!(Pin::new(&mut this.stream).poll_write(context, problem))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => problem.advance(written),
                }
            }
        }
        Poll::Ready(Ok(this.problem.take().map_or(0, |(_, stands_for)| stands_for)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Where in the bytes an answer of the protocol itself begins, and the problem to write instead. Such an answer is the
/// last one of its connection, is short, and has no body and no request id; every answer of a route has a request id.
/// `asked` says why the protocol cannot read the request.
fn bare_answer(bytes: &[u8], asked: &Asked, is_encrypted: bool) -> Option<(usize, Bytes)> {
    /// The protocol's own answers are shorter than this; the answers of routes have longer heads.
    const LONGEST: usize = 256;
    const BEGINNING: &[u8] = b"HTTP/1.1 ";
    let tail = bytes.len().saturating_sub(LONGEST);
    let start = tail + bytes[tail..].windows(BEGINNING.len()).rposition(|it| it == BEGINNING)?;
    let head = std::str::from_utf8(&bytes[start..]).ok()?;
    if !head.ends_with("\r\n\r\n") || head.contains("x-request-id") || !head.contains("content-length: 0") {
        return None;
    }
    let problem = asked.problem(head.get(BEGINNING.len()..BEGINNING.len() + 3)?)?;
    Some((start, written(&problem, is_encrypted)))
}

/// A problem as the last answer of a connection.
fn written(problem: &Problem, is_encrypted: bool) -> Bytes {
    let id = Uuid::from_u128((surroundings().entropy)());
    let status = problem.status();
    let mut body = problem.body();
    (body["instance"], body["request_id"]) = (json!("/"), json!(id));
    tracing::info!(status = status.as_u16(), code = body["code"].as_str(), request_id = %id, "refused");
    let body = body.to_string();
    let headers = security_headers("/", is_encrypted);
    let headers = headers.map(|(name, value)| [name.as_str(), ": ", value, "\r\n"].concat()).collect::<String>();
    let reason = status.canonical_reason().unwrap_or_default();
    let text = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         connection: close\r\nx-request-id: {id}\r\n{headers}\r\n{body}",
        status.as_u16(),
        body.len(),
    );
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\
                        date: Mon, 23 Nov 2026 10:00:00 GMT\r\n\r\n";

    #[test]
    fn a_bare_answer_is_found_behind_others() {
        let (start, problem) = bare_answer(BARE.as_bytes(), &Asked::default(), false).expect("a bare answer");
        assert_eq!(start, 0);
        let problem = std::str::from_utf8(&problem).expect("UTF-8");
        let (head, body) = problem.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 431 ") && head.contains("x-frame-options: DENY"), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!((&body["code"], &body["status"]), (&json!("head-too-large"), &json!(431)));
        let earlier = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{BARE}");
        assert_eq!(
            bare_answer(earlier.as_bytes(), &Asked::default(), false).map(|it| it.0),
            Some(earlier.len() - BARE.len())
        );
    }

    #[test]
    fn an_answer_of_a_route_stays_as_it_is() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
            BARE.replace("content-length: 0", "content-length: 0\r\nx-request-id: 1"),
            BARE.replace("content-length: 0", "content-length: 4") + "text",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "0\r\n\r\n".to_owned(),
            String::new(),
        ] {
            assert!(bare_answer(answer.as_bytes(), &Asked::default(), false).is_none(), "{answer}");
        }
    }
}
