//! `hims backup` and `hims restore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use hims_event_store::archive::End;
use hims_event_store::chain::hex;

use super::log::complain;
use super::rebuild::AsOf;
use super::verify::verify_log;
use super::{Failure, bar, say};
use crate::backup::{
    BackupError, Identities, Made, NoteOf, Recipients, Restored, Until, Wanted, instant, note,
    restore as restore_backup,
};
use crate::database::Database;
use crate::keys::KeySource;
use crate::{Purpose, Settings};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[expect(clippy::doc_markdown, reason = "the text of --help")]
pub(super) struct BackupWork {
    /// The folder of the backup, made if it is missing. A further run adds what is new; a new folder begins anew
    #[arg(required = true)]
    dir: Option<PathBuf>,
    /// The public key of somebody who can read the backup (age1…), as `age-keygen` prints it; may be given more than
    /// once [env: HIMS_BACKUP_RECIPIENTS]
    #[arg(long, value_name = "KEY")]
    recipient: Vec<String>,
    /// Make a backup that everybody can read who gets hold of it
    #[arg(long, conflicts_with = "recipient")]
    unencrypted: bool,
    /// Copy only what was recorded since the last backup: quick enough for every minute
    #[arg(long)]
    increment: bool,
    #[command(subcommand)]
    work: Option<Check>,
}

