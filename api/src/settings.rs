use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

const A_YEAR_IN_HOURS: u64 = 366 * 24;

/// What can be set: flags over `HIMS_*` in the environment over `hims.toml`. Read once.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the server listens.
    pub bind: SocketAddr,
    /// The database; the embedded PostgreSQL unless given.
    pub database_url: Option<String>,
    /// Where the embedded PostgreSQL and its master key lie.
    pub data_dir: PathBuf,
    /// The folder of the binaries of PostgreSQL; looked for unless given.
    pub pg_bin: Option<PathBuf>,
    /// The file with the key that wraps the subjects' keys.
    pub master_key_file: Option<PathBuf>,
    /// The address of the first administrator.
    pub admin_email: Option<String>,
    /// The password of the first administrator.
    pub admin_password: Option<String>,
    /// Minutes until an unused session ends.
    pub session_idle_minutes: u64,
    /// Hours until a session ends however much it is used.
    pub session_hours: u64,
    /// How many appends may wait.
    pub queue: usize,
    /// Failed logins of an address, and refused changes of password of a user, per minute before the next is not looked at.
    pub logins_per_minute: u32,
    /// Connections for reading, shared out among the workers.
    pub read_connections: usize,
    /// Threads that serve requests; one per core unless given.
    pub workers: Option<usize>,
    /// `text` or `json`.
    pub log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            database_url: None,
            data_dir: default_data_dir(),
            pg_bin: None,
            master_key_file: None,
            admin_email: None,
            admin_password: None,
            session_idle_minutes: 30,
            session_hours: 12,
            queue: 4096,
            logins_per_minute: 20,
            read_connections: 16,
            workers: None,
            log_format: LogFormat::Text,
        }
    }
}

impl Settings {
    /// Reads `hims.toml` in the working directory, if there is one, and the environment.
    ///
    /// # Errors
    /// When a setting is unknown, not of its type, or zero where nothing would work.
    pub fn read() -> Result<Self, config::ConfigError> {
        let mut settings: Self = config::Config::builder()
            .add_source(config::File::new("hims.toml", config::FileFormat::Toml).required(false))
            .add_source(config::Environment::with_prefix("HIMS"))
            .build()?
            .try_deserialize()?;
        let least_one = [
            ("queue", settings.queue == 0),
            ("workers", settings.workers == Some(0)),
            ("read_connections", settings.read_connections == 0),
            ("session_idle_minutes", settings.session_idle_minutes == 0),
            ("session_hours", settings.session_hours == 0),
        ];
        if let Some((name, _)) = least_one.iter().find(|(_, is_none)| *is_none) {
            return Err(config::ConfigError::Message(format!("the setting {name} must be at least 1")));
        }
        if settings.session_hours.max(settings.session_idle_minutes / 60) > A_YEAR_IN_HOURS {
            return Err(config::ConfigError::Message("a session lasts for a year at most".to_owned()));
        }
        if let Ok(url) = std::env::var("DATABASE_URL") {
            settings.database_url = Some(url).filter(|it| !it.is_empty());
        }
        Ok(settings)
    }

    /// Whether the embedded PostgreSQL has been made.
    pub(crate) fn has_data(&self) -> bool {
        self.data_dir.join("postgres/PG_VERSION").exists()
    }

    /// Connections for reading that each worker has.
    pub(crate) fn read_connections_of_a_worker(&self) -> usize {
        let workers = self.workers.or_else(|| std::thread::available_parallelism().ok().map(NonZero::get)).unwrap_or(1);
        self.read_connections.div_ceil(workers).max(1)
    }

    /// How long sessions last.
    pub fn session_limits(&self) -> hims_commands::SessionLimits {
        hims_commands::SessionLimits {
            idle: Duration::from_secs(self.session_idle_minutes * 60),
            absolute: Duration::from_secs(self.session_hours * 3600),
        }
    }
}

/// `/var/lib/hims` as root, else `hims` in the XDG data home.
fn default_data_dir() -> PathBuf {
    let home = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    if rustix::process::geteuid().is_root() && home("XDG_DATA_HOME").is_none() {
        return PathBuf::from("/var/lib/hims");
    }
    home("XDG_DATA_HOME")
        .or_else(|| home("HOME").map(|it| it.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("hims")
}
