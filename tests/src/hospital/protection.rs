//! Row-level security protects every read table as the declaration of the table says.

use std::collections::{BTreeMap, BTreeSet};

use hims_domain::permission::Read;
use hims_projections::{TABLES, Target, archive};
use hims_testing::assert_same;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::Hospital;
use super::demo::{busy_day, patient, user};
use super::releases::rebuild;
use crate::support::database;

/// The tables whose rows everybody reads, each with the reason why that does no harm.
pub(super) const PUBLIC: [(&str, &str); 16] = [
    ("projection_checkpoint", "every reader is told the position of what they read"),
    ("projection_failures", "which streams are parked: streams, tables and fields, but no person"),
    ("user_roles", "what roles may do, but not which user has a role"),
    ("departments", "names and phone numbers of departments"),
    ("rooms", "numbers and names of rooms"),
    ("provider_schedules", "when providers work"),
    ("schedule_exceptions", "when providers work on single days"),
    ("provider_leaves", "when providers are away; the reason is hidden"),
    ("lab_tests", "the laboratory's catalogue"),
    ("lab_reference_ranges", "the laboratory's catalogue"),
    ("reports", "which reports the program can make"),
    ("medications", "the catalogue"),
    ("medication_ingredients", "the catalogue"),
    ("drug_interactions", "what sources and the hospital say about pairs of ingredients"),
    ("payers", "names, codes and addresses of insurers"),
    ("price_list_items", "what services cost"),
];

/// The runner's own tables, which are not declared with `table!`.
const BOOKKEEPING: [&str; 3] = ["projection_archive", "projection_checkpoint", "projection_failures"];

/// The table of which a table is the archive; the table itself if it is none.
fn living(name: &str) -> &str {
    name.strip_suffix("_archive").filter(|it| *it != "projection").unwrap_or(name)
}

/// The views in which policies look up patients and users, each with the column that holds the key.
const VIEWS: [(&str, &str); 8] = [
    ("all_assigned_patients", "patient_id"),
    ("assigned_patients", "patient_id"),
    ("other_records", "patient_id"),
    ("own_patients", "patient_id"),
    ("prescribed_patients", "patient_id"),
    ("tested_patients", "patient_id"),
    ("treating_users", "user_id"),
    ("visiting_patients", "patient_id"),
];

/// A table as the catalogue of PostgreSQL describes it.
#[derive(sqlx::FromRow)]
struct Found {
    name: String,
    is_partition: bool,
    is_enabled: bool,
    is_forced: bool,
    /// The names of all policies, for whichever role a policy is.
    policies: Vec<String>,
    /// The condition of the policy `reader_reads`; `None` unless the policy is for reading, by readers alone.
    condition: Option<String>,
    /// The permission words of which a reader needs one, from the comment on the policy `reader_reads`.
    words: Option<String>,
    /// The columns that `hims_reader` may select.
    readable: Vec<String>,
    /// The columns that `hims_reader` may not select.
    hidden: Vec<String>,
    /// The other roles that have a privilege on the table or on a column of the table.
    strangers: Vec<String>,
}

/// The tables of a schema, with their partitions.
async fn tables(db: &mut PgConnection, schema: &str) -> Vec<Found> {
    let sql = "
        select c.relname::text as name, c.relispartition as is_partition, c.relrowsecurity as is_enabled,
               c.relforcerowsecurity as is_forced,
               array(select polname::text from pg_policy where polrelid = c.oid order by 1) as policies,
               (select pg_get_expr(polqual, polrelid) from pg_policy
                 where polrelid = c.oid and polname = 'reader_reads' and polcmd = 'r' and polpermissive
                   and polroles = array['hims_reader'::regrole::oid]) as condition,
               (select obj_description(oid, 'pg_policy') from pg_policy
                 where polrelid = c.oid and polname = 'reader_reads') as words,
               array(select attname::text from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
                        and has_column_privilege('hims_reader', c.oid, attnum, 'select')) as readable,
               array(select attname::text from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
                        and not has_column_privilege('hims_reader', c.oid, attnum, 'select')) as hidden,
               array(select distinct coalesce(nullif(g.grantee, 0)::regrole::text, 'public')
                       from (select relacl as acl union all select attacl from pg_attribute where attrelid = c.oid) a,
                            aclexplode(a.acl) g
                      where g.grantee not in (c.relowner, 'hims_reader'::regrole, 'hims_projector'::regrole)) as strangers
          from pg_class c where c.relnamespace = $1::text::regnamespace and c.relkind in ('r', 'p', 'm', 'f')
         order by c.relname";
    sqlx::query_as(sql).bind(schema).fetch_all(db).await.expect("a catalogue")
}

