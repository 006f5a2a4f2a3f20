use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Answer;

/// Somebody who is logged in, or nobody. All clients of a hospital know how far each other has seen.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    seen: Arc<AtomicI64>,
}

impl Client {
    /// Nobody.
    pub(crate) fn new(base: String, seen: Arc<AtomicI64>) -> Self {
        Self { http: reqwest::Client::new(), base, token: None, seen }
    }

    /// The demo's user with this login.
    pub(crate) async fn login(&self, login: &str) -> Self {
        self.login_as(&format!("{login}@demo.hims"), super::demo::PASSWORD).await
    }

    pub(crate) async fn login_as(&self, email: &str, password: &str) -> Self {
        let answer = self.log_in(email, password).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let token = answer.json()["token"].as_str().expect("a token").to_owned();
        Self { token: Some(token), ..self.clone() }
    }

    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.send(self.request(Method::POST, "/api/v1/sessions").json(&body)).await
    }

    /// The same person at another node.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// Somebody with another token.
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
        let answer = Answer::of(request.send().await?).await;
        if let Some(position) = answer.header("hims-position").and_then(|it| it.parse().ok()) {
            self.seen.fetch_max(position, Ordering::SeqCst);
        }
        Ok(answer)
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    pub(crate) fn post(&self, command: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, &format!("/api/v1/commands/{command}")).json(body)
    }

    /// Gives a command.
    pub(crate) async fn command(&self, name: &str, body: Value) -> Answer {
        self.send(self.post(name, &body)).await
    }

    /// Gives a command that must be carried out; answers the stream's id.
    pub(crate) async fn did(&self, name: &str, body: Value) -> String {
        self.command(name, body).await.id()
    }

    /// Reads what is at least as new as everything that was answered before.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let position = self.seen.load(Ordering::SeqCst);
        let request = self.request(Method::GET, &format!("/api/v1/{path}"));
        self.send(request.header("hims-min-position", position).header("prefer", "wait=10")).await
    }

    /// The answer once it has a status: what follows from an event in the order of the log comes a moment later.
    pub(crate) async fn get_until(&self, path: &str, status: u16) -> Answer {
        let asking = async {
            loop {
                let answer = self.get(path).await;
                if answer.status == status {
                    return answer;
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(1), asking).await.expect("it is answered so at last")
    }

    /// A row.
    pub(crate) async fn row(&self, table: &str, id: &str) -> Value {
        self.get(&format!("{table}/{id}")).await.done()
    }

    /// The items of a page.
    pub(crate) async fn items(&self, path: &str) -> Vec<Value> {
        self.get(path).await.done()["items"].as_array().expect("items").clone()
    }

    /// Has everybody read at least what was recorded up to here.
    pub(crate) fn saw(&self, position: i64) {
        self.seen.fetch_max(position, Ordering::SeqCst);
    }
}
