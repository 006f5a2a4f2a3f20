use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::statement::{SAID_AT, bind_identity};
use super::{Identity, Page, QueryError, of_live_tables};

/// A bound of the time in which slots are sought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moment {
    /// A whole day in the time zone of the department.
    Day(NaiveDate),
    /// An instant.
    At(DateTime<Utc>),
}

impl Moment {
    fn day(self) -> Option<NaiveDate> {
        match self {
            Self::Day(day) => Some(day),
            Self::At(_) => None,
        }
    }

    fn instant(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Day(_) => None,
            Self::At(instant) => Some(instant),
        }
    }
}

/// Which free slots are sought. At least one of provider and department must be given.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotsWanted {
    /// Only slots of this provider.
    pub provider_id: Option<Uuid>,
    /// Only slots in this department.
    pub department_id: Option<Uuid>,
    /// The first day, or the instant at which the first slot may begin.
    pub from: Moment,
    /// The last day, or the instant before which the last slot must begin.
    pub to: Moment,
    /// How many minutes a slot lasts; as long as the steps in which the provider offers slots if left out.
    pub duration: Option<i32>,
    /// The kind of appointment for which the slots are sought.
    pub appointment_type: Option<String>,
    /// The patient, who must be free as well.
    pub patient_id: Option<Uuid>,
    /// The current time.
    pub now: DateTime<Utc>,
    /// The greatest number of slots.
    pub limit: usize,
}

/// Reads the first free slots of providers, in the order of time.
///
/// # Errors
/// When the database does not answer.
pub async fn free_slots(db: &mut PgConnection, wanted: &SlotsWanted, who: &Identity) -> Result<Page, QueryError> {
    let sql = format!(
        "select row_to_json(s)::text, who.position
           from {SAID_AT}
           left join lateral (
                select * from hims_identity.free_slots($6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
                 where who.said is not null offset 0) as s on true
          order by s.starts_at, s.provider_id, s.department_id, s.room_id",
    );
    let rows = bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), who)
        .bind(wanted.provider_id)
        .bind(wanted.department_id)
        .bind(wanted.from.day())
        .bind(wanted.from.instant())
        .bind(wanted.to.day())
        .bind(wanted.to.instant())
        .bind(wanted.duration)
        .bind(&wanted.appointment_type)
        .bind(wanted.patient_id)
        .bind(wanted.now)
        .bind(i32::try_from(wanted.limit).unwrap_or(i32::MAX))
        .fetch_all(db)
        .await?;
    let Some(first) = rows.first() else { return Err(sqlx::Error::RowNotFound.into()) };
    let position = of_live_tables(first.try_get(1)?)?;
    let items = rows.iter().map(|row| row.try_get::<Option<String>, _>(0)).collect::<Result<Vec<_>, _>>()?;
    Ok(Page { items: items.into_iter().flatten().collect(), next: None, emergencies: None, position })
}
