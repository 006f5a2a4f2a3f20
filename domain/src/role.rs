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
    /// Every word that a release ever offered to a system role, whether an administrator took it away since or not.
    pub offered: Permissions,
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
    /// A release that knows new permission words offered them to a system role, once.
    WordsOffered {
        /// The words that are new.
        words: Permissions,
        /// Everything that the role may do now.
        permissions: Permissions,
    },
}

impl Permissions {
    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.read.is_empty() && self.update.is_empty() && self.delete.is_empty()
    }

    /// These words and others.
    #[must_use]
    pub fn with(mut self, others: &Self) -> Self {
        self.create.extend(others.create.iter().cloned());
        self.read.extend(others.read.iter().cloned());
        self.update.extend(others.update.iter().cloned());
        self.delete.extend(others.delete.iter().cloned());
        self
    }

    /// These words but for others.
    #[must_use]
    pub fn without(mut self, others: &Self) -> Self {
        self.create.retain(|word| !others.create.contains(word));
        self.read.retain(|word| !others.read.contains(word));
        self.update.retain(|word| !others.update.contains(word));
        self.delete.retain(|word| !others.delete.contains(word));
        self
    }

    /// Whether every word of these is among others.
    pub fn is_within(&self, others: &Self) -> bool {
        self.clone().without(others).is_empty()
    }
}

impl Aggregate for Role {
    const STREAM: &'static str = "role";
    type Event = Event;

    fn evolve(state: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::Defined { definition, is_system_role } => {
                let offered = if *is_system_role { definition.permissions.clone() } else { Permissions::default() };
                Some(Self { definition: definition.clone(), is_system_role: *is_system_role, offered })
            }
            Event::PermissionsChanged { permissions } => state.map(|mut it| {
                it.definition.permissions = permissions.clone();
                it
            }),
            Event::WordsOffered { words, permissions } => state.map(|mut it| {
                it.definition.permissions = permissions.clone();
                it.offered = it.offered.with(words);
                it
            }),
        }
    }

    fn subject(&self, _: Uuid) -> Option<Subject> {
        None
    }
}
