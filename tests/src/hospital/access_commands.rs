//! Which commands each role gives, tried over HTTP.

use std::collections::{BTreeMap, BTreeSet};

use hims_commands::{Permission, Registry};
use hims_domain::DomainEvent;
use hims_testing::assert_same;

use super::Hospital;
use super::access_matrix::LOGINS;
use super::care_teams::overseers;
use super::telling::needed;

/// The agreed matrix, in a form that people can read.
const MATRIX: &str = include_str!("access_commands.txt");

/// Each line of the matrix behind its head: a command and a cell for each role.
fn agreed() -> BTreeSet<String> {
    let lines = MATRIX.lines().skip_while(|it| !it.trim_start().starts_with("administrator "));
    lines.skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn every_role_gives_the_commands_that_are_agreed_and_no_others() {
    let hospital = Hospital::start_with(|settings| settings.refusals_per_minute = 10_000).await;
    overseers(&hospital).await;
    let mut clients = Vec::new();
    // The coder has a role that a hospital defined, so the words of that role are for the hospital to agree on.
    for (_, login) in LOGINS.into_iter().filter(|(role, _)| *role != "coder") {
        clients.push(hospital.login(login).await);
    }
    // The commands are about records that are not there, so that nobody's own record is among them.
    let id = |stream: &'static &str| (*stream, hims_domain::derived("of nobody", &[stream]).to_string());
    let of_nobody: BTreeMap<_, _> = DomainEvent::STREAMS.iter().map(id).collect();
    let mut tried = BTreeSet::new();
    for entry in Registry::hospital().iter() {
        let mut line = entry.name.to_owned();
        for client in &clients {
            let answer = client.command(entry.name, needed(&entry.shape, &of_nobody)).await;
            assert_ne!(answer.status, 400, "{}: {}", entry.name, answer.text);
            let is_refused = answer.status == 403 && answer.json()["code"] == "forbidden";
            line += match entry.permission {
                Permission::Own if is_refused => " own",
                _ if is_refused => " -",
                _ => " yes",
            };
        }
        tried.insert(line);
    }
    assert_same(tried, agreed());
}
