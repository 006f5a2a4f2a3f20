//! What the database itself refuses to the roles of the server, whatever SQL is sent.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};

use super::Hospital;
use super::demo::{RECORDS, patient};
use super::protection::PUBLIC;
use super::tables::count;

const SECRETS: [(&str, &str); 4] =
    [("users", "password_hash"), ("user_sessions", "token_hash"), ("patients", "ssn"), ("patients", "ssn_blind_index")];

/// Sets for the transaction who the reader is, as the server does.
async fn say(db: &mut PgConnection, reads: &str, patient_id: &str) {
    sqlx::query("select set_config('hims.reads', $1, true), set_config('hims.patient_id', $2, true)")
        .bind(reads)
        .bind(patient_id)
        .execute(db)
        .await
        .expect("the settings are made");
}

/// How many patients the connection sees.
async fn patients(db: &mut PgConnection) -> usize {
    let sql = "select count(*) from hims.patients";
    let count: i64 = sqlx::query_scalar(sql).fetch_one(db).await.expect("a number");
    usize::try_from(count).expect("a count")
}

/// How many patients the connection sees in the view of patients with a prescription, which policies use.
async fn prescribed(db: &mut PgConnection) -> i64 {
    let sql = "select count(distinct patient_id) from hims.prescribed_patients";
    sqlx::query_scalar(sql).fetch_one(db).await.expect("a number")
}

/// The SQL state with which PostgreSQL refuses a statement.
async fn refused(pool: &PgPool, sql: String) -> String {
    let mut transaction = pool.begin().await.expect("a transaction");
    say(&mut transaction, "all_data", "").await;
    let error = transaction.execute(AssertSqlSafe(sql.clone())).await.expect_err(&sql);
    error
        .as_database_error()
        .and_then(|it| it.code().map(std::borrow::Cow::into_owned))
        .expect("a refusal of the database")
}

#[tokio::test]
async fn the_reading_role_sees_the_rows_of_whoever_asks_and_nothing_when_nobody_does() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    let readers = hospital.database.pool_as("hims_reader");
    for (reads, patient_id, expected) in [
        ("", "", 0),
        ("all_data", "", RECORDS),
        ("all_patients", "", RECORDS),
        ("own_records", patient(2).as_str(), 1),
        ("own_records", "", 0),
        // Four patients of the demo have a prescription that was sent.
        ("prescriptions", "", 4),
        ("lab_orders", "", 4),
        ("staff", patient(2).as_str(), 0),
    ] {
        let mut transaction = readers.begin().await.expect("a transaction");
        say(&mut transaction, reads, patient_id).await;
        assert_eq!(patients(&mut transaction).await, expected, "reads {reads:?} as {patient_id:?}");
    }
    // The settings end with their transaction.
    assert_eq!(count(&readers, "hims.patients").await, 0);
}

#[tokio::test]
async fn the_reading_role_changes_nothing() {
    let hospital = Hospital::start().await;
    let readers = hospital.database.pool_as("hims_reader");
    for table in hims_projections::TABLES.iter().map(|it| it.name) {
        for sql in [
            format!("insert into hims.{table} default values"),
            format!("update hims.{table} set id = id"),
            format!("delete from hims.{table}"),
            format!("truncate hims.{table} cascade"),
        ] {
            assert_eq!(refused(&readers, sql.clone()).await, "42501", "{sql}");
        }
    }
    for (table, column) in SECRETS {
        assert_eq!(refused(&readers, format!("select {column} from hims.{table}")).await, "42501", "{table}.{column}");
    }
    for table in ["events", "unique_claims", "subject_keys", "master_keys", "receipts", "snapshots", "report_files"] {
        assert_eq!(refused(&readers, format!("select * from log.{table}")).await, "42501", "log.{table}");
    }
}

#[tokio::test]
async fn the_writing_and_the_projecting_role_leave_the_log_alone() {
    let hospital = Hospital::start().await;
    for role in ["hims_writer", "hims_projector"] {
        let pool = hospital.database.pool_as(role);
        for sql in ["update log.events set version = version", "delete from log.events", "truncate log.events"] {
            assert_eq!(refused(&pool, sql.to_owned()).await, "42501", "{role}: {sql}");
        }
    }
}

#[tokio::test]
async fn a_login_that_is_not_the_servers_cannot_pretend() {
    let hospital = Hospital::start().await;
    super::demo::busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    let mut db = hospital.database.superuser().await;
    // All databases of the cluster share their roles, so the role is named after this database.
    let role = format!("stranger_{}", hospital.database.options.get_database().expect("a name"));
    for sql in [
        format!("create role {role} login in role hims_reader"),
        format!("set session authorization {role}"),
        "select set_config('hims.reads', 'all_data,prescriptions', false)".to_owned(),
    ] {
        db.execute(AssertSqlSafe(sql)).await.expect("a stranger");
    }
    assert_eq!((patients(&mut db).await, prescribed(&mut db).await), (0, 0));
    db.execute("set session authorization hims; set role hims_reader").await.expect("the server's own login");
    // The patients of the demo, and the patient of the busy day.
    assert_eq!((patients(&mut db).await, prescribed(&mut db).await), (RECORDS + 1, 5));
    db.close().await.expect("closed");
}

#[tokio::test]
async fn even_the_owner_sees_nothing_without_a_policy() {
    let hospital = Hospital::start().await;
    hospital.settle().await;
    let mut db = hospital.owner().begin().await.expect("a transaction");
    let names = hims_projections::TABLES.iter().map(|it| it.name);
    let private: Vec<_> = names.filter(|name| PUBLIC.iter().all(|it| it.0 != *name)).collect();
    // The policies for readers, who may be the owner too, look into other tables; so all tables lose theirs first.
    for table in &private {
        // The projector's policy applies to the owner too, who is a member of that role.
        for policy in ["owner_works", "projector_works"] {
            let drop = format!("drop policy {policy} on hims.{table}");
            db.execute(AssertSqlSafe(drop)).await.expect("every protected table has these policies");
        }
    }
    for table in private {
        let sql = format!("select count(*) from hims.{table}");
        let seen: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *db).await.expect("a number");
        assert_eq!(seen, 0, "{table}: the owner sees rows without a policy");
    }
}