/// The permission words of which a reader needs one, from the declaration of the table.
fn declared_words(name: &str) -> BTreeSet<String> {
    let of_bookkeeping = if name == "projection_archive" { &[Read::AllData][..] } else { &[] };
    let declared = TABLES.iter().find(|table| table.name == living(name)).map_or(of_bookkeeping, |it| it.readers);
    let words: BTreeSet<_> = declared.iter().map(Read::to_string).collect();
    if words.is_empty() { BTreeSet::from(["everybody".to_owned()]) } else { words }
}

/// What is wrong with the protection of a table.
fn faults_of(table: &Found) -> Vec<String> {
    let mut faults = Vec::new();
    let mut unless = |holds: bool, fault: &str| {
        if !holds {
            faults.push(format!("{}: {fault}", table.name));
        }
    };
    unless(table.is_enabled && table.is_forced, "row-level security is not enabled, or not forced for the owner");
    unless(table.strangers.is_empty(), &format!("{:?} have privileges on the table", table.strangers));
    if table.is_partition && living(&table.name) == table.name {
        unless(
            table.policies == ["owner_works", "projector_works"],
            "the partition has other policies than every partition",
        );
        unless(table.readable.is_empty(), "readers can read the partition directly");
        return faults;
    }
    unless(
        table.policies == ["owner_works", "projector_works", "reader_reads"],
        "the table has other policies than every table",
    );
    let is_public = PUBLIC.iter().any(|it| it.0 == table.name);
    unless(table.condition.is_some(), "no policy says which rows a reader reads");
    unless(
        (table.condition.as_deref() == Some("true")) == is_public,
        "either the policy or PUBLIC says that everybody reads the table, but not both",
    );
    let words: BTreeSet<_> = table.words.iter().flat_map(|it| it.split(", ")).map(str::to_owned).collect();
    let declared = declared_words(&table.name);
    unless(words == declared, &format!("the policy is for {words:?}, the declaration says {declared:?}"));
    let hidden = TABLES
        .iter()
        .find(|declared| declared.name == living(&table.name))
        .into_iter()
        .flat_map(|declared| declared.columns);
    let hidden: BTreeSet<_> = hidden.filter(|column| column.hidden).map(|column| column.name).collect();
    let found: BTreeSet<_> = table.hidden.iter().map(String::as_str).collect();
    unless(found == hidden, &format!("readers cannot ask for {found:?}, the declaration hides {hidden:?}"));
    faults
}

