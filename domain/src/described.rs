//! What a value looks like on the wire, and which rules it must keep on the way in.
//!
//! Reading a value is lenient, so that a rule that tightens later never makes history unreadable. The rules are
//! [checked](Described::check) once, when a request arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use rust_decimal::Decimal;

/// The form of a value on the wire. JSON Schema and the OpenAPI document are generated from shapes.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// An exact decimal: a JSON number, or a string of digits.
    Decimal,
    /// The id of an aggregate, or of a part of one: a UUID in its hyphenated form.
    Id {
        /// The stream type of the aggregate, such as `patient`.
        stream: &'static str,
        /// The part of the aggregate that the id identifies, such as `allergy`; empty for the aggregate itself.
        part: &'static str,
    },
    /// A date, `YYYY-MM-DD`.
    Date,
    /// A date of which the day, or the month and the day, may be unknown: `YYYY-MM-DD`, `YYYY-MM` or `YYYY`.
    PartialDate,
    /// An instant (RFC 3339), answered in UTC.
    Timestamp,
    /// Text of at most `max` characters.
    Text {
        /// How many characters the text has at most.
        max: usize,
        /// The `format` of JSON Schema, or empty.
        format: &'static str,
    },
    /// A password, which a form shows covered.
    Secret {
        /// How many characters the password has at least.
        min: usize,
        /// How many characters the password has at most.
        max: usize,
    },
    /// One of a closed set of codes.
    OneOf {
        /// The Rust path of the set, which is unique: `hims_domain::patient::Gender`.
        set: &'static str,
        /// The codes.
        codes: &'static [&'static str],
    },
    /// A list.
    List(&'static Shape),
    /// An object whose keys are free.
    Map(&'static Shape),
    /// An object whose form another standard describes. Whoever uses the object checks it.
    Json,
    /// A value that may be left out or null.
    Optional(&'static Shape),
    /// An object with these fields.
    Object(&'static [Field]),
    /// An object of which every field is optional: a JSON merge patch (RFC 7396).
    Patch(&'static Shape),
}

/// One field of an object.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The name of the field on the wire.
    pub name: &'static str,
    /// The documentation of the field.
    pub doc: &'static str,
    /// The shape of the field's value.
    pub shape: Shape,
    /// Whether the fields of the value stand directly in the object that holds this field (`flatten` of serde).
    pub flatten: bool,
    /// Whether the field may be left out (`default` of serde).
    pub default: bool,
}

/// A value that can say what it looks like and whether it keeps the rules.
pub trait Described {
    /// The form of the value on the wire.
    const SHAPE: Shape;

    /// The documentation of a struct that `described!` declares; empty for other types.
    const ABOUT: &'static str = "";

    /// Adds each rule that the value breaks to `invalid`; `at` is the place of the value in the request.
    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        let _ = (at, invalid);
    }

    /// Whether the value breaks no rule.
    fn is_valid(&self) -> bool {
        let mut invalid = Vec::new();
        self.check(&Pointer::Root, &mut invalid);
        invalid.is_empty()
    }
}

/// A rule that a value breaks, and the place of the value in the request. Never holds the value itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The place of the value: a JSON pointer into the request (RFC 6901).
    pub pointer: String,
    /// What is wrong, or what to give instead.
    pub message: String,
    /// The stable code of the rule, where a refusal names several rules or records.
    pub code: Option<&'static str>,
}

impl Invalid {
    /// A rule that has no code of its own.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into(), code: None }
    }

    /// A rule with a stable code of its own.
    pub fn coded(code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: Some(code), ..Self::new(pointer, message) }
    }
}

/// A place in a request. The text of the pointer is allocated only if the value at the place breaks a rule.
#[derive(Debug, Clone, Copy)]
pub enum Pointer<'a> {
    /// The whole request.
    Root,
    /// A field of an object.
    Field(&'a Pointer<'a>, &'a str),
    /// An element of a list.
    Index(&'a Pointer<'a>, usize),
}

impl Pointer<'_> {
    /// Reports that the value at this place is invalid.
    pub fn invalid(&self, message: impl Into<String>) -> Invalid {
        Invalid::new(self.to_string(), message)
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(parent, name) => write!(f, "{parent}/{}", name.replace('~', "~0").replace('/', "~1")),
            Self::Index(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

macro_rules! plain {
    ($($type:ty => $shape:expr),* $(,)?) => {$(
        impl Described for $type { const SHAPE: Shape = $shape; }
    )*};
}
plain! {
    bool => Shape::Boolean,
    i16 => Shape::Integer,
    i32 => Shape::Integer,
    u32 => Shape::Integer,
    Decimal => Shape::Decimal,
}

impl Described for NaiveDate {
    const SHAPE: Shape = Shape::Date;

    /// Accepts only years that all databases and calendar programs in use can hold.
    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        if !(1800..=9999).contains(&self.year()) {
            invalid.push(at.invalid("give a date in the years 1800 to 9999"));
        }
    }
}

impl Described for DateTime<Utc> {
    const SHAPE: Shape = Shape::Timestamp;

    /// Accepts only years that all databases and calendar programs in use can hold.
    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        if !(1800..=9998).contains(&self.year()) {
            invalid.push(at.invalid("give a time in the years 1800 to 9998"));
        }
    }
}

