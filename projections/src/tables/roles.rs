use hims_domain::role::Event;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machinery::changes::Changes;
use crate::machinery::event::Projected;
use crate::machinery::table::table;
use crate::machinery::text::text;

table! {
    /// One row per role, with its permissions.
    RoleRow in "user_roles", catalogue for everybody, stamped {
        /// The role.
        id: Uuid [indexed],
        /// The unique name of the role, such as `nurse`.
        name: String [indexed],
        /// The name of the role as it is displayed.
        display_name: String,
        /// What the role is for.
        description: Option<String>,
        /// What the role may do: permission words for each of the verbs `create`, `read`, `update` and `delete`.
        permissions: Value,
        /// Whether the role came with the system.
        is_system_role: bool,
    }
}

pub(crate) fn project<'e>(event: &Projected<'e, Event>, rows: &mut Changes<'e, RoleRow>) {
    match event.data {
        Event::Defined { definition, is_system_role } => rows.insert(RoleRow {
            id: event.stream_id,
            name: definition.name.0.clone(),
            display_name: definition.display_name.0.clone(),
            description: text(definition.description.as_ref()),
            permissions: json!(definition.permissions),
            is_system_role: *is_system_role,
            stamps: event.stamps(),
        }),
        Event::PermissionsChanged { permissions } | Event::WordsOffered { words: _, permissions } => {
            rows.change(event, move |row| row.permissions = json!(permissions));
        }
    }
}
