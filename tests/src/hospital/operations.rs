//! The disasters of `docs/operations.md`, each carried out word for word on a real hospital with its own PostgreSQL.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use super::backup::{blocks_of, run, url};
use super::demo::person;
use super::fixture::{Node, key_file};
use super::releases::until;
use super::{Client, Process};
use crate::support::{Pair, Place, scratch};

const OPERATIONS: &str = include_str!("../../../docs/operations.md");

/// The only block of commands of a section.
fn steps(section: &str) -> &'static str {
    let [steps] = blocks_of(OPERATIONS, section, "sh")[..] else { panic!("one block in {section}") };
    steps
}

/// A machine with a hospital, a place for its backups and one for its keys.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(scratch("operations"));
        std::fs::create_dir(machine.path("keys")).expect("a folder");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn serve(&self) -> Process {
        Process::start_with(&self.path("data"), &[], |_| {})
    }

    /// Carries the steps out, and answers what they print.
    fn carry_out(&self, steps: &str, to: &str) -> String {
        let text = |name: &str| self.path(name).display().to_string();
        let (data, backup, keys) = (text("data"), text("backup"), text("keys"));
        let (identity, temporary) = (text("keys/backup.txt"), self.0.path().display().to_string());
        let read = std::process::Command::new("age-keygen").arg("-y").arg(&identity).output().expect("age-keygen runs");
        let recipient = String::from_utf8(read.stdout).expect("text").trim().to_owned();
        let variables = [
            ("HIMS_DATA_DIR", data.as_str()),
            ("BACKUP", &backup),
            ("KEYS", &keys),
            ("IDENTITY", &identity),
            ("TO", to),
            ("TMPDIR", &temporary),
            ("HIMS_BACKUP_RECIPIENTS", &recipient),
        ];
        run(steps, self.0.path(), &variables)
    }

    /// A hospital in which a patient was registered, and which was backed up as the page says.
    async fn backed_up() -> (Self, String) {
        let machine = Self::new();
        let server = Process::start(&machine.path("data"));
        let reception = server.nobody.login("reception").await;
        let id = reception.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
        let [once, always] = blocks_of(OPERATIONS, "Before anything happens", "sh")[..] else { panic!("two blocks") };
        machine.carry_out(once, "");
        let said = machine.carry_out(always, "");
        assert!(said.contains("the backup holds") && said.contains("encrypted for age1"), "{said}");
        server.signal("INT");
        assert!(server.ended().success());
        (machine, id)
    }

    /// Checks that the hospital serves, and knows the patient.
    async fn knows(&self, id: &str) -> Process {
        let server = self.serve();
        let reception = server.nobody.login("reception").await;
        reception.did("register-patient", person("Ida", "Amsel", 78)).await;
        assert_eq!(reception.row("patients", id).await["last_name"], "Nachtigall");
        server
    }
}

#[tokio::test]
async fn a_lost_machine_is_replaced_by_another() {
    let (machine, id) = Machine::backed_up().await;
    std::fs::remove_dir_all(machine.path("data")).expect("the disk is lost");
    let said = machine.carry_out(steps("The machine or its disk is lost"), "");
    assert!(said.contains("restored positions 1 to ") && said.contains("faults: 0"), "{said}");
    let server = machine.knows(&id).await;
    machine.carry_out(steps("After a restore"), "");
    drop(server);
}

