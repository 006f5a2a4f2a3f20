//! An OpenID provider for tests: a script in a process of its own, which speaks the protocol over HTTP and signs with a
//! key of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::scratch;

const PROVIDER: &str = include_str!("openid_provider.py");

/// An OpenID provider. It is stopped when it is dropped.
pub(crate) struct OpenIdProvider {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl OpenIdProvider {
    /// Starts a provider, which knows a client `hims` with the [secret](Self::SECRET).
    pub(crate) fn start() -> Self {
        let folder = scratch("openid");
        let mut child = Command::new("/usr/bin/python3")
            .args(["-c", PROVIDER])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 runs");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("standard output")).read_line(&mut port).expect("a line");
        let port = port.trim().parse().expect("the provider prints its port");
        Self { child, port, _folder: folder }
    }

    /// The secret that the provider gave the hospital.
    pub(crate) const SECRET: &str = "the secret of the hospital";

    /// The URL that the provider calls itself.
    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Stops the provider.
    pub(crate) fn stop(&mut self) {
        // The provider may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        self.stop();
    }
}
