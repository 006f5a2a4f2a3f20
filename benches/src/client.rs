//! HTTP/1.1 with as little as it takes: requests that are rendered beforehand, one connection that is kept, and of an
//! answer its status, its position and its length.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Failure;

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

/// What is needed of an answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) position: i64,
    length: usize,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(8192) })
    }

    /// What the last answer said.
    pub(crate) fn body(&self) -> String {
        let text = String::from_utf8_lossy(&self.read);
        text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        self.stream.write_all(request).await?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the server closed the connection".into());
            }
            let Some(end) = self.read.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
            let answer = parse(&self.read[..end])?;
            while self.read.len() < end + 4 + answer.length {
                if self.stream.read_buf(&mut self.read).await? == 0 {
                    return Err("the server closed the connection".into());
                }
            }
            return Ok(answer);
        }
    }
}

fn parse(head: &[u8]) -> Result<Answer, Failure> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|it| it.split(' ').nth(1)).ok_or("no status")?.parse()?;
    let mut answer = Answer { status, ..Answer::default() };
    for (name, value) in lines.filter_map(|it| it.split_once(": ")) {
        if name.eq_ignore_ascii_case("content-length") {
            answer.length = value.parse()?;
        } else if name.eq_ignore_ascii_case("hims-position") {
            answer.position = value.parse()?;
        }
    }
    Ok(answer)
}
