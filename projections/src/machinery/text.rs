//! Texts of events as columns hold them.

use hims_domain::Personal;
use hims_domain::values::{Email, Phone, Text};

/// The text of a value, if there is one.
pub(crate) fn text<const MAX: usize, const LETTERS: usize>(value: Option<&Text<MAX, LETTERS>>) -> Option<String> {
    value.map(|it| it.0.clone())
}

/// The text of a personal value; `None` if there is none, or if it was erased.
pub(crate) fn known_text<const MAX: usize, const LETTERS: usize>(
    value: Option<&Personal<Text<MAX, LETTERS>>>,
) -> Option<String> {
    text(value.and_then(Personal::known))
}

/// The text of a phone number; `None` if there is none, or if it was erased.
pub(crate) fn phone(value: Option<&Personal<Phone>>) -> Option<String> {
    value.and_then(Personal::known).map(|it| it.as_str().to_owned())
}

/// The text of an e-mail address; `None` if there is none, or if it was erased.
pub(crate) fn email(value: Option<&Personal<Email>>) -> Option<String> {
    value.and_then(Personal::known).map(|it| it.as_str().to_owned())
}

/// The text that stands for an erased one in a column in which null means that there was none, or that cannot be null.
pub(crate) const ERASED: &str = "[erased]";

/// The text of a personal value; [`ERASED`] if it was erased.
pub(crate) fn text_or_erased<const MAX: usize, const LETTERS: usize>(value: &Personal<Text<MAX, LETTERS>>) -> String {
    value.known().map_or(ERASED, Text::as_str).to_owned()
}
