use serde::{Deserialize, Deserializer, Serialize};

use super::Text;
use super::text::LONG;
use crate::{Described, Invalid, Pointer, Shape};

/// Why somebody acts against a warning: 10 to 500 characters with at least four different letters, so that a reason is
/// more than a key pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OverrideReason(pub String);

impl OverrideReason {
    const FEWEST: usize = 10;
    const MOST: usize = 500;
    /// How many different letters a reason has at least.
    const LETTERS: usize = 4;
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
        // The rule of texts finds control characters and texts that say nothing.
        Text::<LONG, { Self::LETTERS }>(self.0.clone()).check(at, invalid);
        if !(Self::FEWEST..=Self::MOST).contains(&self.0.chars().count()) {
            invalid.push(at.invalid("give a reason of 10 to 500 characters"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_reason_says_something() {
        for reason in ["tolerated it in 2024", "benefit outweighs the risk"] {
            assert!(OverrideReason::from(reason).is_valid(), "{reason}");
        }
        for reason in
            ["", "..........", "ok . . . . . . . .", "xxxxxxxxxxxx", "123456789012", "ill", "\u{200b}\u{200b}"]
        {
            assert!(!OverrideReason::from(reason).is_valid(), "{reason}");
        }
    }
}
