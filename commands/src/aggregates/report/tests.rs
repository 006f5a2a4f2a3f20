use std::sync::Arc;

use chrono::NaiveDate;
use hims_domain::permission::Word;
use hims_domain::report_execution::Parameters;
use hims_domain::role::Permissions;
use hims_testing::sample;
use serde_json::json;

use super::*;
use crate::testing::given;

fn report() -> Report {
    let Event::Defined(definition) = sample::<Report>("defined");
    Report { definition }
}

fn ranged() -> Report {
    let mut report = report();
    let mut from = report.definition.parameters[0].clone();
    (from.name, from.default, from.required) = ("from".into(), None, true);
    let to = hims_domain::report::Parameter { name: "to".into(), ..from.clone() };
    report.definition.parameters = vec![from, to];
    report
}

fn monday() -> NaiveDate {
    "2026-11-23".parse().unwrap()
}

fn asked<const N: usize>(parameters: [(&str, &str); N]) -> Parameters {
    parameters.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect()
}

fn reader(word: Read) -> Caller {
    let permissions = Permissions { read: [Word::from(word)].into(), ..Permissions::default() };
    Caller { is_system: false, permissions: Arc::new(permissions), ..Caller::system("test") }
}

#[test]
fn what_is_left_out_is_what_counts_in_its_place() {
    let completed = complete(&report(), &asked([("by", "provider")]), monday()).unwrap();
    assert_eq!(serde_json::Value::from(completed), json!({"by": "provider", "date": "2026-11-23", "days": 90}));
}

#[test]
fn every_fault_is_named_at_once_and_an_unknown_parameter_first() {
    let faulty = asked([("days", "0"), ("date", "yesterday"), ("provider", "me"), ("colour", "red"), ("note", " ")]);
    let refused = complete(&report(), &faulty, monday()).unwrap_err();
    let pointers: Vec<_> = refused.errors.iter().map(|it| it.pointer.as_str()).collect();
    let named = [
        "/parameters/colour",
        "/parameters/date",
        "/parameters/days",
        "/parameters/by",
        "/parameters/provider",
        "/parameters/note",
    ];
    assert_eq!((refused.code, pointers), ("unknown-parameter", named.to_vec()));
}

#[test]
fn days_are_counted_from_today() {
    for (text, day) in [("today", "2026-11-23"), ("today-7", "2026-11-16"), ("today+1", "2026-11-24")] {
        let completed = complete(&ranged(), &asked([("from", text), ("to", text)]), monday()).unwrap();
        assert_eq!(completed["from"], json!(day));
    }
    for text in ["today7", "today-", "today--1", "today-9999", "tomorrow", "2026-02-30", "1700-01-01"] {
        let refused = complete(&ranged(), &asked([("from", text), ("to", "today")]), monday()).unwrap_err();
        assert_eq!(refused.errors[0].pointer, "/parameters/from", "{text}");
    }
}

#[test]
fn a_report_spans_at_most_four_hundred_days() {
    let span = |from, to| complete(&ranged(), &asked([("from", from), ("to", to)]), monday());
    assert!(span("today-399", "today").is_ok());
    assert_eq!(span("today-400", "today").unwrap_err().code, "range-too-long");
    assert_eq!(span("today", "today-1").unwrap_err().errors[0].pointer, "/parameters/to");
}

#[test]
fn a_schedule_asks_for_the_days_of_its_run() {
    let asked_for = asked([("by", "provider"), ("days", "7")]);
    let dated = dated(&report(), &asked_for, monday());
    assert_eq!(dated, asked([("by", "provider"), ("days", "7"), ("date", "2026-11-23")]));
}

#[test]
fn who_reads_only_some_rows_has_their_own_reports_and_not_those_of_others() {
    for (word, own, of_others) in [
        (Read::AllAppointments, true, true),
        (Read::AssignedPatients, true, false),
        (Read::AllData, true, true),
        (Read::Billing, false, false),
    ] {
        let caller = reader(word);
        assert_eq!((may_have(&report(), &caller), may_have_of_others(&report(), &caller)), (own, of_others), "{word}");
    }
}

#[test]
fn a_report_is_defined_again_only_if_its_definition_is_new() {
    let Event::Defined(definition) = sample::<Report>("defined");
    let defined = Event::Defined(definition.clone());
    given::<Report>([]).when(DefineReport { definition: definition.clone() }).then([defined.clone()]);
    given([defined.clone()]).when(DefineReport { definition: definition.clone() }).then_nothing();
    let changed = Definition { sha256: "cd".repeat(32).as_str().into(), ..definition };
    given([defined]).when(DefineReport { definition: changed.clone() }).then([Event::Defined(changed)]);
}
