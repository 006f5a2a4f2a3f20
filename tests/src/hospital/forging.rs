//! Nobody takes on the identity of somebody else by anything that they send, neither in SQL nor over HTTP.

use std::collections::BTreeSet;

use hims_testing::assert_same;
use reqwest::Method;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection};

use super::Hospital;
use super::access_sql::{NO_PRIVILEGE, refused};

/// A login that may become `hims_reader` and has a schema of its own, as one for somebody's reports: its options, and
/// the name of login and schema.
async fn stranger(hospital: &Hospital) -> (PgConnectOptions, String) {
    let mut superuser = hospital.database.superuser().await;
    // All databases of the cluster share their roles, so the role is named after this database.
    let name = format!("reporting_{}", hospital.database.options.get_database().expect("a name"));
    for sql in [
        format!("create role {name} login in role hims_reader"),
        format!("create schema {name} authorization {name}"),
        format!("grant temporary on database {} to {name}", hospital.database.options.get_database().expect("a name")),
    ] {
        superuser.execute(AssertSqlSafe(sql)).await.expect("a stranger");
    }
    (hospital.database.options.clone().username(&name), name)
}

/// Functions and operators with the names of those on which row-level security relies, which say what a thief wants.
fn false_friends(schema: &str) -> String {
    let function = |head: &str, value: &str| {
        format!("create function {schema}.{head} language sql immutable as $$ select {value} $$;")
    };
    [
        function("pg_has_role(name, text, text) returns boolean", "true"),
        function("pg_has_role(text, text, text) returns boolean", "true"),
        function("current_setting(text, boolean) returns text", "'all_data'::text"),
        function("string_to_array(text, text) returns text[]", "array['all_data']"),
        function("overlaps(text[], text[]) returns boolean", "true"),
        function("joined(text, text) returns text", "'hims.reads'::text"),
        format!("create operator {schema}.&& (leftarg = text[], rightarg = text[], function = {schema}.overlaps);"),
        format!("create operator {schema}.|| (leftarg = text, rightarg = text, function = {schema}.joined);"),
        "create temp view own_patients as select null::uuid as patient_id;".to_owned(),
        "create temp view patient_links as select null::uuid as patient_id;".to_owned(),
        format!("set search_path = {schema}, pg_temp, pg_catalog, hims;"),
    ]
    .concat()
}

#[tokio::test]
async fn an_identity_cannot_be_forged_in_sql() {
    let hospital = Hospital::start().await;
    super::demo::busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    let (options, name) = stranger(&hospital).await;
    let mut db = options.connect().await.expect("the stranger logs in");
    let all_names: Vec<String> = {
        let sql = "select relname::text from pg_class c where relnamespace = 'hims'::regnamespace
                      and relkind in ('r', 'p', 'v') and has_table_privilege('hims_reader', c.oid, 'select')
                      and not exists (select from pg_policy where polrelid = c.oid and polname = 'reader_reads'
                                         and pg_get_expr(polqual, polrelid) = 'true')";
        sqlx::query_scalar(sql).fetch_all(hospital.owner()).await.expect("the catalogue is read")
    };
    assert!(all_names.len() > 60, "{all_names:?}");
    let sees_nothing = async |db: &mut PgConnection, how: &str| {
        for name in &all_names {
            let column = if name == "own_patients" { "patient_id" } else { "*" };
            let sql = format!("select count({column}) from hims.{name}");
            let seen: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *db).await.expect(name);
            assert_eq!(seen, 0, "the stranger reads {name}: {how}");
        }
    };
    let administrator = format!(
        "select set_config('hims.reads', 'all_data,all_patients,own_records', false),
                set_config('hims.user_id', '{}', false), set_config('hims.patient_id', '{}', false),
                set_config('hims.department_id', '{}', false), set_config('hims.role', 'administrator', false),
                set_config('hims.lists_assigned_patients', 'yes', false)",
        super::demo::user(1),
        super::demo::patient(1),
        super::demo::department(1),
    );
    for role in [&name, "hims_reader"] {
        db.execute(AssertSqlSafe(format!("reset all; set role {role}"))).await.expect("a role of the stranger's");
        sees_nothing(&mut db, "no setting").await;
        db.execute(AssertSqlSafe(administrator.clone())).await.expect("the settings are made");
        sees_nothing(&mut db, "settings of an administrator").await;
    }
    db.execute("reset role").await.expect("the login itself");
    sqlx::raw_sql(AssertSqlSafe(false_friends(&name))).execute(&mut db).await.expect("false friends");
    let is_fooled: bool = sqlx::query_scalar("select pg_has_role(session_user, 'hims_writer', 'member')")
        .fetch_one(&mut db)
        .await
        .expect("an answer");
    assert!(is_fooled, "the stranger's function stands before PostgreSQL's");
    sees_nothing(&mut db, "functions of the stranger's own").await;
    for sql in forbidden(&name) {
        assert_eq!(refused(&mut db, &sql).await, NO_PRIVILEGE, "{sql}");
    }
}