#[tokio::test]
async fn what_must_be_taken_back_is_and_positions_of_it_are_refused_by_name() {
    let (machine, id) = Machine::backed_up().await;
    let server = machine.serve();
    let reception = server.nobody.login("reception").await;
    let admin = server.nobody.login("admin").await;
    let next = async |client: &Client| {
        client.get("patients?limit=1").await.done()["next"].as_str().expect("another page").to_owned()
    };
    let kept_cursor = next(&admin).await;
    let kept = admin.get("events?limit=1").await.json()["position"].as_i64().expect("a position");
    let mistaken = reception.did("register-patient", person("Mistaken", "Import", 79)).await;
    let answer = reception.get(&format!("patients/{mistaken}")).await;
    let position: i64 = answer.header("hims-position").and_then(|it| it.parse().ok()).expect("a position");
    let before = answer.header("hims-incarnation").expect("an incarnation").to_owned();
    assert_eq!(before, uuid::Uuid::nil().to_string());
    let taken_back_cursor = next(&reception).await;
    let repeated = async |client: &Client| {
        let command = client.post("register-patient", &person("Repeated", "Import", 80));
        client.send(command.header("idempotency-key", uuid::Uuid::from_u128(80).to_string())).await
    };
    let first = repeated(&reception).await.id();
    server.signal("INT");
    assert!(server.ended().success());
    machine.carry_out(steps("What was recorded must be taken back"), &kept.to_string());
    let server = machine.knows(&id).await;
    let reception = server.nobody.login("reception").await;
    assert_eq!(reception.get(&format!("patients/{mistaken}")).await.status, 404);
    // A command that was taken back leaves no receipt: with the same key it is carried out anew, once.
    let again = repeated(&reception).await;
    assert_eq!((again.status, &again.json()["replayed"]), (201, &json!(false)), "{}", again.text);
    assert_eq!(reception.get(&format!("patients/{first}")).await.status, 404);
    assert_eq!(repeated(&reception).await.json()["replayed"], true);
    // The restored log has grown beyond the position that was taken back, which now names another event.
    let admin = server.nobody.login("admin").await;
    for nth in 0..20 {
        reception.did("register-patient", person("Further", "Patient", 100 + nth)).await;
    }
    let get = |path: &str| admin.request(reqwest::Method::GET, path);
    let asked = |path: &str, incarnation: &str| get(path).header("hims-incarnation", incarnation.to_owned());
    let least = position.to_string();
    let patients = "/api/v1/patients?limit=1";
    let refused = admin.send(asked(patients, &before).header("hims-min-position", &least)).await;
    refused.problem(409, "position-taken-back");
    let events = format!("/api/v1/events?after={position}");
    admin.send(asked(&events, &before)).await.problem(409, "position-taken-back");
    admin.send(get(&format!("{events}&incarnation={before}"))).await.problem(409, "position-taken-back");
    let stream = format!("/api/v1/events/stream?incarnation={before}");
    admin.send(get(&stream).header("last-event-id", &least)).await.problem(409, "position-taken-back");
    // A cursor of a table knows its history by itself.
    let page = |cursor: &str| get(&format!("{patients}&cursor={cursor}"));
    admin.send(page(&taken_back_cursor)).await.problem(409, "position-taken-back");
    admin.send(page(&kept_cursor)).await.done();
    // What was kept, and what the new incarnation names, is answered.
    let now = admin.send(get(patients)).await.header("hims-incarnation").expect("an incarnation").to_owned();
    assert_ne!(now, before);
    admin.send(asked(patients, &before).header("hims-min-position", kept)).await.done();
    admin.send(asked(patients, &now).header("hims-min-position", &least)).await.done();
    admin.send(asked(&format!("/api/v1/events?after={kept}"), &before)).await.done();
    // Without the incarnation it can be told of a position that the restored log has not reached.
    let far = admin.send(get(patients).header("hims-min-position", 1_000_000)).await;
    far.problem(409, "position-taken-back");
    let stranger = uuid::Uuid::from_u128(7).to_string();
    admin.send(asked(&events, &stranger)).await.problem(409, "position-taken-back");
    assert_eq!(json!(now), admin.items("events?type=log.restored").await[0]["data"]["incarnation"]);
}

#[tokio::test]
async fn a_lost_master_key_is_put_back() {
    let (machine, id) = Machine::backed_up().await;
    std::fs::remove_file(machine.path("data/master.key")).expect("the key is lost");
    let said = machine.carry_out(steps("The master key file is lost or wrong"), "");
    assert!(said.contains("faults: 0"), "{said}");
    drop(machine.knows(&id).await);
}

