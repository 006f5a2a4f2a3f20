//! Reports as PDF: a table on pages of A4, with the headings on each page, and what the report is in the footer.
//!
//! All letters are of one width, so the place of a text follows from its length. The font has the letters of the
//! Latin, Greek, Cyrillic, Armenian, Georgian and Arabic scripts, with all accents.

use std::error::Error;

use chrono::{DateTime, Datelike as _, SecondsFormat, Timelike as _, Utc};
use hims_projections::reports::ColumnKind;
use krilla::Document;
use krilla::geom::Point;
use krilla::metadata::{DateTime as Moment, Metadata};
use krilla::page::PageSettings;
use krilla::surface::Surface;
use krilla::text::{Font, TextDirection};

use super::sheet::Sheet;
use super::told;

/// How many rows a report has at most as a PDF, which is more than anybody reads on paper.
pub(super) const MOST_ROWS: usize = 50_000;

/// A page of A4, lying on its side, and its margin, in points.
const PAGE: (f32, f32) = (842.0, 595.0);
const MARGIN: f32 = 36.0;
/// How wide a letter is for its size.
const LETTER: f32 = 0.602;
/// The height of a line for the size of its letters.
const LINE: f32 = 1.35;
/// The sizes of letters in the table, of which the first is taken at which the table fits without breaks.
const SIZES: [f32; 5] = [9.0, 8.0, 7.0, 6.0, 5.0];
/// The sizes of letters in the title and the footer.
const TITLE: f32 = 12.0;
const FOOTER: f32 = 7.0;
/// The greatest width of a column that is not broken into lines, in letters, and the least width.
const WIDEST: usize = 40;
const NARROWEST: usize = 5;
/// The letters between two columns.
const GAP: usize = 2;

type Failure = Box<dyn Error + Send + Sync>;

/// The text in lines of a width, broken between words where possible. Line breaks of the text are spaces.
fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(|it: char| it.is_whitespace() || it.is_control()).filter(|it| !it.is_empty()) {
        let mut word: Vec<char> = word.chars().collect();
        while let Some(line) = lines.last_mut() {
            let used = line.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + word.len() <= width {
                line.extend(std::iter::repeat_n(' ', gap).chain(word));
                break;
            }
            if used == 0 {
                let rest = word.split_off(width);
                line.extend(std::mem::replace(&mut word, rest));
            }
            lines.push(String::new());
        }
    }
    lines
}

/// How the table is laid out: the size of its letters, and the width of each column in letters.
struct Layout {
    size: f32,
    widths: Vec<usize>,
}

/// How many letters of a size fit into a line of the page.
fn letters(size: f32) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred letters")]
    let letters = ((PAGE.0 - 2.0 * MARGIN) / (size * LETTER)) as usize;
    letters
}

impl Layout {
    fn of(sheet: &Sheet) -> Self {
        let columns = sheet.report.columns;
        // A heading is broken between its words.
        let longest_word = |title: &str| title.split(' ').map(|it| it.chars().count()).max().unwrap_or_default();
        let mut widths: Vec<_> = columns.iter().map(|it| longest_word(it.title).clamp(NARROWEST, WIDEST)).collect();
        for row in sheet.rows.iter() {
            for (width, text) in widths.iter_mut().zip(row) {
                let length = text.map_or(0, |it| it.chars().count());
                *width = (*width).max(length.min(WIDEST));
            }
        }
        let needed = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let fitting = SIZES.into_iter().find(|size| needed(&widths) <= letters(*size));
        let size = fitting.unwrap_or(SIZES[SIZES.len() - 1]);
        // A table that does not fit gives up letters of its widest columns, one by one.
        while fitting.is_none() && needed(&widths) > letters(size) {
            match widths.iter_mut().max().filter(|it| **it > NARROWEST) {
                Some(widest) => *widest -= 1,
                None => break,
            }
        }
        Self { size, widths }
    }

    fn line(&self) -> f32 {
        self.size * LINE
    }

    /// How many lines of the table a page has below its headings.
    fn lines_of_a_page(&self, headings: usize) -> usize {
        let room = PAGE.1 - 2.0 * MARGIN - 2.0 * TITLE - 3.0 * FOOTER;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "fewer than a hundred lines")]
        let lines = (room / self.line()) as usize;
        lines.saturating_sub(headings + 1).max(1)
    }

    /// The cells of a row, each in lines of its column.
    fn row(&self, cells: impl IntoIterator<Item = String>) -> Vec<Vec<String>> {
        self.widths.iter().zip(cells).map(|(width, text)| lines(&text, *width)).collect()
    }

    /// Draws a row whose first line is at a height. Numbers stand at the right of their column.
    fn draw(&self, pen: &mut Pen<'_, '_>, row: &[Vec<String>], kinds: &[bool], top: f32) {
        let mut left = 0;
        for ((cell, width), is_number) in row.iter().zip(&self.widths).zip(kinds) {
            for (nth, text) in cell.iter().enumerate() {
                let indent = if *is_number { width.saturating_sub(text.chars().count()) } else { 0 };
                pen.text((places(left + indent, self.size), top + down(nth, self.line())), self.size, text);
            }
            left += width + GAP;
        }
    }
}

/// How far right a number of letters reaches.
fn places(letters: usize, size: f32) -> f32 {
    MARGIN + f32::from(u16::try_from(letters).unwrap_or(u16::MAX)) * size * LETTER
}

