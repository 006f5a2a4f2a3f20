//! Reports as workbooks (Office Open XML): a sheet with the rows, and one that says what the report is.

use std::error::Error;

use chrono::{DateTime, SecondsFormat, Utc};
use hims_projections::reports::ColumnKind;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet, XlsxError};

use super::sheet::Sheet;
use super::told;

/// The largest whole number that every program shows as it is.
const EXACT: i64 = 1 << 53;
/// The widths of columns, in letters: the narrowest and the widest.
const WIDTHS: (usize, usize) = (8, 50);

/// How days and times are shown.
struct Formats {
    heading: Format,
    day: Format,
    instant: Format,
    time: Format,
}

impl Formats {
    fn new() -> Self {
        let shown = |text: &str| Format::new().set_num_format(text);
        Self {
            heading: Format::new().set_bold(),
            day: shown("yyyy-mm-dd"),
            instant: shown("yyyy-mm-dd hh:mm:ss"),
            time: shown("hh:mm"),
        }
    }
}

/// A time, if a workbook can hold it: the calendar of workbooks begins in 1900.
fn moment(text: &str) -> Option<ExcelDateTime> {
    ExcelDateTime::parse_from_str(text.trim_end_matches('Z')).ok()
}

fn put(
    to: &mut Worksheet,
    (row, column): (u32, u16),
    (kind, text): (ColumnKind, &str),
    formats: &Formats,
) -> Result<(), XlsxError> {
    let (number, time) = match kind {
        ColumnKind::Integer => {
            (text.parse::<i64>().ok().filter(|it| it.abs() <= EXACT).and_then(|_| text.parse().ok()), None)
        }
        ColumnKind::Decimal => (text.parse::<f64>().ok(), None),
        ColumnKind::Day => (None, moment(text).map(|it| (it, &formats.day))),
        ColumnKind::Instant => (None, moment(text).map(|it| (it, &formats.instant))),
        ColumnKind::Time => (None, moment(text).map(|it| (it, &formats.time))),
        ColumnKind::Boolean => return to.write_boolean(row, column, text == "true").map(drop),
        ColumnKind::Text | ColumnKind::Id => (None, None),
    };
    match (number, time) {
        (Some(number), _) => to.write_number(row, column, number).map(drop),
        (None, Some((time, format))) => to.write_datetime_with_format(row, column, &time, format).map(drop),
        (None, None) => to.write_string(row, column, text).map(drop),
    }
}

/// The time at which a workbook of a position was made: that of the position, so that the same report has the same
/// bytes.
fn created(at: DateTime<Utc>) -> Result<ExcelDateTime, XlsxError> {
    ExcelDateTime::from_timestamp(at.timestamp())
}

pub(super) fn write(sheet: &Sheet) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let formats = Formats::new();
    let report = sheet.report;
    let mut workbook = Workbook::new();
    let properties = DocProperties::new().set_title(report.title).set_creation_datetime(&created(sheet.as_of)?);
    workbook.set_properties(&properties);
    let rows = workbook.add_worksheet().set_name("Report")?;
    let mut widths: Vec<_> = report.columns.iter().map(|it| it.title.chars().count()).collect();
    for (column, it) in (0..).zip(report.columns) {
        rows.write_string_with_format(0, column, it.title, &formats.heading)?;
    }
    rows.set_freeze_panes(1, 0)?;
    for (row, cells) in (1..).zip(sheet.rows.iter()) {
        for ((column, it), text) in (0..).zip(report.columns).zip(cells) {
            let Some(text) = text else { continue };
            put(rows, (row, column), (it.kind, text), &formats)?;
            if let Some(width) = widths.get_mut(usize::from(column)) {
                *width = (*width).max(text.chars().count());
            }
        }
    }
    for (column, width) in (0..).zip(widths) {
        let letters = u32::try_from(width.clamp(WIDTHS.0, WIDTHS.1) + 1).unwrap_or(u32::MAX);
        rows.set_column_width(column, letters)?;
    }
    let about = workbook.add_worksheet().set_name("About")?;
    about.set_column_width(0, 12_u32)?.set_column_width(1, 60_u32)?;
    let facts = [
        ("Report", report.title.to_owned()),
        ("Code", report.code.to_owned()),
        ("Version", report.version.to_string()),
        ("Parameters", told(&sheet.parameters)),
        ("Position", sheet.position.to_string()),
        ("As of", sheet.as_of.to_rfc3339_opts(SecondsFormat::Secs, true)),
    ];
    for (row, (what, value)) in (0..).zip(facts) {
        about.write_string_with_format(row, 0, what, &formats.heading)?;
        about.write_string(row, 1, value)?;
    }
    Ok(workbook.save_to_buffer()?)
}
