//! How one client asks: whom it asks as, and how it gets an answer in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::history::{Acknowledged, Outcome, Seen, Write, key};
use super::load::Load;
use crate::hospital::{Answer, Client, PASSWORD};

/// How long a client waits for each of the first two answers to a command: less than a node may stand still, so that the
/// node goes on with a request that has been sent again elsewhere.
const IMPATIENCE: Duration = Duration::from_secs(3);
/// How long a client waits otherwise: longer than any node that runs takes to answer.
const PATIENCE: Duration = Duration::from_secs(12);

/// The session tokens of the logins that give the commands.
pub(super) struct Tokens(BTreeMap<&'static str, String>);

impl Tokens {
    pub(super) async fn of(nobody: &Client) -> Self {
        let mut tokens = BTreeMap::new();
        for login in ["admin", "reception", "doctor", "pharmacist"] {
            let client = nobody.login(login).await;
            tokens.insert(login, client.token().expect("a token").to_owned());
        }
        Self(tokens)
    }
}

/// A command to give.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) login: &'static str,
    pub(super) command: &'static str,
    pub(super) body: Value,
}

/// One client, with a connection to each node.
pub(super) struct Staff {
    people: BTreeMap<&'static str, Client>,
    /// The node that is asked next.
    next: AtomicUsize,
}

/// What became of one request.
enum Told {
    Done(Acknowledged),
    Refused(String),
    Nothing,
}

impl Staff {
    pub(super) fn new(load: &Load) -> Self {
        let client = Client::new(String::new(), Arc::default());
        let people = load.tokens.0.iter().map(|(login, token)| (*login, client.with_token(token))).collect();
        Self { people, next: AtomicUsize::new(0) }
    }

    /// Sends the requests to another node from now on.
    fn at_next_node(&self, load: &Load, login: &str) -> Client {
        let nth = self.next.fetch_add(1, Ordering::SeqCst);
        let addresses = load.addresses.lock().expect("a lock");
        self.people[login].at(&addresses[nth % addresses.len()])
    }

    /// Sends a request. An answer that a request may be sent again, such as when it arrived too slowly, is no answer.
    async fn answer(
        &self,
        load: &Load,
        client: &Client,
        request: RequestBuilder,
        patience: Duration,
    ) -> Option<Answer> {
        match client.try_send(request.timeout(patience)).await {
            Ok(answer) if answer.status < 500 && ![408, 429].contains(&answer.status) => return Some(answer),
            Ok(answer) => load.failed(answer.text),
            Err(error) => load.failed(error.to_string()),
        }
        None
    }

    async fn send(&self, load: &Load, order: &Order, write: &Write) -> Told {
        let client = self.at_next_node(load, order.login);
        let request = client.post(order.command, &order.body).header("idempotency-key", key(write.number).to_string());
        let request = match write.compared {
            Some((_, version)) => request.header("if-match", format!("\"{version}\"")),
            None => request,
        };
        let patience = if write.requests <= 2 { IMPATIENCE } else { PATIENCE };
        match self.answer(load, &client, request, patience).await {
            Some(answer) if matches!(answer.status, 200 | 201) => Told::Done(acknowledged(&answer)),
            Some(answer) => Told::Refused(answer.json()["code"].as_str().unwrap_or_default().to_owned()),
            None => Told::Nothing,
        }
    }

    /// Gives a command under its key, at one node after the other, until there is an answer. Without one, a client that
    /// may give up does so after the first request.
    pub(super) async fn ask(&self, load: &Load, order: &Order, mut write: Write, may_give_up: bool) -> Write {
        let mut is_certain = write.requests == 0;
        loop {
            write.requests += 1;
            match self.send(load, order, &write).await {
                Told::Done(answer) => write.outcome = Outcome::Done(vec![answer]),
                Told::Refused(code) => write.outcome = Outcome::Refused { code, certain: is_certain },
                Told::Nothing if may_give_up => return write,
                Told::Nothing => {
                    is_certain = false;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            }
            return write;
        }
    }

    /// Gives a command at two nodes at the same moment, under one key. Both have to give the same answer.
    pub(super) async fn ask_twice(&self, load: &Load, order: &Order, mut write: Write) -> Write {
        write.requests += 2;
        let (one, other) = futures::join!(self.send(load, order, &write), self.send(load, order, &write));
        let (mut answers, mut refusals) = (Vec::new(), Vec::new());
        for told in [one, other] {
            match told {
                Told::Done(answer) => answers.push(answer),
                Told::Refused(code) => refusals.push(code),
                Told::Nothing => {}
            }
        }
        match (answers.is_empty(), refusals.pop()) {
            (false, _) => write.outcome = Outcome::Done(answers),
            // The other one may have had no answer, and be carried out all the same.
            (true, Some(code)) => write.outcome = Outcome::Refused { code, certain: refusals.len() == 1 },
            (true, None) => return self.ask(load, order, write, false).await,
        }
        write
    }

    /// Reads from the next node. A read without an answer is none.
    pub(super) async fn read(&self, load: &Load, login: &str, path: &str, least: Option<i64>) -> Option<Answer> {
        let client = self.at_next_node(load, login);
        let mut request = client.request(Method::GET, &format!("/api/v1/{path}"));
        if let Some(least) = least {
            request = request.header("hims-min-position", least).header("prefer", "wait=2");
        }
        let answer = self.answer(load, &client, request, IMPATIENCE * 2).await?;
        if answer.status == 200 {
            return Some(answer);
        }
        if answer.json()["code"] == "confirm-identity" {
            // A long run outlives the proof of who reads. The read is made again when its turn comes.
            let proof = json!({ "password": PASSWORD });
            let confirmed = client.request(Method::POST, "/api/v1/sessions/current/confirm").json(&proof);
            self.answer(load, &client, confirmed, IMPATIENCE * 2).await;
            return None;
        }
        let told = format!("refused to {login}: {path} from {least:?}: {}", answer.text);
        load.refused.lock().expect("a lock").push(told);
        None
    }
}

fn acknowledged(answer: &Answer) -> Acknowledged {
    let told = answer.json();
    let events = told["events"].as_array().expect("events");
    Acknowledged {
        stream: id(&told["id"]),
        version: version(&told),
        positions: events.iter().map(|it| it["position"].as_i64().expect("a position")).collect(),
        replayed: told["replayed"].as_bool().expect("whether it is repeated"),
    }
}

pub(super) fn id(value: &Value) -> Uuid {
    value.as_str().and_then(|it| it.parse().ok()).expect("an id")
}

pub(super) fn version(of: &Value) -> i32 {
    of["version"].as_i64().and_then(|it| i32::try_from(it).ok()).expect("a version")
}

/// The events of a page with stored texts.
pub(super) fn seen(page: &Value) -> Vec<Seen> {
    let event = |it: &Value| Seen {
        position: it["position"].as_i64().expect("a position"),
        command: command(&serde_json::from_str(it["metadata"].as_str().expect("a text")).expect("metadata")),
        hash: it["hash"].as_str().expect("a hash").to_owned(),
    };
    page["items"].as_array().expect("items").iter().map(event).collect()
}

pub(super) fn command(metadata: &Value) -> Uuid {
    id(&metadata["command_id"])
}
