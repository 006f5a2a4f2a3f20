//! The master key file: 32 random bytes in hexadecimal digits, readable by its owner only.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use hims_event_store::MasterKey;
use hims_event_store::chain::hex;
use thiserror::Error;
use zeroize::Zeroizing;

/// The greatest number of bytes of a key file: the digits, and white space around them.
const LONGEST: u64 = 1024;

/// Why the master key cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
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
    /// The key file holds something else than a key.
    #[error("the master key file {0} does not hold 64 hexadecimal digits: restore the right file")]
    Content(String),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers, so no master key can be made")]
    Entropy,
}

/// Reads the master key. If the key file is missing, it is created first, provided that `may_make` allows it.
pub(crate) fn master_key(path: &Path, may_make: bool) -> Result<MasterKey, KeyError> {
    let name = path.display().to_string();
    let file = |error| KeyError::File(name.clone(), error);
    if !path.exists() {
        if !may_make {
            return Err(KeyError::Missing(name));
        }
        make(path, &name)?;
    }
    let found = fs::metadata(path).map_err(file)?;
    if !found.is_file() {
        return Err(KeyError::NoFile(name));
    }
    if found.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Readable(name));
    }
    if found.len() > LONGEST {
        return Err(KeyError::Content(name));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(file)?);
    let digits = text.trim();
    let mut secret = Zeroizing::new([0_u8; 32]);
    if digits.len() != 64 || !digits.is_ascii() {
        return Err(KeyError::Content(name));
    }
    for (byte, place) in secret.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digits[place..place + 2], 16).map_err(|_| KeyError::Content(name.clone()))?;
    }
    MasterKey::try_new(&secret).map_err(|_| KeyError::Content(name))
}

fn make(path: &Path, name: &str) -> Result<(), KeyError> {
    let file = |error| KeyError::File(name.to_owned(), error);
    let mut secret = Zeroizing::new([0_u8; 32]);
    getrandom::fill(secret.as_mut()).map_err(|_| KeyError::Entropy)?;
    let digits = Zeroizing::new(hex(secret.as_ref()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(file)?;
    }
    let mut made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(file)?;
    made.write_all(digits.as_bytes()).and_then(|()| made.sync_all()).map_err(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        master_key(path, false).map(drop).expect_err("no key").to_string()
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
}