/// What a login that may only read is refused.
fn forbidden(name: &str) -> Vec<String> {
    let roles = ["hims", "hims_owner", "hims_tables", "hims_writer", "hims_projector", "postgres"];
    let become_another =
        roles.iter().flat_map(|it| [format!("set role {it}"), format!("set session authorization {it}")]);
    let others = [
        "set session_replication_role = replica",
        "set row_security = off; select count(*) from hims.patients",
        "alter table hims.patients no force row level security",
        "alter policy reader_reads on hims.patients using (true)",
        "drop policy reader_reads on hims.patients",
        "create table hims.mine (id uuid)",
        "create view hims.mine as select 1",
        "create function hims_identity.mine() returns int language sql as 'select 1'",
        "create or replace function public.mine() returns int language sql as 'select 1'",
        "create schema another",
        "copy hims.departments to program 'cat'",
        "select pg_read_file('PG_VERSION')",
        "select ssn from hims.patients",
        "select password_hash from hims.users",
        "select * from log.events",
        "select rolpassword from pg_authid",
    ];
    let granted = [format!("grant hims_writer to {name}"), format!("alter role {name} superuser")];
    become_another.chain(others.map(str::to_owned)).chain(granted).collect()
}

/// A function that works with the rights of its owner must have a search path of its own, and one in which row-level
/// security asks who somebody is must be read when it is made: else a login could bring the functions that it uses.
#[tokio::test]
async fn functions_for_policies_do_not_depend_on_the_search_path() {
    let hospital = Hospital::start().await;
    let sql = "
        select p.oid::regprocedure::text
          from pg_proc p
         where pronamespace::regnamespace::text in ('hims', 'log', 'hims_identity', 'public')
           and not exists (select from pg_depend where objid = p.oid and deptype = 'e')
           and case when prosecdef then coalesce(array_to_string(proconfig, ',') !~ 'search_path=.*pg_temp$', true)
                    else prolang = (select oid from pg_language where lanname = 'sql') and provolatile <> 'i'
                         and prosqlbody is null end";
    let mut db = hospital.owner().acquire().await.expect("a connection");
    let open: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *db).await.expect("the catalogue is read");
    assert_eq!(open, Vec::<String>::new());
}

/// A text as a value in a query.
fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"))
}

/// Over HTTP nothing that a caller sends is part of a statement or an identity.
#[tokio::test]
async fn an_identity_cannot_be_forged_over_http() {
    let hospital = Hospital::start().await;
    let nurse = hospital.login("nurse").await;
    let ids = |answer: &serde_json::Value| -> BTreeSet<String> {
        let items = answer["items"].as_array().expect("items").iter();
        items.map(|it| it["id"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let hers = ids(&nurse.get("patients?limit=500").await.done());
    assert!(!hers.is_empty());
    let forged = "') or set_config('hims.reads', 'all_data', true) is not null --";
    for name in
        ["q", "id", "mrn", "last_name", "email", "phone_primary", "sort", "cursor", "limit", "hims.reads", "role"]
    {
        for value in [forged, "all_data", "{all_data}", "$5", "' or true --", "\\'; reset role; --"] {
            let answer = nurse.get(&format!("patients?{name}={}", encoded(value))).await;
            let is_harmless = match answer.status {
                200 => ids(&answer.json()).is_subset(&hers),
                status => status == 400,
            };
            assert!(is_harmless, "{name}={value}: {} {}", answer.status, answer.text);
        }
    }
    for name in ["hims.reads", "hims-reads", "x-hims-role", "x-forwarded-user", "x-remote-user", "x-user-id"] {
        for value in ["all_data", "administrator", &super::demo::user(1)] {
            let request = nurse.request(Method::GET, "/api/v1/patients?limit=500").header(name, value);
            assert_same(ids(&nurse.send(request).await.done()), hers.clone());
        }
    }
}
