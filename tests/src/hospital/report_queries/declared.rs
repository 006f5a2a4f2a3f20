//! What the declarations of all reports promise.

use std::collections::BTreeSet;

use hims_domain::DomainEvent;
use hims_domain::permission::Read;
use hims_projections::READ_SCHEMA;
use hims_projections::reports::{ColumnKind, ParameterKind, REPORTS};
use sqlx::{AssertSqlSafe, Column as _, Connection as _, Executor as _, PgConnection, SqlSafeStr as _, TypeInfo as _};

use crate::support::database;

/// The types of PostgreSQL that a kind of column has.
fn types(kind: ColumnKind) -> &'static [&'static str] {
    match kind {
        ColumnKind::Text => &["TEXT", "VARCHAR"],
        ColumnKind::Integer => &["INT8"],
        ColumnKind::Decimal => &["NUMERIC"],
        ColumnKind::Instant => &["TIMESTAMPTZ"],
        ColumnKind::Day => &["DATE"],
        ColumnKind::Time => &["TIME"],
        ColumnKind::Boolean => &["BOOL"],
        ColumnKind::Id => &["UUID"],
    }
}

#[tokio::test]
async fn the_sql_of_every_report_takes_its_parameters_and_gives_its_columns() {
    let database = database().await;
    let mut db = PgConnection::connect_with(&database.options).await.expect("a connection");
    let settings = format!("set role hims_reader; set search_path = {READ_SCHEMA}, public");
    db.execute(AssertSqlSafe(settings)).await.expect("the connection reads as a reader");
    for report in REPORTS {
        let code = report.code;
        let described = (&mut db).describe(AssertSqlSafe(report.sql).into_sql_str()).await;
        let described = described.unwrap_or_else(|error| panic!("{code}: {error}"));
        let mut found: Vec<_> = described.columns().iter().map(|it| (it.name(), it.type_info().name())).collect();
        if report.contains_phi {
            // Of whom a row tells is recorded with each download, also where that is no column of the report.
            let about = found.iter().position(|it| *it == ("patient_id", "UUID"));
            let about = about.unwrap_or_else(|| panic!("{code} does not say whom a row is about"));
            if report.columns.iter().all(|it| it.name != "patient_id") {
                found.remove(about);
            }
        }
        assert_eq!(found.len(), report.columns.len(), "{code}: {found:?}");
        for ((name, kind), column) in found.into_iter().zip(report.columns) {
            assert_eq!(name, column.name, "{code}");
            assert!(types(column.kind).contains(&kind), "{code}: {name} is {kind}");
        }
        // The keys that the SQL reads are the declared parameters, what every report is told, and those of the
        // adjustments that payers make.
        let named: BTreeSet<_> = report.sql.split("it ->> '").skip(1).filter_map(|it| it.split('\'').next()).collect();
        let given: BTreeSet<_> = report.parameters.iter().map(|it| it.name).collect();
        let told = ["as_of", "time_zone", "today", "group", "reason", "amount"];
        assert!(given.is_subset(&named), "{code}: {given:?} of {named:?}");
        assert!(named.iter().all(|it| given.contains(it) || told.contains(it)), "{code}: {named:?}");
        for clock in ["now()", "current_date", "current_timestamp", "localtime", "clock_timestamp"] {
            assert!(!report.sql.contains(clock), "{code} asks the clock");
        }
        assert!(report.sql.contains("\n order by "), "{code} has no order");
    }
    db.close().await.expect("closed");
}

#[test]
fn the_declarations_name_what_there_is() {
    let codes: Vec<_> = REPORTS.iter().map(|it| it.code).collect();
    assert!(codes.is_sorted_by(|one, other| one < other), "{codes:?}");
    for report in REPORTS {
        let code = report.code;
        assert!(!report.words.is_empty(), "{code}");
        for word in report.words {
            let read = word.strip_prefix("read:").and_then(Read::parse);
            assert!(read.is_some(), "{code}: {word}");
        }
        for parameter in report.parameters {
            let (name, default) = (parameter.name, parameter.default);
            assert!(!(parameter.required && default.is_some()), "{code}: {name} needs no default");
            let fits = |default: &str| match parameter.kind {
                ParameterKind::Count { least, most } => default.parse().is_ok_and(|it| (least..=most).contains(&it)),
                ParameterKind::Choice(choices) => choices.contains(&default),
                ParameterKind::Day | ParameterKind::Id(_) | ParameterKind::Text(_) => false,
            };
            assert!(default.is_none_or(fits), "{code}: {name}");
            assert_eq!(name == "on", report.code == "receivables-ageing", "{code}: `on` is the day that is shown");
            if let ParameterKind::Id(stream) = parameter.kind {
                assert!(DomainEvent::STREAMS.contains(&stream), "{code}: {stream}");
            }
        }
    }
}
