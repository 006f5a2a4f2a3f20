//! `hims backup` and `hims restore`: what was backed up is restored as of any position, and what would lose something
//! is refused.

mod refused;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::json;
use sqlx::{ConnectOptions as _, Executor as _};
use tempfile::TempDir;
use uuid::Uuid;

use super::backup::url;
use super::command_line::{assert_failed, on, text};
use super::demo::{appointment, at, busy_day, patient, person, prescription};
use super::fixture::Node;
use super::releases::{ready, tell, until};
use super::tables::{assert_same_rows, contents, count};
use super::{Client, Hospital};
use crate::support::{TestDatabase, cluster, empty_database, scratch};

/// A hospital with a folder for its backups, and the key that opens them.
struct BackedUp {
    hospital: Hospital,
    folder: TempDir,
    recipient: String,
}

impl BackedUp {
    async fn start() -> Self {
        let (hospital, folder) = (Hospital::start().await, scratch("backups"));
        let recipient = key(&folder.path().join("key.txt"));
        Self { hospital, folder, recipient }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("backup")
    }

    /// Runs `hims backup` on the folder, with further arguments.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = on(&self.hospital.database, &self.folder);
        command.arg("backup").arg(self.dir()).args(arguments).output().expect("the program runs")
    }

    /// Makes a backup, and answers the last position in it.
    async fn back_up(&self, arguments: &[&str]) -> i64 {
        let made = self.run(&[&["--recipient", &self.recipient], arguments].concat());
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        self.hospital.node.store.current_head().await.expect("the head is read")
    }

    fn restore(&self, database: &TestDatabase, arguments: &[&str]) -> Output {
        let mut command = on(database, &self.folder);
        command.arg("restore").arg(self.dir()).arg("--identity").arg(self.folder.path().join("key.txt"));
        command.args(arguments).output().expect("the program runs")
    }

    /// Restores into an empty database, and compares what lies beside the restored log with it.
    async fn restored(&self, arguments: &[&str]) -> TestDatabase {
        let database = empty_database().await;
        let restored = self.restore(&database, arguments);
        assert_eq!(restored.status.code(), Some(0), "{restored:?}");
        let verified = on(&database, &self.folder).args(["verify", "--deep"]).output().expect("the program runs");
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
        database
    }

    /// Serves a restored database.
    async fn serve(&self, database: &TestDatabase) -> (Node, Client) {
        let url = database.options.to_url_lossy().into();
        let settings = hims_api::Settings { database_url: Some(url), ..self.hospital.settings.clone() };
        let node = Node::start(settings, hims_api::surroundings(), false).await;
        let client = Client::new(node.base.clone(), Arc::default());
        (node, client)
    }

    /// The sets in the folder, in the order of their names.
    fn sets(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir()).expect("the folder").map(|it| it.expect("an entry").path());
        let mut sets: Vec<_> = entries.filter(|it| it.is_dir()).collect();
        sets.sort();
        sets
    }
}

/// Makes a key of age, and answers its recipient.
fn key(path: &Path) -> String {
    let made = Command::new("age-keygen").arg("-o").arg(path).output().expect("age-keygen runs");
    assert!(made.status.success(), "{made:?}");
    let read = Command::new("age-keygen").arg("-y").arg(path).output().expect("age-keygen runs");
    text(&read.stdout).trim().to_owned()
}

/// Returns when every process has reacted to everything that is recorded.
pub(super) async fn until_processed(nobody: &Client) {
    until(async || {
        let told = ready(nobody).await.json();
        let head = told["head_position"].as_i64();
        let processes = told["processes"].as_object().expect("the processes");
        !processes.is_empty() && processes.values().all(|it| it.as_i64() >= head)
    })
    .await;
}

async fn register(hospital: &Hospital, last_name: &str, number: u32) -> String {
    hospital.login("reception").await.did("register-patient", person("Ottilie", last_name, number)).await
}

