//! Reports as CSV (RFC 4180): UTF-8, with a line of headings.

use std::borrow::Cow;
use std::error::Error;

use csv::{Terminator, WriterBuilder};
use hims_projections::reports::ColumnKind;

use super::sheet::Sheet;

/// With what a spreadsheet program takes a text for a formula.
const OF_FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The text of a cell. A text that a spreadsheet program would take for a formula gets an apostrophe, so that nobody can
/// have the program of a reader compute something by the name that they register with.
fn cell(kind: ColumnKind, text: &str) -> Cow<'_, str> {
    if kind == ColumnKind::Text && text.starts_with(OF_FORMULAS) { format!("'{text}").into() } else { text.into() }
}

pub(super) fn write(sheet: &Sheet) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    let columns = sheet.report.columns;
    writer.write_record(columns.iter().map(|it| it.title))?;
    for row in sheet.rows.iter() {
        let cells = columns.iter().zip(row);
        let texts: Vec<_> = cells.map(|(column, text)| cell(column.kind, text.unwrap_or_default())).collect();
        writer.write_record(texts.iter().map(|it| it.as_bytes()))?;
    }
    Ok(writer.into_inner().map_err(csv::IntoInnerError::into_error)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_never_a_formula_and_a_number_stays_a_number() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(cell(ColumnKind::Text, text), format!("'{text}"));
        }
        assert_eq!(cell(ColumnKind::Text, "O'Brien =1"), "O'Brien =1");
        for kind in [ColumnKind::Integer, ColumnKind::Decimal] {
            assert_eq!(cell(kind, "-1"), "-1");
        }
    }
}
