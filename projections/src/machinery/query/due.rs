//! What processes look up in the read tables. Nobody reads what is found but the program itself, which asks for ids
//! only, so these queries work on all rows.

use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;

/// The time zones of the departments, each once.
///
/// # Errors
/// When the database does not answer, or the living tables are of another release.
pub async fn time_zones(db: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("select distinct time_zone from departments order by time_zone").fetch_all(db).await
}

/// The patients, in the order of their ids after an id, whose medication list has an open entry that ended before a day.
///
/// # Errors
/// As [`time_zones`].
pub async fn patients_past_an_end(
    db: &mut PgConnection,
    day: NaiveDate,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let sql = "
        select distinct patient_id from patient_medications
         where status in ('intended', 'active', 'on_hold') and end_date < $1 and ($2::uuid is null or patient_id > $2)
         order by patient_id limit $3";
    sqlx::query_scalar(sql).bind(day).bind(after).bind(limit).fetch_all(db).await
}

/// The articles, in the order of their ids after an id, that have a reorder level and are not flagged, and of whose
/// medicine a lot with stock expired before a day, in a room whose department is in a time zone.
///
/// # Errors
/// As [`time_zones`].
pub async fn articles_with_expired_lots(
    db: &mut PgConnection,
    day: NaiveDate,
    time_zone: &str,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let sql = "
        select distinct i.id
          from medication_inventory l
          join rooms r on r.id = l.location_id
          join departments d on d.id = r.department_id
          join inventory_items i on i.medication_id = l.medication_id
         where l.expiry_date < $1 and l.status = 'available' and l.quantity_on_hand > 0 and d.time_zone = $2
           and i.is_active and i.reorder_level is not null and i.reorder_flagged_at is null
           and ($3::uuid is null or i.id > $3)
         order by i.id limit $4";
    sqlx::query_scalar(sql).bind(day).bind(time_zone).bind(after).bind(limit).fetch_all(db).await
}

/// The lots, in the order of their ids after an id, with stock that can be dispensed up to a day of a span, both of its
/// ends included, in a room whose department is in a time zone.
///
/// # Errors
/// As [`time_zones`].
pub async fn lots_expiring(
    db: &mut PgConnection,
    (from, until): (NaiveDate, NaiveDate),
    time_zone: &str,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let sql = "
        select l.id
          from medication_inventory l
          join rooms r on r.id = l.location_id
          join departments d on d.id = r.department_id
         where l.expiry_date between $1 and $2 and l.status = 'available' and l.quantity_on_hand > 0
           and d.time_zone = $3 and ($4::uuid is null or l.id > $4)
         order by l.id limit $5";
    let lots = sqlx::query_scalar(sql).bind(from).bind(until).bind(time_zone);
    lots.bind(after).bind(limit).fetch_all(db).await
}
