//! The shape of the workspace: which crates may depend on which others, read from their manifests, how long a file may
//! be, and what a closure may call its parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hims_testing::rust_files;

/// The dependencies that a manifest declares in the sections that `counts` accepts.
fn dependencies(member: &str, counts: fn(&str) -> bool) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(member).join("Cargo.toml");
    let manifest = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut section = String::new();
    let mut found = BTreeSet::new();
    for line in manifest.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#')) {
        if let Some(header) = line.strip_prefix('[') {
            header.trim_end_matches(']').clone_into(&mut section);
            // A dependency may have a table of its own: `[dependencies.serde]`.
            if let Some((parent, name)) = section.clone().rsplit_once("dependencies.") {
                if counts(&format!("{parent}dependencies")) {
                    found.insert(name.trim_matches('"').to_owned());
                }
                section.clear();
            }
        } else if section.ends_with("dependencies")
            && counts(&section)
            && let Some(name) = line.split(['.', '=', ' ']).next()
        {
            found.insert(name.trim_matches('"').to_owned());
        }
    }
    found
}

/// Whether a section of a manifest is for building the crate. Tests may depend on more crates.
fn to_build(section: &str) -> bool {
    !section.ends_with("dev-dependencies")
}

fn any(_: &str) -> bool {
    true
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|it| (*it).to_owned()).collect()
}

#[test]
fn the_domain_depends_on_next_to_nothing() {
    // any_ascii and unicode-normalization are tables of letters, by which names are folded.
    let allowed = set(&["any_ascii", "chrono", "rust_decimal", "serde", "thiserror", "unicode-normalization", "uuid"]);
    let beyond: Vec<_> = dependencies("domain", to_build).difference(&allowed).cloned().collect();
    assert!(beyond.is_empty(), "{beyond:?}");
}

#[test]
fn what_is_of_the_workspace_knows_only_what_lies_below_it() {
    for (member, may_know) in [
        ("domain", &[][..]),
        ("event-store", &[]),
        ("commands", &["hims-domain", "hims-event-store"]),
        ("projections", &["hims-domain", "hims-event-store"]),
        ("api", &["hims-commands", "hims-domain", "hims-event-store", "hims-projections"]),
        ("testing", &["hims-domain"]),
    ] {
        let known: BTreeSet<_> =
            dependencies(member, to_build).into_iter().filter(|it| it.starts_with("hims")).collect();
        let too_much: Vec<_> = known.difference(&set(may_know)).cloned().collect();
        assert!(too_much.is_empty(), "{member} knows {too_much:?}");
    }
}

#[test]
fn commands_and_projections_do_not_know_each_other_even_in_tests() {
    assert!(!dependencies("commands", any).contains("hims-projections"));
    assert!(!dependencies("projections", any).contains("hims-commands"));
}

/// Most lines of a file: what is longer tells of more than one thing.
const LINES: usize = 400;

#[test]
fn a_file_is_not_longer_than_somebody_reads_at_once() {
    let files = rust_files();
    assert!(files.contains_key("domain/src/lib.rs"), "the files are found");
    let lengths = files.into_iter().map(|(path, text)| (path, text.lines().count()));
    let too_long: BTreeMap<_, _> = lengths.filter(|(_, lines)| *lines > LINES).collect();
    assert!(too_long.is_empty(), "{too_long:#?}");
}

/// The text behind each `|it|`, from the body of the closure on.
fn behind_it(text: &str) -> impl Iterator<Item = &str> {
    let names = text.match_indices("it").filter(|(at, _)| text[..*at].trim_end_matches('&').ends_with('|'));
    names.filter_map(|(at, name)| {
        let rest = &text[at + name.len()..];
        // A parameter with a type: `|it: &Value|`.
        let typed = rest.strip_prefix(':').and_then(|rest| rest.split_once('|')).map(|(_, body)| body);
        rest.strip_prefix('|').or(typed)
    })
}

/// The body of a closure, at the beginning of a text.
fn closure(text: &str) -> &str {
    let mut depth = 0;
    let end = text.char_indices().find(|(_, letter)| {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        depth < 0 || depth == 0 && matches!(letter, ',' | ';')
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

#[test]
fn it_is_never_the_parameter_of_two_closures_at_once() {
    let nested = |text: &str| -> Vec<String> {
        let bodies = behind_it(text).map(closure);
        bodies.filter(|body| behind_it(body).next().is_some()).map(str::to_owned).collect()
    };
    assert_eq!(nested("all.map(|it| it.some(|it: &u8| 1), |it| 2)").len(), 1, "a closure within another is found");
    let nested: BTreeMap<_, _> = rust_files().into_iter().map(|(path, text)| (path, nested(&text))).collect();
    // This file has an example.
    let others = nested.into_iter().filter(|(path, found)| !found.is_empty() && !path.ends_with("architecture.rs"));
    let others: BTreeMap<_, _> = others.collect();
    assert!(others.is_empty(), "name what the outer closure is about: {others:#?}");
}

#[test]
fn the_manifests_are_read() {
    let (declared, some) = (dependencies("commands", any), set(&["hims-domain", "hims-event-store", "proptest"]));
    let unread: Vec<_> = some.difference(&declared).collect();
    assert!(unread.is_empty(), "{unread:?}");
    assert!(!dependencies("commands", to_build).contains("proptest"));
}
