//! Checks requests against shapes, and writes the same shapes as JSON Schema.

use chrono::{DateTime, SubsecRound as _};
use hims_domain::values::PartialDate;
use hims_domain::{Described, Field, ID_RULE, Invalid, Pointer, Shape, read_id};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A request that does not match the shape of the command.
#[derive(Debug, Clone, PartialEq)]
pub enum Malformed {
    /// Some fields have a wrong type, are missing, or are unknown.
    Form(Vec<Invalid>),
    /// Every field has the right type, but some codes are not in their sets.
    Codes(Vec<Invalid>),
}

/// Checks a request against its shape, and reads the request. Instants are cut to microseconds, as in PostgreSQL.
///
/// # Errors
/// When a field does not match the shape. Names every such field, but never holds a value of the request.
pub fn read<T: Described + DeserializeOwned>(mut body: Value) -> Result<T, Malformed> {
    check(&T::SHAPE, &body)?;
    keep_microseconds(&T::SHAPE, &mut body);
    serde_json::from_value(body).map_err(|_| Malformed::Form(Vec::new()))
}

/// Compares a request with a shape. Messages never hold a value of the request.
pub(crate) fn check(shape: &Shape, value: &Value) -> Result<(), Malformed> {
    let mut found = Findings::default();
    found.check(shape, value, &Pointer::Root);
    match (found.form, found.codes) {
        (form, codes) if form.is_empty() && codes.is_empty() => Ok(()),
        (form, codes) if form.is_empty() => Err(Malformed::Codes(codes)),
        (mut form, codes) => {
            form.extend(codes);
            Err(Malformed::Form(form))
        }
    }
}

/// Cuts every instant to microseconds.
fn keep_microseconds(shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Timestamp, value) => {
            let instant = value.as_str().and_then(|it| DateTime::parse_from_rfc3339(it).ok());
            if let Some(finer) = instant.filter(|it| it.trunc_subsecs(6) != *it) {
                *value = json!(finer.trunc_subsecs(6));
            }
        }
        (Shape::Optional(of), value) => keep_microseconds(of, value),
        (Shape::List(of), Value::Array(items)) => items.iter_mut().for_each(|it| keep_microseconds(of, it)),
        (Shape::Map(of), Value::Object(map)) => map.values_mut().for_each(|it| keep_microseconds(of, it)),
        (Shape::Object(_) | Shape::Patch(_), Value::Object(map)) => {
            for (field, _) in fields(shape, false) {
                if let Some(value) = map.get_mut(field.name) {
                    keep_microseconds(&field.shape, value);
                }
            }
        }
        _ => {}
    }
}

/// The faults that were found in a request.
#[derive(Default)]
struct Findings {
    form: Vec<Invalid>,
    codes: Vec<Invalid>,
}

impl Findings {
    fn expect(&mut self, ok: bool, at: &Pointer<'_>, what: &str) {
        if !ok {
            self.form.push(at.invalid(format!("must be {what}")));
        }
    }

