//! `hims import lab-tests`: brings a catalogue of laboratory tests into the record.
//!
//! The file is an object whose `tests` are bodies of `define-lab-test`, or a list of such bodies. The id of a test is
//! derived from its code unless it names one, so a second run adds nothing.

use std::fmt;
use std::path::Path;

use hims_commands::lab_test::DefineLabTest;
use hims_commands::{Caller, Executor, Failure, Malformed, Refused, Request, read};
use hims_domain::lab_test::LabTest;
use hims_domain::{Invalid, derived};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::documents::{text, unzipped};
use super::{ImportError, Progress};

/// The result of an import of tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabTests {
    /// How many tests are in the catalogue now that were not before.
    pub defined: u64,
    /// How many tests were in the catalogue before. They are left as they are.
    pub already_there: u64,
    /// What could not be read, each with its place.
    pub problems: Vec<String>,
}

impl fmt::Display for LabTests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let (defined, there, refused) = (self.defined, self.already_there, self.problems.len());
        write!(f, "{defined} tests defined, {there} already there, {refused} not readable")
    }
}

/// A catalogue with a text about it.
#[derive(Deserialize)]
struct Described<'a> {
    #[serde(borrow)]
    tests: Vec<&'a RawValue>,
}

/// The tests of a catalogue.
fn tests(text: &str) -> Result<Vec<&RawValue>, String> {
    let tests: Result<Vec<&RawValue>, _> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text)
    } else {
        serde_json::from_str::<Described<'_>>(text).map(|it| it.tests)
    };
    tests.map_err(|error| {
        let what = if error.is_data() { "not a list of tests, and no object with `tests`" } else { "not JSON" };
        format!("line {}: {what} (column {})", error.line(), error.column())
    })
}

/// The number of the line of a catalogue in which a test begins.
fn line(text: &str, test: &RawValue) -> usize {
    let begins = test.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
    1 + text.bytes().take(begins).filter(|byte| *byte == b'\n').count()
}

/// What is wrong with a test, in one line.
fn told(detail: &str, errors: &[Invalid]) -> String {
    let errors = errors.iter().map(|it| format!("{}: {}", it.pointer, it.message));
    std::iter::once(detail.to_owned()).chain(errors).collect::<Vec<_>>().join("; ")
}

/// Reads a test as the command that defines it.
fn command(test: &RawValue) -> Result<DefineLabTest, String> {
    let mut body: Value = serde_json::from_str(test.get()).map_err(|_| "not JSON".to_owned())?;
    if let Some(code) = body.get("code").and_then(Value::as_str)
        && body.get("id").is_none()
    {
        body["id"] = json!(derived("lab_test", &[code]));
    }
    read(body).map_err(|malformed| match malformed {
        Malformed::Form(errors) | Malformed::Codes(errors) => told("not a test", &errors),
    })
}

/// Imports the tests of a file. A test that cannot be read, or breaks a rule, does not stop the others.
///
/// # Errors
/// When the log does not answer.
pub async fn import_lab_tests(
    executor: &Executor,
    file: &Path,
    progress: &dyn Progress,
) -> Result<LabTests, ImportError> {
    let mut result = LabTests::default();
    let name = file.display();
    let bytes = match tokio::fs::read(file).await {
        Ok(bytes) => bytes,
        Err(error) => {
            result.problems.push(format!("{name}: cannot be read: {}", error.kind()));
            return Ok(result);
        }
    };
    let unpacked = unzipped(&bytes);
    let listed = unpacked.as_deref().map_err(Clone::clone).and_then(text).and_then(|all| Ok((all, tests(all)?)));
    let (all, listed) = match listed {
        Ok(listed) => listed,
        Err(problem) => {
            result.problems.push(format!("{name}: {problem}"));
            return Ok(result);
        }
    };
    progress.begin("tests", u64::try_from(listed.len()).unwrap_or(u64::MAX));
    for test in listed {
        let defined = match command(test) {
            Ok(command) => define(executor, command).await?,
            Err(problem) => Err(problem),
        };
        match defined {
            Ok(true) => result.defined += 1,
            Ok(false) => result.already_there += 1,
            Err(problem) => result.problems.push(format!("{name}: line {}: {problem}", line(all, test))),
        }
        progress.advance();
    }
    Ok(result)
}

/// Defines a test, unless the laboratory has a test with its id or its code. Answers whether the test is new, or what
/// is wrong with it. A test with a known id is left as it is also where the file has a value that the command would
/// refuse, so the id is looked up before the command is given.
async fn define(executor: &Executor, command: DefineLabTest) -> Result<Result<bool, String>, ImportError> {
    if let Some(id) = command.id
        && executor.load::<LabTest>(id.0, true).await.map_err(ImportError::Log)?.state.is_some()
    {
        return Ok(Ok(false));
    }
    match executor.execute_unless_refused(command, Request::of(Caller::system("import"))).await {
        Ok(_) => Ok(Ok(true)),
        Err(Failure::Refused(Refused { code: "already-exists" | "already-taken", .. })) => Ok(Ok(false)),
        Err(Failure::Refused(refused)) => Ok(Err(told(&refused.detail, &refused.errors))),
        Err(error) => Err(ImportError::Log(error)),
    }
}
