use hims_domain::role::Event;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;

table! {
    /// One row per role, with what it may do.
    RoleRow in "user_roles", stamped {
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
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, RoleRow>) {
    match event.data {
        Event::Defined { definition, is_system_role } => rows.insert(RoleRow {
            id: event.stream_id,
            name: definition.name.0.clone(),
            display_name: definition.display_name.0.clone(),
            description: definition.description.as_ref().map(|it| it.0.clone()),
            permissions: json!(definition.permissions),
            is_system_role: *is_system_role,
            stamps: event.stamps(),
        }),
        Event::PermissionsChanged { permissions } | Event::WordsOffered { words: _, permissions } => {
            rows.change(event, move |row| row.permissions = json!(permissions));
        }
    }
}
