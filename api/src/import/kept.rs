use hims_commands::{PhoneRegion, read_phone};
use hims_domain::values::{Email, LongText, Phone, Text};
use hims_domain::{Described, Personal};

/// Reads the optional elements of a resource. An element that breaks a rule of the record is left out and named.
#[derive(Default)]
pub(super) struct Kept {
    /// The elements that were left out.
    pub(super) left_out: Vec<&'static str>,
}

impl Kept {
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
    pub(super) fn text<const MAX: usize>(&mut self, element: &'static str, text: Option<&str>) -> Option<Text<MAX>> {
        self.value(element, text.filter(|it| !it.trim().is_empty()).map(Text::from))
    }

    /// A text about a person.
    pub(super) fn personal<const MAX: usize>(
        &mut self,
        element: &'static str,
        text: Option<&str>,
    ) -> Option<Personal<Text<MAX>>> {
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
    pub(super) fn phone(&mut self, number: Option<&str>, region: PhoneRegion) -> Option<Phone> {
        self.parsed("telecom", number, |it| read_phone(it, region))
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
    pub(super) fn leave_out(&mut self, element: &'static str) {
        self.left_out.push(element);
    }
}
