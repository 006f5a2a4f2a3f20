use std::net::IpAddr;
use std::sync::Arc;

use chrono_tz::Tz;
use hims_domain::role::Permissions;
use hims_domain::values::Code;
use hims_domain::{DepartmentId, PatientId, UserId};
use hims_event_store::Actor;
use uuid::Uuid;

/// What is done with what a permission extends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Begin one.
    Create,
    /// Read it.
    Read,
    /// Change it.
    Update,
    /// End it for good.
    Delete,
}

/// What a command needs: a verb and what it extends to, as in the permission documents of the roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// What is done.
    pub verb: Verb,
    /// With what.
    pub what: &'static str,
}

impl Permission {
    /// No role has it: what is asked for can be done with what is one's own, and with nothing else.
    pub const OWN: Self = Self { verb: Verb::Update, what: "" };

    /// To begin one.
    pub const fn create(what: &'static str) -> Self {
        Self { verb: Verb::Create, what }
    }

    /// To change it.
    pub const fn update(what: &'static str) -> Self {
        Self { verb: Verb::Update, what }
    }

    /// To end it for good.
    pub const fn delete(what: &'static str) -> Self {
        Self { verb: Verb::Delete, what }
    }
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verb = match self.verb {
            Verb::Create => "create",
            Verb::Read => "read",
            Verb::Update => "update",
            Verb::Delete => "delete",
        };
        if *self == Self::OWN { f.write_str("own") } else { write!(f, "{verb}:{}", self.what) }
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
        let allowed = match permission.verb {
            Verb::Create => &self.permissions.create,
            Verb::Read => &self.permissions.read,
            Verb::Update => &self.permissions.update,
            Verb::Delete => &self.permissions.delete,
        };
        self.is_system || allowed.contains(&Code::from(permission.what))
    }

    /// Whether the roles allow reading what is named.
    pub fn reads(&self, what: &'static str) -> bool {
        self.may(Permission { verb: Verb::Read, what })
    }
}
