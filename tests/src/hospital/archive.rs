//! Old rows move into archives, where they are read as before, and come back when something happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join;
use hims_projections::archive::{Archive, Back, Compared, compare, tables};
use hims_projections::{TABLES, Target};
use hims_testing::assert_same;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use uuid::Uuid;

use super::command_line::text;
use super::process::hims;
use super::releases::{rebuild, until};
use super::tables::{assert_same_rows, contents, count};
use super::{Client, Hospital};
use crate::support::Proxy;

const PASSWORD: &str = "demo-hims-2026";

/// After how many years rows are archived.
const YEARS: u32 = 7;

/// Moves every row of every table that has an archive into the archive, however new the row is.
pub(super) async fn put_everything_away(hospital: &Hospital) {
    let mut db = hospital.database.superuser().await;
    let mut transaction = db.begin().await.expect("a transaction");
    transaction.execute("set local search_path = hims, public").await.expect("a search path");
    for table in tables() {
        let declared = TABLES.iter().find(|it| it.name == table).expect("a declaration");
        let columns: Vec<_> = declared.columns.iter().map(|it| format!("\"{}\"", it.name)).collect();
        let columns = columns.join(", ");
        let sql = format!(
            "alter table {table}_archive inherit {table};
             with gone as (delete from only {table} returning {columns})
             insert into {table}_archive ({columns}) select {columns} from gone;"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await.expect(table);
    }
    transaction.commit().await.expect("everything refers to what is archived too");
}

/// Runs the program on the database of a hospital.
pub(super) fn run(hospital: &Hospital, arguments: &[&str]) -> Output {
    let key_file = hospital.settings.master_key_file.as_ref().expect("a key file");
    let database = hospital.settings.database_url.as_ref().expect("a database");
    let mut command = hims();
    command.args(arguments).env("RUST_LOG", "off").env("HIMS_MASTER_KEY_FILE", key_file);
    command.env("DATABASE_URL", database).output().expect("the program runs")
}

/// Runs the program, which must succeed, and returns what it prints.
#[track_caller]
pub(super) fn did(hospital: &Hospital, arguments: &[&str]) -> String {
    let output = run(hospital, arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    text(&output.stdout)
}

/// What `hims archive` says that it moved: for each table the number of rows. The checksum of each table was the same
/// before and after.
pub(super) fn moved(said: &str) -> BTreeMap<String, i64> {
    let rows = said.lines().filter_map(|line| {
        let [table, rows, before, after] = line.split_whitespace().collect::<Vec<_>>()[..] else { return None };
        let rows = rows.parse().ok()?;
        assert!(before == after && before.len() == 16, "{line}");
        Some((table.to_owned(), rows))
    });
    rows.collect()
}

/// The archives, reached as the server's login reaches them.
fn archive(options: PgConnectOptions) -> Archive {
    Archive { pool: PgPoolOptions::new().connect_lazy_with(options.options([("search_path", "hims, public")])) }
}

/// The keys in the archive of each table.
async fn archived(hospital: &Hospital) -> BTreeMap<&'static str, BTreeSet<Uuid>> {
    let mut archived = BTreeMap::new();
    for table in tables() {
        let sql = format!("select id from hims.{table}_archive");
        let ids = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(hospital.owner()).await.expect("keys");
        archived.insert(table, ids.into_iter().collect());
    }
    archived
}

/// Fails unless the archives are as they should be; returns the number of archived rows.
async fn checked(hospital: &Hospital) -> i64 {
    let mut db = hospital.owner().acquire().await.expect("a connection");
    db.execute("set search_path = hims, public").await.expect("a search path");
    let Compared { rows, faults } = compare(&mut db).await.expect("a comparison");
    assert_eq!(faults, 0);
    rows
}

async fn login(hospital: &Hospital, role: &str) -> Client {
    hospital.nobody().login_as(&format!("{role}@generated.example"), PASSWORD).await
}

/// What everybody reads of the tables that have an archive, page by page.
async fn read(clients: &[Client]) -> Vec<Value> {
    let mut pages = Vec::new();
    for client in clients {
        for table in tables() {
            let mut after = String::new();
            loop {
                let answer = client.get(&format!("{}?limit=100{after}", table.replace('_', "-"))).await;
                if answer.status == 403 {
                    pages.push(json!({"refused": table}));
                    break;
                }
                let page = answer.done();
                pages.push(page["items"].clone());
                let Some(next) = page["next"].as_str() else { break };
                after = format!("&cursor={next}");
            }
        }
    }
    pages
}

#[tokio::test]
async fn what_is_old_moves_into_archives_and_everybody_reads_it_as_before() {
    let hospital = Hospital::generated(|_| {}).await;
    let mut clients = Vec::new();
    for role in ["administrator", "doctor", "nurse", "receptionist", "pharmacist", "lab_technician"] {
        clients.push(login(&hospital, role).await);
    }
    hospital.until_shown().await;
    let (shown, before) = (read(&clients).await, contents(hospital.owner(), "hims").await);
    let said = did(&hospital, &["archive"]);
    let of_tables = moved(&said);
    for table in ["consultations", "vital_signs", "diagnoses", "billing_records", "billing_items", "billing_payments"] {
        assert!(of_tables.get(table).is_some_and(|it| *it > 0), "{said}");
    }
    let rows: i64 = of_tables.values().sum();
    assert!(said.contains(&format!("{rows} rows were archived")), "{said}");
    assert_eq!(checked(&hospital).await, rows);
    for (table, ids) in archived(&hospital).await {
        assert_eq!(i64::try_from(ids.len()).ok(), Some(of_tables.get(table).copied().unwrap_or(0)), "{table}");
        let left = count(hospital.owner(), &format!("only hims.{table}")).await;
        assert_eq!(usize::try_from(left).ok(), Some(before[table].len() - ids.len()), "{table}");
    }
    assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
    // An archived row is found in lists, by its key, and by the people who found it before.
    assert_same(read(&clients).await.iter().map(Value::to_string), shown.iter().map(Value::to_string));
    let old: Uuid = sqlx::query_scalar("select id from hims.consultations_archive order by id limit 1")
        .fetch_one(hospital.owner())
        .await
        .expect("an archived consultation");
    assert_eq!(clients[1].row("consultations", &old.to_string()).await["status"], "completed");
    // A consultation with an open bill stays, and nothing that is not over seven years old goes.
    let sql = "hims.consultations_archive where completed_at >= now() - interval '7 years' or status <> 'completed'";
    assert_eq!(count(hospital.owner(), sql).await, 0);
    let sql = "only hims.consultations c where completed_at < now() - interval '7 years 1 day' and not exists (
                    select from hims.billing_records b
                     where b.consultation_id = c.id and b.status in ('billed', 'pending') union all
                    select from hims.prescriptions p
                     where p.consultation_id = c.id and p.status not in ('dispensed', 'cancelled'))
                  and not exists (select from hims.lab_orders o where o.consultation_id = c.id)";
    assert_eq!(count(hospital.owner(), sql).await, 0, "nothing that can go stays");
    let sql = "only hims.consultations where completed_at < now() - interval '7 years 1 day'";
    assert!(count(hospital.owner(), sql).await > 0, "what is still open keeps its consultation");
    assert_eq!(
        did(&hospital, &["archive"]),
        format!("0 rows were archived\n{}", said.lines().last().unwrap_or("")) + "\n"
    );
    let verified = did(&hospital, &["verify", "--deep"]);
    assert!(verified.contains(&format!("{rows} archived rows were compared with the read tables, 0 do not fit")));
    assert!(did(&hospital, &["status"]).contains("what was closed before "));
}