#[derive(Debug, Subcommand)]
enum Check {
    /// Restore a backup into a PostgreSQL of its own, compare everything with the log, and throw it away
    Verify {
        /// The folder of the backup
        dir: PathBuf,
        /// The file with the secret key that opens the backup
        #[arg(long)]
        identity: Option<PathBuf>,
        /// The folder in which the backup is restored for a while [default: the folder for temporary files]
        #[arg(long, value_name = "FOLDER")]
        beside: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct RestoreWork {
    /// The folder of the backup
    dir: PathBuf,
    /// The position or the time (RFC 3339) up to which to restore; everything if left out
    #[arg(long, value_name = "TIME|POSITION")]
    to: Option<AsOf>,
    /// The file with the secret key that opens the backup
    #[arg(long)]
    identity: Option<PathBuf>,
}

/// Makes a backup, or checks one.
pub(super) async fn back_up(settings: &Settings, work: BackupWork) -> Result<ExitCode, Failure> {
    match work {
        BackupWork { work: Some(Check::Verify { dir, identity, beside }), .. } => {
            verify(settings, &dir, identity.as_deref(), beside).await
        }
        BackupWork { dir, recipient, unencrypted, increment, .. } => {
            let keys = if recipient.is_empty() { &settings.backup_recipients } else { &recipient };
            let recipients = Recipients::parse(keys, unencrypted)?;
            make(settings, &dir.unwrap_or_default(), recipients, increment).await
        }
    }
}

async fn make(
    settings: &Settings,
    dir: &Path,
    recipients: Recipients,
    is_increment: bool,
) -> Result<ExitCode, Failure> {
    let names = recipients.names();
    let made = crate::backup::back_up(settings, &Wanted { folder: dir, recipients, is_increment }).await?;
    let Made { set, first, end, size } = made;
    let (last, hash) = (end.position, hex(&end.hash));
    let Some(set) = set else {
        say(format_args!("nothing was recorded since the last backup; the log ends at position {last}"))?;
        return Ok(ExitCode::SUCCESS);
    };
    match last - first + 1 {
        0 => say(format_args!("no event is new; the log ends at position {last}; the last hash is {hash}"))?,
        count => say(format_args!("backed up {count} events, positions {first} to {last}; the last hash is {hash}"))?,
    }
    if !is_increment {
        say(
            "backed up what lies beside the log: keys of people (wrapped), claims, receipts, timers, files of reports",
        )?;
    }
    say(format_args!("written: {} ({} kB)", set.display(), size.div_ceil(1024)))?;
    match names.as_slice() {
        [] => say("NOT encrypted: whoever gets hold of it reads who did what when, and all but the sealed values")?,
        names => say(format_args!("encrypted for {}", names.join(", ")))?,
    }
    say("the master key is not in it: keep the master key file elsewhere, or nobody can read the sealed values")?;
    Ok(ExitCode::SUCCESS)
}

/// Restores a backup into an empty place.
pub(super) async fn restore(settings: &Settings, work: RestoreWork) -> Result<ExitCode, Failure> {
    let until = match work.to {
        None => Until::End,
        Some(AsOf::Position(position)) => Until::Position(position),
        Some(AsOf::Instant(instant)) => Until::Instant(instant),
    };
    let identities = Identities::read(work.identity.as_deref())?;
    let restored = shown(settings, &work.dir, until, &identities).await?;
    let Restored { end, beside_of, known, differing } = restored;
    let (last, hash) = (end.position, hex(&end.hash));
    say(format_args!(
        "restored positions 1 to {last}, recorded until {}; the last hash is {hash}",
        instant(end.recorded_at)
    ))?;
    if last < known {
        say(format_args!("taken back: positions {} to {known} of the backup", last + 1))?;
    }
    say(format_args!("what lies beside the log is of {}; the claims were made anew from the log", instant(beside_of)))?;
    say(format_args!("position {} says that the log was restored; a new incarnation begins with it", last + 1))?;
    say("start the server (the read tables follow by themselves), and run `hims verify --deep` and `hims doctor`")?;
    if differing == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    complain(format_args!("{differing} claims differ from the log; `hims verify --deep` names them"));
    Ok(ExitCode::FAILURE)
}

async fn shown(
    settings: &Settings,
    dir: &Path,
    until: Until,
    identities: &Identities,
) -> Result<Restored, BackupError> {
    let bar = bar(None, "{spinner} {msg}");
    let shown = bar.clone();
    let tell = Arc::new(move |it| shown.set_message(it));
    let restored = Box::pin(restore_backup(settings, dir, until, identities, tell)).await;
    bar.finish_and_clear();
    restored
}

/// Restores a backup into an embedded PostgreSQL of its own, compares everything with the log as `hims verify --deep`
/// does, and removes that PostgreSQL again.
async fn verify(
    settings: &Settings,
    dir: &Path,
    identity: Option<&Path>,
    beside: Option<PathBuf>,
) -> Result<ExitCode, Failure> {
    let identities = Identities::read(identity)?;
    let parent = beside.unwrap_or_else(std::env::temp_dir);
    let place = tempfile::Builder::new().prefix("hims-verify-").tempdir_in(&parent);
    let place = place.map_err(|error| format!("{} cannot be used: {error}", parent.display()))?;
    // The account of PostgreSQL passes through to the folders within.
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    let master_key_file = match KeySource::of(settings)? {
        KeySource::File(path) => Some(path),
        KeySource::Variable | KeySource::Command(_) => None,
    };
    let aside = Settings {
        database_url: None,
        migration_url: None,
        data_dir: place.path().join("data"),
        master_key_file,
        ..settings.clone()
    };
    let restored = match shown(&aside, dir, Until::End, &identities).await {
        Err(error) if error.is_of_the_backup() => {
            remember(settings, dir, NoteOf::FailedVerification, &End::NOTHING).await?;
            return Err(error.into());
        }
        restored => restored?,
    };
    let checked = verify_log(&aside, 1, true).await;
    if !matches!(checked, Ok(ExitCode::SUCCESS)) || restored.differing > 0 {
        remember(settings, dir, NoteOf::FailedVerification, &restored.end).await?;
        checked?;
        complain(
            "the backup does not hold: make another one into a new folder, and find out what happened to this one",
        );
        return Ok(ExitCode::FAILURE);
    }
    let last = restored.end.position;
    say(format_args!("the backup holds: positions 1 to {last} were restored and compared, and thrown away again"))?;
    remember(settings, dir, NoteOf::Verification, &restored.end).await?;
    Ok(ExitCode::SUCCESS)
}

/// Notes in the hospital's own database that the backup was checked, as far as the database can be reached: a backup is
/// also checked after the hospital is lost.
async fn remember(settings: &Settings, dir: &Path, of: NoteOf, end: &End) -> Result<(), Failure> {
    let noted = async {
        let database = Database::open(settings, Purpose::Inspect).await?;
        let pool = database.owner();
        let noted = note(&pool, of, end, dir).await;
        pool.close().await;
        database.close().await;
        Ok::<_, BackupError>(noted?)
    };
    if let Err(error) = noted.await {
        say(format_args!("not noted in the hospital's database, where `hims status` would show it: {error}"))?;
    }
    Ok(())
}
