//! Who may do what in SQL, with the role of the database that reads for callers. Part of the tests of `access.txt`.

use std::collections::{BTreeMap, BTreeSet};

use hims_projections::TABLES;
use hims_testing::assert_same;
use reqwest::Method;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection};

use super::access_file::{BEHIND, CHANGES, part};
use super::access_matrix::{InRole, Seen, coder, in_each_role};
use super::{Client, Hospital};

/// The SQL state of a statement for which the role has no privilege.
pub(super) const NO_PRIVILEGE: &str = "42501";
/// The SQL states of a statement that changes or empties a view which cannot be changed by anybody.
const NO_TABLE: [&str; 3] = ["55000", "42809", "0A000"];

/// The relations of the schemas that are not PostgreSQL's own: name, whether it is a view, first column.
const RELATIONS: &str = "
    select format('%s.%s', relnamespace::regnamespace, relname), relkind = 'v',
           (select attname::text from pg_attribute where attrelid = c.oid and attnum = 1)
      from pg_class c
     where relnamespace::regnamespace::text !~ '^(pg_|information_schema)' and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
     order by 1";

/// A caller in SQL: a connection of the server's login that works in the role `hims_reader` and says who asks, as each
/// statement of the server does.
pub(super) struct Reader {
    db: PgConnection,
}

impl Reader {
    pub(super) async fn of(hospital: &Hospital, user_id: &str) -> Self {
        let identity = "
            select u.id::text, coalesce(u.patient_id::text, ''), coalesce(u.department_id::text, ''), r.name::text,
                   (select string_agg(word, ',') from jsonb_array_elements_text(r.permissions -> 'read') as word)
              from hims.users u join hims.user_roles r on r.id = u.role_id where u.id = $1::text::uuid";
        let identity: (String, String, String, String, String) =
            sqlx::query_as(identity).bind(user_id).fetch_one(hospital.owner()).await.expect("a user");
        let mut db = hospital.database.options.connect().await.expect("a connection");
        db.execute("set role hims_reader").await.expect("the role that reads");
        sqlx::query(
            "select set_config('hims.user_id', $1, false), set_config('hims.patient_id', $2, false),
                    set_config('hims.department_id', $3, false), set_config('hims.role', $4, false),
                    set_config('hims.reads', $5, false)",
        )
        .bind(identity.0)
        .bind(identity.1)
        .bind(identity.2)
        .bind(identity.3)
        .bind(identity.4)
        .execute(&mut db)
        .await
        .expect("the settings are made");
        Self { db }
    }

    /// The ids of all rows of a read table that the caller sees.
    pub(super) async fn ids(&mut self, table: &str) -> BTreeSet<String> {
        self.texts(&format!("select id::text from hims.{table}")).await
    }

    /// A column of texts.
    async fn texts(&mut self, sql: &str) -> BTreeSet<String> {
        let found = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql)).fetch_all(&mut self.db).await;
        found.expect(sql).into_iter().collect()
    }

    async fn count(&mut self, from: &str) -> i64 {
        let sql = format!("select count(*) from {from}");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.db).await.expect(from)
    }

    /// The SQL state with which PostgreSQL refuses a statement.
    async fn refused(&mut self, sql: &str) -> String {
        refused(&mut self.db, sql).await
    }
}

/// The SQL state with which PostgreSQL refuses a statement.
pub(super) async fn refused(db: &mut PgConnection, sql: &str) -> String {
    let error = db.execute(AssertSqlSafe(sql)).await.expect_err(sql);
    let state = error.as_database_error().and_then(|it| it.code().map(std::borrow::Cow::into_owned));
    state.expect("a refusal of the database")
}

/// Fails unless each role reads of everything behind the tables what the file says. `seen` are the rows that each role
/// reads of the tables, all of which are archived if their table has an archive.
pub(super) async fn assert_behind(hospital: &Hospital, people: &mut BTreeMap<&'static str, InRole>, seen: &Seen) {
    let mut owner = hospital.database.superuser().await;
    for ((name, _), word) in part(BEHIND).cells.iter().filter(|it| !it.0.0.contains("____")) {
        for (role, InRole { reader, .. }) in people.iter_mut() {
            let of = |table: &str| &seen[&((*role).to_owned(), table.to_owned())];
            match word.as_str() {
                "-" => assert_eq!(reader.refused(&format!("select * from {name}")).await, NO_PRIVILEGE, "{name}"),
                "all" => {
                    let sql = format!("select count(*) from {name}");
                    let all: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut owner).await.expect("a count");
                    assert_eq!(reader.count(name).await, all, "{role} reads {name}");
                }
                "admin" | "run" => {
                    let count = reader.count(name).await;
                    let may = *role == "administrator" || word == "run" && *role == "operator";
                    assert!(count == 0 || may, "{role} reads {count} rows of {name}");
                }
                "same" => {
                    let sql = format!("select id::text from {name}");
                    let table = name.trim_start_matches("hims.").trim_end_matches("_archive");
                    let archived: Vec<String> =
                        sqlx::query_scalar(AssertSqlSafe(sql.clone())).fetch_all(&mut owner).await.expect("ids");
                    assert!(!archived.is_empty() || table == "audit_logs", "{name} has rows");
                    let expected = archived.into_iter().filter(|it| of(table).contains(it));
                    assert_same(reader.texts(&sql).await, expected);
                }
                "keys" | "links" => {
                    let (sql, known) = match name.as_str() {
                        "hims.treating_users" => ("user_id", of("users")),
                        "hims.other_records" => ("patient_id", of("patient_links")),
                        _ => ("patient_id", of("patients")),
                    };
                    let links = "select patient_id::text from hims.patient_links
                                 union select duplicate_id::text from hims.patient_links";
                    let known = if word == "links" { reader.texts(links).await } else { known.clone() };
                    let keys = reader.texts(&format!("select {sql}::text from {name} where {sql} is not null")).await;
                    assert_same(keys.difference(&known).map(|it| format!("{role} finds {it} in {name}")), []);
                }
                column => {
                    reader.texts(&format!("select {column}::text from {name}")).await;
                    assert_eq!(reader.refused(&format!("select * from {name}")).await, NO_PRIVILEGE, "{name}");
                }
            }
        }
    }
}