/// Several rows that belong to an archived consultation.
async fn unit(hospital: &Hospital) -> [Uuid; 3] {
    let sql = "select array[c.id, v.id, b.id] from hims.consultations_archive c
                 join hims.vital_signs_archive v on v.consultation_id = c.id
                 join hims.billing_records_archive b on b.consultation_id = c.id
                order by c.id, v.id, b.id limit 1";
    let ids: Vec<Uuid> = sqlx::query_scalar(sql).fetch_one(hospital.owner()).await.expect("an archived consultation");
    ids.try_into().expect("three rows")
}

/// Which of the rows of a unit are archived.
fn are_archived(archived: &BTreeMap<&str, BTreeSet<Uuid>>, unit: [Uuid; 3]) -> [bool; 3] {
    let of = ["consultations", "vital_signs", "billing_records"];
    std::array::from_fn(|nth| archived[of[nth]].contains(&unit[nth]))
}

#[tokio::test]
async fn what_something_happens_to_comes_back_with_all_that_belongs_to_it() {
    let hospital = Hospital::generated(|_| {}).await;
    did(&hospital, &["archive"]);
    let (all, unit) = (archived(&hospital).await, unit(&hospital).await);
    assert_eq!(are_archived(&all, unit), [true; 3]);
    let doctor = login(&hospital, "doctor").await;
    // An event of an archived row.
    let wrong = json!({"vital_signs_id": unit[1], "reason": "of another patient"});
    doctor.did("mark-vital-signs-entered-in-error", wrong).await;
    assert_eq!(doctor.row("vital-signs", &unit[1].to_string()).await["status"], "entered_in_error");
    let back = archived(&hospital).await;
    assert_eq!(are_archived(&back, unit), [false; 3]);
    let (before, after) = (all.values().flatten().count(), back.values().flatten().count());
    assert!(after < before && before - after < 30, "one unit comes back: {before} before and {after} after");
    checked(&hospital).await;
    // What happened is as old as the rest, so all of it is archived again.
    assert!(moved(&did(&hospital, &["archive"])).contains_key("consultations"));
    assert_eq!(archived(&hospital).await, all);
    // A new row that refers to an archived one. It is not old, so the unit stays.
    let amended =
        json!({"consultation_id": unit[0], "reason": "a late letter", "findings": {"plan": "See the letter."}});
    doctor.did("amend-consultation", amended).await;
    assert_eq!(doctor.row("consultations", &unit[0].to_string()).await["plan"], "See the letter.");
    assert_eq!(archived(&hospital).await, back);
    assert!(did(&hospital, &["archive"]).starts_with("0 rows were archived"));
    assert_eq!(archived(&hospital).await, back);
    assert_eq!(checked(&hospital).await, i64::try_from(after).expect("a number"));
    assert_eq!(count(hospital.owner(), "hims.projection_failures").await, 0);
    did(&hospital, &["verify", "--deep"]);
    // The tables are those that follow from the log, wherever the rows are.
    hospital.until_shown().await;
    let projected = contents(hospital.owner(), "hims").await;
    rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
    assert_same_rows(&contents(hospital.owner(), "hims").await, &projected);
    assert_eq!(archived(&hospital).await, back);
}

