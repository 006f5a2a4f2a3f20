use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Described, Invalid, Personal, Pointer, Shape};

/// Text of 1 to `MAX` characters in one line, without control characters, with at least one letter or digit and with at
/// least `LETTERS` different letters. Only a [`LongText`] may hold line breaks and tabs, or consist of signs. White
/// space at the beginning and end is removed when a text is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize, const LETTERS: usize = 0>(pub String);

/// How many characters a free text has at most.
pub(super) const LONG: usize = 20_000;

/// Free text about a person or a thing, which may have several lines.
pub type LongText = Text<LONG>;

/// Why somebody does something: free text with at least two different letters, since dots give no reason.
pub type Reason = Text<LONG, 2>;

/// The name of a person or a thing: a text in one line with at least one letter.
pub type Name<const MAX: usize> = Text<MAX, 1>;

/// A short code of at most 50 characters.
pub type Code = Text<50>;

impl<const MAX: usize, const LETTERS: usize> Text<MAX, LETTERS> {
    /// The text as a string slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Those names of a person that are known, in one text; empty if none is known.
pub fn known_names<const COUNT: usize>(names: [&Option<Personal<Name<100>>>; COUNT]) -> String {
    let known: Vec<_> = names.into_iter().flatten().filter_map(Personal::known).map(Name::as_str).collect();
    known.join(" ")
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

/// How many different letters a text has, without regard to case.
fn different_letters(text: &str) -> usize {
    text.chars().filter(|it| it.is_alphabetic()).flat_map(char::to_lowercase).collect::<BTreeSet<_>>().len()
}

impl<const MAX: usize, const LETTERS: usize> From<&str> for Text<MAX, LETTERS> {
    fn from(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl<'de, const MAX: usize, const LETTERS: usize> Deserialize<'de> for Text<MAX, LETTERS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(if text.trim().len() == text.len() { Self(text) } else { Self(text.trim().to_owned()) })
    }
}

impl<const MAX: usize, const LETTERS: usize> Described for Text<MAX, LETTERS> {
    const SHAPE: Shape = Shape::Text { max: MAX, format: "" };

    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        if is_blank(&self.0) {
            invalid.push(at.invalid("give a text, or leave the field out"));
        } else if self.0.chars().count() > MAX {
            invalid.push(at.invalid(format!("give at most {MAX} characters")));
        } else if LETTERS > 0 && different_letters(&self.0) < LETTERS {
            invalid.push(at.invalid(match LETTERS {
                1 => "give a text with at least one letter".to_owned(),
                _ => format!("say it in words: give a text with at least {LETTERS} different letters"),
            }));
        } else if MAX != LONG && !self.0.chars().any(char::is_alphanumeric) {
            invalid.push(at.invalid("give a text with letters or digits, or leave the field out"));
        }
        if self.0.chars().any(is_steering) {
            invalid.push(at.invalid("remove the control characters"));
        }
        if MAX != LONG && self.0.contains(['\n', '\r', '\t']) {
            invalid.push(at.invalid("give a text in one line, without line breaks and tabs"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_letter_and_every_line_a_letter_or_digit() {
        for (text, is_name, is_line) in [
            ("Ann", true, true),
            ("O'", true, true),
            ("李", true, true),
            ("7", false, true),
            ("...", false, false),
            (". - '", false, false),
            ("\u{1f600}", false, false),
            ("\u{301}", false, false),
            (" ", false, false),
        ] {
            assert_eq!(Name::<100>::from(text).is_valid(), is_name, "{text}");
            assert_eq!(Text::<100>::from(text).is_valid(), is_line, "{text}");
        }
        assert!(LongText::from("++").is_valid(), "a finding may be written in signs");
    }

    #[test]
    fn a_reason_says_something() {
        for reason in ["ill", "No", "取消", "Fell; the arm hurts.\nComes later."] {
            assert!(Reason::from(reason).is_valid(), "{reason}");
        }
        for reason in ["", "..........", "x", "xxxX", "1234", "- -", "?"] {
            assert!(!Reason::from(reason).is_valid(), "{reason}");
        }
    }
}
