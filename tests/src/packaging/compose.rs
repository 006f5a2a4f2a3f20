//! The nodes in containers: their secrets, their roles, and the replica of their database.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use hims_testing::assert_same_order;

use super::{file, succeeds, text_of};
use crate::support::scratch;

/// The SQL statements between two lines, with the passwords left out.
fn statements(text: &str, begin: &str, end: &str) -> Vec<String> {
    let (_, text) = text.split_once(begin).expect("SQL");
    let (sql, _) = text.split_once(end).expect("the end of the SQL");
    let without_password =
        |it: &str| it.split(" password ").next().unwrap_or_default().trim_end_matches(';').to_owned();
    sql.lines().map(str::trim).filter(|it| !it.is_empty()).map(without_password).collect()
}

#[test]
fn the_roles_in_containers_are_those_of_the_guide() {
    let guide = text_of("docs/operators.md");
    let (_, guide) = guide.split_once("## Your own database").expect("a section");
    let wanted = statements(guide, "```sql\n", "```");
    assert!(wanted.len() >= 10, "{wanted:?}");
    assert_same_order(statements(&text_of("packaging/compose/roles.sh"), "<<'SQL'\n", "SQL\n"), wanted);
}

#[test]
fn secrets_are_made_once_and_are_no_business_of_other_users() {
    let folder = scratch("secrets");
    let script = folder.path().join("secrets.sh");
    std::fs::copy(file("packaging/compose/secrets.sh"), &script).expect("a copy");
    let told = succeeds(&mut Command::new(&script));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a secret");
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("secrets")), 0o700);
    assert_eq!(mode(&folder.path().join("secrets/master.key")), 0o400);
    assert_eq!(mode(&folder.path().join("secrets/hims.toml")), 0o400);
    let (key, password) = (read("secrets/master.key"), read("secrets/server.password"));
    assert!(key.len() == 64 && key.bytes().all(|it| it.is_ascii_hexdigit()), "the key has 64 hexadecimal digits");
    assert!(read("secrets/hims.toml").contains(&format!("postgres://hims:{password}@postgres/hims")));
    assert!(!told.contains(&key) && !told.contains(&password), "{told}");
    assert!(read(".env").contains("HIMS_UID="), "the nodes run as the owner of the secrets");
    succeeds(&mut Command::new(&script));
    assert_eq!(read("secrets/master.key"), key);
}

#[test]
fn every_secret_of_the_containers_is_made_and_every_file_is_there() {
    let compose = text_of("packaging/compose/compose.yaml");
    let script = text_of("packaging/compose/secrets.sh");
    let secrets = compose.split("./secrets/").skip(1).filter_map(|it| it.split('}').next());
    let secrets: Vec<_> = secrets.collect();
    assert!(secrets.contains(&"master.key"), "{secrets:?}");
    for secret in secrets {
        let made = match secret.strip_suffix(".password") {
            Some(login) => script.contains(&format!(" {login}")),
            None => script.contains(&format!(">{secret}")),
        };
        assert!(made, "secrets.sh does not make {secret}");
    }
    for mounted in ["roles.sh", "replication.sh", "replica.sh", "nginx.conf"] {
        assert!(compose.contains(&format!("./{mounted}:")) && file(&format!("packaging/compose/{mounted}")).is_file());
    }
}