/// What is wrong with the protection of a schema.
async fn faults(db: &mut PgConnection, schema: &str) -> Vec<String> {
    let tables = tables(db, schema).await;
    let mut faults: Vec<_> = tables.iter().flat_map(faults_of).collect();
    let found: BTreeSet<_> =
        tables.iter().filter(|it| !it.is_partition || living(&it.name) != it.name).map(|it| it.name.as_str()).collect();
    let archives: Vec<_> = archive::tables().chain(["audit_logs"]).map(|it| format!("{it}_archive")).collect();
    let archives = archives.iter().map(String::as_str);
    let declared: BTreeSet<_> = TABLES.iter().map(|it| it.name).chain(BOOKKEEPING).chain(archives).collect();
    faults.extend(
        found
            .symmetric_difference(&declared)
            .map(|it| format!("{it} is either declared or in the schema, but not both")),
    );
    // Whoever reads a row reads it in the archive, and nobody else does. PostgreSQL writes the casts in lists of codes in
    // another way each time that it reads a condition.
    let plain = |condition: &str| {
        let casts = ["::character varying", "::text[]", "::text", "(", ")"];
        casts.iter().fold(condition.to_owned(), |text, cast| text.replace(cast, ""))
    };
    for archive in tables.iter().filter(|it| living(&it.name) != it.name) {
        let table = tables.iter().find(|it| it.name == living(&archive.name)).expect("the table of an archive");
        let condition = archive.condition.as_deref().unwrap_or_default();
        let condition = condition.replace(&format!("{}.", archive.name), &format!("{}.", table.name));
        if Some(plain(&condition)) != table.condition.as_deref().map(plain) {
            faults.push(format!("{} is read by others than its table", archive.name));
        }
    }
    let sql = "select relname::text, relowner::regrole::text from pg_class
                where relnamespace = $1::text::regnamespace and relkind = 'v'";
    let views: BTreeMap<String, String> =
        sqlx::query_as(sql).bind(schema).fetch_all(db).await.expect("views").into_iter().collect();
    let expected = VIEWS.map(|(view, _)| (view.to_owned(), "hims_projector".to_owned())).into();
    if views != expected {
        faults.push(format!("the views are {views:?}, which are not those for the policies"));
    }
    faults
}

/// Which rows of each table a reader reads, by the policies of a schema, with the names that the schema `hims` has.
async fn conditions(db: &mut PgConnection, schema: &str) -> BTreeMap<String, Option<String>> {
    let unqualified = |condition: String| condition.replace(&format!("{schema}."), "");
    let tables = tables(db, schema).await.into_iter().filter(|table| !table.is_partition);
    tables.map(|table| (table.name, table.condition.map(unqualified))).collect()
}

#[tokio::test]
async fn every_table_of_every_schema_is_protected_as_it_is_declared() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    let mut db = hospital.owner().acquire().await.expect("a connection");
    assert_eq!(faults(&mut db, "hims").await, Vec::<String>::new());
    let migrated = conditions(&mut db, "hims").await;
    let partitions = tables(&mut db, "hims").await.iter().filter(|it| it.is_partition).count();
    assert!(partitions >= 2, "the audit log has {partitions} partitions");
    let rebuild = rebuild(&hospital);
    rebuild.run(&Target::Position(20, "then_x".to_owned()), |_| {}).await.expect("a past");
    assert_eq!(faults(&mut db, "then_x").await, Vec::<String>::new());
    assert_same(conditions(&mut db, "then_x").await, migrated.clone());
    rebuild.run(&Target::Swap, |_| {}).await.expect("a rebuild");
    assert_eq!(faults(&mut db, "hims").await, Vec::<String>::new());
    assert_same(conditions(&mut db, "hims").await, migrated);
}

#[tokio::test]
async fn whatever_is_taken_from_the_protection_of_a_table_is_missed() {
    let database = database().await;
    let mut db = database.owner.acquire().await.expect("a connection");
    let names = tables(&mut db, "hims").await.into_iter().filter(|it| !it.is_partition).map(|it| it.name);
    let names: Vec<_> = names.collect();
    assert!(names.len() > TABLES.len());
    assert_eq!(faults(&mut db, "hims").await, Vec::<String>::new());
    for name in names {
        let table = format!("hims.{name}");
        for change in [
            format!(
                "drop policy owner_works on {table}; drop policy projector_works on {table};
                     drop policy reader_reads on {table}"
            ),
            format!("drop policy reader_reads on {table}"),
            format!("create policy another on {table} using (true)"),
            format!("comment on policy reader_reads on {table} is 'everybody, lab_orders'"),
            format!("alter policy reader_reads on {table} using (true is not null)"),
            format!("alter table {table} disable row level security"),
            format!("alter table {table} no force row level security"),
            format!("grant select on {table} to public"),
            format!("grant update (id) on {table} to hims_writer"),
            format!("revoke select on {table} from hims_reader"),
            format!("create table {table}_too (like {table})"),
        ] {
            // The snapshot of the read tables has the condition of a table that is not public. The runner's tables have
            // no `id`.
            let is_public = PUBLIC.iter().any(|it| it.0 == name);
            if change.contains("true is not null") && !is_public
                || change.contains("(id)") && BOOKKEEPING.contains(&name.as_str())
            {
                continue;
            }
            db.execute("begin").await.expect("begun");
            db.execute(AssertSqlSafe(change.clone())).await.expect(&change);
            assert_ne!(faults(&mut db, "hims").await, Vec::<String>::new(), "{change}");
            db.execute("rollback").await.expect("rolled back");
        }
    }
}