#[tokio::test]
async fn a_backup_that_grew_is_restored_as_it_was_and_the_hospital_goes_on() {
    let it = BackedUp::start().await;
    it.back_up(&[]).await;
    busy_day(&it.hospital.nobody()).await;
    it.back_up(&["--increment"]).await;
    register(&it.hospital, "Nachtigall", 77).await;
    it.hospital.settle().await;
    until_processed(&it.hospital.nobody()).await;
    let last = it.back_up(&["--increment"]).await;
    assert_eq!(it.sets().len(), 3);
    let nothing_new = it.run(&["--recipient", &it.recipient, "--increment"]);
    assert!(text(&nothing_new.stdout).starts_with("nothing was recorded since"), "{nothing_new:?}");
    let before = contents(it.hospital.owner(), "hims").await;
    let database = it.restored(&[]).await;
    let as_of = last.to_string();
    let copied = on(&database, &it.folder).args(["rebuild", "--as-of", &as_of, "--into", "copied"]).output();
    assert_eq!(copied.expect("the program runs").status.code(), Some(0));
    assert_same_rows(&contents(&database.owner, "copied").await, &before);
    for table in
        ["events", "subject_keys", "master_keys", "receipts", "unique_claims", "shared_claims", "booking_claims"]
    {
        let of = async |pool| count(pool, &format!("log.{table}")).await;
        let (restored, backed_up) = (of(&database.owner).await, of(it.hospital.owner()).await);
        // The first event after the restored ones says that the log was restored.
        assert_eq!(restored, backed_up + i64::from(table == "events"), "{table}");
        assert!(restored > 0, "{table}");
    }
    let (_node, nobody) = it.serve(&database).await;
    // Processes begin where they were at the whole backup, and find that they have done everything since then.
    until_processed(&nobody).await;
    let done_again = format!("log.events where position > {last} and metadata -> 'actor' ->> 'name' like 'process:%'");
    assert_eq!(count(&database.owner, &done_again).await, 0);
    let admin = nobody.login("admin").await;
    let audited = admin.items("audit-logs?action=log.restored").await;
    assert_eq!((audited.len(), &audited[0]["position"]), (1, &json!(last + 1)), "{audited:?}");
    let reception = nobody.login("reception").await;
    let id = reception.did("register-patient", person("Ida", "Amsel", 78)).await;
    assert_eq!(reception.row("patients", &id).await["first_name"], "Ida");
    // What was backed up before continues with a whole backup, which holds the increments too.
    it.back_up(&[]).await;
    assert_eq!(it.sets().len(), 2);
    it.restored(&[]).await;
}

