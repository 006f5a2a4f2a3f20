//! A server of a new release is killed while it makes new read tables beside the old ones. The old tables answer all
//! the same, and the next start finishes the work.

use std::path::Path;
use std::process::{Child, Stdio};

use sqlx::ConnectOptions as _;

use super::Hospital;
use super::demo::busy_day;
use super::process::hims;
use super::releases::{ask, assert_rebuilt, assert_unfit, count_of, no_rebuild, schema, tell, until, until_ready};
use super::tables::{assert_same_rows, contents, count};
use crate::support::scratch;

/// How many times the server is killed.
const ROUNDS: u64 = 10;
/// Where the server is killed follows from this number, so that a failure can be repeated.
const SEED: u64 = 0x0b5e_55ed;

/// Whether a session holds the lock of a rebuild.
const RENEWING: &str = "select exists (select from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.objid = 1751739762 and l.granted and a.application_name = 'hims rebuild'
      and a.datname = current_database())";

/// Makes the read tables those of an older release, which has the same tables.
const OLDER: &str = "update hims.projection_checkpoint set form = '1.1.older'";

/// Starts the real program as a node of the hospital.
fn start(hospital: &Hospital, folder: &Path) -> Child {
    let mut command = hims();
    command.args(["serve", "--bind", "127.0.0.1:0", "--data-dir"]).arg(folder).env("RUST_LOG", "off");
    command.env("DATABASE_URL", hospital.database.options.to_url_lossy().as_str());
    command.env("HIMS_MASTER_KEY_FILE", hospital.settings.master_key_file.as_ref().expect("a key"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// Starts a node, and kills it once it has begun to make new tables and the database has answered some questions since,
/// or when it has replaced the tables. Answers how many questions were answered.
async fn killed_after(hospital: &Hospital, folder: &Path, questions: u64) -> u64 {
    let before = schema(hospital).await;
    let mut node = start(hospital, folder);
    until(async || ask::<bool>(hospital, RENEWING).await || schema_now(hospital).await != Some(before)).await;
    let mut asked = 0;
    while asked < questions && schema_now(hospital).await == Some(before) {
        asked += 1;
    }
    node.kill().expect("the node is killed");
    node.wait().expect("the node ends");
    asked
}

/// The schema of the living tables, which each rebuild replaces by another one.
async fn schema_now(hospital: &Hospital) -> Option<i64> {
    ask(hospital, "select to_regnamespace('hims')::oid::bigint").await
}

/// The next of a row of numbers that look random.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Every row of the living tables, except that of the checkpoint, which says which release made the tables.
async fn rows(hospital: &Hospital) -> std::collections::BTreeMap<String, Vec<String>> {
    let mut rows = contents(hospital.owner(), "hims").await;
    rows.remove("projection_checkpoint");
    rows
}

#[tokio::test]
async fn the_old_tables_answer_whenever_a_renewal_is_killed_and_the_next_start_finishes_it() {
    let mut hospital = Hospital::start_with(|settings| settings.record_reads = false).await;
    busy_day(&hospital.nobody()).await;
    let admin = hospital.login("admin").await;
    hospital.settle().await;
    let patients = count_of(&admin, "patients").await;
    hospital.node.end();
    let before = rows(&hospital).await;
    let folder = scratch("renewal");
    tell(&hospital, OLDER).await;
    let whole = killed_after(&hospital, folder.path(), u64::MAX).await;
    let (mut random, mut interrupted) = (SEED, 0);
    for round in 0..ROUNDS {
        drop(no_rebuild(&hospital).await);
        tell(&hospital, OLDER).await;
        let old = schema(&hospital).await;
        let questions = next(&mut random) % whole.max(1);
        killed_after(&hospital, folder.path(), questions).await;
        // The sessions of the killed node have ended once the lock is free. Until it is given back, nobody makes
        // tables.
        let held = no_rebuild(&hospital).await;
        assert_same_rows(&rows(&hospital).await, &before);
        if schema(&hospital).await == old {
            interrupted += 1;
            hospital.node = hospital.another_node().await;
            let admin = admin.at(&hospital.node.base);
            assert_unfit(&admin, "read-tables-rebuilding").await;
            assert_eq!(count_of(&admin, "patients").await, patients, "round {round}, after {questions} questions");
            hospital.node.end();
        }
        drop(held);
    }
    assert!(interrupted >= ROUNDS / 2, "only {interrupted} renewals were interrupted");
    tell(&hospital, OLDER).await;
    hospital.node = hospital.another_node().await;
    until_ready(&admin.at(&hospital.node.base)).await;
    assert_same_rows(&rows(&hospital).await, &before);
    assert_rebuilt(&hospital).await;
    assert_eq!(count(hospital.owner(), "pg_namespace where nspname in ('hims_old', 'hims_rebuild')").await, 0);
}
