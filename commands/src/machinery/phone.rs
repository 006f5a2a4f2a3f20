//! Phone numbers as people write them, read with the numbering plans of the countries (Google's libphonenumber).

use std::fmt;
use std::str::FromStr;

use hims_domain::Shape;
use hims_domain::values::Phone;
use rlibphonenumber::{CountryCodeSource, NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::schema::fields;

/// The country whose numbering plan applies to phone numbers that are written without a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhoneRegion(Region);

impl Default for PhoneRegion {
    fn default() -> Self {
        Self(Region::US)
    }
}

impl FromStr for PhoneRegion {
    type Err = &'static str;

    /// Reads the code of a country (ISO 3166-1 alpha-2).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Region::from_code(text.trim()).ok();
        let known = known.filter(|it| PHONE_NUMBER_UTIL.get_country_code_for_region(*it).is_some());
        known.map(Self).ok_or("the region of phone numbers must be the code of a country (ISO 3166-1), such as US")
    }
}

impl<'de> Deserialize<'de> for PhoneRegion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for PhoneRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The country code of North America.
const NORTH_AMERICA: i32 = 1;

/// Reads a phone number as people write it: `(555) 415-3084`, `+44 (0)20 7946 0018`, `030 901820 ext. 21`. A number
/// without a country code is a number of the region. Abroad is dialled as the region dials it, or with `00`, unless
/// `00` means something else in the region.
///
/// # Errors
/// When the text is not a number that can be dialled, or may mean two numbers: it is never made into another number.
pub fn read_phone(text: &str, region: PhoneRegion) -> Result<Phone, &'static str> {
    let text = text.trim();
    if !is_written_as_number(text) {
        return Err(Phone::RULE);
    }
    let of_region = dialled(text, Some(region.0));
    let Some(abroad) = text.strip_prefix('(').unwrap_or(text).strip_prefix("00") else {
        return stored(&of_region.ok_or(Phone::RULE)?);
    };
    // Most countries dial abroad with 00, and people write 00 for the plus in all countries.
    let of_abroad = dialled(&format!("+{abroad}"), None);
    match (of_region, of_abroad) {
        (Some(number), None) => stored(&number),
        (Some(number), Some(other)) if number == other || !is_meant(abroad, &other) => stored(&number),
        (None, Some(number)) if !begins_call_abroad(text, region) => stored(&number),
        // The region's plan gives the digits after 00 a meaning of their own, such as a carrier.
        _ => Err(Phone::RULE),
    }
}

/// The number that a text means with the numbering plan of a region, or with a country code of its own.
fn dialled(text: &str, region: Option<Region>) -> Option<PhoneNumber> {
    PhoneNumber::parse(text, region).ok().filter(can_be_dialled)
}

/// The number as it is stored, if whoever reads that reads the same number again: of some numbers that nobody has, the
/// plan of their country would take the first digit for a prefix.
fn stored(number: &PhoneNumber) -> Result<Phone, &'static str> {
    let e164 = number.format_as(PhoneNumberFormat::E164);
    if dialled(&e164, None).is_none_or(|again| again.format_as(PhoneNumberFormat::E164) != e164) {
        return Err(Phone::RULE);
    }
    match number.extension.as_deref().filter(|it| !it.is_empty()) {
        Some(extension) => Phone::parse(&format!("{e164};ext={extension}")),
        None => Phone::parse(&e164),
    }
}

/// Whether a text that can be read in two ways may well mean this number: the country gives out such numbers, and the
/// text has the digits of the number and no others, such as those that are dialled only within a country.
fn is_meant(text: &str, number: &PhoneNumber) -> bool {
    let digits = |text: &str| PHONE_NUMBER_UTIL.normalize_digits_only(text);
    number.is_valid() && stored(number).is_ok_and(|it| digits(it.as_str()) == digits(text))
}

/// Whether a text that begins with `00` begins with more digits that dial abroad from a region. The library keeps the
/// prefixes of the regions to itself, so that the way to find one is to dial a number with it.
fn begins_call_abroad(text: &str, region: PhoneRegion) -> bool {
    /// The most digits that any region dials before the code of a country.
    const LONGEST: usize = 6;
    const NUMBER: &str = "4930901820";
    let digits = PHONE_NUMBER_UTIL.normalize_digits_only(text);
    (3..=LONGEST.min(digits.len())).any(|length| {
        let number = format!("{}{NUMBER}", &digits[..length]);
        let number = PHONE_NUMBER_UTIL.parse_and_keep_raw_input(number, Some(region.0)).ok();
        number.is_some_and(|it| {
            it.country_code_source() == CountryCodeSource::FromNumberWithIdd
                && it.format_as(PhoneNumberFormat::E164).strip_prefix('+') == Some(NUMBER)
        })
    })
}

