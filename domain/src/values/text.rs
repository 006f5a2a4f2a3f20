use serde::{Deserialize, Deserializer, Serialize};

use crate::{Described, Invalid, Pointer, Shape};

/// Text of 1 to `MAX` characters without control characters other than line breaks and tabs; read trimmed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(pub String);

/// Free text about a person or a thing.
pub type LongText = Text<20_000>;

/// A short code.
pub type Code = Text<50>;

impl<const MAX: usize> Text<MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
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
        if self.0.is_empty() {
            invalid.push(at.invalid("give a text, or leave the field out"));
        } else if self.0.chars().count() > MAX {
            invalid.push(at.invalid(format!("give at most {MAX} characters")));
        }
        if self.0.chars().any(|it| it.is_control() && !matches!(it, '\n' | '\r' | '\t')) {
            invalid.push(at.invalid("remove the control characters"));
        }
    }
}
