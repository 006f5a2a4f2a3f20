//! What structs declared with `described!` say about themselves.

use std::collections::BTreeMap;

use hims_domain::values::{LongText, Text};
use hims_domain::{__has_word as has_word, Described, Field, Invalid, Pointer, Shape, described};
use proptest::prelude::*;

described! {
    /// Where somebody lives.
    pub struct Address {
        /// Street and number.
        pub street: Text<10>,
        /// How many live there.
        #[serde(default)]
        pub people: i32,
        /// What is on the door.
        pub name: Option<Text<5>>,
    }

    /// Somebody.
    pub struct Person {
        /// Where they live.
        #[serde(flatten)]
        pub home: Address,
        /// Where they are on holidays.
        pub elsewhere: Vec<Address>,
    }
}

fn fields(shape: Shape) -> &'static [Field] {
    match shape {
        Shape::Object(fields) => fields,
        other => panic!("no object: {other:?}"),
    }
}

fn address(street: &str) -> Address {
    Address { street: street.into(), people: 1, name: None }
}

fn pointers(value: &impl Described) -> Vec<String> {
    let mut invalid: Vec<Invalid> = Vec::new();
    value.check(&Pointer::Root, &mut invalid);
    invalid.into_iter().map(|it| it.pointer).collect()
}

#[test]
fn a_declared_struct_knows_its_documentation() {
    assert_eq!(Address::ABOUT.trim(), "Where somebody lives.");
    let told: Vec<_> = fields(Address::SHAPE).iter().map(|it| (it.name, it.doc.trim())).collect();
    let street = ("street", "Street and number.");
    assert_eq!(told, [street, ("people", "How many live there."), ("name", "What is on the door.")]);
}

#[test]
fn serde_attributes_say_what_is_flat_and_what_may_be_left_out() {
    let of = |shape| fields(shape).iter().map(|it| (it.flatten, it.default)).collect::<Vec<_>>();
    assert_eq!(of(Address::SHAPE), [(false, false), (false, true), (false, false)]);
    assert_eq!(of(Person::SHAPE), [(true, false), (false, false)]);
}

#[test]
fn what_is_flat_is_at_fault_where_it_stands() {
    let person = Person { home: address(""), elsewhere: vec![address("ok"), address("much too long")] };
    assert_eq!(pointers(&person), ["/street", "/elsewhere/1/street"]);
}

#[test]
fn an_empty_option_keeps_every_rule() {
    assert_eq!(pointers(&address("ok")), Vec::<String>::new());
    assert_eq!(pointers(&Address { name: Some("too long".into()), ..address("ok") }), ["/name"]);
}

#[test]
fn a_pointer_escapes_what_it_is_made_of() {
    let (root, key) = (Pointer::Root, "a/b~c");
    assert_eq!(Pointer::Index(&Pointer::Field(&root, key), 2).to_string(), "/a~1b~0c/2");
}

proptest! {
    #[test]
    fn a_word_is_found_where_it_is(text in ".{0,40}", word in ".{0,6}") {
        prop_assert_eq!(has_word(&text, &word), text.contains(&word));
    }

    #[test]
    fn a_word_is_found_between_others(before in ".{0,20}", word in "[a-z]{1,8}", after in ".{0,20}") {
        let text = format!("{before}{word}{after}");
        prop_assert!(has_word(&text, &word));
    }
}

#[test]
fn a_key_of_a_map_says_something() {
    let with_key = |key: &str| BTreeMap::from([(key.to_owned(), LongText::from("clear"))]).is_valid();
    for key in ["heart", "7", "ear, nose and throat"] {
        assert!(with_key(key), "{key}");
    }
    for key in ["", " ", "...", "a\nb", &"x".repeat(101)] {
        assert!(!with_key(key), "{key}");
    }
}
