//! The data types of FHIR R4 (<https://hl7.org/fhir/R4/datatypes.html>), as far as they are read. None can be printed:
//! they hold personal values.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, SubsecRound as _, Utc};
use hims_domain::Described;
use hims_domain::instant::instant;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A code and the system that it is of.
#[derive(Default, Deserialize)]
pub(super) struct Coding {
    pub(super) system: Option<String>,
    pub(super) code: Option<String>,
    pub(super) display: Option<String>,
}

/// A concept in one or more codes, or in words.
#[derive(Default, Deserialize)]
pub(super) struct CodeableConcept {
    #[serde(default)]
    pub(super) coding: Vec<Coding>,
    pub(super) text: Option<String>,
}

impl CodeableConcept {
    /// The concept in words, or at least its code.
    pub(super) fn words(&self) -> Option<&str> {
        let displays = self.coding.iter().filter_map(|it| it.display.as_deref());
        let codes = self.coding.iter().filter_map(|it| it.code.as_deref());
        self.text.as_deref().into_iter().chain(displays).chain(codes).map(str::trim).find(|it| !it.is_empty())
    }

    /// Its codes in a system.
    pub(super) fn codes_in(&self, system: &str) -> impl Iterator<Item = &str> {
        self.coding.iter().filter(move |it| it.system.as_deref() == Some(system)).filter_map(|it| it.code.as_deref())
    }

    /// Whether one of its codes is this one, whatever the system.
    pub(super) fn has_code(&self, code: &str) -> bool {
        self.coding.iter().any(|it| it.code.as_deref() == Some(code))
    }
}

/// What a system calls a thing.
#[derive(Default, Deserialize)]
pub(super) struct Identifier {
    pub(super) system: Option<String>,
    pub(super) value: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<CodeableConcept>,
}

/// Another resource.
#[derive(Default, Deserialize)]
pub(super) struct Reference {
    pub(super) reference: Option<String>,
    pub(super) identifier: Option<Identifier>,
}

/// From when until when.
#[derive(Default, Deserialize)]
pub(super) struct Period {
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
}

/// How much of what.
#[derive(Default, Deserialize)]
pub(super) struct Quantity {
    #[serde(default, deserialize_with = "decimal")]
    pub(super) value: Option<Decimal>,
    pub(super) unit: Option<String>,
    pub(super) code: Option<String>,
}

/// What a person is called.
#[derive(Default, Deserialize)]
pub(super) struct HumanName {
    #[serde(rename = "use")]
    pub(super) purpose: Option<String>,
    pub(super) text: Option<String>,
    pub(super) family: Option<String>,
    #[serde(default)]
    pub(super) given: Vec<String>,
}

impl HumanName {
    /// The name to call a person by: the official one, else the usual one, else the first.
    pub(super) fn best(names: &[Self]) -> Option<&Self> {
        let used = |purpose: &str| names.iter().find(|it| it.purpose.as_deref() == Some(purpose));
        used("official").or_else(|| used("usual")).or_else(|| names.first())
    }

    /// Given, middle and family name; read from the whole name where they are not told apart.
    pub(super) fn parts(&self) -> Option<(&str, String, &str)> {
        let mut given = self.given.iter().map(|it| it.trim()).filter(|it| !it.is_empty());
        let family = self.family.as_deref().map(str::trim).filter(|it| !it.is_empty());
        if let (Some(first), Some(family)) = (given.next(), family) {
            return Some((first, given.collect::<Vec<_>>().join(" "), family));
        }
        let (given, family) = self.text.as_deref()?.trim().rsplit_once(char::is_whitespace)?;
        let (first, middle) = given.split_once(char::is_whitespace).unwrap_or((given, ""));
        Some((first, middle.trim().to_owned(), family))
    }
}

/// How somebody is reached.
#[derive(Default, Deserialize)]
pub(super) struct ContactPoint {
    pub(super) system: Option<String>,
    pub(super) value: Option<String>,
}

impl ContactPoint {
    /// The values of a system (`phone`, `email`), in order.
    pub(super) fn of<'a>(points: &'a [Self], system: &'a str) -> impl Iterator<Item = &'a str> {
        points.iter().filter(move |it| it.system.as_deref() == Some(system)).filter_map(|it| it.value.as_deref())
    }
}

/// Where somebody lives.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Address {
    #[serde(default)]
    pub(super) line: Vec<String>,
    pub(super) city: Option<String>,
    pub(super) state: Option<String>,
    pub(super) postal_code: Option<String>,
    pub(super) country: Option<String>,
}

/// What a profile adds to a resource.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Extension {
    pub(super) url: String,
    #[serde(default, rename = "extension")]
    pub(super) within: Vec<Extension>,
    pub(super) value_string: Option<String>,
}

impl Extension {
    /// The `text` within an extension of a URL, as in US Core's race and ethnicity.
    pub(super) fn text<'a>(extensions: &'a [Self], url: &str) -> Option<&'a str> {
        let outer = extensions.iter().find(|it| it.url == url)?;
        outer.within.iter().find(|it| it.url == "text")?.value_string.as_deref()
    }
}

/// A number as it is written, not by way of a binary fraction.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    let Some(raw) = Option::<Box<RawValue>>::deserialize(deserializer)? else { return Ok(None) };
    let text = raw.get();
    let value = Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text));
    value.map(Some).map_err(|_| serde::de::Error::custom("not a number that can be kept"))
}

/// An `instant` or `dateTime` that the record can hold, to the microsecond; a whole day begins at midnight UTC.
pub(super) fn time(text: Option<&str>) -> Option<DateTime<Utc>> {
    instant(text?).filter(Described::is_valid).map(|it| it.trunc_subsecs(6))
}

/// A whole `date`; a month or a year is not enough.
pub(super) fn date(text: Option<&str>) -> Option<NaiveDate> {
    text?.parse().ok()
}
