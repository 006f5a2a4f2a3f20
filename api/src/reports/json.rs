//! Reports as JSON: what was asked for, the position, the columns, and the rows as lists.

use std::error::Error;

use chrono::SecondsFormat;
use hims_projections::reports::ColumnKind;
use serde_json::{Value, json};

use super::sheet::Sheet;

/// A cell: whole numbers and truth values as such, everything else as text, so that decimals stay exact.
fn cell(kind: ColumnKind, text: &str) -> Value {
    match kind {
        ColumnKind::Integer => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
        ColumnKind::Boolean => Value::from(text == "true"),
        ColumnKind::Text
        | ColumnKind::Decimal
        | ColumnKind::Instant
        | ColumnKind::Day
        | ColumnKind::Time
        | ColumnKind::Id => Value::from(text),
    }
}

/// The word for what a column holds.
fn word(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "text",
        ColumnKind::Integer => "integer",
        ColumnKind::Decimal => "decimal",
        ColumnKind::Instant => "instant",
        ColumnKind::Day => "day",
        ColumnKind::Time => "time",
        ColumnKind::Boolean => "boolean",
        ColumnKind::Id => "id",
    }
}

pub(super) fn write(sheet: &Sheet) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let report = sheet.report;
    let columns: Vec<_> =
        report.columns.iter().map(|it| json!({"name": it.name, "title": it.title, "kind": word(it.kind)})).collect();
    let head = json!({
        "code": report.code,
        "version": report.version,
        "title": report.title,
        "parameters": sheet.parameters,
        "position": sheet.position,
        "as_of": sheet.as_of.to_rfc3339_opts(SecondsFormat::Micros, true),
        "columns": columns,
    });
    let mut file = head.to_string().into_bytes();
    // The rows are written one by one, in place of the brace that ends the object.
    file.pop();
    file.extend_from_slice(b",\"rows\":[");
    for (nth, row) in sheet.rows.iter().enumerate() {
        if nth > 0 {
            file.push(b',');
        }
        let cells: Vec<_> = report
            .columns
            .iter()
            .zip(row)
            .map(|(column, text)| text.map_or(Value::Null, |text| cell(column.kind, text)))
            .collect();
        serde_json::to_writer(&mut file, &cells)?;
    }
    file.extend_from_slice(b"]}");
    Ok(file)
}
