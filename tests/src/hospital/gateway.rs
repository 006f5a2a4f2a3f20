//! Text messages and push messages, which a gateway takes over HTTP.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Hospital;
use super::demo::{patient, person};
use super::notifications::{all_done, message};
use super::releases::until;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A request as the gateway got it.
#[derive(Debug, Clone)]
struct Request {
    headers: String,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let lines = self.headers.lines().filter_map(|it| it.split_once(": "));
        lines.filter(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1).next().expect("the header is there")
    }

    fn body(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// A gateway that answers with the statuses in their order, the last one again and again.
struct Gateway {
    url: String,
    got: Arc<Mutex<Vec<Request>>>,
}

impl Gateway {
    async fn that_answers(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}/messages", listener.local_addr().expect("an address"));
        let got = Arc::<Mutex<Vec<Request>>>::default();
        let kept = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let Some(request) = read(&mut client).await else { continue };
                let nth = {
                    let mut kept = kept.lock().expect("a lock");
                    kept.push(request);
                    kept.len() - 1
                };
                let status = statuses.get(nth).or(statuses.last()).expect("a status");
                let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                client.write_all(answer.as_bytes()).await.expect("answered");
            }
        });
        Self { url, got }
    }

    fn got(&self) -> Vec<Request> {
        self.got.lock().expect("a lock").clone()
    }
}

/// Reads one request with its body; `None` if the client closes the connection without one.
async fn read(client: &mut TcpStream) -> Option<Request> {
    let mut text = String::new();
    loop {
        let mut some = [0_u8; 4096];
        let length = client.read(&mut some).await.ok().filter(|it| *it > 0)?;
        text.push_str(std::str::from_utf8(&some[..length]).expect("UTF-8"));
        if let Some((headers, body)) = text.split_once("\r\n\r\n") {
            let request = Request { headers: headers.to_owned(), body: body.to_owned() };
            if request.header("content-length").parse() == Ok(body.len()) {
                return Some(request);
            }
        }
    }
}

async fn hospital(gateway: &Gateway) -> Hospital {
    let url = gateway.url.clone();
    Hospital::start_with(|settings| {
        settings.gateway_url = Some(url);
        settings.gateway_secret = Some(SECRET.to_owned());
        settings.hospital_name = "Hill Hospital".to_owned();
    })
    .await
}

/// HMAC-SHA256 (RFC 2104), computed here in another way than the program does.
fn hmac(secret: &str, text: &str) -> String {
    let padded = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(secret.bytes()).for_each(|(byte, letter)| *byte = letter ^ with);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    let outer: [u8; 32] = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into();
    hims_event_store::chain::hex(&outer)
}

#[tokio::test]
async fn a_text_message_is_signed_and_says_nothing_of_the_notification() {
    let gateway = Gateway::that_answers(&[202]).await;
    let hospital = hospital(&gateway).await;
    let (admin, reception) = (hospital.login("admin").await, hospital.login("reception").await);
    // The patient has a phone number and no e-mail address.
    let patient_id = reception.did("register-patient", person("Plantedname", "Plantedfamily", 1)).await;
    let none = json!({"patient_id": patient_id, "quiet_from": "00:00", "quiet_until": "00:00", "language": "de"});
    reception.did("set-notification-preferences", none).await;
    let mut body = message(json!([{"patient_id": patient_id}]));
    body["message"] = json!("Plantedresult");
    let sent = admin.did("send-notification", body).await;
    let of_it = format!("notification-recipients?notification_id={sent}");
    until(async || admin.items(&of_it).await[0]["status"] == "sent").await;
    let row = admin.items(&of_it).await.remove(0);
    let got = gateway.got();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].header("idempotency-key"), row["id"].as_str().expect("an id"));
    let told = got[0].body();
    let patient = reception.row("patients", &patient_id).await;
    assert_eq!((&told["channel"], &told["to"], &told["id"]), (&json!("sms"), &patient["phone_primary"], &row["id"]));
    let text = told["text"].as_str().expect("a text");
    assert!(text.starts_with("Hill Hospital: ") && text.contains("Nachricht"), "{text}");
    assert!(!got[0].body.to_lowercase().contains("planted"), "{}", got[0].body);
    let signature = got[0].header("hims-signature");
    let (at, code) = signature.strip_prefix("t=").and_then(|it| it.split_once(",v1=")).expect("a signature");
    assert_eq!(code, hmac(SECRET, &format!("{at}.{}", got[0].body)));
    // The gateway tells later that the message arrived.
    let arrived = json!({"notification_id": sent, "recipient_id": row["id"], "status": "delivered"});
    admin.did("record-delivery-status", arrived).await;
    let row = admin.row("notification-recipients", row["id"].as_str().expect("an id")).await;
    assert!(row["status"] == "delivered" && row["delivered_at"].is_string(), "{row}");
}

#[tokio::test]
async fn what_the_gateway_refuses_is_given_up_and_what_it_cannot_take_now_waits() {
    let gateway = Gateway::that_answers(&[410, 503]).await;
    let hospital = hospital(&gateway).await;
    let admin = hospital.login("admin").await;
    let mut rows = Vec::new();
    for (nth, status, attempts) in [(1, "failed", 1), (2, "pending", 1)] {
        let to = json!([{"channel": "sms", "address": "+12125550177"}]);
        let urgent = json!({"subject_patient_id": patient(2), "priority": "urgent"});
        let sent = admin.did("send-notification", hims_testing::patched(message(to), urgent)).await;
        until(async || gateway.got().len() == nth).await;
        all_done(&hospital).await;
        hospital.settle().await;
        let row = admin.items(&format!("notification-recipients?notification_id={sent}")).await.remove(0);
        assert_eq!((&row["status"], &row["attempts"]), (&json!(status), &json!(attempts)));
        rows.push(row);
    }
    assert_eq!(rows[0]["failure_reason"], "refused: the gateway answered 410");
}
