//! From the bytes of a file to FHIR resources: a bundle, a single resource, an array, or one resource a line (NDJSON).

use std::borrow::Cow;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::summary::Place;

/// The first bytes of a gzip file (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
/// How deep bundles may lie within bundles.
const DEEPEST: usize = 8;

/// What a file holds.
#[derive(Default)]
pub(super) struct Documents {
    pub(super) entries: Vec<Entry>,
    /// How many bundles the file holds.
    pub(super) bundles: usize,
    /// How many entries of bundles ask for the deletion of a resource.
    pub(super) deletions: u64,
    /// How many entries of bundles hold no resource.
    pub(super) empty: u64,
    /// What cannot be read. The problems name a place, never a value.
    pub(super) problems: Vec<String>,
}

/// A resource, its place in its file, its address in its bundle, and the number of the bundle in the file.
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) full_url: Option<String>,
    pub(super) bundle: Option<usize>,
    pub(super) resource: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    resource_type: Option<String>,
}

#[derive(Deserialize)]
struct Bundle<'a> {
    #[serde(default, borrow)]
    entry: Vec<BundleEntry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BundleEntry<'a> {
    full_url: Option<String>,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    request: Option<BundleRequest>,
}

#[derive(Deserialize)]
struct BundleRequest {
    method: Option<String>,
}

/// The text of a file, in which the places of resources are looked up.
struct Source<'a> {
    path: Arc<Path>,
    text: &'a str,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    fn of(path: &Path, text: &'a str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        Self { path: path.into(), text, lines: lines.collect() }
    }

    /// Where a part of the text begins.
    fn place(&self, part: &RawValue) -> Place {
        let at = part.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        let line = self.lines.partition_point(|it| *it <= at);
        let begin = line.checked_sub(1).and_then(|it| self.lines.get(it)).copied().unwrap_or_default();
        let number = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
        Place { path: Arc::clone(&self.path), line: number(line), column: number(at - begin + 1) }
    }
}

/// Reads the bytes of a file. The path is that of the file, for the places of its resources.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Documents {
    let mut documents = Documents::default();
    let read = unzipped(bytes).and_then(|bytes| documents.add_file(&Source::of(path, text(&bytes)?)));
    documents.problems.extend(read.err());
    documents
}

/// Whether the first bytes of a file are those of JSON, in UTF-8 or UTF-16, compressed or not.
pub(super) fn looks_like_json(beginning: &[u8]) -> bool {
    let mut unzipped = Vec::new();
    let beginning = if beginning.starts_with(&GZIP) {
        // The beginning of a file ends in the middle of the compressed data, which is no fault here.
        let _cut_off = MultiGzDecoder::new(beginning).take(64).read_to_end(&mut unzipped);
        &unzipped
    } else {
        beginning
    };
    let beginning = beginning.strip_prefix(&BYTE_ORDER_MARK).unwrap_or(beginning);
    let first = beginning.iter().find(|it| !matches!(it, b' ' | b'\n' | b'\r' | b'\t' | 0 | 0xff | 0xfe));
    matches!(first, Some(b'{' | b'['))
}

/// The bytes of a file, unpacked if the file is compressed.
pub(super) fn unzipped(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    if !bytes.starts_with(&GZIP) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut unzipped = Vec::new();
    let damaged = |error: io::Error| format!("not a whole gzip file: {}", error.kind());
    MultiGzDecoder::new(bytes).read_to_end(&mut unzipped).map_err(damaged)?;
    Ok(Cow::Owned(unzipped))
}

/// The text of a file in UTF-8.
pub(super) fn text(bytes: &[u8]) -> Result<&str, String> {
    let bytes = bytes.strip_prefix(&BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.iter().take(4).any(|it| matches!(it, 0 | 0xfe | 0xff)) {
        return Err("in UTF-16 or UTF-32; save the file as UTF-8".to_owned());
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 (byte {}); save the file as UTF-8", error.valid_up_to() + 1))?;
    match text.trim_start().chars().next() {
        None => Err("empty".to_owned()),
        Some('<') => Err("XML; export the resources as JSON".to_owned()),
        Some(_) => Ok(text),
    }
}

/// Says where a text is not what it should be. The message of the error is not repeated, since it may quote a personal
/// value.
fn place(error: &serde_json::Error) -> String {
    let what = if error.is_data() { "not a FHIR resource" } else { "not JSON" };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

impl Documents {
    fn add_file(&mut self, source: &Source<'_>) -> Result<(), String> {
        let text = source.text;
        let whole = match serde_json::from_str::<&RawValue>(text) {
            Ok(whole) => return self.add_document(source, whole),
            Err(error) => place(&error),
        };
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
        let is_ndjson = lines.peek().is_some_and(|(_, line)| serde_json::from_str::<&RawValue>(line).is_ok());
        if !is_ndjson {
            return Err(whole);
        }
        for (index, line) in lines {
            let read = match serde_json::from_str::<&RawValue>(line) {
                Ok(document) => self.add_document(source, document),
                Err(error) => Err(format!("not JSON (column {})", error.column())),
            };
            self.problems.extend(read.err().map(|problem| format!("line {}: {problem}", index + 1)));
        }
        Ok(())
    }

    fn add_document(&mut self, source: &Source<'_>, document: &RawValue) -> Result<(), String> {
        if document.get().starts_with('[') {
            let resources: Vec<&RawValue> = serde_json::from_str(document.get()).map_err(|error| place(&error))?;
            for resource in resources {
                let read = self.add_resource(source, None, None, resource, 0);
                self.problems.extend(read.err());
            }
            return Ok(());
        }
        let head: Head = serde_json::from_str(document.get()).map_err(|error| place(&error))?;
        if head.resource_type.is_none() {
            return Err("not a FHIR resource: no resourceType".to_owned());
        }
        self.add_resource(source, None, None, document, 0)
    }

    fn add_resource(
        &mut self,
        source: &Source<'_>,
        full_url: Option<String>,
        bundle: Option<usize>,
        resource: &RawValue,
        depth: usize,
    ) -> Result<(), String> {
        let head = serde_json::from_str::<Head>(resource.get()).ok();
        if head.is_none_or(|it| it.resource_type.as_deref() != Some("Bundle")) {
            let place = source.place(resource);
            self.entries.push(Entry { place, full_url, bundle, resource: resource.to_owned() });
            return Ok(());
        }
        if depth == DEEPEST {
            return Err(format!("more than {DEEPEST} bundles within one another"));
        }
        let bundle: Bundle<'_> = serde_json::from_str(resource.get()).map_err(|error| place(&error))?;
        let number = self.bundles;
        self.bundles += 1;
        for entry in bundle.entry {
            if entry.request.and_then(|it| it.method).is_some_and(|method| method == "DELETE") {
                self.deletions += 1;
            } else if let Some(resource) = entry.resource {
                let read = self.add_resource(source, entry.full_url, Some(number), resource, depth + 1);
                self.problems.extend(read.err());
            } else {
                self.empty += 1;
            }
        }
        Ok(())
    }
}
