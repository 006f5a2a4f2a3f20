use hims_domain::billing_record::{Charge, ItemAdded};
use rust_decimal::dec;

use super::*;

/// Gross, discount, tax and amount of a line.
fn charge(changes: Value) -> [Decimal; 4] {
    let Charge { gross, discount, tax } = History::new().then(add("0", changes)).lines()[0].charge;
    [gross, discount, tax, gross - discount + tax]
}

#[test]
fn a_line_is_rounded_at_three_places_half_away_from_zero() {
    for (line, expected) in [
        (json!({"unit_price": "12.25", "discount_percent": "10"}), [dec!(12.25), dec!(1.23), dec!(0), dec!(11.02)]),
        (json!({"unit_price": "0.0235", "quantity": 3}), [dec!(0.07), dec!(0), dec!(0), dec!(0.07)]),
        // Rounded once at the end it would be 1.07: the price, the discount and the tax are each rounded up.
        (
            json!({"unit_price": "1.0050", "discount_amount": "0.01", "tax_rate": "7.5"}),
            [dec!(1.01), dec!(0.01), dec!(0.08), dec!(1.08)],
        ),
        (json!({"unit_price": "5", "discount_amount": "9"}), [dec!(5), dec!(5), dec!(0), dec!(0)]),
        (json!({"unit_price": "80", "discount_percent": 100, "tax_rate": 19}), [dec!(80), dec!(80), dec!(0), dec!(0)]),
        (json!({"unit_price": "0"}), [dec!(0), dec!(0), dec!(0), dec!(0)]),
    ] {
        assert_eq!(charge(line.clone()), expected, "{line}");
    }
}

#[test]
fn the_sums_are_sums_of_rounded_lines() {
    let line = json!({"unit_price": "0.0235", "quantity": 3, "tax_rate": 50});
    let record = (0..3).fold(History::new(), |record, _| record.then(add("0", line.clone())));
    let standing = record.record().standing;
    assert_eq!((standing.total_amount, standing.tax_amount), (dec!(0.21), dec!(0.12)));
    let removed = RemoveBillingItem { billing_record_id: BILL, item_id: record.lines()[0].id };
    let standing = record.then(removed).record().standing;
    assert_eq!((standing.total_amount, standing.tax_amount), (dec!(0.14), dec!(0.08)));
}

#[test]
fn a_record_has_at_most_999_lines() {
    let Event::ItemAdded(first) = History::new().given().when(add("1", json!({}))).then_event() else {
        panic!("a line is added")
    };
    let with = |lines| {
        let line = |_| Event::ItemAdded(Box::new(ItemAdded { item_id: fresh().into(), ..(*first).clone() }));
        History(std::iter::once(opened()).chain((0..lines).map(line)).collect())
    };
    assert!(with(998).given().when(add("1", json!({}))).is_accepted());
    with(999).given().when(add("1", json!({}))).then_refused(Refusal::TooManyItems);
}

#[test]
fn an_invoice_beyond_the_most_is_refused() {
    let most = History::new().then(add("99999999.99", json!({})));
    most.given().when(add("0.01", json!({}))).then_refused(Refusal::BeyondTheMost);
    assert!(most.given().when(add("0", json!({}))).is_accepted());
    let huge = json!({"quantity": "999999999.999"});
    History::new().given().when(add("99999999.9999", huge)).then_refused(Refusal::BeyondTheMost);
    most.given().when(pay("99999999.99", json!({"excess": "credit"}))).then_event();
    let paid = most.then(pay("99999999.99", json!({})));
    paid.given().when(pay("0.01", json!({"excess": "credit"}))).then_refused(Refusal::BeyondTheMost);
}

