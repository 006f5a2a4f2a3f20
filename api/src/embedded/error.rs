use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the embedded PostgreSQL does not run. Every message says what to do.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// PostgreSQL is not installed.
    #[error(
        "PostgreSQL 15 to 18 is not installed: run `apt install postgresql-15`, or set HIMS_PG_BIN to its bin folder"
    )]
    NotInstalled,
    /// The folder of the settings holds no PostgreSQL of a supported version.
    #[error("{0} holds no PostgreSQL 15 to 18: set HIMS_PG_BIN to the folder of postgres and initdb, or unset it")]
    NoBinaries(PathBuf),
    /// The data were written by a major version that is not installed.
    #[error(
        "the data in {data} were written by PostgreSQL {version}, not installed: run `apt install postgresql-{version}`"
    )]
    OtherVersion {
        /// The folder of the data.
        data: PathBuf,
        /// The major version of the PostgreSQL that wrote the data.
        version: u32,
    },
    /// The program `setpriv`, which starts PostgreSQL, is missing.
    #[error("setpriv is not installed: run `apt install util-linux`")]
    NoSetpriv,
    /// PostgreSQL refuses to run as root, and there is no user `postgres`.
    #[error("PostgreSQL does not run as root and there is no user postgres: run `useradd --system postgres`")]
    NoAccount,
    /// The account that runs PostgreSQL cannot reach its data.
    #[error("the user postgres cannot enter {0}: choose another --data-dir, or run `chmod o+x {0}`")]
    Unreachable(PathBuf),
    /// Another server runs on the same data directory.
    #[error("{0} is in use by another server: stop it, or choose another --data-dir")]
    InUse(PathBuf),
    /// The data directory, or something in it, belongs to another user.
    #[error("{0} belongs to another user: run this as that user, or choose another --data-dir")]
    Foreign(PathBuf),
    /// The socket folder outside the data directory belongs to another user, or its path is too long as well.
    #[error("the socket folder {0} cannot be used: remove it, or choose a --data-dir with a shorter path")]
    ForeignSocket(PathBuf),
    /// PostgreSQL did not start.
    #[error("PostgreSQL did not start ({reason}): see {log}")]
    Failed {
        /// The last error message of PostgreSQL.
        reason: String,
        /// PostgreSQL's log file.
        log: PathBuf,
    },
    /// A file or folder cannot be used.
    #[error("{path} cannot be used: {source}")]
    Io {
        /// The path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

/// Adds the path to an error of the file system.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T, EmbeddedError>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, path: &Path) -> Result<T, EmbeddedError> {
        self.map_err(|source| EmbeddedError::Io { path: path.to_owned(), source })
    }
}
