//! What is declared is what there is: the tables in the database, and everything in the OpenAPI document.

use std::collections::{BTreeMap, BTreeSet};

use hims_commands::Registry;
use hims_projections::TABLES;
use serde_json::Value;

use super::process::hims;
use crate::support::database;

#[tokio::test]
async fn the_declared_tables_are_those_of_the_database() {
    let database = database().await;
    let sql = "select table_name::text, column_name::text, udt_name::text, is_nullable = 'YES', is_generated = 'ALWAYS'
                 from information_schema.columns natural join information_schema.tables
                where table_schema = 'hims' and table_type = 'BASE TABLE'
                  and table_name not like '%\\_y____m__' and table_name not like 'projection\\_%'";
    let rows: Vec<(String, String, String, bool, bool)> =
        sqlx::query_as(sql).fetch_all(&database.owner).await.expect("columns");
    // A column that is generated may be left out: the full-text vectors are for searching, not for reading.
    let generated: BTreeSet<_> = rows.iter().filter(|it| it.4).map(|it| (it.0.clone(), it.1.clone())).collect();
    let found: BTreeMap<_, _> = rows.into_iter().map(|it| ((it.0, it.1), (it.2, it.3))).collect();
    let mut declared = BTreeMap::new();
    for table in TABLES {
        for column in table.columns {
            let kind = match found.get(&(table.name.to_owned(), column.name.to_owned())) {
                // Both are texts to a program.
                Some((kind, _)) if kind == "varchar" && column.kind.sql() == "text" => "varchar",
                _ => column.kind.sql(),
            };
            declared.insert((table.name.to_owned(), column.name.to_owned()), (kind.to_owned(), column.nullable));
        }
    }
    for (name, it) in &declared {
        assert_eq!(found.get(name), Some(it), "{name:?}");
    }
    let missing: Vec<_> = found.keys().filter(|it| !declared.contains_key(*it) && !generated.contains(*it)).collect();
    assert!(missing.is_empty(), "not declared: {missing:?}");
    assert_eq!(TABLES.iter().map(|it| it.name).collect::<BTreeSet<_>>().len(), TABLES.len());
}

fn document() -> Value {
    let output = hims().arg("openapi").output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a document")
}

#[test]
fn the_openapi_document_is_the_one_that_was_agreed() {
    insta::assert_json_snapshot!("openapi", document());
}

#[test]
fn every_command_and_every_table_is_in_the_document() {
    let document = document();
    let registry = Registry::hospital();
    assert!(registry.iter().count() > 40);
    for command in registry.iter() {
        let operation = &document["paths"][format!("/api/v1/commands/{}", command.name)]["post"];
        assert_eq!(operation["operationId"], command.name, "{operation}");
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert!(schema["properties"].is_object(), "{}: {schema}", command.name);
    }
    for table in TABLES {
        let route = format!("/api/v1/{}", table.name.replace('_', "-"));
        let page = &document["paths"][&route]["get"];
        assert!(page["responses"]["200"].is_object(), "{route}: {page}");
        assert!(document["paths"][format!("{route}/{{id}}")]["get"].is_object(), "{route}/{{id}}");
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn references<'a>(of: &'a Value, found: &mut BTreeSet<&'a str>) {
        match of {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value.as_str() {
                Some(target) if name == "$ref" => drop(found.insert(target)),
                _ => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|it| references(it, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 15, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a place in the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

/// Columns, constraints, indexes and policies of the read tables, as the database tells them, a line each.
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
    let mut lines: Vec<String> = sqlx::query_scalar(sql).fetch_all(&database.owner).await.expect("a catalogue");
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
