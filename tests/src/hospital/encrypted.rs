//! A server with a certificate of its own: which versions of TLS it speaks, and how the certificate is replaced.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use reqwest::Method;
use reqwest::tls::Version;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::connections::{address, connect, exchange, until_closed};
use super::releases::until;
use super::{Answer, Client, Hospital, Process};
use crate::support::{make_certificate, scratch};

const HSTS: &str = "strict-transport-security";
const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: hims\r\nconnection: close\r\n\r\n";

/// The demo hospital over TLS, in a folder with its certificate `served.pem`.
async fn served(folder: &Path) -> Hospital {
    let [certificate, key] = make_certificate(folder, "served");
    Hospital::start_with(|settings| {
        settings.tls_cert = Some(certificate);
        settings.tls_key = Some(key);
    })
    .await
}

/// What `openssl s_client` says, which asks a server whether it lives.
fn openssl(base: &str, options: &[&str]) -> Output {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-ign_eof", "-connect", address(base)]).args(options);
    let mut client =
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("openssl runs");
    let mut stdin = client.stdin.take().expect("a pipe");
    // A client that was refused reads nothing.
    let _ = std::io::Write::write_all(&mut stdin, LIVE.as_bytes());
    client.wait_with_output().expect("openssl ends")
}

async fn live(client: &Client) -> Answer {
    client.send(client.request(Method::GET, "/health/live")).await
}

/// Whether a server shows a client the certificate of a file.
async fn shows(base: &str, certificate: &Path) -> bool {
    let client = Client::trusting(certificate, base);
    client.try_send(client.request(Method::GET, "/health/live")).await.is_ok_and(|it| it.status == 200)
}