/// Whether a text has nothing but a phone number: digits, the signs between them, and the words for an extension. The
/// library would read other letters as the digits that they share a key with.
fn is_written_as_number(text: &str) -> bool {
    const WORDS: &[&str] = &["tel", "ext", "extn", "extension", "x"];
    let is_sign = |it: char| it.is_numeric() || it.is_whitespace() || "+-‐‑‒–−().,/:;=#~\u{a0}".contains(it);
    let mut words = text.split(|it: char| !it.is_alphabetic()).filter(|it| !it.is_empty());
    text.chars().all(|it| it.is_alphabetic() || is_sign(it))
        && words.all(|word| WORDS.contains(&word.to_lowercase().as_str()))
        && !text.trim_start_matches("tel:").chars().skip(1).any(|it| it == '+')
}

/// Whether a number has a length that its country uses, and does not begin with digits that are dialled only within
/// the country. Numbers that are not given to anybody yet, such as the made-up ones of North America, are accepted.
fn can_be_dialled(number: &PhoneNumber) -> bool {
    let national = number.get_national_significant_number();
    let begins_as_a_number =
        !national.starts_with('0') && (number.country_code != NORTH_AMERICA || !national.starts_with('1'));
    number.is_valid() || begins_as_a_number && number.is_possible_with_reason() == Ok(NumberLengthType::IsPossible)
}

