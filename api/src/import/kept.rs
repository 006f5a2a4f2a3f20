use std::borrow::Cow;
use std::sync::Arc;

use hims_commands::{PhoneRegion, read_phone};
use hims_domain::values::{Email, LongText, Phone, Text};
use hims_domain::{Described, Personal};

use super::datatypes::{CodeableConcept, Coding};

/// Reads the optional elements of a resource. An element that breaks a rule of the record is left out and named.
#[derive(Default)]
pub(super) struct Kept {
    /// The elements that were left out.
    pub(super) left_out: Vec<Element>,
}

/// The path of an element in its resource, such as `name.prefix`.
pub(super) type Element = Cow<'static, str>;

impl Kept {
    /// Elements that are not read are left out.
    pub(super) fn without(unread: &[Arc<str>]) -> Self {
        Self { left_out: unread.iter().map(|it| Element::Owned(it.to_string())).collect() }
    }

    /// The value, unless the value breaks a rule of the record.
    pub(super) fn value<T: Described>(&mut self, element: &'static str, value: Option<T>) -> Option<T> {
        let value = value?;
        if value.is_valid() {
            return Some(value);
        }
        self.leave_out(element);
        None
    }

    /// A text; a blank text counts as none.
    pub(super) fn text<const MAX: usize, const LETTERS: usize>(
        &mut self,
        element: &'static str,
        text: Option<&str>,
    ) -> Option<Text<MAX, LETTERS>> {
        self.value(element, text.filter(|it| !it.trim().is_empty()).map(Text::from))
    }

    /// A text about a person.
    pub(super) fn personal<const MAX: usize, const LETTERS: usize>(
        &mut self,
        element: &'static str,
        text: Option<&str>,
    ) -> Option<Personal<Text<MAX, LETTERS>>> {
        self.text(element, text).map(Personal::Known)
    }

    /// Texts about a person, joined to one text.
    pub(super) fn joined<'a>(
        &mut self,
        element: &'static str,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Option<Personal<LongText>> {
        let texts: Vec<&str> = texts.into_iter().map(str::trim).filter(|it| !it.is_empty()).collect();
        self.personal(element, Some(&texts.join("; ")))
    }

    /// A phone number, of a region if the number has no country code. A number that cannot be read is left out.
    pub(super) fn phone(&mut self, element: &'static str, number: Option<&str>, region: PhoneRegion) -> Option<Phone> {
        self.parsed(element, number, |it| read_phone(it, region))
    }

    /// An e-mail address.
    pub(super) fn email(&mut self, address: Option<&str>) -> Option<Email> {
        self.parsed("telecom", address, Email::parse)
    }

    /// A value that `parse` reads from a text.
    pub(super) fn parsed<T, E>(
        &mut self,
        element: &'static str,
        text: Option<&str>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let parsed = parse(text?).ok();
        if parsed.is_none() {
            self.leave_out(element);
        }
        parsed
    }

    /// Notes that an element was left out.
    pub(super) fn leave_out(&mut self, element: impl Into<Element>) {
        self.left_out.push(element.into());
    }

    /// Notes that some elements of a list were left out.
    pub(super) fn leave_out_all(&mut self, element: &'static str, how_many: usize) {
        self.left_out.extend(std::iter::repeat_n(Element::Borrowed(element), how_many));
    }

    /// A concept in words. The record keeps the words only, so codes beside the words are left out.
    pub(super) fn words<'a>(&mut self, element: &'static str, concept: Option<&'a CodeableConcept>) -> Option<&'a str> {
        let concept = concept?;
        let words = concept.words()?;
        let is_kept = |coding: &Coding| coding.code.as_deref().is_none_or(|code| code == words);
        if !concept.coding.iter().all(is_kept) {
            self.leave_out(format!("{element}.coding"));
        }
        Some(words)
    }

    /// Several concepts in words.
    pub(super) fn all_words<'a>(
        &mut self,
        element: &'static str,
        concepts: impl IntoIterator<Item = &'a CodeableConcept>,
    ) -> Vec<&'a str> {
        concepts.into_iter().filter_map(|concept| self.words(element, Some(concept))).collect()
    }
}
