//! `hims doctor`: looks at the configuration, the database and the machine, and says what to change. Nothing is
//! changed.

mod backups;
mod database;
mod erasures;
mod following;
mod machine;
mod months;
mod telemetry;

use std::process::ExitCode;
use std::time::Duration;

use hims_event_store::bounded::within;
use hims_event_store::waits_for_standby;

use super::log::complain;
use super::{Failure, say};
use crate::cache::{connect_to_redis, redis_client};
use crate::connections::Primary;
use crate::database::Database;
use crate::keys::keys_of;
use crate::readers::positions_of_replicas;
use crate::wire::Tls;
use crate::{Purpose, Settings};

/// How long looking at the database may take: catalogues and settings, no table as a whole.
const LOOK: Duration = Duration::from_secs(30);

/// What was found about one subject.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// As it should be.
    Fine(String),
    /// Works, but should be changed.
    Advice(String),
    /// Must be changed: something does not work, or is not safe.
    Fault(String),
}

/// Everything that was found, in the order of the checks.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn fine(&mut self, found: impl Into<String>) {
        self.0.push(Finding::Fine(found.into()));
    }

    fn advice(&mut self, found: impl Into<String>) {
        self.0.push(Finding::Advice(found.into()));
    }

    fn fault(&mut self, found: impl Into<String>) {
        self.0.push(Finding::Fault(found.into()));
    }

    /// Adds the faults, or `fine` if there is none.
    fn faults_or(&mut self, faults: Vec<String>, fine: &str) {
        if faults.is_empty() {
            self.fine(fine);
        }
        self.0.extend(faults.into_iter().map(Finding::Fault));
    }
}

/// Looks at the servers among which the primary is found, if there are several.
async fn servers(primary: &Primary, found: &mut Findings) {
    if !primary.has_choice() {
        return;
    }
    let newest = primary.timelines().number();
    for (address, said) in primary.say().await {
        match said {
            Ok(Some(timeline)) if timeline.number == newest => {
                found.fine(format!("servers: {address} is the primary, in timeline {newest}"));
            }
            Ok(Some(timeline)) => found.fault(format!(
                "servers: {address} is a former primary, in timeline {}, and accepts changes: stop it, and make it a \
                 standby of the server in timeline {newest} (pg_rewind or a new copy)",
                timeline.number
            )),
            Ok(None) => found.fine(format!("servers: {address} is a standby")),
            Err(error) => found.fault(format!("servers: {error}")),
        }
    }
    let waits = async { waits_for_standby(&mut primary.connect().await?).await };
    match within(LOOK, waits).await {
        Ok(true) => found.fine("servers: each commit waits for a standby, so that no answered command can be lost"),
        Ok(false) => found.advice(
            "servers: no commit waits for a standby, so that answered commands can be lost when the primary is: set \
             synchronous_standby_names",
        ),
        Err(error) => found.fault(format!("servers: {error}")),
    }
}

/// Looks at the replicas that answer reads.
async fn replicas(settings: &Settings, primary: &Primary, found: &mut Findings) {
    let replicas = match settings.replicas() {
        Ok(replicas) => replicas,
        Err(error) => return found.fault(format!("replicas: HIMS_READ_URLS: {error}")),
    };
    for (number, position) in (1..).zip(positions_of_replicas(&replicas, primary, LOOK).await) {
        match position {
            Ok(position) => found.fine(format!("replicas: number {number} has position {position}")),
            Err(wrong) => found.fault(format!("replicas: number {number} of HIMS_READ_URLS {wrong}")),
        }
    }
}

/// Looks at the Redis in which nodes share answers.
async fn redis(settings: &Settings, found: &mut Findings) {
    let Some(url) = &settings.redis_url else { return };
    let client = match redis_client(url) {
        Ok(client) => client,
        Err(error) => return found.fault(format!("redis: HIMS_REDIS_URL: {error}")),
    };
    match connect_to_redis(&client).await {
        Ok(_) => found.fine("redis: it answers; nodes share remembered answers in it"),
        Err(error) => {
            found.fault(format!("redis: it cannot be used, and answers are read from the tables: {error}"));
        }
    }
}

