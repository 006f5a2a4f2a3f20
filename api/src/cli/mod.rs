//! The command line.

mod archive;
mod backup;
mod doctor;
mod generate;
mod import;
mod keys;
mod log;
mod migrate;
mod printed;
mod rebuild;
mod scrub;
mod serve;
mod status;
mod user;
mod verify;

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use self::archive::{ArchiveWork, archive};
use self::backup::{BackupWork, RestoreWork, back_up, restore};
use self::doctor::examine;
use self::generate::generate;
use self::import::{Format, import_fhir, import_interactions, import_lab_tests, import_synthea_csv};
use self::keys::{KeysWork, work_on_keys};
use self::log::{complain, start_log};
use self::migrate::{Direction, migrate};
use self::printed::Printed;
use self::rebuild::{AsOf, rebuild};
use self::scrub::scrub;
use self::serve::serve;
use self::status::status;
use self::user::{UserWork, work_on_users};
use self::verify::{rebuild_beside, verify_log};
use crate::Settings;
use crate::telemetry::Telemetry;

/// An event-sourced backend for hospitals.
#[derive(Debug, Parser)]
#[command(name = "hims", version, about)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "the text of --help")]
struct Common {
    /// The folder of the embedded PostgreSQL and its master key [env: HIMS_DATA_DIR]
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
    /// The URL of your own PostgreSQL, 15 or later; the embedded PostgreSQL is used if left out [env: DATABASE_URL]
    #[arg(long, global = true, hide_env_values = true)]
    database_url: Option<String>,
    /// The same database with the login for migrations [env: HIMS_MIGRATION_URL]
    #[arg(long, global = true, hide_env_values = true)]
    migration_url: Option<String>,
    /// The file with the master key, which encrypts the keys of personal values [env: HIMS_MASTER_KEY_FILE]
    #[arg(long, global = true)]
    master_key_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::doc_markdown, reason = "the text of --help")]