#[tokio::test]
async fn tls_1_3_and_1_2_are_spoken_and_nothing_older_or_weaker() {
    let folder = scratch("encrypted");
    let hospital = served(folder.path()).await;
    for (options, protocol) in [
        (&["-tls1_3"][..], "TLSv1.3"),
        (&["-tls1_2"], "TLSv1.2"),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], "TLSv1.2"),
    ] {
        let output = openssl(&hospital.node.base, options);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("New, {protocol}")) && said.contains("HTTP/1.1 200 OK"), "{options:?}: {said}");
    }
    for options in [["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]] {
        let output = openssl(&hospital.node.base, &options);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("alert handshake failure"), "it is the server that refuses {options:?}: {said}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[tokio::test]
async fn a_hospital_over_tls_says_so_with_every_answer() {
    let folder = scratch("encrypted");
    let hospital = served(folder.path()).await;
    let (base, trusted) = (&hospital.node.base, folder.path().join("served.pem"));
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let pem = fs::read(&trusted).expect("the certificate is read");
        let client = Client::builder([reqwest::Certificate::from_pem(&pem).expect("a certificate")]);
        let client = client.tls_version_min(version).tls_version_max(version).build().expect("a client");
        let answer = client.get(format!("{base}/health/live")).send().await.expect("the server answers");
        assert_eq!(answer.headers()[HSTS], "max-age=31536000; includeSubDomains");
    }
    let nobody = Client::trusting(&trusted, base);
    let doctor = nobody.login("doctor").await;
    assert_eq!(doctor.get("patients").await.status, 200);
    nobody.get("patients").await.problem(401, "unauthenticated");
    // What the protocol itself answers is a problem too.
    let many = (0..100).fold(nobody.request(Method::GET, "/health/live"), |it, _| it.header("x", "y"));
    let answer = nobody.send(many).await;
    answer.problem(431, "head-too-large");
    for answer in [live(&doctor).await, nobody.get("nowhere").await, answer] {
        assert!(answer.headers.contains_key(HSTS), "{:?}", answer.headers);
    }
    let plain = Hospital::start().await;
    assert!(!live(&plain.nobody()).await.headers.contains_key(HSTS));
    assert!(!shows(base, &make_certificate(folder.path(), "another")[0]).await, "a client looks at the certificate");
}

#[tokio::test]
async fn whoever_speaks_no_tls_is_told_so_or_sent_away_and_holds_nobody_up() {
    let folder = scratch("encrypted");
    let hospital = served(folder.path()).await;
    let base = &hospital.node.base;
    let answer = exchange(base, LIVE.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 400 ") && !head.contains(HSTS), "{answer}");
    let problem: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(problem["code"], "tls-required");
    assert!(!exchange(base, b"\x01\x02\x03\x04\x05\x06").await.contains("HTTP"));
    // Clients that begin a handshake and do not go on.
    let mut slow = Vec::new();
    for begun in [&b""[..], b"\x16\x03\x01\x02\x00"].repeat(20) {
        let mut socket = connect(base).await;
        socket.write_all(begun).await.expect("sent");
        slow.push(socket);
    }
    // One after the other, the two workers would need 100 seconds for those handshakes.
    let certificate = folder.path().join("served.pem");
    let answered = shows(base, &certificate);
    assert!(tokio::time::timeout(Duration::from_secs(30), answered).await.expect("nobody waits for slow handshakes"));
    for socket in slow {
        until_closed(socket).await;
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_while_the_server_runs() {
    let folder = scratch("encrypted");
    let named = ["first", "second", "third"].map(|name| make_certificate(folder.path(), name));
    let [certificate, key] = ["tls.pem", "tls.key"].map(|name| folder.path().join(name));
    let put = |pair: [&Path; 2]| {
        // As programs replace a file: another file takes its name.
        for (from, to) in pair.into_iter().zip([&certificate, &key]) {
            let beside = to.with_extension("new");
            fs::copy(from, &beside).expect("copied");
            fs::rename(&beside, to).expect("renamed");
        }
    };
    put([&named[0][0], &named[0][1]]);
    let arguments =
        ["--tls-cert", &certificate.to_string_lossy(), "--tls-key", &key.to_string_lossy()].map(str::to_owned);
    let arguments = arguments.each_ref().map(String::as_str);
    let mut server = Process::start_with(folder.path(), &arguments, |command| {
        command.env("RUST_LOG", "hims_api::wire=info").stderr(Stdio::piped());
    });
    let base = server.nobody.base().to_owned();
    let mut log = BufReader::new(server.stderr().expect("standard error")).lines().map_while(Result::ok);
    assert!(shows(&base, &named[0][0]).await);
    put([&named[1][0], &named[1][1]]);
    until(async || shows(&base, &named[1][0]).await).await;
    assert!(!shows(&base, &named[0][0]).await, "the old certificate is shown no more");
    for (pair, fault) in [
        ([&named[2][0], &named[0][1]], "is not for the key"),
        ([&named[2][1], &named[2][1]], "does not hold a certificate"),
    ] {
        put(pair.map(PathBuf::as_path));
        let told = log.find(|it| it.contains("the old one stays")).expect("the log tells of it");
        assert!(told.contains(fault), "{told}");
        assert!(shows(&base, &named[1][0]).await, "the old certificate is still shown");
    }
    put([&named[2][0], &named[2][1]]);
    until(async || shows(&base, &named[2][0]).await).await;
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_at_the_start() {
    let folder = scratch("encrypted");
    let [certificate, key] = make_certificate(folder.path(), "one");
    let [_, other] = make_certificate(folder.path(), "other");
    let open = folder.path().join("open.pem");
    fs::copy(&key, &open).expect("copied");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).expect("ours");
    for (files, wanted) in [
        ([Some(&certificate), None], "tls_cert and tls_key belong together"),
        ([None, Some(&key)], "tls_cert and tls_key belong together"),
        ([Some(&folder.path().join("none.pem")), Some(&key)], "which cannot be read"),
        ([Some(&key), Some(&key)], "does not hold a certificate"),
        ([Some(&certificate), Some(&certificate)], "which everybody on this machine can use"),
        ([Some(&certificate), Some(&open)], "run: chmod o= "),
        ([Some(&certificate), Some(&other)], "is not for the key"),
    ] {
        let mut command = super::hims();
        command.args(["serve", "--bind", "127.0.0.1:0", "--data-dir"]).arg(folder.path().join("data"));
        for (name, file) in ["HIMS_TLS_CERT", "HIMS_TLS_KEY"].into_iter().zip(files) {
            command.envs(file.map(|it| (name, it)));
        }
        let output = command.stdin(Stdio::null()).output().expect("the program runs");
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(wanted) && !folder.path().join("data").exists(), "{said}");
    }
}
