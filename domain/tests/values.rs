//! Values are accepted or refused as their rules say, whatever text arrives.

use hims_domain::values::{Email, LongText, Mrn, Phone, Ssn, Text};
use hims_domain::{AllergyId, Described, PatientId, Personal, Pointer};
use proptest::prelude::*;

/// Texts that are close enough to e-mail addresses, phone numbers and the like to pass some of their rules.
fn written() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r"\PC{0,80}",
        r"[ \t]?[A-Za-zÀ-ž'.+_-]{0,12}@[A-Za-zÀ-ž.-]{0,12}\.[A-Za-z]{0,4} ?",
        r"[+]?[0-9 ().+/-]{0,24}",
        r"[+][0-9]{7,16}(;ext=[0-9]{0,12})?",
        r"[0-9]{3}-?[0-9]{2}-?[0-9]{4}",
    ]
}

fn is_accepted(value: &impl Described) -> bool {
    let mut invalid = Vec::new();
    value.check(&Pointer::Root, &mut invalid);
    invalid.is_empty()
}

#[test]
fn a_text_can_be_seen_and_moves_nothing_beside_it() {
    for text in ["\u{200b}\u{200b}", "\u{feff}", "\u{3164}", "\u{e0041}", "Ann\u{202e}", "a\u{2028}b", "a\u{7}"] {
        assert!(!is_accepted(&Text::<50>::from(text)), "{text:?}");
    }
    for text in ["Ann", "Żuławska-O’Neil", "می‌خواهم"] {
        assert!(is_accepted(&Text::<50>::from(text)), "{text:?}");
    }
}

#[test]
fn only_a_long_text_has_several_lines() {
    for text in ["first line\nsecond line", "first line\r\nsecond line", "one\ttwo"] {
        assert!(!is_accepted(&Text::<100>::from(text)), "{text:?}");
        assert!(is_accepted(&LongText::from(text)), "{text:?}");
    }
}

#[test]
fn neither_the_nil_uuid_nor_the_max_uuid_is_an_id() {
    for none in [uuid::Uuid::nil(), uuid::Uuid::max()] {
        assert!(!is_accepted(&PatientId(none)) && !is_accepted(&AllergyId(none)));
        assert_eq!(hims_domain::read_id(&none.to_string()), None);
    }
    let one = uuid::Uuid::from_u128(1);
    assert!(is_accepted(&PatientId(one)));
    assert_eq!(hims_domain::read_id(&one.to_string()), Some(one));
    assert_eq!(hims_domain::read_id("1"), None);
}

proptest! {
    #[test]
    fn what_is_read_once_reads_the_same_again(text in written()) {
        if let Ok(email) = Email::parse(&text) {
            prop_assert_eq!(Email::parse(email.as_str()), Ok(email.clone()));
        }
        if let Ok(phone) = Phone::parse(&text) {
            prop_assert_eq!(Phone::parse(phone.as_str()), Ok(phone.clone()));
        }
        if let Ok(ssn) = Ssn::parse(&text) {
            prop_assert_eq!(Ssn::parse(ssn.as_str()), Ok(ssn.clone()));
        }
    }

    #[test]
    fn an_address_is_found_in_any_case(local in "[a-z']{1,10}", domain in "[a-z]{1,10}[.][a-z]{2,4}") {
        let address = format!("{local}@{domain}");
        prop_assert_eq!(Email::parse(&address.to_uppercase()), Email::parse(&address));
        prop_assert!(Email::parse(&address).is_ok());
    }

    #[test]
    fn a_phone_number_is_e164(text in written()) {
        if let Ok(phone) = Phone::parse(&text) {
            let text = phone.as_str().strip_prefix('+').unwrap();
            let (digits, extension) = text.split_once(";ext=").unwrap_or((text, "1"));
            prop_assert!((8..=15).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit()));
            prop_assert!(!extension.is_empty() && extension.bytes().all(|it| it.is_ascii_digit()));
        }
    }

    #[test]
    fn reading_never_fails_and_the_check_tells(text in written()) {
        let json = serde_json::Value::String(text.clone());
        let email: Email = serde_json::from_value(json.clone()).unwrap();
        prop_assert_eq!(is_accepted(&email), Email::parse(&text).is_ok());
        let phone: Phone = serde_json::from_value(json.clone()).unwrap();
        prop_assert_eq!(is_accepted(&phone), Phone::parse(&text).is_ok());
        let ssn: Ssn = serde_json::from_value(json.clone()).unwrap();
        prop_assert_eq!(is_accepted(&ssn), Ssn::parse(&text).is_ok());
        let words: LongText = serde_json::from_value(json).unwrap();
        prop_assert_eq!(words.as_str(), text.trim());
    }

    #[test]
    fn what_is_personal_reads_as_it_was_written_and_never_shows(text in "[a-z ]{4,40}") {
        let personal = Personal::Known(LongText::from(text.as_str()));
        let stored = serde_json::to_value(&personal).unwrap();
        prop_assert_eq!(serde_json::from_value::<Personal<LongText>>(stored).unwrap(), personal.clone());
        let plain = serde_json::Value::String(text.clone());
        prop_assert_eq!(serde_json::from_value::<Personal<LongText>>(plain).unwrap(), personal.clone());
        prop_assert_eq!(format!("{personal:?}"), "Personal(…)");
    }

    #[test]
    fn a_slip_of_one_digit_is_noticed(draw in any::<u64>(), place in 0_usize..11, slip in 1_u8..10) {
        let right = Mrn::issue(draw).0;
        let mut wrong = right.clone().into_bytes();
        let digit = &mut wrong["MRN-".len() + place];
        *digit = b'0' + (*digit - b'0' + slip) % 10;
        let wrong = String::from_utf8(wrong).unwrap();
        let draw_of = |number: &str| number["MRN-".len().."MRN-".len() + 10].parse::<u64>().unwrap();
        prop_assert_eq!(Mrn::issue(draw_of(&right)).0, right);
        prop_assert_ne!(Mrn::issue(draw_of(&wrong)).0, wrong);
    }
}