#[tokio::test]
async fn a_backup_whose_key_is_lost_or_whose_file_is_damaged_is_replaced() {
    let (machine, _) = Machine::backed_up().await;
    let said = machine.carry_out(steps("The key that opens backups is lost, or somebody else has it"), "");
    assert!(said.contains("the backup holds"), "{said}");
    let sets = std::fs::read_dir(machine.path("backup")).expect("the folder").map(|it| it.expect("an entry").path());
    let file = sets.map(|it| it.join("events.copy.gz.age")).find(|it| it.is_file()).expect("a set");
    let mut bytes = std::fs::read(&file).expect("the file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("damaged");
    let said = machine.carry_out(steps("A file of a backup is damaged"), "");
    assert!(said.contains("backed up ") && !said.contains("the backup holds"), "{said}");
}

#[tokio::test]
async fn the_backup_of_an_altered_log_holds_the_log_as_it_was() {
    let (machine, _) = Machine::backed_up().await;
    let server = machine.serve();
    let options = hims_api::embedded::EmbeddedOptions::new(machine.path("data"));
    let running = hims_api::embedded::EmbeddedPostgres::reach(&options).expect("a running PostgreSQL");
    let migrator = sqlx::PgPool::connect_with(running.migration_options()).await.expect("a connection");
    let altered = "alter table log.events disable trigger events_append_only;
                   update log.events set data = '{}' where position = 5";
    sqlx::raw_sql(altered).execute(&migrator).await.expect("altered");
    migrator.close().await;
    let said = machine.carry_out(steps("The log was altered"), "");
    assert!(said.contains("the backup holds"), "{said}");
    drop(server);
}

#[tokio::test]
async fn whoever_is_killed_starts_again_and_everything_is_there() {
    let (machine, id) = Machine::backed_up().await;
    let server = machine.serve();
    server.signal("KILL");
    server.ended();
    let said = machine.carry_out(steps("The process is killed, the disk is full, the database goes away"), "");
    assert!(said.contains("positions 1 to ") && said.contains("read tables"), "{said}");
    drop(machine.knows(&id).await);
}

#[tokio::test]
async fn a_release_that_goes_wrong_is_taken_back() {
    let (machine, id) = Machine::backed_up().await;
    let said = machine.carry_out(steps("A new release goes wrong"), "");
    assert!(said.contains("pending"), "{said}");
    drop(machine.knows(&id).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_standby_takes_the_place_of_a_lost_primary() {
    let (mut pair, folder) = (Pair::start(false).await, scratch("operations"));
    let settings = pair.settings(key_file(&folder));
    let node = Node::start(settings.clone(), hims_api::surroundings(), true).await;
    let reception = Client::new(node.base.clone(), Arc::default()).login("reception").await;
    let before = reception.did("register-patient", person("Ottilie", "Nachtigall", 77)).await;
    pair.primary_mut().kill().await;
    let blocks = blocks_of(OPERATIONS, "The primary is lost", "sh");
    let [promoting, copying, waiting] = blocks[..] else { panic!("three blocks") };
    let superuser = |of: &Place| url(&of.server().superuser_options(), "postgres", "postgres");
    let (standby, key) = (superuser(pair.standby()), settings.master_key_file.as_ref().expect("a file"));
    let key = key.display().to_string();
    let variables = [
        ("STANDBY", standby.as_str()),
        ("DATABASE_URL", settings.database_url.as_deref().expect("a URL")),
        ("HIMS_MASTER_KEY_FILE", &key),
    ];
    let said = run(promoting, folder.path(), &variables);
    assert!(said.contains("is the primary, in timeline 2") && said.contains("no commit waits for a standby"), "{said}");
    until(async || reception.command("register-patient", person("Ida", "Amsel", 78)).await.status < 500).await;
    assert_eq!(reception.row("patients", &before).await["last_name"], "Nachtigall");
    pair.note_promotion();
    pair.follow_with(|primary, data| {
        let (primary, data) = (superuser(primary), data.display().to_string());
        // Without a disk that must be waited for.
        let fast = copying.replace("--checkpoint fast", "--checkpoint fast --no-sync");
        run(&fast, folder.path(), &[("PRIMARY", primary.as_str()), ("DATA", &data)]);
    })
    .await;
    run(waiting, folder.path(), &[("PRIMARY", superuser(pair.primary()).as_str())]);
    pair.until_synchronous().await;
    reception.did("register-patient", person("Berta", "Meise", 79)).await;
    pair.stop().await;
}
