//! PostgreSQL reads the lists of a hospital's day through indexes, and looks at no more rows than it needs.

use std::collections::{BTreeMap, BTreeSet};

use hims_benches::daily::{List, Subject, fill, lists};
use hims_projections::query::{
    Comparison, Cursor, Filter, Identity, Shape, Statement, Wanted, finding, page, statement, visible,
};
use hims_projections::{READ_SCHEMA, TABLES};
use hims_testing::assert_same;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::support::{TestDatabase, database};

/// Enough patients for PostgreSQL to choose the plans of a large hospital.
const PATIENTS: u32 = 4_000;

/// How many rows PostgreSQL may look at for a page of fifty rows: those of three days of a department, whose visitors
/// are the patients of its nurses, but no whole table.
const LOOKED_AT: i64 = 3_000;

/// A hospital with years behind it, filled by the first test that asks for it. Nothing is changed in it.
async fn hospital() -> &'static TestDatabase {
    static HOSPITAL: OnceCell<TestDatabase> = OnceCell::const_new();
    let make = async || {
        let database = database().await;
        let mut superuser = database.superuser().await;
        fill(&mut superuser, PATIENTS).await.expect("filled");
        superuser.close().await.expect("closed");
        database
    };
    HOSPITAL.get_or_init(make).await
}

/// A connection that reads as the server's connections do, and the lists of the day of two subjects.
async fn reader() -> (PgConnection, Vec<List>) {
    let mut reader = PgConnection::connect_with(&hospital().await.options).await.expect("a connection");
    let settings = format!("set role hims_reader; set search_path = {READ_SCHEMA}, public");
    reader.execute(AssertSqlSafe(settings)).await.expect("the connection reads as a reader");
    let today = sqlx::query_scalar("select current_date").fetch_one(&mut reader).await.expect("a day");
    let of = |nth| lists(Subject { patients: PATIENTS, nth }, today).expect("lists");
    (reader, [of(7), of(1_150)].concat())
}

/// How many rows of the read tables this transaction has looked at, including those for policies and functions.
async fn looked_at(db: &mut PgConnection) -> i64 {
    let sql = "select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint
                 from pg_stat_xact_user_tables where schemaname = $1";
    sqlx::query_scalar(sql).bind(READ_SCHEMA).fetch_one(db).await.expect("statistics")
}

/// What is wrong with how PostgreSQL reads a page.
async fn faults(db: &mut PgConnection, list: &List) -> Vec<String> {
    // The statistics are those of one transaction, so both counts are taken within the same transaction.
    let mut transaction = db.begin().await.expect("a transaction");
    let before = looked_at(&mut transaction).await;
    let statement = statement(list.table, Shape::Declared, &list.wanted, &list.who);
    let sql = format!("explain (analyze, timing off, format json) {}", statement.text());
    let explained = statement.bind(sqlx::query(AssertSqlSafe(sql)), &list.who).fetch_one(&mut *transaction).await;
    let plan: Value = explained.unwrap_or_else(|error| panic!("{}: {error}", list.name)).get(0);
    let mut faults = Vec::new();
    find_faults(&plan[0]["Plan"], &mut faults);
    let looked_at = looked_at(&mut transaction).await - before;
    transaction.rollback().await.expect("the transaction is rolled back");
    faults.extend((looked_at > LOOKED_AT).then(|| format!("{looked_at} rows are looked at")));
    faults
}

fn find_faults(node: &Value, faults: &mut Vec<String>) {
    let inner = node["Plans"].as_array().map(Vec::as_slice).unwrap_or_default();
    let count = |node: &Value, what| node[what].as_i64().unwrap_or(0) * node["Actual Loops"].as_i64().unwrap_or(0);
    let seen = count(node, "Actual Rows") + count(node, "Rows Removed by Filter");
    match node["Node Type"].as_str() {
        // A small table may be read as a whole, such as a month of the audit log that has just begun.
        Some("Seq Scan") if seen > 500 => {
            faults.push(format!("the whole of {} is read", node["Relation Name"]));
        }
        Some("Sort") => {
            let sorted: i64 = inner.iter().map(|it| count(it, "Actual Rows")).sum();
            faults.extend((sorted > LOOKED_AT).then(|| format!("{sorted} rows are sorted by {}", node["Sort Key"])));
        }
        _ => {}
    }
    for it in inner {
        find_faults(it, faults);
    }
}

