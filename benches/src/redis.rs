//! A Redis in a folder of its own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::Failure;

/// A Redis that keeps nothing on disk and listens on a socket alone. It ends with this value.
pub(crate) struct Redis {
    folder: TempDir,
    child: Child,
}

impl Redis {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("hims-bench-redis-").tempdir()?;
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
        command.arg(folder.path().join("redis.sock")).stdin(Stdio::null()).stdout(Stdio::null());
        let redis = Self { child: command.spawn()?, folder };
        while !redis.socket().exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(redis)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// How often somebody has found what they asked for.
    pub(crate) async fn hits(&self) -> Result<u32, Failure> {
        let mut connection = UnixStream::connect(self.socket()).await?;
        connection.write_all(b"INFO stats\r\nQUIT\r\n").await?;
        let mut told = String::new();
        connection.read_to_string(&mut told).await?;
        let hits =
            told.lines().find_map(|it| it.strip_prefix("keyspace_hits:")).ok_or("Redis does not tell its hits")?;
        Ok(hits.trim().parse()?)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
