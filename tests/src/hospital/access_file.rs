//! The file that says who may do what, `access.txt`, in a form that people can read.

use std::collections::{BTreeMap, BTreeSet};

use hims_commands::system_roles;
use hims_testing::assert_same;

const FILE: &str = include_str!("access.txt");

/// What the title of each part begins with.
const TITLE: &str = "== ";

pub(super) const COMMANDS: &str = "Commands";
pub(super) const ROWS: &str = "Rows that are read";
pub(super) const CHANGES: &str = "Changes of rows";
pub(super) const BEHIND: &str = "Behind the tables";
/// The parts of the file, each with what the line above its cells begins with.
const PARTS: [(&str, &str); 4] =
    [(COMMANDS, "administrator "), (ROWS, "administrator "), (CHANGES, "administrator "), (BEHIND, "hims_reader")];

/// A part of the file.
pub(super) struct Part {
    /// The words that the part explains.
    words: BTreeSet<String>,
    pub(super) columns: Vec<String>,
    /// The cells by line and column.
    pub(super) cells: BTreeMap<(String, String), String>,
}

impl Part {
    /// What the lines are about.
    pub(super) fn lines(&self) -> BTreeSet<&str> {
        self.cells.keys().map(|(line, _)| line.as_str()).collect()
    }
}

/// The part of the file with this title.
pub(super) fn part(title: &str) -> Part {
    let (_, head) = PARTS.iter().find(|it| it.0 == title).expect("a part of the file");
    let text = FILE.split(&format!("{TITLE}{title}\n")).nth(1).expect("the title stands in the file");
    let text = text.split(TITLE).next().unwrap_or_default();
    let mut lines = text.lines();
    let is_head = |line: &&str| line.trim_start().starts_with(head);
    let explained = lines.by_ref().take_while(|line| !is_head(line)).filter_map(|it| it.strip_prefix("  "));
    // A line that is further in goes on with the one above.
    let explained = explained.filter(|it| !it.starts_with(' '));
    let words = explained.filter_map(|it| it.split_whitespace().next()).map(str::to_owned).collect();
    let head = text.lines().find(is_head).expect("a line of columns");
    let columns: Vec<_> = head.split_whitespace().map(str::to_owned).collect();
    let mut cells = BTreeMap::new();
    for line in lines.filter(|it| !it.is_empty()) {
        let (name, rest) = line.split_once(' ').expect("a name and its cells");
        let found: Vec<_> = rest.split_whitespace().collect();
        assert_eq!(found.len(), columns.len(), "{title}: {line}");
        for (column, cell) in columns.iter().zip(found) {
            let before = cells.insert((name.to_owned(), column.clone()), cell.to_owned());
            assert!(before.is_none(), "{name} stands twice under {title}");
        }
    }
    Part { words, columns, cells }
}

#[test]
fn the_file_has_the_parts_that_are_tested_and_every_delivered_role() {
    let titles = FILE.lines().filter_map(|it| it.strip_prefix(TITLE));
    assert_same(titles, PARTS.map(|it| it.0));
    let roles: BTreeSet<_> = system_roles().into_iter().map(|(_, it)| it.name.0).collect();
    for title in [COMMANDS, ROWS, CHANGES] {
        let columns = part(title).columns.into_iter().filter(|it| it != "coder").collect::<BTreeSet<_>>();
        assert_same(columns, roles.clone());
    }
}

#[test]
fn every_word_of_the_file_is_explained_and_used() {
    for (title, _) in PARTS {
        let part = part(title);
        let words = part.cells.values().flat_map(|it| it.split('+')).map(str::to_owned).collect::<BTreeSet<_>>();
        // Behind the tables, a cell may be the name of a column.
        let words: BTreeSet<_> =
            words.into_iter().map(|it| if it == "timeline" { "another".to_owned() } else { it }).collect();
        assert_same(words, part.words);
    }
}
