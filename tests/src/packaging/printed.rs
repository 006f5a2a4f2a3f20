//! Completions and manual pages come from the command line's own definitions, and the tools that read them take them.

use std::collections::BTreeSet;
use std::process::Command;

use super::{printed, succeeds};
use crate::support::scratch;

/// What bash offers for the last of the words, sorted.
fn offered(words: &[&str]) -> Vec<String> {
    let folder = scratch("completions");
    let script = folder.path().join("hims");
    std::fs::write(&script, printed(&["completions", "bash"])).expect("a script");
    let [.., previous, last] = words else { panic!("bash completes a word after another") };
    let ask = r#"source "$1"; shift; previous=$1 last=$2; shift 2
        [[ $(complete -p hims) == *"-F _hims hims" ]] || exit 1
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _hims hims "$last" "$previous"; printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", ask, "bash"]).arg(script).args([previous, last]).args(words);
    let mut offered: Vec<_> = succeeds(&mut bash).lines().map(str::to_owned).collect();
    offered.sort_unstable();
    offered
}

#[test]
fn bash_completes_commands_and_flags() {
    assert_eq!(offered(&["hims", "mi"]), ["migrate"]);
    assert_eq!(offered(&["hims", "import", ""]).iter().filter(|it| !it.starts_with('-')).count(), 5);
    assert_eq!(offered(&["hims", "serve", "--d"]), ["--data-dir", "--database-url", "--demo"]);
    assert_eq!(offered(&["hims", "completions", "z"]), ["zsh"]);
}

#[test]
fn every_shell_has_its_script() {
    for (shell, word) in [("bash", "complete -F _hims"), ("zsh", "#compdef hims"), ("fish", "complete -c hims")] {
        assert!(printed(&["completions", shell]).contains(word), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page_that_mandoc_reads() {
    let folder = scratch("manual");
    printed(&["man", &folder.path().to_string_lossy()]);
    let pages = std::fs::read_dir(folder.path()).expect("a folder").map(|it| it.expect("a page").path());
    let mut names = BTreeSet::new();
    for page in pages {
        succeeds(Command::new("mandoc").args(["-T", "lint", "-W", "error"]).arg(&page));
        let read = succeeds(Command::new("mandoc").args(["-T", "utf8"]).arg(&page));
        assert!(read.contains("AROCORD-HIMS") && read.contains("hims 0."), "{}: {read}", page.display());
        names.insert(page.file_stem().expect("a name").to_string_lossy().into_owned());
    }
    for wanted in ["hims", "hims-serve", "hims-migrate-up", "hims-import-fhir", "hims-user-add", "hims-settings"] {
        assert!(names.contains(wanted), "{wanted} has no page: {names:?}");
    }
    assert!(!names.iter().any(|it| it.contains("help")), "{names:?}");
}
