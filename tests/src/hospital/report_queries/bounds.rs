//! What a report has at most: rows, bytes, and time.

use std::time::Duration;

use hims_domain::report::Category;
use hims_projections::READ_SCHEMA;
use hims_projections::query::{Bounds, Identity, ReportError, ReportRows, ReportView};
use hims_projections::reports::{Column, ColumnKind, Report};
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::support::database;

/// A report of as many rows as its parameter says, of five bytes each.
const NUMBERS: Report = Report {
    code: "numbers",
    version: 1,
    title: "Numbers",
    description: "Numbers of five digits",
    category: Category::Records,
    contains_phi: false,
    words: &[],
    parameters: &[],
    columns: &[Column { name: "number", kind: ColumnKind::Text, title: "Number" }],
    sql: "select to_char(number % 100000, 'FM00000') as number from generate_series(1, ($1 ->> 'rows')::integer) as number",
};

/// A report that takes its time.
const SLOW: Report = Report { sql: "select 'late' as number from pg_sleep(60) where $1 is not null", ..NUMBERS };

/// Reads a report within bounds.
async fn read(db: &mut PgConnection, report: &Report, rows: usize, bounds: Bounds) -> Result<ReportRows, ReportError> {
    let view = ReportView::open(db, READ_SCHEMA, &Identity::default(), bounds).await;
    view.expect("the tables are read").rows(report, &json!({ "rows": rows }), bounds).await
}

#[tokio::test]
async fn a_report_is_too_large_with_one_row_or_one_byte_too_many_and_too_slow_after_its_time() {
    let database = database().await;
    let mut db = PgConnection::connect_with(&database.options).await.expect("a connection");
    db.execute("set role hims_reader").await.expect("the connection reads as a reader");
    let many = Bounds { rows: 1_000_000, bytes: 5_000_000, time: Duration::from_mins(1) };
    let whole = read(&mut db, &NUMBERS, 1_000_000, many).await.expect("as many rows and bytes as there may be");
    assert_eq!((whole.len(), whole.bytes()), (1_000_000, 5_000_000));
    for (rows, bounds) in [
        (1_000_001, Bounds { bytes: usize::MAX, ..many }),
        (1_000_000, Bounds { bytes: 4_999_999, ..many }),
        (1, Bounds { rows: 0, ..many }),
    ] {
        let refused = read(&mut db, &NUMBERS, rows, bounds).await;
        assert!(matches!(refused, Err(ReportError::TooLarge)), "{rows} within {bounds:?}");
    }
    let refused = read(&mut db, &SLOW, 0, Bounds { time: Duration::from_millis(50), ..many }).await;
    assert!(matches!(refused, Err(ReportError::TooSlow)), "{refused:?}");
    // The connection can be used for the next report.
    assert_eq!(read(&mut db, &NUMBERS, 2, many).await.expect("two rows").len(), 2);
    db.close().await.expect("closed");
}
