//! Spoils values: JSON with something strange in one place, and bytes that were changed.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// Values that hardly any schema describes, whatever their place.
pub(crate) fn strange() -> BoxedStrategy<Value> {
    let deep = (0..100).fold(json!(1), |it, _| json!([it]));
    let texts = [
        "",
        " ",
        "\0",
        "\u{feff}",
        "\u{202e}abc\u{0301}",
        "\u{10ffff}",
        "' or 1=1 --",
        "../../etc/passwd",
        "%s%n%x",
        "{{7*7}}",
        "NaN",
        "0000-00-00",
        "2026-02-30",
        "9999-12-31T23:59:60Z",
        "-9999999999999999999999999",
        "1e999999999",
        "00000000-0000-0000-0000-000000000000",
    ];
    let others = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!(-0.0),
        json!(0.1),
        json!([]),
        json!({}),
        json!([null]),
        json!({"": ""}),
        json!("😀".repeat(20_001)),
        json!("a".repeat(300)),
        deep,
    ];
    select(texts.map(Value::from).into_iter().chain(others).collect::<Vec<_>>()).boxed()
}

/// The values with one place replaced by something strange, removed, or joined by something that does not belong there.
pub(crate) fn broken(whole: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let spoilt = (whole, any::<Index>(), strange(), 0..4_u8).prop_map(|(mut whole, place, strange, how)| {
        let mut places = Vec::new();
        find_places(&whole, String::new(), &mut places);
        let place = place.get(&places).clone();
        let at = whole.pointer_mut(&place).expect("a place");
        match (how, at) {
            (0, Value::Object(members)) => drop(members.insert("no_such_field".to_owned(), strange)),
            (1, Value::Object(members)) => {
                let first = members.keys().next().cloned();
                first.and_then(|it| members.remove(&it));
            }
            (2, Value::Array(items)) => items.push(strange),
            (_, at) => *at = strange,
        }
        whole
    });
    spoilt.boxed()
}

/// The places in a value, as JSON pointers.
fn find_places(value: &Value, at: String, places: &mut Vec<String>) {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, it)| find_places(it, format!("{at}/{}", escaped(name)), places));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(nth, it)| find_places(it, format!("{at}/{nth}"), places));
        }
        _ => {}
    }
    places.push(at);
}

/// What means something to somebody who reads JSON, CSV, dates or numbers.
const TOKENS: [&[u8]; 20] = [
    b"\"",
    b",",
    b"\n",
    b"\r\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"1e999",
    b"-0",
    b"99999999999999999999",
    b"NaN",
    b"\\ud800",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\0",
    b"9999-99-99T99:99:99Z",
    b"0000-01-01",
    b"+14:00",
];

/// The bytes of one of some files, changed in one to four places: bits, tokens and bytes that are put in, parts that
/// are left out, said twice or taken from another file.
pub(crate) fn changed(files: Vec<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let change = (any::<Index>(), any::<Index>(), any::<u8>(), 0..7_u8);
    let changed = (select(files.clone()), select(files), vec(change, 1..5)).prop_map(|(mut bytes, other, changes)| {
        for (from, to, byte, how) in changes {
            let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
            let part = from.min(to)..from.max(to);
            match how {
                0 => bytes.get_mut(from).into_iter().for_each(|it| *it ^= 1 << (byte % 8)),
                1 => bytes.insert(from, byte),
                2 => drop(bytes.splice(from..from, TOKENS[usize::from(byte) % TOKENS.len()].iter().copied())),
                3 => drop(bytes.drain(part.start..part.end.min(part.start + usize::from(byte)))),
                4 => drop(bytes.splice(from..from, bytes[part].to_vec())),
                5 => bytes.truncate(from),
                _ => drop(bytes.splice(part, other.iter().copied().take(usize::from(byte)))),
            }
        }
        bytes
    });
    changed.boxed()
}
