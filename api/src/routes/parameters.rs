use std::collections::BTreeSet;

use actix_web::{HttpRequest, web};
use chrono::{DateTime, Utc};
use hims_domain::instant::{instant, up_to};
use hims_domain::{ID_RULE, read_id};
use uuid::Uuid;

use crate::problem::Problem;

const INSTANT: &str = "an instant such as 2026-11-23T10:00:00Z, or a day such as 2026-11-23";

/// The parameters of a query, each given once at most. A handler takes the parameters one by one and refuses the rest,
/// or iterates over all of them.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(request: &HttpRequest) -> Result<Self, Problem> {
        let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        let pairs = query.map_err(|_| Problem::parameter("", "the query of the URL cannot be read"))?.into_inner();
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