impl<T: Described> Described for Option<T> {
    const SHAPE: Shape = Shape::Optional(&T::SHAPE);
    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        if let Some(value) = self {
            value.check(at, invalid);
        }
    }
}

impl<T: Described> Described for Vec<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);
    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        for (index, value) in self.iter().enumerate() {
            value.check(&Pointer::Index(at, index), invalid);
        }
    }
}

impl<T: Described> Described for BTreeSet<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);
    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        for (index, value) in self.iter().enumerate() {
            value.check(&Pointer::Index(at, index), invalid);
        }
    }
}

impl<T: Described> Described for BTreeMap<String, T> {
    const SHAPE: Shape = Shape::Map(&T::SHAPE);
    fn check(&self, at: &Pointer<'_>, invalid: &mut Vec<Invalid>) {
        for (key, value) in self {
            if key.len() > 100 || key.chars().any(char::is_control) || !key.chars().any(char::is_alphanumeric) {
                invalid.push(at.invalid("use keys of 1 to 100 printable characters, with a letter or digit"));
            }
            value.check(&Pointer::Field(at, key), invalid);
        }
    }
}

/// The name of a field as it is sent and stored. A field that is named like a word of Rust, such as `r#type`, is named
/// without the mark.
#[doc(hidden)]
pub const fn field_name(written: &'static str) -> &'static str {
    match written.as_bytes() {
        [b'r', b'#', ..] => written.split_at(2).1,
        _ => written,
    }
}

/// Whether the text of a field's serde attributes holds a word: `described!` looks for `flatten` and `default`.
#[doc(hidden)]
pub const fn has_word(attributes: &str, word: &str) -> bool {
    let (text, word) = (attributes.as_bytes(), word.as_bytes());
    let mut start = 0;
    while start + word.len() <= text.len() {
        let mut i = 0;
        while i < word.len() && text[start + i] == word[i] {
            i += 1;
        }
        if i == word.len() {
            return true;
        }
        start += 1;
    }
    false
}

/// Declares structs that describe themselves: the serde form, the fields with their documentation, and the checks.
///
/// Doc comments come before serde attributes. A field that is absent when empty needs `#[serde(default)]` only where
/// its type is not an `Option`.
#[macro_export]
macro_rules! described {
    ($(
        $(#[doc = $about:literal])* $(#[derive($($derive:tt)*)])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])* $(#[serde($($attribute:tt)*)])* pub $field:ident: $type:ty ),* $(,)?
        }
    )*) => {$(
        $(#[doc = $about])* $(#[derive($($derive)*)])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        pub struct $name {
            $( $(#[doc = $doc])* $(#[serde($($attribute)*)])* pub $field: $type ),*
        }

        impl $crate::Described for $name {
            const ABOUT: &'static str = concat!($($about),*);
            const SHAPE: $crate::Shape = $crate::Shape::Object(&[$( $crate::Field {
                name: $crate::__field_name(stringify!($field)),
                doc: concat!($($doc),*),
                shape: <$type as $crate::Described>::SHAPE,
                flatten: $crate::described_has_word!("flatten" in $($($attribute)*)*),
                default: $crate::described_has_word!("default" in $($($attribute)*)*),
            } ),*]);

            fn check(&self, at: &$crate::Pointer<'_>, invalid: &mut Vec<$crate::Invalid>) {
                $( if $crate::described_has_word!("flatten" in $($($attribute)*)*) {
                    $crate::Described::check(&self.$field, at, invalid);
                } else {
                    let name = $crate::__field_name(stringify!($field));
                    $crate::Described::check(&self.$field, &$crate::Pointer::Field(at, name), invalid);
                } )*
                let _ = (at, invalid);
            }
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! described_has_word {
    ($word:literal in $($attribute:tt)*) => {
        $crate::__has_word(stringify!($($attribute)*), $word)
    };
}

/// Declares closed sets of codes: the enum, its serde form and its text. Each code is written only once.
#[macro_export]
macro_rules! terms {
    ($(
        $(#[doc = $about:literal])*
        pub enum $name:ident { $( $(#[$meta:meta])* $term:ident = $code:literal ),* $(,)? }
    )*) => {$(
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize)]
        #[allow(missing_docs, reason = "the code of a term says what the term is")]
        pub enum $name { $( $(#[$meta])* #[serde(rename = $code)] $term ),* }

        impl $name {
            /// Every code of the set, as stored and as sent.
            pub const CODES: &'static [&'static str] = &[$($code),*];

            /// The term with this code; `None` if the set has no such code.
            pub fn parse(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$term),)* _ => None }
            }

            /// The code of the term.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$term => $code),* }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::Described for $name {
            const SHAPE: $crate::Shape = $crate::Shape::OneOf {
                set: concat!(module_path!(), "::", stringify!($name)),
                codes: Self::CODES,
            };
        }
    )*};
}
