use hims_domain::interaction_profile::Pair;
use hims_testing::sample;
use serde_json::{Value, json};

use super::*;
use crate::Caller;
use crate::testing::given;
use crate::testing::samples::{ask, with};
use crate::testing::world::somebody;

fn set(changes: Value) -> SetLocalInteraction {
    let pair = json!({"ingredient_a": "7258", "ingredient_b": "11289", "severity": "none"});
    ask(with(pair, changes))
}

fn remove() -> RemoveLocalInteraction {
    ask(json!({"ingredient_a": "7258", "ingredient_b": "11289"}))
}

fn silenced() -> Event {
    let decided = Decided { severity: Severity::None, advice: Advice { mechanism: None, management: None } };
    Event::PairSet { ingredient: "11289".into(), other: "7258".into(), decided }
}

#[test]
fn a_pair_stands_in_the_profile_of_the_smaller_ingredient_as_text() {
    given([]).when(set(json!({}))).then([silenced()]);
    given([]).when(set(json!({"ingredient_a": "11289", "ingredient_b": "7258"}))).then([silenced()]);
    assert_eq!(set(json!({})).target(), Target::either(profile_of("local", &"11289".into())));
}

#[test]
fn the_same_word_is_quiet_and_another_replaces_it() {
    given([silenced()]).when(set(json!({}))).then_nothing();
    let Event::PairSet { decided, .. } = given([silenced()]).when(set(json!({"severity": "major"}))).then_event()
    else {
        panic!("set")
    };
    assert_eq!(decided.severity, Severity::Major);
}

#[test]
fn a_word_is_taken_back_once() {
    let removed = || Event::PairRemoved { other: "7258".into() };
    given([silenced()]).when(remove()).then([removed()]);
    given([silenced(), removed()]).when(remove()).then_nothing();
}

#[test]
fn two_different_ingredients_of_rxnorm_are_needed() {
    given([]).when(set(json!({"ingredient_a": "N02"}))).then_field("malformed-code", "/ingredient_a");
    given([]).when(set(json!({"ingredient_b": "1e3"}))).then_field("malformed-code", "/ingredient_b");
    given([]).when(set(json!({"ingredient_b": "7258"}))).then_field("same-ingredient", "/ingredient_b");
}

#[test]
fn the_pharmacist_decides_and_the_doctor_does_not() {
    for (role, may) in [("pharmacist", true), ("administrator", true), ("doctor", false), ("nurse", false)] {
        for permission in [SetLocalInteraction::PERMISSION, RemoveLocalInteraction::PERMISSION] {
            assert_eq!(somebody(role).may(permission), may, "{role} {permission}");
        }
        assert!(!somebody(role).may(ReplaceInteractionProfile::PERMISSION), "{role}");
    }
    assert!(Caller::system("import").may(ReplaceInteractionProfile::PERMISSION));
}

#[test]
fn the_same_content_is_quiet() {
    let Event::Replaced(content) = sample::<InteractionProfile>("replaced") else { panic!("replaced") };
    let replace =
        |content: &hims_domain::interaction_profile::Content| ReplaceInteractionProfile { content: content.clone() };
    given([]).when(replace(&content)).then([Event::Replaced(content.clone())]);
    given([Event::Replaced(content.clone())]).when(replace(&content)).then_nothing();
    let mut newer = content.clone();
    newer.version = "2026-01".into();
    given([Event::Replaced(content)]).when(replace(&newer)).then([Event::Replaced(newer)]);
}

#[test]
fn a_source_is_recorded_once() {
    let hims_domain::interaction_source::Event::Loaded(loaded) = sample::<InteractionSource>("loaded");
    let record = || RecordInteractionsLoaded { loaded: loaded.clone() };
    let event = || hims_domain::interaction_source::Event::Loaded(loaded.clone());
    given([]).when(record()).then([event()]);
    given([event()]).when(record()).then_nothing();
}

#[test]
fn the_word_of_the_hospital_counts_before_all_sources() {
    let pair = |severity| Pair { severity, is_conditional: false, rule_count: 1, advice: Vec::new() };
    let content = |severity| {
        let Event::Replaced(content) = sample::<InteractionProfile>("replaced") else { panic!("replaced") };
        let pairs = [("7258".into(), pair(severity))].into();
        Event::Replaced(hims_domain::interaction_profile::Content { pairs, ..content })
    };
    let (one, other): (Text<20>, Text<20>) = ("7258".into(), "11289".into());
    let known = |events: Vec<Event>| {
        let given = given::<hims_domain::prescription::Prescription>([])
            .and::<InteractionSource>(sources(), [sample::<InteractionSource>("loaded")])
            .and::<InteractionProfile>(profile_of("ANSM", &other), [content(Severity::Major)])
            .and::<InteractionProfile>(profile_of(LOCAL, &other), events);
        known_of(&one, &other, given.found()).map(|it| (it.severity, it.source.0))
    };
    assert_eq!(known(vec![]), Some((Severity::Major, "ANSM".to_owned())));
    assert_eq!(known(vec![silenced()]), Some((Severity::None, "local".to_owned())));
}
