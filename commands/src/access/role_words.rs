//! The words of the roles that a hospital begins with, and the commands that follow from them: two tables for whoever
//! reviews a change of them.

use hims_domain::permission::{Create, Delete, Read, Update};
use hims_domain::role::Permissions;

use super::{Permission, system_roles};
use crate::Registry;

/// A line of a table: what it is about, and for each role a cell, which names the role if the role has it.
fn line(about: &str, roles: &[(String, Permissions)], has: impl Fn(&Permissions) -> bool) -> String {
    let cells = roles.iter().map(|(name, it)| format!("{:<15}", if has(it) { name.as_str() } else { "." }));
    format!("{about} {}", cells.collect::<String>()).trim_end().to_owned() + "\n"
}

fn roles() -> Vec<(String, Permissions)> {
    system_roles().into_iter().map(|(_, it)| (it.name.as_str().to_owned(), it.permissions)).collect()
}

/// Whoever gives a word to a role, or takes it away, changes the line of the word in the table.
#[test]
fn the_words_of_each_role() {
    let roles = roles();
    let mut table = String::new();
    let has = |it: &Permissions, list: &str, word: &str| match list {
        "create" => it.create.contains(word),
        "read" => it.read.contains(word),
        "update" => it.update.contains(word),
        _ => it.delete.contains(word),
    };
    let lists =
        [("create", Create::CODES), ("read", Read::CODES), ("update", Update::CODES), ("delete", Delete::CODES)];
    for (list, words) in lists {
        for word in words {
            table += &line(&format!("{:<28}", format!("{list}:{word}")), &roles, |it| has(it, list, word));
        }
    }
    insta::assert_snapshot!(table);
}

/// Which commands each role may give by its words. Beside these, people give some commands about themselves, as the
/// documentation of each command says.
#[test]
fn the_commands_of_each_role() {
    let roles = roles();
    let mut table = String::new();
    for command in Registry::hospital().iter() {
        let needed = command.permission;
        table += &line(&format!("{:<40} {:<28}", command.name, needed.to_string()), &roles, |it| needed.is_in(it));
        let is_of_no_role = matches!(needed, Permission::Own | Permission::System);
        let is_had = roles.iter().any(|(_, it)| needed.is_in(it));
        assert_ne!(is_of_no_role, is_had, "{}: {needed}", command.name);
    }
    insta::assert_snapshot!(table);
}
