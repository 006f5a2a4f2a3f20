use super::*;
use crate::testing::samples::added_medication;

/// A prescription that somebody asks for, who can be asked back.
fn asked() -> Given<Prescription> {
    given_prescription([]).by(somebody("doctor"))
}

#[test]
fn a_known_unit_is_taken_in_any_words() {
    for unit in ["tablet", "Tablets", "TAB"] {
        let then = asked().when(write_order(json!({"quantity_unit": unit}))).then_also::<Medication>(MEDICATION, []);
        let Event::Written(written) = then.then_event() else { panic!("written") };
        assert_eq!(written.items[0].order.quantity_unit.as_str(), "tablet");
    }
}

#[test]
fn an_unknown_unit_is_asked_back_with_the_known_ones() {
    let spoons = || write(json!({"items": [order(), with(order(), json!({"quantity_unit": "spoon"}))]}));
    asked().when(spoons()).then_field("unknown-unit", "/items/1/quantity_unit");
    asked()
        .when(spoons())
        .then_error("/items/1/quantity_unit", "give a unit of Metformin 500 mg (tablet), or confirm_unit");
}

#[test]
fn a_confirmed_unit_is_known_from_then_on() {
    let both = with(order(), json!({"quantity_unit": "Spoon"}));
    let confirmed = write(json!({"items": [both, both], "confirm_unit": true}));
    asked().when(confirmed).then_also::<Medication>(MEDICATION, [introduced("spoon")]);
    let known = given([])
        .by(somebody("doctor"))
        .and::<Patient>(PATIENT, [registered()])
        .and::<Medication>(MEDICATION, [added_medication(), introduced("tablet"), introduced("spoon")]);
    assert!(known.when(write_order(json!({"quantity_unit": "spoon"}))).is_accepted());
}

#[test]
fn no_unit_is_known_of_a_product_without_lots_and_orders() {
    let new = || {
        let given = given([]).by(somebody("doctor")).and::<Patient>(PATIENT, [registered()]);
        given.and::<Medication>(MEDICATION, [added_medication()])
    };
    new().when(write(json!({}))).then_field("unknown-unit", "/items/0/quantity_unit");
    new().when(write(json!({"confirm_unit": true}))).then_also::<Medication>(MEDICATION, [introduced("tablet")]);
}

#[test]
fn an_import_is_not_asked_back_and_makes_no_unit_known() {
    let then = given_prescription([]).when(write_order(json!({"quantity_unit": "course"})));
    assert_eq!(then.then_also::<Medication>(MEDICATION, []).events().len(), 1);
}
