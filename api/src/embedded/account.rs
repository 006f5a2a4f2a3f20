//! The account that PostgreSQL runs in. PostgreSQL refuses to run as root, so root starts it as the user `postgres`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use super::EmbeddedError;
use super::error::At;

const NAME: &str = "postgres";

/// The account that owns the data and runs the database server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Account {
    /// The account of this process.
    Oneself,
    /// The user `postgres`, if this process runs as root.
    Postgres { uid: u32, gid: u32 },
}

impl Account {
    pub(super) fn find() -> Result<Self, EmbeddedError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Oneself);
        }
        let passwd = Path::new("/etc/passwd");
        let known = fs::read_to_string(passwd).at(passwd)?;
        known.lines().find_map(Self::parse).ok_or(EmbeddedError::NoAccount)
    }

    /// Reads the account from a line of `/etc/passwd` (`name:password:uid:gid:…`), if the line is that of `postgres`.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        (fields.next() == Some(NAME)).then_some(())?;
        let (_, uid, gid) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Self::Postgres { uid, gid })
    }

    pub(super) fn uid(self) -> u32 {
        match self {
            Self::Oneself => rustix::process::geteuid().as_raw(),
            Self::Postgres { uid, .. } => uid,
        }
    }

    /// Refuses a data directory that belongs to somebody else, before anything in it is created or changed: neither
    /// this process nor the account of PostgreSQL owns it. Another server may run there, and would find its files
    /// changed.
    pub(super) fn refuse_foreign(self, home: &Path) -> Result<(), EmbeddedError> {
        let me = rustix::process::geteuid();
        refuse_foreign(home, me.is_root(), &[me.as_raw(), self.uid()])
    }

    /// A command that runs a program in this account, without the environment of this process, which may hold secrets.
    /// When the thread that spawned the program ends, the kernel interrupts the program: PostgreSQL then stops in good
    /// order.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "SIGINT"]);
        if let Self::Postgres { .. } = self {
            command.args(["--reuid", NAME, "--regid", NAME, "--init-groups"]);
        }
        command.arg("--").arg(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C.UTF-8");
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    /// Creates a folder if it is missing, and lets only this account enter the folder.
    pub(super) fn private_folder(self, folder: &Path) -> Result<(), EmbeddedError> {
        fs::create_dir_all(folder).at(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).at(folder)?;
        match self {
            Self::Oneself => Ok(()),
            Self::Postgres { uid, gid } => chown(folder, Some(uid), Some(gid)).at(folder),
        }
    }

    /// Checks that this account can enter a folder and every folder above it.
    pub(super) fn check_way_to(self, folder: &Path) -> Result<(), EmbeddedError> {
        let Self::Postgres { uid, .. } = self else { return Ok(()) };
        for step in folder.ancestors() {
            let found = fs::metadata(step).at(step)?;
            if found.uid() != uid && found.mode() & 0o001 == 0 {
                return Err(EmbeddedError::Unreachable(step.to_owned()));
            }
        }
        Ok(())
    }
}

/// Refuses a data directory that holds something of a user who is not among `mine`. Root may write everywhere, so for
/// root the directory itself must be one of `mine` as well.
fn refuse_foreign(home: &Path, is_root: bool, mine: &[u32]) -> Result<(), EmbeddedError> {
    let within = ["postgres", "postgres.lock", "postgres.log", "run", "master.key"].map(|name| home.join(name));
    let itself = is_root.then(|| home.to_owned());
    for path in itself.into_iter().chain(within) {
        match fs::symlink_metadata(&path) {
            Ok(found) if !mine.contains(&found.uid()) => return Err(EmbeddedError::Foreign(path)),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).at(&path),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_found_in_passwd() {
        let line = "postgres:x:104:109:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        assert!(matches!(Account::parse(line), Some(Account::Postgres { uid: 104, gid: 109 })));
        assert!(Account::parse("root:x:0:0:root:/root:/bin/bash").is_none());
    }

    #[test]
    fn a_data_directory_of_somebody_else_is_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let (me, somebody) = (rustix::process::geteuid().as_raw(), rustix::process::geteuid().as_raw() + 1);
        let refuse = |is_root, mine: &[u32]| refuse_foreign(home.path(), is_root, mine);
        assert!(refuse(true, &[me, somebody]).is_ok());
        assert!(matches!(refuse(true, &[somebody]), Err(EmbeddedError::Foreign(path)) if path == home.path()));
        // A volume that belongs to root may be lent to a user, who owns what is in it.
        assert!(refuse(false, &[somebody]).is_ok());
        fs::create_dir(home.path().join("run")).expect("a folder");
        assert!(matches!(refuse(false, &[somebody]), Err(EmbeddedError::Foreign(path)) if path.ends_with("run")));
        assert!(refuse(false, &[me]).is_ok());
        assert!(refuse_foreign(Path::new("/nowhere/at/all"), true, &[]).is_ok());
    }
}
