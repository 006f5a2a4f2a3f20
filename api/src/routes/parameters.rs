use std::collections::BTreeSet;

use actix_web::{HttpRequest, web};
use chrono::{DateTime, Utc};
use hims_domain::instant::{instant, up_to};
use hims_domain::{ID_RULE, read_id};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use crate::problem::Problem;

const INSTANT: &str = "an instant such as 2026-11-23T10:00:00Z, or a day such as 2026-11-23";

/// The parameters of a query, each given once at most. A handler takes the parameters one by one and refuses the rest,
/// or iterates over all of them.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(request: &HttpRequest) -> Result<Self, Problem> {
        Self::of(request.query_string(), "the query of the URL cannot be read")
    }

    /// Reads parameters in the form of a query, such as a form that a program sends. `unreadable` says what is wrong
    /// with parameters that cannot be read.
    pub(super) fn of(text: &str, unreadable: &str) -> Result<Self, Problem> {
        let query = web::Query::<Vec<(String, String)>>::from_query(text);
        let pairs = query.map_err(|_| Problem::parameter("", unreadable))?.into_inner();
        refuse_other_text(text)?;
        let mut seen = BTreeSet::new();
        match pairs.iter().find(|(name, _)| !seen.insert(name)) {
            Some((name, _)) => Err(Problem::parameter(name, "is given twice")),
            None => Ok(Self(pairs)),
        }
    }

    /// Takes a parameter, whose value `read` reads. If `read` fails, the error says with `what` what the value must be.
    pub(super) fn take<T>(
        &mut self,
        name: &str,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(place) = self.0.iter().position(|it| it.0 == name) else { return Ok(None) };
        let (_, value) = self.0.swap_remove(place);
        read(&value).map(Some).ok_or_else(|| Problem::parameter(name, format!("must be {what}")))
    }

    /// Takes an instant, or a day, which stands for its beginning in UTC.
    pub(super) fn take_instant(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        self.take(name, INSTANT, instant)
    }

    /// Takes the instant at which a range ends, or a day, which belongs to the range as a whole.
    pub(super) fn take_up_to(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        self.take(name, INSTANT, up_to)
    }

    /// Refuses a parameter that was not taken.
    pub(super) fn none_left(self) -> Result<(), Problem> {
        match self.0.into_iter().next() {
            Some((name, _)) => Err(Problem::parameter(&name, "is not a parameter of this route")),
            None => Ok(()),
        }
    }
}

/// Refuses percent-encodings that stand for something else than text in UTF-8. They would be read as other text.
fn refuse_other_text(query: &str) -> Result<(), Problem> {
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = percent_decode_str(name).decode_utf8();
        let name = name.map_err(|_| Problem::parameter("", "the name of a parameter is not UTF-8"))?;
        if percent_decode_str(value).decode_utf8().is_err() {
            return Err(Problem::parameter(&name, "is not UTF-8"));
        }
    }
    Ok(())
}

/// The id in the path of a request.
pub(super) fn id_of_path(text: &str) -> Result<Uuid, Problem> {
    read_id(text).ok_or_else(|| Problem::parameter("id", format!("must be {ID_RULE}")))
}

impl IntoIterator for Parameters {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_utf_8_is_refused_by_the_name_of_the_parameter() {
        let read = |query: &str| Parameters::of(query, "unreadable");
        for (query, value) in
            [("q=%C3%A9t%C3%A9", "été"), ("q=%EF%BF%BD", "\u{fffd}"), ("q=100%", "100%"), ("q=a+b", "a b")]
        {
            let mut parameters = read(query).expect(query);
            let taken = parameters.take("q", "a text", |it| Some(it.to_owned())).expect(query);
            assert_eq!(taken.as_deref(), Some(value));
        }
        for (query, pointer) in [("limit=1&q=%ff", "/q"), ("q=%ed%a0%80", "/q"), ("q=%C3", "/q"), ("%ff=1", "")] {
            let problem = read(query).map(drop).expect_err(query).body();
            assert_eq!((&problem["status"], &problem["code"]), (&json!(400), &json!("invalid-parameter")), "{query}");
            let pointers: Vec<_> =
                problem["errors"].as_array().into_iter().flatten().map(|it| &it["pointer"]).collect();
            assert_eq!(pointers, [pointer], "{query}");
        }
    }
}
