//! Writes and reads the files of a set: rows in the text format of `COPY`, compressed (gzip), encrypted (age), and
//! hashed (SHA-256) as they lie on the disk. All of it works on threads of its own and hands rows on in pieces, so the
//! size of a file does not matter.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use hims_event_store::StoreError;
use hims_event_store::archive::{End, Torn, command_of};
use hims_event_store::chain::hex;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use super::error::At as _;
use super::manifest::FileOf;
use super::sealing::Sealed;
use super::{BackupError, Identities, Recipients};

/// How many pieces may wait for who writes or reads them.
const WAITING: usize = 16;
/// About how many bytes are handed on at once.
const PIECE: usize = 1 << 16;

/// Writes the rows that `copy` sends into a new file of a set. If `after` is given, the rows are events that follow
/// this end of the log, and the new end is answered; an event that does not follow ends the work.
pub(super) async fn write(
    set: &Path,
    (table, columns): (&str, &str),
    recipients: &Recipients,
    after: Option<End>,
    copy: impl AsyncFnOnce(&Sender<Vec<u8>>) -> Result<(), StoreError>,
) -> Result<(FileOf, Option<End>), BackupError> {
    let name = format!("{table}.copy.gz{}", recipients.extension());
    let (to, pieces) = channel(WAITING);
    let (path, recipients) = (set.join(&name), recipients.clone());
    let writer = tokio::task::spawn_blocking(move || write_pieces(&path, pieces, &recipients, after));
    let copied = copy(&to).await;
    drop(to);
    // If the writer failed, the copy failed too, since nobody received it.
    let (written, end) = joined(writer).await?;
    copied?;
    let Written { content, size, sha256 } = written;
    Ok((FileOf { name, table: table.to_owned(), columns: columns.to_owned(), content, size, sha256 }, end))
}

struct Written {
    content: u64,
    size: u64,
    sha256: String,
}

fn write_pieces(
    path: &Path,
    mut pieces: Receiver<Vec<u8>>,
    recipients: &Recipients,
    after: Option<End>,
) -> Result<(Written, Option<End>), BackupError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).at(path)?;
    let hashing = Hashing { file: BufWriter::new(file), digest: Sha256::new(), size: 0 };
    let sealed = recipients.seal(hashing).at(path)?;
    let mut to = GzEncoder::new(sealed, Compression::fast());
    let (mut content, mut following) = (0, after.map(|end| Following { end, rest: Vec::new() }));
    while let Some(piece) = pieces.blocking_recv() {
        if let Some(following) = &mut following {
            following.take(&piece).map_err(|torn| BackupError::Torn { path: path.to_owned(), torn })?;
        }
        content += piece.len() as u64;
        to.write_all(&piece).at(path)?;
    }
    let Hashing { file, digest, size } = to.finish().and_then(Sealed::finish).at(path)?;
    file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|it| it.sync_all()).at(path)?;
    let end = following.map(|it| it.end);
    Ok((Written { content, size, sha256: hex(&digest.finalize()) }, end))
}

/// Hashes and counts what is written.
struct Hashing {
    file: BufWriter<File>,
    digest: Sha256,
    size: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Follows the log through pieces of its copy, whose lines may be cut anywhere.
struct Following {
    end: End,
    rest: Vec<u8>,
}

impl Following {
    fn take(&mut self, piece: &[u8]) -> Result<(), Torn> {
        for part in piece.split_inclusive(|it| *it == b'\n') {
            match part.strip_suffix(b"\n") {
                None => self.rest.extend_from_slice(part),
                Some(line) if self.rest.is_empty() => self.end = self.end.then(line)?,
                Some(line) => {
                    self.rest.extend_from_slice(line);
                    self.end = self.end.then(&std::mem::take(&mut self.rest))?;
                }
            }
        }
        Ok(())
    }
}

/// A file of a set that is to be read.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) file: FileOf,
    pub(super) is_encrypted: bool,
}

