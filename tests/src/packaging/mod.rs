//! What a package of the program holds beside the program.

mod compose;
mod monitoring;
mod printed;
mod settings;
mod unit;

use std::path::PathBuf;
use std::process::Command;

use crate::hospital::hims;

/// A file of the workspace.
fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The text of a file of the workspace.
fn text_of(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What `hims` prints.
fn printed(arguments: &[&str]) -> String {
    succeeds(hims().args(arguments))
}

/// What a program prints that must succeed.
#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {told}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
