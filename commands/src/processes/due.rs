//! Read tables for tests of daily work: what is due stands in lists.

use std::sync::Mutex;

use chrono::NaiveDate;
use chrono_tz::Tz;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use hims_event_store::StoreError;
use uuid::Uuid;

use crate::{Day, Part, Tables};

/// Tables for tests: the records that are due, and a note of each question.
#[derive(Default)]
pub(super) struct Due {
    pub(super) patients: Vec<Uuid>,
    pub(super) articles: Vec<Uuid>,
    /// Lots, each with its last day.
    pub(super) lots: Vec<(Uuid, NaiveDate)>,
    pub(super) asked: Mutex<Vec<String>>,
}

/// The night to the Monday of all tests, in New York; in another time zone of the hospital it is Sunday still.
pub(super) fn day(tables: &dyn Tables, limit: usize) -> Day<'_> {
    let date = |text: &str| text.parse().unwrap();
    let part = Part { after: None, limit };
    let (date, begun_everywhere) = (date("2026-11-23"), date("2026-11-22"));
    Day { time_zone: Tz::America__New_York, date, begun_everywhere, part, tables }
}

impl Tables for Due {
    fn time_zones(&self) -> BoxFuture<'_, Result<Vec<Tz>, StoreError>> {
        ready(Ok(vec![Tz::UTC])).boxed()
    }

    fn patients_past_an_end(&self, day: NaiveDate, _: Part) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        self.asked.lock().unwrap().push(format!("patients before {day}"));
        ready(Ok(self.patients.clone())).boxed()
    }

    fn articles_with_expired_lots(
        &self,
        day: NaiveDate,
        zone: Tz,
        _: Part,
    ) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        self.asked.lock().unwrap().push(format!("articles before {day} in {zone}"));
        ready(Ok(self.articles.clone())).boxed()
    }

    fn lots_expiring(
        &self,
        (from, until): (NaiveDate, NaiveDate),
        _: Tz,
        part: Part,
    ) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        let lots = self.lots.iter().filter(|(id, day)| (from..=until).contains(day) && Some(*id) > part.after);
        ready(Ok(lots.map(|it| it.0).take(part.limit).collect())).boxed()
    }
}
