//! Values that a schema describes, and values that it does not.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use serde_json::{Map, Value};

use super::document::Document;

/// The ids of some records that there are, by what they are of: the type of an aggregate, or a table.
pub(crate) type Known = BTreeMap<String, Vec<String>>;

/// Values that a schema describes.
pub(crate) fn conforming(schema: &Value, document: &Document, known: &Known) -> BoxedStrategy<Value> {
    let schema = document.resolved(schema);
    let of = |it: &Value| conforming(it, document, known);
    if let Some(only) = schema.get("const") {
        return Just(only.clone()).boxed();
    }
    if let Some(codes) = schema["enum"].as_array() {
        return select(codes.clone()).boxed();
    }
    if let Some(either) = schema["anyOf"].as_array() {
        return proptest::strategy::Union::new(either.iter().map(of)).boxed();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or_default();
    match kind {
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" => {
            let bound = |name: &str, or: i64| schema[name].as_i64().unwrap_or(or);
            let (least, most) = (bound("minimum", i32::MIN.into()), bound("maximum", i32::MAX.into()));
            prop_oneof![Just(least), Just(most), least..=most, least.max(0)..=most.min(100)]
                .prop_map(Value::from)
                .boxed()
        }
        "number" => prop_oneof![(-1e9..1e9).prop_map(Value::from), (0..1000_i32).prop_map(Value::from)].boxed(),
        "string" => text(schema, known).prop_map(Value::from).boxed(),
        "array" => vec(of(&schema["items"]), 0..3).prop_map(Value::from).boxed(),
        "object" => object(schema, document, known),
        _ => Just(Value::Null).boxed(),
    }
}

fn text(schema: &Value, known: &Known) -> BoxedStrategy<String> {
    if let Some(pattern) = schema["pattern"].as_str() {
        let pattern = pattern.trim_matches(['^', '$']).replace("\\d", "[0-9]");
        return string_regex(&pattern).expect("a pattern").boxed();
    }
    let day =
        (1900..2100_u16, 1..=12_u8, 1..=28_u8).prop_map(|(year, month, day)| format!("{year}-{month:02}-{day:02}"));
    match schema["format"].as_str().unwrap_or_default() {
        "uuid" => {
            let any_id = any::<u128>().prop_map(|it| uuid::Uuid::from_u128(it).to_string());
            let ids = schema["x-hims-aggregate"].as_str().and_then(|it| known.get(it));
            match ids {
                Some(ids) => prop_oneof![3 => select(ids.clone()), 1 => any_id].boxed(),
                None => any_id.boxed(),
            }
        }
        "date" => day.boxed(),
        "date-time" => {
            let zone = select(vec!["Z", "+14:00", "-05:30", ".999999999Z"]);
            (day, 0..24_u8, 0..60_u8, zone)
                .prop_map(|(day, hour, minute, zone)| format!("{day}T{hour:02}:{minute:02}:00{zone}"))
                .boxed()
        }
        "email" => string_regex("[a-z]{1,12}@[a-z]{1,12}\\.example").expect("a pattern").boxed(),
        "phone" => string_regex("\\+1212555[0-9]{4}").expect("a pattern").boxed(),
        _ => {
            let least = schema["minLength"].as_u64().unwrap_or(0);
            let most = schema["maxLength"].as_u64().unwrap_or(60).min(60);
            let plain = string_regex(&format!("[ -~]{{{least},{most}}}")).expect("a pattern");
            let of_any_script = string_regex(&format!("\\PC{{{least},{most}}}")).expect("a pattern");
            prop_oneof![plain, of_any_script].boxed()
        }
    }
}

/// Objects with each field that must be given, and some of the others.
fn object(schema: &Value, document: &Document, known: &Known) -> BoxedStrategy<Value> {
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fields = schema["properties"].as_object().into_iter().flatten();
    let fields = fields.map(|(name, of)| {
        let (name, value) = (name.clone(), conforming(of, document, known));
        let is_required = required.contains(&name.as_str());
        let given = value.prop_map(move |value| (name.clone(), value));
        if is_required { given.prop_map(Some).boxed() } else { proptest::option::weighted(0.4, given).boxed() }
    });
    let fields: Vec<_> = fields.collect();
    let entries = match &schema["additionalProperties"] {
        of @ Value::Object(_) => vec(("[a-z_]{1,10}", conforming(of, document, known)), 0..3).boxed(),
        _ => Just(Vec::new()).boxed(),
    };
    let whole = (fields, entries).prop_map(|(fields, entries)| {
        Value::Object(fields.into_iter().flatten().chain(entries).collect::<Map<_, _>>())
    });
    whole.boxed()
}

/// Bodies that are no JSON, or JSON that is read in different ways.
pub(super) fn raw() -> BoxedStrategy<Vec<u8>> {
    let bodies: Vec<&[u8]> = vec![
        b"",
        b"{",
        b"[]",
        b"null",
        b"\"\"",
        b"{}{}",
        b"\xef\xbb\xbf{}",
        b"{\"id\": 1, \"id\": 2}",
        b"{\"reason\": \"\\ud800\"}",
        b"{\"reason\": \"\xff\xfe\"}",
        b"{\"quantity\": 1e999}",
        b"{\"quantity\": 0x10, \"reason\": NaN}",
        b"id=1&reason=2",
    ];
    let nested = b"[".repeat(5_000);
    select(bodies.into_iter().map(<[u8]>::to_vec).chain([nested]).collect::<Vec<_>>()).boxed()
}
