//! A real mail server, as a process of its own on this machine, and what it took.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{make_certificate, scratch};

const SERVER: &str = include_str!("mail_server.py");

/// A mail server. It is stopped when it is dropped.
pub(crate) struct MailServer {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl MailServer {
    /// Starts a server that anybody may use in plain.
    pub(crate) fn start() -> Self {
        Self::start_with(scratch("mail"), &[])
    }

    /// Starts a server that asks for encryption and a login, with a certificate of its own.
    pub(crate) fn start_encrypted() -> Self {
        let folder = scratch("mail");
        let files = make_certificate(folder.path(), "certificate").map(|it| it.to_string_lossy().into_owned());
        Self::start_with(folder, &files)
    }

    fn start_with(folder: TempDir, certificate: &[String]) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", SERVER])
            .arg(folder.path())
            .args(certificate)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 runs");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("standard output")).read_line(&mut port).expect("a line");
        let port = port.trim().parse().expect("the mail server prints its port; `make test` installs python3-aiosmtpd");
        Self { child, port, folder }
    }

    /// The port of the server.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the server, with its certificate if it has one.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The e-mails that were taken, in their order.
    pub(crate) fn taken(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder()).expect("a folder").map(|it| it.expect("a file").path());
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "eml")).collect();
        files.sort();
        files.iter().map(|it| std::fs::read_to_string(it).expect("an e-mail")).collect()
    }

    /// Lets the server confirm the e-mails to "slow".
    pub(crate) fn release(&self) {
        std::fs::write(self.folder().join("release"), "").expect("the file is written");
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // The server may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
