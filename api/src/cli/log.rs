//! What the program says on standard error. Nobody may be reading it: the disk may be full, the pipe may be closed, or
//! its reader may be stopped. The program then goes on without.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc;
use std::time::Duration;

use tracing::Subscriber;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use super::Failure;
use crate::settings::LogFormat;
use crate::telemetry::{AskedEachTime, Telemetry};

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT: &str = "info,sqlx=warn";
/// What libraries say of requests that they cannot read, partly with what was sent. Anybody can have it said as often
/// as they like, and the answer tells what is wrong: it is logged only if `RUST_LOG` names these parts.
const QUIET: &str = "actix_http::h1=off,webauthn_rs=off";
/// The number of lines that wait to be written. Further lines are left out, so that nobody waits for standard error.
const LINES: usize = 16_384;

/// How long the end of the program waits for lines that are not written yet.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The log on standard error. When it is dropped, the lines that wait are written, unless standard error takes nothing
/// for [`LAST_LINES`].
pub(super) struct Log(Option<WorkerGuard>);

impl Drop for Log {
    fn drop(&mut self) {
        let guard = self.0.take();
        let (ended, end) = mpsc::channel::<()>();
        // If too many lines wait, the guard itself writes to standard error, and that may never end.
        let write = move || {
            drop(guard);
            drop(ended);
        };
        if std::thread::Builder::new().spawn(write).is_ok() {
            let _ = end.recv_timeout(LAST_LINES);
        }
    }
}

/// Starts to log to standard error, by a thread of its own, and to the receiver of telemetry, if there is one.
///
/// # Errors
/// When `RUST_LOG` cannot be read.
pub(super) fn start_log(format: LogFormat, telemetry: Option<&Telemetry>) -> Result<Log, Failure> {
    let filter = || filter(std::env::var_os("RUST_LOG").map(|it| it.to_string_lossy().into_owned()));
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(std::io::stderr());
    match telemetry {
        None => tracing_subscriber::registry().with(filter()?).with(lines(format, writer)).init(),
        Some(telemetry) => tracing_subscriber::registry()
            .with(lines(format, writer).with_filter(AskedEachTime(filter()?)))
            .with(telemetry.layer(filter()?))
            .init(),
    }
    Ok(Log(Some(guard)))
}

/// Writes the lines of the log.
fn lines<S>(format: LogFormat, writer: NonBlocking) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // The subscriber would report a line that it cannot write on standard error, and panic.
    let lines = fmt::layer().log_internal_errors(false).with_writer(writer);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
}

/// Reads what is to be logged. A single word must be a level or name a part of this program: a level with a typing
/// error would otherwise be taken for the name of a part, and nothing would be logged.
fn filter(wanted: Option<String>) -> Result<EnvFilter, Failure> {
    let wanted = wanted.filter(|it| !it.trim().is_empty()).unwrap_or_else(|| DEFAULT.to_owned());
    let example = "give levels such as info, or info,sqlx=warn, or hims_api=debug";
    let is_known =
        |word: &str| word.contains(['=', '[', ':']) || word.starts_with("hims") || word.parse::<LevelFilter>().is_ok();
    if let Some(word) = wanted.split(',').map(str::trim).find(|it| !it.is_empty() && !is_known(it)) {
        return Err(format!("RUST_LOG cannot be read: {word:?} is not a level; {example}").into());
    }
    let filter = EnvFilter::builder().parse(format!("{QUIET},{wanted}"));
    filter.map_err(|error| format!("RUST_LOG cannot be read: {error}; {example}").into())
}

/// Writes a line about a failure to standard error, if it can be written.
pub(super) fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "hims: {line}");
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_broken_setting_of_the_log_is_named() {
        for right in
            ["", "off", "info", "warn,sqlx=error", "hims_api=debug", "INFO", "info,hims_event_store::postgres=trace"]
        {
            assert!(filter(Some(right.to_owned())).is_ok(), "{right}");
        }
        for wrong in ["inof", "sqlx=loud", "info,=", "info,verbose", "[=x"] {
            let said = filter(Some(wrong.to_owned())).map(drop).expect_err(wrong).to_string();
            assert!(said.starts_with("RUST_LOG cannot be read"), "{said}");
        }
    }

    #[test]
    fn what_anybody_can_have_said_is_not_logged_unless_it_is_asked_for_by_name() {
        let logged = |wanted: Option<&str>| {
            let wanted = filter(wanted.map(str::to_owned)).expect("a filter");
            tracing::subscriber::with_default(tracing_subscriber::registry().with(wanted), || {
                [
                    tracing::enabled!(target: "actix_http::h1::dispatcher", Level::ERROR),
                    tracing::enabled!(target: "webauthn_rs_core::internals", Level::ERROR),
                    tracing::enabled!(target: "actix_http::service", Level::ERROR),
                    tracing::enabled!(target: "hims_api::routes", Level::ERROR),
                ]
            })
        };
        for wanted in [None, Some("info"), Some("debug,sqlx=warn")] {
            assert_eq!(logged(wanted), [false, false, true, true], "{wanted:?}");
        }
        assert_eq!(logged(Some("warn,actix_http::h1=error")), [true, false, true, true]);
        assert_eq!(logged(Some("off,webauthn_rs=error")), [false, true, false, false]);
    }
}