/// Checks everything and prints what was found. The exit code is that of a failure when there is a fault.
pub(super) async fn examine(settings: &Settings) -> Result<ExitCode, Failure> {
    let mut found = Findings::default();
    configuration(settings, &mut found);
    machine::disk(settings, &mut found);
    telemetry::receiver(settings, &mut found).await;
    let keys = match keys_of(settings, Purpose::Inspect).await {
        Ok((keys, source)) => {
            found.fine(format!("keys: there is a master key in {source}"));
            Some(keys)
        }
        Err(error) => {
            found.fault(format!("keys: {error}"));
            None
        }
    };
    redis(settings, &mut found).await;
    match Database::open(settings, Purpose::Inspect).await {
        Ok(opened) => {
            if settings.database_url.is_none()
                && let Some(folder) = opened.primary().options().get_socket()
            {
                let folder = folder.display();
                found.fine(format!("database: while the server runs, reach it with `psql -h {folder} -U hims hims`"));
            }
            let pool = opened.owner();
            if let Err(error) = within(LOOK, database::examine(&pool, keys, &mut found)).await {
                found.fault(format!("database: it does not answer: {error}"));
            }
            let looked = async { months::months(&mut *pool.acquire().await?, &mut found).await };
            if let Err(error) = within(LOOK, looked).await {
                found.fault(format!("audit log: nothing is known of its partitions: {error}"));
            }
            let looked = async { following::following(&mut pool.acquire().await?.detach(), &mut found).await };
            if let Err(error) = within(LOOK, looked).await {
                found.fault(format!("log: nothing is known of what follows it: {error}"));
            }
            let looked =
                async { backups::backups(&mut *pool.acquire().await?, settings.backup_hours, &mut found).await };
            if let Err(error) = within(LOOK, looked).await {
                found.fault(format!("backup: nothing is known of backups: {error}"));
            }
            let looked = async { erasures::erasures(&mut *pool.acquire().await?, &mut found).await };
            if let Err(error) = within(LOOK, looked).await {
                found.fault(format!("erasures: nothing is known of what waits for `hims scrub`: {error}"));
            }
            pool.close().await;
            servers(opened.primary(), &mut found).await;
            replicas(settings, opened.primary(), &mut found).await;
            opened.close().await;
        }
        Err(error) => found.fault(format!("database: {error}")),
    }
    tell(&found)
}

fn tell(found: &Findings) -> Result<ExitCode, Failure> {
    let (mut faults, mut advice) = (0, 0);
    for finding in &found.0 {
        match finding {
            Finding::Fine(text) => say(format_args!("ok      {text}"))?,
            Finding::Advice(text) => {
                advice += 1;
                say(format_args!("advice  {text}"))?;
            }
            Finding::Fault(text) => {
                faults += 1;
                say(format_args!("FAULT   {text}"))?;
            }
        }
    }
    say(format_args!("checks: {}, faults: {faults}, advice: {advice}", found.0.len()))?;
    if faults == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    complain(format_args!("faults were found ({faults}); each line that begins with FAULT says what to do"));
    Ok(ExitCode::FAILURE)
}

/// What the settings say. Values that may hold a password are not printed.
fn configuration(settings: &Settings, found: &mut Findings) {
    match settings.database_url {
        None => found.fine(format!("configuration: the embedded PostgreSQL in {}", settings.data_dir.display())),
        Some(_) => found.fine("configuration: your own PostgreSQL (DATABASE_URL)"),
    }
    if settings.database_url.is_some() && settings.migration_url.is_some() {
        found.advice(
            "configuration: HIMS_MIGRATION_URL is set: give it to `hims migrate up` only, and not to the server, which \
             then cannot change what is recorded",
        );
    }
    if settings.admin_password.is_some() {
        found.advice("configuration: HIMS_ADMIN_PASSWORD is needed for the first start only: remove it afterwards");
    }
    found.fine(format!(
        "configuration: the log tells of what takes {} ms or longer (HIMS_SLOW_QUERY_MS)",
        settings.slow_query_ms
    ));
    match Tls::of(settings) {
        Ok(None) if settings.bind.ip().is_loopback() => {
            found.fine(format!("configuration: the server is to listen on {}, for this machine alone", settings.bind));
        }
        Ok(None) => found.advice(format!(
            "configuration: the server is to listen on {} and speaks HTTP without encryption: give it a certificate \
             (HIMS_TLS_CERT, HIMS_TLS_KEY), or let a proxy with TLS be the only one who reaches it",
            settings.bind
        )),
        Ok(Some(_)) => {
            found.fine(format!("configuration: the server is to listen on {} and speaks TLS", settings.bind));
        }
        Err(error) => found.fault(format!("configuration: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_should_be_changed_in_the_settings_is_said_and_no_password_is() {
        let settings = Settings {
            bind: ([0, 0, 0, 0], 80).into(),
            database_url: Some("postgres://hims:sesame@db/hims".to_owned()),
            migration_url: Some("postgres://hims_migrator:sesame@db/hims".to_owned()),
            admin_password: Some("sesame".to_owned()),
            ..Settings::default()
        };
        let mut found = Findings::default();
        configuration(&settings, &mut found);
        let advice = found.0.iter().filter(|it| matches!(it, Finding::Advice(_))).count();
        assert_eq!(advice, 3, "{found:?}");
        assert!(!format!("{found:?}").contains("sesame"), "{found:?}");
        let mut found = Findings::default();
        configuration(&Settings::default(), &mut found);
        assert!(found.0.iter().all(|it| matches!(it, Finding::Fine(_))), "{found:?}");
    }

    #[test]
    fn a_certificate_without_its_key_is_a_fault() {
        let settings = Settings { tls_cert: Some("/nowhere.pem".into()), ..Settings::default() };
        let mut found = Findings::default();
        configuration(&settings, &mut found);
        assert!(found.0.iter().any(|it| matches!(it, Finding::Fault(text) if text.contains("tls_key"))), "{found:?}");
    }
}
