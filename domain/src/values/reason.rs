use serde::{Deserialize, Deserializer, Serialize};

use super::LongText;
use crate::{Described, Invalid, Pointer, Shape};

/// Why somebody acts against a warning: 10 to 500 characters, so that a reason is more than a key pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OverrideReason(pub String);

impl OverrideReason {
    const FEWEST: usize = 10;
    const MOST: usize = 500;
}

impl From<&str> for OverrideReason {
    fn from(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl<'de> Deserialize<'de> for OverrideReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

impl Described for OverrideReason {
    const SHAPE: Shape = Shape::Text { max: Self::MOST, format: "" };

    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        // A text rule finds control characters and texts of which nothing can be seen.
        LongText::from(self.0.as_str()).check(at, invalid);
        if !(Self::FEWEST..=Self::MOST).contains(&self.0.chars().count()) {
            invalid.push(at.invalid("give a reason of 10 to 500 characters"));
        }
    }
}
