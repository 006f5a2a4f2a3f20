//! `hims keys`: the master keys of a hospital, and how a new one takes the place of a former one.

use std::process::ExitCode;

use clap::Subcommand;
use hims_domain::log::{KeyRotation, Log};
use hims_event_store::{MasterKeyUse, Rotation, master_keys};
use hims_projections::presence;
use uuid::Uuid;

use super::{Failure, bar, say};
use crate::keys::new_key;
use crate::{Hospital, Purpose, Settings};

#[derive(Debug, Subcommand)]
pub(super) enum KeysWork {
    /// Print a new master key, 64 hexadecimal digits. Nothing is stored
    New,
    /// List the master keys that wrap the keys of people, and say which of them this program has
    List,
    /// Wrap the keys of people by the newest master key, the last one that this program has, while the hospital goes on
    Rotate,
}

/// Works on the master keys, and prints what was done.
pub(super) async fn work_on_keys(settings: &Settings, work: KeysWork) -> Result<ExitCode, Failure> {
    match work {
        KeysWork::New => say(&*new_key()?)?,
        KeysWork::List => {
            let hospital = Hospital::open(settings, Purpose::Inspect).await?;
            let listed = list(&hospital).await;
            hospital.close().await;
            listed?;
        }
        KeysWork::Rotate => {
            let hospital = Hospital::open(settings, Purpose::Work).await?;
            let rotated = rotate(&hospital).await;
            hospital.close().await;
            rotated?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(hospital: &Hospital) -> Result<(), Failure> {
    let is_known = |id| hospital.keys.ids().any(|known| known == id);
    let used = master_keys(hospital.writers()).await?;
    for MasterKeyUse { id, is_current, wraps } in &used {
        let new = if *is_current { "new keys and " } else { "" };
        let known = if is_known(*id) { "" } else { ", and is not known here" };
        say(format_args!("{id} wraps {new}{wraps} keys of people{known}"))?;
    }
    for id in hospital.keys.ids().filter(|id| used.iter().all(|it| it.id != *id)) {
        say(format_args!("{id} wraps nothing; {} holds it", hospital.source_of_keys))?;
    }
    Ok(())
}

/// Refuses to go on while a program works with the hospital that does not have a master key: it could not open what the
/// key wraps.
async fn refuse_without(hospital: &Hospital, key: Uuid) -> Result<(), Failure> {
    let lacking = presence::without_key(&mut *hospital.writers().acquire().await?, key).await?;
    if lacking > 0 {
        return Err(format!(
            "programs that work with this hospital and do not have the master key {key} yet: {lacking}; give it to each, as \
             the last one, and start each anew"
        )
        .into());
    }
    Ok(())
}

/// Refuses to go back to a master key that another one has replaced, such as one that somebody else may have seen.
async fn refuse_replaced(hospital: &Hospital, key: Uuid) -> Result<(), Failure> {
    let log = hospital.executor.load::<Log>(Log::stream(), true).await?.state;
    let Some(by) = log.and_then(|it| it.replaced_by(key)) else { return Ok(()) };
    Err(format!(
        "the master key {key} was replaced by {by} and does not come back: take it out of {}, or put the newer keys after \
         it; for another master key, add a new one as the last, which `hims keys new` prints",
        hospital.source_of_keys
    )
    .into())
}

async fn rotate(hospital: &Hospital) -> Result<(), Failure> {
    let Hospital { keys, source_of_keys: source, .. } = hospital;
    let to = keys.newest().id();
    refuse_replaced(hospital, to).await?;
    refuse_without(hospital, to).await?;
    let rotation = Rotation::begin(hospital.writers(), keys).await?;
    let rotation = rotation.ok_or("another program replaces the master key now")?;
    // Now that the key is the current one, no program opens without it. One may have been opened a moment ago.
    refuse_without(hospital, to).await?;
    let former = rotation.former().await?;
    if former.is_empty() {
        say(format_args!("the master key {to} wraps everything already; to replace it, add a newer one to {source}"))?;
        return Ok(());
    }
    let bar = bar(None, "{spinner} {pos} keys of people, {per_sec}");
    let mut wrapped = rotation.wrap_anew(&|keys| bar.set_position(keys)).await?;
    bar.finish_and_clear();
    for from in &former {
        hospital.executor.note_rotation(KeyRotation { from: *from, to }).await?;
        while !rotation.retire(*from).await? {
            wrapped += rotation.wrap_anew(&|_| ()).await?;
        }
    }
    say(format_args!("{wrapped} keys of people are wrapped by the master key {to} now"))?;
    for from in former {
        say(format_args!(
            "the master key {from} wraps nothing any more: take it out of {source}, and keep it apart as long as backups of \
             its time are kept"
        ))?;
    }
    say("`hims scrub` takes from the disk what the former master key wrapped")?;
    Ok(())
}
