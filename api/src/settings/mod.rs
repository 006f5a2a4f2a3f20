//! The settings of the program: one declaration, from which the reference for people follows too.

mod declaration;
mod reference;

use std::ffi::OsString;
use std::fmt;
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

use self::declaration::settings;
pub(crate) use self::reference::{markdown, text};
use crate::DatabaseError;
use crate::connections::{PROGRAM, options_of};
use crate::routes::{Origins, Proxies, SecurityContacts};
use crate::slow::Slow;

const A_YEAR_IN_HOURS: u64 = 366 * 24;

settings! {
    /// The settings of the program, read once at the start. A flag of the command line overrides a variable of the
    /// environment, and a variable overrides `hims.toml`.
    pub struct Settings {
        "Server", "[TLS](operators.md#tls) says how others reach the server: with a certificate or through a proxy." {
            /// The address and port that the server listens on.
            bind: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)), flag "hims serve --bind";
            /// The file with the server's certificate and the certificates of the authorities between it and the root,
            /// in PEM form. The file is read again when it changes.
            tls_cert: Option<PathBuf> = None, or "none: the server speaks plain HTTP", flag "hims serve --tls-cert";
            /// The file with the private key of the certificate, in PEM form; closed to everybody but owner and group.
            tls_key: Option<PathBuf> = None, or "none; required with `tls_cert`", flag "hims serve --tls-key";
            /// The proxies whose `Forwarded` or `X-Forwarded-For` says who the client is: addresses and networks,
            /// separated by commas, such as `10.0.0.7, 10.1.0.0/16`.
            trusted_proxies: Proxies = Proxies::default(), or "none";
            /// The origins whose pages may use the server from a browser, separated by commas, such as
            /// `https://app.example.org`. See [browsers](operators.md#browsers).
            allowed_origins: Origins = Origins::default(), or "none: only pages of the server itself";
            /// Whom to tell of a weakness, in `/.well-known/security.txt`: URLs with `mailto:`, `https:` or `tel:`,
            /// separated by commas.
            security_contacts: SecurityContacts = SecurityContacts::default(), or "none: there is no such file";
            /// How many threads serve requests.
            workers: Option<usize> = None, or "one for each core";
            /// How many database connections for reading there are to each server, divided among the threads.
            read_connections: usize = 16;
            /// How many seconds a server that is to stop goes on serving, while it says that it is not ready. See
            /// [several nodes](operators.md#several-nodes).
            drain_seconds: u64 = 0;
            /// How many appends may wait to be written; a further command is answered 503.
            queue: usize = 4096;
            /// How many milliseconds a read, a command or a statement of the database may take before the log tells of it.
            slow_query_ms: u64 = 1000;
            /// The format of the log on standard error: `text` for people, `json` for machines.
            log_format: LogFormat = LogFormat::Text;
        }
        "Database and master key", "See [your own database](operators.md#your-own-database) and \
            [the master key](operators.md#the-master-key)." {
            /// The URL of your own PostgreSQL, 15 or later: `postgres://user:password@host/database`, or with several
            /// [hosts](operators.md#failover), of which one is the primary: `postgres://user:password@db1,db2/database`.
            /// Other accounts of the machine see a flag: give a URL with a password in the environment or in `hims.toml`.
            database_url: Option<String> = None, or "the embedded PostgreSQL",
                variable "DATABASE_URL", flag "hims --database-url";
            /// The URL of the same database with the login for migrations; not for a running server.
            migration_url: Option<String> = None, or "`database_url`", flag "hims --migration-url";
            /// The URLs of [replicas](operators.md#replicas) of the database, separated by commas, which answer reads.
            #[serde(deserialize_with = "separated")]
            read_urls: Vec<String> = Vec::new(), or "none: the primary answers all reads";
            /// The URL of a Redis in which nodes share [remembered answers](operators.md#remembered-answers):
            /// `redis://user:password@host:6379`, `rediss://` for TLS, or `unix:///path`.
            redis_url: Option<String> = None, or "none: each node remembers answers for itself";
            /// The folder of the embedded PostgreSQL, its log and its master key file.
            data_dir: PathBuf = default_data_dir(),
                or "`$XDG_DATA_HOME/hims`, or else `~/.local/share/hims`; for root `/var/lib/hims`",
                flag "hims --data-dir";
            /// The file with the master key, which encrypts the keys of personal values. With `database_url`, this or one
            /// of the two that follow is required.
            master_key_file: Option<PathBuf> = None, or "`master.key` in the data directory",
                flag "hims --master-key-file";
            /// The master key itself, where secrets come in the environment.
            master_key: Option<String> = None, or "none: it is in a file";
            /// A command of the shell that prints the master key, such as one that asks a key management service; it may
            /// take half a minute.
            master_key_command: Option<String> = None, or "none: it is in a file";
            /// The folder of PostgreSQL's programs, for the embedded PostgreSQL.
            pg_bin: Option<PathBuf> = None, or "searched in `/usr/lib/postgresql` and on the search path";
        }
        "Logins", "The first start creates [the first administrator](operators.md#starting)." {
            /// The e-mail address of the first administrator.
            admin_email: Option<String> = None, or "`admin@hims.invalid`";
            /// The password of the first administrator; for the first start only.
            admin_password: Option<String> = None, or "drawn at random and printed once";
            /// The names of the roles whose users must have a [second factor](operators.md#second-factors), separated
            /// by commas, such as `administrator, doctor`.
            #[serde(deserialize_with = "separated")]
            second_factor_roles: Vec<String> = Vec::new(), or "none: whoever wants a second factor has one";
            /// The OpenID provider at which users [log in](operators.md#an-openid-provider), by the URL that it calls
            /// itself.
            oidc_issuer: Option<String> = None, or "none: users log in with passwords only";
            /// What the provider calls this hospital.
            oidc_client_id: Option<String> = None, or "none; required with `oidc_issuer`";
            /// The secret that the provider gave this hospital.
            oidc_client_secret: Option<String> = None, or "none; required with `oidc_issuer`";
            /// The URL of the page to which the provider sends people back.
            oidc_redirect_url: Option<String> = None, or "none; required with `oidc_issuer`";
            /// What the provider is asked to tell besides who somebody is, separated by commas, such as `groups`.
            #[serde(deserialize_with = "separated")]
            oidc_scopes: Vec<String> = Vec::new(), or "nothing else";
            /// The claim of the provider from which the roles of users follow, at each login.
            oidc_roles_claim: Option<String> = None, or "none: the hospital gives roles itself";
            /// The values of the claim, each with the name of a role, the primary role first, separated by commas, such
            /// as `physicians=doctor, staff=nurse`.
            #[serde(deserialize_with = "separated")]
            oidc_roles: Vec<String> = Vec::new(), or "none; required with `oidc_roles_claim`";
            /// After how many minutes without a request a session ends.
            session_idle_minutes: u64 = 30;
            /// After how many hours a session ends, even if it is in use.
            session_hours: u64 = 12;
        }
        "Audit", "What is recorded of what people read: [who saw what](auditors.md#who-saw-what)." {
            /// Whether every read is recorded in the log before it is answered. To turn this off, or on again, is
            /// recorded, too.
            record_reads: bool = true;
        }
        "Limits", "What is limited, and what happens beyond: [limits](operators.md#limits)." {
            /// How many wrong passwords are free for a network that logs in, for a login, and for a user who changes a
            /// password. After each further one there is a pause, first for 5 seconds, at last for a minute.
            free_wrong_passwords: u32 = 20;
            /// How many commands of a user may be refused per minute. Further commands are answered 429.
            refusals_per_minute: u32 = 600;
            /// How many requests one address, or one /64 network of IPv6, may send this node per minute, apart from
            /// log-ins. Further requests are answered 429.
            requests_per_minute_of_address: u32 = 600_000;
            /// How many requests of a user this node answers per minute. Further requests are answered 429.
            requests_per_minute_of_user: u32 = 600_000;
            /// How many event streams a session may have open on this node.
            streams_per_session: u32 = 20;
            /// How many connections this node accepts.
            connections: usize = 10_000;
            /// How many connections one address, or one /64 network of IPv6, may have open.
            connections_per_address: u32 = 500;
            /// How many reads this node works on at once; a further read is answered 503.
            reads_at_once: usize = 1000;
            /// How many seconds the body of a request may take to arrive.
            body_seconds: u64 = 30;
        }
        "Hospital", "What [processes](operators.md#processes) and bills need to know of the hospital." {
            /// The name of the hospital in e-mails and text messages.
            hospital_name: String = "AROCORD-HIMS".to_owned();
            /// The telephone number in e-mails and text messages.
            hospital_phone: Option<String> = None, or "none";
            /// The URL at which people log in, in e-mails and text messages. If it begins with `https`, the pages of its
            /// host may use [passkeys](operators.md#passkeys).
            public_url: Option<String> = None, or "none";
            /// The time zone of the hospital (IANA), for the quiet hours of those of whom no other time zone is known.
            #[serde(deserialize_with = "time_zone")]
            time_zone: Tz = Tz::UTC;
            /// The currency (ISO 4217) of billing records that are opened from now on; each record keeps its own.
            currency: Currency = Currency::default();
            /// The country (ISO 3166-1 alpha-2) of phone numbers that are written without a country code, at the desk
            /// and in imports.
            phone_region: PhoneRegion = PhoneRegion::default();
            /// After how many minutes each of four levels of people is told of a critical laboratory value that nobody
            /// acknowledges.
            critical_escalation: CriticalEscalation = CriticalEscalation::default();
        }
        "Messages", "How e-mails, text and push messages leave the hospital: [messages](operators.md#messages)." {
            /// The mail server: `smtps://user:password@host`, or `smtp://` with STARTTLS. Plain only on this machine.
            smtp_url: Option<String> = None, or "none: no e-mails";
            /// The address from which e-mails come.
            mail_from: Option<String> = None, or "none; required with `smtp_url`";
            /// The gateway for text messages and push messages.
            gateway_url: Option<String> = None, or "none: no text and push messages";
            /// The secret, of 16 characters or more, with which requests to the gateway are signed.
            gateway_secret: Option<String> = None, or "none; required with `gateway_url`";
            /// A file with the certificate, in PEM form, of an authority that the mail server, the gateway and the OpenID
            /// provider may have theirs from, beside those that the system trusts.
            ca_file: Option<PathBuf> = None, or "none";
        }
        "Telemetry", "What is sent, and what is not: [telemetry](operators.md#telemetry)." {
            /// The URL of the receiver of traces, metrics and log records over OpenTelemetry (OTLP over HTTP), such as
            /// `http://collector.example.org:4318`.
            otlp_endpoint: Option<String> = None, or "none: no telemetry is sent",
                variable "OTEL_EXPORTER_OTLP_ENDPOINT";
        }
        "Backups", "What they hold and how they are restored: [operations](operations.md)." {
            /// The public keys of age, separated by commas, whose owners can read backups.
            #[serde(deserialize_with = "separated")]
            backup_recipients: Vec<String> = Vec::new(), or "none", flag "hims backup --recipient";
            /// How many hours may lie between two backups. After twice as many the last one counts as overdue.
            backup_hours: u32 = 24;
            /// For how many days a backup keeps the tables beside the log: so far back a restore can go.
            backup_keep_days: u32 = 35;
        }
        "Archives", "What is archived, and how it comes back: [archives](operators.md#archives)." {
            /// The server archives once a day what was closed more than so many years ago.
            archive_after_years: Option<u32> = None, or "only `hims archive` archives, after 7 years",
                flag "hims archive --years";
        }
        beside {
            /// Whether connections from this machine count too. No setting: for tests, which come from this machine.
            counts_this_machine: bool = false;
        }
    }
}

