//! The command line.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::{Args, Parser, Subcommand};
use hims_commands::user::CreateUser;
use hims_commands::{Caller, Password, Registry, Request, scopes};
use hims_domain::Personal;
use hims_domain::user::Profile;
use hims_domain::values::Email;
use hims_event_store::chain::hex;
use hims_event_store::verify;
use hims_projections::{Rebuild, Rebuilt, Target, migrations};
use indicatif::{ProgressBar, ProgressStyle};

use crate::hospital::Database;
use crate::instant::instant;
use crate::settings::LogFormat;
use crate::{Hospital, Purpose, Settings, import, server};

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
    /// Where the embedded PostgreSQL and its master key lie [env: HIMS_DATA_DIR]
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
    /// A PostgreSQL of your own, 15 or later; the embedded one unless given [env: DATABASE_URL]
    #[arg(long, global = true, hide_env_values = true)]
    database_url: Option<String>,
    /// The file with the key that wraps the subjects' keys [env: HIMS_MASTER_KEY_FILE]
    #[arg(long, global = true)]
    master_key_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::doc_markdown, reason = "the text of --help")]
enum Command {
    /// Serve the hospital over HTTP
    Serve {
        /// Where to listen [env: HIMS_BIND] [default: 127.0.0.1:8080]
        #[arg(long)]
        bind: Option<SocketAddr>,
        /// Fill an empty database with a small made-up hospital
        #[arg(long)]
        demo: bool,
    },
    /// Bring the database up to date, take it back, or say how it stands
    Migrate {
        #[command(subcommand)]
        direction: Direction,
    },
    /// Load real data through the command path
    Import {
        #[command(subcommand)]
        format: Format,
    },
    /// Recompute the hash chain of the log
    Verify {
        /// The first position to check
        #[arg(long, default_value_t = 1)]
        from: i64,
    },
    /// Make the read tables anew from the log, while the server answers
    Rebuild {
        /// As they were at a position or an instant (RFC 3339)
        #[arg(long, requires = "into")]
        as_of: Option<AsOf>,
        /// The new schema to make them in
        #[arg(long, requires = "as_of")]
        into: Option<String>,
    },
    /// Work on users
    User {
        #[command(subcommand)]
        work: UserWork,
    },
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Debug, Subcommand)]
enum Direction {
    /// Apply what is missing
    Up,
    /// Take back the last migration, or the last N
    Down {
        /// How many; all of them: `all`
        #[arg(default_value = "1")]
        steps: Steps,
    },
    /// List the migrations
    Status,
}

#[derive(Debug, Subcommand)]
enum Format {
    /// FHIR R4 bundles: files, or folders of them
    Fhir {
        /// Files or folders
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// The time zone of the departments, which the files do not tell (IANA)
        #[arg(long, default_value_t = import::Settings::default().time_zone)]
        time_zone: Tz,
    },
}

#[derive(Debug, Subcommand)]
enum UserWork {
    /// Enter a user; the password is read from standard input and must be changed at the first login
    Add {
        /// The login
        #[arg(long)]
        email: String,
        /// The name of the role
        #[arg(long)]
        role: String,
        /// Given name
        #[arg(long)]
        first_name: String,
        /// Family name
        #[arg(long)]
        last_name: String,
    },
}

/// A position or an instant.
#[derive(Debug, Clone)]
enum AsOf {
    Position(i64),
    Instant(DateTime<Utc>),
}

impl std::str::FromStr for AsOf {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(position));
        }
        let wrong = || "give a position, a date, or an instant such as 2026-11-23T10:00:00Z".to_owned();
        instant(text).map(Self::Instant).ok_or_else(wrong)
    }
}

type Failure = Box<dyn std::error::Error>;

