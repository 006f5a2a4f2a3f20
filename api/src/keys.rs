//! The master keys: each is 32 random bytes in hexadecimal digits. They come from a file that only its owner can read,
//! from the environment, or from a command, such as one that asks a key management service.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use hims_event_store::chain::hex;
use hims_event_store::{MasterKey, MasterKeys};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::NamedTempFile;
use thiserror::Error;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::{Purpose, Settings};

/// The greatest number of bytes of a key file: the digits of several keys, and white space around them.
const LONGEST: u64 = 1024;
/// How many hexadecimal digits a master key has.
const DIGITS: usize = 64;
/// How long the command that prints the master keys may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the master keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// The environment.
    Variable,
    /// The output of a command.
    Command(String),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the master key file {}", path.display()),
            Self::Variable => f.write_str("HIMS_MASTER_KEY"),
            Self::Command(_) => f.write_str("the command in HIMS_MASTER_KEY_COMMAND"),
        }
    }
}

impl KeySource {
    /// Where the settings say that the master keys come from.
    ///
    /// # Errors
    /// When they name several places, or none for a database of one's own.
    pub(crate) fn of(settings: &Settings) -> Result<Self, KeyError> {
        let named = [
            settings.master_key_file.clone().map(Self::File),
            settings.master_key.as_ref().map(|_| Self::Variable),
            settings.master_key_command.clone().map(Self::Command),
        ];
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next(), &settings.database_url) {
            (Some(source), None, _) => Ok(source),
            (None, _, None) => Ok(Self::File(settings.data_dir.join("master.key"))),
            (None, _, Some(_)) => Err(KeyError::None),
            (Some(_), Some(_), _) => Err(KeyError::Several),
        }
    }
}

/// Why the master key cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// `DATABASE_URL` is set without a master key.
    #[error(
        "DATABASE_URL needs the master key too, which the database never sees: give HIMS_MASTER_KEY_FILE, \
         HIMS_MASTER_KEY or HIMS_MASTER_KEY_COMMAND"
    )]
    None,
    /// The settings name more than one place.
    #[error("give the master key in one place: HIMS_MASTER_KEY_FILE, HIMS_MASTER_KEY or HIMS_MASTER_KEY_COMMAND")]
    Several,
    /// The key file cannot be read or written.
    #[error("the master key file {0} cannot be used: {1}")]
    File(String, std::io::Error),
    /// The key file is missing, and the server may not create one: not for existing data, nor beside a database of
    /// one's own.
    #[error("the master key file {0} is missing: restore the file of this hospital, or create one for a new hospital")]
    Missing(String),
    /// The path names a folder, a device or the like.
    #[error("the master key file {0} is not a file: name the file that holds the key of this hospital")]
    NoFile(String),
    /// Other users of the machine may read the key file.
    #[error("the master key file {0} can be read by other users; run: chmod 600 {0}")]
    Readable(String),
    /// The command that prints the keys failed.
    #[error("the command in HIMS_MASTER_KEY_COMMAND failed: {0}")]
    Command(String),
    /// There is something else than keys.
    #[error("{0} does not hold 64 hexadecimal digits for each master key: restore the right keys")]
    Content(KeySource),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers, so no master key can be made")]
    Entropy,
}

/// The master keys, and where they come from. A key file that is missing is made only before the data exist: where data
/// exist without the key, an operator has to restore the key file.
pub(crate) async fn keys_of(settings: &Settings, purpose: Purpose) -> Result<(MasterKeys, KeySource), KeyError> {
    let source = KeySource::of(settings)?;
    let text = match &source {
        KeySource::File(path) => {
            let may_make = settings.database_url.is_none() && purpose != Purpose::Inspect && !settings.has_data();
            read_file(path, may_make)?
        }
        KeySource::Variable => Zeroizing::new(settings.master_key.clone().unwrap_or_default()),
        KeySource::Command(command) => output_of(command).await?,
    };
    let keys = parse(&text).ok_or_else(|| KeyError::Content(source.clone()))?;
    Ok((keys, source))
}

/// A new master key as hexadecimal digits.
pub(crate) fn new_key() -> Result<Zeroizing<String>, KeyError> {
    let mut secret = Zeroizing::new([0_u8; 32]);
    getrandom::fill(secret.as_mut()).map_err(|_| KeyError::Entropy)?;
    Ok(Zeroizing::new(hex(secret.as_ref())))
}

/// Reads keys one after the other, the newest one last, whatever white space is between them.
fn parse(text: &str) -> Option<MasterKeys> {
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(text.bytes().filter(|it| !it.is_ascii_whitespace()).collect());
    let (keys, rest) = digits.as_chunks::<DIGITS>();
    if !rest.is_empty() {
        return None;
    }
    let key = |digits: &[u8; DIGITS]| {
        let mut secret = Zeroizing::new([0_u8; 32]);
        for (byte, [high, low]) in secret.iter_mut().zip(digits.as_chunks().0) {
            let [high, low] = [high, low].map(|it| char::from(*it).to_digit(16));
            *byte = u8::try_from(high? * 16 + low?).ok()?;
        }
        Some(MasterKey::new(&secret))
    };
    MasterKeys::newest_last(keys.iter().map(key).collect::<Option<_>>()?)
}

