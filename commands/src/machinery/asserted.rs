//! Each refusal that an aggregate declares is asserted by a test: by its code, or by its name where the decision is
//! tested.

use std::collections::{BTreeMap, BTreeSet};

use hims_testing::rust_files;

/// What of a file is for tests.
fn of_tests<'a>(path: &str, text: &'a str) -> &'a str {
    if path.split('/').any(|it| it == "tests" || it == "tests.rs") {
        return text;
    }
    text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests)
}

/// The name and the code of a refusal, from the text that declares it.
fn refusal(declared: &str) -> Option<(&str, &str)> {
    let first = declared.lines().map(str::trim_start).find(|it| !it.is_empty() && !it.starts_with("///"))?;
    let name = first.split(|it: char| !it.is_alphanumeric()).next()?;
    let (_, rest) = declared.split_once(name)?;
    Some((name, rest.split('"').nth(1)?))
}

/// The refusals that a file declares: the name and the code of each.
fn declared(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let block = text.split_once("refusals! {\n").and_then(|(_, rest)| rest.split_once("\n}"));
    block.into_iter().flat_map(|(block, _)| block.split(";\n").filter_map(refusal))
}

#[test]
fn each_refusal_that_is_declared_is_asserted() {
    let sources = rust_files();
    let tests: Vec<_> = sources.iter().map(|(path, text)| (path.as_str(), of_tests(path, text))).collect();
    let of_commands = sources.iter().filter(|(path, _)| path.starts_with("commands/src/aggregates"));
    let declared: Vec<_> = of_commands.flat_map(|(path, text)| declared(text).map(move |it| (path, it))).collect();
    let codes: BTreeSet<_> = declared.iter().map(|(_, (_, code))| *code).collect();
    assert!(codes.len() > 120, "too few codes are found: {codes:?}");
    // Two aggregates may give one name to refusals with two codes: then only the tests of the aggregate count.
    let mut codes_of = BTreeMap::<_, BTreeSet<_>>::new();
    for (_, (name, code)) in &declared {
        codes_of.entry(*name).or_default().insert(*code);
    }
    let is_asserted = |path: &str, name: &str, code: &str| {
        let (by_code, by_name) = (format!("\"{code}\""), format!("::{name}"));
        let folder = path.rsplit_once('/').unwrap().0;
        tests.iter().any(|(place, text)| {
            let is_of_aggregate = codes_of[name].len() == 1 || place.starts_with(folder);
            let names = || {
                text.match_indices(&by_name)
                    .any(|(at, _)| !text[at + by_name.len()..].starts_with(char::is_alphanumeric))
            };
            text.contains(&by_code) || is_of_aggregate && names()
        })
    };
    let missing: Vec<_> = declared.iter().filter(|(path, (name, code))| !is_asserted(path, name, code)).collect();
    assert!(missing.is_empty(), "no test asserts {missing:#?}");
}
