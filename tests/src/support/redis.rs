//! A Redis of one test.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use super::scratch;

/// A running Redis that keeps nothing on disk and listens on a socket alone.
pub(crate) struct Redis {
    folder: TempDir,
    child: Child,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let folder = scratch("redis");
        let child = Self::run(&folder);
        let redis = Self { folder, child };
        redis.connect().await;
        redis
    }

    fn run(folder: &TempDir) -> Child {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
        command.arg(Self::socket(folder)).stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().expect("redis-server starts: run scripts/setup.sh test")
    }

    fn socket(folder: &TempDir) -> PathBuf {
        folder.path().join("redis.sock")
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", Self::socket(&self.folder).display())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the Redis, with all that it has.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("Redis is killed");
        self.child.wait().expect("Redis ends");
    }

    /// Starts the Redis again, empty.
    pub(crate) async fn start_again(&mut self) {
        self.child = Self::run(&self.folder);
        self.connect().await;
    }

    /// Connects once the Redis is there.
    async fn connect(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("a URL");
        for _ in 0..200 {
            if let Ok(connection) = client.get_multiplexed_async_connection().await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Redis does not answer within ten seconds");
    }

    /// Everything that is in the Redis.
    pub(crate) async fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let mut db = self.connect().await;
        let keys: Vec<String> = db.keys("*").await.expect("the keys");
        let mut contents = Vec::new();
        for key in keys {
            // A value may have lapsed meanwhile.
            if let Some(value) = db.get::<_, Option<Vec<u8>>>(&key).await.expect("a value") {
                contents.push((key, value));
            }
        }
        contents
    }

    /// Puts the value of another key under each key.
    pub(crate) async fn confuse(&self) {
        let contents = self.contents().await;
        let mut db = self.connect().await;
        let values = contents.iter().skip(1).chain(&contents).map(|it| &it.1);
        for ((key, _), value) in contents.iter().zip(values) {
            db.set::<_, _, ()>(key, value).await.expect("a value is set");
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