#[tokio::test]
async fn every_list_of_the_day_is_read_through_an_index() {
    let (mut db, lists) = reader().await;
    let (mut wrong, mut filled) = (BTreeMap::new(), BTreeSet::new());
    for list in &lists {
        let page = page(&mut db, list.table, Shape::Declared, &list.wanted, &list.who).await.expect("a page");
        if !page.items.is_empty() {
            filled.insert(list.name.as_str());
        }
        let faults = faults(&mut db, list).await;
        if !faults.is_empty() {
            wrong.insert(&list.name, faults);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // An empty page would not show what a full page costs, so each list has rows for at least one of the two people.
    assert_same(filled, lists.iter().map(|list| list.name.as_str()).collect::<BTreeSet<_>>());
}

/// The steps of a plan, each with the rows that came of it and those that it looked at in vain. Left out is how the keys
/// of the patients asked for are found, which is a look into an index before anybody's right is asked.
fn work(node: &Value, done: &mut Vec<String>) {
    if node["Subplan Name"] == "CTE found" {
        return;
    }
    let count = |what| node[what].as_i64().unwrap_or(0) * node["Actual Loops"].as_i64().unwrap_or(0);
    let vain = ["Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck"].map(count);
    let (step, of) = (&node["Node Type"], &node["Relation Name"]);
    done.push(format!("{step} {of}: {} rows, {vain:?} in vain", count("Actual Rows")));
    for it in node["Plans"].as_array().map(Vec::as_slice).unwrap_or_default() {
        work(it, done);
    }
}

/// The work of a statement.
async fn work_of(db: &mut PgConnection, statement: &Statement, who: &Identity) -> Vec<String> {
    let explain = format!("explain (analyze, timing off, format json) {}", statement.text());
    let plan = statement.bind(sqlx::query(AssertSqlSafe(explain)), who).fetch_one(db).await;
    let plan: Value = plan.expect("a plan").get(0);
    let mut done = Vec::new();
    work(&plan[0]["Plan"], &mut done);
    done
}

/// Fails with the steps that differ, unless the work for a hidden patient is that for a missing one.
#[track_caller]
fn assert_same_work(done: &[Vec<String>], what: &str) {
    let unlike: Vec<_> = done[0].iter().zip(&done[1]).filter(|(hidden, missing)| hidden != missing).collect();
    assert!(unlike.is_empty() && done[0].len() == done[1].len(), "{what}: {unlike:#?}");
}

/// A patient whom a reader may not read costs PostgreSQL the same work as one whom there is not, whatever the patient
/// is looked for by, so that the time of an answer does not tell which of the two it was.
#[tokio::test]
async fn a_patient_who_is_hidden_costs_as_much_as_one_whom_there_is_not() {
    let (mut db, lists) = reader().await;
    let missing =
        ["0b5e55ed-0000-4000-8000-000000000000", "MRN-9999999999", "nobody@lists.example", "+12129999999", "Xqzw Vbnm"];
    let of_all = "select id::text, mrn, email, phone_primary, first_name || ' ' || last_name from hims.patients
                   order by md5(mrn) limit 500";
    let of_all = sqlx::query(of_all).fetch_all(&hospital().await.owner).await.expect("patients");
    let of_all: Vec<[String; 5]> = of_all.iter().map(|row| std::array::from_fn(|column| row.get(column))).collect();
    for name in ["nurse: my patients", "patient: data", "pharmacist: patient", "lab_technician: patient"] {
        let mine = lists.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("no list is named {name}"));
        let (table, who) = (mine.table, &mine.who);
        let wanted = |nth: usize, value: &str| {
            let filter = |name| {
                let column = table.column(name).expect("a column");
                vec![Filter { column, comparison: Comparison::Equal, value: value.to_owned() }]
            };
            let (filters, search) = match ["id", "mrn", "email", "phone_primary"].get(nth) {
                Some(name) => (filter(name), None),
                None => (Vec::new(), Some(value.to_owned())),
            };
            Wanted { filters, search, ..mine.wanted.clone() }
        };
        assert!(!page(&mut db, table, Shape::Declared, &mine.wanted, who).await.expect("a page").items.is_empty());
        // Somebody whom the reader finds neither by the key nor by the name, which resembles no name of others.
        let mut hidden = None;
        for somebody in &of_all {
            let found = page(&mut db, table, Shape::Declared, &wanted(0, &somebody[0]), who).await.expect("a page");
            let named = page(&mut db, table, Shape::Declared, &wanted(4, &somebody[4]), who).await.expect("a page");
            if found.items.is_empty() && named.items.is_empty() {
                hidden = Some(somebody);
                break;
            }
        }
        let hidden = hidden.expect("most patients are hidden");
        for nth in 0..missing.len() {
            let mut done = Vec::new();
            for value in [&*hidden[nth], missing[nth]] {
                let statement = statement(table, Shape::Declared, &wanted(nth, value), who);
                done.push(work_of(&mut db, &statement, who).await);
            }
            assert_same_work(&done, &format!("{name} by {nth}"));
        }
        let mut done = Vec::new();
        for id in [&*hidden[0], missing[0]] {
            let statement = finding(table, Shape::Declared, id.parse().expect("an id"), who);
            done.push(work_of(&mut db, &statement, who).await);
        }
        assert_same_work(&done, &format!("{name}: the row of a patient"));
    }
}

#[tokio::test]
async fn the_middle_of_an_order_is_found_through_its_index_in_both_directions() {
    let (mut db, lists) = reader().await;
    let of = |name: &str| lists.iter().find(|it| it.name == name).expect("a list").clone();
    let (all, some) = (of("receptionist: newest appointments"), of("receptionist: what is scheduled"));
    let patients = of("receptionist: patients in order");
    // Patients without a date of birth, a third of all, come last.
    let mut births = patients.clone();
    births.wanted.sort = patients.table.column("date_of_birth");
    let audit = of("auditor: end of the log");
    let mut read = 0;
    for (list, skipped) in
        [(all, 9_000), (some, 1_000), (patients, 3_000), (births.clone(), 1_500), (births, 3_950), (audit, 40_000)]
    {
        for descending in [false, true] {
            let mut list = list.clone();
            (list.wanted.descending, list.wanted.limit) = (descending, skipped);
            let before = page(&mut db, list.table, Shape::Declared, &list.wanted, &list.who).await.expect("a page");
            list.wanted.cursor = before.next.as_deref().and_then(Cursor::parse);
            assert!(list.wanted.cursor.is_some(), "{} goes on after {skipped}", list.name);
            list.wanted.limit = 50;
            assert_eq!(faults(&mut db, &list).await, Vec::<String>::new(), "{} {descending}", list.name);
            let page = page(&mut db, list.table, Shape::Declared, &list.wanted, &list.who).await.expect("a page");
            assert!(!before.items.contains(&page.items[0]));
            read += page.items.len();
        }
    }
    assert_eq!(read, 12 * 50);
}

#[tokio::test]
async fn a_text_that_finds_many_finds_them_all_page_by_page() {
    let (mut db, lists) = reader().await;
    let mut list = lists.into_iter().find(|it| it.name == "doctor: consultations by text").expect("a list");
    list.wanted.filters.clear();
    // Of twelve thousand consultations, every thirtieth is about a cough of seven days, and half are about bronchitis.
    for (text, count) in [("cough seven", 400), ("bronchitis", 6_000)] {
        (list.wanted.search, list.wanted.limit, list.wanted.cursor) = (Some(text.to_owned()), 500, None);
        let mut found = BTreeSet::new();
        loop {
            let page = page(&mut db, list.table, Shape::Declared, &list.wanted, &list.who).await.expect("a page");
            found.extend(page.items);
            list.wanted.cursor = page.next.as_deref().and_then(Cursor::parse);
            if list.wanted.cursor.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), count, "{text}");
    }
}

