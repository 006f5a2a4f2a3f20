//! The bodies of requests: JSON, or a form where a standard wants one, of a limited length, arriving within a limited
//! time.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{HttpRequest, web};
use futures::StreamExt as _;
use hims_commands::{Failure, LONGEST_LIST};
use hims_domain::{Described, Invalid};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::parameters::Parameters;
use crate::problem::Problem;

/// The largest body of a command, in bytes.
pub(super) const LARGEST: usize = 1 << 20;
/// The largest body of a login, in bytes: nobody needs to be known to send one.
pub(super) const LARGEST_LOGIN: usize = 1 << 14;

/// How long the body of a request may take to arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(pub(crate) Duration);

/// Reads the JSON body of a request. Type and length are looked at first, so that a body that is refused is not read.
pub(super) async fn json(request: &HttpRequest, body: web::Payload, largest: usize) -> Result<Value, Problem> {
    check_type(request)?;
    parse(&in_time(request, body, largest).await?)
}

/// Reads the body of a login, or of another request that is as small, which has no query parameters.
pub(super) async fn of_login<T: Described + DeserializeOwned>(
    request: &HttpRequest,
    body: web::Payload,
) -> Result<T, Problem> {
    Problem::unless_bare(request)?;
    let body = json(request, body, LARGEST_LOGIN).await?;
    Ok(hims_commands::read(body).map_err(Failure::Malformed)?)
}

/// Reads the body of a request that is a form, as programs send it that know OAuth.
pub(super) async fn form(request: &HttpRequest, body: web::Payload, largest: usize) -> Result<Parameters, Problem> {
    let given = request.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let detail = "send the body as a form, with Content-Type: application/x-www-form-urlencoded";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail));
    }
    let body = in_time(request, body, largest).await?;
    Parameters::of(std::str::from_utf8(&body).unwrap_or("%"), "the body is no form")
}

/// Reads a body that is not too large and arrives in time.
async fn in_time(request: &HttpRequest, body: web::Payload, largest: usize) -> Result<web::BytesMut, Problem> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|it| it > largest) {
        return Err(too_large(largest));
    }
    let Deadline(deadline) = request.app_data::<Deadline>().copied().unwrap_or(Deadline(Duration::from_secs(30)));
    let read = tokio::time::timeout(deadline, read(body, largest)).await;
    read.map_err(|_| late(deadline))?
}

/// Refuses a body that says that it is something else than JSON in UTF-8. A body that says nothing is taken for JSON.
fn check_type(request: &HttpRequest) -> Result<(), Problem> {
    let Some(given) = request.headers().get(CONTENT_TYPE) else { return Ok(()) };
    let mut parts = given.to_str().unwrap_or_default().split(';').map(|it| it.trim().to_ascii_lowercase());
    let is_json = parts.next().is_some_and(|it| it == "application/json");
    if is_json && parts.filter_map(|it| it.strip_prefix("charset=").map(str::to_owned)).all(|it| is_utf8(&it)) {
        return Ok(());
    }
    let detail = "send the body as JSON in UTF-8, with Content-Type: application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail))
}

fn is_utf8(charset: &str) -> bool {
    charset.trim_matches('"') == "utf-8"
}