#[tokio::test]
async fn every_secret_column_is_missed_when_it_is_granted() {
    let database = database().await;
    let mut db = database.owner.acquire().await.expect("a connection");
    let hidden =
        TABLES.iter().flat_map(|table| table.columns.iter().filter(|it| it.hidden).map(move |column| (table, column)));
    let mut granted = 0;
    for (table, column) in hidden {
        let grant = format!("grant select ({}) on hims.{} to hims_reader", column.name, table.name);
        db.execute("begin").await.expect("begun");
        db.execute(AssertSqlSafe(grant.clone())).await.expect(&grant);
        assert_eq!(faults(&mut db, "hims").await.len(), 1, "{grant}");
        db.execute("rollback").await.expect("rolled back");
        granted += 1;
    }
    assert!(granted >= 4, "{granted} secrets");
}

/// Some rows: how many patients of the demo have a visit around now depends on the time of day.
const SOME: i64 = -1;

/// The views belong to the projector, who sees all rows. So each view itself has to ask what its reader may read.
#[tokio::test]
async fn the_views_of_the_policies_show_a_reader_no_more_than_the_policies() {
    let hospital = Hospital::start().await;
    busy_day(&hospital.nobody()).await;
    hospital.settle().await;
    let readers = hospital.database.pool_as("hims_reader");
    let department: String = sqlx::query_scalar("select department_id::text from hims.users where id = $1::text::uuid")
        .bind(user(3))
        .fetch_one(hospital.owner())
        .await
        .expect("the nurse's department");
    for (reads, department, expected) in [
        ("", "", [0, 0, 0, 0, 0, 0, 0, 0]),
        ("all_data", &*department, [0, 0, 0, 0, 0, 0, 0, 0]),
        // One patient of the demo has two records.
        ("assigned_patients", "", [0, 0, 2, 0, 0, 0, 0, 0]),
        ("assigned_patients", &*department, [SOME, SOME, 2, 0, 0, 0, 0, SOME]),
        // The patient of the day, and four patients of the demo.
        ("prescriptions", &*department, [0, 0, 2, 0, 5, 0, 0, 0]),
        // The demo has orders of five patients, of which one is cancelled.
        ("lab_orders", "", [0, 0, 2, 0, 0, 4, 0, 0]),
        // The doctor of the appointment tomorrow.
        ("own_records", "", [0, 0, 0, 1, 0, 0, 1, 0]),
    ] {
        let mut transaction = readers.begin().await.expect("a transaction");
        sqlx::query(
            "select set_config('hims.reads', $1, true), set_config('hims.department_id', $2, true),
                            set_config('hims.patient_id', $3, true)",
        )
        .bind(reads)
        .bind(department)
        .bind(patient(1))
        .execute(&mut *transaction)
        .await
        .expect("the settings are made");
        for ((view, key), expected) in VIEWS.into_iter().zip(expected) {
            let sql = format!("select count(distinct {key}) from hims.{view}");
            let shown: i64 =
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *transaction).await.expect("a number");
            let is_so = if expected == SOME { shown > 0 } else { shown == expected };
            assert!(is_so, "{view} for {reads:?} in {department:?}: {shown} instead of {expected}");
        }
        // Patients are looked up one by one, or all that are assigned at once.
        let patients = "select count(*) from hims.patients, set_config('hims.lists_assigned_patients', $1, true)";
        let count = async |db: &mut PgConnection, way| -> i64 {
            sqlx::query_scalar(patients).bind(way).fetch_one(db).await.expect("a number")
        };
        let one_by_one = count(&mut transaction, "").await;
        assert_eq!(count(&mut transaction, "yes").await, one_by_one, "for {reads:?} in {department:?}");
        assert!(!reads.starts_with('a') || department.is_empty() || one_by_one > 0, "{reads:?} reads nobody");
    }
}

