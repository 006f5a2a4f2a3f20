//! A new master key takes the place of a former one while the hospital goes on; keys come from files, the environment and
//! commands.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use hims_event_store::{MasterKey, MasterKeys, Rotation};
use serde_json::json;
use sqlx::ConnectOptions as _;
use tokio::task::spawn_blocking;

use super::command_line::{assert_failed, text};
use super::demo::person;
use super::fixture::Node;
use super::process::hims;
use super::releases::until_shown;
use super::tables::{assert_same_rows, contents, count};
use super::{Client, Hospital};

/// The keys of the tests as they stand in a file: the one that every hospital of the tests begins with, and a newer one.
const FORMER: u8 = 7;
const NEWER: u8 = 8;

fn digits(key: u8) -> String {
    format!("{key:064x}")
}

fn master_key(key: u8) -> MasterKey {
    let mut secret = [0; 32];
    secret[31] = key;
    MasterKey::new(&secret)
}

/// A hospital whose key file the test writes.
struct Keyed {
    hospital: Hospital,
    file: PathBuf,
}

impl Keyed {
    async fn start() -> Self {
        let hospital = Hospital::start().await;
        let file = hospital.settings.master_key_file.clone().expect("a key file");
        Self { hospital, file }
    }

    /// Runs the program on the hospital's database with the keys of the file.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = without_key(&self.hospital, arguments);
        command.env("HIMS_MASTER_KEY_FILE", &self.file);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    /// What the program prints, which succeeds.
    fn told(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        text(&output.stdout)
    }

    /// What the doctor says, who finds faults in a database of the tests.
    fn doctor(&self) -> String {
        text(&self.run(&["doctor"]).stdout)
    }

    fn holds(&self, keys: &[u8]) {
        write(&self.file, &keys.iter().map(|it| digits(*it) + "\n").collect::<String>());
    }

    /// Starts the node anew, which reads the keys.
    async fn restart(&mut self) {
        self.hospital.node.end();
        self.hospital.node = Node::start(self.hospital.settings.clone(), hims_api::surroundings(), false).await;
    }
}

fn without_key(hospital: &Hospital, arguments: &[&str]) -> Command {
    let mut command = hims();
    command
        .env("DATABASE_URL", hospital.database.options.to_url_lossy().as_str())
        .env("RUST_LOG", "off")
        .args(arguments);
    command
}

fn write(file: &Path, content: &str) {
    fs::write(file, content).expect("the file is written");
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("the file is ours");
}

async fn register(client: &Client, number: u32) -> String {
    client.did("register-patient", person(&format!("Name{number}"), "Unlike", number)).await
}