#[tokio::test]
async fn a_backup_is_restored_as_of_an_earlier_position_or_time() {
    let it = BackedUp::start().await;
    let first = it.back_up(&[]).await;
    register(&it.hospital, "Nachtigall", 77).await;
    let kept = it.hospital.node.store.current_head().await.expect("the head is read");
    let since = it.hospital.node.store.read(kept - 1, 1).await.expect("the event")[0].recorded_at;
    let reception = it.hospital.login("reception").await;
    let body = appointment(&patient(1), at(9, 0));
    let taken_back = reception.did("schedule-appointment", body.clone()).await;
    // A command that records several events.
    let doctor = it.hospital.login("doctor").await;
    doctor.did("write-prescription", prescription(&patient(2), 2, "10", "tablet")).await;
    let last = it.back_up(&["--increment"]).await;
    it.back_up(&[]).await;
    for to in [kept.to_string(), since.to_rfc3339()] {
        let database = it.restored(&["--to", &to]).await;
        assert_eq!(count(&database.owner, "log.events").await, kept + 1, "{to}");
        let told = format!(
            "log.events where position = {} and event_type = 'log.restored'
                               and (data ->> 'position')::bigint = {kept} and (data ->> 'known')::bigint >= {last}",
            kept + 1
        );
        assert_eq!(count(&database.owner, &told).await, 1, "{to}");
        assert_eq!(count(&database.owner, &format!("log.events where stream_id = '{taken_back}'")).await, 0);
        let (_node, nobody) = it.serve(&database).await;
        // The time is free again, and the patient who was registered before is there.
        let reception = nobody.login("reception").await;
        reception.did("schedule-appointment", body.clone()).await;
        assert_eq!(reception.items("patients?last_name=Nachtigall").await.len(), 1, "{to}");
    }
    let database = empty_database().await;
    let inside: i64 = sqlx::query_scalar(
        "select min(e.position) from log.events e
           join log.events next on next.position = e.position + 1
                               and next.metadata ->> 'command_id' = e.metadata ->> 'command_id'
          where e.position > $1",
    )
    .bind(first)
    .fetch_one(it.hospital.owner())
    .await
    .expect("a command with several events");
    for (to, told) in [
        (inside.to_string(), "in the middle of what one command recorded"),
        ((last + 1_000).to_string(), "the backup ends at position"),
        ((first - 1).to_string(), "can go back to position"),
        ("2999-01-01T00:00:00Z".to_owned(), "the backup ends at position"),
        ("2001-01-01T00:00:00Z".to_owned(), "can go back to position"),
    ] {
        let refused = it.restore(&database, &["--to", &to]);
        assert_failed(&refused);
        assert!(text(&refused.stderr).contains(told), "{refused:?}");
    }
}

#[tokio::test]
async fn the_key_of_an_erased_person_stays_destroyed_and_their_claims_stay_taken() {
    let it = BackedUp::start().await;
    let id: Uuid = register(&it.hospital, "Nachtigall", 77).await.parse().expect("an id");
    let kept = it.back_up(&[]).await;
    it.hospital.node.store.vault().destroy_key(id).await.expect("the key is destroyed");
    register(&it.hospital, "Amsel", 78).await;
    it.back_up(&["--increment"]).await;
    let claimed = format!("log.unique_claims where owner = '{id}'");
    let claims = count(it.hospital.owner(), &claimed).await;
    assert!(claims > 0);
    let database = it.restored(&["--to", &kept.to_string()]).await;
    let destroyed =
        format!("log.subject_keys where subject_id = '{id}' and wrapped is null and destroyed_at is not null");
    assert_eq!(count(&database.owner, &destroyed).await, 1);
    assert_eq!(count(&database.owner, &claimed).await, claims);
}