/// Sets for the transaction who the reader is, as the server does.
async fn say(db: &mut PgConnection, [reads, user, patient, department]: [&str; 4]) {
    let sql = "select set_config('hims.reads', $1, true), set_config('hims.user_id', $2, true),
                      set_config('hims.patient_id', $3, true), set_config('hims.department_id', $4, true)";
    let query = sqlx::query(sql).bind(reads).bind(user).bind(patient).bind(department);
    query.execute(db).await.expect("the settings are made");
}

#[tokio::test]
async fn classes_of_readers_can_name_a_column_a_condition_and_another_table() {
    const ONE: &str = "00000000-0000-0000-0000-000000000001";
    const TWO: &str = "00000000-0000-0000-0000-000000000002";
    let database = database().await;
    let mut db = database.owner.begin().await.expect("a transaction");
    // The rows break foreign keys, which PostgreSQL checks at the commit. This transaction never commits.
    let made = format!(
        "create table hims.notes (id text, appointment_id uuid, about uuid, author uuid, kind text, shown boolean);
         select hims_identity.readable('hims.notes', 'with appointments by appointment_id where kind <> ''clinical''',
             'clinical_records where kind = ''clinical''', 'own by about where shown', 'oneself by author');
         insert into hims.appointments (id, patient_id, provider_id, department_id, appointment_type, scheduled_date,
             scheduled_time, time_zone, starts_at, ends_at, status, priority, version, created_at, updated_at)
         select id, id, id, id, 'x', now(), now(), 'UTC', now(), now() + interval '1 hour', 'scheduled', 'normal', 1,
             now(), now() from unnest(array['{ONE}', '{TWO}']::uuid[]) as id;
         insert into hims.notes values ('call', '{ONE}', '{ONE}', '{ONE}', 'call', true),
             ('clinical', '{ONE}', '{ONE}', '{ONE}', 'clinical', false),
             ('other', '{TWO}', '{TWO}', '{TWO}', 'call', false);
         set local role hims_reader"
    );
    sqlx::raw_sql(AssertSqlSafe(made)).execute(&mut *db).await.expect("notes");
    let cases: [([&str; 4], &[&str]); 9] = [
        (["", "", "", ""], &[]),
        (["all_data", "", "", ""], &["call", "clinical", "other"]),
        (["clinical_records", "", "", ""], &["clinical"]),
        // Whoever reads an appointment reads the notes about the appointment, except clinical notes. An appointment is
        // read by permission word, by department, or as one's own.
        (["all_appointments", "", "", ""], &["call", "other"]),
        (["assigned_patients", "", "", TWO], &["other"]),
        (["own_records", "", TWO, ""], &["other"]),
        (["own_records", "", ONE, ""], &["call"]),
        (["all_patients", ONE, "", ""], &["call", "clinical"]),
        (["own_records", "", "", ONE], &[]),
    ];
    for (who, expected) in cases {
        say(&mut db, who).await;
        let sql = "select id from hims.notes order by id";
        let seen: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *db).await.expect("notes");
        assert_eq!(seen, expected, "{who:?}");
    }
}

#[tokio::test]
async fn a_class_that_is_written_in_another_way_is_refused() {
    let database = database().await;
    for class in ["own, assigned", "clinical_records by id", "own where", "with rooms", "with nothing by id", ""] {
        let mut db = database.owner.begin().await.expect("a transaction");
        db.execute("create table hims.notes (id uuid, patient_id uuid)").await.expect("a table");
        let sql = "select hims_identity.readable('hims.notes', $1)";
        let refused = sqlx::query(sql).bind(class).execute(&mut *db).await;
        assert!(refused.is_err(), "{class:?}");
    }
    let refused =
        sqlx::raw_sql("select hims_identity.hide('hims.users', 'pasword_hash')").execute(&database.owner).await;
    assert!(refused.is_err(), "hiding a column that does not exist would leave the misspelt column readable");
}
