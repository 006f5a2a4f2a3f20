//! Who saw or changed what about a patient.

use hims_domain::permission::Read;
use hims_event_store::Position;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::statement::{SAID_AT, bind_identity};
use super::{Identity, Page, of_live_tables};
use crate::machinery::living::QueryError;

/// What is asked of the access report of a patient.
#[derive(Debug, Clone, Copy)]
pub struct AccessWanted {
    /// The patient; the records that were merged with the patient's count too.
    pub patient_id: Uuid,
    /// Only what was recorded after this position.
    pub after: Position,
    /// How many entries a page has at most.
    pub limit: i32,
    /// Whether to tell why something was refused.
    pub is_for_auditors: bool,
}

/// Who saw or changed what about a patient, in the order of the log. Reads with the rights of the server: whether the
/// caller may have the report is for the caller of this function to know.
///
/// # Errors
/// When the database does not answer.
pub async fn access_report(db: &mut PgConnection, wanted: AccessWanted) -> Result<Page, QueryError> {
    let server = Identity { reads: [Read::AuditLogs, Read::Staff].map(Read::as_str).join(","), ..Identity::default() };
    let sql = format!(
        "select row_to_json(r)::text, r.position, who.position
           from {SAID_AT}
           left join lateral (
                select a.position, a.\"timestamp\" as at, a.user_id,
                       nullif(concat_ws(' ', u.first_name, u.last_name), '') as user_name,
                       coalesce(role.display_name, a.role) as role,
                       a.action, coalesce(a.new_values ->> 'source', a.resource_type) as resource, a.resource_id,
                       (a.new_values ->> 'rows')::integer as rows, a.purpose_of_use, a.success,
                       host(a.ip_address) as ip_address,
                       case when $9 then a.error_message end as error_message,
                       -- What was seen and done while the user had access in an emergency.
                       (select e.id from emergency_accesses e
                         where e.user_id = a.user_id and a.\"timestamp\" >= e.granted_at and a.\"timestamp\" <= e.ends_at
                           and e.patient_id in (select hims_identity.records_of($6))
                         order by e.granted_at, e.id limit 1) as emergency_access_id
                  from hims_identity.positions_about($6, $7, $8) as about (position)
                  join audit_logs a on a.position = about.position
                  left join users u on u.id = a.user_id
                  left join user_roles role on role.name = a.role
                 where who.said is not null offset 0) as r on true
          order by r.position",
    );
    let query = bind_identity(sqlx::query(sqlx::AssertSqlSafe(sql)), &server);
    // One more than wanted tells whether another page follows.
    let rows = query
        .bind(wanted.patient_id)
        .bind(wanted.after)
        .bind(wanted.limit + 1)
        .bind(wanted.is_for_auditors)
        .fetch_all(db)
        .await?;
    let Some(first) = rows.first() else { return Err(sqlx::Error::RowNotFound.into()) };
    let position = of_live_tables(first.try_get(2)?)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.extend(row.try_get::<Option<String>, _>(0)?.zip(row.try_get::<Option<Position>, _>(1)?));
    }
    let limit = usize::try_from(wanted.limit).unwrap_or_default();
    let next = (found.len() > limit).then(|| found[limit - 1].1.to_string());
    let items = found.into_iter().take(limit).map(|(item, _)| item).collect();
    Ok(Page { items, next, emergencies: None, position })
}