    fn check(&mut self, shape: &Shape, value: &Value, at: &Pointer<'_>) {
        let text = value.as_str();
        match shape {
            Shape::Boolean => self.expect(value.is_boolean(), at, "true or false"),
            Shape::Integer => {
                self.expect(value.as_i64().is_some_and(|it| i32::try_from(it).is_ok()), at, "a whole number");
            }
            Shape::Decimal => {
                let exact = |it: &str| is_digits(it) && it.parse::<rust_decimal::Decimal>().is_ok();
                let number = value
                    .as_number()
                    .is_some_and(|given| exact(&given.to_string()) || given.as_f64().is_some_and(|it| it.abs() < 1e15));
                self.expect(number || text.is_some_and(exact), at, "a number, or a string of its digits");
            }
            Shape::Id { .. } => self.expect(text.and_then(read_id).is_some(), at, ID_RULE),
            Shape::Date => {
                let date = text.is_some_and(|it| it.parse::<chrono::NaiveDate>().is_ok());
                self.expect(date, at, "a date such as 2026-11-23");
            }
            Shape::PartialDate => {
                let date = text.is_some_and(|it| PartialDate::parse(it).is_ok());
                self.expect(date, at, "a date such as 2026-11-23, 2026-11 or 2026");
            }
            Shape::Timestamp => {
                let time = text.is_some_and(|it| chrono::DateTime::parse_from_rfc3339(it).is_ok());
                self.expect(time, at, "a time such as 2026-11-23T10:00:00Z");
            }
            Shape::Text { .. } | Shape::Secret { .. } => self.expect(text.is_some(), at, "a string"),
            Shape::OneOf { codes, .. } => match text {
                Some(code) if !codes.contains(&code) => {
                    self.codes.push(at.invalid(format!("must be one of {}", codes.join(", "))));
                }
                Some(_) => {}
                None => self.expect(false, at, "a string"),
            },
            Shape::List(of) => match value {
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        self.check(of, item, &Pointer::Index(at, index));
                    }
                }
                _ => self.expect(false, at, "a list"),
            },
            Shape::Map(of) => match value {
                Value::Object(map) => {
                    for (key, item) in map {
                        self.check(of, item, &Pointer::Field(at, key));
                    }
                }
                _ => self.expect(false, at, "an object"),
            },
            Shape::Json => self.expect(value.is_object(), at, "an object"),
            Shape::Optional(of) => {
                if !value.is_null() {
                    self.check(of, value, at);
                }
            }
            Shape::Object(_) | Shape::Patch(_) => match value {
                Value::Object(map) => self.check_fields(&fields(shape, false), map, at),
                _ => self.expect(false, at, "an object"),
            },
        }
    }

    fn check_fields(&mut self, fields: &[(Field, Presence)], map: &Map<String, Value>, at: &Pointer<'_>) {
        for (field, presence) in fields {
            let place = Pointer::Field(at, field.name);
            match (map.get(field.name), presence, map_of(&field.shape)) {
                (Some(Value::Object(entries)), Presence::Changes, Some(of)) => {
                    for (key, entry) in entries.iter().filter(|(_, entry)| !entry.is_null()) {
                        self.check(of, entry, &Pointer::Field(&place, key));
                    }
                }
                (Some(Value::Null), Presence::Optional, _) if list_of(&field.shape).is_some() => {
                    self.form.push(place.invalid("must be a list; leave the field out to give none"));
                }
                (Some(value), _, _) => self.check(&field.shape, value, &place),
                (None, Presence::Optional | Presence::Changes, _) => {}
                (None, Presence::Required, _) => self.form.push(Pointer::Field(at, field.name).invalid("is required")),
            }
        }
        for name in map.keys().filter(|name| !fields.iter().any(|(field, _)| field.name == name.as_str())) {
            self.form.push(Pointer::Field(at, name).invalid("is not a field of this request"));
        }
    }
}

/// Whether a decimal is written in digits, with a point in between at most: no power of ten, no separators.
fn is_digits(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    is_number(whole) && is_number(decimals)
}

/// How many elements a list of a request has at most, and how many entries an object.
pub const LONGEST_LIST: usize = 1_000;

/// Whether a field of a request may be left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Presence {
    Required,
    Optional,
    /// The field belongs to changes: a field that is left out stays. In a map, null removes an entry.
    Changes,
}

