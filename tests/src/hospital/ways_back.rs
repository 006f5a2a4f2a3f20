//! The table in `docs/clinicians.md` of what takes a command back.

use std::collections::BTreeMap;

use hims_commands::Registry;
use hims_testing::assert_same;

const PAGE: &str = include_str!("../../../docs/clinicians.md");

/// The rows of the table: each command, and what stands beside it.
fn rows() -> BTreeMap<&'static str, &'static str> {
    let section = PAGE.split("## What takes a command back").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
    let rows: Vec<_> = cells.collect();
    let table: BTreeMap<_, _> = rows.iter().copied().collect();
    assert_eq!(table.len(), rows.len(), "a command stands in the table twice");
    table
}

#[test]
fn every_command_stands_in_the_table() {
    let registry = Registry::hospital();
    assert_same(rows().into_keys(), registry.iter().map(|it| it.name));
}

#[test]
fn the_table_names_what_takes_a_command_back_or_why_nothing_can() {
    let registry = Registry::hospital();
    let table = rows();
    for command in registry.iter() {
        let told = table.get(command.name).copied().unwrap_or_default();
        match command.reversed_by {
            Some(by) => {
                assert!(told.starts_with(&format!("`{by}`")), "{}: the registry says {by}: {told}", command.name);
            }
            None => {
                let reason = told.strip_prefix("nothing: ").unwrap_or_default();
                assert!(reason.split(' ').count() >= 5, "{}: say why nothing takes it back: {told}", command.name);
            }
        }
        for named in told.split('`').skip(1).step_by(2) {
            assert!(registry.get(named).is_some(), "{}: {named} is no command", command.name);
        }
    }
}
