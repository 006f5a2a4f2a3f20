use chrono::NaiveDate;
use chrono_tz::Tz;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use hims_event_store::StoreError;
use uuid::Uuid;

/// A part of a list that is read in the order of its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The id after which the part begins; `None` for the first part.
    pub after: Option<Uuid>,
    /// The greatest number of ids.
    pub limit: usize,
}

/// What processes look up in the read tables: records of which only a table knows that something is due. The tables may
/// lag behind the log, so the command that follows decides on the log.
pub trait Tables: Send + Sync {
    /// The time zones of the departments.
    fn time_zones(&self) -> BoxFuture<'_, Result<Vec<Tz>, StoreError>>;

    /// The patients whose medication list has an open entry that ended before a day.
    fn patients_past_an_end(&self, day: NaiveDate, part: Part) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>>;

    /// The articles that are to be reordered at some level and are not flagged, and of whose medicine a lot expired
    /// before a day: a lot with stock, in a room whose department is in the time zone.
    fn articles_with_expired_lots(
        &self,
        day: NaiveDate,
        time_zone: Tz,
        part: Part,
    ) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>>;

    /// The lots that can be dispensed up to a day of a span, both of its ends included: lots with stock that are
    /// neither recalled nor in quarantine, in a room whose department is in the time zone.
    fn lots_expiring(
        &self,
        span: (NaiveDate, NaiveDate),
        time_zone: Tz,
        part: Part,
    ) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>>;
}

/// The tables of a program without read tables: there is nothing in them.
pub(super) struct NoTables;

impl Tables for NoTables {
    fn time_zones(&self) -> BoxFuture<'_, Result<Vec<Tz>, StoreError>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn patients_past_an_end(&self, _: NaiveDate, _: Part) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn articles_with_expired_lots(&self, _: NaiveDate, _: Tz, _: Part) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn lots_expiring(&self, _: (NaiveDate, NaiveDate), _: Tz, _: Part) -> BoxFuture<'_, Result<Vec<Uuid>, StoreError>> {
        ready(Ok(Vec::new())).boxed()
    }
}
