use actix_web::http::StatusCode;

use crate::problem::Problem;

/// How many bytes of a head are kept. The protocol gives up a longer head.
const MOST: usize = 128 * 1024;
/// The longest address of a request that the protocol takes, in bytes.
const LONGEST_ADDRESS: usize = 65_534;
/// How many bytes are kept allocated between requests.
const USUAL: usize = 8 * 1024;

/// What a client asks: the head of the request that is being read, which says why the protocol cannot read it. Of
/// requests that are sent before earlier ones are answered, only the first is kept.
#[derive(Default)]
pub(super) struct Asked {
    head: Vec<u8>,
    /// Whether the head has ended, so that a body follows.
    is_whole: bool,
    /// Whether the request was answered, so that another head follows.
    is_answered: bool,
}

impl Asked {
    /// Takes note of bytes that were read.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if self.is_answered {
            self.head.clear();
            self.head.shrink_to(USUAL);
            (self.is_whole, self.is_answered) = (false, false);
        }
        if self.is_whole {
            return;
        }
        // The end of the head may have been read in two parts.
        let from = self.head.len().saturating_sub(3);
        self.head.extend_from_slice(&bytes[..bytes.len().min(MOST - self.head.len().min(MOST))]);
        let end = self.head[from..].windows(4).position(|it| it == b"\r\n\r\n");
        self.is_whole = end.is_some() || self.head.len() >= MOST;
        self.head.truncate(end.map_or(self.head.len(), |it| from + it + 4));
    }

    /// Takes note of bytes that are written. The word to go on and send the body answers nothing yet.
    pub(super) fn answered(&mut self, bytes: &[u8]) {
        self.is_answered |= !bytes.starts_with(b"HTTP/1.1 100 ");
    }

    /// Why the protocol cannot read the request, more exactly than the protocol's own status says.
    pub(super) fn problem(&self, status: &str) -> Option<Problem> {
        let problem = |status, code, detail: &str| Some(Problem::new(status, code, detail));
        match status {
            "400" | "431" if self.address_is_too_long() => problem(
                StatusCode::URI_TOO_LONG,
                "address-too-long",
                "the address of a request (path and query) may have 65,534 bytes at most",
            ),
            "400" if self.version_is_another() => problem(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "http-version-not-supported",
                "this server speaks HTTP/1.1 and HTTP/1.0",
            ),
            "400" if self.has_unknown_coding() => Some(Problem::not_implemented(
                "send the body as it is or chunked: this server knows no other Transfer-Encoding",
            )),
            "400" => problem(
                StatusCode::BAD_REQUEST,
                "malformed-http",
                "the request is not HTTP/1.1: check its head and its chunks",
            ),
            "408" => problem(
                StatusCode::REQUEST_TIMEOUT,
                "request-timeout",
                "the head of the request did not arrive in time",
            ),
            "431" => problem(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head-too-large",
                "the head of a request may have 128 KiB and 96 headers at most, the address included",
            ),
            "500" => problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal-server-error",
                "the server failed to read the request; tell an operator",
            ),
            _ => None,
        }
    }

    /// The lines of the head. Empty lines may come before the first.
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.head.split(|it| *it == b'\n').map(|it| it.strip_suffix(b"\r").unwrap_or(it));
        lines.skip_while(|it| it.is_empty())
    }

    /// The parts of the first line: the method, the address and the version.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.lines().next().unwrap_or_default().split(|it| *it == b' ')
    }

    fn address_is_too_long(&self) -> bool {
        self.parts().nth(1).is_some_and(|it| it.len() > LONGEST_ADDRESS)
    }

    fn version_is_another(&self) -> bool {
        let version = self.parts().nth(2).and_then(|it| it.strip_prefix(b"HTTP/"));
        version.is_some_and(|it| it.first().is_some_and(u8::is_ascii_digit) && !matches!(it, b"1.0" | b"1.1"))
    }

    fn has_unknown_coding(&self) -> bool {
        let codings = self.lines().skip(1).filter_map(|line| {
            let colon = line.iter().position(|it| *it == b':')?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            name.eq_ignore_ascii_case(b"transfer-encoding").then_some(value)
        });
        let known = |it: &[u8]| [&b"chunked"[..], b"identity"].iter().any(|known| it.eq_ignore_ascii_case(known));
        let is_coding = |it: &u8| it.is_ascii_alphanumeric() || b" ,-\t".contains(it);
        codings.into_iter().any(|it| !it.is_empty() && it.iter().all(is_coding) && !known(it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(reads: &[&str], status: &str) -> u16 {
        let mut asked = Asked::default();
        for part in reads {
            asked.read(part.as_bytes());
        }
        asked.problem(status).expect("a problem").status().as_u16()
    }

    #[test]
    fn a_head_says_why_it_cannot_be_read() {
        let long = "a".repeat(70_000);
        for (head, status, expected) in [
            (format!("GET /{long} HTTP/1.1\r\nhost: hims\r\n\r\n"), "400", 414),
            (format!("\r\nGET /?{long} HTTP/1.1\r\n"), "400", 414),
            (format!("GET /{}", "a".repeat(140_000)), "431", 414),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "400", 505),
            ("GET / HTTP/1.2\r\nhost: hims\r\n\r\n".to_owned(), "400", 505),
            ("GET / HTTP/3\r\n\r\n".to_owned(), "400", 505),
            ("POST / HTTP/1.1\r\nhost: hims\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(), "400", 501),
            ("POST / HTTP/1.1\r\nhost: hims\r\ntransfer-encoding: CHUNKED\r\nb d: x\r\n\r\n".to_owned(), "400", 400),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400", 400),
            ("NONSENSE\r\n\r\n".to_owned(), "400", 400),
            ("GET / HTP/1.1\r\n\r\n".to_owned(), "400", 400),
            (format!("GET / HTTP/1.1\r\nx: {long}\r\n"), "431", 431),
            (String::new(), "408", 408),
            (String::new(), "500", 500),
        ] {
            assert_eq!(status_of(&[&head], status), expected, "{}", &head[..head.len().min(80)]);
        }
    }

    #[test]
    fn a_head_is_read_in_parts_and_a_body_is_none() {
        let parts = ["POST / HTTP/1.1\r\nhost: hims\r", "\n\r", "\nGET / HTTP/2.0\r\n\r\n"];
        let mut asked = Asked::default();
        for part in parts {
            asked.read(part.as_bytes());
        }
        assert_eq!(asked.head, b"POST / HTTP/1.1\r\nhost: hims\r\n\r\n");
        asked.answered(b"HTTP/1.1 100 Continue\r\n\r\n");
        asked.read(b"GET / HTTP/2.0\r\n\r\n");
        assert!(!asked.version_is_another(), "a body is no head");
        asked.answered(b"HTTP/1.1 200 OK\r\n");
        asked.read(b"GET / HTTP/2.0\r\n\r\n");
        assert!(asked.version_is_another(), "after an answer comes another head");
    }

    #[test]
    fn no_more_is_kept_than_needed() {
        let mut asked = Asked::default();
        for _ in 0..10 {
            asked.read(&b"a".repeat(20_000));
        }
        assert_eq!(asked.head.len(), MOST);
        asked.answered(b"HTTP/1.1 200 OK\r\n");
        asked.read(b"GET / HTTP/1.1\r\n");
        assert!(asked.head.capacity() < MOST);
    }
}
