//! The data types of FHIR R4 (<https://hl7.org/fhir/R4/datatypes.html>), with the elements that are read and no others:
//! an element that a type does not have here is counted as left out. The types do not implement `Debug`, since they
//! hold personal values.

use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A code of a code system.
#[derive(Default, Deserialize)]
pub(super) struct Coding {
    pub(super) system: Option<String>,
    pub(super) code: Option<String>,
    pub(super) display: Option<String>,
}

/// A concept, given as codes, as text, or as both.
#[derive(Default, Deserialize)]
pub(super) struct CodeableConcept {
    #[serde(default)]
    pub(super) coding: Vec<Coding>,
    pub(super) text: Option<String>,
}

impl CodeableConcept {
    /// The concept in words: the text, or else the display text of a code, or else a code.
    pub(super) fn words(&self) -> Option<&str> {
        let displays = self.coding.iter().filter_map(|it| it.display.as_deref());
        let codes = self.coding.iter().filter_map(|it| it.code.as_deref());
        self.text.as_deref().into_iter().chain(displays).chain(codes).map(str::trim).find(|it| !it.is_empty())
    }

    /// The codes of the concept in a code system.
    pub(super) fn codes_in(&self, system: &str) -> impl Iterator<Item = &str> {
        self.coding
            .iter()
            .filter(move |coding| coding.system.as_deref() == Some(system))
            .filter_map(|coding| coding.code.as_deref())
    }

    /// Whether the concept has a code, in whatever code system.
    pub(super) fn has_code(&self, code: &str) -> bool {
        self.coding.iter().any(|it| it.code.as_deref() == Some(code))
    }
}

/// An identifier that a system gave a resource, such as a medical record number.
#[derive(Default, Deserialize)]
pub(super) struct Identifier {
    #[serde(rename = "use")]
    pub(super) purpose: Option<String>,
    pub(super) system: Option<String>,
    pub(super) value: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<CodeableConcept>,
    #[serde(default)]
    pub(super) period: Period,
}

/// A reference to another resource, by address or by identifier.
#[derive(Default, Deserialize)]
pub(super) struct Reference {
    pub(super) reference: Option<String>,
    pub(super) identifier: Option<Identifier>,
}

/// A period with a start and an end.
#[derive(Default, Deserialize)]
pub(super) struct Period {
    pub(super) start: Option<String>,
    pub(super) end: Option<String>,
}

/// An amount with its unit.
#[derive(Default, Deserialize)]
pub(super) struct Quantity {
    #[serde(default, deserialize_with = "decimal")]
    pub(super) value: Option<Decimal>,
    pub(super) comparator: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) system: Option<String>,
    pub(super) code: Option<String>,
}

/// An amount of money.
#[derive(Default, Deserialize)]
pub(super) struct Money {
    #[serde(default, deserialize_with = "decimal")]
    pub(super) value: Option<Decimal>,
    pub(super) currency: Option<String>,
}

/// A range of amounts.
#[derive(Default, Deserialize)]
pub(super) struct Range {
    pub(super) low: Option<Quantity>,
    pub(super) high: Option<Quantity>,
}

/// The name of a person.
#[derive(Default, Deserialize)]
pub(super) struct HumanName {
    #[serde(rename = "use")]
    pub(super) purpose: Option<String>,
    pub(super) text: Option<String>,
    pub(super) family: Option<String>,
    #[serde(default)]
    pub(super) given: Vec<String>,
    #[serde(default)]
    pub(super) period: Period,
}

impl HumanName {
    /// The parts of the name. Parts that are not given apart are read from the text of the whole name: a family name
    /// stands before a comma (`García López, María`) or else last. A text of one word is a family name.
    pub(super) fn parts(&self) -> NameParts<'_> {
        let mut given = self.given.iter().filter_map(|it| word(it));
        let (first, family) = (given.next(), self.family.as_deref().and_then(word));
        if first.is_some() || family.is_some() {
            return NameParts { first, middle: given.collect::<Vec<_>>().join(" "), family };
        }
        let text = self.text.as_deref().unwrap_or_default().trim();
        let (given, family) = match text.split_once(',') {
            Some((family, given)) => (given, family),
            None => text.rsplit_once(char::is_whitespace).unwrap_or(("", text)),
        };
        let given = given.trim();
        let (first, middle) = given.split_once(char::is_whitespace).unwrap_or((given, ""));
        NameParts { first: word(first), middle: middle.trim().to_owned(), family: word(family) }
    }
}

/// The parts of a person's name. A person may have only a given or only a family name.
pub(super) struct NameParts<'a> {
    pub(super) first: Option<&'a str>,
    /// The further given names; empty if there are none.
    pub(super) middle: String,
    pub(super) family: Option<&'a str>,
}

impl NameParts<'_> {
    /// How many of the first and the family name are missing.
    pub(super) fn missing(&self) -> usize {
        usize::from(self.first.is_none()) + usize::from(self.family.is_none())
    }

    /// The name in one text.
    pub(super) fn whole(&self) -> String {
        [self.first, Some(self.middle.as_str()), self.family]
            .into_iter()
            .flatten()
            .filter(|it| !it.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// A text without the white space around it; `None` if nothing else is left.
fn word(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|it| !it.is_empty())
}

/// A phone number, an e-mail address, or another way to reach a person or an organization.
#[derive(Default, Deserialize)]
pub(super) struct ContactPoint {
    pub(super) system: Option<String>,
    pub(super) value: Option<String>,
    #[serde(rename = "use")]
    pub(super) purpose: Option<String>,
    pub(super) rank: Option<u32>,
    #[serde(default)]
    pub(super) period: Period,
}

/// A postal address.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Address {
    #[serde(rename = "use")]
    pub(super) purpose: Option<String>,
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) line: Vec<String>,
    pub(super) city: Option<String>,
    pub(super) state: Option<String>,
    pub(super) postal_code: Option<String>,
    pub(super) country: Option<String>,
    #[serde(default)]
    pub(super) period: Period,
}

/// An extension: an element that a profile adds to a resource.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Extension {
    pub(super) url: String,
    #[serde(default, rename = "extension")]
    pub(super) within: Vec<Extension>,
    pub(super) value_string: Option<String>,
}

impl Extension {
    /// The `text` within the extension that a URL names, as in US Core's race and ethnicity.
    pub(super) fn text<'a>(extensions: &'a [Self], url: &str) -> Option<&'a str> {
        let outer = extensions.iter().find(|it| it.url == url)?;
        outer.within.iter().find(|it| it.url == "text")?.value_string.as_deref()
    }
}

/// A note about a resource.
#[derive(Default, Deserialize)]
pub(super) struct Annotation {
    pub(super) text: Option<String>,
}

/// Reads a decimal number exactly as it is written, without the rounding of a binary fraction.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    let Some(raw) = Option::<Box<RawValue>>::deserialize(deserializer)? else { return Ok(None) };
    let text = raw.get();
    let value = Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text));
    value.map(Some).map_err(|_| serde::de::Error::custom("not a number that the record can hold"))
}