#[tokio::test]
async fn a_rebuild_archives_the_same_again_and_tables_of_the_past_have_no_archive() {
    let hospital = Hospital::generated(|_| {}).await;
    did(&hospital, &["archive"]);
    let (all, before) = (archived(&hospital).await, contents(hospital.owner(), "hims").await);
    for _ in 0..2 {
        rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
        assert_eq!(archived(&hospital).await, all);
        assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
        checked(&hospital).await;
    }
    let head = hospital.node.store.current_head().await.expect("the head is read");
    rebuild(&hospital).run(&Target::Position(head, "then_a".to_owned()), |_| {}).await.expect("a past");
    assert_same_rows(&contents(hospital.owner(), "then_a").await, &contents(hospital.owner(), "hims").await);
    assert_eq!(count(hospital.owner(), "then_a.projection_archive").await, 0);
}

#[tokio::test]
async fn what_was_archived_comes_back_by_its_id_or_as_a_whole() {
    let hospital = Hospital::generated(|_| {}).await;
    let before = contents(hospital.owner(), "hims").await;
    let there = moved(&did(&hospital, &["archive", "--years", "5"]));
    let unit = unit(&hospital).await;
    let one = moved(&did(&hospital, &["archive", "--bring-back", &unit[1].to_string()]));
    assert_eq!((one["consultations"], one["billing_records"]), (1, 1));
    assert_eq!(are_archived(&archived(&hospital).await, unit), [false; 3]);
    assert!(did(&hospital, &["archive", "--bring-back", &unit[1].to_string()]).starts_with("0 rows were brought back"));
    let rest = moved(&did(&hospital, &["archive", "--bring-back"]));
    let sum = |of: &BTreeMap<String, i64>| of.values().sum::<i64>();
    assert_eq!(sum(&one) + sum(&rest), sum(&there));
    assert_eq!(checked(&hospital).await, 0);
    let joined = "pg_inherits i join pg_class c on c.oid = i.inhrelid where c.relname like '%\\_archive'";
    assert_eq!(count(hospital.owner(), joined).await, 0, "nobody looks into empty archives");
    // A rebuild archives nothing any more.
    rebuild(&hospital).run(&Target::Swap, |_| {}).await.expect("a rebuild");
    assert_eq!(checked(&hospital).await, 0);
    assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
    assert_eq!(run(&hospital, &["archive", "--years", "0"]).status.code(), Some(2));
}

