use hims_projections::query::ReportRows;
use hims_projections::reports::{Column, ColumnKind};
use serde_json::json;

use hims_domain::report::Category;

use super::*;

static WARDS: Report = Report {
    code: "wards",
    version: 3,
    title: "Wards",
    description: "The wards of the hospital.",
    category: Category::Records,
    contains_phi: false,
    words: &["read:all_patients"],
    parameters: &[],
    columns: &[
        Column { name: "name", kind: ColumnKind::Text, title: "Name" },
        Column { name: "beds", kind: ColumnKind::Integer, title: "Beds" },
        Column { name: "rate", kind: ColumnKind::Decimal, title: "Rate" },
        Column { name: "opened", kind: ColumnKind::Day, title: "Opened" },
        Column { name: "seen_at", kind: ColumnKind::Instant, title: "Seen" },
        Column { name: "round", kind: ColumnKind::Time, title: "Round" },
        Column { name: "is_open", kind: ColumnKind::Boolean, title: "Open" },
        Column { name: "id", kind: ColumnKind::Id, title: "Id" },
    ],
    sql: "select",
};

const ID: &str = "00000000-0000-0000-0000-000000000001";

pub(super) fn sheet(names: &[&str]) -> Sheet {
    let mut rows = ReportRows::of_width(WARDS.columns.len());
    for name in names {
        let cells = ["-12", "0.30", "2026-11-23", "2026-11-23T10:00:00Z", "07:30", "true", ID];
        rows.push(Some(name));
        for cell in cells {
            rows.push(Some(cell));
        }
    }
    rows.push(Some("of nothing"));
    (1..WARDS.columns.len()).for_each(|_| rows.push(None));
    let parameters = Map::from_iter([("from".to_owned(), json!("2026-11-01")), ("days".to_owned(), json!(90))]);
    let as_of = "2026-11-23T10:00:00.123456Z".parse().expect("an instant");
    Sheet { report: &WARDS, parameters, position: 4_711, as_of, rows }
}

/// Names in several scripts, formulas, quotes, line breaks, and one that is too long for its column.
fn names() -> Vec<&'static str> {
    vec!["=HYPERLINK(\"http://x\")", "Łukasz, \"Żółw\"", "Ελένη\nПётр", "محمد", "a very long name ".repeat(20).leak()]
}

#[test]
fn the_same_report_has_the_same_bytes_in_each_format() {
    for format in [Format::Csv, Format::Json, Format::Xlsx, Format::Pdf] {
        let [once, again] = [written(format, &sheet(&names())), written(format, &sheet(&names()))];
        assert!(once.as_ref().is_ok_and(|it| !it.is_empty()), "{format}: {:?}", once.err());
        assert_eq!(once, again, "{format}");
    }
}

#[test]
fn csv_is_quoted_where_needed_and_has_no_formulas() {
    let file = String::from_utf8(written(Format::Csv, &sheet(&names()[..3])).expect("a file")).expect("UTF-8");
    let lines: Vec<_> = file.split("\r\n").collect();
    let rest = format!("-12,0.30,2026-11-23,2026-11-23T10:00:00Z,07:30,true,{ID}");
    assert_eq!(lines[0], "Name,Beds,Rate,Opened,Seen,Round,Open,Id");
    assert_eq!(lines[1], format!("\"'=HYPERLINK(\"\"http://x\"\")\",{rest}"));
    assert_eq!(lines[2], format!("\"Łukasz, \"\"Żółw\"\"\",{rest}"));
    assert_eq!(lines[3], format!("\"Ελένη\nПётр\",{rest}"));
    assert_eq!(lines[4..], ["of nothing,,,,,,,", ""]);
}

#[test]
fn json_says_what_was_asked_and_keeps_decimals_exact() {
    let file: Value = serde_json::from_slice(&written(Format::Json, &sheet(&["A"])).expect("a file")).expect("JSON");
    let said = json!([file["code"], file["version"], file["position"], file["parameters"], file["as_of"]]);
    let parameters = json!({"from": "2026-11-01", "days": 90});
    assert_eq!(said, json!(["wards", 3, 4711, parameters, "2026-11-23T10:00:00.123456Z"]));
    assert_eq!(file["columns"][1], json!({"name": "beds", "title": "Beds", "kind": "integer"}));
    let row = json!(["A", -12, "0.30", "2026-11-23", "2026-11-23T10:00:00Z", "07:30", true, ID]);
    let of_nothing = json!(["of nothing", null, null, null, null, null, null, null]);
    assert_eq!(file["rows"], json!([row, of_nothing]));
}

#[test]
fn a_pdf_has_a_bound() {
    let too_many = written(Format::Pdf, &sheet(&vec!["A ward"; pdf::MOST_ROWS + 1]));
    assert_eq!(too_many, Err(NotMade::For(FailureReason::TooLarge)));
}

#[test]
fn a_definition_has_another_hash_when_anything_of_it_changes() {
    let hash = |report: &Report| definition(report).sha256;
    assert_eq!(hash(&WARDS), hash(&WARDS));
    let others = [
        Report { sql: "select 1", ..WARDS },
        Report { title: "Units", ..WARDS },
        Report { contains_phi: true, ..WARDS },
        Report { words: &["read:billing"], ..WARDS },
        Report { columns: &[], ..WARDS },
    ];
    for other in others {
        assert_ne!(hash(&WARDS), hash(&other));
    }
}

#[test]
fn every_report_has_a_code_of_its_own_and_fits_its_columns() {
    let codes: std::collections::BTreeSet<_> = REPORTS.iter().map(|it| it.code).collect();
    assert_eq!(codes.len(), REPORTS.len());
    for report in REPORTS {
        let definition = definition(report);
        assert!(definition.code.as_str().len() <= 50 && definition.title.as_str().len() <= 200, "{}", report.code);
        assert!(!report.words.is_empty() && report.words.iter().all(|it| it.starts_with("read:")), "{}", report.code);
        assert!(report.words.join(", ").len() <= 500, "{}", report.code);
    }
}
