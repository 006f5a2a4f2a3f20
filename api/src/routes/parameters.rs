use std::collections::BTreeSet;

use actix_web::{HttpRequest, web};
use chrono::{DateTime, Utc};
use hims_domain::instant::{instant, up_to};

use crate::problem::Problem;

const INSTANT: &str = "an instant such as 2026-11-23T10:00:00Z, or a day";

/// The parameters of a query, each at most once, to be gone through or to be taken one by one; what is left then is
/// refused by its name.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        let pairs = query.map_err(|_| Problem::parameter("", "cannot be read"))?.into_inner();
        let mut seen = BTreeSet::new();
        match pairs.iter().find(|(name, _)| !seen.insert(name)) {
            Some((name, _)) => Err(Problem::parameter(name, "is given twice")),
            None => Ok(Self(pairs)),
        }
    }

    /// A parameter, read by `read`; `what` says what it must be.
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

    /// An instant, or the day that it begins (in UTC), as the tables take both.
    pub(super) fn take_instant(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        self.take(name, INSTANT, instant)
    }

    /// Takes an instant up to which something is asked for; a day belongs to it as a whole.
    pub(super) fn take_up_to(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        self.take(name, INSTANT, up_to)
    }

    /// Refuses what was not taken.
    pub(super) fn none_left(self) -> Result<(), Problem> {
        match self.0.into_iter().next() {
            Some((name, _)) => Err(Problem::parameter(&name, "is not a parameter of this route")),
            None => Ok(()),
        }
    }
}

impl IntoIterator for Parameters {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
