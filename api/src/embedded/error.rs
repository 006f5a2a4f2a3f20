use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the embedded PostgreSQL does not run. Each says what to do.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// There is no PostgreSQL.
    #[error(
        "PostgreSQL 15 or later is not installed: run `apt install postgresql-15`, or set HIMS_PG_BIN to its bin folder"
    )]
    NotInstalled,
    /// The folder that was named holds no PostgreSQL, or one that is too old.
    #[error("{0} holds no PostgreSQL 15 or later: set HIMS_PG_BIN to the folder of postgres and initdb, or unset it")]
    NoBinaries(PathBuf),
    /// The data are of another major version.
    #[error(
        "the data in {data} are PostgreSQL {version}'s, which is not installed: run `apt install postgresql-{version}`"
    )]
    OtherVersion {
        /// Where the data are.
        data: PathBuf,
        /// Which PostgreSQL wrote them.
        version: u32,
    },
    /// What starts it in another account is missing.
    #[error("setpriv is not installed: run `apt install util-linux`")]
    NoSetpriv,
    /// PostgreSQL refuses to run as root, and there is nobody else.
    #[error("PostgreSQL does not run as root and there is no user postgres: run `useradd --system postgres`")]
    NoAccount,
    /// The account that runs PostgreSQL cannot reach its data.
    #[error("the user postgres cannot enter {0}: choose another --data-dir, or run `chmod o+x {0}`")]
    Unreachable(PathBuf),
    /// Somebody else runs on the same directory.
    #[error("{0} is in use by another server: stop it, or choose another --data-dir")]
    InUse(PathBuf),
    /// The folder that stands in for one with too long a name is not ours.
    #[error("{0} belongs to somebody else: remove it, or choose a --data-dir with a shorter path")]
    ForeignSocket(PathBuf),
    /// PostgreSQL gave up.
    #[error("PostgreSQL did not start ({reason}): see {log}")]
    Failed {
        /// Its last words.
        reason: String,
        /// Where the others are.
        log: PathBuf,
    },
    /// The file system refused something.
    #[error("{path} cannot be used: {source}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Names the path of a failure of the file system.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T, EmbeddedError>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, path: &Path) -> Result<T, EmbeddedError> {
        self.map_err(|source| EmbeddedError::Io { path: path.to_owned(), source })
    }
}
