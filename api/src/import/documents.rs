//! From the bytes of a file to FHIR resources: a bundle, a single resource, an array, or one resource a line (NDJSON).

use std::borrow::Cow;
use std::io::{self, Read as _};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

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

/// A resource, its address in its bundle, and the number of the bundle in the file.
pub(super) struct Entry {
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
struct Bundle {
    #[serde(default)]
    entry: Vec<BundleEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BundleEntry {
    full_url: Option<String>,
    resource: Option<Box<RawValue>>,
    request: Option<BundleRequest>,
}

#[derive(Deserialize)]
struct BundleRequest {
    method: Option<String>,
}

/// Reads the bytes of a file.
pub(super) fn read(bytes: &[u8]) -> Documents {
    let mut documents = Documents::default();
    let read = unzipped(bytes).and_then(|bytes| documents.add_file(text(&bytes)?));
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
    fn add_file(&mut self, text: &str) -> Result<(), String> {
        let whole = match serde_json::from_str::<&RawValue>(text) {
            Ok(whole) => return self.add_document(whole),
            Err(error) => place(&error),
        };
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
        let is_ndjson = lines.peek().is_some_and(|(_, line)| serde_json::from_str::<&RawValue>(line).is_ok());
        if !is_ndjson {
            return Err(whole);
        }
        for (index, line) in lines {
            let read = match serde_json::from_str::<&RawValue>(line) {
                Ok(document) => self.add_document(document),
                Err(error) => Err(format!("not JSON (column {})", error.column())),
            };
            self.problems.extend(read.err().map(|problem| format!("line {}: {problem}", index + 1)));
        }
        Ok(())
    }

    fn add_document(&mut self, document: &RawValue) -> Result<(), String> {
        if document.get().starts_with('[') {
            let resources: Vec<Box<RawValue>> = serde_json::from_str(document.get()).map_err(|error| place(&error))?;
            for resource in resources {
                let read = self.add_resource(None, None, resource, 0);
                self.problems.extend(read.err());
            }
            return Ok(());
        }
        let head: Head = serde_json::from_str(document.get()).map_err(|error| place(&error))?;
        if head.resource_type.is_none() {
            return Err("not a FHIR resource: no resourceType".to_owned());
        }
        self.add_resource(None, None, document.to_owned(), 0)
    }

    fn add_resource(
        &mut self,
        full_url: Option<String>,
        bundle: Option<usize>,
        resource: Box<RawValue>,
        depth: usize,
    ) -> Result<(), String> {
        let head = serde_json::from_str::<Head>(resource.get()).ok();
        if head.is_none_or(|it| it.resource_type.as_deref() != Some("Bundle")) {
            self.entries.push(Entry { full_url, bundle, resource });
            return Ok(());
        }
        if depth == DEEPEST {
            return Err(format!("more than {DEEPEST} bundles within one another"));
        }
        let bundle: Bundle = serde_json::from_str(resource.get()).map_err(|error| place(&error))?;
        let number = self.bundles;
        self.bundles += 1;
        for entry in bundle.entry {
            if entry.request.and_then(|it| it.method).is_some_and(|method| method == "DELETE") {
                self.deletions += 1;
            } else if let Some(resource) = entry.resource {
                let read = self.add_resource(entry.full_url, Some(number), resource, depth + 1);
                self.problems.extend(read.err());
            } else {
                self.empty += 1;
            }
        }
        Ok(())
    }
}
