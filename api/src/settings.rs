use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use hims_commands::{CriticalEscalation, PhoneRegion, ProcessSettings};
use hims_domain::values::Currency;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use sqlx::postgres::PgConnectOptions;

use crate::DatabaseError;
use crate::connections::options_of;
use crate::routes::Proxies;

const A_YEAR_IN_HOURS: u64 = 366 * 24;

/// The settings of the server, read once at the start. A flag of the command line overrides a variable `HIMS_*` of the
/// environment, and a variable overrides `hims.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The address and port that the server listens on.
    pub bind: SocketAddr,
    /// The URL of the database; the embedded PostgreSQL is used if left out.
    pub database_url: Option<String>,
    /// The URL of the database with the login for migrations; the login of `database_url` if left out.
    pub migration_url: Option<String>,
    /// The folder of the embedded PostgreSQL and its master key file.
    pub data_dir: PathBuf,
    /// The folder of PostgreSQL's programs; the usual folders are searched if left out.
    pub pg_bin: Option<PathBuf>,
    /// The file with the master key, which encrypts the subject keys; `master.key` in the data directory if left out.
    pub master_key_file: Option<PathBuf>,
    /// The e-mail address of the first administrator.
    pub admin_email: Option<String>,
    /// The password of the first administrator; drawn at random if left out.
    pub admin_password: Option<String>,
    /// After how many minutes without a request a session ends.
    pub session_idle_minutes: u64,
    /// After how many hours a session ends, even if it is in use.
    pub session_hours: u64,
    /// How many appends may wait to be written.
    pub queue: usize,
    /// How many wrong passwords are free for a network that logs in, for a login, and for a user who changes a
    /// password. After each further one there is a pause, first for 5 seconds, at last for a minute.
    pub free_wrong_passwords: u32,
    /// How many commands of a user may be refused per minute. Further commands are answered 429.
    pub refusals_per_minute: u32,
    /// How many event streams a session may have open on this node.
    pub streams_per_session: u32,
    /// How many connections this node accepts.
    pub connections: usize,
    /// How many connections one address, or one /64 network of IPv6, may have open.
    pub connections_per_address: u32,
    /// Whether connections from this machine count too. No setting: for tests, which come from this machine.
    #[serde(skip)]
    pub counts_this_machine: bool,
    /// How many seconds the body of a request may take to arrive.
    pub body_seconds: u64,
    /// How many seconds a server that is to stop goes on serving, while it says that it is not ready.
    pub drain_seconds: u64,
    /// The proxies whose `Forwarded` or `X-Forwarded-For` says who the client is; addresses and networks.
    pub trusted_proxies: Proxies,
    /// The URLs of replicas of the database, separated by commas, which answer reads.
    #[serde(deserialize_with = "separated")]
    pub read_urls: Vec<String>,
    /// How many database connections for reading there are to each server, divided among the workers.
    pub read_connections: usize,
    /// How many threads serve requests; one per core if left out.
    pub workers: Option<usize>,
    /// The format of the server's log: `text` or `json`.
    pub log_format: LogFormat,
    /// After how many minutes the levels of people are told of critical values that nobody acknowledges.
    pub critical_escalation: CriticalEscalation,
    /// The country (ISO 3166-1 alpha-2) of phone numbers that are written without a country code.
    pub phone_region: PhoneRegion,
    /// The currency in which the hospital charges (ISO 4217).
    pub currency: Currency,
    /// The time zone of the hospital (IANA), for those of whom no other time zone is known.
    #[serde(deserialize_with = "time_zone")]
    pub time_zone: Tz,
    /// The name of the hospital in e-mails and text messages.
    pub hospital_name: String,
    /// The telephone number in e-mails and text messages.
    pub hospital_phone: Option<String>,
    /// The URL at which people log in, in e-mails and text messages.
    pub public_url: Option<String>,
    /// The mail server: `smtps://user:password@host`, or `smtp://` with STARTTLS. Plain only on this machine.
    pub smtp_url: Option<String>,
    /// The address from which e-mails come.
    pub mail_from: Option<String>,
    /// The gateway for text messages and push messages.
    pub gateway_url: Option<String>,
    /// The secret with which requests to the gateway are signed.
    pub gateway_secret: Option<String>,
    /// A file with the certificate, in PEM form, of an authority that the mail server and the gateway may have theirs
    /// from, beside those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The public keys of age, separated by commas, whose owners can read backups.
    pub backup_recipients: Option<String>,
    /// How many hours may lie between two backups. Twice as long without one is told as too long.
    pub backup_hours: u32,
    /// For how many days a backup keeps what lies beside the log: so far back a restore can go.
    pub backup_keep_days: u32,
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse()
        .map_err(|_| D::Error::custom("time_zone must be a time zone of the IANA database, such as America/New_York"))
}

