//! What would lose something is refused: a backup that nobody could read, that does not continue, or is not whole.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use super::super::demo::person;
use super::{BackedUp, key, register};
use crate::hospital::Hospital;
use crate::hospital::command_line::{assert_failed, on, text};
use crate::hospital::releases::tell;
use crate::hospital::tables::count;
use crate::support::empty_database;

/// Changes the manifest of a set.
fn change(set: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = set.join("manifest.json");
    let mut manifest = serde_json::from_slice(&std::fs::read(&path).expect("the manifest")).expect("JSON");
    change(&mut manifest);
    std::fs::write(&path, manifest.to_string()).expect("written");
}

#[tokio::test]
async fn a_backup_without_a_reader_of_another_history_or_beside_another_is_refused() {
    let it = BackedUp::start().await;
    let refused = |output: Output, told: &str| {
        assert_failed(&output);
        assert!(text(&output.stderr).contains(told), "{told}: {output:?}");
    };
    refused(it.run(&[]), "nobody is named who can read the backup");
    let secret = std::fs::read_to_string(it.folder.path().join("key.txt")).expect("the key");
    let secret = secret.lines().last().expect("the secret key");
    let mistaken = it.run(&["--recipient", &it.recipient, "--recipient", secret]);
    assert!(!text(&mistaken.stderr).contains("SECRET"), "{mistaken:?}");
    refused(mistaken, "the recipient number 2 is no public key");
    refused(it.run(&["--recipient", &it.recipient, "--increment"]), "holds no whole backup yet");
    // The login of the server is enough.
    let with_setting = on(&it.hospital.database, &it.folder)
        .env_remove("HIMS_MIGRATION_URL")
        .env("HIMS_BACKUP_RECIPIENTS", format!("{}, {}", it.recipient, key(&it.folder.path().join("second.txt"))))
        .arg("backup")
        .arg(it.dir())
        .output();
    assert_eq!(with_setting.expect("the program runs").status.code(), Some(0));
    let manifest = std::fs::read_to_string(it.sets()[0].join("manifest.json")).expect("the manifest");
    assert_eq!(manifest.matches("age1").count(), 2, "{manifest}");
    // Another run works, on whatever node.
    let mut other_run = it.hospital.owner().acquire().await.expect("a connection");
    let lock = format!("pg_advisory_lock({})", i64::from_be_bytes(*b"hims bak"));
    sqlx::query(sqlx::AssertSqlSafe(format!("select {lock}"))).execute(&mut *other_run).await.expect("locked");
    refused(it.run(&["--recipient", &it.recipient]), "another backup of this hospital is being made");
    other_run.close().await.expect("closed");
    // Another hospital's log is not added, nor one that was altered.
    let other = Hospital::start().await;
    register(&other, "Fremd", 5).await;
    let mut foreign = on(&other.database, &it.folder);
    foreign.arg("backup").arg(it.dir()).args(["--recipient", &it.recipient]);
    register(&it.hospital, "Nachtigall", 77).await;
    it.back_up(&[]).await;
    refused(foreign.output().expect("the program runs"), "the log does not continue the backup");
    register(&it.hospital, "Amsel", 78).await;
    let altered = "alter table log.events disable trigger events_append_only;
                   update log.events set data = '{}' where position = (select position from log.head)";
    tell(&it.hospital, altered).await;
    let sets = it.sets().len();
    refused(it.run(&["--recipient", &it.recipient]), "the log does not continue the backup");
    assert_eq!(it.sets().len(), sets, "nothing is left of a backup that failed");
}

/// Increments may hold the only copy of a history that was taken back, so a longer log does not replace them.
#[tokio::test]
async fn a_backup_of_a_log_that_was_taken_back_and_grew_again_keeps_what_it_has() {
    let it = BackedUp::start().await;
    let whole = it.back_up(&[]).await;
    register(&it.hospital, "Zurück", 79).await;
    it.back_up(&["--increment"]).await;
    let sets = it.sets();
    assert_eq!(sets.len(), 2);
    let database = it.restored(&["--to", &whole.to_string()]).await;
    let (node, client) = it.serve(&database).await;
    let reception = client.login("reception").await;
    for number in 80..90 {
        reception.did("register-patient", person("Ottilie", &format!("Anders{number}"), number)).await;
    }
    drop(node);
    for more in [&["--recipient", &it.recipient][..], &["--recipient", &it.recipient, "--increment"]] {
        let mut again = on(&database, &it.folder);
        let refused = again.arg("backup").arg(it.dir()).args(more).output().expect("the program runs");
        assert_failed(&refused);
        assert!(text(&refused.stderr).contains("the log does not continue the backup"), "{refused:?}");
        assert_eq!(it.sets(), sets, "nothing was deleted");
    }
}