fn separated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = String::deserialize(deserializer)?;
    Ok(list.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect())
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse()
        .map_err(|_| D::Error::custom("time_zone must be a time zone of the IANA database, such as America/New_York"))
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

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
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
            .build()
            .map_err(without_the_line)?
            .try_deserialize()?;
        let least_one = [
            ("queue", settings.queue == 0),
            ("slow_query_ms", settings.slow_query_ms == 0),
            ("workers", settings.workers == Some(0)),
            ("read_connections", settings.read_connections == 0),
            ("session_idle_minutes", settings.session_idle_minutes == 0),
            ("session_hours", settings.session_hours == 0),
            ("free_wrong_passwords", settings.free_wrong_passwords == 0),
            ("refusals_per_minute", settings.refusals_per_minute == 0),
            ("streams_per_session", settings.streams_per_session == 0),
            ("connections", settings.connections == 0),
            ("connections_per_address", settings.connections_per_address == 0),
            ("reads_at_once", settings.reads_at_once == 0),
            ("body_seconds", settings.body_seconds == 0),
            ("archive_after_years", settings.archive_after_years == Some(0)),
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
        if let Ok(url) = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT") {
            settings.otlp_endpoint = Some(url).filter(|it| !it.is_empty());
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
        self.read_urls.iter().map(|url| Ok(options_of(url)?.application_name(PROGRAM))).collect()
    }

    /// From which duration on the log is told of a read, a command or a statement.
    pub(crate) fn slow(&self) -> Slow {
        Slow(Duration::from_millis(self.slow_query_ms))
    }

    /// How many connections for reading each worker has to each server; at least one.
    pub(crate) fn read_connections_of_a_worker(&self) -> usize {
        self.read_connections.div_ceil(self.worker_count()).max(1)
    }

    /// What processes are told.
    pub(crate) fn of_processes(&self) -> ProcessSettings {
        ProcessSettings { critical_escalation: self.critical_escalation }
    }

    /// What the hospital demands of second factors.
    pub(crate) fn second_factors(&self) -> hims_commands::SecondFactors {
        hims_commands::SecondFactors {
            roles: self.second_factor_roles.iter().cloned().collect(),
            issuer: self.hospital_name.clone(),
        }
    }

    /// The passkeys of the pages at which people log in, if these pages may use any.
    pub(crate) fn passkeys(&self) -> Option<hims_commands::Passkeys> {
        hims_commands::Passkeys::of_pages(self.public_url.as_ref()?, &self.hospital_name)
    }

    /// How long sessions last.
    pub fn session_limits(&self) -> hims_commands::SessionLimits {
        hims_commands::SessionLimits {
            idle: Duration::from_secs(self.session_idle_minutes * 60),
            absolute: Duration::from_secs(self.session_hours * 3600),
        }
    }
}