#[tokio::test]
async fn a_new_master_key_takes_the_place_of_the_former_one_while_two_nodes_serve() {
    let mut keyed = Keyed::start().await;
    let [former, newer] = [FORMER, NEWER].map(|it| master_key(it).id());
    let before = register(&keyed.hospital.login("reception").await, 900).await;
    let keys = count(keyed.hospital.owner(), "log.subject_keys where wrapped is not null").await;
    assert_eq!(keyed.told(&["keys", "list"]), format!("{former} wraps new keys and {keys} keys of people\n"));

    // A node that does not have the new key could not open what it wraps.
    keyed.holds(&[FORMER, NEWER]);
    let refused = keyed.run(&["keys", "rotate"]);
    assert_failed(&refused);
    let said = format!("programs that work with this hospital and do not have the master key {newer} yet: 1;");
    assert!(text(&refused.stderr).contains(&said), "{refused:?}");
    assert!(keyed.doctor().contains("there is a newer master key, which wraps nothing yet"));

    keyed.restart().await;
    let other = keyed.hospital.another_node().await;
    let here = keyed.hospital.login("reception").await;
    let there = here.at(&other.base);
    let mut rotate = keyed.command(&["keys", "rotate"]);
    let rotation = spawn_blocking(move || rotate.output().expect("the program runs"));
    let mut registered = vec![before];
    while !rotation.is_finished() {
        let client = if registered.len() % 2 == 0 { &here } else { &there };
        let number = 1_000 + u32::try_from(registered.len()).expect("a small number");
        registered.push(register(client, number).await);
    }
    let rotated = rotation.await.expect("it ended");
    assert_eq!(rotated.status.code(), Some(0), "{rotated:?}");
    let said = text(&rotated.stdout);
    assert!(said.contains(&format!("keys of people are wrapped by the master key {newer} now")), "{said}");
    assert!(said.contains(&format!("the master key {former} wraps nothing any more")), "{said}");
    let noted = keyed.hospital.login("admin").await.items("events?type=log.master_key_rotated").await;
    assert_eq!(noted.iter().map(|it| &it["data"]).collect::<Vec<_>>(), [&json!({"from": former, "to": newer})]);
    let keys = count(keyed.hospital.owner(), "log.subject_keys where wrapped is not null").await;
    let listed = format!("{newer} wraps new keys and {keys} keys of people\n{former} wraps nothing; ");
    assert!(keyed.told(&["keys", "list"]).starts_with(&listed));
    assert!(keyed.told(&["keys", "rotate"]).contains("wraps everything already"));
    registered.push(register(&there, 999).await);

    // The former key does not come back because it stands last.
    keyed.holds(&[NEWER, FORMER]);
    let refused = keyed.run(&["keys", "rotate"]);
    assert_failed(&refused);
    let said = format!("the master key {former} was replaced by {newer} and does not come back: take it out of ");
    assert!(text(&refused.stderr).contains(&said), "{refused:?}");
    assert!(text(&refused.stderr).contains("`hims keys new`"), "{refused:?}");
    assert!(keyed.told(&["keys", "list"]).starts_with(&format!("{newer} wraps new keys and ")));
    drop(other);

    // The former key is needed for nothing any more.
    keyed.holds(&[NEWER]);
    keyed.restart().await;
    let shown = contents(keyed.hospital.owner(), "hims").await;
    assert_eq!(keyed.run(&["rebuild"]).status.code(), Some(0));
    assert_same_rows(&contents(keyed.hospital.owner(), "hims").await, &shown);
    let here = keyed.hospital.login("reception").await;
    for id in &registered {
        assert_eq!(here.row("patients", id).await["last_name"], "Unlike");
    }
    assert_eq!(keyed.run(&["verify", "--deep"]).status.code(), Some(0));
    // What is unique is still known, although it was blinded before.
    here.command("register-patient", person("Name900", "Unlike", 900)).await.problem(409, "possible-duplicate");
    let body = json!({"email": "doctor@demo.hims", "first_name": "A", "last_name": "B",
                      "role_id": super::problems::role("nurse")});
    keyed.hospital.login("admin").await.command("create-user", body).await.problem(409, "already-taken");

    keyed.holds(&[FORMER]);
    let refused = keyed.run(&["serve", "--bind", "127.0.0.1:0"]);
    assert_failed(&refused);
    let said = text(&refused.stderr);
    assert!(said.contains("belongs to another hospital") && said.contains(&newer.to_string()), "{said}");
    assert!(keyed.doctor().contains(&format!("restore the master key {newer}")));
}

#[tokio::test]
async fn a_rotation_that_was_broken_off_goes_on_and_the_erased_stay_erased() {
    let mut keyed = Keyed::start().await;
    let reception = keyed.hospital.login("reception").await;
    let [erased, kept] = [register(&reception, 1).await, register(&reception, 2).await];
    keyed.holds(&[FORMER, NEWER]);
    keyed.restart().await;
    let keys = MasterKeys::newest_last(vec![master_key(FORMER), master_key(NEWER)]).expect("two keys");
    let begun = Rotation::begin(keyed.hospital.owner(), &keys).await.expect("begun").expect("nobody else rotates");
    // One at a time.
    let refused = keyed.run(&["keys", "rotate"]);
    assert!(text(&refused.stderr).contains("another program replaces the master key now"), "{refused:?}");
    drop(begun);
    // Between the two keys, people come and go.
    let reception = keyed.hospital.login("reception").await;
    let new = register(&reception, 3).await;
    keyed.hospital.node.store.vault().destroy_key(erased.parse().expect("an id")).await.expect("the key is destroyed");
    assert!(keyed.doctor().contains("only in part: run `hims keys rotate`"));
    let by = async |id: &str, key: u8| {
        let wrapped = format!("log.subject_keys where subject_id = '{id}' and wrapped_by = '{}'", master_key(key).id());
        count(keyed.hospital.owner(), &wrapped).await
    };
    assert_eq!((by(&kept, FORMER).await, by(&new, NEWER).await), (1, 1));

    let said = keyed.told(&["keys", "rotate"]);
    assert!(said.contains("wraps nothing any more"), "{said}");
    assert_eq!((by(&kept, NEWER).await, by(&new, NEWER).await), (1, 1));
    let gone =
        format!("log.subject_keys where subject_id = '{erased}' and wrapped is null and destroyed_at is not null");
    assert_eq!(count(keyed.hospital.owner(), &gone).await, 1);
    assert_eq!(count(keyed.hospital.owner(), "log.master_keys").await, 1);
    let noted = keyed.hospital.login("admin").await.items("events?type=log.master_key_rotated").await;
    assert_eq!(noted.len(), 1);
    assert_eq!(keyed.run(&["verify", "--deep"]).status.code(), Some(0));
}

