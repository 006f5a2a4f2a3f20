use serde::{Deserialize, Deserializer, Serialize};

use crate::{Described, Invalid, Pointer, Shape};

/// Text of 1 to `MAX` characters in one line, without control characters. Only a [`LongText`] may hold line breaks and
/// tabs. White space at the beginning and end is removed when a text is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(pub String);

/// How many characters a free text has at most.
const LONG: usize = 20_000;

/// Free text about a person or a thing, which may have several lines.
pub type LongText = Text<LONG>;

/// A short code of at most 50 characters.
pub type Code = Text<50>;

impl<const MAX: usize> Text<MAX> {
    /// The text as a string slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text consists of spaces and invisible characters only, or is empty.
pub fn is_blank(text: &str) -> bool {
    // Zero-width spaces, fillers, joiners, direction marks and tags.
    let is_invisible = |it| {
        matches!(it, '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().all(|letter| letter.is_whitespace() || is_invisible(letter))
}

/// Whether a character changes how its neighbours are displayed: a control character other than a line break or tab, a
/// Unicode line or paragraph separator, or a character that changes the direction of writing.
fn is_steering(it: char) -> bool {
    it.is_control() && !matches!(it, '\n' | '\r' | '\t')
        || matches!(it, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<const MAX: usize> From<&str> for Text<MAX> {
    fn from(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(if text.trim().len() == text.len() { Self(text) } else { Self(text.trim().to_owned()) })
    }
}

impl<const MAX: usize> Described for Text<MAX> {
    const SHAPE: Shape = Shape::Text { max: MAX, format: "" };

    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        if is_blank(&self.0) {
            invalid.push(at.invalid("give a text, or leave the field out"));
        } else if self.0.chars().count() > MAX {
            invalid.push(at.invalid(format!("give at most {MAX} characters")));
        }
        if self.0.chars().any(is_steering) {
            invalid.push(at.invalid("remove the control characters"));
        }
        if MAX != LONG && self.0.contains(['\n', '\r', '\t']) {
            invalid.push(at.invalid("give a text in one line, without line breaks and tabs"));
        }
    }
}
