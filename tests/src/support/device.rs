//! A device with passkeys, and the browser in front of it, as a process of its own.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const DEVICE: &str = include_str!("device.py");

/// A device of a user. A clone is a copy of the device, with its keys.
#[derive(Clone)]
pub(crate) struct Device {
    keys: Value,
    asks_its_user: bool,
}

impl Device {
    /// A new device, which asks its user for a finger before it signs, and counts how often it does.
    pub(crate) fn new() -> Self {
        Self { keys: json!({}), asks_its_user: true }
    }

    /// The device, which signs for whoever touches it from now on.
    pub(crate) fn that_asks_nobody(self) -> Self {
        Self { asks_its_user: false, ..self }
    }

    /// The passkeys of the device, as the options of a login name them.
    pub(crate) fn known(&self) -> Value {
        let ids = self.keys.as_object().into_iter().flatten();
        ids.map(|(id, _)| json!({"type": "public-key", "id": id})).collect()
    }

    /// What the browser hands to a page of an origin that asks for a new passkey, or for a signature, with options.
    pub(crate) fn answer(&mut self, origin: &str, options: &Value) -> Value {
        let asked =
            json!({"origin": origin, "options": options, "keys": self.keys, "asks_its_user": self.asks_its_user});
        let mut program = Command::new("/usr/bin/python3")
            .args(["-c", DEVICE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut input = program.stdin.take().expect("standard input");
        input.write_all(asked.to_string().as_bytes()).expect("the device reads");
        drop(input);
        let output = program.wait_with_output().expect("the device answers");
        assert!(output.status.success(), "the device refuses {options}");
        let mut told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        self.keys = told["keys"].take();
        told["credential"].take()
    }
}
