//! How the demo gives its commands: by whom, when, and each only once.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::America::New_York;
use hims_commands::{Caller, Command, Failure, Refused, Request, Target, role_id, system_roles};
use hims_domain::role::Permissions;
use hims_event_store::{Actor, StoreError};
use serde_json::Value;

use super::people::STAFF;
use super::{USER, id};
use crate::{Hospital, HospitalError};

/// The name with which events record the demo as their actor.
pub(super) const DEMO: &str = "demo";

/// A request of the demo for now.
pub(super) fn now() -> Request {
    Request::of(Caller::system(DEMO))
}

/// A request of the demo for a time that is past.
pub(super) fn at(instant: DateTime<Utc>) -> Request {
    Request { occurred_at: Some(instant), ..now() }
}

/// A request of the demo with the rights of a role. A part of the system is not asked for reasons, and what it
/// dispenses was dispensed elsewhere; with the rights of a role, the demo is treated as the users of the role are.
pub(super) fn with_rights_of(role: &str) -> Request {
    Request::of(Caller { permissions: rights_of(role), is_system: false, ..Caller::system(DEMO) })
}

/// A request of a member of the demo's staff, for what no part of the system may do.
pub(super) fn by(member: u128) -> Request {
    let role = STAFF.iter().find(|it| it.0 == member).map_or("", |it| it.2);
    Request::of(Caller {
        actor: Actor::User { id: id(USER, member) },
        role: Some(role.to_owned()),
        permissions: rights_of(role),
        is_system: false,
        time_zone: New_York,
        ..Caller::system(DEMO)
    })
}

fn rights_of(role: &str) -> Arc<Permissions> {
    let role = system_roles().into_iter().find(|(id, _)| *id == role_id(role));
    role.map(|(_, it)| Arc::new(it.permissions)).unwrap_or_default()
}

/// Whether somebody records only what belongs to the demo.
pub(super) fn is_of_demo(actor: &Actor) -> bool {
    match actor {
        Actor::System { name } => name == DEMO,
        Actor::User { id: user } => STAFF.iter().any(|it| *user == id(USER, it.0)),
    }
}

/// A command, given as its request body.
fn parsed<C: Command>(body: Value) -> Result<C, HospitalError> {
    serde_json::from_value(body).map_err(|error| {
        StoreError::Unavailable(format!("the made-up command {} is malformed: {error}", C::NAME)).into()
    })
}

impl Hospital {
    /// Carries out a command for now, given as its request body.
    pub(super) async fn demo<C: Command>(&self, body: Value) -> Result<(), HospitalError> {
        self.give::<C>(body, now()).await
    }

    /// Carries out a command, given as its request body.
    pub(crate) async fn give<C: Command>(&self, body: Value, request: Request) -> Result<(), HospitalError> {
        self.once::<C>(parsed(body)?, request).await
    }

    /// Carries out a command on a record that has a version. A record of a later version has got further in an earlier
    /// run.
    pub(super) async fn step<C: Command>(
        &self,
        version: i32,
        body: Value,
        request: Request,
    ) -> Result<(), HospitalError> {
        let command = parsed::<C>(body)?;
        let (Target::Existing(id) | Target::Either(id) | Target::New(Some(id))) = command.target() else {
            return self.once(command, request).await;
        };
        if self.executor.load::<C::Aggregate>(id, true).await?.version > version {
            return Ok(());
        }
        self.once(command, request).await
    }

    /// Carries out a command. The refusal of a command that an earlier run carried out already is no error.
    pub(super) async fn once<C: Command>(&self, command: C, request: Request) -> Result<(), HospitalError> {
        match self.executor.execute_unless_refused(command, request).await {
            Ok(_) | Err(Failure::Refused(Refused { code: "already-exists" | "double-booking", .. })) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