fn read_file(path: &Path, may_make: bool) -> Result<Zeroizing<String>, KeyError> {
    let name = path.display().to_string();
    let file = |error| KeyError::File(name.clone(), error);
    if !path.exists() {
        if !may_make {
            return Err(KeyError::Missing(name));
        }
        make_file(path).map_err(file)?;
    }
    let found = fs::metadata(path).map_err(file)?;
    if !found.is_file() {
        return Err(KeyError::NoFile(name));
    }
    if found.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Readable(name));
    }
    if found.len() > LONGEST {
        return Err(KeyError::Content(KeySource::File(path.to_owned())));
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(file)
}

fn make_file(path: &Path) -> std::io::Result<()> {
    let digits = new_key().map_err(std::io::Error::other)?;
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // The file appears as a whole or not at all. Only its owner can read it.
    let mut made = NamedTempFile::new_in(folder)?;
    writeln!(made, "{}", *digits)?;
    made.as_file().sync_all()?;
    made.persist_noclobber(path)?;
    fs::File::open(folder)?.sync_all()
}

/// What a command of the shell prints. What it says on standard error is for people, and goes to the log of this program.
async fn output_of(command: &str) -> Result<Zeroizing<String>, KeyError> {
    let failed = |reason: String| KeyError::Command(reason);
    let mut shell = Command::new("/bin/sh");
    // In a process group of its own, the command ends together with what it has started.
    shell.args(["-c", command]).process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut shell = shell.spawn().map_err(|error| failed(error.to_string()))?;
    let group = shell.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    let ended = timeout(PATIENCE, printed_by(&mut shell)).await;
    if let Some(group) = group.filter(|_| !matches!(ended, Ok(Ok(_)))) {
        // What has ended already cannot be killed.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let (printed, status) = match ended {
        Ok(ended) => ended.map_err(|error| failed(error.to_string()))?,
        Err(_) => return Err(failed(format!("it took longer than {} s", PATIENCE.as_secs()))),
    };
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    let text = std::str::from_utf8(&printed).map_err(|_| failed("it printed no text".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// What a running command prints until it ends, and how it ends.
async fn printed_by(shell: &mut Child) -> std::io::Result<(Zeroizing<Vec<u8>>, ExitStatus)> {
    let mut printed = Zeroizing::new(Vec::new());
    if let Some(output) = shell.stdout.take() {
        output.take(LONGEST + 1).read_to_end(&mut printed).await?;
    }
    if u64::try_from(printed.len()).is_ok_and(|it| it > LONGEST) {
        return Err(std::io::Error::other(format!("it printed more than {LONGEST} bytes")));
    }
    Ok((printed, shell.wait().await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        read_file(path, false).map(drop).expect_err("no key").to_string()
    }

    #[test]
    fn what_is_no_key_file_is_named_as_what_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in [folder.path(), Path::new("/dev/zero")] {
            let said = refused(path);
            assert!(said.contains("is not a file") && !said.contains("chmod"), "{said}");
        }
        let file = folder.path().join("master.key");
        assert!(refused(&file).contains("is missing"));
        fs::write(&file, [b'0'; 4096]).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("ours");
        assert!(refused(&file).contains("run: chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
        assert!(refused(&file).contains("does not hold 64 hexadecimal digits"));
    }

    #[test]
    fn keys_follow_each_other_and_the_last_one_is_the_newest() {
        let [one, two] = ["1".repeat(DIGITS), "a2B3".repeat(DIGITS / 4)];
        let ids = |text: &str| parse(text).map(|it| (it.newest().id(), it.ids().collect::<Vec<_>>()));
        let [(first, _), (second, _)] = [&one, &two].map(|it| ids(it).expect("a key"));
        assert_ne!(first, second);
        for between in ["", "\n", " \r\n\t"] {
            assert_eq!(ids(&format!("{one}{between}{two}\n")), Some((second, vec![first, second])));
        }
        for wrong in ["", "\n", &one[1..], &format!("{one}2"), &"g".repeat(DIGITS), &"é".repeat(DIGITS)] {
            assert_eq!(ids(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_command_that_fails_or_prints_no_key_is_named() {
        let settings = |command: &str| Settings { master_key_command: Some(command.to_owned()), ..Settings::default() };
        let said = async |command: &str| {
            keys_of(&settings(command), Purpose::Serve).await.map(drop).expect_err("no key").to_string()
        };
        assert!(said("exit 3").await.contains("exit status: 3"));
        assert!(said("yes").await.contains("it printed more than 1024 bytes"));
        assert!(said("echo secret").await.contains("the command in HIMS_MASTER_KEY_COMMAND does not hold 64"));
        let digits = "5".repeat(DIGITS);
        let (keys, _) = keys_of(&settings(&format!("echo {digits}")), Purpose::Serve).await.expect("a key");
        assert_eq!(keys.newest().id(), parse(&digits).expect("a key").newest().id());
        let several = Settings { master_key: Some(digits), ..settings("true") };
        assert!(matches!(keys_of(&several, Purpose::Serve).await, Err(KeyError::Several)));
    }
}
