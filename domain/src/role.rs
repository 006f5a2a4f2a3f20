//! Roles: named sets of permissions.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::permission::{Create, Delete, Read, Update, Word};
use crate::values::{LongText, Name};
use crate::{Aggregate, Subject, described};

described! {
    /// What a role may do: for each verb, the words for what the role may create, read, update or delete (schema
    /// document, section 3.1).
    #[derive(Default)]
    pub struct Permissions {
        /// What the role may create, such as `appointments`.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        pub create: BTreeSet<Word<Create>>,
        /// What the role may read, such as `all_patients`.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        pub read: BTreeSet<Word<Read>>,
        /// What the role may change, such as `appointment_status`.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        pub update: BTreeSet<Word<Update>>,
        /// What the role may end for good, such as `users`.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        pub delete: BTreeSet<Word<Delete>>,
    }

    /// The definition of a role.
    pub struct Definition {
        /// The unique name of the role, such as `nurse`.
        pub name: Name<50>,
        /// The name of the role as it is displayed.
        pub display_name: Name<100>,
        /// What the role is for.
        pub description: Option<LongText>,
        /// What the role may do.
        pub permissions: Permissions,
    }
}

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// The definition of the role, with its current permissions.
    pub definition: Definition,
    /// Whether the role came with the system. The name of a system role cannot be given to another role.
    pub is_system_role: bool,
    /// Every permission word that a release ever offered to a system role, even if an administrator took the word away
    /// since then.
    pub offered: Permissions,
}

/// What can happen to a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The role was defined.
    Defined {
        /// The definition.
        definition: Definition,
        /// Whether the role came with the system.
        is_system_role: bool,
    },
    /// The permissions of the role changed.
    PermissionsChanged {
        /// All permissions of the role from now on.
        permissions: Permissions,
    },
    /// A release that knows new permission words offered them to a system role, once.
    WordsOffered {
        /// The new words.
        words: Permissions,
        /// All permissions of the role from now on.
        permissions: Permissions,
    },
}

impl Permissions {
    /// Reads permissions that are written as words with spaces between, each with its verb, such as `read:all_patients`;
    /// `None` if one of them is no permission.
    pub fn parse(text: &str) -> Option<Self> {
        let mut permissions = Self::default();
        for permission in text.split_ascii_whitespace() {
            let is_new = match permission.split_once(':')? {
                ("create", word) => permissions.create.insert(Create::parse(word)?.into()),
                ("read", word) => permissions.read.insert(Read::parse(word)?.into()),
                ("update", word) => permissions.update.insert(Update::parse(word)?.into()),
                ("delete", word) => permissions.delete.insert(Delete::parse(word)?.into()),
                _ => return None,
            };
            if !is_new {
                return None;
            }
        }
        Some(permissions)
    }

    /// The permissions as [`parse`](Self::parse) reads them.
    pub fn to_text(&self) -> String {
        let create = self.create.iter().map(|it| format!("create:{}", it.as_str()));
        let read = self.read.iter().map(|it| format!("read:{}", it.as_str()));
        let update = self.update.iter().map(|it| format!("update:{}", it.as_str()));
        let delete = self.delete.iter().map(|it| format!("delete:{}", it.as_str()));
        create.chain(read).chain(update).chain(delete).collect::<Vec<_>>().join(" ")
    }

    /// Whether no word of any verb is held.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.read.is_empty() && self.update.is_empty() && self.delete.is_empty()
    }

    /// These permissions together with `others`.
    #[must_use]
    pub fn with(mut self, others: &Self) -> Self {
        self.create.extend(others.create.iter().cloned());
        self.read.extend(others.read.iter().cloned());
        self.update.extend(others.update.iter().cloned());
        self.delete.extend(others.delete.iter().cloned());
        self
    }

    /// These permissions without those of `others`.
    #[must_use]
    pub fn without(mut self, others: &Self) -> Self {
        self.create.retain(|word| !others.create.contains(word));
        self.read.retain(|word| !others.read.contains(word));
        self.update.retain(|word| !others.update.contains(word));
        self.delete.retain(|word| !others.delete.contains(word));
        self
    }

    /// These permissions, as far as `others` holds them too.
    #[must_use]
    pub fn narrowed_to(mut self, others: &Self) -> Self {
        self.create.retain(|word| others.create.contains(word));
        self.read.retain(|word| others.read.contains(word));
        self.update.retain(|word| others.update.contains(word));
        self.delete.retain(|word| others.delete.contains(word));
        self
    }

    /// Whether `others` holds all of these permissions.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_written_as_they_are_read() {
        let text = "create:appointments read:all_appointments read:staff update:appointments delete:users";
        assert_eq!(Permissions::parse(text).map(|it| it.to_text()).as_deref(), Some(text));
        for wrong in ["appointments", "read:everything", "read:create", "write:staff", "read:staff read:staff", "read"]
        {
            assert_eq!(Permissions::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn narrowed_permissions_are_within_both() {
        let of = |text| Permissions::parse(text).expect("permissions");
        let (one, other) = (of("read:staff update:users delete:users"), of("read:staff read:billing delete:users"));
        assert_eq!(one.clone().narrowed_to(&other), of("read:staff delete:users"));
        assert!(one.clone().narrowed_to(&other).is_within(&one) && one.narrowed_to(&other).is_within(&other));
    }
}