/// Every field of an object, including the fields of flattened objects.
pub(super) fn fields(shape: &Shape, of_changes: bool) -> Vec<(Field, Presence)> {
    match shape {
        Shape::Patch(of) => fields(of, true),
        Shape::Object(declared) => declared
            .iter()
            .flat_map(|field| {
                if field.flatten {
                    return fields(&field.shape, of_changes);
                }
                let presence = match field.shape {
                    _ if of_changes => Presence::Changes,
                    Shape::Optional(_) => Presence::Optional,
                    _ if field.default => Presence::Optional,
                    _ => Presence::Required,
                };
                vec![(*field, presence)]
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The shape of the entries, if the shape is a map, which may be optional.
fn map_of(shape: &Shape) -> Option<&'static Shape> {
    match shape {
        Shape::Map(of) => Some(of),
        Shape::Optional(of) => map_of(of),
        _ => None,
    }
}

/// The list itself, if the shape is a list that may be left out. A list that is left out may stand for everything, so
/// null, which somebody may take for an empty list, is refused instead of being read as left out.
fn list_of(shape: &Shape) -> Option<&'static Shape> {
    match shape {
        Shape::Optional(list @ Shape::List(_)) => Some(list),
        _ => None,
    }
}

/// Writes the schema of a set of codes, given the name of the set and its codes.
type OneOf<'a> = &'a mut dyn FnMut(&'static str, &'static [&'static str]) -> Value;

/// A shape as JSON Schema (2020-12, the dialect of OpenAPI 3.1). An id says which aggregate it names: the stream type
/// is `x-hims-aggregate`, and where the id is that of a part of the aggregate, the part is `x-hims-part`.
pub fn json_schema(shape: &Shape) -> Value {
    json_schema_with(shape, &mut |_, codes| one_of(codes))
}

/// The schema of a set of codes.
pub fn one_of(codes: &[&str]) -> Value {
    json!({"type": "string", "enum": codes})
}

/// Like [`json_schema`], but `one_of` writes each set of codes: a document can hold each set once, and refer to it.
pub fn json_schema_with(shape: &Shape, one_of: OneOf<'_>) -> Value {
    match shape {
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Integer => json!({"type": "integer", "format": "int32"}),
        Shape::Decimal => json!({"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}]}),
        Shape::Id { stream, part: "" } => json!({"type": "string", "format": "uuid", "x-hims-aggregate": stream}),
        Shape::Id { stream, part } => {
            json!({"type": "string", "format": "uuid", "x-hims-aggregate": stream, "x-hims-part": part})
        }
        Shape::Date => json!({"type": "string", "format": "date"}),
        Shape::PartialDate => json!({"anyOf": [
            {"type": "string", "format": "date"},
            {"type": "string", "pattern": "^[0-9]{4}(-(0[1-9]|1[0-2]))?$"},
        ]}),
        Shape::Timestamp => json!({"type": "string", "format": "date-time"}),
        Shape::Text { max, format: "" } => json!({"type": "string", "minLength": 1, "maxLength": max}),
        Shape::Text { max, format } => json!({"type": "string", "minLength": 1, "maxLength": max, "format": format}),
        Shape::Secret { min, max } => {
            json!({"type": "string", "minLength": min, "maxLength": max, "format": "password"})
        }
        Shape::OneOf { set, codes } => one_of(set, codes),
        Shape::List(of) => json!({"type": "array", "items": json_schema_with(of, one_of), "maxItems": LONGEST_LIST}),
        Shape::Map(of) => map_schema(&json_schema_with(of, one_of)),
        Shape::Json => json!({"type": "object", "additionalProperties": true}),
        Shape::Optional(of) => json!({"anyOf": [json_schema_with(of, one_of), {"type": "null"}]}),
        Shape::Object(_) | Shape::Patch(_) => {
            let mut properties = Map::new();
            let mut required = Vec::new();
            for (field, presence) in fields(shape, false) {
                let mut schema = match (presence, map_of(&field.shape), list_of(&field.shape)) {
                    (Presence::Changes, Some(of), _) => {
                        let entries = json!({"anyOf": [json_schema_with(of, one_of), {"type": "null"}]});
                        json!({"anyOf": [map_schema(&entries), {"type": "null"}]})
                    }
                    (Presence::Optional, _, Some(list)) => json_schema_with(list, one_of),
                    _ => json_schema_with(&field.shape, one_of),
                };
                schema["description"] = json!(field.doc.trim());
                properties.insert(field.name.to_owned(), schema);
                if presence == Presence::Required {
                    required.push(field.name);
                }
            }
            json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
        }
    }
}

/// The schema of a map, given the schema of its entries.
fn map_schema(entries: &Value) -> Value {
    json!({"type": "object", "additionalProperties": entries, "maxProperties": LONGEST_LIST})
}

#[cfg(test)]
mod tests;
