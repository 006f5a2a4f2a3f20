use chrono::{DateTime, Utc};
use hims_domain::role::Event;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::table;

table! {
    /// One row per role, with what it may do.
    RoleRow in "user_roles" {
        /// The role.
        id: Uuid [indexed],
        /// Its unique name.
        name: String [indexed],
        /// Its name for people.
        display_name: String,
        /// What it is for.
        description: Option<String>,
        /// What it may do: verbs, and what each of them extends to.
        permissions: Value,
        /// Whether it came with the system.
        is_system_role: bool,
        /// Version of the stream.
        version: i32,
        /// When it was defined.
        created_at: DateTime<Utc>,
        /// When it last changed.
        updated_at: DateTime<Utc>,
    }
}

pub(crate) fn project(event: &Projected<'_, Event>, rows: &mut Changes<RoleRow>) {
    let (version, updated_at) = (event.version, event.recorded_at);
    match event.data {
        Event::Defined { definition, is_system_role } => rows.insert(RoleRow {
            id: event.stream_id,
            name: definition.name.0.clone(),
            display_name: definition.display_name.0.clone(),
            description: definition.description.as_ref().map(|it| it.0.clone()),
            permissions: json!(definition.permissions),
            is_system_role: *is_system_role,
            version,
            created_at: updated_at,
            updated_at,
        }),
        Event::PermissionsChanged { permissions } | Event::WordsOffered { words: _, permissions } => {
            let permissions = json!(permissions);
            rows.update(event.stream_id, move |row| {
                *row = RoleRow { permissions, version, updated_at, ..row.clone() };
            });
        }
    }
}