fn down(lines: usize, height: f32) -> f32 {
    f32::from(u16::try_from(lines).unwrap_or(u16::MAX)) * height
}

/// Draws texts on a page.
struct Pen<'a, 's> {
    surface: &'a mut Surface<'s>,
    font: &'a Font,
}

impl Pen<'_, '_> {
    fn text(&mut self, (left, top): (f32, f32), size: f32, text: &str) {
        if !text.is_empty() {
            let at = Point::from_xy(left, top);
            self.surface.draw_text(at, self.font.clone(), size, text, false, TextDirection::Auto);
        }
    }
}

/// The time of the position, so that the same report has the same bytes.
fn created(at: DateTime<Utc>) -> Moment {
    let small = |it: u32| u8::try_from(it).unwrap_or(u8::MAX);
    Moment::new(u16::try_from(at.year()).unwrap_or(1970))
        .month(small(at.month()))
        .day(small(at.day()))
        .hour(small(at.hour()))
        .minute(small(at.minute()))
        .second(small(at.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0)
}

/// A row of the table, whose cells are in lines.
type Row = Vec<Vec<String>>;

/// How many lines a row takes.
fn height(row: &[Vec<String>]) -> usize {
    row.iter().map(Vec::len).max().unwrap_or(1)
}

/// The rows of the table page by page, one page at least, where each page has room for some lines.
fn pages(sheet: &Sheet, layout: &Layout, room: usize) -> Vec<Vec<Row>> {
    let mut pages = vec![Vec::new()];
    let mut used = 0;
    for cells in sheet.rows.iter() {
        let row = layout.row(cells.into_iter().map(|it| it.unwrap_or_default().to_owned()));
        let lines = height(&row);
        if used > 0 && used + lines > room {
            pages.push(Vec::new());
            used = 0;
        }
        used += lines;
        if let Some(page) = pages.last_mut() {
            page.push(row);
        }
    }
    pages
}

pub(super) fn write(sheet: &Sheet) -> Result<Vec<u8>, Failure> {
    let report = sheet.report;
    let font = Font::new(dejavu::sans_mono::regular().to_vec().into(), 0).ok_or("the font cannot be read")?;
    let layout = Layout::of(sheet);
    let headings = layout.row(report.columns.iter().map(|it| it.title.to_owned()));
    let pages = pages(sheet, &layout, layout.lines_of_a_page(height(&headings)));
    let is_number = |kind| matches!(kind, ColumnKind::Integer | ColumnKind::Decimal);
    let numbers: Vec<_> = report.columns.iter().map(|it| is_number(it.kind)).collect();
    let texts = vec![false; numbers.len()];
    let footer = format!(
        "{} version {} · position {} · as of {} · {}",
        report.code,
        report.version,
        sheet.position,
        sheet.as_of.to_rfc3339_opts(SecondsFormat::Secs, true),
        told(&sheet.parameters),
    );
    let mut document = Document::new();
    let metadata = Metadata::new().title(report.title.to_owned()).creation_date(created(sheet.as_of));
    document.set_metadata(metadata);
    let count = pages.len();
    for (nth, rows) in (1..).zip(pages) {
        let settings = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or("the page has no size")?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        let mut pen = Pen { surface: &mut surface, font: &font };
        let mut top = MARGIN + TITLE;
        pen.text((MARGIN, top), TITLE, report.title);
        top += TITLE + layout.line();
        layout.draw(&mut pen, &headings, &texts, top);
        top += down(height(&headings) + 1, layout.line());
        for row in &rows {
            layout.draw(&mut pen, row, &numbers, top);
            top += down(height(row), layout.line());
        }
        let bottom = PAGE.1 - MARGIN;
        let number = format!("page {nth} of {count}");
        let room_of_footer = letters(FOOTER).saturating_sub(number.len() + GAP);
        let shown = lines(&footer, room_of_footer).into_iter().take(2);
        for (line, text) in shown.enumerate() {
            pen.text((MARGIN, bottom - FOOTER * LINE + down(line, FOOTER * LINE)), FOOTER, &text);
        }
        let right = letters(FOOTER).saturating_sub(number.len());
        pen.text((places(right, FOOTER), bottom), FOOTER, &number);
        surface.finish();
        page.finish();
    }
    document.finish().map_err(|error| format!("{error:?}").into())
}

#[cfg(test)]
mod tests {
    use super::super::tests::sheet;
    use super::*;

    #[test]
    fn a_text_is_broken_between_words_and_a_long_word_within() {
        assert_eq!(lines("one two three", 7), ["one two", "three"]);
        assert_eq!(lines("a\nb\tc", 7), ["a b c"]);
        assert_eq!(lines("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(lines("", 4), [""]);
    }

    #[test]
    fn rows_go_on_the_next_page_when_one_is_full() {
        let of_pages = |rows: usize, room: usize| {
            let sheet = sheet(&vec!["A ward"; rows]);
            let pages = pages(&sheet, &Layout::of(&sheet), room);
            pages.iter().map(Vec::len).collect::<Vec<_>>()
        };
        // The sheet has one row more than names.
        assert_eq!(of_pages(1, 10), [2]);
        assert_eq!(of_pages(9, 10), [10]);
        assert_eq!(of_pages(24, 10), [10, 10, 5]);
        assert_eq!(of_pages(1, 1), [1, 1]);
    }
}
