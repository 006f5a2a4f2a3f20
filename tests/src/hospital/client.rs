use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use reqwest::{Certificate, ClientBuilder, Method, RequestBuilder};
use serde_json::{Value, json};

use super::Answer;
use super::releases::until;

/// How requests that want the same thing start: all together, or each after a delay of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    Together,
    /// After random delays of up to six milliseconds, which follow from the seed.
    Staggered {
        seed: u64,
    },
}

impl Start {
    /// Both ways to start, in turn, this many times. The seeds of the delays are printed, so that a failure names them; a
    /// run with the first of them in the variable `RACE_SEED` has the same delays.
    pub(crate) fn rounds(rounds: u64) -> impl Iterator<Item = Self> {
        let given = std::env::var("RACE_SEED").ok().map(|it| it.parse().expect("RACE_SEED is a number"));
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is as random as the whole")]
        let first = given.unwrap_or_else(|| (hims_api::surroundings().entropy)() as u64);
        eprintln!("the requests are staggered from RACE_SEED={first} on");
        (0..rounds).flat_map(move |round| [Self::Together, Self::Staggered { seed: first.wrapping_add(round) }])
    }

    /// Sends requests that start in this way, and returns the answers in the order of the requests.
    pub(crate) async fn race<F: Future>(self, requests: impl IntoIterator<Item = F>) -> Vec<F::Output> {
        let started = (1_u64..).zip(requests).map(async |(nth, request)| {
            if let Self::Staggered { seed } = self {
                tokio::time::sleep(Duration::from_micros(drawn(seed, nth) % 6_000)).await;
            }
            request.await
        });
        join_all(started).await
    }
}

/// The draw with this number from a seed (`SplitMix64`).
fn drawn(seed: u64, nth: u64) -> u64 {
    let mut it = seed.wrapping_add(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}

/// A client of the HTTP interface, logged in or not. All clients of a hospital share the highest position that any of
/// them was answered.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    seen: Arc<AtomicI64>,
}

impl Client {
    /// A client that is not logged in.
    pub(crate) fn new(base: String, seen: Arc<AtomicI64>) -> Self {
        Self { base, token: None, seen, http: Self::builder([]).build().expect("a client") }
    }

    /// A client that is not logged in, and believes a server that shows the certificate in this file.
    pub(crate) fn trusting(certificate: &Path, base: &str) -> Self {
        let pem = std::fs::read(certificate).expect("the certificate is read");
        let certificate = Certificate::from_pem(&pem).expect("a certificate");
        let http = Self::builder([certificate]).build().expect("a client");
        Self { http, base: base.to_owned(), token: None, seen: Arc::default() }
    }

    /// A client that believes no server but those that show one of these certificates. The servers of the tests are on
    /// this machine, so the client need not read the system's certificates.
    pub(crate) fn builder<const N: usize>(certificates: [Certificate; N]) -> ClientBuilder {
        hims_api::provide_encryption();
        // A connection that was idle for longer may be closed by the server in the moment in which it is used again.
        reqwest::Client::builder().tls_certs_only(certificates).pool_idle_timeout(Duration::from_secs(2))
    }

    /// Logs in as the demo user `<login>@demo.hims`.
    pub(crate) async fn login(&self, login: &str) -> Self {
        self.login_as(&format!("{login}@demo.hims"), super::demo::PASSWORD).await
    }

    pub(crate) async fn login_as(&self, email: &str, password: &str) -> Self {
        let answer = self.log_in(email, password).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let token = answer.json()["token"].as_str().expect("the answer has a token").to_owned();
        Self { token: Some(token), ..self.clone() }
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.send(self.request(Method::POST, "/api/v1/sessions").json(&body)).await
    }

    /// The address of the node.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The token of the session; `None` if the client is not logged in.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The same session at another node.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// The same client with another session token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let answer = Answer::try_of(request.send().await?).await?;
        if let Some(position) = answer.header("hims-position").and_then(|it| it.parse().ok()) {
            self.seen.fetch_max(position, Ordering::SeqCst);
        }
        Ok(answer)
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("the server answers")
    }

    pub(crate) fn post(&self, command: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, &format!("/api/v1/commands/{command}")).json(body)
    }

    /// Sends a command.
    pub(crate) async fn command(&self, name: &str, body: Value) -> Answer {
        self.send(self.post(name, &body)).await
    }

    /// Sends a command that must succeed; returns the id of the stream.
    pub(crate) async fn did(&self, name: &str, body: Value) -> String {
        self.command(name, body).await.id()
    }

    /// Reads once the tables have reached the highest position that any client was answered.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let position = self.seen.load(Ordering::SeqCst);
        let request = self.request(Method::GET, &format!("/api/v1/{path}"));
        self.send(request.header("hims-min-position", position).header("prefer", "wait=10")).await
    }

    /// Repeats a read until the answer has this status. Needed where a consequence of an event, such as the end of a
    /// session, takes effect a moment after the command was answered.
    pub(crate) async fn get_until(&self, path: &str, status: u16) -> Answer {
        let asking = async {
            loop {
                let answer = self.get(path).await;
                if answer.status == status {
                    return answer;
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(1), asking).await.expect("the status is answered within a minute")
    }

    /// Reads a row of a table until it is as it should be, and returns it.
    pub(crate) async fn row_until(&self, table: &str, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut row = Value::Null;
        until(async || {
            row = self.row(table, id).await;
            is_so(&row)
        })
        .await;
        row
    }

    /// A row of a table; the row must be there.
    pub(crate) async fn row(&self, table: &str, id: &str) -> Value {
        self.get(&format!("{table}/{id}")).await.done()
    }

    /// The items of a page.
    pub(crate) async fn items(&self, path: &str) -> Vec<Value> {
        self.get(path).await.done()["items"].as_array().expect("the page has items").clone()
    }

    /// Makes all clients wait, when they read, until the tables have reached this position.
    pub(crate) fn saw(&self, position: i64) {
        self.seen.fetch_max(position, Ordering::SeqCst);
    }
}