#[test]
fn what_is_said_of_a_line_must_be_possible() {
    let check = |changes: Value, code: &str, field: &str| {
        History::new().given().when(add("1", changes)).then_field(code, field);
    };
    check(json!({"quantity": 0}), "out-of-range", "/quantity");
    check(json!({"quantity": "0.0001"}), "out-of-range", "/quantity");
    check(json!({"modifiers": ["25", "26", "27", "59", "LT"]}), "out-of-range", "/modifiers");
    check(json!({"diagnosis_pointers": [0]}), "out-of-range", "/diagnosis_pointers");
    check(json!({"diagnosis_pointers": [13]}), "out-of-range", "/diagnosis_pointers");
    check(json!({"diagnosis_pointers": [1, 1]}), "out-of-range", "/diagnosis_pointers");
    check(json!({"diagnosis_pointers": [1, 2, 3, 4, 5]}), "out-of-range", "/diagnosis_pointers");
    check(json!({"discount_amount": 1, "discount_percent": 1}), "invalid-fields", "/discount_percent");
    check(json!({"source_type": "treatment"}), "invalid-fields", "/source_id");
    check(json!({"source_occasion": "2"}), "invalid-fields", "/source_occasion");
    check(json!({"unit_price": "1.00001"}), "invalid-fields", "/unit_price");
    check(json!({"code_system": "http://www.ama-assn.org/go/cpt", "code": "1"}), "malformed-code", "/code");
}

#[test]
fn nothing_is_charged_twice_unless_the_occasion_differs() {
    let source = json!({"source_type": "dispensing", "source_id": id::<Uuid>(5)});
    let record = History::new().then(add("1", source.clone()));
    record.given().when(add("1", source.clone())).then_refused(Refusal::AlreadyCharged);
    let again = with(source.clone(), json!({"source_occasion": "2"}));
    assert!(record.given().when(add("1", again)).is_accepted());
    // A removed line makes room.
    let removed = RemoveBillingItem { billing_record_id: BILL, item_id: record.lines()[0].id };
    assert!(record.then(removed).given().when(add("1", source)).is_accepted());
}

#[test]
fn the_id_and_the_number_of_a_line_are_never_used_again() {
    let named = json!({"item_id": id::<Uuid>(7)});
    let remove = RemoveBillingItem { billing_record_id: BILL, item_id: id(7) };
    let record = History::new().then(add("1", named.clone())).then(remove.clone());
    record.given().when(add("1", named)).then_code("already-exists");
    record.given().when(remove).then_nothing();
    assert_eq!(record.then(add("1", json!({}))).lines()[0].number, 2);
    let unknown = RemoveBillingItem { billing_record_id: BILL, item_id: id(8) };
    History::new().given().when(unknown).then_field("unknown-reference", "/item_id");
}

#[test]
fn a_line_changes_as_a_whole_or_not_at_all() {
    let record = History::new().then(add("10", json!({"discount_percent": 10})));
    let change = |changes: Value| {
        let body = json!({"billing_record_id": BILL, "item_id": record.lines()[0].id});
        ask::<ChangeBillingItem>(with(body, changes))
    };
    record.given().when(change(json!({}))).then_nothing();
    record.given().when(change(json!({"quantity": "1.0"}))).then_nothing();
    record.given().when(change(json!({"discount_amount": 1}))).then_field("invalid-fields", "/discount_percent");
    let changed = record.clone().then(change(json!({"discount_amount": "2", "discount_percent": null, "quantity": 3})));
    assert_eq!(changed.lines()[0].charge.amount(), dec!(28));
    assert_eq!(changed.record().standing.balance(), dec!(28));
    assert_eq!(changed.lines()[0].number, 1);
}

#[test]
fn the_price_list_is_looked_up_only_for_a_line_without_a_price_of_its_own() {
    let looks_up = |changes: Value| {
        let reads = add("1", changes).reads(Some(&History::new().record()), &Found::default());
        !(reads.streams.is_empty() && reads.owners.is_empty())
    };
    assert!(looks_up(json!({"unit_price": null})));
    assert!(!looks_up(json!({})));
}
