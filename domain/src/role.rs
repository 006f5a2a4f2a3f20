//! Roles: named sets of permissions.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::permission::{Create, Delete, Read, Update, Word};
use crate::values::{LongText, Text};
use crate::{Aggregate, Subject, described};

described! {
    /// What a role may do, as the schema document writes it: verbs, and what each of them extends to.
    #[derive(Default)]
    pub struct Permissions {
        /// What may be begun, such as `appointments`.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        pub create: BTreeSet<Word<Create>>,
        /// What may be read, such as `all_patients`.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        pub read: BTreeSet<Word<Read>>,
        /// What may be changed, such as `appointment_status`.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        pub update: BTreeSet<Word<Update>>,
        /// What may be ended for good, such as `users`.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        pub delete: BTreeSet<Word<Delete>>,
    }

    /// A role as it is defined.
    pub struct Definition {
        /// Its unique name, such as `nurse`.
        pub name: Text<50>,
        /// Its name for people.
        pub display_name: Text<100>,
        /// What it is for.
        pub description: Option<LongText>,
        /// What it may do.
        pub permissions: Permissions,
    }
}

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// As defined, with the permissions of now.
    pub definition: Definition,
    /// Came with the system; its name cannot be given to another role.
    pub is_system_role: bool,
}

/// What can happen to a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It was defined.
    Defined {
        /// How.
        definition: Definition,
        /// Whether it came with the system.
        is_system_role: bool,
    },
    /// It may do something else from now on.
    PermissionsChanged {
        /// Everything that it may do now.
        permissions: Permissions,
    },
}

impl Aggregate for Role {
    const STREAM: &'static str = "role";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Defined { definition, is_system_role } => {
                Some(Self { definition: definition.clone(), is_system_role: *is_system_role })
            }
            Event::PermissionsChanged { permissions } => state.map(|mut it| {
                it.definition.permissions = permissions.clone();
                it
            }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