async fn read(mut body: web::Payload, largest: usize) -> Result<web::BytesMut, Problem> {
    let mut bytes = web::BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| {
            let detail = "the body of the request broke off or is malformed";
            Problem::new(StatusCode::BAD_REQUEST, "incomplete-body", detail)
        })?;
        if bytes.len() + chunk.len() > largest {
            return Err(too_large(largest));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large(largest: usize) -> Problem {
    let detail = format!("the body of this request may have {largest} bytes at most");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", detail)
}

fn late(deadline: Duration) -> Problem {
    let detail = format!("the body of the request did not arrive within {} seconds", deadline.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", detail)
}

/// Reads a JSON text. The message of an error names the place of the fault, never a value.
fn parse(body: &[u8]) -> Result<Value, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = Unique::deserialize(&mut reader).and_then(|Unique(value)| reader.end().map(|()| value));
    read.map_err(|error| {
        let (code, detail) = match error.classify() {
            // Every JSON value can be read, so the only faults of this kind are a list or an object that is too long
            // and a key that stands twice.
            serde_json::error::Category::Data if error.to_string().starts_with(TOO_LONG) => {
                let detail = "a list or an object of the body has more than 1,000 elements: send several requests";
                ("list-too-long", detail)
            }
            serde_json::error::Category::Data => ("duplicate-key", "a key stands twice in an object of the body"),
            _ => ("not-json", "the body is not JSON"),
        };
        let message = format!("see line {}, column {}", error.line(), error.column());
        let error = Invalid::new("", message);
        Problem::new(StatusCode::BAD_REQUEST, code, detail).with(vec![error])
    })
}

/// What the reader of a body says about a list or an object with more than [`LONGEST_LIST`] elements.
const TOO_LONG: &str = "a list or an object is too long";

/// A JSON value in which no object has a key twice, since programs differ in which of two values they take, and no list
/// or object has more than [`LONGEST_LIST`] elements, since a command on many elements holds up other commands.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

macro_rules! take {
    ($($visit:ident($type:ty);)*) => {$(
        fn $visit<E>(self, value: $type) -> Result<Value, E> { Ok(Value::from(value)) }
    )*};
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    take! {
        visit_bool(bool);
        visit_i64(i64);
        visit_u64(u64);
        visit_f64(f64);
        visit_str(&str);
        visit_string(String);
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = elements.next_element()? {
            if values.len() == LONGEST_LIST {
                return Err(A::Error::custom(TOO_LONG));
            }
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom("a key stands twice"));
            }
            if object.len() == LONGEST_LIST {
                return Err(A::Error::custom(TOO_LONG));
            }
            let Unique(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn json_is_read_as_it_is() {
        for text in ["null", "true", "-12", "18446744073709551615", "1.5e3", "\"a\\u00e9\"", "[1,[2,{}]]", "{\"a\":{}}"]
        {
            let expected: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(parse(text.as_bytes()).ok(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":2}"#, r#"[{"b":{"a":1,"c":2,"a":1}}]"#, r#"{"a":1,"\u0061":1}"#] {
            let problem = parse(text.as_bytes()).expect_err("a key stands twice").to_string();
            assert!(problem.starts_with("duplicate-key"), "{problem}");
        }
        assert!(parse(br#"[{"a":1},{"a":1},{"b":{"a":1}}]"#).is_ok());
        for text in ["", "{", "{\"a\":1}x", "[1,]", "\u{feff}{}"] {
            let problem = parse(text.as_bytes()).expect_err("no JSON").to_string();
            assert!(problem.starts_with("not-json"), "{text}: {problem}");
        }
        assert!(parse("[".repeat(100_000).as_bytes()).is_err(), "a deep text does not overflow the stack");
    }

    #[test]
    fn a_list_or_an_object_has_so_many_elements_and_no_more() {
        let list = |length: usize| Value::from(vec![0; length]);
        let object = |length: usize| (0..length).map(|it| (it.to_string(), Value::Null)).collect::<Value>();
        let read = |value: Value| parse(value.to_string().as_bytes());
        for of in [&list as &dyn Fn(usize) -> Value, &object] {
            assert!(read(of(LONGEST_LIST)).is_ok());
            for value in [of(LONGEST_LIST + 1), Value::from(vec![of(LONGEST_LIST + 1)])] {
                let problem = read(value).expect_err("too long").to_string();
                assert!(problem.starts_with("list-too-long"), "{problem}");
            }
        }
    }

    #[test]
    fn a_body_is_nested_so_deep_and_no_deeper() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(nested(100).as_bytes()).is_ok());
        for deep in [nested(200), r#"{"a":"#.repeat(200) + "1" + &"}".repeat(200)] {
            let problem = parse(deep.as_bytes()).expect_err("too deep").to_string();
            assert!(problem.starts_with("not-json"), "{problem}");
        }
    }

    #[test]
    fn the_content_type_is_looked_at() {
        let check =
            |given: &str| check_type(&TestRequest::post().insert_header((CONTENT_TYPE, given)).to_http_request());
        for good in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=utf-16",
            "application/jsonp",
            "",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check_type(&TestRequest::post().to_http_request()).is_ok());
    }
}
