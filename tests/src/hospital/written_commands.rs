//! The command lines of the program that the README and the pages of `docs` show.

use std::collections::BTreeSet;
use std::path::Path;

use super::command_line::text;
use super::process::hims;

/// Every command line on a page: what follows the name of the program in a span or a block of code.
fn command_lines(page: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (nth, block) in page.split("```").enumerate() {
        if nth % 2 == 1 {
            lines.extend(block.lines().map(str::to_owned));
        } else {
            // A span may go on on the next line.
            let text = block.split_whitespace().collect::<Vec<_>>().join(" ");
            lines.extend(text.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    let after_name = |line: &String| {
        let line = line.split(" #").next()?;
        let words: Vec<_> = line.split_whitespace().collect();
        // Settings may stand before the name of the program.
        let name = words.iter().position(|word| !word.contains('='))?;
        let is_program = ["hims", "target/release/hims"].contains(&words[name]);
        (is_program && name + 1 < words.len()).then(|| words[name + 1..].join(" "))
    };
    lines.iter().filter_map(after_name).collect()
}

/// The help text for the subcommand that a command line begins with.
fn help(words: &[&str]) -> String {
    let is_name = |word: &str| !word.starts_with('-') && word.chars().all(|it| it.is_ascii_lowercase() || it == '-');
    let subcommands = words.iter().take_while(|word| is_name(word)).take(2);
    let output = hims().args(subcommands).arg("--help").output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "hims {words:?}: {output:?}");
    text(&output.stdout)
}

#[test]
fn every_command_line_on_a_page_is_one_of_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pages = std::fs::read_dir(root.join("docs")).expect("the pages").map(|it| it.expect("a page").path());
    let mut seen = BTreeSet::new();
    for page in pages.chain([root.join("README.md")]).filter(|path| path.extension().is_some_and(|it| it == "md")) {
        for line in command_lines(&std::fs::read_to_string(&page).expect("the page is read")) {
            let words: Vec<_> = line.split(' ').collect();
            let help = help(&words);
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(help.contains(flag), "{}: hims {line}: there is no {flag}", page.display());
            }
            seen.insert(line);
        }
    }
    for line in ["verify --deep", "rebuild", "doctor", "serve", "import fhir FOLDER", "migrate down [N]", "--help"] {
        assert!(seen.contains(line), "{line} is on no page: {seen:?}");
    }
}

#[test]
fn the_readme_names_the_program_where_it_is_in_the_tree() {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("```").skip(1).step_by(2);
    for line in blocks.flat_map(str::lines).filter(|line| line.split_whitespace().any(|it| it.ends_with("hims"))) {
        assert!(line.starts_with("target/release/hims "), "{line}");
    }
}