fn separated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = String::deserialize(deserializer)?;
    Ok(list.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect())
}

/// The format of the server's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines of text, for people.
    Text,
    /// One JSON object per line, for machines.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            database_url: None,
            migration_url: None,
            data_dir: default_data_dir(),
            pg_bin: None,
            master_key_file: None,
            admin_email: None,
            admin_password: None,
            session_idle_minutes: 30,
            session_hours: 12,
            queue: 4096,
            free_wrong_passwords: 20,
            refusals_per_minute: 600,
            streams_per_session: 20,
            connections: 10_000,
            connections_per_address: 500,
            counts_this_machine: false,
            body_seconds: 30,
            drain_seconds: 0,
            trusted_proxies: Proxies::default(),
            read_urls: Vec::new(),
            read_connections: 16,
            workers: None,
            log_format: LogFormat::Text,
            critical_escalation: CriticalEscalation::default(),
            phone_region: PhoneRegion::default(),
            currency: Currency::default(),
            time_zone: Tz::UTC,
            hospital_name: "AROCORD-HIMS".to_owned(),
            hospital_phone: None,
            public_url: None,
            smtp_url: None,
            mail_from: None,
            gateway_url: None,
            gateway_secret: None,
            ca_file: None,
            backup_recipients: None,
            backup_hours: 24,
            backup_keep_days: 35,
        }
    }
}

impl Settings {
    /// Reads `hims.toml` in the working directory, if there is one, and the environment.
    ///
    /// # Errors
    /// When a setting is unknown, of a wrong type or out of its range.
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
            ("free_wrong_passwords", settings.free_wrong_passwords == 0),
            ("refusals_per_minute", settings.refusals_per_minute == 0),
            ("streams_per_session", settings.streams_per_session == 0),
            ("connections", settings.connections == 0),
            ("connections_per_address", settings.connections_per_address == 0),
            ("body_seconds", settings.body_seconds == 0),
            ("backup_hours", settings.backup_hours == 0),
            ("backup_keep_days", settings.backup_keep_days == 0),
        ];
        if let Some((name, _)) = least_one.iter().find(|(_, is_none)| *is_none) {
            return Err(config::ConfigError::Message(format!("the setting {name} must be at least 1")));
        }
        if settings.session_hours.max(settings.session_idle_minutes / 60) > A_YEAR_IN_HOURS {
            return Err(config::ConfigError::Message(
                "session_hours and session_idle_minutes may be a year at most".to_owned(),
            ));
        }
        if let Ok(url) = std::env::var("DATABASE_URL") {
            settings.database_url = Some(url).filter(|it| !it.is_empty());
        }
        Ok(settings)
    }

    /// Whether the data of the embedded PostgreSQL exist.
    pub(crate) fn has_data(&self) -> bool {
        self.data_dir.join("postgres/PG_VERSION").exists()
    }

    /// How many threads serve requests.
    pub(crate) fn worker_count(&self) -> usize {
        self.workers.or_else(|| std::thread::available_parallelism().ok().map(NonZero::get)).unwrap_or(1)
    }

    /// How to connect to each replica of the database.
    ///
    /// # Errors
    /// When a URL is none of PostgreSQL.
    pub(crate) fn replicas(&self) -> Result<Vec<PgConnectOptions>, DatabaseError> {
        self.read_urls.iter().map(|url| Ok(options_of(url)?.application_name("hims"))).collect()
    }

    /// How many connections for reading each worker has to each server; at least one.
    pub(crate) fn read_connections_of_a_worker(&self) -> usize {
        self.read_connections.div_ceil(self.worker_count()).max(1)
    }

    /// What processes are told.
    pub(crate) fn of_processes(&self) -> ProcessSettings {
        ProcessSettings { critical_escalation: self.critical_escalation }
    }

    /// How long sessions last.
    pub fn session_limits(&self) -> hims_commands::SessionLimits {
        hims_commands::SessionLimits {
            idle: Duration::from_secs(self.session_idle_minutes * 60),
            absolute: Duration::from_secs(self.session_hours * 3600),
        }
    }
}

/// `/var/lib/hims` for root, else the folder `hims` in the XDG data home.
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
