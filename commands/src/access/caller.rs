use std::net::IpAddr;
use std::sync::Arc;

use chrono_tz::Tz;
use hims_domain::permission::{Create, Delete, Read, Update};
use hims_domain::role::Permissions;
use hims_domain::{DepartmentId, PatientId, UserId};
use hims_event_store::Actor;
use uuid::Uuid;

/// What a command needs: a word of the permission documents, or none that a role could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// To begin something.
    Create(Create),
    /// To change something.
    Update(Update),
    /// To end something for good.
    Delete(Delete),
    /// No role has it: the command works on what is the caller's own, and on nothing else.
    Own,
    /// No role has it: the command is given by a part of the system.
    System,
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create(word) => write!(f, "create:{word}"),
            Self::Update(word) => write!(f, "update:{word}"),
            Self::Delete(word) => write!(f, "delete:{word}"),
            Self::Own => f.write_str("own"),
            Self::System => f.write_str("system"),
        }
    }
}

/// Who gives a command or reads: a person in a session, or a part of the system.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// The name of the primary role.
    pub role: Option<String>,
    /// What all roles together allow.
    pub permissions: Arc<Permissions>,
    /// Everything is allowed: the system itself.
    pub is_system: bool,
    /// The session.
    pub session_id: Option<Uuid>,
    /// The patient who the caller is.
    pub patient_id: Option<PatientId>,
    /// Where the caller works.
    pub department_id: Option<DepartmentId>,
    /// The time zone of that department; UTC for whoever works in none.
    pub time_zone: Tz,
    /// Nothing is allowed but to change the password.
    pub must_change_password: bool,
    /// Where the request came from.
    pub ip: Option<IpAddr>,
    /// The program that sent the request.
    pub user_agent: Option<String>,
}

impl Caller {
    /// A part of the system, which may do everything.
    pub fn system(name: &str) -> Self {
        Self {
            actor: Actor::System { name: name.to_owned() },
            role: None,
            permissions: Arc::default(),
            is_system: true,
            session_id: None,
            patient_id: None,
            department_id: None,
            time_zone: Tz::UTC,
            must_change_password: false,
            ip: None,
            user_agent: None,
        }
    }

    /// The caller as a user; `None` for a part of the system.
    pub fn user_id(&self) -> Option<UserId> {
        match self.actor {
            Actor::User { id } => Some(UserId(id)),
            Actor::System { .. } => None,
        }
    }

    /// Whether the roles allow it.
    pub fn may(&self, permission: Permission) -> bool {
        let Permissions { create, update, delete, .. } = &*self.permissions;
        self.is_system
            || match permission {
                Permission::Create(word) => create.contains(word.as_str()),
                Permission::Update(word) => update.contains(word.as_str()),
                Permission::Delete(word) => delete.contains(word.as_str()),
                Permission::Own | Permission::System => false,
            }
    }

    /// Whether the roles allow reading what the word names.
    pub fn reads(&self, word: Read) -> bool {
        self.is_system || self.permissions.read.contains(word.as_str())
    }
}
