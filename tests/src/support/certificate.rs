//! Certificates for servers on this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Makes a certificate for this machine, which nobody but itself vouches for, and its key, in PEM form. The key can be
/// read by its owner alone.
pub(crate) fn make_certificate(folder: &Path, name: &str) -> [PathBuf; 2] {
    let file = |ending: &str| folder.join(format!("{name}{ending}"));
    let (request, key, certificate) = (file(".request"), file(".key.pem"), file(".pem"));
    let text = "[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=server\n[dn]\nCN=localhost\n\
                [server]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n";
    std::fs::write(&request, text).expect("the request is written");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .arg("-config")
        .arg(&request)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl runs").success(), "a certificate is made");
    [certificate, key]
}