impl Source {
    /// Compares the file with its size and its hash in the manifest.
    pub(super) async fn check(&self) -> Result<(), BackupError> {
        let Self { path, file: FileOf { size, sha256, .. }, .. } = self.clone();
        joined(tokio::task::spawn_blocking(move || {
            let mut file = File::open(&path).at(&path)?;
            let (mut digest, mut read, mut piece) = (Sha256::new(), 0, vec![0_u8; PIECE]);
            loop {
                match file.read(&mut piece).at(&path)? {
                    0 => break,
                    count => {
                        digest.update(&piece[..count]);
                        read += count as u64;
                    }
                }
            }
            let is_same = read == size && hex(&digest.finalize()) == sha256;
            if is_same { Ok(()) } else { Err(BackupError::Altered(path)) }
        }))
        .await
    }

    /// Reads the rows on a thread of its own. The thread's answer says whether all of them were read: the caller asks
    /// for it before it relies on the rows.
    pub(super) fn read(&self, identities: &Identities) -> (Receiver<Vec<u8>>, Reading<()>) {
        let (to, pieces) = channel(WAITING);
        let (source, identities) = (self.clone(), identities.clone());
        let reader = tokio::task::spawn_blocking(move || {
            let mut rows = source.rows(&identities)?;
            loop {
                let piece = rows.fill_buf().at(&source.path)?.to_vec();
                let count = piece.len();
                if count == 0 || to.blocking_send(piece).is_err() {
                    return Ok(());
                }
                rows.consume(count);
            }
        });
        (pieces, Reading(reader))
    }

    /// Reads events that follow an end of the log, as long as `wants` wants them, and answers the new end. Each event
    /// is checked before it is handed on. Fails if only a part of what a command recorded is wanted.
    pub(super) fn read_events(
        &self,
        identities: &Identities,
        after: End,
        wants: impl Fn(&End) -> bool + Send + 'static,
    ) -> (Receiver<Vec<u8>>, Reading<End>) {
        let (to, pieces) = channel(WAITING);
        let (source, identities) = (self.clone(), identities.clone());
        let reader = tokio::task::spawn_blocking(move || {
            let mut rows = source.rows(&identities)?;
            let (mut end, mut piece, mut last) = (after, Vec::with_capacity(PIECE), Vec::new());
            loop {
                let begins = piece.len();
                rows.read_until(b'\n', &mut piece).at(&source.path)?;
                let line = &piece[begins..];
                let Some(line) = line.strip_suffix(b"\n") else {
                    let whole = if line.is_empty() { Ok(()) } else { Err(Torn::Unreadable(end.position)) };
                    whole.map_err(|torn| BackupError::Torn { path: source.path.clone(), torn })?;
                    break;
                };
                let next = end.then(line).map_err(|torn| BackupError::Torn { path: source.path.clone(), torn })?;
                if !wants(&next) {
                    if command_of(&last).is_some_and(|command| command_of(line) == Some(command)) {
                        return Err(BackupError::InsideCommand(end.position));
                    }
                    piece.truncate(begins);
                    break;
                }
                end = next;
                last.clear();
                last.extend_from_slice(line);
                if piece.len() >= PIECE && to.blocking_send(std::mem::take(&mut piece)).is_err() {
                    return Ok(end);
                }
            }
            // Nobody receives the last piece if the database has refused an earlier one.
            let _ = to.blocking_send(piece);
            Ok(end)
        });
        (pieces, Reading(reader))
    }

    fn rows(&self, identities: &Identities) -> Result<BufReader<impl Read + use<>>, BackupError> {
        let opened = identities.open(&self.path, self.is_encrypted)?;
        Ok(BufReader::with_capacity(PIECE, MultiGzDecoder::new(BufReader::with_capacity(PIECE, opened))))
    }
}

/// The thread that reads a file.
pub(super) struct Reading<T>(JoinHandle<Result<T, BackupError>>);

impl<T> Reading<T> {
    /// Waits until the thread has read what was wanted.
    pub(super) async fn end(self) -> Result<T, BackupError> {
        joined(self.0).await
    }
}

async fn joined<T>(thread: JoinHandle<Result<T, BackupError>>) -> Result<T, BackupError> {
    thread.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
}

/// Leaves a page in the folder of a backup that says how to read it without this program.
pub(super) fn leave_page(folder: &Path) -> Result<(), BackupError> {
    let path = folder.join("HOW-TO-READ.txt");
    std::fs::write(&path, include_str!("how_to_read.txt")).at(&path)
}
