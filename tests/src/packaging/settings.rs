//! The reference of the settings says of every setting what the program says.

use std::collections::BTreeSet;

use hims_testing::{assert_same, rust_files};

use super::{printed, text_of};
use crate::hospital::hims;
use crate::support::scratch;

/// A row of a table in docs/configuration.md about a setting.
struct Row {
    name: String,
    variable: String,
    flag: Option<String>,
}

fn rows() -> Vec<Row> {
    let page = text_of("docs/configuration.md");
    let cells = page.lines().filter(|it| it.starts_with("| `")).map(|line| {
        let cells = line.trim_matches('|').split(" | ").map(|it| it.trim().trim_matches('`').to_owned());
        cells.collect::<Vec<_>>()
    });
    let setting = |cells: Vec<String>| {
        let [name, variable, flag, ..] = <[String; 5]>::try_from(cells).ok()?;
        Some(Row { name, variable, flag: Some(flag).filter(|it| !it.is_empty()) })
    };
    cells.filter_map(setting).collect()
}

#[test]
fn the_page_is_what_the_program_prints() {
    assert_eq!(
        text_of("docs/configuration.md"),
        printed(&["settings", "--markdown"]),
        "run `cargo run --bin hims -- settings --markdown > docs/configuration.md`"
    );
}

#[test]
fn the_page_has_every_setting_that_the_program_reads() {
    let refused = hims().env("HIMS_COLOUR", "red").arg("verify").output().expect("the program runs");
    let told = String::from_utf8(refused.stderr).expect("UTF-8");
    let (_, known) = told.split_once("expected one of").expect("the program names its settings");
    let known = known.split(',').map(|it| it.trim().trim_matches('`').to_owned());
    assert_same(rows().into_iter().map(|it| it.name), known);
}

#[test]
fn the_page_has_every_flag_that_is_a_setting() {
    let folder = scratch("flags");
    printed(&["man", &folder.path().to_string_lossy()]);
    let mut told = BTreeSet::new();
    for page in std::fs::read_dir(folder.path()).expect("a folder") {
        let text = std::fs::read_to_string(page.expect("a page").path()).expect("roff");
        told.extend(text.split("[env: ").skip(1).filter_map(|it| Some(it.split_once(']')?.0.to_owned())));
    }
    let rows = rows();
    assert_same(rows.iter().filter(|it| it.flag.is_some()).map(|it| it.variable.clone()), told);
    for Row { variable, flag, .. } in rows {
        let Some(flag) = flag else { continue };
        let (command, flag) = flag.rsplit_once(' ').expect("a command and a flag");
        let help = printed(&command.split(' ').skip(1).chain(["--help"]).collect::<Vec<_>>());
        let (_, of_the_flag) =
            help.split_once(&format!("{flag} <")).unwrap_or_else(|| panic!("{command} lacks {flag}"));
        let (_, named) = of_the_flag.split_once("[env: ").expect("a variable");
        assert!(named.starts_with(&format!("{variable}]")), "{flag}: {named}");
    }
}

#[test]
fn the_page_has_every_variable_that_the_program_reads_itself() {
    let page = text_of("docs/configuration.md");
    let files = rust_files();
    let product = ["api/", "commands/", "projections/", "event-store/", "domain/"];
    let texts = files.iter().filter(|(path, _)| product.iter().any(|it| path.starts_with(it))).map(|(_, text)| text);
    let reads = texts.flat_map(|text| text.split("env::var").skip(1)).filter_map(|rest| rest.split_once(')'));
    let names: BTreeSet<_> = reads.map(|(read, _)| read.trim_start_matches("_os").trim_start_matches('(')).collect();
    assert!(names.contains("\"RUST_LOG\"") && names.contains("\"HOME\""), "{names:?}");
    let missing: Vec<_> = names.iter().filter(|it| !page.contains(&it.replace('"', "`"))).collect();
    assert!(missing.is_empty(), "say in api/src/settings/reference.rs what {missing:?} means");
}