/// The functions that search by text see all rows, and the server applies row-level security to what they find. For any
/// login but the server's own, the functions find nothing.
#[tokio::test]
async fn a_login_that_is_not_the_servers_finds_nothing_by_a_text() {
    let (reader, lists) = reader().await;
    let name = lists.iter().find_map(|it| it.wanted.search.clone()).expect("a patient's name");
    reader.close().await.expect("closed");
    let database = hospital().await;
    let mut db = database.superuser().await;
    // All databases of the cluster share their roles, so the role is named after this database.
    let stranger = format!("searcher_{}", database.options.get_database().expect("a name"));
    let sql = format!("create role {stranger} login in role hims_reader");
    db.execute(AssertSqlSafe(sql)).await.expect("a stranger");
    for (login, expected) in [(stranger.as_str(), false), ("hims", true)] {
        let sql = format!("set session authorization {login}; set role hims_reader");
        db.execute(AssertSqlSafe(sql)).await.expect("the login reads as a reader");
        let sql = "select array[exists (select from hims_identity.patients_found_by($1)),
                                exists (select from hims_identity.patients_with('last_name', split_part($1, ' ', 2))),
                                exists (select from hims_identity.consultations_found_by('bronchitis'))]";
        let found: Vec<bool> = sqlx::query_scalar(sql).bind(&name).fetch_one(&mut db).await.expect("an answer");
        assert_eq!(found, [expected; 3], "{login}");
        db.execute("reset role; reset session authorization").await.expect("a superuser again");
    }
    db.close().await.expect("closed");
}