#[tokio::test]
async fn archiving_that_broke_off_anywhere_is_done_by_the_next_run() {
    let hospital = Hospital::generated(|_| {}).await;
    let before = contents(hospital.owner(), "hims").await;
    let statements: [(&[u8], bool); 6] = [
        (b"update log.archiving set before", true),
        (b"projection_checkpoint for update", true),
        (b"inherit consultations", true),
        (b"delete from only vital_signs where", true),
        (b"insert into projection_archive", true),
        (b"set run_at", false),
    ];
    for (statement, is_nothing_moved) in statements {
        let proxy = Proxy::start().await;
        let captured = proxy.capture(statement);
        let broken = archive(proxy.options(&hospital.database.options));
        let (broken, ()) =
            join(broken.run(YEARS, |_| {}), async { drop(captured.await.expect("the statement is sent")) }).await;
        broken.expect_err(&String::from_utf8_lossy(statement));
        assert_eq!(checked(&hospital).await == 0, is_nothing_moved, "{}", String::from_utf8_lossy(statement));
        assert_same_rows(&contents(hospital.owner(), "hims").await, &before);
    }
    // A rebuild does what the broken run was about to do.
    let (all, rows) = (archived(&hospital).await, checked(&hospital).await);
    let archive = archive(hospital.database.options.clone());
    archive.bring_back(Back::All, |_| {}).await.expect("everything comes back");
    archive.run(YEARS, |_| {}).await.expect("the next run");
    assert_eq!((archived(&hospital).await, checked(&hospital).await), (all, rows));
}

#[tokio::test]
async fn commands_and_reads_go_on_while_rows_move() {
    let hospital = Hospital::generated(|_| {}).await;
    let doctor = login(&hospital, "doctor").await;
    let patients = doctor.items("patients?limit=10").await;
    let sql = "select count(*) from hims.consultations";
    let expected: i64 = sqlx::query_scalar(sql).fetch_one(hospital.owner()).await.expect("a number");
    let archive = archive(hospital.database.options.clone());
    let over = AtomicBool::new(false);
    let moving = async {
        for _ in 0..3 {
            assert!(!archive.run(YEARS, |_| {}).await.expect("archived").is_empty());
            assert!(!archive.bring_back(Back::All, |_| {}).await.expect("brought back").is_empty());
        }
        archive.run(YEARS, |_| {}).await.expect("archived");
        over.store(true, Ordering::SeqCst);
    };
    let working = async {
        let mut done = 0;
        while !over.load(Ordering::SeqCst) {
            let pulse = json!({"patient_id": patients[done % patients.len()]["id"], "heart_rate": 72});
            let id = doctor.did("record-vital-signs", pulse).await;
            assert_eq!(doctor.row("vital-signs", &id).await["heart_rate"], 72);
            let seen: i64 = sqlx::query_scalar(sql).fetch_one(hospital.owner()).await.expect("a number");
            assert_eq!(seen, expected, "each row is in one place at any moment");
            done += 1;
        }
        done
    };
    let ((), done) = join(moving, working).await;
    assert!(done > 3, "{done} commands were carried out meanwhile");
    hospital.until_shown().await;
    assert!(checked(&hospital).await > 0);
    assert_eq!(count(hospital.owner(), "hims.projection_failures").await, 0);
}

#[tokio::test]
async fn a_server_archives_by_itself_if_a_setting_says_so() {
    let hospital = Hospital::generated(|settings| settings.archive_after_years = Some(YEARS)).await;
    let noted = "log.archiving where run_at is not null and before < now() - interval '6 years 11 months'";
    until(async || count(hospital.owner(), noted).await == 1).await;
    assert!(checked(&hospital).await > 0);
    let nobody = hospital.nobody();
    let metrics = nobody.send(nobody.request(reqwest::Method::GET, "/metrics")).await;
    let gauge = metrics.text.lines().find_map(|line| line.strip_prefix("hims_archive_timestamp_seconds "));
    assert!(gauge.is_some_and(|it| it != "0"), "{}", metrics.text);
}