#[tokio::test]
async fn what_would_not_restore_the_whole_hospital_is_refused_before_anything_is_made() {
    let it = BackedUp::start().await;
    it.back_up(&[]).await;
    let database = empty_database().await;
    let is_refused = async |output: Output, told: &str| {
        assert_failed(&output);
        assert!(text(&output.stderr).contains(told), "{told}: {output:?}");
        assert_eq!(count(&database.owner, "pg_namespace where nspname = 'log'").await, 0, "{told}");
    };
    let mut keyless = on(&database, &it.folder);
    is_refused(keyless.arg("restore").arg(it.dir()).output().expect("it runs"), "name the file with the key").await;
    key(&it.folder.path().join("other.txt"));
    let mut foreign = on(&database, &it.folder);
    foreign.arg("restore").arg(it.dir()).arg("--identity").arg(it.folder.path().join("other.txt"));
    is_refused(foreign.output().expect("it runs"), "does not open with this key").await;
    let mut server = on(&database, &it.folder);
    server.env_remove("HIMS_MIGRATION_URL").arg("restore").arg(it.dir());
    server.arg("--identity").arg(it.folder.path().join("key.txt"));
    is_refused(server.output().expect("it runs"), "give it in HIMS_MIGRATION_URL").await;
    let mut nowhere = on(&database, &it.folder);
    is_refused(nowhere.args(["restore", "/nowhere"]).output().expect("it runs"), "is no backup").await;
    let other_master = it.folder.path().join("other-master.key");
    std::fs::write(&other_master, "11".repeat(32)).expect("written");
    std::fs::set_permissions(&other_master, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
    let mut wrong_master = on(&database, &it.folder);
    wrong_master.env("HIMS_MASTER_KEY_FILE", &other_master).arg("restore").arg(it.dir());
    is_refused(wrong_master.output().expect("it runs"), "this backup needs the master key").await;
    // A single byte of a file.
    let file = it.sets()[0].join("subject_keys.copy.gz.age");
    let whole = std::fs::read(&file).expect("the file");
    let mut altered = whole.clone();
    altered[whole.len() / 2] ^= 1;
    std::fs::write(&file, altered).expect("written");
    is_refused(it.restore(&database, &[]), "is not the file that was backed up").await;
    std::fs::write(&file, whole).expect("written");
    // A hospital that is there already stays as it is.
    let other = Hospital::start().await;
    let head = count(other.owner(), "log.events").await;
    let occupied = it.restore(&other.database, &[]);
    assert_failed(&occupied);
    assert!(text(&occupied.stderr).contains("into an empty log only"), "{occupied:?}");
    assert_eq!(count(other.owner(), "log.events").await, head);
    assert_eq!(it.restore(&database, &[]).status.code(), Some(0));
}

#[tokio::test]
async fn an_old_set_keeps_its_events_and_loses_its_tables_and_a_missing_set_is_told() {
    let it = BackedUp::start().await;
    let first = it.back_up(&[]).await;
    register(&it.hospital, "Nachtigall", 77).await;
    let second = it.back_up(&[]).await;
    for set in it.sets() {
        change(&set, |it| it["taken_at"] = json!("2026-01-01T00:00:00Z"));
    }
    // What an interrupted run has left does not count, and the next run removes it.
    let left = it.dir().join("unfinished-20260101T000000.000Z-000000000001");
    std::fs::create_dir(&left).expect("a folder");
    std::fs::copy(it.sets()[0].join("manifest.json"), left.join("manifest.json")).expect("copied");
    register(&it.hospital, "Amsel", 78).await;
    // While somebody reads the folder, nothing goes that they may read.
    let tables = |set: &Path| set.join("subject_keys.copy.gz.age").exists();
    let reading = std::fs::File::options().write(true).create(true).truncate(false).open(it.dir().join("reading"));
    let reading = reading.expect("a file");
    reading.lock_shared().expect("a lock");
    it.back_up(&[]).await;
    assert!(!left.exists() && it.sets().iter().all(|it| tables(it)));
    drop(reading);
    let third = it.back_up(&[]).await;
    let sets = it.sets();
    assert_eq!(sets.iter().map(|it| tables(it)).collect::<Vec<_>>(), [false, false, true, true]);
    assert!(sets.iter().all(|it| it.join("events.copy.gz.age").exists()));
    let database = it.restored(&["--to", &third.to_string()]).await;
    assert_eq!(count(&database.owner, "log.events").await, third + 1);
    let empty = empty_database().await;
    let refused = |told: &str, to: i64| {
        let output = it.restore(&empty, &["--to", &to.to_string()]);
        assert_failed(&output);
        assert!(text(&output.stderr).contains(told), "{told}: {output:?}");
    };
    refused("can go back to position", second);
    change(&sets[0], |it| it["format"] = json!(2));
    refused("was made by a newer program", third);
    std::fs::remove_dir_all(&sets[0]).expect("removed");
    refused("the events after position 0 are missing", third);
    assert!(first < second);
}

#[tokio::test]
async fn a_forged_backup_is_refused_by_its_chain_and_the_place_stays_empty() {
    let it = BackedUp::start().await;
    let made = it.run(&["--unencrypted"]);
    assert!(text(&made.stdout).contains("NOT encrypted"), "{made:?}");
    let set = it.sets().remove(0);
    let (file, manifest) = (set.join("events.copy.gz"), set.join("manifest.json"));
    let whole = [std::fs::read(&file).expect("the file"), std::fs::read(&manifest).expect("the manifest")];
    // Whoever can write to the folder can make size and checksum fit, but not the hashes of the events.
    let forge = "gunzip < events.copy.gz | sed '5s/\"command\":\"/&re/' | gzip > forged && mv forged events.copy.gz
                 sha256sum events.copy.gz | cut -d ' ' -f 1";
    let forged = Command::new("bash").args(["-euc", forge]).current_dir(&set).output().expect("bash runs");
    let (sha256, size) = (text(&forged.stdout).trim().to_owned(), std::fs::metadata(&file).expect("the file").len());
    change(&set, |it| (it["files"][0]["sha256"], it["files"][0]["size"]) = (json!(sha256), json!(size)));
    let database = empty_database().await;
    let refused = it.restore(&database, &[]);
    assert_failed(&refused);
    assert!(text(&refused.stderr).contains("(position 5: the hash does not fit"), "{refused:?}");
    for table in ["events", "receipts", "unique_claims", "timers"] {
        assert_eq!(count(&database.owner, &format!("log.{table}")).await, 0, "{table}");
    }
    for (path, bytes) in [&file, &manifest].into_iter().zip(whole) {
        std::fs::write(path, bytes).expect("written");
    }
    let restored = it.restore(&database, &[]);
    assert_eq!(restored.status.code(), Some(0), "{restored:?}");
}
