use std::path::Path;
use std::time::Duration;

use hims_api::import::{Settings, Silent, Summary, import_fhir, import_synthea_csv};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use tokio::time::timeout;

use super::{check, corpus, files, hospital, runtime};
use crate::support::{broken, changed, scratch};

/// How long an import of a few resources takes at most.
const PATIENCE: Duration = Duration::from_mins(1);

/// Fails if somebody who read a file, or wrote a record, has panicked.
fn assert_sound(summary: &Summary) {
    let abandoned = summary.broken.iter().find(|it| it.problem.contains("ended without an answer"));
    assert_eq!(abandoned, None);
}

fn import_bytes(name: &str, bytes: &[u8]) -> Summary {
    let folder = scratch("fuzz-fhir");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("the file is written");
    runtime().block_on(async {
        let executor = hospital().await;
        let settings = Settings::default();
        let importing = import_fhir(&executor, std::slice::from_ref(&path), &settings, &Silent);
        timeout(PATIENCE, importing).await.expect("an end").expect("the log answers")
    })
}

fn import_rows(folder: &Path) -> Summary {
    runtime().block_on(async {
        let executor = hospital().await;
        let settings = Settings::default();
        let importing = import_synthea_csv(&executor, folder, &settings, &Silent);
        timeout(PATIENCE, importing).await.expect("an end").expect("the log answers")
    })
}

#[test]
fn what_the_corpus_holds_is_imported() {
    for (name, bytes) in files(&corpus("fhir")) {
        let summary = import_bytes(&name, &bytes);
        assert!(summary.is_complete() && summary.events > 0, "{name}: {summary}");
    }
    let summary = import_rows(&corpus("csv"));
    assert!(summary.is_complete() && summary.missing.is_empty() && summary.begun.len() > 10, "{summary}");
}

#[test]
fn a_spoilt_resource_is_imported_or_skipped() {
    let bundles = files(&corpus("fhir")).into_iter().filter_map(|(_, it)| serde_json::from_slice::<Value>(&it).ok());
    let bundles: Vec<_> = bundles.collect();
    assert!(bundles.len() >= 5, "{} bundles", bundles.len());
    let spoilt = select(bundles).prop_flat_map(|it| broken(broken(broken(Just(it).boxed()))));
    check(250, &spoilt, |bundle| assert_sound(&import_bytes("bundle.json", bundle.to_string().as_bytes())));
}

#[test]
fn a_spoilt_file_is_imported_or_named() {
    for ending in ["json", "ndjson"] {
        let all = files(&corpus("fhir")).into_iter().filter(|it| it.0.ends_with(&format!(".{ending}")));
        let spoilt = changed(all.map(|it| it.1).collect());
        check(100, &spoilt, |bytes| assert_sound(&import_bytes(&format!("file.{ending}"), &bytes)));
    }
}

#[test]
fn spoilt_rows_are_imported_or_skipped() {
    let all = files(&corpus("csv"));
    assert_eq!(all.len(), 18);
    let spoilt = select(all.clone()).prop_flat_map(|(name, bytes)| (Just(name), changed(vec![bytes])));
    check(250, &spoilt, |(name, bytes)| {
        let folder = scratch("fuzz-csv");
        for (other, good) in &all {
            let content = if *other == name { &bytes } else { good };
            std::fs::write(folder.path().join(other), content).expect("the file is written");
        }
        assert_sound(&import_rows(folder.path()));
    });
}