/// What is wrong with `hims.toml`, without the line in which it is wrong: the line may hold a secret.
fn without_the_line(error: config::ConfigError) -> config::ConfigError {
    let config::ConfigError::FileParse { cause, .. } = error else { return error };
    let said = cause.to_string();
    let place = said.lines().next().and_then(|it| it.strip_prefix("TOML parse error at ")).unwrap_or("some place");
    config::ConfigError::Message(format!(
        "hims.toml is not written as TOML at {place}; the line is not shown, since it may hold a secret"
    ))
}

/// `/var/lib/hims` for root, else the folder `hims` in the XDG data home.
fn default_data_dir() -> PathBuf {
    let named = |value: Option<OsString>| value.filter(|it| !it.is_empty()).map(PathBuf::from);
    let data_home = named(std::env::var_os("XDG_DATA_HOME"));
    if rustix::process::geteuid().is_root() && data_home.is_none() {
        return PathBuf::from("/var/lib/hims");
    }
    data_home
        .or_else(|| named(std::env::var_os("HOME")).map(|it| it.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("hims")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_of_the_reference_is_the_default() {
        let written = GROUPS.iter().flat_map(|it| it.settings).filter_map(|it| Some((it.name, it.value()?)));
        for (name, value) in written {
            let source = config::Environment::default().source(Some([(name.to_owned(), value)].into()));
            let read: Settings =
                config::Config::builder().add_source(source).build().expect("a source").try_deserialize().expect(name);
            assert!(read == Settings::default(), "{name}");
        }
    }

    #[test]
    fn a_secret_in_a_faulty_file_or_among_the_settings_is_not_told() {
        let faulty = "bind = \"127.0.0.1:1\"\nadmin_password = \"planted\\q\"";
        let source = config::File::from_str(faulty, config::FileFormat::Toml);
        let error = config::Config::builder().add_source(source).build().map_err(without_the_line).expect_err("faulty");
        let said = error.to_string();
        assert!(said.contains("hims.toml is not written as TOML at line 2") && !said.contains("planted"), "{said}");
        let settings = Settings { admin_password: Some("planted".to_owned()), ..Settings::default() };
        assert!(!format!("{settings:?}").contains("planted"));
    }
}
