//! `hims import interactions`: brings the thesaurus of drug interactions of the French ANSM into the record.
//!
//! `files` reads the three files of a folder, `names` folds the names of substances and classes, `rules` finds the pairs
//! of ingredients to which the rules lead, and `summary` says what became of the files. Each ingredient has one profile,
//! which is replaced as a whole; in the end it is recorded that the source was loaded. A second run adds nothing.

mod files;
mod names;
mod rules;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use hims_commands::interaction_profile::{RecordInteractionsLoaded, ReplaceInteractionProfile};
use hims_commands::{Caller, Command, Executor, Request};
use hims_domain::interaction_profile::Content;
use hims_domain::interaction_source::{InteractionSource, Loaded, sources};
use hims_domain::values::Text;

pub use self::summary::InteractionSummary;
use super::progress::Progress;
use super::run::ImportError;
use super::writer::UNDER_WAY;

/// The source, as interactions and alerts name it.
const SOURCE: &str = "ANSM";
/// The language of the texts.
const LANGUAGE: &str = "fr";

/// Imports the thesaurus in a folder.
///
/// A record of a file that cannot be read is left out and named in the summary. If one of the files cannot be read at
/// all, nothing is imported.
///
/// # Errors
/// When the log does not answer. Imported profiles stay, and a second run continues from there.
pub async fn import_interactions(
    executor: &Arc<Executor>,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<InteractionSummary, ImportError> {
    let mut summary = InteractionSummary::default();
    let folder = folder.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let read = files::read(&folder);
        let pairs = read.thesaurus.as_ref().map(rules::pairs);
        (read, pairs)
    });
    let Ok((read, pairs)) = reading.await else { return Ok(summary) };
    summary.broken = read.broken;
    let (Some(thesaurus), Some(found)) = (read.thesaurus, pairs) else { return Ok(summary) };
    let profiles = rules::profiles(&thesaurus, &found, &base(&thesaurus.version));
    summary.count(&thesaurus, &found, &profiles);
    let loaded = Loaded {
        source: SOURCE.into(),
        version: thesaurus.version.as_str().into(),
        pairs: i32::try_from(found.pairs.len()).unwrap_or(i32::MAX),
        ingredients: profiles.keys().cloned().collect(),
        unknown_names: found.unknown.keys().map(|it| it.as_str().into()).collect(),
    };
    summary.events = write(executor, profiles, loaded, progress).await?;
    Ok(summary)
}

/// The content of a profile without any pair.
fn base(version: &str) -> Content {
    Content {
        source: SOURCE.into(),
        version: version.into(),
        language: LANGUAGE.into(),
        ingredient: "".into(),
        texts: Vec::new(),
        pairs: BTreeMap::new(),
    }
}

/// Replaces the profiles, empties those of ingredients of which an older version knew more, and records that the source
/// was loaded. Returns the number of new events.
async fn write(
    executor: &Arc<Executor>,
    profiles: BTreeMap<Text<20>, Content>,
    loaded: Loaded,
    progress: &dyn Progress,
) -> Result<u64, ImportError> {
    let earlier = executor.load::<InteractionSource>(sources().0, true).await.map_err(ImportError::Log)?;
    let before = earlier
        .state
        .and_then(|it| Some(it.loaded.get(&Text::<50>::from(SOURCE))?.ingredients.clone()))
        .unwrap_or_default();
    let gone: BTreeSet<_> = before.difference(&loaded.ingredients).cloned().collect();
    let empty = gone.into_iter().map(|ingredient| Content { ingredient, ..base(loaded.version.as_str()) });
    let contents: Vec<_> = profiles.into_values().chain(empty).collect();
    progress.begin("interaction profiles", u64::try_from(contents.len()).unwrap_or(u64::MAX));
    let caller = Arc::new(Caller::system("import"));
    let steps = contents.into_iter().map(|content| {
        let caller = Arc::clone(&caller);
        async move {
            let events = execute(executor, ReplaceInteractionProfile { content }, caller).await?;
            progress.advance();
            Ok::<_, ImportError>(events)
        }
    });
    let events: Vec<u64> = futures::stream::iter(steps).buffer_unordered(UNDER_WAY).try_collect().await?;
    let last = execute(executor, RecordInteractionsLoaded { loaded }, caller).await?;
    Ok(events.into_iter().sum::<u64>() + last)
}

/// Carries out a command. Returns the number of new events.
async fn execute<C: Command>(executor: &Executor, command: C, caller: Arc<Caller>) -> Result<u64, ImportError> {
    let outcome = executor.execute_unless_refused(command, Request::of(caller)).await.map_err(ImportError::Log)?;
    Ok(u64::try_from(outcome.events.len()).unwrap_or(u64::MAX))
}
