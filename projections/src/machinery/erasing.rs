//! Takes what was said about erased people out of the read tables.
//!
//! The events of an erased person open without what was sealed. They are projected once more, beside the tables, and the
//! columns that may hold something personal are taken over from there. So the tables are as a rebuild would make them.

use hims_domain::erasure::Person;
use hims_domain::provider_schedule::ProviderSchedule;
use hims_event_store::{EventStore, Position};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::machinery::batch::ProjectError;
use crate::machinery::event::Decoded;
use crate::tables::dispatch::{AllChanges, TABLES, tables_changed_by};

/// How many streams are read at once.
const PAGE: usize = 20;

/// The streams whose personal values are about the person.
async fn streams(person: Person, db: &mut PgConnection) -> Result<Vec<Uuid>, sqlx::Error> {
    match person {
        Person::Patient(id) => {
            let sql = "select distinct resource_id from audit_logs
                        where patient_id = $1 and action not like 'access.%' and resource_id is not null";
            sqlx::query_scalar(sql).bind(id.0).fetch_all(db).await
        }
        // The audit names no user as the one whom an event is about.
        Person::User(id) => {
            let sql = "select $1 union select $2
                        union select id from user_sessions where user_id = $1
                        union select id from erasures where user_id = $1
                        union select id from legal_holds where user_id = $1
                        union select n.id from notifications n join notification_recipients r on r.notification_id = n.id
                               where r.recipient_id = $1 and n.subject_patient_id is null";
            sqlx::query_scalar(sql).bind(id.0).bind(ProviderSchedule::stream_of(id)).fetch_all(db).await
        }
    }
}

/// Takes what was said about erased people, up to a position, out of the tables, in the transaction of `db`. The vault has
/// forgotten their keys since the events that erased them were read.
pub(crate) async fn blank(
    db: &mut PgConnection,
    store: &dyn EventStore,
    erased: &[Person],
    until: Position,
) -> Result<(), ProjectError> {
    if !erased.is_empty() {
        // The events are read and opened on other connections, while this transaction waits.
        sqlx::query("set local idle_in_transaction_session_timeout = 0").execute(&mut *db).await?;
    }
    for person in erased {
        let mut decoded = Vec::new();
        for streams in streams(*person, db).await?.chunks(PAGE) {
            let mut events = store.load_all(streams, i32::MAX).await?;
            events.retain(|it| it.position <= until);
            // What cannot be decoded was not projected either: its stream is parked.
            decoded.extend(store.open(events).await?.into_iter().filter_map(|it| Decoded::read(it).ok()));
        }
        decoded.sort_by_key(|it| it.opened.recorded.position);
        let mut changes = AllChanges::default();
        for event in &decoded {
            changes.project(event, store.vault());
        }
        changes.blank(db).await?;
        let positions: Vec<_> = decoded.iter().map(|it| it.opened.recorded.position).collect();
        thin_out(db, &positions).await?;
    }
    Ok(())
}

/// Takes the columns that may hold something personal out of the audit rows of events: a rebuild cannot tell any more
/// which of the person's values changed.
async fn thin_out(db: &mut PgConnection, positions: &[Position]) -> Result<(), sqlx::Error> {
    let sql = "select position, resource_type, old_values, new_values from audit_logs
                where position = any($1) and (old_values is not null or new_values is not null)";
    let rows: Vec<(Position, String, Option<Value>, Option<Value>)> =
        sqlx::query_as(sql).bind(positions).fetch_all(&mut *db).await?;
    let (mut changed, mut old_values, mut new_values) = (Vec::new(), Vec::new(), Vec::new());
    for (position, stream_type, old, new) in rows {
        let own: Vec<_> = tables_changed_by(&stream_type).iter().flat_map(|table| personal_columns(table)).collect();
        let thin = |values: &Option<Value>| values.clone().and_then(|it| impersonal(it, &own));
        let (thin_old, thin_new) = (thin(&old), thin(&new));
        if (&thin_old, &thin_new) != (&old, &new) {
            changed.push(position);
            old_values.push(thin_old);
            new_values.push(thin_new);
        }
    }
    let sql = "update audit_logs a set old_values = u.old_values, new_values = u.new_values
                 from unnest($1::bigint[], $2::jsonb[], $3::jsonb[]) u (position, old_values, new_values)
                where a.position = u.position";
    sqlx::query(sql).bind(changed).bind(old_values).bind(new_values).execute(db).await.map(drop)
}

/// The columns of a table that may hold something personal.
fn personal_columns(table: &str) -> impl Iterator<Item = &'static str> {
    let columns = TABLES.iter().filter(move |it| it.name == table).flat_map(|it| it.columns);
    columns.filter(|it| it.personal).map(|it| it.name)
}

/// The values of an audit row without those of personal columns, and without rows and lists of which nothing is left;
/// `None` if nothing is left at all. Rows of other tables are in lists under the tables' names.
fn impersonal(value: Value, personal: &[&str]) -> Option<Value> {
    match value {
        Value::Object(members) => {
            let kept: serde_json::Map<_, _> = members
                .into_iter()
                .filter(|(name, _)| !personal.contains(&name.as_str()))
                .filter_map(|(name, value)| {
                    let of_table: Vec<_> = personal_columns(&name).collect();
                    Some((name, impersonal(value, &of_table)?))
                })
                .collect();
            let says_something = kept.keys().any(|name| name != "id");
            says_something.then_some(Value::Object(kept))
        }
        Value::Array(rows) if rows.iter().any(Value::is_object) => {
            let kept: Vec<_> = rows.into_iter().filter_map(|row| impersonal(row, personal)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn personal_columns_go_with_the_rows_and_lists_that_hold_nothing_else() {
        let thin = |value| impersonal(value, &["first_name", "date_of_birth"]);
        assert_eq!(thin(json!({"first_name": "***"})), None);
        assert_eq!(thin(json!({"date_of_birth": null, "gender": "female"})), Some(json!({"gender": "female"})));
        let rows = json!({"patient_allergies": [{"id": "a", "allergen_name": "***"}], "is_active": true});
        assert_eq!(thin(rows), Some(json!({"is_active": true})));
        let left = json!({"symptoms": [{"id": "a", "severity": 3}, {"id": "b", "name": "***"}]});
        assert_eq!(thin(left), Some(json!({"symptoms": [{"id": "a", "severity": 3}]})));
        let of_others = json!({"lab_tests": [{"id": "a", "name": "Glucose"}], "tags": ["a", "b"]});
        assert_eq!(thin(of_others.clone()), Some(of_others));
    }
}
