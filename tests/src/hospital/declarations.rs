//! The read tables that the code declares are those of the database.

use std::collections::BTreeSet;

use crate::support::database;
use hims_projections::{TABLES, Table, archive};
use hims_testing::assert_same;
use sqlx::AssertSqlSafe;

/// A column of the database: table, name, type, whether it may be null, whether it is generated.
type Row = (String, String, String, bool, bool);

#[tokio::test]
async fn the_declared_tables_are_those_of_the_database() {
    let database = database().await;
    let sql = "select table_name::text, column_name::text, udt_name::text, is_nullable = 'YES', is_generated = 'ALWAYS'
                 from information_schema.columns natural join information_schema.tables
                where table_schema = 'hims' and table_type = 'BASE TABLE'
                  and table_name not like '%\\_y____m__' and table_name not like 'projection\\_%'
                  and table_name not like '%\\_archive'";
    let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(&database.owner).await.expect("columns");
    let columns = |table: &Table| table.columns.iter().map(|column| (table.name, column)).collect::<Vec<_>>();
    let declared = TABLES.iter().flat_map(columns).map(|(table, column)| {
        (table.to_owned(), column.name.to_owned(), column.kind.sql().to_owned(), column.nullable)
    });
    let declared: BTreeSet<_> = declared.collect();
    // The declarations leave out the generated full-text vectors, which are for searching, not for reading.
    let is_named = |row: &Row| declared.iter().any(|(table, column, ..)| (table, column) == (&row.0, &row.1));
    let in_database = rows.into_iter().filter(|row| !row.4 || is_named(row)).map(|row| {
        // The declarations have one kind for `char`, `varchar` and `text`.
        let kind = if matches!(row.2.as_str(), "bpchar" | "varchar") { "text".to_owned() } else { row.2 };
        (row.0, row.1, kind, row.3)
    });
    assert_same(declared.clone(), in_database);
    assert_eq!(TABLES.iter().map(|it| it.name).collect::<BTreeSet<_>>().len(), TABLES.len());
}

/// Compares columns, constraints, indexes and policies of the read tables with the approved list.
#[tokio::test]
async fn the_read_tables_are_those_that_were_agreed() {
    let database = database().await;
    let sql = "
        with t as (select c.oid, c.relname::text as name from pg_class c
                    where c.relnamespace = 'hims'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition)
        select format('%s: %s %s%s%s', t.name, a.attname, format_type(a.atttypid, a.atttypmod),
                      case when a.attnotnull then ' not null' end,
                      case when d.oid is not null then format(case a.attgenerated when 's' then ' generated as (%s)' else ' default %s' end,
                                                              pg_get_expr(d.adbin, d.adrelid)) end)
          from t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
          left join pg_attrdef d on d.adrelid = t.oid and d.adnum = a.attnum
        union all
        select format('%s: constraint %s %s', t.name, k.conname, pg_get_constraintdef(k.oid))
          from t join pg_constraint k on k.conrelid = t.oid and k.contype <> 'n'
        union all
        select format('%s: %s', t.name, pg_get_indexdef(i.indexrelid)) from t join pg_index i on i.indrelid = t.oid
         where not exists (select from pg_constraint k where k.conindid = i.indexrelid)
        union all
        select format('%s: policy %s for %s to %s using %s', t.name, p.policyname, p.cmd, p.roles, p.qual)
          from t join pg_policies p on p.tablename = t.name and p.schemaname = 'hims'
         where p.policyname <> 'owner_works'";
    let mut lines: Vec<String> =
        sqlx::query_scalar(sql).fetch_all(&database.owner).await.expect("the catalogue is read");
    lines.sort();
    insta::assert_snapshot!("read_tables", lines.join("\n"));
}

#[tokio::test]
async fn what_is_declared_as_indexed_leads_an_index_of_all_rows() {
    let database = database().await;
    let sql = "select t.relname::text, a.attname::text from pg_index i
                 join pg_class t on t.oid = i.indrelid join pg_class n on n.oid = i.indexrelid
                 join pg_am m on m.oid = n.relam
                 join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0]
                where t.relnamespace = 'hims'::regnamespace and i.indpred is null and m.amname in ('btree', 'brin')";
    let leading: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(&database.owner).await.expect("indexes");
    for table in TABLES {
        for column in table.columns.iter().filter(|it| it.indexed) {
            let leads = leading.contains(&(table.name.to_owned(), column.name.to_owned()));
            assert!(leads, "{}.{} leads no index", table.name, column.name);
        }
    }
}

/// A row can move into an archive together with everything that refers to it, and is read there as it was.
#[tokio::test]
async fn an_archive_has_the_columns_of_its_table_and_so_has_whatever_refers_to_it() {
    let database = database().await;
    let sql = "select relname::text from pg_class where relnamespace = 'hims'::regnamespace
                  and relname like '%\\_archive' and relname not in ('audit_logs_archive', 'projection_archive')
                  and relkind = 'r'";
    let archives: Vec<String> = sqlx::query_scalar(sql).fetch_all(&database.owner).await.expect("archives");
    assert_same(archives, archive::tables().map(|it| format!("{it}_archive")));
    let sql = "select distinct k.conrelid::regclass::text from pg_constraint k
                where k.contype = 'f' and k.connamespace = 'hims'::regnamespace
                  and to_regclass(k.confrelid::regclass || '_archive') is not null
                  and to_regclass(k.conrelid::regclass || '_archive') is null";
    let mut db = database.owner.acquire().await.expect("a connection");
    sqlx::query("set search_path = hims, public").execute(&mut *db).await.expect("a search path");
    let without: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *db).await.expect("references");
    assert_eq!(without, Vec::<String>::new(), "they refer to tables with an archive and have none");
    let columns = "array(select format('%s %s %s %s %s', attname, format_type(atttypid, atttypmod), attnotnull,
                                       attgenerated, attnum)
                           from pg_attribute where attrelid = to_regclass($1) and attnum > 0 order by attnum)";
    let keys = "array(select conname || ' ' || replace(pg_get_constraintdef(oid), '_archive(', '(')
                        from pg_constraint where conrelid = to_regclass($1) and contype in ('c', 'f') order by 1)";
    let indexes = "array(select count(*)::text from pg_index where indrelid = to_regclass($1))";
    for table in archive::tables().chain(["audit_logs"]) {
        for what in [columns, keys, indexes] {
            let mut found = Vec::new();
            for name in [table.to_owned(), format!("{table}_archive")] {
                let sql = format!("select {what}");
                let answer: Vec<String> =
                    sqlx::query_scalar(AssertSqlSafe(sql)).bind(name).fetch_one(&mut *db).await.expect("the catalogue");
                found.push(answer);
            }
            assert_eq!(found[0], found[1], "{table}");
        }
    }
}