#[tokio::test]
async fn what_is_declared_to_lead_an_index_together_leads_one_of_all_rows() {
    let database = database().await;
    let sql = "select t.relname::text, array_agg(a.attname::text order by k.place)
                 from pg_index i join pg_class t on t.oid = i.indrelid join pg_class n on n.oid = i.indexrelid
                 join pg_am m on m.oid = n.relam
                cross join unnest(i.indkey::smallint[]) with ordinality as k (attribute, place)
                 join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attribute
                where t.relnamespace = 'hims'::regnamespace and i.indpred is null and m.amname = 'btree'
                group by i.indexrelid, t.relname";
    let indexes: Vec<(String, Vec<String>)> = sqlx::query_as(sql).fetch_all(&database.owner).await.expect("indexes");
    let mut declared = 0;
    for table in TABLES {
        for together in table.indexes {
            let leads = |(of, columns): &(String, Vec<String>)| {
                of == table.name && columns.starts_with(&together.iter().map(ToString::to_string).collect::<Vec<_>>())
            };
            assert!(indexes.iter().any(leads), "{} {together:?} lead no index", table.name);
            assert!(table.column(together[0]).is_some_and(|it| it.indexed), "{} {together:?}", table.name);
            declared += 1;
        }
    }
    assert!(declared > 15, "only {declared} are declared");
}

/// A role of several words looks at some tables in one way and at others in another.
#[tokio::test]
async fn who_reads_by_several_words_is_told_what_they_see_in_every_table() {
    let (mut db, lists) = reader().await;
    let mine = lists.iter().find(|it| it.name == "nurse: my patients").expect("a list");
    let page = page(&mut db, mine.table, Shape::Declared, &mine.wanted, &mine.who).await.expect("a page");
    let id = |row: &String| serde_json::from_str::<Value>(row).ok()?["id"].as_str()?.parse().ok();
    let ids: Vec<Uuid> = page.items.iter().filter_map(id).collect();
    assert!(!ids.is_empty());
    let tables: Vec<_> = TABLES.iter().collect();
    for more in ["", ",prescriptions", ",lab_orders", ",own_records", ",prescriptions,lab_orders,own_records"] {
        let who = Identity { reads: format!("assigned_patients{more}"), ..mine.who.clone() };
        let seen = visible(&mut db, &tables, &ids, &who).await.unwrap_or_else(|error| panic!("{more}: {error}"));
        assert_eq!(seen.len(), ids.len(), "{more}");
    }
}