/// Replaces the phone numbers in a request by their stored form. A number that cannot be read stays as it is, and is
/// refused when the values of the request are checked.
pub(super) fn read_phones(shape: &Shape, value: &mut Value, region: PhoneRegion) {
    match (shape, value) {
        (Shape::Text { format: "phone", .. }, Value::String(text)) => {
            if let Ok(phone) = read_phone(text, region) {
                phone.as_str().clone_into(text);
            }
        }
        (Shape::Optional(of), value) => read_phones(of, value, region),
        (Shape::List(of), Value::Array(items)) => items.iter_mut().for_each(|it| read_phones(of, it, region)),
        (Shape::Map(of), Value::Object(map)) => map.values_mut().for_each(|it| read_phones(of, it, region)),
        (Shape::Object(_) | Shape::Patch(_), Value::Object(map)) => {
            for (field, _) in fields(shape, false) {
                if let Some(value) = map.get_mut(field.name) {
                    read_phones(&field.shape, value, region);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use hims_domain::Described as _;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::aggregates::patient::{ChangePatientDemographics, RegisterPatient};

    fn read(text: &str, region: &str) -> Result<String, &'static str> {
        read_phone(text, region.parse().unwrap()).map(|it| it.as_str().to_owned())
    }

    #[test]
    fn a_number_is_read_as_its_country_writes_it() {
        for (region, given, stored) in [
            ("US", "555-415-3084", "+15554153084"),
            ("US", "(555) 415-3084", "+15554153084"),
            ("US", "1-555-415-3084", "+15554153084"),
            ("US", "555.415.3084", "+15554153084"),
            ("US", "+49 30 901820", "+4930901820"),
            ("US", "0049 30 901820", "+4930901820"),
            ("US", "011 49 30 901820", "+4930901820"),
            ("US", "+44 (0)20 7946 0018", "+442079460018"),
            ("US", "+33 (0)6 48 35 26 38", "+33648352638"),
            ("US", "+39 06 6982 1234", "+390669821234"),
            ("IT", "06 6982 1234", "+390669821234"),
            ("GB", "020 7946 0018", "+442079460018"),
            ("GB", "0044 20 7946 0018", "+442079460018"),
            ("DE", "030/901820", "+4930901820"),
            ("NL", "06 48 35 26 38", "+31648352638"),
            ("AU", "(03) 5555 6473", "+61355556473"),
            ("IN", "98765 43210", "+919876543210"),
            ("CH", "044 668 18 00", "+41446681800"),
            ("RU", "8 (495) 123-45-67", "+74951234567"),
            ("DK", "32 12 34 56", "+4532123456"),
            ("us", "٥٥٥٤١٥٣٠٨٤", "+15554153084"),
        ] {
            assert_eq!(read(given, region).as_deref(), Ok(stored), "{given} in {region}");
        }
    }

    #[test]
    fn abroad_is_dialled_as_the_region_dials_it_or_with_two_zeros() {
        for (region, given, stored) in [
            ("AU", "0011 49 30 901820", "+4930901820"),
            ("AU", "0011 47 2212 3456", "+4722123456"),
            ("AU", "0049 30 901820", "+4930901820"),
            ("JP", "010 49 30 901820", "+4930901820"),
            ("JP", "0049 30 901820", "+4930901820"),
            ("RU", "8~10 49 30 901820", "+4930901820"),
            ("RU", "810 49 30 901820", "+4930901820"),
            ("RU", "0049 30 901820", "+4930901820"),
            ("CA", "(0049) 30 901820 ext. 7", "+4930901820;ext=7"),
            ("US", "00 1 555 415 3084", "+15554153084"),
            ("NG", "009 49 30 901820", "+4930901820"),
            ("NG", "0044 (0)20 7946 0018", "+442079460018"),
            ("KE", "000 49 30 901820", "+4930901820"),
            ("BR", "0015 49 30 901820", "+4930901820"),
            ("BR", "0049 30 901820", "+4930901820"),
            ("HK", "001 49 30 901820", "+4930901820"),
            ("HK", "0049 30 901820", "+4930901820"),
            ("KR", "001 49 30 901820", "+4930901820"),
            ("KR", "0049 30 901820", "+4930901820"),
            ("IT", "0049 30 901820", "+4930901820"),
            ("SG", "001 49 30 901820", "+4930901820"),
        ] {
            assert_eq!(read(given, region).as_deref(), Ok(stored), "{given} in {region}");
        }
    }

    #[test]
    fn two_zeros_that_mean_something_else_in_the_region_are_refused() {
        // In Singapore and Thailand a digit after 00 chooses the carrier; in Brazil 41 does.
        for (region, given) in [
            ("SG", "0049 1512 3456789"),
            ("SG", "0049 30 901820"),
            ("TH", "0049 30 901820"),
            ("HK", "0066 2 123 4567"),
            ("BR", "0041 44 668 18 00"),
            ("US", "0000 49 30 901820"),
            ("DE", "00 030 901820"),
        ] {
            assert!(read(given, region).is_err(), "{given} in {region}: {:?}", read(given, region));
        }
    }

    #[test]
    fn an_extension_stays_with_its_number() {
        for given in ["555-415-3084 ext 21", "(555) 415-3084 x21", "tel:+1-555-415-3084;ext=21", "+15554153084;ext=21"]
        {
            assert_eq!(read(given, "US").as_deref(), Ok("+15554153084;ext=21"), "{given}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_number_and_no_other_number() {
        for given in [
            "",
            "hello",
            "12",
            "0555 415",
            "+1 555+415 3084",
            "(03) 5555 6473",
            "06 48 35 26 38",
            "+1 155 415 3084",
            "555-0199",
            "+999 12345678",
            "+1 (0)155 415 3084",
            "ask the neighbour",
            "555-415-3084 (home)",
            "911",
            "555-415-HELP",
            "5554153084/5554153085",
            "+1 555 415 3084 ext. 123456789012",
        ] {
            assert!(read(given, "US").is_err(), "{given}: {:?}", read(given, "US"));
        }
        assert!(read("030 901820 privat", "DE").is_err());
        assert!(read("112", "DE").is_err());
        assert!(read("0 8x800000", "BY").is_err(), "what is stored would be read as another number");
    }

    #[test]
    fn the_phone_numbers_of_a_request_are_read_wherever_they_stand() {
        let mut registered = json!({"phone_primary": "555-415-3084", "phone_secondary": null, "city": "555-415-3084"});
        read_phones(&RegisterPatient::SHAPE, &mut registered, PhoneRegion::default());
        let expected = json!({"phone_primary": "+15554153084", "phone_secondary": null, "city": "555-415-3084"});
        assert_eq!(registered, expected);
        let mut changed = json!({"emergency_contact_phone": "555-415-3084", "phone_primary": "nobody"});
        read_phones(&ChangePatientDemographics::SHAPE, &mut changed, PhoneRegion::default());
        assert_eq!(changed, json!({"emergency_contact_phone": "+15554153084", "phone_primary": "nobody"}));
    }

    #[test]
    fn a_region_is_a_country() {
        assert_eq!("nl".parse::<PhoneRegion>().unwrap().to_string(), "NL");
        for text in ["", "XX", "001", "Germany"] {
            assert!(text.parse::<PhoneRegion>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_once_reads_the_same_again(text in r"(\PC{0,40}|[+]?[0-9 ().+/-]{0,24}( ?(ext|x)[0-9]{0,9})?)") {
            for region in ["US", "DE", "IT", "BY", "SG", "BR"] {
                if let Ok(phone) = read(&text, region) {
                    prop_assert_eq!(read(&phone, "US"), Ok(phone.clone()));
                    prop_assert!(Phone::parse(&phone).is_ok());
                }
            }
        }
    }
}