#[tokio::test]
async fn a_backup_is_verified_beside_and_what_was_done_is_told() {
    let it = BackedUp::start().await;
    let last = it.back_up(&[]).await;
    let mut verify = on(&it.hospital.database, &it.folder);
    verify.args(["backup", "verify"]).arg(it.dir()).arg("--identity").arg(it.folder.path().join("key.txt"));
    let beside = scratch("beside");
    verify.arg("--beside").arg(beside.path());
    let verified = verify.output().expect("the program runs");
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    let told = format!("the backup holds: positions 1 to {last} were restored and compared");
    assert!(text(&verified.stdout).contains(&told), "{verified:?}");
    assert_eq!(std::fs::read_dir(beside.path()).expect("the folder").count(), 0, "the copy is thrown away");
    let noted = async || {
        let sql = "select kind, position from log.backups order by kind";
        let noted: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(it.hospital.owner()).await.expect("rows");
        noted.into_iter().map(|(kind, position)| format!("{kind} {position}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(noted().await, format!("backup {last}, verification {last}, whole {last}"));
    register(&it.hospital, "Nachtigall", 77).await;
    let more = it.back_up(&["--increment"]).await;
    assert_eq!(noted().await, format!("backup {more}, verification {last}, whole {last}"));

    // A file of the last set is damaged.
    let set = it.sets().pop().expect("a set");
    let damaged = std::fs::read_dir(&set).expect("a set").map(|it| it.expect("a file").path());
    let damaged =
        damaged.filter(|path| path.extension().is_some_and(|it| it == "age")).max().expect("an encrypted file");
    std::fs::write(damaged, "damaged").expect("a damaged file");
    let refused = verify.output().expect("the program runs");
    assert_failed(&refused);
    assert_eq!(noted().await, format!("backup {more}, failed-verification 0, verification {last}, whole {last}"));
    let mut look = on(&it.hospital.database, &it.folder);
    let told = look.arg("status").output().expect("the program runs");
    assert!(text(&told.stdout).contains("the last one FAILED at"), "{told:?}");
    let mut look = on(&it.hospital.database, &it.folder);
    let advised = look.arg("doctor").output().expect("the program runs");
    assert!(text(&advised.stdout).contains("does not hold: make another one into a new folder"), "{advised:?}");
    // Days later nobody has made another backup.
    tell(&it.hospital, "update log.backups set done_at = done_at - interval '3 days'").await;
    let told = on(&it.hospital.database, &it.folder).arg("status").output().expect("the program runs");
    assert_eq!(text(&told.stdout).matches("; OVERDUE").count(), 2, "{told:?}");
    let advised = on(&it.hospital.database, &it.folder).arg("doctor").output().expect("the program runs");
    assert!(text(&advised.stdout).contains("advice  backup: the last one was made 72 h ago"), "{advised:?}");
}

/// A balancer asks again and again, and the answer has the backup although nobody can be asked for it.
#[tokio::test]
async fn readiness_tells_of_the_last_whole_backup_without_asking_each_time() {
    let it = BackedUp::start().await;
    it.back_up(&[]).await;
    let first = ready(&it.hospital.nobody()).await.json();
    assert_eq!(first["backup"]["is_overdue"], json!(false), "{first}");
    let mut held = it.hospital.owner().begin().await.expect("a transaction");
    held.execute("lock table log.backups in access exclusive mode").await.expect("the lock");
    assert_eq!(ready(&it.hospital.nobody()).await.json()["backup"], first["backup"]);
}

/// The page in the folder of a backup, carried out word for word.
#[tokio::test]
async fn a_backup_can_be_read_with_standard_tools_alone() {
    let it = BackedUp::start().await;
    register(&it.hospital, "Nachtigall", 77).await;
    let last = it.back_up(&[]).await;
    let page = std::fs::read_to_string(it.dir().join("HOW-TO-READ.txt")).expect("the page");
    let database = empty_database().await;
    let name = database.options.get_database().expect("a name");
    let superuser = cluster().await.superuser_options().database(name);
    let (address, mut db) = (url(&superuser, "postgres", name), superuser.connect().await.expect("a connection"));
    let key = it.folder.path().join("key.txt").display().to_string();
    let blocks = page.split("\n\n").filter(|it| it.starts_with("    "));
    let blocks: Vec<_> = blocks
        .map(|block| block.replace(" KEY ", &format!(" '{key}' ")).replace("DATABASE", &format!("'{address}'")))
        .collect();
    let [_, load, check] = blocks.as_slice() else { panic!("three blocks: {blocks:?}") };
    let (create, load) = load.split_once(";\n").expect("a table, then a command");
    db.execute(sqlx::AssertSqlSafe(create.to_owned())).await.expect("a table");
    let set = &it.sets()[0];
    let loaded = Command::new("bash").args(["-euo", "pipefail", "-c", load]).current_dir(set).output().expect("bash");
    assert!(loaded.status.success(), "{loaded:?}");
    let pool = sqlx::PgPool::connect_with(superuser).await.expect("connections");
    assert_eq!(count(&pool, "events").await, last);
    let wrong = format!("({}) wrong", check.trim().trim_end_matches(';'));
    assert_eq!(count(&pool, &wrong).await, 0);
    db.execute("update events set data = '{}' where position = 3").await.expect("altered");
    assert_eq!(count(&pool, &wrong).await, 1, "the check finds what was altered");
    pool.close().await;
}