enum Command {
    /// Serve the hospital over HTTP
    Serve {
        /// The address and port to listen on [env: HIMS_BIND] [default: 127.0.0.1:8080]
        #[arg(long)]
        bind: Option<SocketAddr>,
        /// The file with the server's certificate, in PEM form; plain HTTP if left out [env: HIMS_TLS_CERT]
        #[arg(long)]
        tls_cert: Option<PathBuf>,
        /// The file with the private key of the certificate, in PEM form [env: HIMS_TLS_KEY]
        #[arg(long)]
        tls_key: Option<PathBuf>,
        /// Fill an empty database with a small made-up hospital
        #[arg(long)]
        demo: bool,
    },
    /// Apply, revert or list the migrations of the database
    Migrate {
        #[command(subcommand)]
        direction: Direction,
    },
    /// Import data of other systems
    Import {
        #[command(subcommand)]
        format: Format,
    },
    /// Fill an empty database with a made-up hospital of any size, to try the program with its volumes
    Generate {
        /// The size: 1 makes 100,000 patients with 500,000 visits, 0.01 a hundredth of it
        #[arg(long, value_parser = generate::scale)]
        scale: f64,
        /// The same seed makes the same hospital again
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Check the log: its hash chain, the versions of each stream and the times. Needs no master key
    Verify {
        /// The first position to check
        #[arg(long, default_value_t = 1)]
        from: i64,
        /// Also compare with the log what lies beside it: claims (unique keys, bookings), snapshots, receipts and the
        /// keys of people. Needs the master key
        #[arg(long)]
        deep: bool,
    },
    /// Rebuild the read tables from the log, while the server keeps answering
    Rebuild {
        /// Rebuild the read tables as they were at a position of the log or at an instant (RFC 3339)
        #[arg(long, requires = "into")]
        as_of: Option<AsOf>,
        /// The name of a new schema for the read tables as they were
        #[arg(long, requires = "as_of")]
        into: Option<String>,
        /// Rebuild the claims (unique keys, bookings) instead of the read tables, after a restore or a change by hand;
        /// appends wait meanwhile
        #[arg(long, conflicts_with = "as_of")]
        claims: bool,
        /// Rebuild the snapshots (saved states of long streams) instead of the read tables
        #[arg(long, conflicts_with = "as_of")]
        snapshots: bool,
    },
    /// Move old rows of the read tables into archives, where they stay readable, or bring them back. The log is never
    /// archived
    Archive(ArchiveWork),
    /// Take from the disk what PostgreSQL keeps of values that are in no table any more, after somebody was erased: tables
    /// are written anew, and the write-ahead log is written over
    Scrub,
    /// Manage the master keys, which wrap the keys of people
    Keys {
        #[command(subcommand)]
        work: KeysWork,
    },
    /// Back up the log and what lies beside it into a folder, while the hospital goes on
    Backup(BackupWork),
    /// Restore a backup into an empty place
    Restore(RestoreWork),
    /// Check the configuration, the database and the machine, and say what to change
    Doctor,
    /// Show how the hospital is doing: the log, the read tables, the processes, their timers and failures
    Status,
    /// Manage users
    User {
        #[command(subcommand)]
        work: UserWork,
    },
    #[command(flatten)]
    Printed(Printed),
}

type Failure = Box<dyn std::error::Error>;

/// Runs the program. The exit code is 0 for success, 1 for a failure and 2 for wrong usage.
pub fn main() -> ExitCode {
    let cli = match Cli::parse() {
        Cli { command: Command::Printed(printed), .. } => {
            return printed.print().map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS);
        }
        cli => cli,
    };
    let settings = match settings(&cli.common) {
        Ok(settings) => settings,
        Err(error) => return fail(&error),
    };
    match log_and_run(cli.command, settings) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// Runs a command with a log, and a server with telemetry as well.
fn log_and_run(command: Command, settings: Settings) -> Result<ExitCode, Failure> {
    let telemetry = match command {
        Command::Serve { .. } => Telemetry::try_start(&settings)?,
        _ => None,
    };
    let _log = start_log(settings.log_format, telemetry.as_ref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(run(command, settings));
    if let Some(telemetry) = telemetry {
        telemetry.finish();
    }
    ended
}

fn fail(error: &Failure) -> ExitCode {
    let mut said = vec![error.to_string()];
    if let Some(hims_commands::Failure::Refused(refused)) = error.downcast_ref() {
        said.extend(refused.errors.iter().map(|it| format!("{}: {}", it.pointer, it.message)));
    }
    complain(said.join("; "));
    ExitCode::FAILURE
}

fn settings(common: &Common) -> Result<Settings, Failure> {
    let mut settings = Settings::read()?;
    if let Some(data_dir) = &common.data_dir {
        settings.data_dir.clone_from(data_dir);
    }
    if common.database_url.is_some() {
        settings.database_url.clone_from(&common.database_url);
    }
    if common.migration_url.is_some() {
        settings.migration_url.clone_from(&common.migration_url);
    }
    // The login for migrations alone is enough to migrate.
    settings.database_url = settings.database_url.or_else(|| settings.migration_url.clone());
    if common.master_key_file.is_some() {
        settings.master_key_file.clone_from(&common.master_key_file);
    }
    Ok(settings)
}

async fn run(command: Command, settings: Settings) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve { bind, tls_cert, tls_key, demo } => {
            let bind = bind.unwrap_or(settings.bind);
            let (tls_cert, tls_key) = (tls_cert.or(settings.tls_cert), tls_key.or(settings.tls_key));
            serve(Settings { bind, tls_cert, tls_key, ..settings }, demo).await
        }
        Command::Migrate { direction } => migrate(&settings, direction).await,
        Command::Import { format: Format::Fhir { paths, time_zone, server } } => {
            import_fhir(&settings, &paths, &crate::import::Settings { time_zone, server }).await
        }
        Command::Import { format: Format::SyntheaCsv { folder, time_zone } } => {
            let about = crate::import::Settings { time_zone, ..crate::import::Settings::default() };
            import_synthea_csv(&settings, &folder, &about).await
        }
        Command::Import { format: Format::Interactions { folder } } => import_interactions(&settings, &folder).await,
        Command::Import { format: Format::LabTests { file } } => import_lab_tests(&settings, &file).await,
        Command::Generate { scale, seed } => generate(&settings, scale, seed).await,
        Command::Verify { from, deep } => verify_log(&settings, from, deep).await,
        Command::Rebuild { as_of, into, claims: false, snapshots: false } => rebuild(&settings, as_of, into).await,
        Command::Rebuild { claims, snapshots, .. } => rebuild_beside(&settings, claims, snapshots).await,
        Command::Archive(work) => archive(&settings, work).await,
        Command::Scrub => scrub(&settings).await,
        Command::Keys { work } => work_on_keys(&settings, work).await,
        Command::Backup(work) => back_up(&settings, work).await,
        Command::Restore(work) => restore(&settings, work).await,
        Command::Doctor => examine(&settings).await,
        Command::Status => status(&settings).await,
        Command::User { work } => work_on_users(&settings, work).await,
        Command::Printed(printed) => printed.print().map(|()| ExitCode::SUCCESS),
    }
}

/// Writes a line to standard output. A reader who closes the output early has read enough, so that is no failure.
fn say(line: impl Display) -> std::io::Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn bar(length: Option<u64>, template: &str) -> ProgressBar {
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