#[tokio::test]
async fn a_backup_that_was_begun_before_is_restored_with_the_new_key_alone() {
    let mut keyed = Keyed::start().await;
    let dir = keyed.file.with_file_name("backup").display().to_string();
    let reception = keyed.hospital.login("reception").await;
    let before = register(&reception, 1).await;
    keyed.told(&["backup", &dir, "--unencrypted"]);
    keyed.holds(&[FORMER, NEWER]);
    keyed.restart().await;
    keyed.told(&["keys", "rotate"]);
    let after = register(&keyed.hospital.login("reception").await, 2).await;
    keyed.told(&["backup", &dir, "--unencrypted", "--increment"]);

    let database = crate::support::empty_database().await;
    let restore = |keys: &[u8]| {
        keyed.holds(keys);
        let mut command = keyed.command(&["restore", &dir]);
        command.env("DATABASE_URL", database.options.to_url_lossy().as_str());
        command.env("HIMS_MIGRATION_URL", database.migrations.to_url_lossy().as_str());
        command.output().expect("the program runs")
    };
    let refused = restore(&[FORMER]);
    assert_failed(&refused);
    assert!(text(&refused.stderr).contains("this backup needs the master key"), "{refused:?}");
    let restored = restore(&[NEWER]);
    assert_eq!(restored.status.code(), Some(0), "{restored:?}");
    let url = database.options.to_url_lossy().into();
    let settings = hims_api::Settings { database_url: Some(url), ..keyed.hospital.settings.clone() };
    let node = Node::start(settings, hims_api::surroundings(), false).await;
    let nobody = Client::new(node.base.clone(), Arc::default());
    until_shown(&nobody).await;
    let reception = nobody.login("reception").await;
    for id in [before, after] {
        assert_eq!(reception.row("patients", &id).await["last_name"], "Unlike");
    }
}

#[tokio::test]
async fn a_master_key_comes_from_a_file_or_the_environment_or_a_command() {
    let keyed = Keyed::start().await;
    let command = format!("cat {}", keyed.file.display());
    for (name, value) in [("HIMS_MASTER_KEY", digits(FORMER)), ("HIMS_MASTER_KEY_COMMAND", command)] {
        let output = without_key(&keyed.hospital, &["keys", "list"]).env(name, value).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        assert!(text(&output.stdout).starts_with(&master_key(FORMER).id().to_string()), "{output:?}");
    }
    let secret = "planted".repeat(9);
    for (name, value, said) in [
        ("HIMS_MASTER_KEY", secret.as_str(), "HIMS_MASTER_KEY does not hold 64 hexadecimal digits"),
        ("HIMS_MASTER_KEY_COMMAND", "exit 4", "failed: exit status: 4"),
        ("HIMS_MASTER_KEY_COMMAND", "echo planted", "the command in HIMS_MASTER_KEY_COMMAND does not hold 64"),
    ] {
        let output = without_key(&keyed.hospital, &["keys", "list"]).env(name, value).output().expect("it runs");
        assert_failed(&output);
        let told = text(&output.stderr);
        assert!(told.contains(said) && !told.contains("planted"), "{told}");
    }
    let both = keyed.command(&["keys", "list"]).env("HIMS_MASTER_KEY", digits(FORMER)).output().expect("it runs");
    assert_failed(&both);
    assert!(text(&both.stderr).contains("give the master key in one place"), "{both:?}");
    let neither = without_key(&keyed.hospital, &["keys", "list"]).output().expect("it runs");
    assert!(text(&neither.stderr).contains("DATABASE_URL needs the master key too"), "{neither:?}");
}

#[test]
fn new_keys_are_drawn_at_random() {
    let drawn = [(); 2].map(|()| text(&hims().args(["keys", "new"]).output().expect("the program runs").stdout));
    assert_ne!(drawn[0], drawn[1]);
    for key in drawn {
        let key = key.strip_suffix('\n').expect("one line");
        assert!(key.len() == 64 && key.bytes().all(|it| it.is_ascii_hexdigit()), "{key}");
    }
}