/// Runs the command; 0, 1 (failed) or 2 (usage).
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = match settings(&cli.common) {
        Ok(settings) => settings,
        Err(error) => return fail(&error),
    };
    log_to_stderr(settings.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(run(cli.command, settings)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Failure) -> ExitCode {
    eprint!("hims: {error}");
    if let Some(hims_commands::Failure::Refused(refused)) = error.downcast_ref() {
        refused.errors.iter().for_each(|it| eprint!("; {}: {}", it.pointer, it.message));
    }
    eprintln!();
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
    if common.master_key_file.is_some() {
        settings.master_key_file.clone_from(&common.master_key_file);
    }
    Ok(settings)
}

fn log_to_stderr(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

async fn run(command: Command, settings: Settings) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve { bind, demo } => {
            serve(Settings { bind: bind.unwrap_or(settings.bind), ..settings }, demo).await
        }
        Command::Migrate { direction } => migrate(&settings, direction).await,
        Command::Import { format: Format::Fhir { paths, time_zone } } => {
            import_fhir(&settings, &paths, time_zone).await
        }
        Command::Verify { from } => verify_log(&settings, from).await,
        Command::Rebuild { as_of, into } => rebuild(&settings, as_of, into).await,
        Command::User { work } => add_user(&settings, work).await,
        Command::Openapi => {
            say(serde_json::to_string_pretty(&crate::openapi_document(&Registry::hospital()))?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn serve(settings: Settings, demo: bool) -> Result<ExitCode, Failure> {
    // A port that is taken is told before anything is made.
    drop(
        std::net::TcpListener::bind(settings.bind)
            .map_err(|error| format!("cannot listen on {}: {error}", settings.bind))?,
    );
    let hospital = Hospital::open(&settings, Purpose::Serve).await?;
    if demo {
        hospital.fill_with_demo().await?;
    } else {
        hospital.define_roles().await?;
        if let Some((email, password)) = hospital.make_administrator(&settings).await? {
            say(format_args!(
                "The first administrator: {email}, password {password} (to be changed at the first login)"
            ))?;
        }
    }
    let database_ended = hospital.database_ended();
    let listening = server::listen(&settings, hospital)?;
    say(format_args!("AROCORD-HIMS listens on http://{} (try it: http://{0}/docs/)", listening.address))?;
    let stop = listening.stop();
    let stopping = tokio::spawn(async move {
        let is_asked = tokio::select! {
            () = asked_to_stop() => true,
            () = database_ended => false,
        };
        tracing::info!("stopping: no new requests; what waits is written");
        stop.await;
        is_asked
    });
    listening.serve().await?;
    if stopping.await? {
        return Ok(ExitCode::SUCCESS);
    }
    let log = settings.data_dir.join("postgres.log");
    Err(format!("PostgreSQL ended, see {}; start the server again, nothing that was answered is lost", log.display())
        .into())
}

/// Ctrl-C, or the signal that a service manager sends.
async fn asked_to_stop() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::error!(%error, "cannot hear SIGTERM");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// How many migrations are taken back; `None` for all.
#[derive(Debug, Clone, Copy)]
struct Steps(Option<usize>);

impl FromStr for Steps {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self(None)),
            number => number.parse().map(|it| Self(Some(it))).map_err(|_| "give a number of migrations, or all"),
        }
    }
}

async fn migrate(settings: &Settings, direction: Direction) -> Result<ExitCode, Failure> {
    // Only to bring it up to date makes a database where there is none.
    let purpose = if matches!(direction, Direction::Up) { Purpose::Work } else { Purpose::Inspect };
    let database = Database::open(settings, purpose).await?;
    let pool = database.owner();
    match direction {
        Direction::Up => migrations::up(&pool).await?,
        Direction::Down { steps } => {
            migrations::down(&pool, steps.0).await?;
        }
        Direction::Status => {}
    }
    for migration in migrations::status(&pool).await? {
        let applied =
            migration.applied_at.map_or_else(|| "pending".to_owned(), |it| format!("applied {}", it.to_rfc3339()));
        say(format_args!("{:04} {:<20} {applied}", migration.version, migration.description))?;
    }
    pool.close().await;
    database.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Writes a line on the standard output. Whoever closes it early has read enough: that is no failure.
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

async fn import_fhir(settings: &Settings, paths: &[PathBuf], time_zone: Tz) -> Result<ExitCode, Failure> {
    let hospital = Hospital::open(settings, Purpose::Work).await?;
    hospital.define_roles().await?;
    let bar = bar(Some(0), "{bar:40} {pos}/{len} {msg}");
    let imported = import::import_fhir(&hospital.executor, paths, &import::Settings { time_zone }, &bar).await;
    if imported.is_ok() {
        hospital.settle().await;
    }
    hospital.close().await;
    let summary = imported?;
    say(summary.to_string().trim_end())?;
    if summary.is_complete() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("hims: not every file could be imported; the summary names those that could not, and why");
    Ok(ExitCode::FAILURE)
}

async fn verify_log(settings: &Settings, from: i64) -> Result<ExitCode, Failure> {
    let hospital = Hospital::open(settings, Purpose::Inspect).await?;
    let bar = bar(None, "{spinner} {pos} events checked, {per_sec}");
    let verified =
        verify::verify(hospital.store.as_ref(), from, |position| bar.set_position(position.unsigned_abs())).await;
    bar.finish_and_clear();
    hospital.close().await;
    let verified = verified?;
    let hash = hex(&verified.hash);
    say(format_args!("positions {} to {} hold; the last hash is {hash}", verified.first, verified.last))?;
    Ok(ExitCode::SUCCESS)
}

async fn rebuild(settings: &Settings, as_of: Option<AsOf>, into: Option<String>) -> Result<ExitCode, Failure> {
    let hospital = Hospital::open(settings, Purpose::Inspect).await?;
    let target = match (as_of, into) {
        (Some(AsOf::Position(position)), Some(schema)) => Target::Position(position, schema),
        (Some(AsOf::Instant(instant)), Some(schema)) => Target::Instant(instant, schema),
        _ => Target::Swap,
    };
    let head = hospital.store.current_head().await?;
    let bar = bar(Some(head.unsigned_abs()), "{bar:40} {pos}/{len} events, {per_sec}");
    let rebuild = Rebuild { store: Arc::clone(&hospital.store), pool: hospital.owner.clone() };
    let rebuilt = rebuild.run(&target, |position| bar.set_position(position.unsigned_abs())).await;
    bar.finish_and_clear();
    hospital.close().await;
    let Rebuilt { position, parked } = rebuilt?;
    say(format_args!("the read tables were made anew as of position {position}"))?;
    if parked == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "hims: {parked} streams are not in them, since they hold an event that cannot be projected; the table projection_failures says why"
    );
    Ok(ExitCode::FAILURE)
}

async fn add_user(settings: &Settings, work: UserWork) -> Result<ExitCode, Failure> {
    let UserWork::Add { email, role, first_name, last_name } = work;
    let hospital = Hospital::open(settings, Purpose::Work).await?;
    let added = async {
        hospital.define_roles().await?;
        let role_id = hospital.store.owners(scopes::ROLE_NAME, &role).await?.pop();
        let role_id = role_id.ok_or_else(|| format!("there is no role {role}"))?;
        let mut password = String::new();
        std::io::stdin().read_line(&mut password)?;
        let command = CreateUser {
            id: None,
            email: Personal::Known(Email::parse(&email)?),
            profile: Profile {
                first_name: Personal::Known(first_name.as_str().into()),
                last_name: Personal::Known(last_name.as_str().into()),
                phone: None,
                avatar_url: None,
            },
            role_id: role_id.into(),
            additional_role_ids: std::collections::BTreeSet::new(),
            department_id: None,
            password: Some(Password::new(password.trim_end_matches(['\r', '\n']))),
        };
        let mut caller = Caller::system("command-line");
        caller.is_system = false;
        let permissions = Arc::make_mut(&mut caller.permissions);
        permissions.create.insert("users".into());
        // Whoever has the machine gives any role.
        permissions.update.insert("user_permissions".into());
        Ok::<_, Failure>(hospital.executor.execute(command, Request::of(caller)).await?)
    }
    .await;
    if added.is_ok() {
        hospital.settle().await;
    }
    hospital.close().await;
    say(format_args!("user {} was entered", added?.id))?;
    Ok(ExitCode::SUCCESS)
}
