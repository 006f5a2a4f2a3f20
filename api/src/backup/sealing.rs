//! Who can read a backup: recipients, to whose keys its files are encrypted (age, <https://age-encryption.org/v1>), and
//! identities, which open them.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use age::x25519::Recipient;
use age::{DecryptError, Decryptor, Encryptor, IdentityFile};

use super::BackupError;
use super::error::At as _;

/// Those whose keys open a backup. Without any, the backup is not encrypted.
#[derive(Debug, Clone)]
pub(crate) struct Recipients(Vec<Recipient>);

impl Recipients {
    /// Reads public keys. Without a key, `unencrypted` must allow a backup that everybody can read.
    pub(crate) fn parse(keys: &[String], unencrypted: bool) -> Result<Self, BackupError> {
        if unencrypted {
            return Ok(Self(Vec::new()));
        }
        // What was given is not repeated in the error: it may be a secret key by mistake.
        let read = |(nth, key): (usize, &String)| key.parse().map_err(|_| BackupError::Recipient(nth));
        let recipients = (1..).zip(keys).map(read).collect::<Result<Vec<_>, _>>()?;
        if recipients.is_empty() { Err(BackupError::NoRecipient) } else { Ok(Self(recipients)) }
    }

    /// The public keys.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// What the name of a file ends with.
    pub(super) fn extension(&self) -> &'static str {
        if self.0.is_empty() { "" } else { ".age" }
    }

    /// Encrypts what is written from now on.
    pub(super) fn seal<W: Write>(&self, to: W) -> io::Result<Sealed<W>> {
        if self.0.is_empty() {
            return Ok(Sealed::Plain(to));
        }
        let recipients = self.0.iter().map(|it| it as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        Ok(Sealed::Encrypted(Box::new(encryptor.wrap_output(to)?)))
    }
}

/// A writer that encrypts, if there are recipients.
pub(super) enum Sealed<W: Write> {
    Plain(W),
    Encrypted(Box<age::stream::StreamWriter<W>>),
}

impl<W: Write> Sealed<W> {
    /// Writes the end, without which a file does not open.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(to) => Ok(to),
            Self::Encrypted(to) => to.finish(),
        }
    }
}

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(to) => to.write(bytes),
            Self::Encrypted(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(to) => to.flush(),
            Self::Encrypted(to) => to.flush(),
        }
    }
}

/// The secret keys that open a backup.
#[derive(Clone)]
pub(crate) struct Identities(Arc<Vec<Box<dyn age::Identity + Send + Sync>>>);

impl Identities {
    /// Reads the secret keys of a file that `age-keygen` made; no key without a file.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, BackupError> {
        let Some(path) = path else { return Ok(Self(Arc::default())) };
        let no_key = || BackupError::Identity(path.to_owned());
        let file = BufReader::new(File::open(path).at(path)?);
        let identities = IdentityFile::from_buffer(file).map_err(|_| no_key())?;
        let identities = identities.into_identities().map_err(|_| no_key())?;
        if identities.is_empty() { Err(no_key()) } else { Ok(Self(Arc::new(identities))) }
    }

    /// Opens a file of a backup, which is encrypted or not.
    pub(super) fn open(&self, path: &Path, is_encrypted: bool) -> Result<Box<dyn Read + Send>, BackupError> {
        let file = BufReader::new(File::open(path).at(path)?);
        if !is_encrypted {
            return Ok(Box::new(file));
        }
        if self.0.is_empty() {
            return Err(BackupError::NoIdentity);
        }
        let opened = Decryptor::new_buffered(file).and_then(|decryptor| {
            let identities = self.0.iter().map(|it| &**it as &dyn age::Identity);
            decryptor.decrypt(identities)
        });
        match opened {
            Ok(reader) => Ok(Box::new(reader)),
            Err(DecryptError::Io(source)) => Err(BackupError::Io { path: path.to_owned(), source }),
            Err(_) => Err(BackupError::OtherIdentity(path.to_owned())),
        }
    }
}