/// The statement of a verb that changes rows.
fn changing(verb: &str, relation: &str, column: &str) -> String {
    match verb {
        "insert" => format!("insert into {relation} default values"),
        "update" => format!("update {relation} set \"{column}\" = \"{column}\""),
        "delete" => format!("delete from {relation}"),
        "truncate" => format!("truncate {relation} cascade"),
        _ => panic!("{verb} changes no rows"),
    }
}

/// The requests that would do the same over HTTP.
fn requests(verb: &str, route: &str) -> Vec<(Method, String)> {
    let row = format!("{route}/{}", uuid::Uuid::nil());
    match verb {
        "insert" => vec![(Method::POST, route.to_owned())],
        "update" => vec![(Method::PUT, row.clone()), (Method::PATCH, row)],
        "delete" => vec![(Method::DELETE, row)],
        _ => vec![(Method::DELETE, route.to_owned())],
    }
}

#[tokio::test]
async fn nobody_changes_a_row_but_by_a_command() {
    let hospital = Hospital::start().await;
    coder(&hospital).await;
    let mut people = in_each_role(&hospital).await;
    let mut db = hospital.owner().acquire().await.expect("a connection");
    let relations: Vec<(String, bool, String)> =
        sqlx::query_as(RELATIONS).fetch_all(&mut *db).await.expect("the catalogue is read");
    // Everything in the database stands in the file, and nothing else does.
    let tables: BTreeSet<_> = TABLES.iter().map(|it| format!("hims.{}", it.name)).collect();
    let of_a_month = |name: &str| match name.split_once("_y2") {
        Some((table, _)) => format!("{table}_y____m__"),
        None => name.to_owned(),
    };
    let behind: BTreeSet<_> =
        relations.iter().filter(|it| !tables.contains(&it.0)).map(|it| of_a_month(&it.0)).collect();
    assert_same(behind.iter().map(String::as_str), part(BEHIND).lines());
    let agreed = part(CHANGES);
    assert_same(agreed.lines(), ["insert", "update", "delete", "truncate"]);
    assert_same(agreed.columns.iter().map(String::as_str), people.keys().copied());
    for ((verb, role), cell) in &agreed.cells {
        assert_eq!(cell, "-", "{role} may {verb}");
        let InRole { client, reader, .. } = people.get_mut(role.as_str()).expect("somebody");
        for (relation, is_view, column) in &relations {
            let sql = changing(verb, relation, column);
            let state = reader.refused(&sql).await;
            assert!(state == NO_PRIVILEGE || *is_view && NO_TABLE.contains(&state.as_str()), "{role}: {sql}: {state}");
        }
        for table in TABLES {
            for (method, route) in requests(verb, &format!("/api/v1/{}", table.name.replace('_', "-"))) {
                refused_over_http(client, method, &route).await;
            }
        }
    }
}

async fn refused_over_http(client: &Client, method: Method, route: &str) {
    let request = client.request(method.clone(), route).json(&serde_json::json!({}));
    let answer = client.send(request).await;
    assert_eq!(answer.status, 405, "{method} {route}: {}", answer.text);
}

#[tokio::test]
async fn whatever_is_about_a_patient_is_protected_from_its_owner_too() {
    let hospital = Hospital::start().await;
    let sql = "
        select c.oid::regclass::text
          from pg_class c
         where c.relkind in ('r', 'p', 'm', 'f') and not (c.relrowsecurity and c.relforcerowsecurity)
           and (c.relname like 'patients%'
                or exists (select from pg_attribute where attrelid = c.oid and attname ~ '(^|_)patient(s|_id)?(_|$)'))";
    let mut db = hospital.owner().acquire().await.expect("a connection");
    let open: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *db).await.expect("the catalogue is read");
    assert_eq!(open, Vec::<String>::new());
    let protected = sql.replace("and not (", "and (");
    let protected: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(protected)).fetch_all(&mut *db).await.expect("the catalogue is read");
    let with_patients = TABLES.iter().filter(|it| it.name == "patients" || it.column("patient_id").is_some()).count();
    assert!(protected.len() > with_patients, "{protected:?}");
}
