//! A standby that must confirm each commit of its primary.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hims_api::embedded::EmbeddedPostgres;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection};
use tempfile::TempDir;

use super::scratch;

/// A streaming copy of a server. Every commit of the primary waits until the standby has it.
pub(crate) struct Standby {
    folder: TempDir,
    programs: PathBuf,
    options: PgConnectOptions,
    server: Option<Child>,
}

impl Standby {
    /// Copies the primary, starts the copy, and makes the primary wait for it from now on.
    pub(crate) async fn of(primary: &EmbeddedPostgres) -> Self {
        let program = std::fs::read_link(format!("/proc/{}/exe", primary.pid())).expect("the primary runs");
        let options = primary.superuser_options();
        let sockets = options.get_socket().expect("a socket").clone();
        let folder = scratch("standby");
        let owner = sockets.metadata().expect("the folder of the socket").uid();
        for name in ["data", "run"] {
            let path = folder.path().join(name);
            std::fs::DirBuilder::new().mode(0o700).create(&path).expect("a folder");
            chown(&path, Some(owner), None).expect("the folder is given to PostgreSQL's account");
        }
        let run = folder.path().join("run");
        let programs = program.parent().expect("a folder").to_owned();
        let mut standby = Self { folder, programs, options: options.clone().socket(run), server: None };
        let mut copy = standby.command("pg_basebackup");
        copy.args(["-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync", "-p", "5432", "-h"]).arg(sockets);
        let copied = copy.arg("-D").arg(standby.folder.path().join("data")).status().expect("pg_basebackup runs");
        assert!(copied.success(), "the primary is copied");
        let mut superuser = options.connect().await.expect("a superuser's connection");
        superuser.execute("alter system set synchronous_standby_names = '*'").await.expect("a setting");
        superuser.execute("select pg_reload_conf()").await.expect("the setting is read");
        standby.start();
        let is_followed = "select exists (select 1 from pg_stat_replication where sync_state = 'sync')";
        until(&mut superuser, is_followed).await;
        standby
    }

    /// Starts the standby.
    pub(crate) fn start(&mut self) {
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(self.folder.path().join("data")).args(["-c", "listen_addresses=", "-c", "port=5432"]);
        let mut sockets = std::ffi::OsString::from("unix_socket_directories=");
        sockets.push(self.folder.path().join("run"));
        self.server = Some(postgres.arg("-c").arg(sockets).spawn().expect("the standby starts"));
    }

    /// Stops the standby, and waits for its end.
    pub(crate) fn stop(&mut self) {
        let mut server = self.server.take().expect("the standby runs");
        let stopped = Command::new("kill").args(["-INT", &server.id().to_string()]).status().expect("kill runs");
        assert!(stopped.success(), "the standby runs");
        server.wait().expect("the standby ends");
    }

    /// A connection to a database of the standby, as soon as the standby accepts connections.
    pub(crate) async fn connect(&self, database: &str) -> PgConnection {
        let options = self.options.clone().database(database);
        let connecting = async {
            loop {
                match options.connect().await {
                    Ok(connection) => return connection,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(1), connecting).await.expect("the standby accepts connections")
    }

    /// A command that runs a program of PostgreSQL in PostgreSQL's account, and ends with this process.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "SIGINT"]);
        if Path::new("/proc/self").metadata().expect("this process").uid() == 0 {
            command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
        }
        command.arg("--").arg(self.programs.join(program)).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // The standby may have ended already.
            let _ = Command::new("kill").args(["-INT", &server.id().to_string()]).status();
            let _ = server.wait();
        }
    }
}

/// Waits until a query answers `true`.
pub(crate) async fn until(db: &mut PgConnection, sql: &str) {
    let asking = async {
        while !sqlx::query_scalar::<_, bool>(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut *db)
            .await
            .expect("an answer")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(3), asking).await.unwrap_or_else(|_| panic!("at last: {sql}"));
}
